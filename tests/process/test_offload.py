"""Work on other cores."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import pytest

from beamish.process import Process, monitor, receive, self, send, spawn
from beamish.process.offload import OffloadError, offload
from beamish.term import atom
from beamish.testing import run_on


def square(number: int) -> tuple[int, int]:
    return number * number, os.getpid()


def fails(word: str) -> None:
    raise KeyError(word)


def dies() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def rests(seconds: float) -> str:
    import time

    time.sleep(seconds)
    return "rested"


def test_work_runs_elsewhere_and_errors_come_back() -> None:
    async def main() -> list[Any]:
        results = await asyncio.gather(*(offload(square, number) for number in range(5)))
        assert [value for value, _ in results] == [0, 1, 4, 9, 16]
        assert os.getpid() not in {pid for _, pid in results}
        with pytest.raises(KeyError, match="word"):
            await offload(fails, "word")
        with pytest.raises(OffloadError, match="cannot be sent to another core"):
            await offload(lambda: None)
        with pytest.raises(TypeError):
            await offload(square)  # type: ignore[call-arg]
        return [await offload(rests, seconds=0.0)]

    assert run_on(asyncio.SelectorEventLoop, main) == ["rested"]


def test_a_worker_that_dies_is_replaced() -> None:
    async def main() -> int:
        with pytest.raises(OffloadError, match="dies died"):
            await offload(dies)
        return (await offload(square, 3))[0]

    assert run_on(asyncio.SelectorEventLoop, main) == 9


def test_a_caller_may_be_killed() -> None:
    async def caller(parent: Any) -> None:
        send(parent, "calling")
        await offload(rests, 0.3)
        send(parent, "never")

    async def main() -> Any:
        pid = spawn(caller, self())
        ref = monitor(pid)
        await receive(timeout=5)
        Process.exit(pid, atom.kill)
        return (await receive(ref, timeout=5))[4]

    assert run_on(asyncio.SelectorEventLoop, main) is atom.killed
