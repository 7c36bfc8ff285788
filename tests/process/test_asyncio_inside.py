"""asyncio's own tools inside processes."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest

from beamish.errors import ReceiveTimeout
from beamish.process import (
    Process,
    current_process,
    exit,
    receive,
    self,
    send,
    send_after,
    spawn,
    spawn_monitor,
)
from beamish.term import Pid, atom
from loops import now, on_every_loop, virtual


async def settled() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


# ---- timeouts


@on_every_loop
async def test_timeout_that_expires_on_a_sleep() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await asyncio.sleep(10)
    await asyncio.sleep(0)


@on_every_loop
async def test_timeout_that_expires_on_a_receive_keeps_the_messages() -> None:
    send(self(), "kept")
    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(0.01):
            await receive(lambda m: m == "never")
    assert not isinstance(caught.value, ReceiveTimeout)
    assert await receive() == "kept"


@on_every_loop
async def test_timeout_that_does_not_expire() -> None:
    send_after(0.01, self(), "in time")
    async with asyncio.timeout(10):
        assert await receive() == "in time"
    process = current_process()
    assert process is not None
    assert process.cancelling() == 0


@virtual
async def test_the_inner_of_two_timeouts_expires() -> None:
    async with asyncio.timeout(10) as outer:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await receive()
        assert now() == 1
        await asyncio.sleep(2)
    assert not outer.expired()


@virtual
async def test_the_outer_of_two_timeouts_expires() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            try:
                async with asyncio.timeout(10):
                    await receive()
            except TimeoutError:
                pytest.fail("that was the outer one's")
    assert now() == 1


@virtual
async def test_a_receive_timeout_inside_a_longer_timeout() -> None:
    async with asyncio.timeout(10):
        with pytest.raises(ReceiveTimeout):
            await receive(timeout=1)
    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(1):
            await receive(timeout=10)
    assert not isinstance(caught.value, ReceiveTimeout)
    assert now() == 2


@virtual
async def test_a_message_and_a_timeout_in_the_same_moment() -> None:
    for _ in range(20):
        got = []
        send_after(1, self(), "message")
        try:
            async with asyncio.timeout(1):
                got.append(await receive())
        except TimeoutError:
            got.append(await receive(timeout=0))
        assert got == ["message"]


@virtual
async def test_wait_for() -> None:
    async def answers() -> int:
        await asyncio.sleep(1)
        return 42

    assert await asyncio.wait_for(answers(), 10) == 42
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(answers(), 0.5)
    assert now() == 1.5


@pytest.mark.parametrize("parked", ["receive", "selective", "sleep", "yield"])
def test_cancel_throws_at_the_wait(parked: str) -> None:
    @virtual
    async def test() -> None:
        async def body() -> None:
            process = current_process()
            assert process is not None
            try:
                match parked:
                    case "receive":
                        await receive()
                    case "selective":
                        await receive(lambda m: m == "never", timeout=1000)
                    case "sleep":
                        await asyncio.sleep(1000)
                    case _:
                        while True:
                            await asyncio.sleep(0)
            except asyncio.CancelledError as error:
                send(tester, (error.args, process.cancelling()))
                assert process.uncancel() == 0
            send(tester, await receive())

        here, tester = current_process(), self()
        assert here is not None
        pid = spawn(body)
        block = here.home.process_of(pid)
        assert block is not None
        await settled()
        assert block.cancel("stop") is True
        assert await receive() == (("stop",), 1)
        send(pid, "afterwards")
        assert await receive() == "afterwards"
        await settled()
        assert block.done()
        assert block.cancel() is False

    test()


@virtual
async def test_cancelling_before_the_first_step_is_a_crash(crashes: Any) -> None:
    here = current_process()
    assert here is not None
    pid, ref = spawn_monitor(receive)
    block = here.home.process_of(pid)
    assert block is not None
    block.cancel()
    assert (await receive(ref))[4][0].kind == "asyncio.exceptions.CancelledError"
    assert len(crashes.texts) == 1


@on_every_loop
async def test_sleep_zero_gives_tasks_and_callbacks_their_turn() -> None:
    seen: list[int] = []
    loop = asyncio.get_running_loop()
    loop.call_soon(seen.append, 1)
    await asyncio.sleep(0)
    assert seen == [1]
    task = asyncio.create_task(asyncio.sleep(1000))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    assert task.cancelled()


# ---- tasks, queues, locks


@on_every_loop
async def test_task_groups() -> None:
    async def square(number: int) -> int:
        await asyncio.sleep(0.001)
        return number * number

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(square(number)) for number in range(10)]
    assert [task.result() for task in tasks] == [number * number for number in range(10)]


@virtual
async def test_a_task_that_fails_ends_the_group_and_the_receive_in_it() -> None:
    async def fails() -> None:
        await asyncio.sleep(1)
        raise ValueError("child")

    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.TaskGroup() as group:
            group.create_task(fails())
            await receive()
    assert [str(error) for error in caught.value.exceptions] == ["child"]
    send(self(), 1)
    assert await receive() == 1


@virtual
async def test_an_exit_inside_a_task_group_ends_its_tasks_and_is_no_crash() -> None:
    ended: list[str] = []

    async def child() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append("child")

    async def parent(how: str) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(child())
            await asyncio.sleep(0)
            if how == "itself":
                exit("why")
            await receive()

    for how in ("itself", "signal"):
        pid, ref = spawn_monitor(parent, how)
        await settled()
        if how == "signal":
            Process.exit(pid, "why")
        assert (await receive(ref))[4] == "why"
    assert ended == ["child", "child"]


@virtual
async def test_gather_shield_and_wait() -> None:
    async def after(seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    assert await asyncio.gather(after(1), after(2)) == [1, 2]
    assert await asyncio.shield(after(1)) == 1
    tasks = [asyncio.create_task(after(seconds)) for seconds in (1, 5)]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    assert (len(done), len(pending)) == (1, 1)
    assert [await one for one in asyncio.as_completed(tasks)] == [1, 5]


@on_every_loop
async def test_queues_events_locks_conditions_and_semaphores_between_processes() -> None:
    queue: asyncio.Queue[int] = asyncio.Queue(2)
    event, lock, limit = asyncio.Event(), asyncio.Lock(), asyncio.Semaphore(2)
    inside: list[int] = []
    most: list[int] = []

    async def producer() -> None:
        for number in range(10):
            await queue.put(number)

    async def worker(to: Pid) -> None:
        await event.wait()
        async with limit:
            inside.append(1)
            most.append(len(inside))
            await asyncio.sleep(0.001)
            inside.pop()
        async with lock:
            send(to, "done")

    spawn(producer)
    assert [await queue.get() for _ in range(10)] == list(range(10))
    for _ in range(6):
        spawn(worker, self())
    event.set()
    assert [await receive() for _ in range(6)] == ["done"] * 6
    assert max(most) == 2


@virtual
async def test_a_process_killed_while_it_waits_for_a_lock_does_not_keep_it() -> None:
    lock = asyncio.Lock()

    async def holder() -> None:
        async with lock:
            await receive()

    first, second = spawn(holder), spawn(holder)
    await settled()
    Process.exit(second, atom.kill)
    Process.exit(first, atom.kill)
    async with asyncio.timeout(1):
        await lock.acquire()


@virtual
async def test_the_current_task_is_the_process() -> None:
    me = current_process()
    assert asyncio.current_task() is me
    await asyncio.sleep(1)
    assert asyncio.current_task() is me
    await receive_own_message()
    assert asyncio.current_task() is me
    seen: list[Any] = []

    async def other() -> None:
        seen.append((asyncio.current_task(), current_process()))
        await asyncio.sleep(0)
        seen.append((asyncio.current_task(), current_process()))

    spawn(other)
    task = asyncio.create_task(asyncio.sleep(0))
    await task
    await settled()
    assert [task is process for task, process in seen] == [True, True]
    assert seen[0][0] is not me
    assert me is not None
    assert me.get_name() == f"process {self()}"
    me.set_name("renamed")
    assert me.get_name() == "renamed"
    assert me.get_loop() is asyncio.get_running_loop()
    assert not me.done()
    assert not me.cancelled()
    asyncio.get_running_loop().call_soon(lambda: seen.append(asyncio.current_task()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert seen[-1] is None


async def receive_own_message() -> None:
    send(self(), 1)
    await receive()


@virtual
async def test_done_callbacks() -> None:
    here = current_process()
    assert here is not None
    seen: list[Any] = []
    pid = spawn(receive)
    block = here.home.process_of(pid)
    assert block is not None
    block.add_done_callback(seen.append)
    block.add_done_callback(print)
    assert block.remove_done_callback(print) == 1
    send(pid, 1)
    await settled()
    await settled()
    assert seen == [block]
    block.add_done_callback(seen.append)
    await asyncio.sleep(0.1)
    assert seen == [block, block]


# ---- contexts


@virtual
async def test_context_variables_are_inherited_and_then_separate() -> None:
    setting: contextvars.ContextVar[str] = contextvars.ContextVar("setting")
    setting.set("parent")
    seen: list[str] = []

    async def child(name: str) -> None:
        seen.append(setting.get())
        setting.set(name)
        await asyncio.sleep(0)
        seen.append(setting.get())

    spawn(child, "one")
    spawn(child, "two")
    setting.set("changed")
    await settled()
    assert seen == ["parent", "parent", "one", "two"]
    assert setting.get() == "changed"


# ---- what cannot be awaited


class Odd:
    """Awaits something that is no future."""

    def __init__(self_, what: Any) -> None:
        self_.what = what

    def __await__(self_) -> Any:
        return (yield self_.what)


@virtual
async def test_awaiting_what_is_no_future_is_a_readable_error() -> None:
    with pytest.raises(RuntimeError, match=f"process {self()} awaited 42, which is not an asyncio future"):
        await Odd(42)
    with pytest.raises(RuntimeError, match="not an asyncio future"):
        await Odd(asyncio.get_running_loop().create_future())
    await asyncio.sleep(1)
    send(self(), "fine afterwards")
    assert await receive() == "fine afterwards"


@virtual
async def test_unless_it_is_caught_it_is_a_crash(crashes: Any) -> None:
    async def body() -> None:
        await Odd("a wish")

    _, ref = spawn_monitor(body)
    assert "awaited 'a wish'" in (await receive())[4][0].detail
    assert len(crashes.texts) == 1


@virtual
async def test_a_future_of_another_loop_is_refused() -> None:
    other = asyncio.new_event_loop()
    with pytest.raises(RuntimeError, match="belongs to another loop"):
        await other.create_future()
    other.close()


@virtual
async def test_an_exit_signal_comes_before_such_an_error() -> None:
    async def body() -> None:
        await Odd(42)

    pid, ref = spawn_monitor(body)
    spawn(lambda: Process.exit(pid, "why"))  # runs between the wait for 42 and its error
    assert (await receive(ref))[4] == "why"
