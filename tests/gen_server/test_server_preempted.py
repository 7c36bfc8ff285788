"""A server that computes for long is interrupted like any other process, and nothing of its call is lost."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from beamish.gen_server import CallFailed, Continue, GenServer, call
from beamish.node import Runtime
from beamish.process import Process, send, spawn
from beamish.process import self as me
from beamish.term import atom


class Hog(GenServer):
    """Computes in a plain method, in an async one, and after a result."""

    def work(self, seconds: float) -> int:
        end, turns = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            turns += 1
        return turns

    @call
    def plainly(self, seconds: float) -> str:
        self.work(seconds)
        return "plain"

    @call
    async def slowly(self, seconds: float) -> str:
        self.work(seconds)
        await asyncio.sleep(0)
        self.work(seconds)
        return "async"

    def handle_cast(self, request: Any) -> Any:
        return Continue(request)

    def handle_continue(self, argument: Any) -> None:
        seconds, to = argument
        self.work(seconds)
        send(to, atom.done)


async def beside(work: Any) -> float:
    """The longest pause of a neighbour while something is awaited."""
    longest = 0.0
    running = True

    async def neighbour() -> None:
        nonlocal longest
        last = time.monotonic()
        while running:
            await asyncio.sleep(0.001)
            now = time.monotonic()
            longest, last = max(longest, now - last), now

    spawn(neighbour)
    await work
    running = False
    return longest


async def hogs() -> list[Any]:
    from beamish.process import receive

    server = await Hog.start_link()
    before = Process.info(server.pid, "preemptions")
    pauses = [await beside(server.plainly(0.3)), await beside(server.slowly(0.2))]
    GenServer.cast(server, (0.3, me()))
    pauses.append(await beside(receive(atom.done, timeout=5)))
    assert Process.info(server.pid, "preemptions") > before + 3
    answers = await asyncio.gather(*(server.plainly(0.02) for _ in range(5)))
    assert answers == ["plain"] * 5
    return pauses


async def killed() -> None:
    server = await Hog.start()
    waiting = asyncio.ensure_future(server.plainly(5.0))
    await asyncio.sleep(0.05)
    Process.exit(server.pid, atom.kill)
    with pytest.raises(CallFailed) as failure:
        await waiting
    assert failure.value.reason is atom.killed


def preempting(function: Any) -> Any:
    async def main() -> Any:
        runtime = Runtime()
        runtime.start_preempting(0.001)
        try:
            async with asyncio.timeout(30):
                return await runtime.run(function)
        finally:
            await runtime.stop()

    return asyncio.run(main())


def test_handlers_are_interrupted() -> None:
    pauses = preempting(hogs)
    assert max(pauses) < 0.15, pauses


def test_a_hog_is_killed_in_the_middle_of_a_call() -> None:
    start = time.monotonic()
    preempting(killed)
    assert time.monotonic() - start < 3
