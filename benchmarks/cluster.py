"""Two nodes, two operating-system processes, one machine, loopback TCP: ours against Erlang with its default settings.

Both pairs speak the same messages (drivers/cluster_node.py mirrors erlang/bench_cluster.erl). The last row has an
Erlang caller on both sides: it calls `math:sqrt/1` in an Erlang node and in ours.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from harness import BenchError, Child, Epmd, Row, erl, interleaved, python, python_env

PEER = "Erlang - Erlang"
COOKIE = "beamish-bench"


@dataclass(frozen=True)
class Bench:
    """key: word for the drivers; count: operations in one run; caller: which side asks in our measurement."""

    key: str
    name: str
    unit: str
    count: int
    target: float | str | None
    better: str = "higher"
    erlang_caller: bool = False


BENCHES = [
    Bench("ping_pong", "two nodes, ping-pong, median", "us", 10_000, "<= 1.4", "lower"),
    Bench("one_way", "two nodes, one-way small messages", "messages/s", 200_000, 0.8),
    Bench("calls_100", "two nodes, request/reply, 100 callers", "calls/s", 40_000, 1.0),
    Bench("binaries", "two nodes, 1 MiB binaries", "GiB/s", 1_000, 0.4),
    Bench("erpc", "erpc:call from Erlang, math:sqrt", "calls/s", 10_000, 0.8, erlang_caller=True),
]


def rows(quick: bool = False, only: str | None = None) -> list[Row]:
    """Measure everything whose name contains `only`."""
    chosen = [bench for bench in BENCHES if only is None or only in bench.name]
    if not chosen:
        return []
    runs = 3 if quick else 7
    with ExitStack() as stack:
        epmd = stack.enter_context(Epmd())
        nodes = Nodes(stack, epmd.env)
        return [measure(bench, runs, quick, nodes) for bench in chosen]


class Nodes:
    """Two Erlang nodes and two of ours, started when first wanted; `stack` closes them."""

    def __init__(self, stack: ExitStack, env: dict[str, str]) -> None:
        self._stack = stack
        self._env = env
        self._running: dict[tuple[str, str], Child] = {}

    def get(self, language: str, role: str) -> tuple[Child, str]:
        """The child and its node name; language: erlang or beamish, role: serve or main."""
        key = (language, role)
        name = f"bench_{language}_{role}@127.0.0.1"
        if key not in self._running:
            if language == "erlang":
                flags = ["-start_epmd", "false", "-hidden", "-name", name, "-setcookie", COOKIE]
                child = Child(name, erl("bench_cluster", role, *flags), self._env)
            else:
                env = python_env(BENCH_COOKIE=COOKIE, **self._env)
                child = Child(name, [*python("cluster_node.py"), role, name], env)
            self._running[key] = self._stack.enter_context(child)
        return self._running[key], name


def measure(bench: Bench, runs: int, quick: bool, nodes: Nodes) -> Row:
    """One row; a side that cannot be measured is None, with the reason in the note."""
    count = bench.count // 5 if quick else bench.count
    erlang, erlang_server = nodes.get("erlang", "main")[0], nodes.get("erlang", "serve")[1]
    try:
        beamish_server = nodes.get("beamish", "serve")[1]
        caller = erlang if bench.erlang_caller else nodes.get("beamish", "main")[0]
        mine, theirs = interleaved(
            runs,
            lambda: caller.ask(bench.key, count, beamish_server),
            lambda: erlang.ask(bench.key, count, erlang_server),
        )
    except BenchError as error:
        (theirs,) = interleaved(runs, lambda: nodes.get("erlang", "main")[0].ask(bench.key, count, erlang_server))
        return Row(bench.name, bench.unit, None, theirs, PEER, bench.target, bench.better, f"ours failed: {error}")
    return Row(bench.name, bench.unit, mine, theirs, PEER, bench.target, bench.better)
