"""What `sys` can watch in a behaviour's process: trace, log, statistics, a log file, functions of the user.

Events are OTP's: ``(in, Message)``, ``(out, Reply, From, State)``, ``(noreply, State)``.

Source  OTP 25, stdlib: sys (debug_cmd/2, handle_debug/4), gen_server (print_event/3).
"""

from __future__ import annotations

import datetime
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TextIO

from beamish.io.client import write
from beamish.process import current_process, spawn
from beamish.process.gen import GEN_CALL, GEN_CAST
from beamish.term import Pid, atom, charlist, text
from beamish.term.chardata import ChardataError
from beamish.term.convert import shown_value

log = logging.getLogger("beamish.gen_server")
LOG_SIZE: Final = 10
MOST_LOGGED: Final = 100_000
"""Events a peer may have a server keep."""


def datetime_term() -> Any:
    """The local time as Erlang's ``{{Y, M, D}, {H, M, S}}``."""
    now = datetime.datetime.now()
    return ((now.year, now.month, now.day), (now.hour, now.minute, now.second))


IN: Final = atom("in")
OUT: Final = atom.out
NOREPLY: Final = atom.noreply


def event_text(name: Any, event: Any) -> str:
    """An event as `sys:trace` prints it."""
    kind = event[0] if isinstance(event, tuple) and event else None
    if kind is IN:
        match event[1]:
            case (tag, (Pid() as pid, _), request) if tag is GEN_CALL:
                return f"*DBG* {name} got call {shown_value(request)} from {pid}"
            case (tag, request) if tag is GEN_CAST:
                return f"*DBG* {name} got cast {shown_value(request)}"
        return f"*DBG* {name} got {shown_value(event[1])}"
    if kind is OUT and len(event) == 4:
        return f"*DBG* {name} sent {shown_value(event[1])} to {event[2][0]}, new state {shown_value(event[3])}"
    if kind is NOREPLY:
        return f"*DBG* {name} new state {shown_value(event[1])}"
    return f"*DBG* {name} dbg  {shown_value(event)}"


class Debug:
    """The debug options of one process; made when somebody asks for the first."""

    __slots__ = ("events", "file", "functions", "messages_in", "messages_out", "started", "steps", "trace")

    def __init__(self) -> None:
        self.trace = False
        self.events: deque[Any] | None = None
        self.file: TextIO | None = None
        self.started: Any = None
        self.steps = self.messages_in = self.messages_out = 0
        self.functions: dict[Any, tuple[Callable[..., Any], Any]] = {}

    @property
    def idle(self) -> bool:
        """Whether nothing is watched."""
        return not self.trace and self.events is None and self.file is None and self.started is None and not self.functions

    def happened(self, name: Any, event: Any, state: Any) -> None:
        """One event, for everything that watches."""
        if self.trace:
            spawn(write, event_text(name, event) + "\n")
        if self.events is not None:
            self.events.append(event)
        if self.file is not None:
            try:
                self.file.write(event_text(name, event) + "\n")
                self.file.flush()
            except OSError as error:
                log.warning("the debug log of %s cannot be written: %s", name, error)
                self.close_file()
        if self.started is not None:
            self.messages_in += event[0] is IN
            self.messages_out += event[0] is OUT
        for key, (function, before) in list(self.functions.items()):
            try:
                after = function(before, event, state)
            except Exception:  # as in OTP: one that fails is left as it was
                continue
            if after is atom.done:
                del self.functions[key]
            else:
                self.functions[key] = (function, after)

    def logged(self) -> list[Any]:
        """The events kept, oldest first."""
        return list(self.events or ())

    def command(self, what: Any, name: Any) -> Any:
        """Carry out a ``{debug, What}`` of `sys`; gives the answer."""
        match what:
            case atom.no_debug:
                self.close_file()
                self.__init__()  # type: ignore[misc]
                return atom.ok
            case (atom.trace, bool() as on):
                self.trace = on
                return atom.ok
            case (atom.log, value):
                return self._log(value, name)
            case (atom.statistics, value):
                return self._statistics(value)
            case (atom.log_to_file, value):
                return self._log_to_file(value)
            case (atom.install, (function, state)) if callable(function):
                self.functions.setdefault(function, (function, state))
                return atom.ok
            case (atom.install, (key, function, state)) if callable(function):
                self.functions.setdefault(key, (function, state))
                return atom.ok
            case (atom.remove, key):
                self.functions.pop(key, None)
                return atom.ok
        return atom.unknown_debug

    def _log(self, value: Any, name: Any) -> Any:
        match value:
            case True:
                self.events = deque(self.events or (), LOG_SIZE)
            case (True, int() as size) if 1 <= size <= MOST_LOGGED:
                self.events = deque(self.events or (), size)
            case False:
                self.events = None
            case atom.get:
                return (atom.ok, self.logged())
            case atom.print:
                for event in self.logged():
                    spawn(write, event_text(name, event) + "\n")
            case _:
                return atom.unknown_debug
        return atom.ok

    def _statistics(self, value: Any) -> Any:
        process = current_process()
        steps = process.details["steps"] if process is not None else 0
        match value:
            case True:
                if self.started is None:
                    self.started, self.steps, self.messages_in, self.messages_out = datetime_term(), steps, 0, 0
            case False:
                self.started = None
            case atom.get if self.started is None:
                return (atom.ok, atom.no_statistics)
            case atom.get:
                return (atom.ok, [
                    (atom.start_time, self.started), (atom.current_time, datetime_term()), (atom.reductions, steps - self.steps),
                    (atom.messages_in, self.messages_in), (atom.messages_out, self.messages_out)])  # fmt: skip
            case _:
                return atom.unknown_debug
        return atom.ok

    def _log_to_file(self, value: Any) -> Any:
        self.close_file()
        if value is False:
            return atom.ok
        try:
            self.file = open(text(value), "w", encoding="utf-8")  # noqa: SIM115  closed by no_debug or at the end
        except (OSError, ChardataError, ValueError):
            return (atom.error, atom.open_file)
        return atom.ok

    def close_file(self) -> None:
        """Close the log file, if there is one."""
        if self.file is not None:
            self.file.close()
            self.file = None

    def term(self) -> list[Any]:
        """The options as `sys:get_status` shows them."""
        shown: list[Any] = []
        if self.trace:
            shown.append((atom.trace, True))
        if self.events is not None:
            left = (self.events.maxlen or 0) - len(self.events)
            shown.append((atom.log, [left, *self.logged()[::-1]]))
        if self.started is not None:
            shown.append((atom.statistics, (self.started, (atom.reductions, self.steps), self.messages_in, self.messages_out)))
        if self.file is not None:
            shown.append((atom.log_to_file, charlist(str(self.file.name))))
        return shown


__all__ = ["IN", "LOG_SIZE", "NOREPLY", "OUT", "Debug", "event_text"]
