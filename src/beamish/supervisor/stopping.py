"""Stopping children: ask, wait, kill.

A child is watched before it is asked, and unlinked only when it is gone: one that died before it was watched, or that unlinked
itself, holds nobody up, and if the supervisor is killed meanwhile its children still hear of it.

Source  OTP 25, stdlib: supervisor.erl (shutdown/1); Elixir 1.14: dynamic_supervisor.ex (terminate_children/2).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from beamish.errors import ReceiveTimeout
from beamish.process import ControlBlock, current_process, demonitor, mailbox_mark, monitor, receive, send_after, unlink
from beamish.process._scheduler import UNWIND_GRACE
from beamish.process._signals import send_exit
from beamish.supervisor.child_spec import BRUTAL_KILL, ChildSpec
from beamish.supervisor.strategy import stopped_badly
from beamish.term import Pid, Ref, atom

_DOWN: Final = atom.DOWN
_EXIT: Final = atom.EXIT
_KILL: Final = atom.kill
_NOPROC: Final = atom.noproc
_SHUTDOWN: Final = atom.shutdown
_TIME_IS_UP: Final = atom("$beamish_time_is_up")
TURN: Final = 2000
"""How many children are asked to stop before others have their turn."""


class Ending(NamedTuple):
    """How a child that was asked to stop ended. late: it had to be killed, after so many seconds; 0 if it went by itself."""

    pid: Pid
    spec: ChildSpec
    reason: Any
    late: float

    @property
    def bad(self) -> bool:
        """Whether this is to be reported."""
        return self.late > 0 or stopped_badly(self.spec, self.reason)


def ask(pid: Pid, spec: ChildSpec, process: ControlBlock | None) -> None:
    """The exit signal that the specification wants first. A local child gets as long for its clean-up as the specification says:
    the kernel ends it only when nobody else has."""
    if process is not None and spec.shutdown != BRUTAL_KILL:
        process.rare_parts.grace = max(float(spec.shutdown), UNWIND_GRACE) + 1.0
    send_exit(pid, _KILL if spec.shutdown == BRUTAL_KILL else _SHUTDOWN)


def time_of(spec: ChildSpec) -> float | None:
    """Seconds after which it is killed; None: never, or it is killed at once."""
    return None if spec.shutdown == BRUTAL_KILL or spec.shutdown == math.inf else float(spec.shutdown)


async def stop_child(pid: Pid, spec: ChildSpec) -> Ending:
    """Stop one child and wait until it is gone."""
    me = current_process()
    assert me is not None
    mark = mailbox_mark()
    ref = monitor(pid)
    late = 0.0
    try:
        ask(pid, spec, me.home.process_of(pid))
        try:
            down = await receive(ref, timeout=time_of(spec), since=mark)
        except ReceiveTimeout:
            late = float(spec.shutdown)
            send_exit(pid, _KILL)
            down = await receive(ref, since=mark)
    finally:
        demonitor(ref)
    unlink(pid)
    reason = down[4]
    try:
        reason = (await receive((_EXIT, pid, ...), timeout=0))[2]
    except ReceiveTimeout:
        pass
    return Ending(pid, spec, reason, late)


async def stop_all(children: Iterable[tuple[Pid, ChildSpec]]) -> list[Ending]:
    """Stop many children at once and give those whose end is to be reported.

    Takes every message out of the mailbox meanwhile: for a supervisor that ends.
    """
    me = current_process()
    assert me is not None
    waiting: dict[Ref, tuple[Pid, ChildSpec]] = {}
    by_time: dict[float, list[Ref]] = {}
    for number, (pid, spec) in enumerate(list(children), 1):
        ref = monitor(pid)
        waiting[ref] = (pid, spec)
        ask(pid, spec, me.home.process_of(pid))
        time = time_of(spec)
        if time is not None:
            by_time.setdefault(time, []).append(ref)
        if number % TURN == 0:
            await asyncio.sleep(0)
    for time in by_time:
        send_after(time, me.pid, (_TIME_IS_UP, time))
    late: set[Ref] = set()
    died: dict[Pid, Any] = {}
    found: list[Ending] = []
    while waiting:
        message = await receive()
        if message.__class__ is not tuple or not message:
            continue
        tag = message[0]
        if tag is _DOWN and len(message) == 5:
            entry = waiting.pop(message[1], None)
            if entry is None:
                continue
            pid, spec = entry
            reason = message[4]
            unlink(pid)
            if reason is _NOPROC:
                reason = died.get(pid, reason)
            ending = Ending(pid, spec, reason, float(spec.shutdown) if message[1] in late else 0.0)
            if ending.bad:
                found.append(ending)
        elif tag is _EXIT and len(message) == 3:
            if message[2] is not _SHUTDOWN:
                died[message[1]] = message[2]
        elif tag is _TIME_IS_UP and len(message) == 2:
            for ref in by_time.pop(message[1], ()):
                if ref in waiting:
                    late.add(ref)
                    send_exit(waiting[ref][0], _KILL)
    return found


__all__ = ["TURN", "Ending", "ask", "stop_all", "stop_child", "time_of"]
