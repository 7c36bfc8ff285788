"""Tasks that a supervisor looks after, on this node."""

from __future__ import annotations

from typing import Any

import pytest

from beamish.errors import NoProcess, StartError
from beamish.gen_server import CallFailed, GenServer
from beamish.process import Process, exit, monitor, receive, self, send, spawn, spawn_monitor, trap_exit, unlink, whereis
from beamish.supervisor import DynamicSupervisor, NoChild, PartitionSupervisor, Supervisor
from beamish.task import Exited, MaxChildren, Ok, Task, TaskFailed, TaskSupervisor, TaskTimeout
from beamish.term import Pid, atom
from beamish.testing import assert_receive, flush, now, refute_receive, virtual


async def after(seconds: float, value: Any = "value") -> Any:
    await Process.sleep(seconds)
    return value


async def stubborn(seconds: float) -> None:
    trap_exit()
    await Process.sleep(seconds)


def bad(word: str = "bad") -> None:
    raise ValueError(word)


async def ended(function: Any, *args: Any) -> Any:
    _, ref = spawn_monitor(function, *args)
    return (await receive(ref))[4]


@virtual
async def test_a_supervised_task() -> None:
    supervisor = await TaskSupervisor.start_link(name="jobs")
    task = await TaskSupervisor.async_("jobs", after, 2, value=5)
    assert isinstance(task, Task)
    assert task.function == "test_task_supervisor.after"
    assert task.pid is not None
    assert set(Process.info(task.pid, "links")) == {self(), supervisor.pid}
    assert await supervisor.children() == [task.pid]
    assert (await supervisor.count_children()).active == 1
    assert [(child.id, child.pid, child.type) for child in await Supervisor.which_children("jobs")] == [
        (atom.undefined, task.pid, atom.worker)
    ]
    assert await task == 5
    assert await supervisor.children() == []
    assert Process.info(self(), "messages") == []
    assert Process.info(self(), "monitors") == []
    assert Task.Supervisor is TaskSupervisor


@virtual
async def test_local_functions_need_no_name() -> None:
    supervisor = await TaskSupervisor.start_link()
    me = self()
    assert await (await supervisor.async_(lambda: me)) == me
    assert await (await supervisor.async_nolink(lambda number: number + 1, 1)) == 2
    pid = await supervisor.start_child(lambda: send(me, self()))
    await assert_receive(pid)


@virtual
async def test_a_linked_crash_takes_the_owner_along(crashes: Any) -> None:
    supervisor = await TaskSupervisor.start_link()

    async def owner() -> None:
        await (await supervisor.async_(bad))

    assert (await ended(owner))[0].kind == "builtins.ValueError"
    assert Process.alive(supervisor.pid)
    assert len(crashes.texts) == 1  # the task's own report; the supervisor has nothing to add


@virtual
async def test_an_unlinked_crash_is_the_tasks_own(crashes: Any) -> None:
    supervisor = await TaskSupervisor.start_link()
    task = await supervisor.async_nolink(bad, "cheese")
    assert task.pid is not None
    assert Process.info(task.pid, "links") == [supervisor.pid]
    with pytest.raises(TaskFailed, match="ValueError: cheese") as raised:
        await task
    assert isinstance(raised.value.__cause__, ValueError)
    task = await supervisor.async_nolink(exit, atom.oops)
    assert await task.yield_() == Exited(atom.oops)
    assert "task test_task_supervisor.bad of" in crashes.texts[0]
    assert any("oops" in text for text in crashes.texts)
    assert await flush() == []


@virtual
async def test_the_owners_end_is_not_an_unlinked_tasks() -> None:
    supervisor = await TaskSupervisor.start_link()
    me = self()

    async def owner() -> None:
        send(me, (await supervisor.async_nolink(after, 5)).pid)
        send(me, (await supervisor.async_(after, 5)).pid)
        exit(atom.shutdown)

    spawn(owner)
    unlinked, linked = await receive(Pid), await receive(Pid)
    await Process.sleep(1)
    assert [Process.alive(pid) for pid in (unlinked, linked)] == [True, False]


@virtual
async def test_an_owner_that_dies_before_it_sends_the_work() -> None:
    supervisor = await TaskSupervisor.start_link()

    async def owner() -> None:
        me = self()
        await GenServer.call(supervisor, (atom.start_task, [(me.node, me, me), atom.monitor], atom.temporary, 5000))

    await ended(owner)
    await Process.sleep(0)
    assert await supervisor.children() == []


@virtual
async def test_work_that_never_comes(crashes: Any) -> None:
    supervisor = await TaskSupervisor.start_link()
    me = self()
    await GenServer.call(supervisor, (atom.start_task, [(me.node, me, me), atom.monitor], atom.temporary, 5000))
    await Process.sleep(4.9)
    assert len(await supervisor.children()) == 1
    await Process.sleep(0.2)
    assert await supervisor.children() == []


@virtual
async def test_no_more_than_max_children() -> None:
    supervisor = await TaskSupervisor.start_link(name="jobs", max_children=1)
    task = await supervisor.async_(after, 1)
    for start in (supervisor.async_, supervisor.async_nolink, supervisor.start_child):
        with pytest.raises(MaxChildren, match="runs as many tasks as its max_children allows"):
            await start(after, 1)
    await task
    assert await (await supervisor.async_(after, 1)) == "value"


@virtual
async def test_start_child(crashes: Any) -> None:
    supervisor = await TaskSupervisor.start_link(max_restarts=10)
    me = self()
    pid = await supervisor.start_child(after, 1)
    assert Process.info(pid, "links") == [supervisor.pid]
    await Process.sleep(2)
    assert not Process.alive(pid)

    def run(*how: Any) -> None:
        send(me, how)
        if how:
            exit(how[0])

    await supervisor.start_child(run, atom.oops)
    await supervisor.start_child(run, restart="transient")
    for _ in range(2):
        await assert_receive(tuple)
    await refute_receive(timeout=1)
    await supervisor.start_child(run, atom.normal, restart="permanent")
    for _ in range(5):
        await assert_receive((atom.normal,))
    with pytest.raises(StartError, match="invalid_restart_type"):
        await supervisor.start_child(run, restart="sometimes")
    with pytest.raises(ValueError, match="shutdown is seconds"):
        await supervisor.start_child(run, shutdown="soon")


@virtual
async def test_how_tasks_are_shut_down(crashes: Any) -> None:
    supervisor = await TaskSupervisor.start_link()
    quick = await supervisor.start_child(stubborn, 1000, shutdown="brutal_kill")
    slow = await supervisor.start_child(stubborn, 2, shutdown=3)
    late = await supervisor.async_nolink(stubborn, 1000, shutdown=4)
    await Process.sleep(1)
    refs = {monitor(pid): pid for pid in (quick, slow)}
    await supervisor.stop()
    assert now() == 5
    found = {refs[message[1]]: message[4] for message in await flush() if message[1] in refs}
    assert found == {quick: atom.killed, slow: atom.normal}
    assert late.pid is not None
    assert not Process.alive(late.pid)


@virtual
async def test_ending_a_child() -> None:
    supervisor = await TaskSupervisor.start_link(name="jobs")
    pid = await supervisor.start_child(after, 1000)
    await TaskSupervisor.terminate_child("jobs", pid)
    assert await supervisor.children() == []
    with pytest.raises(NoChild):
        await supervisor.terminate_child(pid)


@virtual
async def test_late_replies_never_arrive() -> None:
    supervisor = await TaskSupervisor.start_link()
    task = await supervisor.async_nolink(after, 3)
    with pytest.raises(TaskTimeout):
        await task.await_(1)
    await refute_receive(timeout=10)


@virtual
async def test_streams_of_supervised_tasks() -> None:
    supervisor = await TaskSupervisor.start_link(name="jobs")
    seen: list[Any] = []

    async def work(item: int, more: int) -> int:
        seen.append(len(await supervisor.children()))
        await Process.sleep(item)
        return item + more

    for stream in (supervisor.async_stream, supervisor.async_stream_nolink):
        assert [result.value async for result in stream([3, 1, 2], work, 10, max_concurrency=2)] == [13, 11, 12]
    assert max(seen) == 2
    assert await supervisor.children() == []
    async for result in TaskSupervisor.async_stream("jobs", [1, 1000, 1000], work, 0, max_concurrency=3):
        assert result == Ok(1)
        break
    await Process.sleep(0.1)
    assert await supervisor.children() == []
    assert Process.info(self(), "messages") == []


@virtual
async def test_a_stream_that_wants_too_many() -> None:
    supervisor = await TaskSupervisor.start_link(max_children=2)
    stream = supervisor.async_stream(range(10), after, max_concurrency=3)
    with pytest.raises(MaxChildren, match="max_concurrency"):
        async for _ in stream:
            pass
    assert await supervisor.children() == []
    assert [result.value async for result in supervisor.async_stream(range(5), after, max_concurrency=2)] == ["value"] * 5


@virtual
async def test_crashes_in_streams(crashes: Any) -> None:
    supervisor = await TaskSupervisor.start_link()
    results = [result async for result in supervisor.async_stream_nolink(["a", "b"], bad)]
    assert [result.input for result in results if isinstance(result, Exited)] == ["a", "b"]

    async def reader() -> None:
        async for _ in supervisor.async_stream(["a"], bad):
            pass

    assert (await ended(reader))[0].detail == "a"
    assert Process.alive(supervisor.pid)


@virtual
async def test_a_supervisor_that_is_not_there() -> None:
    with pytest.raises(CallFailed, match="noproc"):
        await TaskSupervisor.async_("nobody", after, 1)
    with pytest.raises(NoProcess):
        async for _ in TaskSupervisor.async_stream("nobody", [1], after):
            pass
    other = await DynamicSupervisor.start_link()
    unlink(other.pid)
    with pytest.raises(StartError, match="task"):
        await TaskSupervisor.async_(other, after, 1)


@virtual
async def test_task_supervisors_as_children() -> None:
    supervisor = await Supervisor.start_link([TaskSupervisor.child_spec(name="jobs", max_children=1), (TaskSupervisor,)])
    assert len({child.pid for child in await supervisor.which_children()}) == 2
    assert await (await TaskSupervisor.async_("jobs", after, 1)) == "value"
    assert whereis("jobs") is not None

    class Jobs(TaskSupervisor):
        max_children = 1

        def init(self) -> dict[str, Any]:
            return {"max_restarts": 100}

    jobs = await Jobs.start_link(name="own")
    await jobs.start_child(after, 1)
    with pytest.raises(MaxChildren):
        await jobs.start_child(after, 1)


@virtual
async def test_partitioned_task_supervisors() -> None:
    await PartitionSupervisor.start_link(TaskSupervisor, name="parts", partitions=3)
    for key in range(6):
        assert await (await TaskSupervisor.async_(PartitionSupervisor.via("parts", key), after, 0, key)) == key


@virtual
async def test_a_request_that_is_none(crashes: Any) -> None:
    supervisor = await TaskSupervisor.start_link()
    for args in ([], [1, 2], 5, [(1, 2, 3), atom.monitor]):
        answer = await GenServer.call(supervisor, (atom.start_task, args, atom.temporary, 5000))
        assert answer[0] is atom.error
    me = self()
    for restart, shutdown in (([], 5000), (atom.temporary, {}), (atom.sometimes, 1), (atom.temporary, -1), ("temporary", 1)):
        args = [(me.node, me, me), atom.monitor]
        answer = await GenServer.call(supervisor, (atom.start_task, args, restart, shutdown))
        assert answer[0] is atom.error
    assert Process.alive(supervisor.pid)
    assert await supervisor.children() == []
