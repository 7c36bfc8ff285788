"""A project on a node: its configuration, its application, and the way to its end."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from beamish.application import Application, request_stop, run_until_stopped
from beamish.application.table import applications_of
from beamish.node.runtime import Runtime
from beamish.project.configuration import PROD, Configuration
from beamish.project.strict_messages import make_strict

LOG_FORMAT: Final = "%(clock)s [%(level)s] %(message)s"


class LogFormat(logging.Formatter):
    """`16:50:01.123 [info] text`."""

    def format(self, record: logging.LogRecord) -> str:
        """One record."""
        record.clock = f"{time.strftime('%H:%M:%S', time.localtime(record.created))}.{int(record.msecs):03}"
        record.level = record.levelname.lower()
        return super().format(record)


def start_log(level: str | None) -> None:
    """Show the log on standard error, unless the program has set up its own already.

    level: "info" if None. The levels of asyncio and of the watcher of files are left at what is of use to everybody.
    """
    root = logging.getLogger()
    if root.handlers:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogFormat(LOG_FORMAT))
    root.addHandler(handler)
    root.setLevel((level or "info").upper())
    for noisy in ("asyncio", "watchfiles"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def prepare_node(
    runtime: Runtime, configuration: Configuration, more: Mapping[str, Mapping[str, Any]] | None = None
) -> None:
    """Give a node its project's settings. more: environments from files of the command line, laid over them."""
    if configuration.strict_messages:
        make_strict(runtime)
    applications_of(runtime).configure(configuration.overlaid(more or {}))


def start_type(environment: str) -> str:
    """What the end of the application means: in production it ends the node, elsewhere it is reported and the node stays, as
    with Mix."""
    return "permanent" if environment == PROD else "temporary"


async def start_application(runtime: Runtime, application: type[Any], environment: str) -> list[str]:
    """Start the application and what it depends on; the names of those started. Raises ApplicationError."""
    started: list[str] = await runtime.run(Application.ensure_all_started, application, start_type(environment))
    return started


async def serve(runtime: Runtime, work: Callable[[], Awaitable[int | None]]) -> int:
    """Run `work` beside a node until the node is asked to stop; the exit status.

    work: starts what has to run. If it gives a status the node stops with it, None lets the node run on. What it raises
    stops the node, in order, and is raised here. Signals are obeyed from the first moment on.
    """
    ending = asyncio.ensure_future(run_until_stopped(runtime))
    working = asyncio.ensure_future(work())
    try:
        await asyncio.wait({ending, working}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            if working.cancelled() or working.exception() is not None:
                request_stop(runtime, 1)
            elif (status := working.result()) is not None:
                request_stop(runtime, status)
        status = await ending
    finally:
        if not working.done():
            working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    if not working.cancelled() and (error := working.exception()) is not None:
        raise error
    return status
