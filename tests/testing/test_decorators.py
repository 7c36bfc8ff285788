"""@virtual and @clustered under pytest, unittest and hypothesis."""

from __future__ import annotations

import asyncio
import inspect
import unittest
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beamish.names import Global
from beamish.node import Node
from beamish.node.runtime import ProcessFailed
from beamish.process import exit, receive, register, self, send, spawn, spawn_link
from beamish.rpc import call as rpc_call
from beamish.term import atom
from beamish.testing import LinkedProcessFailed, MemoryCluster, assert_receive, clustered, eventually, now, run_cluster, virtual

RAN: list[Any] = []


@virtual
async def test_it_runs_as_a_process() -> None:
    send(self(), "hello")
    assert await receive() == "hello"


@virtual
async def test_sleep_costs_no_time() -> None:
    await asyncio.sleep(3000)
    assert now() == 3000


@virtual
async def test_fixtures(tmp_path: Path) -> None:
    assert tmp_path.name.startswith("test_fixtures")


@pytest.mark.parametrize("number", [1, 2])
@virtual
async def test_parametrize_above(number: int, tmp_path: Path) -> None:
    assert number in (1, 2)


@virtual
@pytest.mark.parametrize("number", [1, 2])
async def test_parametrize_below(number: int) -> None:
    assert number in (1, 2)


@given(st.lists(st.integers()))
@settings(max_examples=10, deadline=None)
@virtual
async def test_given_above(numbers: list[int]) -> None:
    for number in numbers:
        send(self(), number)
    assert [await receive(timeout=0) for _ in numbers] == numbers


@virtual
@settings(max_examples=10, deadline=None)
@given(numbers=st.lists(st.integers()))
async def test_given_below(tmp_path_factory: Any, numbers: list[int]) -> None:
    RAN.append(numbers)
    send(self(), tuple(numbers))
    assert await receive(timeout=0) == tuple(numbers)


def test_given_below_really_ran() -> None:
    assert len(RAN) > 5


@virtual(node="barry@memory", limit=50)
async def test_options() -> None:
    assert self().node is atom("barry@memory")


class InAClass:
    @virtual
    async def method(self, number: int) -> None:
        assert isinstance(self, InAClass)
        RAN.append(number)


def test_methods_keep_self_and_the_signature() -> None:
    assert list(inspect.signature(InAClass.method).parameters) == ["self", "number"]
    assert InAClass.method.__name__ == "method"
    InAClass().method(77)
    assert RAN[-1] == 77


class WithUnittest(unittest.TestCase):
    def setUp(self) -> None:
        self.word = "hello"

    @virtual
    async def test_method(self) -> None:
        send(spawn(receive), self.word)
        assert self.word == "hello"


def test_unittest_sees_failures() -> None:
    class Fails(unittest.TestCase):
        @virtual
        async def test_it(self) -> None:
            self.fail("seen")

    result = unittest.TestResult()
    Fails("test_it").run(result)
    assert "seen" in result.failures[0][1]


def test_what_fails_fails() -> None:
    @virtual
    async def fails() -> None:
        assert 1 == 2

    @virtual(limit=10)
    async def hangs() -> None:
        await asyncio.sleep(11)

    with pytest.raises(AssertionError):
        fails()
    with pytest.raises(TimeoutError, match=r"still running after 10 s.*\n.*at .*test_decorators.py:\d+ in hangs"):
        hangs()


def test_only_async_functions() -> None:
    with pytest.raises(TypeError, match="plain is none"):

        @virtual
        def plain() -> None: ...


# ---- clusters


@clustered("a", "b")
async def test_a_cluster_is_connected_and_has_the_services(cluster: MemoryCluster) -> None:
    async def on_a() -> None:
        assert Node.list() == [atom("b@memory")]
        assert await rpc_call("b@memory", "math", "sqrt", [4.0]) == 2.0
        assert await Global.register_name("me", self())

    async def on_b() -> None:
        assert Global.whereis_name("me") is not None or await eventually(lambda: Global.whereis_name("me"))

    await cluster.run("a", on_a)
    assert cluster["a"].process_count >= 1


@clustered("a", "b", connected=False, services=None)
async def test_a_cluster_without(cluster: MemoryCluster, tmp_path: Path) -> None:
    assert tmp_path.name
    assert cluster["a"].peers == {}
    assert cluster["a"].process_count == 0


@pytest.mark.parametrize("number", [3])
@clustered("a", "b", seeds=[5, 6])
async def test_seeds_are_runs(number: int, cluster: MemoryCluster) -> None:
    RAN.append(("seed", cluster.network.seed))


def test_all_seeds_ran() -> None:
    assert [entry for entry in RAN if isinstance(entry, tuple) and entry[0] == "seed"] == [("seed", 5), ("seed", 6)]


@given(st.integers(0, 3))
@settings(max_examples=4, deadline=None)
@clustered("a", "b", services=None)
async def test_given_above_a_cluster(number: int, cluster: MemoryCluster) -> None:
    assert 0 <= number <= 3


@given(st.integers(0, 3))
@settings(max_examples=4, deadline=None)
@clustered("a", services=None)
async def test_the_cluster_may_come_first(cluster: MemoryCluster, number: int) -> None:
    assert 0 <= number <= 3
    assert list(cluster.nodes) == [atom("a@memory")]


def failing_at(bad: int) -> Any:
    @clustered("a", "b", seeds=10, services=None)
    async def fails(cluster: MemoryCluster) -> None:
        RAN.append(("at", cluster.network.seed))
        assert cluster.network.seed != bad

    return fails


def test_a_failure_names_its_seed_which_runs_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssertionError) as failure:
        failing_at(3)()
    assert failure.value.__notes__ == [
        "The cluster a, b ran with seed 3",
        "This was seed 3; to run it alone: BEAMISH_SEED=3",
    ]
    monkeypatch.setenv("BEAMISH_SEED", "3")
    RAN.clear()
    with pytest.raises(AssertionError):
        failing_at(3)()
    assert RAN == [("at", 3)]
    monkeypatch.setenv("BEAMISH_SEED", "x")
    with pytest.raises(ValueError, match="a seed is a whole number"):
        failing_at(3)()


def test_mistakes_are_named() -> None:
    with pytest.raises(TypeError, match="takes the names"):
        clustered()
    with pytest.raises(TypeError, match="argument `cluster`"):

        @clustered("a")
        async def without() -> None: ...

    with pytest.raises(TypeError, match="write @given above @clustered"):

        @clustered("a")
        @given(number=st.integers())
        async def upside_down(cluster: MemoryCluster, number: int) -> None: ...


# ---- trouble in the network


async def when(cluster: MemoryCluster, source: str, target: str) -> float:
    """Seconds that one message takes."""

    async def waits() -> float:
        await assert_receive("now", timeout=1000)
        return now()

    task = asyncio.ensure_future(cluster.run(target, lambda: (register("it", self()), waits())[1]))
    await asyncio.sleep(0)
    start = now()
    cluster.spawn(source, lambda: send(("it", f"{target}@memory"), "now"))
    return float(await task) - start


@clustered("a", "b", "c", services=None)
async def test_delay(cluster: MemoryCluster) -> None:
    assert await when(cluster, "a", "b") < 0.021
    cluster.delay(2)
    assert await when(cluster, "a", "b") == pytest.approx(2)
    cluster.delay((5, 6), between=("b", "a"))
    assert 5 <= await when(cluster, "a", "b") <= 6
    assert 5 <= await when(cluster, "b", "a") <= 6
    assert await when(cluster, "a", "c") == pytest.approx(2)
    cluster.delay(None, between=("a", "b"))
    assert await when(cluster, "a", "b") == pytest.approx(2)
    cluster.delay(None)
    assert await when(cluster, "a", "b") < 0.021
    for bad in (-1, (3, 2)):
        with pytest.raises(ValueError, match="a delay is seconds"):
            cluster.delay(bad)


@clustered("a", "b", "c", seeds=3)
async def test_partition_and_heal(cluster: MemoryCluster) -> None:
    def seen() -> dict[str, int]:
        return {str(name)[0]: len(node.peers) for name, node in cluster.nodes.items()}

    cluster.partition(["a"], ["b", "c"])
    await eventually(lambda: seen() == {"a": 0, "b": 1, "c": 1}, timeout=5)
    cluster.heal()
    await cluster.connect_all()
    assert seen() == {"a": 2, "b": 2, "c": 2}


def test_run_cluster_gives_the_result() -> None:
    async def test() -> int:
        async with MemoryCluster("a") as cluster:
            return int(await cluster.run("a", lambda: 7))

    assert run_cluster(test) == 7


@clustered("a", "b", services=None)
async def test_a_linked_crash_on_another_node(cluster: MemoryCluster) -> None:
    async def crashes() -> None:
        raise ValueError("boom")

    async def links() -> None:
        spawn_link(crashes)
        await receive()

    with pytest.raises(LinkedProcessFailed, match="started as .*crashes.*boom") as failure:
        await cluster.run("b", links)
    assert isinstance(failure.value.__cause__, ValueError)
    with pytest.raises(ProcessFailed, match="because"):
        await cluster.run("b", exit, atom.because)


def test_a_cluster_that_hangs_shows_who_waits_where() -> None:
    @clustered("a", "b", services=None, limit=30)
    async def hangs(cluster: MemoryCluster) -> None:
        cluster.spawn("b", receive, name="waits_on_b")
        await cluster.run("a", receive)

    shown = r"(?s)hangs was still running after 30 s.*a@memory:\n  <.*is waiting.*b@memory:\n  waits_on_b <"
    with pytest.raises(TimeoutError, match=shown):
        hangs()
