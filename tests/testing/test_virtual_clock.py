from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from beamish.process import receive, self, send, send_after, spawn
from beamish.testing import Stuck, VirtualClockLoop, run_on, run_virtual
from loops import now, virtual


@pytest.fixture
def loop() -> Iterator[VirtualClockLoop]:
    made = VirtualClockLoop()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _nothing_takes_long() -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < 5


def test_sleeping_takes_no_time_and_is_exact(loop: VirtualClockLoop) -> None:
    assert loop.time() == 0
    for seconds in (0.1, 0.2, 0.3, 3600.0, 86400.0 * 30):
        before = loop.time()
        loop.run_until_complete(asyncio.sleep(seconds))
        assert loop.time() == before + seconds


def test_sleepers_wake_in_the_order_of_their_times(loop: VirtualClockLoop) -> None:
    woken: list[tuple[float, int]] = []

    async def sleeper(number: int, seconds: float) -> None:
        await asyncio.sleep(seconds)
        woken.append((loop.time(), number))

    async def main() -> None:
        await asyncio.gather(*(sleeper(number, 10.0 - number) for number in range(10)))

    loop.run_until_complete(main())
    assert woken == [(10.0 - number, number) for number in reversed(range(10))]


def test_timeouts(loop: VirtualClockLoop) -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await asyncio.Event().wait()
        async with asyncio.timeout(30):
            await asyncio.sleep(29)

    loop.run_until_complete(main())
    assert loop.time() == 59


def test_a_cancelled_timer_moves_no_time(loop: VirtualClockLoop) -> None:
    loop.call_later(1000, pytest.fail).cancel()
    loop.run_until_complete(asyncio.sleep(1))
    assert loop.time() == 1


def test_callbacks_that_are_ready_come_before_any_jump(loop: VirtualClockLoop) -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_later(1, pytest.fail)
        for _ in range(1000):
            await asyncio.sleep(0)

    loop.run_until_complete(main())
    assert loop.time() == 0


def test_the_clock_stands_while_a_thread_works(loop: VirtualClockLoop) -> None:
    async def main() -> None:
        async with asyncio.timeout(0.01):
            assert await asyncio.to_thread(lambda: time.sleep(0.2) or 7) == 7
        assert loop.threads_at_work == 0
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)

    loop.run_until_complete(main())
    assert loop.time() == 0
    assert loop.threads_at_work == 0


def test_a_thread_wakes_a_loop_without_timers(loop: VirtualClockLoop) -> None:
    async def main() -> str:
        future: asyncio.Future[str] = loop.create_future()
        timer = threading.Timer(0.1, loop.call_soon_threadsafe, (future.set_result, "woken"))
        timer.start()
        result = await future
        timer.join()
        return result

    assert loop.run_until_complete(main()) == "woken"
    assert loop.time() == 0


def test_sockets_are_asked_before_the_clock_jumps(loop: VirtualClockLoop) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()
        await writer.wait_closed()
        closed.set()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        async with asyncio.timeout(0.001):
            for number in range(50):
                writer.write(b"%d\n" % number)
                assert await reader.readline() == b"%d\n" % number
        writer.close()
        await writer.wait_closed()
        await closed.wait()
        server.close()
        await server.wait_closed()
        assert loop.time() == 0

    closed = asyncio.Event()
    loop.run_until_complete(main())


def test_silent_sockets_do_not_stop_the_clock(loop: VirtualClockLoop) -> None:
    near, far = socket.socketpair()
    near.setblocking(False)

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await loop.sock_recv(near, 1)

    loop.run_until_complete(main())
    assert loop.time() == 60
    near.close()
    far.close()


def test_advancing_by_hand(loop: VirtualClockLoop) -> None:
    seen: list[float] = []

    async def main() -> None:
        loop.call_later(5, lambda: seen.append(loop.time()))
        loop.advance(8)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    loop.run_until_complete(main())
    assert seen == [8]
    with pytest.raises(ValueError, match="backwards"):
        loop.advance(-1)


def test_a_loop_in_which_nothing_can_happen_says_so() -> None:
    loop = VirtualClockLoop(patience=0.1)

    async def main() -> None:
        await asyncio.Event().wait()

    task = loop.create_task(main())
    with pytest.raises(Stuck, match=r"nothing has happened for 0\.1 s"):
        loop.run_until_complete(task)
    task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


# ---- run_virtual


def test_run_virtual_gives_the_result_of_a_process() -> None:
    async def add(one: int, two: int) -> int:
        send_after(100, self(), one + two)
        result: int = await receive()
        return result

    assert run_virtual(add, 1, 2) == 3


def test_run_virtual_raises_what_the_process_raises() -> None:
    async def fails() -> None:
        await asyncio.sleep(1)
        raise LookupError("lost")

    with pytest.raises(LookupError, match="lost"):
        run_virtual(fails)


def test_run_virtual_ends_a_run_that_does_not_end() -> None:
    async def waits() -> None:
        await receive()

    with pytest.raises(TimeoutError, match="still running after 10 s"):
        run_virtual(waits, limit=10)

    async def ticks() -> None:
        while True:
            await asyncio.sleep(1)

    with pytest.raises(TimeoutError, match="still running after 3600 s"):
        run_virtual(ticks)


def test_a_timeout_of_the_process_itself_passes_through() -> None:
    async def times_out() -> None:
        await receive(timeout=1)

    with pytest.raises(TimeoutError, match="no wanted message"):
        run_virtual(times_out)


def test_run_on_a_real_loop() -> None:
    async def body() -> float:
        await asyncio.sleep(0.01)
        return now()

    assert run_on(asyncio.new_event_loop, body) > 0


@virtual
async def test_processes_and_tasks_share_the_clock() -> None:
    async def sleeper(seconds: float, to: object) -> None:
        await asyncio.sleep(seconds)
        send(to, now())

    spawn(sleeper, 5, self())
    task = asyncio.create_task(asyncio.sleep(3))
    await task
    assert now() == 3
    assert await receive() == 5


def test_the_same_run_twice_is_the_same() -> None:
    def once() -> list[tuple[float, int]]:
        events: list[tuple[float, int]] = []

        async def worker(number: int) -> None:
            for step in range(20):
                try:
                    await receive(timeout=(number * 7 + step * 3) % 11 / 10)
                except TimeoutError:
                    events.append((now(), number))

        async def main() -> None:
            for number in range(20):
                spawn(worker, number)
            await asyncio.sleep(60)

        run_virtual(main)
        return events

    first = once()
    assert len(first) > 100
    assert first == once()
