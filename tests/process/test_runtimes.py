"""Several nodes in one interpreter, and what leaves a node."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from beamish.node.runtime import NO_NODE, ProcessFailed, Runtime, current_runtime
from beamish.process import (
    Process,
    current_process,
    exit,
    monitor,
    receive,
    register,
    registered,
    self,
    send,
    spawn,
    spawn_monitor,
)
from beamish.term import Atom, Pid, atom
from beamish.testing import VirtualClockLoop, flush
from loops import LOOPS, LoopFactory, on_every_loop, virtual


async def idle() -> None:
    while True:
        await receive()


@on_every_loop
async def test_two_runtimes_in_one_loop_share_nothing() -> None:
    one, two = Runtime(atom("one@host")), Runtime(atom("two@host"))

    async def body(name: str) -> tuple[Atom, list[Atom], int]:
        register("service", self())
        Process.put("key", name)
        await asyncio.sleep(0.001)
        assert asyncio.current_task() is current_process()
        assert current_runtime().node is atom(name)
        return self().node, registered(), len(Process.list())

    first = asyncio.create_task(one.run(body, "one@host"))
    second = asyncio.create_task(two.run(body, "two@host"))
    assert await first == (atom("one@host"), [atom.service], 1)
    assert await second == (atom("two@host"), [atom.service], 1)
    await one.stop()
    await two.stop()


@virtual
async def test_a_pid_of_another_runtime_is_not_reached_without_a_connection() -> None:
    other = Runtime(atom("other@host"))
    stranger = other.spawn(idle)
    send(stranger, "lost")
    ref = monitor(stranger)
    assert await receive(timeout=0) == (atom.DOWN, ref, atom.process, stranger, atom.noconnection)
    Process.exit(stranger, atom.kill)
    block = other.process_of(stranger)
    assert block is not None
    assert block.details["queue"] == 0
    await other.stop()


@virtual
async def test_nodes_without_a_name_do_not_mix_up_their_pids() -> None:
    other = Runtime(NO_NODE)
    twins = [other.spawn(idle) for _ in range(5)]
    mine = [spawn(idle) for _ in range(4)]
    assert twins[1] == mine[0], "the same node name, number and creation"
    send(twins[1], "not for mine")
    current_runtime().send(twins[1], "not for mine")
    Process.exit(twins[1], atom.kill)
    assert Process.info(mine[0], "message_queue_len") == 0
    assert Process.alive(mine[0])
    await other.stop()


@virtual
async def test_a_runtime_may_be_driven_from_a_process_of_another() -> None:
    other = Runtime(atom("other@host"))
    seen: list[Any] = []

    async def body() -> None:
        seen.append(self().node)
        seen.append(await receive())
        seen.append(self().node)

    pid = other.spawn(body)
    other.send(pid, "hello")
    assert self().node is NO_NODE
    await asyncio.sleep(0.01)
    assert seen == [atom("other@host"), "hello", atom("other@host")]
    assert self().node is NO_NODE
    await other.stop()


@pytest.mark.parametrize("factory", LOOPS.values(), ids=LOOPS)
def test_two_runtimes_in_two_threads(factory: LoopFactory) -> None:
    results: dict[str, Any] = {}

    async def pong() -> None:
        while True:
            sender, number = await receive()
            send(sender, number)

    async def body(name: str) -> int:
        total = 0
        pid = spawn(pong)
        for number in range(3000):
            send(pid, (self(), number))
            total += await receive()
            if number % 100 == 0:
                await asyncio.sleep(0.0001)
            assert self().node is atom(name)
        return total

    def work(name: str) -> None:
        async def main() -> Any:
            runtime = Runtime(atom(name))
            try:
                return await runtime.run(body, name)
            finally:
                await runtime.stop()

        with asyncio.Runner(loop_factory=factory) as runner:
            results[name] = runner.run(main())

    threads = [threading.Thread(target=work, args=(f"node{number}@host",)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert results == {f"node{number}@host": sum(range(3000)) for number in range(3)}


# ---- run and stop


@virtual
async def test_run_gives_the_result_or_raises_the_exception() -> None:
    runtime = Runtime(atom("other@host"))

    async def returns(value: int) -> int:
        return value

    async def fails() -> None:
        raise ValueError("of the function")

    assert await runtime.run(returns, 5) == 5
    assert await runtime.run(lambda: 6) == 6
    with pytest.raises(ValueError, match="of the function") as caught:
        await runtime.run(fails)
    assert any(entry.name == "fails" for entry in caught.traceback)
    with pytest.raises(ProcessFailed, match="with reason why") as failed:
        await runtime.run(exit, atom.why)
    assert failed.value.reason is atom.why
    await runtime.stop()


@virtual
async def test_a_run_whose_process_is_killed_or_exits_in_a_group() -> None:
    runtime = current_runtime()

    async def kills_itself() -> None:
        Process.exit(self(), atom.kill)

    async def in_a_group() -> None:
        async with asyncio.TaskGroup():
            exit("why")

    with pytest.raises(ProcessFailed) as failed:
        await runtime.run(kills_itself)
    assert failed.value.reason is atom.killed
    with pytest.raises(ProcessFailed) as failed:
        await runtime.run(in_a_group)
    assert failed.value.reason == "why"


@virtual
async def test_cancelling_a_run_kills_its_process() -> None:
    runtime = current_runtime()
    cleaned: list[int] = []

    async def body() -> None:
        try:
            await receive()
        finally:
            cleaned.append(1)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await runtime.run(body, name="body")
    assert cleaned == [1]
    assert runtime.process_count == 1


@virtual
async def test_run_with_a_name_that_is_taken() -> None:
    from beamish.errors import NameTaken

    register("taken", self())
    with pytest.raises(NameTaken):
        await current_runtime().run(idle, name="taken")


@virtual
async def test_stop_ends_every_process_and_can_be_called_twice() -> None:
    runtime = Runtime(atom("other@host"))
    cleaned: list[int] = []

    async def body(number: int) -> None:
        try:
            await (receive() if number % 2 else asyncio.sleep(1000))
        finally:
            cleaned.append(number)

    for number in range(10):
        runtime.spawn(body, number)
    never_run = runtime.spawn
    await asyncio.sleep(0.01)
    never_run(body, 99)
    hooks: list[str] = []

    async def hook(name: str) -> None:
        hooks.append(name)

    runtime.stopping += [lambda: hook("first"), lambda: hook("second")]
    await runtime.stop()
    await runtime.stop()
    assert hooks == ["second", "first"]
    assert sorted(cleaned) == list(range(10))
    assert runtime.process_count == 0
    assert runtime.closed
    assert runtime.stopped.done()


@virtual
async def test_a_node_may_be_stopped_from_inside() -> None:
    runtime = Runtime(atom("other@host"))
    seen: list[Any] = []

    async def body() -> None:
        task = asyncio.get_running_loop().create_task(runtime.stop())
        seen.append(task)
        await receive()

    runtime.spawn(body)
    await asyncio.sleep(0.01)
    assert runtime.closed
    assert seen[0].done()


# ---- what leaves the loop


@pytest.mark.parametrize("factory", LOOPS.values(), ids=LOOPS)
@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit])
def test_keyboard_interrupt_and_system_exit_pass_out_of_the_loop(factory: LoopFactory, ending: type[BaseException]) -> None:
    told: list[Any] = []

    async def ends() -> None:
        raise ending(3)

    async def main() -> None:
        runtime = Runtime()

        async def watcher() -> None:
            _, ref = spawn_monitor(ends)
            told.append(await receive(ref))

        runtime.spawn(watcher)
        await asyncio.sleep(10)

    loop = factory()
    try:
        with pytest.raises(ending):
            loop.run_until_complete(main())
        loop.run_until_complete(asyncio.sleep(0.01))
        assert told[0][4][0].kind == f"builtins.{ending.__name__}"
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
    finally:
        loop.close()


@pytest.mark.parametrize("how", ["exit", "kill"])
def test_they_pass_out_of_a_clean_up_too(how: str) -> None:
    async def clumsy() -> None:
        try:
            await receive()
        finally:
            raise KeyboardInterrupt

    async def main() -> None:
        runtime = Runtime()

        async def ender(pid: Pid) -> None:
            Process.exit(pid, atom.kill if how == "kill" else "why")

        pid = runtime.spawn(clumsy)
        await asyncio.sleep(0.01)
        runtime.spawn(ender, pid)
        await asyncio.sleep(10)

    loop = VirtualClockLoop()
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(main())
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


@virtual
async def test_counters() -> None:
    runtime = current_runtime()
    spawned, exited, messages = runtime.spawned, runtime.exited, runtime.messages
    for _ in range(10):
        spawn(receive_one)
    pids = Process.list()[1:]
    for pid in pids:
        send(pid, 1)
    await asyncio.sleep(0.01)
    assert (runtime.spawned - spawned, runtime.exited - exited, runtime.messages - messages) == (10, 10, 10)
    assert runtime.ready_count == 0
    assert runtime.slot_bytes > 0
    assert await flush() == []


async def receive_one() -> None:
    await receive()
