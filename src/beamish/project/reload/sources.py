"""The project's sources: what they said when they were loaded, and which loaded modules they belong to."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Final

SKIPPED: Final = frozenset(
    ("__pycache__", "site-packages", "node_modules", "build", "dist", "venv", "env")
)
"""Folders without sources of the project; neither have those whose name starts with a dot."""


def is_source(path: str, root: Path) -> bool:
    """Whether a file is Python of the project."""
    if not path.endswith(".py"):
        return False
    try:
        parts = Path(path).relative_to(root).parts
    except ValueError:
        return False
    return not any(part in SKIPPED or part.startswith(".") for part in parts[:-1])


def folders(root: Path) -> Iterator[str]:
    """A folder and those below it that may hold sources."""
    for folder, names, _ in os.walk(root):
        names[:] = [name for name in names if name not in SKIPPED and not name.startswith(".")]
        yield folder


def python_files(root: Path) -> Iterator[str]:
    """Every source below a folder."""
    for folder in folders(root):
        yield from (entry.path for entry in os.scandir(folder) if entry.name.endswith(".py") and entry.is_file())


class Sources:
    """Texts by file, as they were at the start or when they were last taken in."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.texts: dict[str, str] = {}
        self._places: dict[str, str | None] = {}
        for path in python_files(self.root):
            text = read(path)
            if text is not None:
                self.texts[path] = text

    def changed(self, paths: Iterable[str]) -> dict[str, str]:
        """Those of the files whose text differs from what is known, with the new text."""
        found = {}
        for path in {os.path.realpath(path) for path in paths}:
            text = read(path)
            if text is not None and text != self.texts.get(path):
                found[path] = text
        return found

    def modules(self) -> dict[str, ModuleType]:
        """The loaded modules of the project by file."""
        found = {}
        for module in list(sys.modules.values()):
            file = getattr(module, "__file__", None)
            path = self._place(file) if isinstance(file, str) else None
            if path is not None:
                found[path] = module
        return found

    def _place(self, file: str) -> str | None:
        """The real path of a module's file, None if it is not the project's; remembered, since there are many modules."""
        if file not in self._places:
            path = os.path.realpath(file)
            self._places[file] = path if is_source(path, self.root) else None
        return self._places[file]


def read(path: str) -> str | None:
    """A file's text as Python reads it; None if it is not there (any more)."""
    import tokenize

    try:
        with tokenize.open(path) as file:
            return file.read()
    except OSError:
        return None
    except (SyntaxError, UnicodeDecodeError):
        return Path(path).read_text(encoding="utf-8", errors="replace")  # compiling it says what is wrong
