"""`logger`, `logger_proxy` and `error_logger`: what other nodes want logged here.

A crash of an Erlang process is reported where its group leader lives; without these names the report would be lost.
They pass it to Python's logging, as logger ``beamish.remote``.

    {log, Level, Format, Args, Meta}    {log, Level, {string, Text} | {report, Report}, Meta}     logger_proxy, logger
    {notify, {error, GL, {Pid, Format, Args}}}, also warning_msg, info_msg, …_report              error_logger

Source  OTP 25, kernel: logger, logger_backend, error_logger; facts section 17.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from beamish.io.format import FormatError
from beamish.io.format import format as erlang_format
from beamish.node.runtime import Runtime
from beamish.process.gen import reply
from beamish.rpc.servers import Server, start_server
from beamish.term import Atom, Pid, atom, text
from beamish.term.chardata import ChardataError

remote_log = logging.getLogger("beamish.remote")

MAX_TEXT: Final = 32_768
NAMES: Final = (atom.logger, atom.logger_proxy, atom.error_logger)
LEVELS: Final = {
    atom.emergency: logging.CRITICAL,
    atom.alert: logging.CRITICAL,
    atom.critical: logging.CRITICAL,
    atom.error: logging.ERROR,
    atom.error_report: logging.ERROR,
    atom.warning: logging.WARNING,
    atom.warning_msg: logging.WARNING,
    atom.warning_report: logging.WARNING,
    atom.notice: logging.INFO,
    atom.info: logging.INFO,
    atom.info_msg: logging.INFO,
    atom.info_report: logging.INFO,
    atom.debug: logging.DEBUG,
}


def formatted(pattern: Any, args: Any) -> str:
    """io_lib:format, which for a log may be lenient."""
    try:
        return erlang_format(pattern, args)
    except (FormatError, ChardataError) as error:
        return f"{pattern!r} with {args!r} ({error})"


def shown(report: Any) -> str:
    """A report: text, or a term."""
    match report:
        case (atom.string, chars):
            try:
                return text(chars, lenient=True)
            except ChardataError:
                return repr(chars)
        case (atom.report, inner):
            return formatted("~tp", [inner])
        case (pattern, list() as args):
            return formatted(pattern, args)
    return formatted("~tp", [report])


def read_event(message: Any) -> tuple[int, str, Any] | None:
    """(level of Python's logging, text, where it comes from) of a log message; None for anything else."""
    match message:
        case (atom.log, Atom() as level, pattern, list() as args, dict() as meta):
            return LEVELS.get(level, logging.ERROR), formatted(pattern, args), meta.get(atom.pid)
        case (atom.log, Atom() as level, report, dict() as meta):
            return LEVELS.get(level, logging.ERROR), shown(report), meta.get(atom.pid)
        case (atom.notify, (Atom() as level, Pid(), (origin, pattern, args))):
            is_report = str(level).endswith("_report")
            return LEVELS.get(level, logging.ERROR), shown(args) if is_report else formatted(pattern, args), origin
        case (Atom() as level, Pid(), (origin, pattern, list() as args)) if level in LEVELS:
            return LEVELS[level], formatted(pattern, args), origin
    return None


class Logger(Server):
    """One of the three names."""

    def __init__(self, runtime: Runtime, name: Atom) -> None:
        super().__init__(runtime)
        self.name = name

    def call(self, to: Any, request: Any) -> None:
        if read_event(request) is None:
            super().call(to, request)
        else:
            self.info(request)
            reply(to, atom.ok)

    def cast(self, request: Any) -> None:
        self.info(request)

    def info(self, message: Any) -> None:
        event = read_event(message)
        if event is None:
            self.unknown(message)
            return
        level, what, origin = event
        where = f"{origin.node}: " if isinstance(origin, Pid) else ""
        remote_log.log(level, "%s%s", where, what.rstrip()[:MAX_TEXT])


def start_loggers(runtime: Runtime) -> None:
    """Start those of the names that nobody has taken."""
    for name in NAMES:
        if name not in runtime.names:
            start_server(runtime, lambda name=name: Logger(runtime, name))  # type: ignore[misc]
