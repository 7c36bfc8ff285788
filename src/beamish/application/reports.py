"""What people read about applications: why one did not start, why one ended, and what of it will not go."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from types import FrameType
from typing import Any, Final

from beamish import errors as beamish_errors
from beamish.errors import BeamishError
from beamish.node.runtime import Runtime
from beamish.process import ControlBlock
from beamish.process.exits import text_of
from beamish.process.info import frames_of, initial_call
from beamish.term import Pid, atom

MOST_LINES: Final = 20
PACKAGE: Final = str(Path(beamish_errors.__file__).parent) + os.sep
ASYNCIO: Final = str(Path(asyncio.__file__).parent) + os.sep


def ends_of(runtime: Runtime, leader: Pid) -> list[ControlBlock]:
    """The living processes of this group leader, the leader itself aside."""
    found = []
    for pid in runtime.pids():
        process = runtime.process_of(pid)
        if process is not None and process.leader == leader and pid != leader:
            found.append(process)
    return found


def place_of(runtime: Runtime, pid: Pid) -> str:
    """Where a local process waits, as ``it is at Shop.start in shop/application.py:12``."""
    process = runtime.process_of(pid)
    return "its process has ended" if process is None else f"it is at {_place(process)}"


def _place(process: ControlBlock) -> str:
    """The innermost frame of the user's, else the function it was started with."""
    frame = _own_frame(process)
    if frame is not None:
        return f"{frame.f_code.co_qualname} in {frame.f_code.co_filename}:{frame.f_lineno}"
    module, function, _ = initial_call(process)
    return f"{module}:{function}"


def _own_frame(process: ControlBlock) -> FrameType | None:
    for frame in reversed(frames_of(process)):
        file = frame.f_code.co_filename
        if not file.startswith(PACKAGE) and not file.startswith(ASYNCIO):
            return frame
    return None


def described(process: ControlBlock) -> str:
    """A process as one line: pid, name or label, and where it is."""
    rare = process.details["rare"]
    name = f" {rare.names[0]}" if rare is not None and rare.names else ""
    label = f" ({rare.label})" if rare is not None and rare.label is not None else ""
    return f"{process.pid}{name}{label} at {_place(process)}"


def remaining_lines(runtime: Runtime, leader: Pid | None) -> str:
    """The processes of a group leader that do not go, one indented line each: those that are about to end and are at code of
    the user's; if there are none, all that live."""
    left = [] if leader is None else ends_of(runtime, leader)
    guilty = [process for process in left if _is_ending(process) and _own_frame(process) is not None]
    shown = guilty or [process for process in left if _own_frame(process) is not None] or left
    lines = [f"  {described(process)}" for process in shown[:MOST_LINES]]
    if len(shown) > MOST_LINES:
        lines.append(f"  … and {len(shown) - MOST_LINES} more")
    return "\n".join(lines) or "  (nothing)"


def _is_ending(process: ControlBlock) -> bool:
    """Whether it was told to end and cleans up: it unwinds, or a `terminate` is among its frames."""
    if process.status == "exiting":
        return True
    return any(frame.f_code.co_name == "terminate" for frame in frames_of(process))


def why_not_started(name: str, reason: Any, error: BaseException | None = None) -> str:
    """One text for ``{error, Reason}`` of a start; `error` is what its `start` raised, where that is known."""
    if error is not None:
        said = str(error) if isinstance(error, BeamishError) else f"{type(error).__name__}: {error}"
        return f"application {name} did not start: {said}"
    match reason:
        case (atom.already_started, _):
            return f"application {name} is already started"
        case (atom.not_started, dependency):
            return (
                f"application {name} needs {dependency}, which is not started; "
                f"Application.ensure_all_started({name!r}) starts both"
            )
        case atom.stopping:
            return f"application {name} is not started: the node is stopping"
        case atom.shutdown | atom.killed:
            return f"application {name} did not start: it was stopped while it was starting"
        case (atom.bad_return, (_, str() as said)):
            return f"application {name} did not start: {said}"
    return f"application {name} did not start: its start ended with {text_of(reason)}"


def why_ended(name: str, kind: str, reason: Any, cause: str | None) -> str:
    """One text for an application that ended by itself; `cause`: what its supervisor said of the child that brought it down."""
    because = f"its top process exited with {text_of(reason)}"
    return f"application {name} ({kind}) ended: {because}" + (f"\n{cause}" if cause else "")


__all__ = ["described", "ends_of", "place_of", "remaining_lines", "why_ended", "why_not_started"]
