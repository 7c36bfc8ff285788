"""What can be known of a process from outside, without stopping it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable
from types import CodeType, FrameType
from typing import Any

from beamish.process import _core
from beamish.process.body import started_as
from beamish.term import Pid

CONTROL_BLOCK_BYTES = _core.Process.__basicsize__ + 16

ITEMS = (
    "registered_name", "current_function", "initial_call", "status", "message_queue_len", "links", "monitors", "monitored_by",
    "trap_exit", "group_leader", "parent", "label", "dictionary", "memory", "reductions",
)  # fmt: skip
RARE_ITEMS = ("messages", "current_stacktrace", "aliases", "preemptions")


def coroutine_frames(coro: Any) -> list[FrameType]:
    """The frames of a suspended coroutine, outermost first, through everything it awaits."""
    frames: list[FrameType] = []
    while coro is not None:
        frame = getattr(coro, "cr_frame", None) or getattr(coro, "gi_frame", None)
        if frame is not None:
            frames.append(frame)
        elif not isinstance(coro, _core.Body):
            break
        coro = getattr(coro, "cr_await", None) or getattr(coro, "gi_yieldfrom", None)
    return frames


def frames_of(process: _core.Process) -> list[FrameType]:
    """The frames of a process that does not run now, outermost first; of a preempted one down to where it was stopped."""
    rare = process.details["rare"]
    frozen = rare.frozen if rare is not None else None
    if frozen is None:
        return coroutine_frames(process.get_coro())
    found: list[FrameType] = []
    frame = frozen.gr_frame
    while frame is not None:
        found.append(frame)
        frame = frame.f_back
    return found[::-1]


def _name(code: CodeType, module: str) -> tuple[str, str, int]:
    return (module, code.co_qualname, code.co_argcount)


def initial_call(process: _core.Process) -> tuple[str, str, int]:
    """(module, function, arity) of the function the process was started with."""
    coro = process.get_coro()
    applied = started_as(coro)
    if applied is not None:
        return applied
    known: tuple[str, str, int] | None = getattr(coro, "initial_call", None)
    if known is not None:
        return known
    code = getattr(coro, "cr_code", None)
    if code is None:
        return ("beamish.process", "?", 0)
    frame = getattr(coro, "cr_frame", None)
    module = frame.f_globals.get("__name__", "?") if frame is not None else inspect.getmodulename(code.co_filename) or "?"
    return _name(code, str(module))


def memory_of(process: _core.Process) -> int:
    """Bytes held by the process itself: control block, coroutine and frames, mailbox ring. Not the messages."""
    details = process.details
    total = CONTROL_BLOCK_BYTES + sys.getsizeof(process.pid) + 8 * details["ring"] + 80
    coro = process.get_coro()
    while coro is not None:
        total += sys.getsizeof(coro)
        coro = getattr(coro, "cr_await", None)
    if details["rare"] is not None:
        total += sys.getsizeof(details["rare"])
        for part in (details["rare"].links, details["rare"].monitors, details["rare"].watchers, details["rare"].dictionary):
            total += sys.getsizeof(part) if part is not None else 0
    return total


def _watchers(rare: Any) -> list[Pid]:
    return [who[0] if isinstance(who, tuple) else who for who in (rare.watchers or {}).values()]


def info_of(process: _core.Process, items: Iterable[str] = ()) -> dict[str, Any]:
    """The asked items, or all cheap ones. Raises ValueError for an unknown item."""
    details = process.details
    rare = details["rare"]
    asked = tuple(items) or ITEMS
    found: dict[str, Any] = {}
    for item in asked:
        match item:
            case "registered_name":
                found[item] = rare.names[0] if rare is not None and rare.names else None
            case "current_function":
                frames = frames_of(process)
                frame = frames[-1] if frames else None
                found[item] = _name(frame.f_code, str(frame.f_globals.get("__name__", "?"))) if frame else initial_call(process)
            case "current_stacktrace":
                found[item] = [
                    (*_name(frame.f_code, str(frame.f_globals.get("__name__", "?"))), frame.f_code.co_filename, frame.f_lineno)
                    for frame in reversed(frames_of(process))
                ]
            case "initial_call":
                found[item] = initial_call(process)
            case "status":
                found[item] = process.status
            case "message_queue_len":
                found[item] = details["queue"]
            case "messages":
                found[item] = process.peek_messages()
            case "links":
                found[item] = [pid for pid, state in (rare.links or {}).items() if state == 0] if rare is not None else []
            case "monitors":
                found[item] = list((rare.monitors or {}).values()) if rare is not None else []
                if process.calling is not None:
                    found[item].append(process.calling)
            case "monitored_by":
                found[item] = [*_watchers(rare), *process.callers] if rare is not None else []
            case "aliases":
                found[item] = list(rare.aliases or ()) if rare is not None else []
            case "trap_exit":
                found[item] = process.traps
            case "group_leader":
                found[item] = process.leader
            case "parent":
                found[item] = process.parent
            case "label":
                found[item] = rare.label if rare is not None else None
            case "dictionary":
                found[item] = dict(rare.dictionary or {}) if rare is not None else {}
            case "memory":
                found[item] = memory_of(process)
            case "preemptions":
                found[item] = rare.preemptions if rare is not None else 0
            case "reductions":
                found[item] = details["steps"]
            case _:
                raise ValueError(f"Process.info() knows no item {item!r}; known: {', '.join(ITEMS + RARE_ITEMS)}")
    return found
