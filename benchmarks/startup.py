"""How long until a shell can be typed into, and what a node with a shell weighs. `iex` in the same run, for
orientation.

Warm: every file has been read at least once (the unrecorded first run sees to it). The prompt is looked for in what a
terminal would show; a cursor-position question is answered as a terminal would answer it.
"""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from harness import BenchError, Epmd, Row, interleaved, python_env

PROMPT_SECONDS = 30.0
COMMAND = "import sys; from beamish.cli import main; sys.exit(main())"
"""What the installed `beamish` does, without needing to be installed."""

CONTROL = re.compile(rb"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|\x1b[@-_]|[\x00-\x08\x0e-\x1f]")
OURS_PROMPT = re.compile(rb"beamish\([^)]*\)1>")
IEX_PROMPT = re.compile(rb"iex\([^)]*\)1>")


def rows(quick: bool = False, only: str | None = None) -> list[Row]:
    """Seconds to the first prompt, and resident megabytes of the whole process tree at that prompt."""
    names = ("shell to prompt, warm", "a node with shell, resident")
    if only is not None and not any(only in name for name in names):
        return []
    runs = 3 if quick else 7
    iex = shutil.which("iex")
    with Epmd() as epmd:
        # Warm means that bytecode is cached, as it is where nobody has switched that off.
        env = python_env(**epmd.env, TERM="xterm-256color", PYTHONDONTWRITEBYTECODE="")
        ours = Shell([sys.executable, "-c", COMMAND, "shell", "--name", "bench_shell@127.0.0.1"], OURS_PROMPT, env)
        peer = Shell([iex or "iex", "--name", "bench_iex@127.0.0.1"], IEX_PROMPT, env)
        sides = [ours, peer] if iex else [ours]
        note = ""
        try:
            seconds: list[float | None] = [*interleaved(runs, *(side.start_once for side in sides)), None][:2]
        except BenchError as error:
            seconds, note = [None, None], str(error)
        megabytes = [statistics.median(side.resident) if side.resident else None for side in (ours, peer)]
    return [
        Row(names[0], "s", seconds[0], seconds[1], "iex", "<= 0.4 s", "lower", note),
        Row(names[1], "MB", megabytes[0], megabytes[1], "iex", "<= 60 MB", "lower", note),
    ]


class Shell:
    """A command that ends in a prompt; `resident` collects one figure per start, in megabytes (10^6 bytes)."""

    def __init__(self, argv: Sequence[str], prompt: re.Pattern[bytes], env: dict[str, str]) -> None:
        self.argv = list(argv)
        self.prompt = prompt
        self.env = {**os.environ, **env}
        self.resident: list[float] = []

    def start_once(self) -> float:
        """Start it on a terminal of its own; seconds until the prompt. The process is ended afterwards."""
        start = time.perf_counter()
        pid, terminal = pty.fork()
        if pid == 0:
            try:
                os.execvpe(self.argv[0], self.argv, self.env)
            finally:
                os._exit(127)
        try:
            seen = self._until_prompt(terminal, start)
            if seen is None:
                raise BenchError(f"{' '.join(self.argv)}: no prompt within {PROMPT_SECONDS:.0f} s")
            seconds = time.perf_counter() - start
            self.resident.append(sum(map(resident_bytes, family(pid))) / 1e6)
            return seconds
        finally:
            end(pid)
            os.close(terminal)

    def _until_prompt(self, terminal: int, start: float) -> bytes | None:
        raw = b""
        answered = 0
        while time.perf_counter() - start < PROMPT_SECONDS:
            if not select.select([terminal], [], [], 0.5)[0]:
                continue
            try:
                raw += os.read(terminal, 65536)
            except OSError:
                raise BenchError(
                    f"{' '.join(self.argv)}: ended before its prompt:\n{raw.decode(errors='replace')}"
                ) from None
            while raw.count(b"\x1b[6n") > answered:
                os.write(terminal, b"\x1b[1;1R")
                answered += 1
            if self.prompt.search(CONTROL.sub(b"", raw)):
                return raw
        return None


def end(pid: int) -> None:
    """End a process that we started and that leads its own session; wait until it is gone."""
    wait_or(pid, lambda: os.killpg(pid, signal.SIGTERM), 2.0)
    wait_or(pid, lambda: os.killpg(pid, signal.SIGKILL), 10.0)


def wait_or(pid: int, act: Callable[[], None], seconds: float) -> None:
    """Act, then wait for the process to be reaped, at most so long."""
    try:
        act()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if os.waitpid(pid, os.WNOHANG)[0]:
                return
            time.sleep(0.01)
    except (ProcessLookupError, ChildProcessError):
        pass


def family(pid: int) -> list[int]:
    """The process and its descendants (Linux)."""
    children = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        children += [int(child) for child in task.read_text().split()]
    return [pid, *(member for child in children for member in family(child))]


def resident_bytes(pid: int) -> int:
    """Resident set in bytes (Linux); 0 for a process that has just ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (FileNotFoundError, ProcessLookupError):
        return 0
