"""Changed files taken into the running program: all of them, or, if one is broken, none.

A module that imports from a changed one is looked at too: what it computed from changed data is computed again, and classes on
changed bases are made anew.
"""

from __future__ import annotations

import linecache
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from beamish.project.errors import place_of, relative, short_traceback
from beamish.project.reload.module_update import ModuleUpdate, update_module
from beamish.project.reload.sources import Sources
from beamish.project.reload.statements import Statement, dependency_order, imported_modules, read_statements
from beamish.project.reload.undo import UndoLog


class BrokenEdit(Exception):
    """The new code cannot be used; the text says where and why. Nothing has changed."""


@dataclass(slots=True)
class Plan:
    """What a reload is going to do. modules: those to be gone through, in order, with their old and new statements."""

    files: dict[str, str]
    modules: dict[str, tuple[ModuleType, list[Statement] | None, list[Statement]]]
    idle: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Result:
    """What a reload has done, by module."""

    updates: dict[str, ModuleUpdate]

    @property
    def classes(self) -> dict[type, Any]:
        """Changed classes with the `vsn` they had."""
        return {cls: vsn for update in self.updates.values() for cls, vsn in update.classes.items()}


class CodeReload:
    """Keeps the sources of one project and takes in what has changed in them."""

    def __init__(self, root: Path) -> None:
        self.sources = Sources(root)
        self.pending: set[str] = set()
        self._known: dict[str, tuple[str, list[Statement], set[str]]] = {}

    def plan(self, paths: Iterable[str]) -> Plan | None:
        """What has to be done for these files; None for nothing. Files of a broken edit are tried again with the next.

        Raises BrokenEdit if one does not compile.
        """
        files = self.sources.changed([*paths, *self.pending])
        self.pending = set(files)
        if not files:
            return None
        loaded = self.sources.modules()
        new = {path: _parsed(text, path) for path, text in files.items()}
        idle = sorted(path for path in files if path not in loaded)
        statements: dict[str, list[Statement]] = {}
        imports: dict[str, set[str]] = {}
        for path, module in loaded.items():
            if path in new:
                statements[module.__name__], imports[module.__name__] = new[path], _imports(new[path], module)
            elif path in self.sources.texts:
                statements[module.__name__], imports[module.__name__] = self._unchanged(path, module)
        by_name = {module.__name__: (path, module) for path, module in loaded.items()}
        affected = _with_importers({loaded[path].__name__ for path in files if path in loaded}, imports)
        modules = {}
        for name in dependency_order(imports):
            if name in affected:
                path, module = by_name[name]
                modules[name] = (module, self._old(path, files, statements[name]), statements[name])
        return Plan(files, modules, idle)

    def _unchanged(self, path: str, module: ModuleType) -> tuple[list[Statement], set[str]]:
        """Statements and imports of a file as it is known; remembered, since most files stay what they are."""
        text = self.sources.texts[path]
        known = self._known.get(path)
        if known is None or known[0] is not text:
            statements = read_statements(text, path)
            known = self._known[path] = text, statements, _imports(statements, module)
        return known[1], known[2]

    def _old(self, path: str, files: Mapping[str, str], now: list[Statement]) -> list[Statement] | None:
        if path not in files:
            return now
        text = self.sources.texts.get(path)
        return None if text is None else read_statements(text, path)

    def carry_out(self, plan: Plan) -> Result:
        """Do it. Raises BrokenEdit when a module's new code raises; everything is as before then."""
        undo = UndoLog()
        updates: dict[str, ModuleUpdate] = {}
        for name, (module, old, new) in plan.modules.items():
            path = str(module.__file__)
            try:
                updates[name] = update_module(module, old, new, filename=path, undo=undo, others=updates)
            except (Exception, SystemExit) as error:
                undo.roll_back()
                raise BrokenEdit(described(error)) from error
        self.sources.texts.update(plan.files)
        self.pending.clear()
        for path in plan.files:
            linecache.checkcache(path)
            linecache.checkcache(relative(path))
        return Result({name: update for name, update in updates.items() if _is_news(update, plan)})


def _imports(statements: list[Statement], module: ModuleType) -> set[str]:
    return set(imported_modules(statements, module.__name__, is_package=hasattr(module, "__path__")))


def _is_news(update: ModuleUpdate, plan: Plan) -> bool:
    module, _, _ = plan.modules[update.name]
    edited = os.path.realpath(str(module.__file__)) in plan.files
    return edited or bool(update.classes or update.remarks or any(kind == "data" for kind in update.changed.values()))


def _parsed(text: str, path: str) -> list[Statement]:
    try:
        compile(text, path, "exec", dont_inherit=True)
        return read_statements(text, path)
    except (SyntaxError, ValueError) as error:
        raise BrokenEdit(described(error, path)) from error


def described(error: BaseException, path: str = "") -> str:
    """`my_app/server.py:12: SyntaxError: expected ':'`, and the line or a short traceback."""
    place = place_of(error) or relative(path)
    if isinstance(error, SyntaxError):
        line = f"\n    {error.text.strip()}" if error.text and error.text.strip() else ""
        return f"{place}: {type(error).__name__}: {error.msg}{line}"
    return f"{place}: {type(error).__name__}: {error}\n{short_traceback(error)}"


def _with_importers(names: set[str], imports: Mapping[str, set[str]]) -> set[str]:
    found = set(names)
    grown = True
    while grown:
        more = {name for name, needed in imports.items() if name not in found and needed & found}
        found |= more
        grown = bool(more)
    return found
