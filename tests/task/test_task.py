"""Tasks of the process that starts them: waiting for one and for several, ending, ignoring, failing."""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from beamish.errors import BeamishError, Exit
from beamish.gen_server import GenServer
from beamish.process import Process, exit, link, monitor, receive, self, send, spawn, spawn_monitor, trap_exit, unlink
from beamish.supervisor import Supervisor
from beamish.task import Exited, Ok, Task, TaskFailed, TaskTimeout
from beamish.term import Atom, Pid, Ref, atom
from beamish.testing import assert_receive, flush, now, refute_receive, virtual


async def after(seconds: float, value: Any = "value") -> Any:
    await Process.sleep(seconds)
    return value


def bad(word: str = "bad") -> None:
    raise ValueError(word)


def leaves(reason: Any) -> None:
    exit(reason)


async def stubborn(seconds: float = 1000.0) -> None:
    """Does not mind `shutdown`."""
    trap_exit()
    await Process.sleep(seconds)


async def ended(function: Callable[..., Any], *args: Any) -> Any:
    """The reason with which a process ends that runs this."""
    _, ref = spawn_monitor(function, *args)
    return (await receive(ref))[4]


def mailbox() -> list[Any]:
    found: list[Any] = Process.info(self(), "messages")
    return found


# ---- async and await


@virtual
async def test_a_task_gives_its_result() -> None:
    task = Task.async_(after, 2, value=7)
    assert isinstance(task.ref, Ref)
    assert task.pid is not None
    assert task.owner == self()
    assert task.function == "test_task.after"
    assert task.pid in Process.info(self(), "links")
    assert repr(task) == f"<Task test_task.after {task.pid}>"
    assert await task == 7
    assert now() == 2
    assert not Process.alive(task.pid)
    assert mailbox() == []
    assert Process.info(self(), "monitors") == []
    assert Process.info(self(), "aliases") == []
    assert Process.info(self(), "links") == []


@virtual
async def test_any_callable_is_a_task() -> None:
    class Adder:
        def __init__(self, start: int) -> None:
            self.start = start

        def __call__(self, number: int) -> int:
            return self.start + number

        async def later(self, number: int) -> int:
            return await after(1, self.start + number)

    assert await Task.async_(Adder(1), 2) == 3
    assert await Task.async_(Adder(1).later, 2) == 3
    assert await Task.async_(lambda: 5) == 5
    assert await Task.async_(str) == ""
    assert await Task.async_(dict, name=1, link=2, monitor=3) == {"name": 1, "link": 2, "monitor": 3}
    with pytest.raises(TypeError, match="a function is needed, not 5"):
        Task.async_(5)  # type: ignore[call-overload]


@virtual
async def test_the_messages_are_those_of_elixir() -> None:
    task = Task.async_(after, 1)
    assert await receive() == (task.ref, "value")
    assert await receive() == (atom.DOWN, task.ref, atom.process, task.pid, atom.normal)


@virtual
async def test_a_server_gets_them_in_handle_info() -> None:
    class Server(GenServer):
        def handle_call(self, request: Any, from_: Any) -> Any:
            self.seen: list[Any] = []
            self.task = Task.async_(after, 1)
            return self.task.ref

        def handle_info(self, message: Any) -> None:
            self.seen.append(message)

    server = await Server.start_link()
    ref = await GenServer.call(server, "go")
    await Process.sleep(2)
    state = await GenServer.call(server, atom.get_state, label=atom.system)
    assert [message[0] for message in state[atom.seen]] == [ref, atom.DOWN]


@virtual
async def test_a_crash_takes_the_owner_along(crashes: Any) -> None:
    async def owner() -> None:
        task = Task.async_(bad)
        try:
            await task
        except TaskFailed:
            pytest.fail("a linked owner that does not trap exits cannot see this")

    reason = await ended(owner)
    assert reason[0].kind == "builtins.ValueError"
    assert len(crashes.texts) == 1
    assert "[task test_task.bad of <nonode@nohost." in crashes.texts[0]


@virtual
async def test_the_owners_crash_takes_the_task_along(crashes: Any) -> None:
    me = self()

    async def owner() -> None:
        send(me, Task.async_(after, 1000).pid)
        bad()

    ref = monitor(spawn(owner))
    pid = await receive(Pid)
    await receive(ref)
    assert not Process.alive(pid)


@virtual
async def test_the_owners_normal_end_leaves_the_task() -> None:
    me = self()

    async def owner() -> None:
        Task.async_(after, 1, 5)
        task = Task.async_(lambda: send(me, "worked"))
        await Process.sleep(0.5)
        assert task.pid is not None

    assert await ended(owner) is atom.normal
    await assert_receive("worked")


@virtual
async def test_a_failure_is_raised_from_its_exception(crashes: Any) -> None:
    trap_exit()
    task = Task.async_(bad, "cheese")
    with pytest.raises(TaskFailed, match=r"<Task test_task.bad .*> failed: ValueError: cheese$") as raised:
        await task
    failure = raised.value
    assert isinstance(failure, BeamishError)
    assert failure.task is task
    assert failure.reason[0].kind == "builtins.ValueError"
    cause = failure.__cause__
    assert isinstance(cause, ValueError)
    assert [frame.name for frame in traceback.extract_tb(cause.__traceback__)] == ["bad"]
    assert await receive() == (atom.EXIT, task.pid, failure.reason)
    assert mailbox() == []


@virtual
async def test_reasons_are_raised_too() -> None:
    trap_exit()
    for reason in (atom.normal, atom.shutdown, (atom.oops, 5)):
        with pytest.raises(TaskFailed) as raised:
            await Task.async_(leaves, reason)
        assert raised.value.reason == reason
        assert raised.value.__cause__ is None
        assert raised.value.task is not None
        assert await receive() == (atom.EXIT, raised.value.task.pid, reason)


@virtual
async def test_waiting_too_long() -> None:
    task = Task.async_(after, 3)
    with pytest.raises(TaskTimeout, match=r"has no result after 2 s") as raised:
        await task.await_(2)
    assert isinstance(raised.value, TimeoutError)
    assert raised.value.task is task
    assert now() == 2
    assert task.pid is not None
    assert Process.alive(task.pid)
    assert task.pid in Process.info(self(), "links")
    await refute_receive(timeout=5)
    assert not Process.alive(task.pid)
    with pytest.raises(TaskTimeout, match="after 5 s"):
        await Task.async_(after, 10)
    assert now() == 12
    assert await Task.async_(after, 100).await_(None) == "value"


@virtual
async def test_only_the_owner_waits() -> None:
    task = Task.async_(after, 1)
    me = self()

    async def thief() -> list[str]:
        said = []
        waits: list[Callable[[], Awaitable[Any]]] = [
            task.await_, task.yield_, task.ignore, task.shutdown,
            lambda: Task.await_many([task]), lambda: Task.yield_many([task]),
        ]  # fmt: skip
        for wait in waits:
            with pytest.raises(ValueError, match="belongs to") as raised:
                await wait()
            said.append(str(raised.value))
        return said

    said = await Task.async_(thief)
    assert all(f"belongs to {me}, who alone can wait for it" in each for each in said)
    assert await task == "value"


@virtual
async def test_a_result_is_taken_once() -> None:
    task = Task.async_(after, 1)
    await task
    for wait in (task.await_, task.yield_, task.ignore, lambda: Task.await_many([task]), lambda: Task.yield_many([task])):
        with pytest.raises(ValueError, match="awaited once"):
            await wait()
    assert await task.shutdown() == Exited(atom.noproc)


@virtual
async def test_a_completed_task() -> None:
    task = Task.completed((1, 2))
    assert (task.pid, task.owner) == (None, self())
    assert repr(task) == "<Task Task.completed completed>"
    assert await task == (1, 2)
    assert await Task.completed(5).yield_() == Ok(5)
    assert await Task.completed(5).ignore() == Ok(5)
    task = Task.completed((5, 5))
    assert await task.shutdown() == Ok((5, 5))
    assert await task.shutdown() is None
    assert await Task.await_many([Task.completed(1), Task.async_(after, 1, 2)]) == [1, 2]


# ---- starting only


@virtual
async def test_start_and_start_link(crashes: Any) -> None:
    me = self()
    pid = Task.start(lambda: send(me, self()))
    await assert_receive(pid)
    assert Process.info(self(), "links") == []
    pid = Task.start(bad)
    linked = await Task.start_link(after, 1)
    assert Process.info(self(), "links") == [linked]
    await Process.sleep(2)
    assert not Process.alive(linked)
    assert "task test_task.bad of" in crashes.texts[0]
    assert await flush() == []


@virtual
async def test_tasks_as_children(crashes: Any) -> None:
    me = self()
    supervisor = await Supervisor.start_link([
        Task.child_spec(lambda: send(me, "once"), id="once"),
        Task.child_spec(after, 1000, id="long"),
        Task.child_spec(leaves, (atom.again, 1), id="again", restart="transient"),
    ], max_restarts=2)  # fmt: skip
    await assert_receive("once")
    unlink(supervisor.pid)
    ref = monitor(supervisor.pid)
    assert (await receive(ref))[4] is atom.shutdown
    assert Task.child_spec(after).id is atom("test_task.after")
    assert Task.child_spec(after).restart == "temporary"


# ---- yield


@virtual
async def test_yield_may_be_asked_again(crashes: Any) -> None:
    task = Task.async_(after, 3)
    assert await task.yield_(1) is None
    assert await task.yield_(0) is None
    assert await task.yield_() == Ok("value")
    assert now() == 3
    trap_exit()
    task = Task.async_(bad)
    outcome = await task.yield_()
    assert isinstance(outcome, Exited)
    assert isinstance(outcome.error, ValueError)
    assert outcome.reason[0].detail == "bad"
    with pytest.raises(TaskFailed, match="the task failed: ValueError: bad") as raised:
        print(outcome.value)
    assert raised.value.__cause__ is outcome.error
    assert await Task.async_(leaves, atom.normal).yield_() == Exited(atom.normal)
    assert len(await flush()) == 2


@virtual
async def test_outcomes_are_matched() -> None:
    match await Task.async_(after, 1, 5).yield_():
        case Ok(value):
            assert value == 5
        case _:
            pytest.fail("no match")
    match Exited(atom.oops):
        case Exited(Atom() as reason):
            assert reason is atom.oops
        case _:
            pytest.fail("no match")


# ---- ignore


@virtual
async def test_ignoring_a_task() -> None:
    task = Task.async_(after, 1)
    assert await task.ignore() is None
    assert task.pid not in Process.info(self(), "links")
    await refute_receive(timeout=2)
    task = Task.async_(after, 0)
    await Process.sleep(1)
    assert await task.ignore() == Ok("value")
    task = Task.async_(after, 1000)
    await task.ignore()
    assert task.pid is not None
    Process.exit(task.pid, atom.kill)
    await refute_receive(timeout=1)


@virtual
async def test_ignoring_one_that_failed(crashes: Any) -> None:
    trap_exit()
    task = Task.async_(bad)
    await Process.sleep(1)
    outcome = await task.ignore()
    assert isinstance(outcome, Exited)
    assert outcome.reason[0].kind == "builtins.ValueError"


# ---- shutdown


@virtual
async def test_shutting_down() -> None:
    task = Task.async_(after, 1000)
    assert await task.shutdown() is None
    assert now() == 0
    assert task.pid is not None
    assert not Process.alive(task.pid)
    task = Task.async_(after, 1000)
    assert await task.shutdown("brutal_kill") is None
    assert mailbox() == []
    assert Process.info(self(), "monitors") == []
    with pytest.raises(ValueError, match="awaited once"):
        await task


@virtual
async def test_a_stubborn_task_is_killed() -> None:
    task = Task.async_(stubborn)
    await Process.sleep(1)
    assert await task.shutdown(3) == Exited(atom.killed)
    assert now() == 4
    task = Task.async_(stubborn, 10)
    await Process.sleep(1)
    assert await task.shutdown(None) == Ok(None)
    assert now() == 14
    task = Task.async_(stubborn)
    await Process.sleep(1)
    assert await task.shutdown("brutal_kill") is None


@pytest.mark.parametrize("how", [5.0, "brutal_kill"])
def test_a_task_that_was_ready_before_its_shutdown(how: Any, crashes: Any) -> None:
    @virtual
    async def run() -> None:
        trap_exit()
        task: Task[Any] = Task.async_(after, 1)
        await Process.sleep(2)
        assert await task.shutdown(how) == Ok("value")
        for reason in (atom.normal, (atom.oops, 1), atom.killed if how == 5.0 else atom.shutdown):
            task = Task.async_(leaves, reason)
            await Process.sleep(1)
            assert await task.shutdown(how) == Exited(reason)
        task = Task.async_(leaves, atom.shutdown if how == 5.0 else atom.killed)
        await Process.sleep(1)
        assert await task.shutdown(how) is None
        task = Task.async_(bad)
        await Process.sleep(1)
        outcome = await task.shutdown(how)
        assert isinstance(outcome, Exited)
        assert isinstance(outcome.error, ValueError)

    run()


@virtual
async def test_shutdown_takes_seconds_or_brutal_kill() -> None:
    task = Task.async_(after, 1)
    for how in ("kill", -1, float("nan")):
        with pytest.raises(ValueError, match="'brutal_kill', not"):
            await task.shutdown(how)  # type: ignore[arg-type]
    assert await task == "value"


# ---- several


@virtual
async def test_await_many() -> None:
    assert await Task.await_many([]) == []
    send(self(), (atom.unrelated, 1))
    tasks = [Task.async_(after, 3 - number, number) for number in range(3)]
    assert await Task.await_many(tasks) == [0, 1, 2]
    assert now() == 3
    assert mailbox() == [(atom.unrelated, 1)]
    assert Process.info(self(), "monitors") == []


@virtual
async def test_await_many_is_for_all_together() -> None:
    tasks = [Task.async_(after, seconds) for seconds in (1, 2, 7, 8)]
    with pytest.raises(TaskTimeout, match="2 of 4 tasks have no result after 5 s") as raised:
        await Task.await_many(tasks)
    assert raised.value.task is tasks[2]
    assert now() == 5
    await refute_receive(timeout=10)
    with pytest.raises(ValueError, match="awaited once"):
        await tasks[3]


@virtual
async def test_await_many_raises_for_the_first_that_fails(crashes: Any) -> None:
    trap_exit()
    tasks = [Task.async_(after, 1), Task.async_(after, 1000), Task.async_(bad)]
    with pytest.raises(TaskFailed) as raised:
        await Task.await_many(tasks, None)
    assert raised.value.task is tasks[2]
    assert isinstance(raised.value.__cause__, ValueError)
    assert now() == 0
    await assert_receive((atom.EXIT, tasks[2].pid, ...))
    assert await flush() == []
    await assert_receive((atom.EXIT, tasks[0].pid, atom.normal), timeout=2)


@virtual
async def test_yield_many(crashes: Any) -> None:
    trap_exit()
    tasks: list[Task[Any]] = [Task.async_(after, 1, 1), Task.async_(bad), Task.async_(after, 8, 8), Task.completed(0)]
    found = await Task.yield_many(tasks)
    assert [task for task, _ in found] == tasks
    outcomes = [outcome for _, outcome in found]
    assert outcomes[0] == Ok(1)
    assert isinstance(outcomes[1], Exited)
    assert outcomes[2:] == [None, Ok(0)]
    assert now() == 5
    assert await Task.yield_many(tasks[2:3]) == [(tasks[2], Ok(8))]
    assert await Task.yield_many([]) == []


@virtual
async def test_yield_many_with_a_limit() -> None:
    tasks = [Task.async_(after, seconds, seconds) for seconds in (4, 1, 3, 2)]
    assert [outcome for _, outcome in await Task.yield_many(tasks, limit=2)] == [None, Ok(1), None, Ok(2)]
    assert now() == 2
    assert await Task.await_many([tasks[0], tasks[2]]) == [4, 3]
    assert [outcome for _, outcome in await Task.yield_many([Task.completed(1)], limit=9)] == [Ok(1)]
    with pytest.raises(ValueError, match="limit"):
        await Task.yield_many([], limit=0)


@virtual
async def test_what_yield_many_does_with_the_late() -> None:
    tasks = [Task.async_(after, seconds, seconds) for seconds in (1, 8)]
    assert [outcome for _, outcome in await Task.yield_many(tasks, on_timeout="kill_task")] == [Ok(1), None]
    assert tasks[1].pid is not None
    assert not Process.alive(tasks[1].pid)
    tasks = [Task.async_(after, seconds, seconds) for seconds in (1, 8)]
    assert [outcome for _, outcome in await Task.yield_many(tasks, 2, on_timeout="ignore")] == [Ok(1), None]
    assert tasks[1].pid is not None
    assert Process.alive(tasks[1].pid)
    await refute_receive(timeout=20)
    with pytest.raises(ValueError, match="on_timeout"):
        await Task.yield_many([], on_timeout="kill")  # type: ignore[arg-type]


# ---- memory


@virtual
async def test_an_exception_is_not_kept() -> None:
    import gc
    import weakref

    class Local:
        pass

    found: list[Any] = []

    def fails() -> None:
        local = Local()
        found.append(weakref.ref(local))
        raise Exit(atom.oops)

    trap_exit()
    task = Task.async_(fails)
    await task.yield_()
    del task
    gc.collect()
    assert found[0]() is None


@virtual
async def test_links_are_made_once() -> None:
    task = Task.async_(after, 1)
    assert task.pid is not None
    link(task.pid)
    unlink(task.pid)
    assert await task == "value"
