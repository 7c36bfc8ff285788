"""Nobody starves: not processes beside a busy one, nor timers and sockets beside busy processes."""

from __future__ import annotations

import asyncio
import socket
import time

from beamish.process import Process, receive, self, send, spawn
from beamish.term import Pid, atom
from loops import on_real_loops, virtual


@on_real_loops
async def test_two_busy_receivers_share() -> None:
    done: list[str] = []
    turns: list[str] = []

    async def busy(name: str, count: int) -> None:
        for _ in range(count):
            await receive()
            if not turns or turns[-1] != name:
                turns.append(name)
        done.append(name)

    count = 20_000
    first, second = spawn(busy, "first", count), spawn(busy, "second", count)
    for number in range(count):
        send(first, number)
        send(second, number)
    while len(done) < 2:
        await asyncio.sleep(0)
    assert len(turns) >= 10, "they took turns"
    assert abs(turns.count("first") - turns.count("second")) <= 1


@on_real_loops
async def test_a_process_that_keeps_itself_busy_lets_others_run() -> None:
    async def talks_to_itself() -> None:
        while True:
            send(self(), 1)
            await receive()

    pid = spawn(talks_to_itself)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    Process.exit(pid, atom.kill)


@on_real_loops
async def test_looking_without_waiting_lets_others_run_too() -> None:
    stop: list[int] = []

    async def polls() -> None:
        while not stop:
            try:
                await receive(timeout=0)
            except TimeoutError:
                pass

    spawn(polls)
    await asyncio.sleep(0)
    stop.append(1)


@on_real_loops
async def test_timers_come_through_a_flood() -> None:
    async def ping(peer: Pid) -> None:
        while True:
            send(peer, self())
            await receive()

    async def pong() -> None:
        while True:
            send(await receive(), None)

    pids = [spawn(pong) for _ in range(20)]
    pids += [spawn(ping, pid) for pid in pids]
    started = time.monotonic()
    for _ in range(5):
        await asyncio.sleep(0.01)
    assert time.monotonic() - started < 2.0
    for pid in pids:
        Process.exit(pid, atom.kill)


@on_real_loops
async def test_sockets_come_through_a_flood() -> None:
    async def busy() -> None:
        while True:
            send(self(), 1)
            await receive()

    pids = [spawn(busy) for _ in range(10)]
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    loop = asyncio.get_running_loop()
    started = time.monotonic()
    for _ in range(10):
        await loop.sock_sendall(near, b"x")
        assert await loop.sock_recv(far, 1) == b"x"
    assert time.monotonic() - started < 3.0
    for pid in pids:
        Process.exit(pid, atom.kill)
    near.close()
    far.close()


@on_real_loops
async def test_slow_steps_do_not_add_up_before_the_loop_has_its_turn() -> None:
    """Each step takes five milliseconds; a timer must not wait for dozens of them."""

    async def slow() -> None:
        while True:
            peer = await receive()
            time.sleep(0.005)
            send(peer, self())

    pids = [spawn(slow) for _ in range(40)]
    for first, second in zip(pids[::2], pids[1::2], strict=True):
        send(first, second)
        send(second, first)
    loop = asyncio.get_running_loop()
    came: asyncio.Future[float] = loop.create_future()
    started = time.monotonic()
    loop.call_later(0.001, lambda: came.set_result(time.monotonic() - started))
    assert await came < 0.15
    for pid in pids:
        Process.exit(pid, atom.kill)


@virtual
async def test_sleep_zero_lets_every_other_process_run_once() -> None:
    order: list[str] = []

    async def worker(name: str) -> None:
        for number in range(3):
            order.append(f"{name}{number}")
            await asyncio.sleep(0)

    for name in "abc":
        spawn(worker, name)
    for _ in range(5):
        await asyncio.sleep(0)
    assert order == ["a0", "b0", "c0", "a1", "b1", "c1", "a2", "b2", "c2"]


@virtual
async def test_processes_and_tasks_run_beside_each_other() -> None:
    order: list[str] = []

    async def worker(name: str) -> None:
        for _ in range(50):
            order.append(name)
            await asyncio.sleep(0)

    task = asyncio.create_task(worker("task"))
    spawn(worker, "process")
    await task
    middle = order[: order.index("task") + 60]
    assert {"task", "process"} <= set(middle)


@virtual
async def test_a_thousand_processes_in_a_ring() -> None:
    async def member(peer: Pid | None) -> None:
        while True:
            count = await receive()
            if isinstance(count, Pid):
                peer = count
            elif count:
                assert peer is not None
                send(peer, count - 1)
            else:
                send(end, "round")

    end = self()
    first = last = spawn(member, None)
    for _ in range(999):
        last = spawn(member, last)
    send(first, last)
    send(last, 5000)
    assert await receive() == "round"
