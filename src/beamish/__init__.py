"""beamish: OTP for Python. Nodes that join a real Erlang/Elixir cluster as equals.

Names are loaded on first use, so that small commands start fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from beamish import etf as etf
    from beamish import node as node
    from beamish import rpc as rpc
    from beamish.agent import Agent as Agent
    from beamish.application import Application as Application
    from beamish.boot import run as run
    from beamish.boot import start_local as start_local
    from beamish.boot import start_node as start_node
    from beamish.errors import AlreadyStarted as AlreadyStarted
    from beamish.errors import BeamishError as BeamishError
    from beamish.errors import CallTimeout as CallTimeout
    from beamish.errors import Exit as Exit
    from beamish.errors import NodeError as NodeError
    from beamish.errors import ReceiveTimeout as ReceiveTimeout
    from beamish.errors import RemoteError as RemoteError
    from beamish.errors import StartError as StartError
    from beamish.gen_server import IGNORE as IGNORE
    from beamish.gen_server import NO_REPLY as NO_REPLY
    from beamish.gen_server import Continue as Continue
    from beamish.gen_server import GenServer as GenServer
    from beamish.gen_server import NoReply as NoReply
    from beamish.gen_server import Reply as Reply
    from beamish.gen_server import Stop as Stop
    from beamish.gen_server import Timeout as Timeout
    from beamish.gen_server import call as call
    from beamish.gen_server import cast as cast
    from beamish.gen_state_machine import GenStateMachine as GenStateMachine
    from beamish.names import Global as Global
    from beamish.node import Node as Node
    from beamish.node import Runtime as Runtime
    from beamish.node import current_runtime as current_runtime
    from beamish.process import Process as Process
    from beamish.process import alias as alias
    from beamish.process import blocking as blocking
    from beamish.process import cancel_timer as cancel_timer
    from beamish.process import demonitor as demonitor
    from beamish.process import exit as exit
    from beamish.process import group_leader as group_leader
    from beamish.process import link as link
    from beamish.process import monitor as monitor
    from beamish.process import no_preempt as no_preempt
    from beamish.process import offload as offload
    from beamish.process import receive as receive
    from beamish.process import register as register
    from beamish.process import registered as registered
    from beamish.process import self as self
    from beamish.process import send as send
    from beamish.process import send_after as send_after
    from beamish.process import spawn as spawn
    from beamish.process import spawn_link as spawn_link
    from beamish.process import spawn_monitor as spawn_monitor
    from beamish.process import trap_exit as trap_exit
    from beamish.process import unalias as unalias
    from beamish.process import unlink as unlink
    from beamish.process import unregister as unregister
    from beamish.process import whereis as whereis
    from beamish.registry import Registry as Registry
    from beamish.rpc import erpc as erpc
    from beamish.rpc import memory as memory
    from beamish.rpc import net_adm as net_adm
    from beamish.rpc import system_info as system_info
    from beamish.supervisor import ChildSpec as ChildSpec
    from beamish.supervisor import DynamicSupervisor as DynamicSupervisor
    from beamish.supervisor import PartitionSupervisor as PartitionSupervisor
    from beamish.supervisor import Supervisor as Supervisor
    from beamish.task import Task as Task
    from beamish.task import TaskFailed as TaskFailed
    from beamish.task import TaskSupervisor as TaskSupervisor
    from beamish.task import TaskTimeout as TaskTimeout
    from beamish.term import Atom as Atom
    from beamish.term import Pid as Pid
    from beamish.term import Ref as Ref
    from beamish.term import atom as atom
    from beamish.term import charlist as charlist
    from beamish.term import text as text

_HOMES = {
    "agent": ("Agent",),
    "application": ("Application",),
    "boot": ("run", "start_local", "start_node"),
    "errors": (
        "AlreadyStarted", "BeamishError", "CallTimeout", "Exit", "NodeError", "ReceiveTimeout", "RemoteError", "StartError",
    ),
    "gen_server": ("IGNORE", "NO_REPLY", "Continue", "GenServer", "NoReply", "Reply", "Stop", "Timeout", "call", "cast"),
    "gen_state_machine": ("GenStateMachine",),
    "names": ("Global",),
    "node": ("Node", "Runtime", "current_runtime"),
    "process": (
        "Process", "alias", "blocking", "cancel_timer", "demonitor", "exit", "group_leader", "link", "monitor",
        "no_preempt", "offload", "receive", "register", "registered", "self", "send", "send_after", "spawn",
        "spawn_link", "spawn_monitor", "trap_exit", "unalias", "unlink", "unregister", "whereis",
    ),
    "registry": ("Registry",),
    "rpc": ("erpc", "memory", "net_adm", "system_info"),
    "supervisor": ("ChildSpec", "DynamicSupervisor", "PartitionSupervisor", "Supervisor"),
    "task": ("Task", "TaskFailed", "TaskSupervisor", "TaskTimeout"),
    "term": ("Atom", "Pid", "Ref", "atom", "charlist", "text"),
}  # fmt: skip
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_MODULES = ("etf", "node", "rpc", "testing")

__version__ = "0.1.0"
__all__ = sorted([*_HOME_OF, "etf", "node", "rpc"])


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is not None:
        module = importlib.import_module(f"beamish.{home}")
        value = getattr(module, name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return importlib.import_module(f"beamish.{name}")
    raise AttributeError(f"module 'beamish' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
