"""asyncio tasks and queues on uvloop, for orientation: what Python programs do today. Speaks the lines of
harness.Child."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop

Queue = asyncio.Queue[Any]


async def ping_pong(count: int) -> float:
    """Round trips per second between two tasks with a queue each."""
    there: Queue = asyncio.Queue()
    back: Queue = asyncio.Queue()

    async def pong() -> None:
        while (message := await there.get()) is not None:
            back.put_nowait(message)

    task = asyncio.create_task(pong())
    start = time.perf_counter()
    for i in range(count):
        there.put_nowait((back, i))
        await back.get()
    seconds = time.perf_counter() - start
    there.put_nowait(None)
    await task
    return count / seconds


async def ring(count: int) -> float:
    """Passes per second round a ring of 1,000 tasks."""
    queues: list[Queue] = [asyncio.Queue() for _ in range(1000)]
    done = asyncio.get_running_loop().create_future()

    async def member(mine: Queue, following: Queue) -> None:
        while (n := await mine.get()) is not None:
            if n > 0:
                following.put_nowait(n - 1)
            elif not done.done():
                done.set_result(None)

    tasks = [asyncio.create_task(member(queues[i], queues[(i + 1) % 1000])) for i in range(1000)]
    await asyncio.sleep(0)
    start = time.perf_counter()
    queues[0].put_nowait(count)
    await done
    seconds = time.perf_counter() - start
    for queue in queues:
        queue.put_nowait(None)
    await asyncio.gather(*tasks)
    return count / seconds


async def one_way(count: int) -> float:
    """Messages per second into one queue, counted when the last has been read."""
    queue: Queue = asyncio.Queue()

    async def sink() -> None:
        for _ in range(count):
            await queue.get()

    start = time.perf_counter()
    task = asyncio.create_task(sink())
    for i in range(count):
        queue.put_nowait(i)
    await task
    return count / (time.perf_counter() - start)


async def nothing() -> None:
    """A task that ends at once."""


async def spawn_exit(count: int) -> float:
    """Tasks started, each awaited before the next, per second."""
    start = time.perf_counter()
    for _ in range(count):
        await asyncio.create_task(nothing())
    return count / (time.perf_counter() - start)


async def spawn_exit_batch(count: int) -> float:
    """Tasks started a thousand at a time, per second."""
    start = time.perf_counter()
    for _ in range(count // 1000):
        for _ in range(999):
            asyncio.create_task(nothing())  # noqa: RUF006  the loop holds a task that is ready
        await asyncio.create_task(nothing())
    return count / (time.perf_counter() - start)


async def idle_bytes(count: int) -> float:
    """Growth of the resident set per task that waits on its own queue."""
    gc.collect()
    before = resident_bytes()
    queues: list[Queue] = [asyncio.Queue() for _ in range(count)]
    tasks = [asyncio.create_task(queue.get()) for queue in queues]
    await asyncio.sleep(0)
    grown = (resident_bytes() - before) / count
    for queue in queues:
        queue.put_nowait(None)
    await asyncio.gather(*tasks)
    return grown


def resident_bytes() -> int:
    """Resident set of this process, in bytes (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


BENCHES: dict[str, Callable[[int], Awaitable[float]]] = {
    function.__name__: function for function in (ping_pong, ring, one_way, spawn_exit, spawn_exit_batch, idle_bytes)
}


def main() -> None:
    """Answer lines until standard input ends."""
    print("ready", flush=True)
    for line in sys.stdin:
        name, count = line.split()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            print(runner.run(_await(BENCHES[name](int(count)))), flush=True)


async def _await(work: Awaitable[float]) -> float:
    return await work


if __name__ == "__main__":
    main()
