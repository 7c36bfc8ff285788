"""Streams: order, bound, back-pressure, time limits, failures, and being left early."""

from __future__ import annotations

import asyncio
import gc
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beamish.process import Process, exit, monitor, receive, self, send, spawn, spawn_monitor, trap_exit
from beamish.task import Exited, Ok, Task, TaskFailed, TaskSupervisor, TaskTimeout
from beamish.term import Pid, atom
from beamish.testing import now, virtual


class Load:
    """How many tasks run at the same time."""

    def __init__(self) -> None:
        self.running = 0
        self.most = 0
        self.started: list[Any] = []
        self.finished: list[Any] = []

    async def work(self, seconds: float, value: Any = None) -> Any:
        self.started.append(seconds)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await Process.sleep(seconds)
            self.finished.append(seconds)
        finally:
            self.running -= 1
        return seconds if value is None else value


async def values(stream: Any) -> list[Any]:
    return [result.value async for result in stream]


def nothing_left(*processes: Pid) -> None:
    """No process but those, no message, no monitor."""
    assert set(Process.list()) == {self(), *processes}
    assert Process.info(self(), "messages") == []
    assert Process.info(self(), "monitors") == []
    assert Process.info(self(), "aliases") == []
    assert set(Process.info(self(), "links")) <= set(processes)


async def ended(function: Any, *args: Any) -> Any:
    _, ref = spawn_monitor(function, *args)
    return (await receive(ref))[4]


@virtual
async def test_results_in_order() -> None:
    load = Load()
    assert await values(Task.async_stream([3, 1, 2, 0], load.work, max_concurrency=2)) == [3, 1, 2, 0]
    assert load.most == 2
    assert now() == 3
    nothing_left()


@virtual
async def test_results_as_they_come() -> None:
    load = Load()
    assert await values(Task.async_stream([3, 1, 2, 0], load.work, max_concurrency=4, ordered=False)) == [0, 1, 2, 3]
    assert await values(Task.async_stream([3, 1, 2, 0], load.work, max_concurrency=1, ordered=False)) == [3, 1, 2, 0]
    nothing_left()


@virtual
async def test_further_arguments_and_plain_functions() -> None:
    assert await values(Task.async_stream([1, 2], lambda item, more: (item, more), "x")) == [(1, "x"), (2, "x")]
    assert await values(Task.async_stream([], str)) == []
    assert [result async for result in Task.async_stream("ab", str.upper)] == [Ok("A"), Ok("B")]


@virtual
async def test_an_endless_source_is_taken_bit_by_bit() -> None:
    load = Load()
    taken: list[int] = []

    def source() -> Iterator[int]:
        for number in itertools.count():
            taken.append(number)
            yield number

    stream = Task.async_stream(source(), load.work, max_concurrency=3, timeout=None)
    assert taken == []
    async for result in stream:
        if result.value == 5:
            break
        assert len(taken) == result.value + 3
    await stream.aclose()
    assert load.most == 3
    assert taken == [0, 1, 2, 3, 4, 5, 6, 7]
    nothing_left()


@virtual
async def test_no_item_is_taken_while_the_reader_is_busy() -> None:
    load = Load()
    stream = Task.async_stream(itertools.repeat(1), load.work, max_concurrency=2)
    assert (await anext(stream)).value == 1
    await Process.sleep(100)
    assert len(load.started) == 2
    assert (await anext(stream)).value == 1
    assert len(load.started) <= 3
    await stream.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


@virtual
async def test_leaving_by_break_ends_the_tasks() -> None:
    load = Load()
    async for result in Task.async_stream(itertools.count(1), load.work, max_concurrency=4):
        assert result.value == 1
        break
    assert load.running > 0
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert load.running == 0
    nothing_left()


@virtual
async def test_async_with_waits_until_the_tasks_are_gone() -> None:
    load = Load()
    async with Task.async_stream(itertools.count(1), load.work, max_concurrency=4) as stream:
        assert (await anext(stream)).value == 1
    assert load.running == 0
    nothing_left()
    async with Task.async_stream([1], load.work) as unused:
        assert "not begun" in repr(unused)
    assert repr(unused) == "<Stream of list, closed>"
    with pytest.raises(StopAsyncIteration):
        await anext(unused)
    assert load.started.count(1) == 1


@virtual
async def test_an_exception_in_the_loop_ends_the_tasks() -> None:
    load = Load()

    async def read() -> None:
        async for _ in Task.async_stream(itertools.count(1), load.work, max_concurrency=4):
            raise KeyError("reader")

    with pytest.raises(KeyError):
        await read()
    gc.collect()
    await Process.sleep(0.1)
    assert load.running == 0
    nothing_left()


@virtual
async def test_a_reader_that_is_cancelled_may_go_on() -> None:
    load = Load()
    stream = Task.async_stream([3, 4], load.work, max_concurrency=2)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await anext(stream)
    assert await values(stream) == [3, 4]
    nothing_left()


@pytest.mark.parametrize("kind", ["plain", "supervised", "nolink"])
@pytest.mark.parametrize("reason", ["kill", "shutdown", "normal"])
def test_the_readers_death_ends_the_tasks(reason: str, kind: str) -> None:
    @virtual
    async def run() -> None:
        load = Load()
        supervisor = await TaskSupervisor.start_link()
        streams: Any = {"plain": Task.async_stream, "supervised": supervisor.async_stream, "nolink": supervisor.async_stream_nolink}

        async def reader() -> None:
            async for _ in streams[kind](itertools.count(1), load.work, max_concurrency=4):
                if reason == "normal":
                    return
                await receive()

        pid, ref = spawn_monitor(reader)
        await Process.sleep(1.5)
        if reason != "normal":
            Process.exit(pid, atom(reason))
        await receive(ref)
        await Process.sleep(0.1)
        assert load.running == 0
        assert load.finished == [1]
        nothing_left(supervisor.pid)

    run()


# ---- async sources


@virtual
async def test_an_async_source() -> None:
    load = Load()

    async def source() -> AsyncIterator[int]:
        for number in (2, 1, 0):
            await Process.sleep(10)
            yield number

    assert await values(Task.async_stream(source(), load.work)) == [2, 1, 0]
    assert now() == 30
    nothing_left()


@virtual
async def test_results_do_not_wait_for_a_slow_source() -> None:
    async def source() -> AsyncIterator[int]:
        yield 1
        await Process.sleep(100)
        yield 2

    stream = Task.async_stream(source(), str, max_concurrency=4)
    assert (await anext(stream)).value == "1"
    assert now() == 0
    assert (await anext(stream)).value == "2"
    assert now() == 100
    await stream.aclose()
    nothing_left()


@virtual
async def test_an_async_source_is_closed() -> None:
    said: list[Any] = []
    load = Load()

    async def source() -> AsyncIterator[int]:
        try:
            for number in itertools.count(1):
                said.append(number)
                yield number
        finally:
            await Process.sleep(1)
            said.append("closed")

    async with Task.async_stream(source(), load.work, max_concurrency=2) as stream:
        await anext(stream)
    await Process.sleep(2)
    assert said == [1, 2, "closed"]
    nothing_left()


@virtual
async def test_an_async_source_has_its_own_process() -> None:
    class Source:
        def __init__(self) -> None:
            self.pids: list[Pid] = []

        def __aiter__(self) -> Source:
            return self

        async def __anext__(self) -> int:
            self.pids.append(self_())
            if len(self.pids) > 3:
                raise StopAsyncIteration
            return len(self.pids)

    self_ = self
    source = Source()
    assert await values(Task.async_stream(source, str)) == ["1", "2", "3"]
    assert len(set(source.pids)) == 1
    assert source.pids[0] != self()


# ---- failures


def bad(item: Any) -> Any:
    if item == 2:
        raise ValueError("two")
    return item


@virtual
async def test_a_crash_takes_the_reader_along(crashes: Any) -> None:
    load = Load()

    async def work(item: int) -> None:
        await load.work(item)
        bad(item)

    async def reader() -> None:
        async for _ in Task.async_stream([1, 2, 3], work, max_concurrency=3):
            pass

    reason = await ended(reader)
    assert reason[0].kind == "builtins.ValueError"
    assert load.running == 0
    nothing_left()


@virtual
async def test_a_reader_that_traps_exits_sees_crashes(crashes: Any) -> None:
    trap_exit()
    results = [result async for result in Task.async_stream([1, 2, 3], bad, max_concurrency=2)]
    assert results[0] == Ok(1)
    assert results[2] == Ok(3)
    failed = results[1]
    assert isinstance(failed, Exited)
    assert failed.input == 2
    assert isinstance(failed.error, ValueError)
    with pytest.raises(TaskFailed, match="ValueError: two"):
        print(failed.value)
    nothing_left()
    results = [result async for result in Task.async_stream([2], bad, zip_input_on_exit=False)]
    assert results[0].input is ...  # type: ignore[union-attr]


@virtual
async def test_a_task_that_exits(crashes: Any) -> None:
    trap_exit()
    found = [result async for result in Task.async_stream([atom.normal, atom.oops], exit)]
    assert found == [Exited(atom.normal, atom.normal), Exited(atom.oops, atom.oops)]


@virtual
async def test_a_source_that_fails_ends_the_stream() -> None:
    load = Load()

    def source() -> Iterator[int]:
        yield 1
        yield 50
        raise KeyError("source")

    async def async_source() -> AsyncIterator[int]:
        for item in source():
            yield item

    for items, most in ((source(), 4), (source(), 1), (async_source(), 4)):
        stream: Any = Task.async_stream(items, load.work, max_concurrency=most, timeout=None)  # type: ignore[misc]
        with pytest.raises(KeyError, match="source"):
            await values(stream)
        assert load.running == 0
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        nothing_left()


@virtual
async def test_a_late_task_fails_the_stream() -> None:
    load = Load()
    got = []
    with pytest.raises(TaskTimeout, match=r"not ready within 2 s and was killed"):
        async for result in Task.async_stream([1, 5, 1, 9], load.work, max_concurrency=3, timeout=2):
            got.append(result.value)
    assert got == [1]
    assert now() == 2
    assert load.running == 0
    nothing_left()


@virtual
async def test_a_late_task_is_killed(crashes: Any) -> None:
    load = Load()
    stream = Task.async_stream([1, 5, 1, 9], load.work, max_concurrency=3, timeout=2, on_timeout="kill_task")
    assert [result async for result in stream] == [Ok(1), Exited(atom.timeout, 5), Ok(1), Exited(atom.timeout, 9)]
    assert now() == 3
    assert load.finished == [1, 1]
    nothing_left()


@virtual
async def test_tasks_are_killed_in_time_though_the_reader_sleeps() -> None:
    load = Load()
    stream = Task.async_stream([1, 5], load.work, max_concurrency=2, timeout=2, on_timeout="kill_task")
    assert (await anext(stream)).value == 1
    await Process.sleep(1.5)
    assert load.running == 0
    assert await anext(stream) == Exited(atom.timeout, 5)
    await stream.aclose()


@virtual
async def test_five_seconds_unless_said_otherwise() -> None:
    load = Load()
    with pytest.raises(TaskTimeout, match="within 5 s"):
        await values(Task.async_stream([6], load.work))
    assert await values(Task.async_stream([600], load.work, timeout=None)) == [600]


@virtual
async def test_a_collector_that_is_killed() -> None:
    async def reader() -> None:
        async for _ in Task.async_stream([100], Load().work, timeout=None):
            pass

    pid, ref = spawn_monitor(reader)
    await Process.sleep(1)
    (collector,) = Process.info(pid, "links")
    Process.exit(collector, atom.kill)
    assert (await receive(ref))[4] is atom.killed
    trap_exit()
    load = Load()
    stream = Task.async_stream([1, 100], load.work, timeout=None, max_concurrency=2)
    await anext(stream)
    (collector,) = Process.info(self(), "links")
    Process.exit(collector, atom.kill)
    with pytest.raises(TaskFailed, match="killed"):
        await anext(stream)
    await Process.sleep(0.1)
    assert load.running == 0


@virtual
async def test_one_reader() -> None:
    stream = Task.async_stream([1, 2], str)
    await anext(stream)

    async def other() -> None:
        with pytest.raises(ValueError, match="no other process can read it"):
            await anext(stream)

    await Task.async_(other)
    assert await values(stream) == ["2"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_concurrency": 0}, "max_concurrency"),
        ({"max_concurrency": True}, "max_concurrency"),
        ({"max_concurrency": 1.5}, "max_concurrency"),
        ({"timeout": -1}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"on_timeout": "kill"}, "on_timeout"),
    ],
)
def test_wrong_options(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Task.async_stream([], str, **options)
    with pytest.raises(TypeError, match="iterable"):
        Task.async_stream(5, str)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="a function is needed"):
        Task.async_stream([], 5)  # type: ignore[call-overload]


# ---- whatever the tasks do


plans = st.lists(st.tuples(st.integers(0, 6), st.sampled_from(["ok", "raise", "exit", "normal"])), max_size=25)


@settings(max_examples=120, deadline=None)
@given(plans, st.integers(1, 6), st.booleans(), st.booleans(), st.booleans(), st.integers(0, 30))
def test_order_and_bound(plan: Any, most: int, ordered: bool, is_async: bool, supervised: bool, leave_after: int) -> None:
    """Whatever each task does and whenever the reader leaves: nothing comes twice, nothing is lost, never too many run."""

    @virtual
    async def run() -> None:
        load = Load()
        supervisor = await TaskSupervisor.start_link(name="s")

        async def work(item: Any) -> Any:
            number, (seconds, ending) = item
            await load.work(seconds)
            if ending == "raise":
                raise ValueError(number)
            if ending != "ok":
                exit(atom(ending))
            return number

        async def async_source() -> AsyncIterator[Any]:
            for item in enumerate(plan):
                await Process.sleep(item[0] % 2)
                yield item

        source: Any = async_source() if is_async else enumerate(plan)
        trap_exit()
        options: Any = {"max_concurrency": most, "ordered": ordered, "timeout": 5, "on_timeout": "kill_task"}
        if supervised:
            stream: Any = TaskSupervisor.async_stream_nolink("s", source, work, **options)
        else:
            stream = Task.async_stream(source, work, **options)
        got = []
        async for result in stream:
            got.append(result)
            if len(got) == leave_after:
                break
        complete = len(got) < leave_after or leave_after == 0
        await stream.aclose()
        await Process.sleep(1)
        assert load.running == 0
        assert load.most <= most
        numbers = []
        for result in got:
            if isinstance(result, Ok):
                number = result.value
                assert plan[number] == (plan[number][0], "ok")
            else:
                number, (seconds, ending) = result.input
                if seconds >= 5:
                    assert result.reason is atom.timeout
                elif ending == "raise":
                    assert result.reason[0].detail == str(number)
                else:
                    assert result.reason is atom(ending)
            numbers.append(number)
        assert len(set(numbers)) == len(numbers)
        if ordered:
            assert numbers == list(range(len(numbers)))
        if complete:
            assert sorted(numbers) == list(range(len(plan)))
        assert await supervisor.children() == []
        nothing_left(supervisor.pid)

    run()


@virtual
async def test_far_more_items_than_may_wait() -> None:
    load = Load()

    async def work(item: int) -> int:
        await load.work(50 if item == 0 else 0)
        return item

    assert await values(Task.async_stream(range(5000), work, max_concurrency=10, timeout=None)) == list(range(5000))
    assert load.most == 10
    me = self()
    pid = spawn(lambda: send(me, "alive"))
    assert await receive() == "alive"
    ref = monitor(pid)
    await receive(ref)
    nothing_left()
