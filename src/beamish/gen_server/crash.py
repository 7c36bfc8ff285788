"""The report of a server that ends badly: one line of the runtime's crash log, with what one needs to find the cause.

The server's class, its name, the last message and the state go into the process's label, which the log shows beside the pid.
"""

from __future__ import annotations

from typing import Any, Final

from beamish.errors import Exit
from beamish.gen_server.unhandled import BadReturnValue
from beamish.process import current_process
from beamish.process.gen import GEN_CALL, GEN_CAST
from beamish.term import atom
from beamish.term.convert import shown_value

MAX_STATE: Final = 2000
"""Characters of the state in a crash report."""


def is_silent(reason: Any) -> bool:
    """Whether a reason is an ordinary end: normal, shutdown, or ``{shutdown, _}``."""
    return (
        reason is atom.normal or reason is atom.shutdown
        or (type(reason) is tuple and len(reason) == 2 and reason[0] is atom.shutdown)
    )  # fmt: skip


def shown_message(message: Any) -> str:
    """The last message, as people read it."""
    if message is ...:
        return "none"
    match message:
        case (tag, (pid, _), request) if tag is GEN_CALL:
            return f"call {shown_value(request)} from {pid}"
        case (tag, request) if tag is GEN_CAST:
            return f"cast {shown_value(request)}"
    return shown_value(message)


def shown_state(instance: Any) -> str:
    """The state, bounded; a state that cannot be shown shall not hide the crash."""
    try:
        text = repr(instance.format_status())
    except Exception as error:
        return f"<it cannot be shown: {type(error).__name__}: {error}>"
    return text if len(text) <= MAX_STATE else f"{text[:MAX_STATE]}… ({len(text)} characters)"


def report_crash(server: Any, reason: Any, error: BaseException | None, during: str) -> None:
    """Have the runtime report the end of a server, once."""
    process, instance = current_process(), server.instance
    assert process is not None
    rare = process.rare_parts
    before = rare.label
    where = f" in {during}" if during else ""
    kind = type(instance).__qualname__ if instance is not None else "?"
    label = f"GenServer {kind}{where}; last message: {shown_message(server.last)}; state: {shown_state(instance)}"
    if isinstance(error, BadReturnValue):
        label += f"; {error}"  # OTP's reason for it says less
    rare.label = label if before is None else f"{before}; {label}"
    report = process.home.report
    if report is not None:
        report(process, reason, error if error is not None else Exit(reason))
    rare.label = before


__all__ = ["MAX_STATE", "is_silent", "report_crash", "shown_message", "shown_state"]
