"""What every benchmark shares: rows, children that answer one line with one number, interleaved medians.

A child (ours or a peer) is one operating-system process that lives through the whole benchmark. It prints `ready`,
then reads lines of words on standard input and answers each with one number. Both sides are measured alternately, so
that a change in the machine's mood hits both.
"""

from __future__ import annotations

import os
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "benchmarks"
BUILD = ROOT / "build" / "bench"

ANSWER_SECONDS = 120.0
"""A child that has not answered for so long is stuck."""


class BenchError(Exception):
    """A benchmark could not be run; the message says what to do."""


@dataclass
class Row:
    """One line of the table.

    ours, peer  medians, in `unit`; None where that side cannot be measured here.
    target      a number: ratio at least this; "<= 1.4": ratio at most this; "<= 700 bytes": ours at most this;
                None: for orientation only.
    ratio       ours / peer, whichever direction is better.
    better      "higher" or "lower": which way `ours` should move.
    note        other figures of the same run, for orientation.
    """

    name: str
    unit: str
    ours: float | None
    peer: float | None
    peer_name: str
    target: float | str | None = None
    better: str = "higher"
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """ours / peer; None when either is missing."""
        return self.ours / self.peer if self.ours is not None and self.peer else None

    @property
    def met(self) -> bool | None:
        """Whether the target holds; None when there is none or nothing was measured."""
        return target_met(self.target, self.ours, self.ratio)

    def as_json(self) -> dict[str, Any]:
        """The shape of one entry of build/bench.json."""
        return {
            "name": self.name,
            "unit": self.unit,
            "ours": self.ours,
            "peer": self.peer,
            "peer_name": self.peer_name,
            "ratio": self.ratio,
            "target": self.target,
            "better": self.better,
            "met": self.met,
            "note": self.note,
        }


def target_met(target: float | str | None, ours: float | None, ratio: float | None) -> bool | None:
    """Judge one row; see `Row.target` for the three spellings. None: cannot be judged."""
    if target is None:
        return None
    if isinstance(target, str):
        sign, _, rest = target.partition(" ")
        if sign != "<=":
            raise ValueError(f"target {target!r}: write a number, '<= NUMBER' or '<= NUMBER UNIT'")
        bound, _, unit = rest.partition(" ")
        value = ours if unit else ratio
        return None if value is None else value <= float(bound)
    return None if ratio is None else ratio >= target


class Child:
    """One operating-system process that answers lines."""

    def __init__(self, name: str, argv: Sequence[str], env: dict[str, str] | None = None) -> None:
        self.name = name
        self._errors: list[str] = []
        self._process = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {})},
            cwd=ROOT,
        )
        self._drain = threading.Thread(target=self._read_errors, daemon=True)
        self._drain.start()
        first = self._line()
        if first != "ready":
            raise BenchError(f"{name}: expected 'ready', got {first!r}{self._trouble()}")

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def ask(self, *words: object) -> float:
        """Send one line and wait for the number that answers it."""
        return self.ask_all(*words)[0]

    def ask_all(self, *words: object) -> list[float]:
        """Send one line and wait for the numbers that answer it, at least one."""
        self.tell(*words)
        return self.answer(*words)

    def tell(self, *words: object) -> None:
        """Send one line. Its `answer` must be read before the next is sent."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(" ".join(map(str, words)) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it is dead; whoever reads the answer says why

    def answer(self, *words: object) -> list[float]:
        """The numbers that answer the line told last. Raises BenchError when there is none; `words` says to what."""
        line = self._line()
        try:
            numbers = [*map(float, line.split())]
        except ValueError:
            numbers = []
        if not numbers:
            raise BenchError(f"{self.name}: {' '.join(map(str, words))}: answered {line!r}{self._trouble()}")
        return numbers

    def close(self) -> None:
        """Close its standard input and wait; kill it if it stays."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                pass
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._drain.join(5)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _line(self) -> str:
        assert self._process.stdout is not None
        watchdog = threading.Timer(ANSWER_SECONDS, self._process.kill)
        watchdog.start()
        try:
            return self._process.stdout.readline().strip()
        finally:
            watchdog.cancel()

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._errors.append(line)
            del self._errors[:-40]

    def _trouble(self) -> str:
        if self._process.poll() is None:
            time.sleep(0.2)
        self._drain.join(0.5)
        tail = "".join(self._errors[-15:])
        return f"\n--- its standard error ---\n{tail}" if tail else ""


def interleaved(runs: int, *sides: Callable[[], float]) -> list[float]:
    """Measure each side once unrecorded, then `runs` times in turn; the median of each."""
    for side in sides:
        side()
    taken: list[list[float]] = [[] for _ in sides]
    for _ in range(runs):
        for side, values in zip(sides, taken, strict=True):
            values.append(side())
    return [statistics.median(values) for values in taken]


def python(script: str) -> list[str]:
    """argv of one of our drivers, under the interpreter that runs the benchmark."""
    return [sys.executable, str(HERE / "drivers" / script)]


def python_env(**more: str) -> dict[str, str]:
    """Environment in which `import beamish` finds this tree, installed or not."""
    paths = [str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, paths)), **more}


def compile_erlang(module: str) -> Path:
    """Compile benchmarks/erlang/MODULE.erl into build/bench; the folder for `erl -pa`."""
    compiler = shutil.which("erlc")
    if compiler is None:
        raise BenchError("no erlc on PATH: run scripts/system_packages.sh, or install Erlang/OTP")
    BUILD.mkdir(parents=True, exist_ok=True)
    source, beam = HERE / "erlang" / f"{module}.erl", BUILD / f"{module}.beam"
    if not beam.exists() or beam.stat().st_mtime < source.stat().st_mtime:
        subprocess.run([compiler, "-o", str(BUILD), str(source)], check=True)
    return BUILD


def erl(module: str, function: str, *flags: str) -> list[str]:
    """argv of an Erlang node that runs MODULE:FUNCTION with default settings plus `flags`."""
    folder = compile_erlang(module)
    return ["erl", *flags, "-noshell", "-pa", str(folder), "-s", module, function]


def compile_elixir(source: str) -> Path:
    """Compile benchmarks/elixir/SOURCE.ex into build/bench; the folder for `elixir -pa`."""
    compiler = shutil.which("elixirc")
    if compiler is None:
        raise BenchError("no elixirc on PATH: run scripts/system_packages.sh, or install Elixir")
    path, mark = HERE / "elixir" / f"{source}.ex", BUILD / f"{source}.ex.compiled"
    if not mark.exists() or mark.stat().st_mtime < path.stat().st_mtime:
        BUILD.mkdir(parents=True, exist_ok=True)
        subprocess.run([compiler, "-o", str(BUILD), str(path)], check=True)
        mark.touch()
    return BUILD


def elixir(source: str, expression: str, *flags: str) -> list[str]:
    """argv of an Elixir node that evaluates EXPRESSION with benchmarks/elixir/SOURCE.ex; `flags` are those of `elixir`."""
    folder = compile_elixir(source)
    return ["elixir", *flags, "-pa", str(folder), "-e", expression]


def free_port() -> int:
    """A TCP port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Epmd:
    """Erlang's own port mapper on a port of its own, so that a benchmark meets no other node. `.env` selects it."""

    def __init__(self) -> None:
        found = shutil.which("epmd")
        if found is None:
            raise BenchError("no epmd on PATH: run scripts/system_packages.sh, or install Erlang/OTP")
        self.port = free_port()
        self.env = {"ERL_EPMD_PORT": str(self.port)}
        self._process = subprocess.Popen(
            [found, "-port", str(self.port), "-address", "127.0.0.1"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    self.__exit__()
                    raise BenchError(f"epmd did not open port {self.port} within 10 s") from None
                time.sleep(0.02)

    def __enter__(self) -> Epmd:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)
