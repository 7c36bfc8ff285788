"""One beamish node without distribution: our side of benchmarks/local.py. Speaks the lines of harness.Child.

Process bodies mirror erlang/bench_local.erl one to one.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import beamish
from beamish import atom, receive, send, spawn
from beamish import self as me

STOP = atom.stop
DONE = atom.done


async def pong() -> None:
    """Send every message back to the sender it names."""
    while True:
        message: Any = await receive()
        if message is STOP:
            return
        send(message[0], message[1])


async def ping_pong(count: int) -> float:
    """Round trips per second between two processes."""
    peer, mine = spawn(pong), me()
    start = time.perf_counter()
    for i in range(count):
        send(peer, (mine, i))
        await receive()
    seconds = time.perf_counter() - start
    send(peer, STOP)
    return count / seconds


async def member(following: Any) -> None:
    """Pass a number on, one smaller."""
    while True:
        message: Any = await receive()
        if message is STOP:
            send(following, STOP)
            return
        send(following, message - 1)


async def ring(count: int) -> float:
    """Passes per second round a ring of 1,000 processes, of which this is one."""
    following = me()
    for _ in range(999):
        following = spawn(member, following)
    start = time.perf_counter()
    send(following, count)
    while True:
        message: Any = await receive()
        if message <= 0:
            break
        send(following, message - 1)
    seconds = time.perf_counter() - start
    send(following, STOP)
    while await receive() is not STOP:
        pass
    return count / seconds


async def sink(count: int, parent: Any) -> None:
    """Read `count` messages, then say so."""
    for _ in range(count):
        await receive()
    send(parent, DONE)


async def one_way(count: int) -> float:
    """Messages per second into one mailbox, counted when the last has been read."""
    start = time.perf_counter()
    peer = spawn(sink, count, me())
    for i in range(count):
        send(peer, i)
    await receive()
    return count / (time.perf_counter() - start)


async def nothing() -> None:
    """A process that ends at once."""


async def report(parent: Any) -> None:
    """A process that says one word and ends."""
    send(parent, DONE)


async def spawn_exit(count: int) -> float:
    """Processes started per second, each awaited before the next."""
    mine = me()
    start = time.perf_counter()
    for _ in range(count):
        spawn(report, mine)
        await receive()
    return count / (time.perf_counter() - start)


async def spawn_exit_batch(count: int) -> float:
    """Processes started per second, a thousand at a time; the last of each thousand reports."""
    mine = me()
    start = time.perf_counter()
    for _ in range(count // 1000):
        for _ in range(999):
            spawn(nothing)
        spawn(report, mine)
        await receive()
    return count / (time.perf_counter() - start)


async def idle() -> None:
    """A process that waits."""
    await receive()


async def idle_bytes(count: int) -> float:
    """Growth of the resident set per process that waits with an empty mailbox."""
    gc.collect()
    before = resident_bytes()
    pids = [spawn(idle) for _ in range(count)]
    spawn(report, me())
    await receive()
    grown = (resident_bytes() - before) / count
    for pid in pids:
        send(pid, STOP)
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
        print(beamish.run(BENCHES[name], int(count)), flush=True)


if __name__ == "__main__":
    main()
