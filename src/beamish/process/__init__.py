"""Processes: the kernel's verbs, and `Process`, the same under Elixir's names."""

from beamish.errors import Exit
from beamish.process._core import (
    Process as ControlBlock,
)
from beamish.process._core import (
    Route,
    Scheduler,
    current_process,
    current_scheduler,
    mailbox_mark,
    receive,
    send,
)
from beamish.process._core import self_ as self
from beamish.process._scheduler import Kernel, spawn, spawn_link, spawn_monitor
from beamish.process._signals import alias, demonitor, exit, link, monitor, unalias, unlink
from beamish.process.dirty import blocking
from beamish.process.face import (
    Process,
    cancel_timer,
    group_leader,
    read_timer,
    register,
    registered,
    send_after,
    set_group_leader,
    trap_exit,
    unregister,
    whereis,
)
from beamish.process.offload import OffloadError, offload
from beamish.process.preemption import LongSchedule, no_preempt

__all__ = [
    "ControlBlock",
    "Exit",
    "Kernel",
    "LongSchedule",
    "OffloadError",
    "Process",
    "Route",
    "Scheduler",
    "alias",
    "blocking",
    "cancel_timer",
    "current_process",
    "current_scheduler",
    "demonitor",
    "exit",
    "group_leader",
    "link",
    "mailbox_mark",
    "monitor",
    "no_preempt",
    "offload",
    "read_timer",
    "receive",
    "register",
    "registered",
    "self",
    "send",
    "send_after",
    "set_group_leader",
    "spawn",
    "spawn_link",
    "spawn_monitor",
    "trap_exit",
    "unalias",
    "unlink",
    "unregister",
    "whereis",
]
