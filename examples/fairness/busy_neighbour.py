"""A process that computes, and one that answers: how long do its answers take?

    python examples/fairness/busy_neighbour.py [SECONDS]
    python examples/fairness/busy_neighbour.py 2 --no-preempt     # as it is with plain asyncio
"""

from __future__ import annotations

import asyncio
import sys
import time

import beamish
from beamish import Pid, receive, self, send, spawn


async def echo() -> None:
    """Answers everybody."""
    while True:
        sender, message = await receive()
        send(sender, message)


async def neighbour(seconds: float, parent: Pid) -> None:
    """Computes, and never awaits."""
    end, rounds = time.perf_counter() + seconds, 0
    while time.perf_counter() < end:
        rounds += sum(number * number for number in range(100))
    send(parent, "done")


async def main(seconds: float) -> None:
    """Ask once a millisecond for as long as the neighbour computes."""
    answering = spawn(echo)
    spawn(neighbour, seconds, self())
    late: list[float] = []
    while True:
        due = time.perf_counter() + 0.001
        await asyncio.sleep(0.001)
        send(answering, (self(), "ping"))
        if await receive(str) == "done":
            break
        late.append((time.perf_counter() - due) * 1000)
    late.sort()
    if not late:
        print(f"no answer in {seconds:g} s")
        return
    print(
        f"{len(late)} answers in {seconds:g} s while a neighbour computed: "
        f"p50 {late[len(late) // 2]:.2f} ms, p99 {late[len(late) * 99 // 100]:.2f} ms, worst {late[-1]:.2f} ms"
    )


if __name__ == "__main__":
    numbers = [float(word) for word in sys.argv[1:] if not word.startswith("-")]
    beamish.run(main, numbers[0] if numbers else 3.0, preempt="--no-preempt" not in sys.argv)
