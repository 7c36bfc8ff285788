"""The report of a state machine that ends badly: one line of the runtime's crash log, with what one needs to find the cause."""

from __future__ import annotations

from typing import Any, Final

from beamish.errors import Exit
from beamish.gen_server.crash import shown_message
from beamish.gen_server.results import NOTHING
from beamish.gen_state_machine.actions import CALL
from beamish.gen_state_machine.core import BadTransition
from beamish.process.gen import GEN_CALL
from beamish.term.convert import shown_value

MAX_DATA: Final = 2000
"""Characters of the data in a crash report."""


def report_crash(machine: Any, reason: Any, error: BaseException | None, during: str) -> None:
    """Have the runtime report the end of a machine, once, with class, state, last event and data in the process's label."""
    rare = machine.process.rare_parts
    before = rare.label
    where = f" in {during}" if during else f": {error}" if isinstance(error, BadTransition) else ""
    label = (
        f"GenStateMachine {type(machine.instance).__qualname__}{where}; state: {shown_value(machine.core.state)}; "
        f"last event: {shown_event(machine.last)}; data: {_shown_data(machine.instance)}"
    )
    rare.label = label if before is None else f"{before}; {label}"
    tell = machine.process.home.report
    if tell is not None:
        tell(machine.process, reason, error if error is not None else Exit(reason))
    rare.label = before


def shown_event(event: Any) -> str:
    """An event, as people read it."""
    if event is NOTHING:
        return "none"
    kind, content = event
    if type(kind) is tuple and kind[0] == CALL:
        return shown_message((GEN_CALL, kind[1], content))
    return f"{kind if isinstance(kind, str) else shown_value(kind)} {shown_value(content)}"


def _shown_data(instance: Any) -> str:
    """The data, bounded; what cannot be shown shall not hide the crash."""
    try:
        text = repr(instance.format_status())
    except Exception as error:
        return f"<it cannot be shown: {type(error).__name__}: {error}>"
    return text if len(text) <= MAX_DATA else f"{text[:MAX_DATA]}… ({len(text)} characters)"


__all__ = ["MAX_DATA", "report_crash", "shown_event"]
