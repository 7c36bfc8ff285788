"""One shell from banner to goodbye: read, evaluate, show, on a terminal or from a pipe.

A front end reads inputs and is the device of the node's `user` process; see `terminal` and `piped`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Protocol

from beamish.io.inspect import inspect_term
from beamish.io.requests import Device
from beamish.node.runtime import Runtime
from beamish.process.exits import text_of
from beamish.shell.evaluator import Ended, Evaluator, EvaluatorDied, Interrupted, Leave
from beamish.shell.prelude import prelude
from beamish.shell.short_traceback import describe_error
from beamish.shell.source_text import NOTHING


class FrontEnd(Device, Protocol):
    """Where inputs come from and results go."""

    colour: bool

    async def read_input(self, prompt: str) -> str | None:
        """The next whole input; None at the end. Raises KeyboardInterrupt for Ctrl-C at the prompt."""

    def attach(self, session: Session) -> None:
        """Get to know the session: its names for completion, its runtime."""

    def error(self, text: str) -> None:
        """Show what went wrong."""

    def complain(self, text: str) -> None:
        """Show a line of the log."""


StartNode = Callable[[], Awaitable[Runtime]]


class Session:
    """A shell on a runtime."""

    def __init__(self, runtime: Runtime, front: FrontEnd) -> None:
        self.runtime = runtime
        self.front = front
        self.evaluator = Evaluator(runtime, {**prelude(), **own_names()})
        self.evaluator.on_death = self._report_death
        self.left = False

    @property
    def prompt(self) -> str:
        """The prompt with the node's name and the number of the next input."""
        name = f"({self.runtime.node})" if self.runtime.distributed else ""
        return f"beamish{name}{self.evaluator.number}> "

    async def run(self) -> None:
        """Serve until the end of input, exit(), or the node stops."""
        if self.runtime.closed:
            return
        self.front.attach(self)
        self.evaluator.pid  # noqa: B018  (starts the process, so that others find it before the first input)
        with interrupts_to(self.evaluator.interrupt):
            while not self.left and not self.runtime.closed:
                try:
                    source = await self.front.read_input(self.prompt)
                except KeyboardInterrupt:
                    continue
                if source is None:
                    return
                if source.strip():
                    await self.evaluate(source)

    async def evaluate(self, source: str) -> None:
        """Run one input and show what comes of it."""
        front = self.front
        try:
            value = await self.evaluator.evaluate(source)
        except Leave as leave:
            self.left = True
            if leave.args[0] not in (None, 0):
                front.error(str(leave.args[0]))
        except Interrupted:
            front.error("** interrupted")
        except EvaluatorDied as died:
            self._report_death(died.reason)
        except Ended as ended:
            front.error(describe_error(ended.error))
        except Exception as error:
            front.error(describe_error(error))
        else:
            if value is not NOTHING and value is not None:
                size = front.geometry()
                front.write(inspect_term(value, width=size[0] if size else 80, colour=front.colour) + "\n")

    def _report_death(self, reason: Any) -> None:
        self.front.error(f"** the shell's process was ended by an exit signal: {text_of(reason)}; it has a new pid now")


def own_names() -> dict[str, Any]:
    """What a shell has beside beamish's own names."""
    from beamish.shell.commands import SHELL_COMMANDS

    return dict(SHELL_COMMANDS)


@contextlib.contextmanager
def interrupts_to(handler: Callable[[], None]) -> Iterator[None]:
    """Call a function for Ctrl-C instead of ending the program. Only does something in the main thread."""
    try:
        before = signal.signal(signal.SIGINT, lambda number, frame: handler())
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class FrontHandler(logging.Handler):
    """Shows log lines above the prompt."""

    def __init__(self, front: FrontEnd) -> None:
        super().__init__(logging.WARNING)
        self.front = front

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.front.complain(f"[{record.levelname.lower()}] {record.getMessage()}")
        except Exception:
            self.handleError(record)


@contextlib.contextmanager
def logs_to(front: FrontEnd) -> Iterator[None]:
    """Let beamish's log appear on the front end for a while."""
    log = logging.getLogger("beamish")
    handler = FrontHandler(front)
    log.addHandler(handler)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        # Sessions of one program may end in any order: the last one gives the log back.
        log.propagate = not any(isinstance(each, FrontHandler) for each in log.handlers)


LEAVING = (signal.SIGTERM, signal.SIGHUP) if hasattr(signal, "SIGHUP") else (signal.SIGTERM,)
"""Signals on which a shell leaves as it does on exit()."""


def banner(runtime: Runtime, port: int | None) -> str:
    """Version, Python, the node's name and port, and how to leave."""
    from beamish import __version__

    python = ".".join(map(str, sys.version_info[:3]))
    lines = [f"beamish {__version__} on Python {python} - Ctrl-D or exit() leaves, h() helps"]
    if runtime.distributed:
        lines.append(f"node {runtime.node}" + (f", port {port}" if port else ""))
    else:
        lines.append("this node has no name and sees no others: start with --sname NAME to join some")
    return "\n".join(lines) + "\n"


async def serve_session(runtime: Runtime, front: FrontEnd) -> None:
    """Run a session on a started runtime and stop the runtime after it, in order."""
    session = Session(runtime, front)
    serving = asyncio.ensure_future(session.run())
    try:
        for number in LEAVING:
            with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):  # another thread, another system
                asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
        await asyncio.wait((serving, asyncio.ensure_future(_stopped(runtime))), return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
    finally:
        session.evaluator.closing = True
        await runtime.stop()
        for number in LEAVING:
            with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):
                asyncio.get_running_loop().remove_signal_handler(number)


async def _stopped(runtime: Runtime) -> None:
    await asyncio.shield(runtime.stopped)
