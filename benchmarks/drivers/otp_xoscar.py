"""xoscar, actors on asyncio, for orientation. Speaks the lines of harness.Child; knows "call COUNT". Needs `pip install xoscar`."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import xoscar


class Counter(xoscar.Actor):  # type: ignore[misc]
    """One integer."""

    def __init__(self) -> None:
        self.count = 0

    def increment(self, by: int) -> int:
        """Add, and answer the sum."""
        self.count += by
        return self.count


class Caller(xoscar.Actor):  # type: ignore[misc]
    """Calls from inside the pool, where a call is cheapest."""

    async def measure(self, counter: Any, count: int) -> float:
        """Calls per second, one after the other."""
        counter = await xoscar.actor_ref(counter)  # the local kind of reference, which sends nothing through sockets
        start = time.perf_counter()
        for _ in range(count):
            await counter.increment(1)
        return count / (time.perf_counter() - start)


async def main() -> None:
    """Answer lines until standard input ends."""
    pool = await xoscar.create_actor_pool("127.0.0.1", n_process=0)
    async with pool:
        counter = await xoscar.create_actor(Counter, address=pool.external_address)
        caller = await xoscar.create_actor(Caller, address=pool.external_address)
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(await caller.measure(counter, int(line.split()[1])), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
