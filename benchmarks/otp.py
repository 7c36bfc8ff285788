"""Servers, supervisors, tasks and registries: ours against Erlang's and Elixir's.

On one node the peer has one scheduler (`+S 1`), which has the one core that our node has, and does best there. Between nodes
both sides have their default settings. Where Erlang has no counterpart (Task, Registry) the peer is Elixir. Other Python
libraries stand in the notes.
"""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from harness import BenchError, Child, Epmd, Row, elixir, erl, interleaved, python, python_env
from startup import family, resident_bytes

COOKIE = "beamish-bench"
ERLANG = "Erlang +S 1"
ELIXIR = "Elixir +S 1"
LOGS = ["-kernel", "logger", "[{handler,default,logger_std_h,#{config=>#{type=>standard_error}}}]"]
"""Crash reports go where ours go: to standard error, which the harness reads."""
SILENT = ["-kernel", "logger_level", "none"]
STORM = "messages through a tree whose workers crash"
MEMORY = "a node with 100 supervised servers, resident"


@dataclass(frozen=True)
class Bench:
    """key: word for the drivers; count: operations in one run; peer: whom to compare with.

    fresh: measure ours in a new operating-system process each time. also: other children that know the key, for the note.
    """

    key: str
    name: str
    unit: str
    count: int
    target: float | str | None
    better: str = "higher"
    peer: str = ERLANG
    fresh: bool = False
    also: tuple[str, ...] = ()


LOCAL = [
    Bench("call", "GenServer.call, typed method", "calls/s", 200_000, 1.2, also=(ELIXIR, "xoscar", "pykka")),
    Bench("call_raw", "GenServer.call, handle_call", "calls/s", 200_000, None),
    Bench("cast", "GenServer.cast, typed method", "casts/s", 500_000, None),
    Bench(
        "idle_bytes", "idle GenServer, all told", "bytes", 100_000, "<= 1200 bytes", "lower", fresh=True, also=(ELIXIR,)
    ),
    Bench("start_children", "start of supervised children", "children/s", 100_000, 0.5, fresh=True, also=(ELIXIR,)),
    Bench("child_bytes", "supervised child, all told", "bytes", 100_000, "<= 2048 bytes", "lower", fresh=True, also=(ELIXIR,)),
    Bench("restart", "restart of a crashed child, median", "us", 200, "<= 1000 us", "lower"),
    Bench("restart_silent", "restart of a crashed child, logging off, median", "us", 200, None, "lower"),
    Bench("task", "Task started and awaited", "tasks/s", 100_000, None, peer=ELIXIR),
    Bench("registry", "Registry.lookup", "look-ups/s", 500_000, None, peer=ELIXIR),
]

BETWEEN = [
    Bench("calls_1", "GenServer.call between nodes, one caller", "calls/s", 10_000, 0.9, peer="Erlang - Erlang"),
    Bench("calls_100", "GenServer.call between nodes, 100 callers", "calls/s", 40_000, 0.9, peer="Erlang - Erlang"),
    Bench("calls_1", "GenServer.call, Elixir to Python, one caller", "calls/s", 10_000, 0.9, peer="Elixir - Erlang"),
    Bench("calls_100", "GenServer.call, Elixir to Python, 100 callers", "calls/s", 40_000, 0.9, peer="Elixir - Erlang"),
]


def rows(quick: bool = False, only: str | None = None) -> list[Row]:
    """Measure everything whose name contains `only`."""

    def wanted(name: str) -> bool:
        return only is None or only in name

    runs = 3 if quick else 7
    with ExitStack() as stack:
        local = Local(stack)
        measured = [
            guarded(bench, partial(measure_local, bench, runs, quick, local)) for bench in LOCAL if wanted(bench.name)
        ]
        between = [bench for bench in BETWEEN if wanted(bench.name)]
        nodes = Nodes(stack, stack.enter_context(Epmd()).env) if between else None
        for bench in between:
            assert nodes is not None
            measured.append(guarded(bench, partial(measure_between, bench, runs, quick, nodes)))
    if wanted(STORM):
        bench = Bench("storm", STORM, "messages/s", 1_000_000, None)
        measured.append(guarded(bench, partial(measure_storm, bench, quick)))
    if wanted(MEMORY):
        bench = Bench("memory", MEMORY, "MB", 100, "<= 60 MB", "lower", peer="Elixir")
        measured.append(guarded(bench, partial(measure_memory, bench, 1 if quick else 3)))
    return measured


def guarded(bench: Bench, measure: Callable[[], Row]) -> Row:
    """The row, or an empty one that says why."""
    try:
        return measure()
    except BenchError as error:
        return Row(bench.name, bench.unit, None, None, bench.peer, bench.target, bench.better, f"failed: {error}")


class Local:
    """Everything that lives alone, started when first wanted; `stack` closes it."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._running: dict[str, Child] = {}

    def get(self, name: str) -> Child:
        """The child of that name."""
        if name not in self._running:
            self._running[name] = self._stack.enter_context(self.start(name))
        return self._running[name]

    def start(self, name: str) -> Child:
        """A new child of that name, which the caller closes."""
        scheduler = ["+S", "1", "+P", "1000000"]
        if name == "beamish":
            return Child(name, python("otp_node.py"), python_env())
        if name == ERLANG:
            return Child(name, erl("bench_otp", "main", *scheduler, *LOGS))
        if name == ELIXIR:
            return Child(name, elixir("bench_otp", "BenchOtp.main()", "--erl", " ".join(scheduler)))
        return Child(name, python(f"otp_{name}.py"), python_env())

    def forget(self) -> None:
        """Start anew what is wanted next: one of the children has failed."""
        self._running.clear()

    def fresh(self, name: str, *words: object) -> float:
        """One answer of a child that has done nothing else."""
        with self.start(name) as child:
            return child.ask(*words)


def measure_local(bench: Bench, runs: int, quick: bool, local: Local) -> Row:
    """One row; the figures for orientation are single runs after the interleaved ones."""
    count = bench.count // 5 if quick else bench.count
    peer = local.get(bench.peer)
    if bench.fresh:
        runs = min(runs, 5)
        ask_ours = partial(local.fresh, "beamish")
    else:
        ask_ours = local.get("beamish").ask
    note = []
    try:
        mine, theirs = interleaved(runs, lambda: ask_ours(bench.key, count), lambda: peer.ask(bench.key, count))
        ours: float | None = mine
    except BenchError as error:
        local.forget()
        (theirs,) = interleaved(runs, lambda: local.get(bench.peer).ask(bench.key, count))
        ours = None
        note.append(f"ours failed: {error}")
    for name in bench.also:
        try:
            note.append(f"{name} {local.get(name).ask(bench.key, count // (1 if name == ELIXIR else 5)):,.0f}")
        except BenchError as error:
            local.forget()
            missing = "No module named" in str(error)
            note.append(f"{name} is not installed" if missing else f"{name} not measured: {error}")
    return Row(bench.name, bench.unit, ours, theirs, bench.peer, bench.target, bench.better, "; ".join(note))


class Nodes:
    """Nodes of three languages, started when first wanted; `stack` closes them."""

    def __init__(self, stack: ExitStack, env: dict[str, str]) -> None:
        self._stack = stack
        self._env = env
        self._running: dict[tuple[str, str], Child] = {}

    def get(self, language: str, role: str) -> tuple[Child, str]:
        """The child and its node name; language: Erlang, Elixir (role main only) or beamish; role: serve or main."""
        name = f"bench_{language.lower()}_{role}@127.0.0.1"
        if (language, role) not in self._running:
            match language:
                case "Erlang":
                    flags = ["-start_epmd", "false", "-hidden", "-name", name, "-setcookie", COOKIE]
                    argv, env = erl("bench_otp_cluster", role, *flags), self._env
                case "Elixir":
                    flags = ["--erl", "-start_epmd false", "--hidden", "--name", name, "--cookie", COOKIE]
                    argv, env = elixir("bench_otp", "BenchOtp.main()", *flags), self._env
                case _:
                    argv = [*python("otp_cluster_node.py"), role, name]
                    env = python_env(BENCH_COOKIE=COOKIE, **self._env)
            self._running[language, role] = self._stack.enter_context(Child(name, argv, env))
        return self._running[language, role], name


def measure_between(bench: Bench, runs: int, quick: bool, nodes: Nodes) -> Row:
    """One row. The peer's server is Erlang's; its caller is named first in `peer`, and asks ours, too, unless it is Erlang."""
    count = bench.count // 5 if quick else bench.count
    language = bench.peer.partition(" ")[0]
    theirs, erlang_server = nodes.get(language, "main")[0], nodes.get("Erlang", "serve")[1]
    ours, our_server = (
        nodes.get("beamish", "main")[0] if language == "Erlang" else theirs,
        nodes.get("beamish", "serve")[1],
    )
    mine, peer = interleaved(
        runs,
        lambda: ours.ask(bench.key, count, our_server),
        lambda: theirs.ask(bench.key, count, erlang_server),
    )
    note = ""
    if language == "Elixir":
        erlang = nodes.get("Erlang", "main")[0].ask(bench.key, count, erlang_server)
        note = f"Erlang - Erlang {erlang:,.0f}"
    return Row(bench.name, bench.unit, mine, peer, bench.peer, bench.target, bench.better, note)


def measure_storm(bench: Bench, quick: bool) -> Row:
    """Another seed each time. A storm that breaks a rule ends its child, and the row says which."""
    count = bench.count // 10 if quick else bench.count
    failures: list[float] = []
    with ExitStack() as stack:
        ours = stack.enter_context(Child("beamish", [*python("otp_storm.py"), "serve"], python_env()))
        peer = stack.enter_context(Child(ERLANG, erl("bench_storm", "main", "+S", "1", *SILENT)))
        seeds = {ours.name: iter(range(1, 100)), peer.name: iter(range(1, 100))}

        def once(child: Child) -> float:
            rate, failed, restarts = child.ask_all("storm", count, next(seeds[child.name]))
            if child is ours:
                failures.append(failed)
                failures.append(restarts)
            return rate

        mine, theirs = interleaved(1 if quick else 3, lambda: once(ours), lambda: once(peer))
    note = f"nothing lost in {len(failures) // 2} storms of {count:,} messages with {sum(failures[::2]):,.0f} crashes and kills"
    note += f" and {sum(failures[1::2]):,.0f} restarts"
    return Row(bench.name, bench.unit, mine, theirs, ERLANG, bench.target, bench.better, note)


def measure_memory(bench: Bench, runs: int) -> Row:
    """Resident megabytes (10^6 bytes) of each node's processes, helpers included."""
    with Epmd() as epmd:
        name = "bench_memory_{}@127.0.0.1"
        ours = [*python("memory_node.py"), name.format("beamish")]
        env = python_env(BENCH_COOKIE=COOKIE, **epmd.env)
        sides = [partial(weigh, ours, env)]
        if shutil.which("elixir"):
            flags = ["--erl", "-start_epmd false", "--name", name.format("elixir"), "--cookie", COOKIE]
            sides.append(partial(weigh, elixir("bench_otp", "BenchOtp.memory()", *flags), dict(epmd.env)))
        taken = [[side() for _ in range(runs)] for side in sides]
    mine, theirs = [*map(statistics.median, taken), None][:2]
    return Row(bench.name, bench.unit, mine, theirs, "Elixir", bench.target, bench.better)


def weigh(argv: list[str], env: dict[str, str]) -> float:
    """Start a node and weigh it when it is ready."""
    with Child(argv[0], argv, env) as child:
        return sum(map(resident_bytes, family(child.pid))) / 1e6
