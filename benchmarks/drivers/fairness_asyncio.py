"""asyncio on uvloop, whose neighbours compute: what Python programs do today. Speaks the lines of harness.Child.

    echo PACE HOG SECONDS    as drivers/fairness_node.py

HOG: none, python (a task), thread (asyncio.to_thread), pool (a process pool).
"""

from __future__ import annotations

import asyncio
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import uvloop
from fairness_work import compute, figures

Queue = asyncio.Queue[Any]


async def echo(questions: Queue) -> None:
    """Put every message into the queue it names."""
    while True:
        back, message = await questions.get()
        back.put_nowait(message)


async def hog(kind: str, seconds: float) -> int:
    """Compute in the wanted place."""
    match kind:
        case "python":
            return compute(seconds)
        case "thread":
            return await asyncio.to_thread(compute, seconds)
        case "pool":
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                return await asyncio.get_running_loop().run_in_executor(pool, compute, seconds)
        case "none":
            await asyncio.sleep(seconds)
            return 0
        case _:
            raise ValueError(f"no hog is called {kind}; known: none, python, thread, pool")


async def measure_echo(pace: float, kind: str, seconds: float) -> str:
    """Ask from the moment the hog has been started until it is over."""
    there: Queue = asyncio.Queue()
    back: Queue = asyncio.Queue()
    server = asyncio.create_task(echo(there))
    await asyncio.sleep(0)
    neighbour = asyncio.create_task(hog(kind, seconds))
    taken = []
    while not neighbour.done():
        start = time.perf_counter_ns()
        there.put_nowait((back, start))
        await back.get()
        taken.append(time.perf_counter_ns() - start)
        if pace:
            await asyncio.sleep(pace / 1000)
    server.cancel()
    return figures(taken, await neighbour)


def main() -> None:
    """Answer lines until standard input ends."""
    print("ready", flush=True)
    for line in sys.stdin:
        _, pace, kind, seconds = line.split()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            print(runner.run(measure_echo(float(pace), kind, float(seconds))), flush=True)


if __name__ == "__main__":
    main()
