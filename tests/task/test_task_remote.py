"""Tasks and agents on other nodes of ours: functions by name, policies, lost connections."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from beamish.agent import Agent
from beamish.errors import NodeError
from beamish.gen_server import CallFailed
from beamish.node import node
from beamish.process import Process, monitor, receive, self, spawn, trap_exit
from beamish.rpc import start_services
from beamish.task import Exited, Ok, TaskFailed, TaskSupervisor
from beamish.term import Pid, atom
from beamish.testing import MemoryCluster, clustered, refute_receive

JOBS = ("jobs", "b@memory")


def where(*args: Any) -> Any:
    return (node(), *args)


async def slow(seconds: float, *args: Any) -> Any:
    await Process.sleep(seconds)
    return (node(), *args)


def bad(word: str) -> None:
    raise ValueError(word)


def add(value: int, number: int) -> int:
    return value + number


def identity(value: Any) -> Any:
    return value


def swap(value: Any, new: Any) -> Any:
    return value, new


def _private() -> None:
    """Not for other nodes."""


async def keep(function: Any, *args: Any, **kwargs: Any) -> None:
    """Start something and live on."""
    await function(*args, **kwargs)
    await receive()


async def serving(cluster: MemoryCluster, **options: Any) -> None:
    cluster.spawn("b", keep, functools.partial(TaskSupervisor.start_link, name="jobs", **options))
    await cluster.run("b", Process.sleep, 0.01)


@clustered("a", "b")
async def test_a_task_there(cluster: MemoryCluster) -> None:
    await serving(cluster)

    async def main() -> None:
        task = await TaskSupervisor.async_(JOBS, where, 1, "x")
        assert task.pid is not None
        assert task.pid.node is atom("b@memory")
        assert task.pid in Process.info(self(), "links")
        assert await task == (atom("b@memory"), 1, "x")
        assert await (await TaskSupervisor.async_nolink(JOBS, functools.partial(slow, 1), "y")) == (atom("b@memory"), "y")
        assert await (await TaskSupervisor.async_(JOBS, ("math", "sqrt"), 4.0)) == 2.0
        assert await TaskSupervisor.children(JOBS) == []
        await TaskSupervisor.start_child(JOBS, ("erlang", "send"), self(), "from there")
        assert await receive(timeout=1) == "from there"
        results = [result async for result in TaskSupervisor.async_stream(JOBS, range(5), slow_and, 10, max_concurrency=2)]
        assert results == [Ok((atom("b@memory"), number, 10)) for number in range(5)]
        await Process.sleep(1)
        assert Process.info(self(), "messages") == []
        assert Process.info(self(), "monitors") == []

    await cluster.run("a", main)


async def slow_and(item: int, more: int) -> Any:
    await Process.sleep((7 * item) % 5)
    return (node(), item, more)


@clustered("a", "b")
async def test_only_functions_with_a_name(cluster: MemoryCluster) -> None:
    await serving(cluster)

    async def main() -> None:
        with pytest.raises(NodeError, match="code never travels"):
            await TaskSupervisor.async_(JOBS, lambda: 1)
        with pytest.raises(NodeError, match="code never travels"):
            await TaskSupervisor.start_child(JOBS, lambda: 1)
        with pytest.raises(TypeError, match="no keyword arguments"):
            await TaskSupervisor.async_(JOBS, where, word=1)
        with pytest.raises(NodeError, match="code never travels"):
            async for _ in TaskSupervisor.async_stream(JOBS, [1], lambda item: item):
                pass
        await Process.sleep(1)
        assert await TaskSupervisor.children(JOBS) == []
        assert Process.info(self(), "messages") == []
        assert [pid for pid in Process.info(self(), "links") if pid.node is not node()] == []

    await cluster.run("a", main)


@clustered("a", "b")
async def test_a_crash_there(cluster: MemoryCluster, crashes: Any) -> None:
    await serving(cluster)

    async def main() -> None:
        task = await TaskSupervisor.async_nolink(JOBS, bad, "cheese")
        with pytest.raises(TaskFailed, match="ValueError: cheese") as raised:
            await task
        assert raised.value.__cause__ is None
        assert raised.value.reason[0].kind == "builtins.ValueError"
        trap_exit()
        task = await TaskSupervisor.async_(JOBS, bad, "wine")
        outcome = await task.yield_()
        assert isinstance(outcome, Exited)
        assert (await receive(timeout=1))[:2] == (atom.EXIT, task.pid)
        outcomes = [result async for result in TaskSupervisor.async_stream_nolink(JOBS, ["a", "b"], bad)]
        assert [result.input for result in outcomes if isinstance(result, Exited)] == ["a", "b"]

    await cluster.run("a", main)
    assert "task test_task_remote.bad of <a@memory" in crashes.texts[0]


async def _what_they_export(runtime: Any) -> None:
    await start_services(runtime, ["test_task_remote:where", "test_task_remote:add"])


@clustered("a", "b", services=_what_they_export)
async def test_what_is_not_exported_is_refused(cluster: MemoryCluster, crashes: Any) -> None:
    await serving(cluster)
    cluster.spawn("b", keep, functools.partial(Agent.start, lambda: 5, name="counter"))

    async def main() -> None:
        assert await (await TaskSupervisor.async_(JOBS, where, 1)) == (atom("b@memory"), 1)
        for function, args in ((bad, ("x",)), (_private, ()), (("os", "getcwd"), ()), (("nothing", "there"), ())):
            task = await TaskSupervisor.async_nolink(JOBS, function, *args)  # type: ignore[call-overload]
            outcome = await task.yield_()
            match outcome:
                case Exited((atom.undef | (atom.notsup, _), [(_, _, given, []), *_])):
                    assert given == list(args)
                case _:
                    pytest.fail(f"{function} gave {outcome}")
        assert "exports" in str(outcome)
        counter = ("counter", "b@memory")
        await Agent.update(counter, add, 2)
        with pytest.raises(CallFailed, match="exports"):
            await Agent.get(counter, identity)

    await cluster.run("a", main)


@pytest.mark.parametrize("linked", [True, False])
def test_a_lost_connection(linked: bool) -> None:
    @clustered("a", "b")
    async def run(cluster: MemoryCluster) -> None:
        await serving(cluster)

        async def main() -> Any:
            trap_exit()
            start = TaskSupervisor.async_ if linked else TaskSupervisor.async_nolink
            tasks = [await start(JOBS, slow, 1000) for _ in range(5)]
            await Process.sleep(1)  # what is under way would be lost
            cluster.cut("a", "b")
            for wait in (tasks[0].await_, tasks[1].yield_, tasks[2].shutdown, lambda: tasks[3].shutdown("brutal_kill")):
                with pytest.raises(TaskFailed, match="nodedown") as raised:
                    await wait()
                assert raised.value.reason == (atom.nodedown, atom("b@memory"))
                assert raised.value.__cause__ is None
            await Process.sleep(60)
            with pytest.raises(TaskFailed, match="nodedown"):
                await tasks[4].ignore()
            return [task.pid for task in tasks]

        pids = await cluster.run("a", main)

        async def alive() -> list[bool]:
            return [Process.alive(pid) for pid in pids]

        # A link ends at both ends; a task without one goes on, though nobody can ask it any more.
        assert await cluster.run("b", alive) == [not linked] * 5

    run()


@clustered("a", "b")
async def test_streams_see_lost_connections(cluster: MemoryCluster) -> None:
    await serving(cluster)

    async def main() -> None:
        stream = TaskSupervisor.async_stream_nolink(JOBS, [1, 1000, 1000, 1000], slow, max_concurrency=2, timeout=None)
        assert await anext(stream) == Ok((atom("b@memory"),))
        cluster.cut("a", "b")
        with pytest.raises((CallFailed, NodeError)):
            async for result in stream:
                assert result == Exited(atom.noconnection, 1000)
        await Process.sleep(1)
        assert Process.info(self(), "messages") == []

    await cluster.run("a", main)


@pytest.mark.parametrize("linked", [True, False])
def test_a_killed_readers_tasks_end_there(linked: bool) -> None:
    @clustered("a", "b")
    async def run(cluster: MemoryCluster) -> None:
        await serving(cluster)

        async def reader() -> None:
            start = TaskSupervisor.async_stream if linked else TaskSupervisor.async_stream_nolink
            async for _ in start(JOBS, [0, 1000, 1000, 1000], slow, max_concurrency=3, timeout=None):
                pass

        async def main() -> None:
            pid = spawn(reader)
            await Process.sleep(10)
            assert len(await TaskSupervisor.children(JOBS)) == 3
            Process.exit(pid, atom.kill)
            await Process.sleep(1)
            assert await TaskSupervisor.children(JOBS) == []

        await cluster.run("a", main)

    run()


@clustered("a", "b")
async def test_a_late_reply_from_there_never_arrives(cluster: MemoryCluster) -> None:
    await serving(cluster)

    async def main() -> None:
        task = await TaskSupervisor.async_nolink(JOBS, slow, 3)
        with pytest.raises(TimeoutError):
            await task.await_(1)
        await refute_receive(timeout=10)

    await cluster.run("a", main)


@clustered("a", "b")
async def test_nobody_there(cluster: MemoryCluster) -> None:
    async def main() -> None:
        for target in (JOBS, ("jobs", "c@memory")):
            with pytest.raises(CallFailed):
                await TaskSupervisor.async_(target, where)

    await cluster.run("a", main)


# ---- agents


@clustered("a", "b")
async def test_an_agent_there(cluster: MemoryCluster, crashes: Any) -> None:
    cluster.spawn("b", keep, functools.partial(Agent.start, lambda: 5, name="counter"))

    async def main() -> None:
        counter = ("counter", "b@memory")
        agent = Agent.at(counter)
        await agent.update(add, 2)
        assert await Agent.get(counter, identity) == 7
        assert await agent.get_and_update(swap, 8) == 7
        agent.cast(add, 1)
        assert await agent.get(functools.partial(add), 1) == 10
        assert await agent.get(("operator", "neg")) == -9
        with pytest.raises(NodeError, match="code never travels"):
            await agent.get(lambda value: value)
        with pytest.raises(TypeError, match="first arguments"):
            await agent.get(functools.partial(add, 1))
        with pytest.raises(TypeError, match="keyword"):
            await agent.get(add, number=1)
        with pytest.raises(CallFailed, match="undef"):
            await agent.get(("operator", "nothing"))
        with pytest.raises(CallFailed, match="noproc"):
            await agent.stop()

    await cluster.run("a", main)


@clustered("a", "b")
async def test_an_agent_under_a_global_name(cluster: MemoryCluster) -> None:
    cluster.spawn("b", keep, functools.partial(Agent.start, lambda: 5, name=("global", "counter")))
    await cluster.run("b", Process.sleep, 1)

    async def main() -> None:
        assert await Agent.get(("global", "counter"), identity) == 5
        await Agent.stop(("global", "counter"))
        with pytest.raises(CallFailed):
            await Agent.get(("global", "counter"), identity)

    await cluster.run("a", main)


@clustered("a", "b")
async def test_an_agent_started_from_afar(cluster: MemoryCluster) -> None:
    """The pid is enough."""

    async def start() -> Pid:
        agent = await Agent.start(lambda: {"a": 1})
        return agent.pid

    pid = await cluster.run("b", start)

    async def main() -> None:
        ref = monitor(pid)
        assert await Agent.get(pid, identity) == {"a": 1}
        await Agent.stop(pid, atom.shutdown)
        assert (await receive(ref))[4] is atom.shutdown

    await cluster.run("a", main)
