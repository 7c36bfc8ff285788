"""One of two beamish nodes: our side of benchmarks/cluster.py. Speaks the lines of harness.Child.

    cluster_node.py serve NAME    registers bench_echo and bench_sink, stays until standard input ends
    cluster_node.py main NAME     answers lines "bench count target-node"

Process bodies mirror erlang/bench_cluster.erl one to one, and either language can be at either end.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import beamish
from beamish import atom, demonitor, monitor, receive, send, spawn, spawn_monitor
from beamish import self as me

NOTE = (atom.note, 1, b"twenty bytes of text")


async def echo() -> None:
    """Answer pings, calls and whoami."""
    while True:
        match await receive():
            case (atom.call, caller, tag, message):
                send(caller, (tag, message))
            case (atom.whoami, caller):
                send(caller, (atom.iam, me()))
            case (caller, message):
                send(caller, message)


async def sink() -> None:
    """Read everything; say so when asked to count."""
    while True:
        match await receive():
            case (atom.count, caller, count):
                send(caller, (atom.counted, count))
            case (atom.whoami, caller):
                send(caller, (atom.iam, me()))


async def pid_of(name: str, node: str) -> Any:
    """The pid registered under `name` on `node`, over the wire."""
    send((atom(name), atom(node)), (atom.whoami, me()))
    _, pid = await receive((atom.iam, ...), timeout=10.0)
    return pid


async def ping_pong(count: int, node: str) -> float:
    """Median round trip in microseconds."""
    peer, mine = await pid_of("bench_echo", node), me()
    taken = []
    for i in range(count):
        start = time.perf_counter_ns()
        send(peer, (mine, i))
        await receive()
        taken.append(time.perf_counter_ns() - start)
    return statistics.median(taken) / 1000


async def one_way(count: int, node: str) -> float:
    """Small messages per second, counted when the last has arrived."""
    return await _flood(await pid_of("bench_sink", node), NOTE, count, burst=256)


async def binaries(count: int, node: str) -> float:
    """GiB per second of 1 MiB binaries, counted when the last has arrived."""
    return await _flood(await pid_of("bench_sink", node), b"\x07" * (1 << 20), count, burst=1) / 1024


async def _flood(peer: Any, message: Any, count: int, burst: int) -> float:
    """Erlang stops a sender that is too fast anywhere; ours rests where it awaits, so it awaits after each `burst`."""
    start = time.perf_counter()
    for i in range(count):
        send(peer, message)
        if i % burst == 0:
            await asyncio.sleep(0)
    send(peer, (atom.count, me(), count))
    await receive((atom.counted, count))
    return count / (time.perf_counter() - start)


async def calls(peer: Any, count: int) -> None:
    """`count` calls, each with a monitor, as GenServer calls are."""
    mine = me()
    for i in range(count):
        ref = monitor(peer)
        send(peer, (atom.call, mine, ref, i))
        tag, _ = await receive((ref, ...))
        assert tag == ref
        demonitor(ref, flush=True)


async def calls_100(count: int, node: str) -> float:
    """Calls per second with 100 callers at once."""
    peer = await pid_of("bench_echo", node)
    start = time.perf_counter()
    for _ in range(100):
        spawn_monitor(calls, peer, count // 100)
    for _ in range(100):
        _, _, _, _, reason = await receive((atom.DOWN, ..., ..., ..., ...))
        if reason is not atom.normal:
            raise RuntimeError(f"a caller ended with {reason}")
    return count // 100 * 100 / (time.perf_counter() - start)


BENCHES: dict[str, Callable[[int, str], Awaitable[float]]] = {
    function.__name__: function for function in (ping_pong, one_way, calls_100, binaries)
}


async def serve() -> None:
    """Be the other side until standard input ends."""
    spawn(echo, name="bench_echo")
    spawn(sink, name="bench_sink")
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
