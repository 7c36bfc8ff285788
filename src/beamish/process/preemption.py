"""What a program says about its own preemption: where it must not happen, and who wants to hear of steps that took too long."""

from __future__ import annotations

from contextlib import ContextDecorator
from dataclasses import dataclass
from types import FrameType

from beamish.process._core import Process as ControlBlock
from beamish.process._core import current_process
from beamish.process._preempt import kind_of
from beamish.process.info import initial_call
from beamish.term import Pid


class no_preempt(ContextDecorator):
    """``with no_preempt():`` or ``@no_preempt()``: no other process of this node runs until the block is left, unless it awaits.

    For code that changes what several processes share. It holds up everybody else: keep it short. Outside a process it
    does nothing. Awaiting inside ends a step as everywhere, and others run then.
    """

    def __init__(self) -> None:
        self._entered: list[ControlBlock | None] = []

    def __enter__(self) -> None:
        process = current_process()
        if process is not None:
            process.rare_parts.unpreemptable += 1
        self._entered.append(process)

    def __exit__(self, *_: object) -> None:
        process = self._entered.pop()
        if process is not None:
            process.rare_parts.unpreemptable -= 1


@dataclass(frozen=True)
class LongSchedule:
    """A step that held up every other process for `seconds` and could not be interrupted; where it was then."""

    pid: Pid
    name: str | None
    seconds: float
    module: str
    function: str
    file: str
    line: int
    why: str

    def __str__(self) -> str:
        who = f"{self.name} {self.pid}" if self.name else str(self.pid)
        return (
            f"process {who} has run for {self.seconds * 1000:.0f} ms without giving way, in {self.function} "
            f"({self.file}:{self.line}); {self.why}"
        )


def long_schedule(process: ControlBlock, seconds: float, frame: FrameType) -> LongSchedule:
    """Describe the step of a process that is at `frame`. The place named is the application's innermost line."""
    here: FrameType | None = frame
    while here is not None and kind_of(here.f_code.co_filename) != 1:
        here = here.f_back
    rare = process.details["rare"]
    if rare is not None and rare.unpreemptable:
        why = "it is inside no_preempt()"
    elif here is not frame:
        inside = frame.f_globals.get("__name__", frame.f_code.co_filename)
        why = f"it is inside {inside}, which is not interrupted: offload() it, or use a dirty process"
    else:
        why = "it could not be interrupted (a call into C, a lock, or library code): offload() it, or use a dirty process"
    shown = here or frame
    module, function, _ = initial_call(process)
    return LongSchedule(
        process.pid,
        str(rare.names[0]) if rare is not None and rare.names else None,
        seconds,
        str(shown.f_globals.get("__name__", module)),
        shown.f_code.co_qualname or function,
        shown.f_code.co_filename,
        shown.f_lineno or 0,
        why,
    )


__all__ = ["LongSchedule", "long_schedule", "no_preempt"]
