"""`beamish …` as a user types it inside a fresh project: for the tests of new, run, test and check."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from pathlib import Path

COMMAND = [sys.executable, "-c", "import sys; from beamish.cli import main; sys.exit(main())"]
PATIENCE = 60.0


class Folder:
    """A folder in which commands are run."""

    def __init__(self, root: Path, **environ: str) -> None:
        self.root = root
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("BEAMISH_", "RELEASE_"))}
        quiet = {"PYTHONDONTWRITEBYTECODE": "1", "PYTEST_ADDOPTS": "-p no:cacheprovider"}
        self.environ = {**kept, "HOME": str(root), **quiet, **environ}

    def below(self, name: str) -> Folder:
        """A folder in this one."""
        made = Folder(self.root / name)
        made.environ = self.environ
        return made

    def beamish(self, *arguments: str, source: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [*COMMAND, *arguments], cwd=self.root, env={**self.environ, **environ}, input=source, capture_output=True, text=True,
            timeout=PATIENCE, check=False,
        )  # fmt: skip

    def start(self, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        """Start a command; what it says is read from stderr."""
        return subprocess.Popen(
            [*COMMAND, *arguments], cwd=self.root, env={**self.environ, **environ}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def replace(self, path: str, old: str, new: str) -> None:
        """Edit a file."""
        file = self.root / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """What a command says on stderr, up to the line that holds a text."""
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if text in line:
            return said
    raise AssertionError(f"{text!r} was not said, but: {said}")


class Lines:
    """What a command says on stderr, read beside the test."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.queue: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, args=(process,), daemon=True).start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            self.queue.put(line)

    def within(self, seconds: float) -> str:
        """The next line, "" if there is none in that time."""
        try:
            return self.queue.get(timeout=seconds)
        except queue.Empty:
            return ""
