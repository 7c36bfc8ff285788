"""Processes that do anything to one another; afterwards every table must agree with every other."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from beamish.node.runtime import current_runtime
from beamish.process import Process, receive, self, spawn
from beamish.term import atom
from beamish.testing import VirtualClockLoop
from chaos import Chaos, check
from loops import on_real_loops, run_on, virtual


async def run_chaos(seed: int) -> None:
    runtime = current_runtime()
    chaos = Chaos(seed)
    chaos.pids.append(spawn(receive))
    for _ in range(40):
        chaos.newborn(spawn(chaos.life))
    for _ in range(40):
        await asyncio.sleep(0.005)
        check([runtime])
    for pid in runtime.pids():
        if pid != self():
            Process.exit(pid, atom.kill)
    await asyncio.sleep(0.02)
    check([runtime])
    assert runtime.pids() == [self()]
    assert runtime.names == {}
    assert runtime.aliases == {}
    assert runtime.ready_count == 0


PYTHON_COMPLAINS = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@PYTHON_COMPLAINS
@pytest.mark.parametrize("seed", range(25))
def test_all_tables_agree_whatever_happens(seed: int, crashes: Any) -> None:
    @virtual
    async def test() -> None:
        await run_chaos(seed)

    test()


@PYTHON_COMPLAINS
@on_real_loops
async def test_in_real_time_too(crashes: Any) -> None:
    await run_chaos(99)


def test_chaos_on_the_virtual_clock_can_be_replayed(crashes: Any) -> None:
    def once() -> tuple[Any, ...]:
        result: list[Any] = []

        async def main() -> None:
            await run_chaos(5)
            runtime = current_runtime()
            result.append((runtime.spawned, runtime.exited, runtime.messages, runtime.step_number))

        run_on(VirtualClockLoop, main)
        return tuple(result)

    first = once()
    assert first == once()
    assert first[0][0] > 40
