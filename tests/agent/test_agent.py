"""Agents of this node."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from beamish.agent import Agent
from beamish.errors import AlreadyStarted, CallTimeout, StartError, StartTimeout
from beamish.gen_server import CallFailed, GenServer
from beamish.node import current_runtime
from beamish.process import Process, exit, monitor, receive, self, spawn_monitor, trap_exit, whereis
from beamish.supervisor import Supervisor
from beamish.term import atom
from beamish.testing import now, virtual


def same(value: Any) -> Any:
    return value


@virtual
async def test_the_verbs() -> None:
    counter = await Agent.start_link(lambda: 0)
    assert counter.pid in Process.info(self(), "links")
    assert await counter.get(same) == 0
    assert await counter.update(lambda count: count + 1) is None  # type: ignore[func-returns-value]
    assert await counter.get(lambda count, more: count + more, 10) == 11
    assert await counter.get_and_update(lambda count, by=1: (count, count + by), by=5) == 1
    assert counter.cast(lambda count: count * 2) is None  # type: ignore[func-returns-value]
    assert await counter.get(same) == 12
    assert await counter.stop() is None  # type: ignore[func-returns-value]
    assert not Process.alive(counter.pid)
    assert repr(counter) == f"<Agent {counter.pid}>"


@virtual
async def test_any_target() -> None:
    agent = await Agent.start_link(dict, [("a", 1)], name="map", b=2)
    assert whereis("map") == agent.pid
    for target in ("map", atom.map, agent.pid, agent, Agent.at("map"), ("map", "nonode@nohost")):
        assert await Agent.get(target, same) == {"a": 1, "b": 2}
        await Agent.update(target, lambda value: value)
        Agent.cast(target, same)
        assert await Agent.get_and_update(target, lambda value: (len(value), value)) == 2
    await Agent.stop("map")
    Agent.cast("map", same)
    with pytest.raises(CallFailed, match="noproc"):
        await Agent.get("map", same)


@virtual
async def test_functions_run_inside_one_after_the_other() -> None:
    agent = await Agent.start_link(list)
    assert await agent.get(lambda _: self()) == agent.pid

    async def slowly(value: list[int], number: int) -> list[int]:
        await Process.sleep(1)
        return [*value, number]

    for number in range(3):
        agent.cast(slowly, number)
    assert await agent.get(same) == [0, 1, 2]
    assert now() == 3

    async def first() -> str:
        await Process.sleep(1)
        return "first"

    assert await (await Agent.start_link(first)).get(same) == "first"


@virtual
async def test_any_value_is_a_value() -> None:
    from beamish.gen_server import IGNORE, NO_REPLY, Continue, NoReply, Reply, Stop, Timeout

    for value in (None, IGNORE, NO_REPLY, Continue(1), NoReply(timeout=1), Reply(1), Stop(1), Timeout(1), atom.stop):
        agent = await Agent.start_link(lambda: value)
        assert await agent.get(same) is value
        assert await agent.get_and_update(lambda old: (old, old)) is value
        await agent.update(same)
        agent.cast(same)
        assert await agent.get(same) is value
        await agent.stop()


@virtual
async def test_time_limits() -> None:
    agent = await Agent.start_link(lambda: 0)

    async def slow(value: int) -> int:
        await Process.sleep(6)
        return value

    with pytest.raises(CallTimeout):
        await agent.get(slow)
    assert now() == 5
    assert await agent.get(slow, timeout=None) == 0
    with pytest.raises(CallTimeout):
        await agent.update(slow, timeout=1)
    with pytest.raises(StartTimeout):
        await Agent.start(slow, 0, timeout=1)


@virtual
async def test_starting_badly(crashes: Any) -> None:
    with pytest.raises(StartError, match="Agent did not start") as raised:
        await Agent.start(lambda: 1 / 0)
    assert isinstance(raised.value.__cause__, ZeroDivisionError)
    with pytest.raises(StartError) as raised:
        await Agent.start(exit, atom.oops)
    assert raised.value.reason is atom.oops
    agent = await Agent.start(lambda: 0, name="taken")
    with pytest.raises(AlreadyStarted) as already:
        await Agent.start_link(lambda: 0, name="taken")
    assert already.value.pid == agent.pid
    with pytest.raises(TypeError, match="a function is needed, not 5"):
        await Agent.start_link(5)  # type: ignore[arg-type]
    assert crashes.texts == []


@virtual
async def test_a_function_that_fails_ends_the_agent(crashes: Any) -> None:
    agent = await Agent.start(lambda: 0, name="fragile")
    ref = monitor(agent.pid)
    with pytest.raises(CallFailed, match="ZeroDivisionError"):
        await agent.get(lambda value: 1 / value)
    assert (await receive(ref))[4][0].kind == "builtins.ZeroDivisionError"
    assert "fragile" in crashes.texts[0]
    agent = await Agent.start(lambda: 0)
    with pytest.raises(CallFailed) as raised:
        await agent.get_and_update(lambda value: value + 1)  # type: ignore[arg-type,return-value]
    assert raised.value.reason == (atom.bad_return_value, 1)
    agent = await Agent.start(lambda: 0)
    with pytest.raises(CallFailed) as raised:
        await agent.get(lambda _: exit(atom.oops))
    assert raised.value.reason is atom.oops


@virtual
async def test_requests_that_are_none(crashes: Any) -> None:
    for request in (atom.get, (atom.get, 5), (atom.get, (1, 2)), (atom.get, same, same), "get"):
        agent = await Agent.start(lambda: 0)
        with pytest.raises(CallFailed):
            await GenServer.call(agent, request)
    agent = await Agent.start(lambda: 0)
    ref = monitor(agent.pid)
    GenServer.cast(agent, (atom.get, same))
    await receive(ref)


@virtual
async def test_stopping() -> None:
    agent = await Agent.start(lambda: 0)
    ref = monitor(agent.pid)
    await agent.stop((atom.shutdown, 5), 1)
    assert (await receive(ref))[4] == (atom.shutdown, 5)
    with pytest.raises(CallFailed):
        await agent.stop()


@virtual
async def test_system_messages() -> None:
    agent = await Agent.start_link(lambda: {"a": 1}, name="seen")
    assert await GenServer.call("seen", atom.get_state, label=atom.system) == {"a": 1}
    await GenServer.call("seen", atom.suspend, label=atom.system)
    agent.cast(lambda value: {**value, "b": 2})
    assert await GenServer.call("seen", atom.get_state, label=atom.system) == {"a": 1}
    await GenServer.call("seen", atom.resume, label=atom.system)
    assert await agent.get(same) == {"a": 1, "b": 2}


@virtual
async def test_agents_as_children(crashes: Any) -> None:
    supervisor = await Supervisor.start_link([
        Agent.child_spec(lambda: 0, name="counter"), Agent.child_spec(list, "ab", id="list"), (Agent, dict),
    ])  # fmt: skip
    assert {child.id for child in await supervisor.which_children()} == {"counter", "list", atom.Agent}
    await Agent.update("counter", lambda count: count + 5)
    before = whereis("counter")
    with pytest.raises(CallFailed):
        await Agent.get("counter", lambda count: count / 0)
    await supervisor.which_children()
    assert whereis("counter") not in (None, before)
    assert await Agent.get("counter", same) == 0


@virtual
async def test_a_link_is_a_link() -> None:
    async def parent() -> None:
        agent = await Agent.start_link(lambda: 0)
        Process.exit(agent.pid, atom.kill)
        await receive()

    _, ref = spawn_monitor(parent)
    assert (await receive(ref))[4] is atom.killed
    trap_exit()
    agent = await Agent.start_link(lambda: 0)
    Process.exit(agent.pid, atom.oops)
    assert await receive() == (atom.EXIT, agent.pid, atom.oops)


@virtual
async def test_functions_pass_strict_messages() -> None:
    """A node that checks local messages as if they were sent abroad still takes local functions."""
    from beamish import etf
    from beamish.task import Task, TaskSupervisor

    runtime = current_runtime()
    runtime.strict_check, runtime.strict = etf.encode, True
    agent = await Agent.start_link(lambda: 1)
    assert await agent.get(lambda value: value + 1) == 2
    await TaskSupervisor.start_link(name="jobs")
    assert await (await TaskSupervisor.async_("jobs", lambda: 5)) == 5
    assert await Task.async_(lambda: print) is print
    assert [result.value async for result in Task.async_stream([print], same)] == [print]
    await TaskSupervisor.start_child("jobs", lambda: 5)
    runtime.strict = False


def test_names_are_typed() -> None:
    """`Agent[int]` is a type."""
    assert Agent[int].__origin__ is Agent  # type: ignore[attr-defined]
    assert "beamish.agent" in sys.modules


@virtual
async def test_from_outside_of_processes() -> None:
    """As a web handler does it: in an asyncio task, which has no mailbox."""
    agent = await Agent.start_link(lambda: 1)

    async def handler() -> int:
        await agent.update(lambda value: value + 1)
        agent.cast(lambda value: value + 1)
        return await agent.get(same)

    assert await asyncio.create_task(handler()) == 3
