"""One beamish node without distribution, with servers and supervisors: our side of benchmarks/otp.py. Speaks the lines of
harness.Child.

erlang/bench_otp.erl mirrors this, and elixir/bench_otp.ex where Elixir has what Erlang has not.
"""

from __future__ import annotations

import gc
import logging
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import beamish
from beamish import atom, receive, send
from beamish import self as me
from beamish.gen_server import GenServer, call, cast
from beamish.registry import Registry
from beamish.supervisor import DynamicSupervisor, Supervisor
from beamish.task import Task

ENDLESS = 1_000_000_000


class Counter(GenServer):
    """One integer, through typed methods and through a raw callback."""

    def init(self, count: int) -> None:
        self.count = count

    @call
    def increment(self, by: int = 1) -> int:
        self.count += by
        return self.count

    @call
    def value(self) -> int:
        return self.count

    @cast
    def add(self, by: int) -> None:
        self.count += by

    def handle_call(self, request: Any, from_: Any) -> Any:
        match request:
            case (atom.raw_increment, by):
                self.count += by
                return self.count


class Announcer(GenServer):
    """Says that it is there; crashes when told to."""

    def init(self, asker: Any) -> None:
        send(asker, (atom.up, self.pid))

    @call
    def value(self) -> int:
        return 0

    @cast
    def crash(self) -> None:
        raise RuntimeError("crash")


async def call_typed(count: int) -> float:
    """Calls of a typed method per second, one after the other."""
    counter = await Counter.start(0)
    start = time.perf_counter()
    for _ in range(count):
        await counter.increment(1)
    seconds = time.perf_counter() - start
    assert await counter.value() == count
    return count / seconds


async def call_raw(count: int) -> float:
    """Calls to `handle_call` per second, one after the other."""
    pid = (await Counter.start(0)).pid
    start = time.perf_counter()
    for _ in range(count):
        await GenServer.call(pid, (atom.raw_increment, 1))
    return count / (time.perf_counter() - start)


async def cast_typed(count: int) -> float:
    """Casts per second, a thousand at a time, each thousand ended by a call."""
    counter = await Counter.start(0)
    start = time.perf_counter()
    for _ in range(count // 1000):
        for _ in range(1000):
            counter.add(1)
        await counter.value()
    seconds = time.perf_counter() - start
    assert await counter.value() == count
    return count / seconds


async def idle_bytes(count: int) -> float:
    """Growth of the resident set per server that waits, with one integer as its state."""
    await Counter.start(0)
    gc.collect()
    before = resident_bytes()
    for i in range(count):
        await Counter.start(i)
    return (resident_bytes() - before) / count


async def start_children(count: int) -> float:
    """Supervised children started per second, one after the other."""
    supervisor = await DynamicSupervisor.start_link()
    start = time.perf_counter()
    for i in range(count):
        await DynamicSupervisor.start_child(supervisor, (Counter, i))
    return count / (time.perf_counter() - start)


async def child_bytes(count: int) -> float:
    """Growth of the resident set per supervised child."""
    supervisor = await DynamicSupervisor.start_link()
    await DynamicSupervisor.start_child(supervisor, (Counter, 0))
    gc.collect()
    before = resident_bytes()
    for i in range(count):
        await DynamicSupervisor.start_child(supervisor, (Counter, i))
    return (resident_bytes() - before) / count


async def restart(count: int) -> float:
    """Median microseconds from the message that crashes a child until the next one has answered a call."""
    await Supervisor.start_link([(Announcer, me())], strategy="one_for_one", max_restarts=count + 1, max_seconds=5)
    _, child = await receive((atom.up, ...))
    taken = []
    for _ in range(count):
        start = time.perf_counter_ns()
        Announcer.at(child).crash()
        _, child = await receive((atom.up, ...))
        await Announcer.at(child).value()
        taken.append(time.perf_counter_ns() - start)
    return statistics.median(taken) / 1000


async def restart_silent(count: int) -> float:
    """The same with logging switched off."""
    logging.disable()
    try:
        return await restart(count)
    finally:
        logging.disable(logging.NOTSET)


async def task(count: int) -> float:
    """Tasks started and awaited per second, one after the other."""

    async def work(value: int) -> int:
        return value

    start = time.perf_counter()
    for i in range(count):
        await Task.async_(work, i)
    return count / (time.perf_counter() - start)


async def registry(count: int) -> float:
    """Look-ups per second among 1,000 unique keys."""
    await Registry.start_link(keys="unique", name="bench_registry")
    for key in range(1000):
        Registry.register("bench_registry", key, None)
    start = time.perf_counter()
    for i in range(count):
        Registry.lookup("bench_registry", i % 1000)
    return count / (time.perf_counter() - start)


def resident_bytes() -> int:
    """Resident set of this process, in bytes (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


BENCHES: dict[str, Callable[[int], Awaitable[float]]] = {
    "call": call_typed,
    "call_raw": call_raw,
    "cast": cast_typed,
    "idle_bytes": idle_bytes,
    "start_children": start_children,
    "child_bytes": child_bytes,
    "restart": restart,
    "restart_silent": restart_silent,
    "task": task,
    "registry": registry,
}


def main() -> None:
    """Answer lines until standard input ends."""
    logging.basicConfig(level=logging.INFO)  # crashes are logged on standard error, as Erlang's are
    print("ready", flush=True)
    for line in sys.stdin:
        name, count = line.split()
        print(beamish.run(BENCHES[name], int(count)), flush=True)


if __name__ == "__main__":
    main()
