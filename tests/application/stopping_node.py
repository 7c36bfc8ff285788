"""A node as an OS process of its own, for tests of how it stops: ``python stopping_node.py MODE LOOP``.

Prints "up" when its applications run, and a line for each thing that stops.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from typing import Any

from beamish.application import Application, run_until_stopped, stop_node
from beamish.boot import new_event_loop, start_local
from beamish.gen_server import GenServer, cast
from beamish.process import Process, no_preempt, trap_exit

MODE = sys.argv[1]


def say(text: str) -> None:
    """A line at once."""
    print(text, flush=True)


class Till(GenServer):
    """What the shop consists of."""

    def init(self, name: str) -> None:
        trap_exit()
        self.name = name

    @cast
    def burn(self) -> None:
        raise ValueError("the till is on fire")

    async def terminate(self, reason: Any) -> None:
        if MODE in ("stuck", "stuck twice") and self.name == "till 1":
            say("stuck")
            await Process.sleep(100)
        if MODE == "hog" and self.name == "till 1":
            say("stuck")
            end = time.monotonic() + 100
            while time.monotonic() < end:
                pass
        if MODE == "blocked" and self.name == "till 1":
            say("stuck")
            with no_preempt():
                time.sleep(100)
        say(f"{self.name} stopped")


class Stock(Application):
    """What the shop needs."""

    def start(self, start_type: str, args: Any) -> Any:
        return [Till.child_spec("stock", shutdown=50.0)]


class Shop(Application):
    """The application of the project."""

    applications = (Stock,)

    def start(self, start_type: str, args: Any) -> Any:
        if MODE == "start fails":
            raise LookupError("no port is configured")
        return [Till.child_spec(f"till {n}", id=f"till {n}", name=f"till{n}", shutdown=50.0) for n in range(2)]

    def stop(self, state: Any) -> None:
        say("shop stopped")


async def begin() -> None:
    """Start it all, and do what the mode says."""
    await Application.ensure_all_started(Shop, "permanent")
    say("up")
    if MODE == "dies":
        for _ in range(4):
            Till.at("till1").burn()
            await Process.sleep(0.05)
    elif MODE == "stops itself":
        stop_node(3)
    elif MODE == "hang up":
        os.kill(os.getpid(), signal.SIGINT)


async def main() -> int:
    """The exit status."""
    limit = {"stuck": 0.3, "hog": 0.3, "blocked": 0.3}.get(MODE, 20.0)
    return await run_until_stopped(await start_local(), begin, limit=limit)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    if MODE == "blocked":
        from beamish.application import node_stop

        node_stop.GRACE = 0.3  # type: ignore[misc]
    factory = asyncio.SelectorEventLoop if sys.argv[2] == "asyncio" else new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        sys.exit(runner.run(main()))
