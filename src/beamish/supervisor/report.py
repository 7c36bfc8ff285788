"""The log of supervisors: one record per event, on the logger `beamish.supervisor`.

Each says which child (id, pid) of which supervisor, what happened and why, and what the supervisor does. `record.report` holds
the same as a dict, for handlers that want more than text.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from beamish.node.runtime import Runtime
from beamish.process.exits import is_exception_reason, text_of
from beamish.supervisor.child_spec import ChildSpec, shown_id
from beamish.supervisor.events import Report
from beamish.supervisor.starting import function_name
from beamish.supervisor.stopping import Ending
from beamish.supervisor.strategy import orderly
from beamish.term import Pid, atom
from beamish.term.convert import shown_value

log = logging.getLogger("beamish.supervisor")

MOST_KEPT: Final = 100
"""Supervisors of which the last lines are kept."""

_VERBS: Final = {"child_terminated": "ended", "start_error": "could not be started", "shutdown": "is restarted too often",
                 "auto_shutdown": "ended"}  # fmt: skip


def readable(reason: Any) -> str:
    """A reason for people: the traceback where there is one."""
    match reason:
        case (atom.EXIT, inner) if not is_exception_reason(reason):
            return readable(inner)
        case (atom.shutdown, (atom.failed_to_start_child, id, inner)):
            return f"its child {shown_id(id)} could not be started: {readable(inner)}"
        case (atom.bad_return, (module, function, value)):
            return f"{module}:{function} gave {shown_value(value)}, and not a pid or a handle"
    return text_of(reason)


def shown_child(spec: ChildSpec, pid: Pid | None) -> str:
    """`"counter" <node.12.0>`; a dynamic child, which has no id that counts, is called by its start function."""
    name = function_name(spec) if spec.id is None else shown_id(spec.id)
    return name if pid is None else f"{name} {pid}"


def write(supervisor: str, report: Report) -> str:
    """Log what went wrong with a child; gives the line."""
    verb = _VERBS[report.what]
    if report.what == "child_terminated" and not orderly(report.reason):
        verb = "crashed" if is_exception_reason(report.reason) else "ended"
    text = "" if report.what == "shutdown" else report.text or readable(report.reason)
    return _write(supervisor, report.what, report.spec, report.pid, report.reason, verb, text, report.did)


def keep(runtime: Runtime, supervisor: Pid, report: Report, line: str) -> None:
    """Keep the last lines of a supervisor, for whoever has to explain its end (an application that ends with it):
    `runtime.services["supervisor_reports"]`, supervisor -> [(child, line), …]. Those of a hundred supervisors are kept."""
    kept: dict[Pid, list[tuple[Pid | None, str]]] = runtime.services.setdefault("supervisor_reports", {})
    lines = kept.pop(supervisor, [])
    while len(kept) >= MOST_KEPT:
        del kept[next(iter(kept))]
    kept[supervisor] = [*lines[-1:], (report.pid, line)]


def write_ending(supervisor: str, ending: Ending) -> None:
    """Log that a child did not stop as it should have."""
    if ending.late:
        verb = f"did not stop within its {ending.late:g} s"
        text = "" if ending.reason in (atom.killed, atom.shutdown) else readable(ending.reason)
        did = "it was killed"
    else:
        verb, text, did = "was asked to stop and ended", readable(ending.reason), "nothing more is done about it"
    _write(supervisor, "shutdown_error", ending.spec, ending.pid, ending.reason, verb, text, did)


def _write(supervisor: str, what: str, spec: ChildSpec, pid: Pid | None, reason: Any, verb: str, text: str, did: str) -> str:
    head = f"{supervisor}: child {shown_child(spec, pid)} {verb}"
    line = f"{head}; {did}\n{text}" if "\n" in text else f"{head}{f' ({text})' if text else ''}; {did}"
    report = {"supervisor": supervisor, "context": what, "child": spec.id, "pid": pid, "reason": reason, "did": did}
    log.log(logging.INFO if what == "auto_shutdown" else logging.ERROR, "%s", line, extra={"report": report})
    return line


__all__ = ["keep", "readable", "shown_child", "write", "write_ending"]
