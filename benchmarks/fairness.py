"""Does a process that computes starve the others? Echo, timers and sockets of one node while a neighbour of theirs computes.

The peer is Erlang with one scheduler (`+S 1`), which preempts; what asyncio on uvloop and pykka do in the same run is in the
notes. A figure is the median, over the runs, of that run's 99th percentile; medians and maxima are in the notes, too.
"""

from __future__ import annotations

import os
import socket
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from functools import partial

from harness import HERE, BenchError, Child, Row, erl, python, python_env

PEER = "Erlang +S 1"
SOCKET_SECONDS = 60.0
"""A TCP echo that takes longer is an error."""


@dataclass(frozen=True)
class Figures:
    """Of many times taken: milliseconds; how many; and the units of work that the hog did meanwhile."""

    median: float
    p99: float
    maximum: float
    count: float
    units: float = 0.0

    def __str__(self) -> str:
        text = f"p50 {self.median:.3g}, p99 {self.p99:.3g}, max {self.maximum:.3g} ms of {self.count:,.0f}"
        return text + (f", hog {self.units:,.0f}" if self.units else "")


@dataclass(frozen=True)
class Bench:
    """ours, peer: the words to the driver, without the seconds; also: (child, words) for the note."""

    name: str
    ours: str
    peer: str
    target: str | None
    also: tuple[tuple[str, str], ...] = ()
    default_peer: bool = False


BENCHES = [
    Bench(
        "echo each ms beside a Python hog, p99",
        "echo 1 python",
        "echo 1 python",
        "<= 6 ms",
        (("beamish, no hog", "echo 1 none"), ("asyncio", "echo 1 python"), ("pykka", "echo 1 python")),
    ),
    Bench(
        "echo back to back beside a Python hog, p99",
        "echo 0 python",
        "echo 0 python",
        "<= 6 ms",
        (("beamish, no hog", "echo 0 none"), ("asyncio", "echo 0 python"), ("pykka", "echo 0 python")),
    ),
    Bench("echo each ms beside a server that computes, p99", "echo 1 server", "echo 1 python", "<= 6 ms"),
    Bench(
        "echo each ms beside a dirty hog, p99",
        "echo 1 dirty",
        "echo 1 python",
        "<= 15 ms",
        (("asyncio, hog in a thread", "echo 1 thread"),),
    ),
    Bench(
        "echo each ms beside an offloaded hog, p99",
        "echo 1 offload",
        "echo 1 python",
        None,
        (("asyncio, hog in a process pool", "echo 1 pool"),),
        default_peer=True,
    ),
    Bench(
        "echo due each ms beside a Python hog, p99",
        "due 1 python",
        "due 1 python",
        "<= 6 ms",
        (("beamish, no hog", "due 1 none"),),
    ),
    Bench("timers beside a Python hog, late, p99", "timers python", "timers python", "<= 6 ms"),
]
TCP = "TCP echo each ms beside a Python hog, p99"
WORK = "work of two hogs, preempted"
HOGS, UNITS, WORK_RUNS = 2, 4_000, 15
"""How many compute side by side, how much each does in one run, and how many runs of a fraction of a second."""


def rows(quick: bool = False, only: str | None = None) -> list[Row]:
    """Measure everything whose name contains `only`."""
    runs, seconds = (1, 1.0) if quick else (3, 5.0)
    names = [*(bench.name for bench in BENCHES), TCP, WORK]
    wanted = {name for name in names if only is None or only in name}
    if not wanted:
        return []
    with ExitStack() as stack:
        children = Children(stack)
        measured = [
            guarded(children, bench.name, "ms", bench.target, partial(measure, bench, runs, seconds, children))
            for bench in BENCHES
            if bench.name in wanted
        ]
        if TCP in wanted:
            measured.append(guarded(children, TCP, "ms", "<= 6 ms", partial(measure_tcp, runs, seconds, children)))
        if WORK in wanted:
            measured.append(guarded(children, WORK, "units/s", 0.95, partial(measure_work, quick, children)))
    return measured


def guarded(
    children: Children, name: str, unit: str, target: float | str | None, measure_row: Callable[[], Row]
) -> Row:
    """The row, or an empty one that says why; the next row starts its children anew then."""
    try:
        return measure_row()
    except BenchError as error:
        children.forget()
        return Row(name, unit, None, None, PEER, target, "lower", f"failed: {error}")


class Children:
    """Every side, started when first wanted; `stack` closes them."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._running: dict[str, Child] = {}

    def get(self, name: str) -> Child:
        """The child of that name; what follows a comma only describes the work."""
        kind = name.partition(",")[0]
        if kind not in self._running:
            env = driver_env()
            match kind:
                case "beamish":
                    child = Child(kind, python("fairness_node.py"), env)
                case "asyncio":
                    child = Child(kind, python("fairness_asyncio.py"), env)
                case "pykka":
                    child = Child(kind, python("fairness_pykka.py"), env)
                case "Erlang":
                    child = Child(kind, erl("bench_fairness", "main"))
                case _:
                    child = Child(kind, erl("bench_fairness", "main", "+S", "1"))
            self._running[kind] = self._stack.enter_context(child)
        return self._running[kind]

    def forget(self) -> None:
        """Start anew what is wanted next: one of the children has failed."""
        self._running.clear()

    def figures(self, name: str, words: str, seconds: float) -> Figures:
        """Ask once."""
        return Figures(*self.get(name).ask_all(*words.split(), seconds))


def driver_env() -> dict[str, str]:
    """Environment in which the workers of a pool find the work, too."""
    env = python_env()
    return {**env, "PYTHONPATH": os.pathsep.join([env["PYTHONPATH"], str(HERE / "drivers")])}


def alternated(runs: int, *sides: Callable[[], Figures]) -> list[Figures]:
    """Each side in turn; the medians of their figures."""
    taken: list[list[Figures]] = [[] for _ in sides]
    for _ in range(runs):
        for side, values in zip(sides, taken, strict=True):
            values.append(side())
    return [
        Figures(*(statistics.median(getattr(value, field.name) for value in values) for field in fields(Figures)))
        for values in taken
    ]


def measure(bench: Bench, runs: int, seconds: float, children: Children) -> Row:
    """One row; the figures for orientation are single runs after the interleaved ones."""
    peer = "Erlang" if bench.default_peer else PEER
    for child, words in (("beamish", bench.ours), (peer, bench.peer)):
        children.figures(child, words, 0.5)  # unrecorded
    mine, theirs = alternated(
        runs,
        lambda: children.figures("beamish", bench.ours, seconds),
        lambda: children.figures(peer, bench.peer, seconds),
    )
    note = [f"ours {mine}", f"{peer} {theirs}"]
    for child, words in bench.also:
        try:
            note.append(f"{child} {children.figures(child, words, seconds)}")
        except BenchError as error:
            children.forget()
            note.append(f"{child} not measured: {str(error).splitlines()[0]}")
    return Row(bench.name, "ms", mine.p99, theirs.p99, peer, bench.target, "lower", "; ".join(note))


def measure_tcp(runs: int, seconds: float, children: Children) -> Row:
    """The asker is this process, so that its clock is neither side's."""
    sides = [partial(ask_socket, children.get(name), seconds) for name in ("beamish", PEER)]
    mine, theirs = alternated(runs, *sides)
    return Row(TCP, "ms", mine.p99, theirs.p99, PEER, "<= 6 ms", "lower", f"ours {mine}; {PEER} {theirs}")


def ask_socket(child: Child, seconds: float) -> Figures:
    """Ask a TCP echo each millisecond while its neighbour computes."""
    child.tell("tcp", "python", seconds)
    port = int(child.answer("tcp")[0])
    taken = []
    with socket.create_connection(("127.0.0.1", port), SOCKET_SECONDS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        deadline = time.perf_counter() + seconds * 0.96
        while time.perf_counter() < deadline:
            start = time.perf_counter_ns()
            connection.sendall(b"ping")
            if not connection.recv(4096):
                raise BenchError(f"{child.name} closed the connection while it was asked")
            taken.append(time.perf_counter_ns() - start)
            time.sleep(0.001)
    return replace(figures_of(taken), units=child.answer("tcp")[0])


def figures_of(taken: Sequence[int]) -> Figures:
    """Of nanoseconds."""
    ordered = sorted(taken)
    ranks = (len(ordered) // 2, min(len(ordered) * 99 // 100, len(ordered) - 1), -1)
    return Figures(*(ordered[rank] / 1e6 for rank in ranks), count=len(ordered))


def measure_work(quick: bool, children: Children) -> Row:
    """Two processes that compute, taking turns because they are preempted, beside the same two one after the other.

    The best of many short runs, for a few percent would drown in what else the machine does.
    """
    units = UNITS // 4 if quick else UNITS
    child = children.get("beamish")
    sides = [(HOGS, ""), (HOGS, "nopreempt"), (1, ""), (1, "nopreempt")]
    wall: list[list[float]] = [[] for _ in sides]
    processor: list[list[float]] = [[] for _ in sides]
    for _ in range(3 if quick else WORK_RUNS):
        for index, (hogs, how) in enumerate(sides):
            per_second, per_processor_second = child.ask_all("work", hogs, units, how)
            wall[index].append(per_second)
            processor[index].append(per_processor_second)
    on, off, alone, alone_off = map(max, wall)
    busy = [*map(max, processor)]
    note = f"per second of the processor, on / off {busy[0] / busy[1]:.3f}; "
    note += f"one hog alone, on / off {alone / alone_off:.3f}, per second of the processor {busy[2] / busy[3]:.3f}"
    return Row(WORK, "units/s", on, off, "preempt off", 0.95, "higher", note)
