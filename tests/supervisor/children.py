"""Children for the tests of supervisors, which tell the test what happens to them."""

from __future__ import annotations

import asyncio
from typing import Any

from beamish.errors import Exit
from beamish.gen_server import GenServer, Stop, call, cast
from beamish.process import Process, receive, self, send, spawn_link, trap_exit
from beamish.supervisor import ChildSpec
from beamish.term import Pid


class Telling(GenServer):
    """Sends ``("up", label, pid)`` and ``("down", label, reason)``."""

    def init(self, test: Pid, label: Any, traps: bool = True) -> None:
        self.test, self.label = test, label
        trap_exit(traps)
        send(test, ("up", label, self.pid))

    @call
    def where(self) -> Pid:
        """Its pid."""
        return self.pid

    @cast
    def crash(self, text: str = "boom") -> None:
        """Raise."""
        raise ValueError(text)

    @cast
    def end(self, reason: Any) -> Any:
        """End with a reason."""
        return Stop(reason)

    def handle_info(self, message: Any) -> None:
        pass

    def terminate(self, reason: Any) -> Any:
        send(self.test, ("down", self.label, reason))


class HangsAtTheEnd(Telling):
    """Never comes back from terminate."""

    async def terminate(self, reason: Any) -> None:
        await Process.sleep(10**9)


class HangsAtTheStart(Telling):
    """Never comes back from init."""

    async def init(self, test: Pid, label: Any) -> None:  # type: ignore[override]
        send(test, ("hangs", label, self.pid))
        await Process.sleep(10**9)


class FailsAtTheStart(Telling):
    """Raises in init."""

    def init(self, test: Pid, label: Any) -> None:  # type: ignore[override]
        raise RuntimeError(f"{label} has no database")


def telling(label: Any, **keys: Any) -> ChildSpec:
    """A Telling child of the calling test."""
    return Telling.child_spec(self(), label, id=label, **keys)


async def up(*labels: Any) -> list[Pid]:
    """Wait until these have started, in this order; gives their pids."""
    found = []
    for label in labels:
        message = await receive(("up", ..., ...), timeout=5)
        assert message[1] == label, message
        found.append(message[2])
    return found


async def down(*labels: Any) -> list[Any]:
    """Wait until these have stopped, in this order; gives the reasons."""
    found = []
    for label in labels:
        message = await receive(("down", ..., ...), timeout=5)
        assert message[1] == label, message
        found.append(message[2])
    return found


async def swallows_everything(test: Pid) -> None:
    """Cancellation and exits do not get through to it."""
    send(test, ("stubborn", self()))
    while True:
        try:
            await asyncio.sleep(10**9)
        except (Exit, asyncio.CancelledError):
            pass


def start_stubborn(test: Pid) -> Pid:
    """Start one that swallows everything."""
    return spawn_link(swallows_everything, test)
