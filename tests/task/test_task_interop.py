"""Tasks and agents between us and real Elixir nodes, both ways: the messages are the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from beam import COOKIE, BeamError, ElixirNode, RealEpmd, eventually, unique_name
from beamish.agent import Agent
from beamish.boot import start_node
from beamish.gen_server import CallFailed
from beamish.node import Node, Runtime
from beamish.process import Process, receive, self, trap_exit
from beamish.supervisor import Supervisor
from beamish.task import Exited, MaxChildren, Ok, TaskFailed, TaskSupervisor, TaskTimeout
from beamish.term import atom

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]
Body = Callable[[Runtime], Awaitable[None]]
EXPORTS = [f"test_task_interop:{name}" for name in ("double", "nap", "fail", "add", "pair")]


def double(number: int) -> int:
    return 2 * number


async def nap(seconds: float, value: Any = None) -> Any:
    await Process.sleep(seconds)
    return value


def fail(word: str) -> None:
    raise ValueError(word)


def add(value: Any, number: Any) -> Any:
    return value + number


def pair(value: Any, new: Any) -> Any:
    return value, new


@pytest.fixture
def beside(real_epmd: RealEpmd, elixir_node: ElixirNode) -> Callable[[Body], None]:
    """Runs a coroutine function with a node of ours, connected to the Elixir node, outside of any process."""

    def run(body: Body) -> None:
        async def session() -> None:
            runtime = await start_node(unique_name("py"), cookie=COOKIE, hidden=True, epmd_port=real_epmd.port, exports=EXPORTS)
            try:
                async with asyncio.timeout(60):
                    await runtime.run(Node.connect, elixir_node.name)
                    await body(runtime)
            finally:
                await runtime.stop()

        asyncio.run(session())

    return run


async def serve(runtime: Runtime) -> None:
    """Start a task supervisor and an agent on our node."""
    up = asyncio.Event()

    async def body() -> None:
        await Supervisor.start_link([
            TaskSupervisor.child_spec(name="jobs", max_children=10), Agent.child_spec(lambda: 5, name="counter"),
        ])  # fmt: skip
        up.set()
        await receive(atom.never)

    runtime.spawn(body)
    await up.wait()


# ---- Elixir uses ours


def test_elixir_starts_tasks_here(beside: Any, elixir_node: ElixirNode) -> None:
    async def body(runtime: Runtime) -> None:
        await serve(runtime)
        jobs = f'{{:jobs, :"{runtime.node}"}}'
        us, module = f':"{runtime.node}"', ":test_task_interop"
        for expression, value in {
            f"Task.Supervisor.async({jobs}, {module}, :double, [21]) |> Task.await()": 42,
            f"Task.Supervisor.async_nolink({jobs}, {module}, :double, [21]) |> Task.yield()": (atom.ok, 42),
            f"Task.Supervisor.async_stream({jobs}, 1..5, {module}, :double, [], max_concurrency: 2) |> Enum.to_list()":
                [(atom.ok, 2 * number) for number in range(1, 6)],
            f"Task.Supervisor.async_nolink({jobs}, {module}, :nap, [60]) |> Task.shutdown(:brutal_kill)": None,
            f"Task.Supervisor.async_nolink({jobs}, {module}, :nap, [60]) |> Task.shutdown()": None,
            f"t = Task.Supervisor.async_nolink({jobs}, {module}, :nap, [60]); [Task.yield(t, 50), Task.ignore(t)]": [None, None],
            f"{{:ok, pid}} = Task.Supervisor.start_child({jobs}, {module}, :double, [1]); node(pid) == {us}": True,
            f"{{:ok, pid}} = Task.Supervisor.start_child({jobs}, {module}, :nap, [60]);"
            f" pid in Task.Supervisor.children({jobs})": True,
            f"for p <- Task.Supervisor.children({jobs}), do: Task.Supervisor.terminate_child({jobs}, p)": [atom.ok, atom.ok],
            f"Task.Supervisor.children({jobs})": [],
            f"Task.Supervisor.async_nolink({jobs}, :erlang, :apply, [&:test_task_interop.double/1, [4]]) |> Task.await()": 8,
            f"Task.Supervisor.async_nolink({jobs}, :os, :getcwd, []) |> Task.yield() |> elem(0)": atom.exit,
        }.items():  # fmt: skip
            assert await elixir_node.aeval(expression) == value, expression
        said = await elixir_node.atext(
            f'{{:exit, reason}} = Task.Supervisor.async_nolink({jobs}, {module}, :fail, ["cheese"]) |> Task.yield();'
            " Exception.format_exit(reason)"
        )
        assert "ValueError: cheese" in said
        assert "test_task_interop" in said
        said = await elixir_node.atext(
            f"{{:exit, reason}} = Task.Supervisor.async_nolink({jobs}, :secret, :run, []) |> Task.yield(); inspect(reason)"
        )
        assert "exports" in said
        left = (
            "{:messages, m} = Process.info(self(), :messages);"
            " for _ <- m, do: receive(do: ({:EXIT, _, :normal} -> :ok; other -> other))"
        )
        assert set(await elixir_node.aeval(left)) == {atom.ok}
        with pytest.raises(BeamError, match="maximum number of tasks"):
            await elixir_node.aeval(f"for _ <- 1..11, do: Task.Supervisor.async_nolink({jobs}, {module}, :nap, [60])")
        await elixir_node.aeval(f"for p <- Task.Supervisor.children({jobs}), do: Task.Supervisor.terminate_child({jobs}, p)")
        await elixir_node.aeval(left)

    beside(body)


def test_a_closure_of_elixirs_says_that_it_cannot_run(beside: Any, elixir_node: ElixirNode) -> None:
    async def body(runtime: Runtime) -> None:
        await serve(runtime)
        said = await elixir_node.atext(
            f'Task.Supervisor.async_nolink({{:jobs, :"{runtime.node}"}}, fn -> 1 end) |> Task.yield()'
        )
        assert "badfun" in said

    beside(body)


def test_elixir_uses_an_agent_of_ours(beside: Any, elixir_node: ElixirNode) -> None:
    async def body(runtime: Runtime) -> None:
        await serve(runtime)
        agent, module = f'{{:counter, :"{runtime.node}"}}', ":test_task_interop"
        for expression, value in {
            f"Agent.get({agent}, {module}, :add, [1])": 6,
            f"Agent.update({agent}, {module}, :add, [1])": atom.ok,
            f"Agent.get_and_update({agent}, {module}, :pair, [8])": 6,
            f"Agent.cast({agent}, {module}, :add, [1])": atom.ok,
            f":sys.get_state({agent})": 9,
            f"Agent.get({agent}, {module}, :add, [0])": 9,
            f":sys.suspend({agent})": atom.ok,
            f":sys.change_code({agent}, Agent, 1, {{{module}, :add, [1]}})": atom.ok,
            f":sys.resume({agent})": atom.ok,
            f"Agent.get({agent}, &:test_task_interop.double/1)": 20,
            f"Agent.stop({agent}, :shutdown)": atom.ok,
        }.items():
            assert await elixir_node.aeval(expression) == value, expression
        with pytest.raises(BeamError, match="exports"):
            await elixir_node.aeval(f"Agent.get({agent}, :os, :getcwd, [])")

    beside(body)


# ---- we use Elixir's


def test_tasks_on_elixir(beside: Any, elixir_node: ElixirNode) -> None:
    async def body(runtime: Runtime) -> None:
        await elixir_node.aeval("{:ok, p} = Task.Supervisor.start_link(name: TestJobs, max_children: 5); Process.unlink(p)")
        jobs = (atom("Elixir.TestJobs"), elixir_node.name)
        elixir_sum, sleep = ("Elixir.Enum", "sum"), ("Elixir.Process", "sleep")

        async def main() -> None:
            assert await (await TaskSupervisor.async_(jobs, elixir_sum, [1, 2, 3])) == 6
            assert await (await TaskSupervisor.async_nolink(jobs, elixir_sum, [1])).yield_() == Ok(1)
            stream = TaskSupervisor.async_stream(jobs, [[1], [1, 2], [3]], elixir_sum, max_concurrency=2)
            assert [result async for result in stream] == [Ok(1), Ok(3), Ok(3)]
            task = await TaskSupervisor.async_nolink(jobs, ("erlang", "error"), atom.oops)
            with pytest.raises(TaskFailed, match="oops"):
                await task
            task = await TaskSupervisor.async_(jobs, sleep, atom.infinity)
            assert await TaskSupervisor.children(jobs) == [task.pid]
            with pytest.raises(TaskTimeout):
                await task.await_(0.05)
            assert task.pid is not None
            trap_exit()
            Process.exit(task.pid, atom.kill)
            pids = [await TaskSupervisor.start_child(jobs, sleep, atom.infinity) for _ in range(3)]
            assert set(await TaskSupervisor.children(jobs)) >= set(pids)
            for pid in pids:
                await TaskSupervisor.terminate_child(jobs, pid)
            task = await TaskSupervisor.async_nolink(jobs, sleep, atom.infinity)
            assert await task.shutdown() is None
            results = [
                result async for result in TaskSupervisor.async_stream_nolink(
                    jobs, [1, atom.infinity], sleep, max_concurrency=2, timeout=0.2, on_timeout="kill_task"
                )
            ]  # fmt: skip
            assert results == [Ok(atom.ok), Exited(atom.timeout, atom.infinity)]
            await eventually(no_children)
            with pytest.raises(MaxChildren):
                for _ in range(6):
                    await TaskSupervisor.async_nolink(jobs, sleep, atom.infinity)

        async def no_children() -> bool:
            return await TaskSupervisor.children(jobs) == []

        try:
            await runtime.run(main)
        finally:
            await elixir_node.aeval("Supervisor.stop(TestJobs)")

    beside(body)


def test_agents_on_elixir(beside: Any, elixir_node: ElixirNode) -> None:
    async def body(runtime: Runtime) -> None:
        await elixir_node.aeval("{:ok, _} = Agent.start(fn -> [1] end, name: TestAgent)")
        agent = (atom("Elixir.TestAgent"), elixir_node.name)

        async def main() -> None:
            assert await Agent.get(agent, ("Elixir.Enum", "sum")) == 1
            await Agent.update(agent, ("Elixir.Enum", "concat"), [5])
            Agent.cast(agent, ("Elixir.Enum", "reverse"))
            assert await Agent.get(agent, ("Elixir.Enum", "at"), 0) == 5
            assert await Agent.get_and_update(agent, ("Elixir.List", "pop_at"), 0) == 5
            await Agent.stop(agent)
            with pytest.raises(CallFailed):
                await Agent.get(agent, ("Elixir.Enum", "sum"))
            assert Process.info(self(), "messages") == []

        await runtime.run(main)

    beside(body)


# ---- our own nodes, over real sockets


def test_tasks_between_our_own_nodes(beside: Any, real_epmd: RealEpmd) -> None:
    async def body(runtime: Runtime) -> None:
        other = await start_node(unique_name("py"), cookie=COOKIE, hidden=True, epmd_port=real_epmd.port, exports=EXPORTS)
        try:
            await serve(other)
            jobs = ("jobs", other.node)

            async def main() -> None:
                assert await Node.connect(other.node) is True
                assert await (await TaskSupervisor.async_(jobs, double, 21)) == 42
                stream = TaskSupervisor.async_stream(jobs, range(20), double, max_concurrency=4)
                assert [result.value async for result in stream] == list(range(0, 40, 2))
                with pytest.raises(TaskFailed, match="cheese"):
                    await (await TaskSupervisor.async_nolink(jobs, fail, "cheese"))
                await Agent.update(("counter", other.node), add, 2)
                assert await Agent.get(("counter", other.node), add, 0) == 7
                trap_exit()
                task = await TaskSupervisor.async_(jobs, nap, 60)
                assert await task.yield_(0.1) is None
                assert Node.disconnect(other.node) is True
                with pytest.raises(TaskFailed, match="nodedown"):
                    await task
                assert await receive(timeout=5) == (atom.EXIT, task.pid, atom.noconnection)

            await runtime.run(main)
        finally:
            await other.stop()

    beside(body)
