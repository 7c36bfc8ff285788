"""Chaos across nodes: links, monitors and aliases survive every race, and cuts leave nothing behind."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from beamish.process import receive
from beamish.process._signals import kill_process
from beamish.testing import MemoryCluster, run_cluster
from chaos import Chaos, check

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


async def quiet(cluster: MemoryCluster) -> None:
    """Wait until every chaotic process has ended and nothing is under way."""
    for _ in range(600):
        await asyncio.sleep(0.1)
        busy = [node for node in cluster.nodes.values() if node.ready_count or node.timers_by_ref]
        if not busy and not cluster.network.in_flight:
            return
    raise AssertionError("it never ends")


def _routes(cluster: MemoryCluster) -> list[Any]:
    return [route for node in cluster.nodes.values() for route in node.routes.values()]


async def mesh(seed: int, cuts: int) -> list[int]:
    chaos = Chaos(seed, stay=True)
    async with MemoryCluster("a", "b", "c", seed=seed) as cluster:
        for node in cluster.nodes.values():
            for _ in range(3):
                chaos.pids.append(node.spawn(receive))
            for _ in range(15):
                chaos.newborn(node.spawn(chaos.life))
        for _ in range(cuts):
            await asyncio.sleep(chaos.chance.random() / 3)
            one, two = chaos.chance.sample(["a", "b", "c"], 2)
            cluster.cut(one, two)
            await asyncio.sleep(chaos.chance.random() / 3)
            cluster.heal()
        await asyncio.sleep(2)
        await quiet(cluster)
        check(cluster.nodes.values())
        assert cuts or sum(len(route.links) + len(route.in_monitors) for route in _routes(cluster)) > 5
        for node in cluster.nodes.values():
            for pid in node.pids():
                block = node.process_of(pid)
                if block is not None:
                    kill_process(block)
        await quiet(cluster)
        for node in cluster.nodes.values():
            assert node.pids() == []
            assert node.names == node.aliases == {}
        for route in _routes(cluster):
            assert (route.links, route.out_monitors, route.in_monitors, route.requests) == ({}, {}, {}, {})
        return list(itertools.chain.from_iterable((n.spawned, n.messages) for n in cluster.nodes.values()))


@pytest.mark.parametrize("seed", range(12))
def test_without_cuts(seed: int) -> None:
    counts = run_cluster(mesh, seed, 0)
    assert sum(counts) > 500


@pytest.mark.parametrize("seed", range(20, 32))
def test_with_cuts(seed: int) -> None:
    run_cluster(mesh, seed, 6)


def test_it_can_be_replayed() -> None:
    runs: list[Any] = [run_cluster(mesh, 7, 4) for _ in range(2)]
    assert runs[0] == runs[1]
