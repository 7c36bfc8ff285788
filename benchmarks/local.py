"""One node, alone: how fast are processes and messages inside it.

The peer is Erlang with one scheduler (`+S 1`), which has the one core that our node has, and does best there. What
Erlang with its default settings and asyncio on uvloop do in the same run is in the note.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from harness import Child, Row, erl, interleaved, python, python_env

PEER = "Erlang +S 1"


@dataclass(frozen=True)
class Bench:
    """key: word for the drivers; count: how many operations one run makes.

    fresh: measure ours in a new operating-system process each time, since a heap that has grown once hides what it is
    given.
    """

    key: str
    name: str
    unit: str
    count: int
    target: float | str | None
    better: str = "higher"
    fresh: bool = False


BENCHES = [
    Bench("ping_pong", "local ping-pong", "round trips/s", 300_000, 1.5),
    Bench("ring", "local ring of 1,000", "passes/s", 500_000, 1.5),
    Bench("one_way", "local one-way sends into one mailbox", "messages/s", 100_000, 1.0),
    Bench("spawn_exit", "local spawn + exit, each awaited", "processes/s", 200_000, 0.8),
    Bench("spawn_exit_batch", "local spawn + exit, 1,000 at a time", "processes/s", 200_000, None),
    Bench("idle_bytes", "idle process, all told", "bytes", 100_000, "<= 700 bytes", "lower", fresh=True),
]


def rows(quick: bool = False, only: str | None = None) -> list[Row]:
    """Measure everything whose name contains `only`."""
    chosen = [bench for bench in BENCHES if only is None or only in bench.name]
    if not chosen:
        return []
    runs = 3 if quick else 9
    with ExitStack() as stack:
        ours = stack.enter_context(start_ours())
        peer = stack.enter_context(Child(PEER, erl("bench_local", "main", "+S", "1", "+P", "1000000")))
        default = stack.enter_context(Child("Erlang", erl("bench_local", "main", "+P", "1000000")))
        loop = stack.enter_context(start_asyncio())
        return [measure(bench, runs, quick, ours, peer, default, loop) for bench in chosen]


def start_ours() -> Child:
    """A beamish node in an operating-system process of its own."""
    return Child("beamish", python("local_node.py"), python_env())


def start_asyncio() -> Child:
    """asyncio on uvloop in an operating-system process of its own."""
    return Child("asyncio", python("local_asyncio.py"), python_env())


def ask_fresh(start: Callable[[], Child], *words: object) -> float:
    """One answer of a child that has done nothing else."""
    with start() as child:
        return child.ask(*words)


def measure(bench: Bench, runs: int, quick: bool, ours: Child, peer: Child, default: Child, loop: Child) -> Row:
    """One row; the two figures for orientation are single runs after the interleaved ones."""
    count = bench.count // 5 if quick else bench.count
    ask_ours = partial(ask_fresh, start_ours) if bench.fresh else ours.ask
    ask_loop = partial(ask_fresh, start_asyncio) if bench.fresh else loop.ask
    mine, theirs = interleaved(runs, lambda: ask_ours(bench.key, count), lambda: peer.ask(bench.key, count))
    note = f"Erlang, default schedulers {default.ask(bench.key, count):,.0f}"
    note += f"; asyncio on uvloop {ask_loop(bench.key, count // 5):,.0f}"
    return Row(bench.name, bench.unit, mine, theirs, PEER, bench.target, bench.better, note)
