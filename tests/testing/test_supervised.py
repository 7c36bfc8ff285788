"""Children that end with the test, and what is called after it."""

from __future__ import annotations

from typing import Any

import pytest

from beamish.errors import AlreadyStarted, NoProcess, StartError
from beamish.gen_server import GenServer, Stop, call, cast
from beamish.process import Process, receive, register, self, spawn, spawn_link, whereis
from beamish.supervisor import ChildSpec, Supervisor
from beamish.term import Pid, atom
from beamish.testing import (
    LinkedProcessFailed,
    MemoryCluster,
    advance,
    assert_down,
    clustered,
    now,
    on_exit,
    run_virtual,
    settle,
    start_link_supervised,
    start_supervised,
    stop_supervised,
    virtual,
)

ended: list[Any] = []


class Counter(GenServer):
    def init(self, start: int = 0, label: str = "") -> Any:
        if start < 0:
            return Stop((atom.bad_start, start))
        self.count = start
        self.label = label or start
        Process.flag("trap_exit", True)
        return None

    @call
    def increment(self, by: int = 1) -> int:
        self.count += by
        return self.count

    @cast
    def crash(self) -> None:
        raise ValueError("boom")

    def terminate(self, reason: Any) -> None:
        ended.append((self.label, reason))


@pytest.fixture(autouse=True)
def _empty() -> None:
    ended.clear()


@virtual
async def test_it_gives_a_handle() -> None:
    counter = await start_supervised((Counter, 10), id="a")
    assert await counter.increment() == 11
    named = await start_supervised(Counter.child_spec(20, name="counter"))
    assert await named.increment() == 21
    assert await Counter.at("counter").increment() == 22


@virtual
async def test_a_function_gives_its_pid() -> None:
    async def start() -> Pid:
        return spawn_link(receive)

    pid = await start_supervised(ChildSpec("idle", start))
    assert isinstance(pid, Pid)
    assert Process.alive(pid)


def test_children_stop_after_the_test_in_reverse_order_and_before_the_callbacks() -> None:
    async def test() -> str:
        on_exit(lambda: ended.append("first callback"))

        async def second() -> None:
            await Process.sleep(1)
            ended.append(("second callback", now(), len(Process.list())))

        on_exit(second)
        for number in (1, 2, 3):
            await start_supervised((Counter, number), id=number)
        await Counter.start_link(0, "linked")
        return "result"

    assert run_virtual(test) == "result"
    shutdown = atom.shutdown
    children = [("linked", shutdown), (3, shutdown), (2, shutdown), (1, shutdown)]
    assert ended == [*children, ("second callback", 1.0, 1), "first callback"]


def test_they_stop_too_when_the_test_fails() -> None:
    async def test() -> None:
        await start_supervised((Counter, 1))
        on_exit(lambda: ended.append("called"))
        raise KeyError("test")

    with pytest.raises(KeyError, match="test"):
        run_virtual(test)
    assert ended == [(1, atom.shutdown), "called"]


def test_they_stop_too_when_the_test_is_killed_or_hangs() -> None:
    async def killed() -> None:
        await start_supervised((Counter, 1))
        Process.exit(self(), atom.kill)
        await receive()

    async def hangs() -> None:
        await start_supervised((Counter, 2))
        await receive()

    for test in (killed, hangs):
        with pytest.raises(Exception, match=r"killed|still running"):
            run_virtual(test)
    assert ended == [(1, atom.shutdown), (2, atom.shutdown)]


@virtual
async def test_a_child_that_does_not_start_says_why() -> None:
    with pytest.raises(StartError, match="bad_start") as failure:
        await start_supervised((Counter, -5))
    assert failure.value.reason == (atom.bad_start, -5)
    await start_supervised(Counter)
    with pytest.raises(AlreadyStarted):
        await start_supervised(Counter)


@virtual
async def test_a_crashed_child_is_started_again() -> None:
    counter = await start_supervised(Counter.child_spec(name="counter"))
    first = counter.pid
    await counter.increment()
    for _ in range(10):
        Counter.at("counter").crash()
        await settle()
    assert await Counter.at("counter").increment() == 1
    assert whereis("counter") != first


@virtual
async def test_stop_supervised() -> None:
    counter = await start_supervised((Counter, 1))
    other = await start_supervised((Counter, 2), id="other", restart="temporary")
    await start_supervised((Counter, 3), id=3)
    with pytest.raises(NoProcess, match=r"no child 'nobody' in this test; its children: 3, other, Counter"):
        await stop_supervised("nobody")
    await stop_supervised(Counter)
    await stop_supervised("other")
    await stop_supervised(3)
    assert not Process.alive(counter.pid)
    assert not Process.alive(other.pid)
    assert ended == [(1, atom.shutdown), (2, atom.shutdown), (3, atom.shutdown)]
    again = await start_link_supervised((Counter, 7))
    assert await again.increment() == 8
    await stop_supervised(again)


def test_a_linked_child_fails_the_test() -> None:
    async def test() -> None:
        counter = await start_link_supervised(Counter.child_spec(name="counter"))
        counter.crash()
        await receive()

    message = r"counter <.*> \[GenServer Counter; last message: cast .*crash.*ValueError: boom"
    with pytest.raises(LinkedProcessFailed, match=message) as failure:
        run_virtual(test)
    assert isinstance(failure.value.__cause__, ValueError)
    assert ended[0][0] == 0


def test_an_unlinked_child_does_not() -> None:
    async def test() -> None:
        counter = await start_supervised((Counter, 4), restart="temporary")
        counter.crash()
        await assert_down(counter.pid, ValueError)

    run_virtual(test)


def test_a_callback_that_fails_fails_the_test() -> None:
    def fails() -> None:
        raise KeyError("clean-up")

    async def passes() -> None:
        on_exit(lambda: ended.append("still called"))
        on_exit(fails)

    with pytest.raises(KeyError, match="clean-up"):
        run_virtual(passes)
    assert ended == ["still called"]

    async def twice() -> None:
        on_exit(fails)
        on_exit(fails)

    with pytest.raises(ExceptionGroup, match="clean-up of the test failed") as group:
        run_virtual(twice)
    assert len(group.value.exceptions) == 2

    async def both() -> None:
        on_exit(fails)
        raise ValueError("test")

    with pytest.raises(ValueError, match="test") as failure:
        run_virtual(both)
    assert failure.value.__notes__ == ["Moreover, the clean-up failed: KeyError: 'clean-up'"]


def test_a_child_that_hangs_in_terminate_is_killed_within_its_time() -> None:
    class Stubborn(Counter):
        async def terminate(self, reason: Any) -> None:
            ended.append("going")
            await Process.sleep(3600)

    async def test() -> None:
        await start_supervised(Stubborn.child_spec(shutdown=2.0))

        def late() -> None:
            ended.append(now())

        on_exit(late)

    run_virtual(test)
    assert ended == ["going", 2.0]


@virtual
async def test_a_supervisor_is_a_child_too() -> None:
    children = [Counter.child_spec(1, name="one"), Counter.child_spec(2, name="two", id="two")]
    tree = await start_supervised(Supervisor.child_spec(children, strategy="one_for_all"))
    one = whereis("one")
    Counter.at("two").crash()
    await settle()
    assert whereis("one") not in (None, one)
    assert len(await tree.which_children()) == 2


@clustered("a", "b", services=None)
async def test_on_a_cluster_children_end_with_the_cluster(cluster: MemoryCluster) -> None:
    async def start(number: int) -> None:
        await start_supervised((Counter, number))
        on_exit(lambda: ended.append(str(self().node)))

    await cluster.run("a", start, 1)
    await cluster.run("b", start, 2)
    ended.append("test over")


def test_the_clean_up_of_a_cluster_is_awaited() -> None:
    test_on_a_cluster_children_end_with_the_cluster()
    shutdown = atom.shutdown
    assert ended == ["test over", (1, shutdown), "a@memory", (2, shutdown), "b@memory"]


@virtual
async def test_nothing_is_left_of_the_test_before() -> None:
    assert whereis("counter") is None
    register("counter", spawn(receive))
    await advance(1)
