"""Why a node could not be reached, as far as it can be told from here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from beamish.epmd.client import port_please
from beamish.errors import BeamishError, EpmdError
from beamish.node.host import addresses
from beamish.node.names import split
from beamish.term import Atom


async def why_not(target: Atom, epmd_port: int | None) -> str:
    """One sentence on why connecting to a node failed, and what to do about it."""
    alive, host = split(target)
    try:
        found = await asyncio.to_thread(addresses, host)
        info = await port_please(alive, found[0], epmd_port=epmd_port)
    except EpmdError as error:
        return str(error.strerror or error)
    except BeamishError as error:
        return str(error)
    if info is None:
        return f"no node {alive!r} is registered on {host}; `beamish names {host}` lists those that are"
    try:
        async with asyncio.timeout(5):
            _, writer = await asyncio.open_connection(found[0], info.port)
    except TimeoutError:
        return f"{target} is registered, but its port {info.port} on {found[0]} does not answer: a firewall?"
    except OSError as error:
        return (
            f"{target} is registered, but its port {info.port} on {found[0]} cannot be reached"
            f" ({error.strerror or error}): a firewall, or the node is just leaving"
        )
    writer.close()
    return (
        f"{target} listens, but did not let us in: its cookie differs from ours (BEAMISH_COOKIE, --cookie or"
        " ~/.erlang.cookie must be the same on both sides), or it only lets certain nodes in; its log says which"
    )


class LogCollector(logging.Handler):
    """Keeps what the node says while a command works, for the command to explain itself with."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())

    def about(self, target: Atom) -> str | None:
        """The last line that names the target."""
        return next((line for line in reversed(self.lines) if str(target) in line), None)


@contextmanager
def collected_logs() -> Iterator[LogCollector]:
    """Collect beamish's log lines instead of showing them."""
    log = logging.getLogger("beamish")
    collector = LogCollector()
    log.addHandler(collector)
    log.propagate = False
    try:
        yield collector
    finally:
        log.removeHandler(collector)
        log.propagate = not any(isinstance(each, LogCollector) for each in log.handlers)


async def connect_or_say_why(target: Atom, epmd_port: int | None) -> str | None:
    """Connect to a node; None if that worked, else the sentence."""
    from beamish.node import Node

    with collected_logs() as collector:
        if await Node.connect(target) is True:
            return None
    said = collector.about(target)
    return said if said is not None else await why_not(target, epmd_port)
