"""One of two beamish nodes with a GenServer: our side of benchmarks/otp.py between nodes. Speaks the lines of harness.Child.

    otp_cluster_node.py serve NAME    registers the server bench_counter, stays until standard input ends
    otp_cluster_node.py main NAME     answers lines "bench count target-node"

erlang/bench_otp_cluster.erl mirrors this, and either language can be at either end.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import beamish
from beamish import atom, demonitor, receive, send, spawn_monitor
from beamish import self as me
from beamish.gen_server import GenServer, call


class Counter(GenServer):
    """One integer."""

    def init(self, count: int) -> None:
        self.count = count

    @call
    def increment(self, by: int = 1) -> int:
        self.count += by
        return self.count


async def calls(node: str, count: int) -> None:
    """`count` calls, one after the other."""
    counter = Counter.at(("bench_counter", node))
    for _ in range(count):
        await counter.increment(1)


async def calls_1(count: int, node: str) -> float:
    """Calls per second, one caller."""
    start = time.perf_counter()
    await calls(node, count)
    return count / (time.perf_counter() - start)


async def calls_100(count: int, node: str) -> float:
    """Calls per second, 100 callers at once."""
    start = time.perf_counter()
    for _ in range(100):
        spawn_monitor(calls, node, count // 100)
    for _ in range(100):
        _, _, _, _, reason = await receive((atom.DOWN, ..., ..., ..., ...))
        if reason is not atom.normal:
            raise RuntimeError(f"a caller ended with {reason}")
    return count // 100 * 100 / (time.perf_counter() - start)


BENCHES: dict[str, Callable[[int, str], Awaitable[float]]] = {
    function.__name__: function for function in (calls_1, calls_100)
}


async def serve() -> None:
    """Be the other side until standard input ends."""
    await Counter.start(0, name="bench_counter")
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)


async def answer() -> None:
    """Answer lines until standard input ends."""
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        name, count, node = line.split()
        parent = me()

        async def work(name: str = name, count: str = count, node: str = node, parent: Any = parent) -> None:
            send(parent, (atom.result, await BENCHES[name](int(count), node)))

        _, ref = spawn_monitor(work)
        match await receive():
            case (atom.result, value):
                demonitor(ref, flush=True)
                print(value, flush=True)
            case (atom.DOWN, _, _, _, reason):
                print(f"{name}: {reason}", file=sys.stderr, flush=True)
                raise SystemExit(1)


def main() -> None:
    """Start the node in the wanted role."""
    role, name = sys.argv[1:]
    beamish.run({"serve": serve, "main": answer}[role], name=name, cookie=os.environ["BENCH_COOKIE"], hidden=True)


if __name__ == "__main__":
    main()
