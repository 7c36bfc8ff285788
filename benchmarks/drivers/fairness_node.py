"""One beamish node whose neighbours compute: our side of benchmarks/fairness.py. Speaks the lines of harness.Child.

    echo PACE HOG SECONDS [nopreempt]    one process asks another; median, p99, maximum of the round trip in ms, how many,
                                         and the hog's units of work
    due PACE HOG SECONDS                 the same, but from the moment when the question was due, however late the asker woke
    timers HOG SECONDS                   the same five of how late a timer of 5 ms fires
    tcp HOG SECONDS                      answers the port of a TCP echo; then, when SECONDS are over, the hog's units of work
    work HOGS UNITS [nopreempt]          units of work per second that HOGS processes do together, each UNITS; and per
                                         second of the processor

PACE: milliseconds between an answer and the next question. HOG: none, python (a process that computes), server (a GenServer
whose callback computes), dirty (a dirty process), offload (on another core).
Asker, echo and hog are three processes of one node, and the asker holds the clock.
erlang/bench_fairness.erl mirrors this.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from fairness_work import compute, figures, grind

import beamish
from beamish import atom, receive, send, send_after, spawn
from beamish import self as me
from beamish.gen_server import GenServer, cast

DONE = atom.done
TICK = atom.tick
TIMER_SECONDS = 0.005


async def echo() -> None:
    """Send every message back to the sender it names."""
    while True:
        sender, message = await receive()
        send(sender, message)


async def hog(parent: Any, seconds: float) -> None:
    """Compute, then say how much."""
    send(parent, (DONE, compute(seconds)))


def dirty_hog(parent: Any, seconds: float) -> None:
    """The same as a plain function."""
    send(parent, (DONE, compute(seconds)))


class Server(GenServer):
    """The same in a callback."""

    @cast
    def work(self, parent: Any, seconds: float) -> None:
        send(parent, (DONE, compute(seconds)))


async def offloading_hog(parent: Any, seconds: float) -> None:
    """The same on another core."""
    send(parent, (DONE, await beamish.offload(compute, seconds)))


async def quiet(parent: Any, seconds: float) -> None:
    """No hog at all."""
    await asyncio.sleep(seconds)
    send(parent, (DONE, 0))


async def start_hog(kind: str, seconds: float) -> None:
    """Start a neighbour that sends `(done, units)` to the current process when it is over."""
    match kind:
        case "python":
            spawn(hog, me(), seconds)
        case "server":
            (await Server.start()).work(me(), seconds)
        case "dirty":
            spawn(dirty_hog, me(), seconds, dirty=True)
        case "offload":
            await beamish.offload(compute, 0.01)  # a worker that has started is what is measured
            spawn(offloading_hog, me(), seconds)
        case "none":
            spawn(quiet, me(), seconds)
        case _:
            raise ValueError(f"no hog is called {kind}; known: none, python, server, dirty, offload")


async def measure_echo(pace: float, kind: str, seconds: float, from_due: bool) -> str:
    """Ask from the moment the hog has been started until it is over."""
    peer, mine = spawn(echo), me()
    await start_hog(kind, seconds)
    taken = []
    units = None
    due = time.perf_counter_ns()
    while units is None:
        start = due if from_due else time.perf_counter_ns()
        send(peer, (mine, start))
        while (answer := await receive()) != start:
            _, units = answer
        now = time.perf_counter_ns()
        taken.append(now - start)
        due = now + round(pace * 1e6)
        if pace:
            await asyncio.sleep(pace / 1000)
    return figures(taken, units)


async def measure_timers(kind: str, seconds: float) -> str:
    """Set one timer after the other until the hog is over."""
    await start_hog(kind, seconds)
    mine = me()
    taken = []
    units = None
    while units is None:
        due = time.perf_counter_ns() + round(TIMER_SECONDS * 1e9)
        send_after(TIMER_SECONDS, mine, TICK)
        while (message := await receive()) is not TICK:
            _, units = message
        taken.append(time.perf_counter_ns() - due)
    return figures(taken, units)


async def measure_tcp(kind: str, seconds: float) -> str:
    """Echo on the node's own loop; the hog starts with the first connection."""
    connected = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        while data := await reader.read(4096):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await connected.wait()
    await start_hog(kind, seconds)
    _, units = await receive((DONE, ...))
    server.close()
    return str(units)


async def measure_work(hogs: int, units: int) -> str:
    """Let several compute side by side."""

    async def work(parent: Any) -> None:
        grind(units)
        send(parent, DONE)

    start, processor = time.perf_counter(), time.process_time()
    for _ in range(hogs):
        spawn(work, me())
    for _ in range(hogs):
        await receive(DONE)
    done = hogs * units
    return f"{done / (time.perf_counter() - start)} {done / (time.process_time() - processor)}"


def answer(words: list[str]) -> str:
    """The answer to one line."""
    options: dict[str, Any] = {}
    if words[-1] == "nopreempt":
        options["preempt"] = False
        words.pop()
    match words:
        case ["echo" | "due" as start, pace, kind, seconds]:
            result = beamish.run(measure_echo, float(pace), kind, float(seconds), start == "due", **options)
        case ["timers", kind, seconds]:
            result = beamish.run(measure_timers, kind, float(seconds), **options)
        case ["tcp", kind, seconds]:
            result = beamish.run(measure_tcp, kind, float(seconds), **options)
        case ["work", hogs, units]:
            result = beamish.run(measure_work, int(hogs), int(units), **options)
        case _:
            raise ValueError(f"cannot read {words}")
    return str(result)


def main() -> None:
    """Answer lines until standard input ends."""
    print("ready", flush=True)
    for line in sys.stdin:
        print(answer(line.split()), flush=True)


if __name__ == "__main__":
    main()
