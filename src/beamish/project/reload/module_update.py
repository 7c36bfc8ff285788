"""One loaded module brought up to its new source, statement by statement, in its own namespace.

A statement runs again if its text changed, or if a name that it reads was changed by one that ran before. So

    a global keeps its value while neither the statement that sets it, nor a global it is computed from, has changed;
    functions and classes of the same name stay the same objects and get the new code;
    imports always run again, and what they bring counts as changed if it is;
    a call at the top level (`register(x)`) runs again only if its text or its data has changed.

What an import executes is not undone when the edit turns out broken: a file written, a thread started. Names, functions and
classes are.
"""

from __future__ import annotations
import __future__

import ast
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from beamish.project.reload.classes import CannotPatch, is_making_of, patch_class, replaced
from beamish.project.reload.functions import codes_in, is_twin, move_lines, patch_function
from beamish.project.reload.statements import Comparison, Kind, Statement, class_statements, import_base
from beamish.project.reload.undo import MISSING, UndoLog

FUTURE_FLAGS: Final = sum(getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
DATA: Final = "data"
CODE: Final = "code"


@dataclass(slots=True)
class ModuleUpdate:
    """What became of one module. changed: name to "data" or "code"; classes: those that now have other methods, with the
    `vsn` they had before; remarks: what the user has to know."""

    name: str
    changed: dict[str, str] = field(default_factory=dict)
    classes: dict[type, Any] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def update_module(
    module: types.ModuleType, old: Sequence[Statement] | None, new: Sequence[Statement], *,
    filename: str, undo: UndoLog, others: Mapping[str, ModuleUpdate],
) -> ModuleUpdate:  # fmt: skip
    """Run what has to run of `new` in the module's namespace.

    old: the statements it was loaded from, None if they are not known: then all are taken for changed. others: updates of
    the modules that it imports. Raises whatever the statements raise; the caller rolls `undo` back then.
    """
    update = _Update(module, old, new, filename, undo, others)
    undo.add(vars(module).update, dict(vars(module)))
    undo.add(vars(module).clear)
    update.run()
    return update.result


class _Update:
    def __init__(
        self, module: types.ModuleType, old: Sequence[Statement] | None, new: Sequence[Statement], filename: str,
        undo: UndoLog, others: Mapping[str, ModuleUpdate],
    ) -> None:  # fmt: skip
        self.namespace = vars(module)
        self.old, self.new = old or (), new
        self.comparison = Comparison.of(self.old, new)
        self.filename = filename
        self.undo = undo
        self.others = others
        self.result = ModuleUpdate(module.__name__)
        self.flags = 0

    def run(self) -> None:
        """Everything: statements in order, then what is gone."""
        for statement in self.new:
            code = self._compiled(statement)
            if self._must_run(statement):
                self._execute(statement, code)
            else:
                self._move(statement, code)
        for name in sorted(self.comparison.removed & self.namespace.keys()):
            del self.namespace[name]
            self.result.removed.append(name)

    def _compiled(self, statement: Statement) -> types.CodeType:
        code: types.CodeType = compile(
            ast.Module([statement.node], []), self.filename, "exec", flags=self.flags, dont_inherit=True
        )
        self.flags = code.co_flags & FUTURE_FLAGS  # `from __future__ import …` holds for what follows it
        return code

    # ---- whether

    def _must_run(self, statement: Statement) -> bool:
        if statement.kind is Kind.IMPORT or not self.comparison.same(statement):
            return True
        if any(name not in self.namespace for name in statement.binds if name != "*"):
            return statement.kind is not Kind.OTHER  # deleted at run time, or never reached
        kinds = {DATA} if statement.kind in (Kind.DATA, Kind.OTHER) else {DATA, CODE}
        names = statement.reads | statement.binds if statement.kind is Kind.OTHER else statement.reads
        return any(self._change_of(name) in kinds for name in names)

    def _change_of(self, dotted: str) -> str | None:
        """How a name that a statement reads has changed: `LIMIT`, or `config.LIMIT` where config is a module."""
        first, _, rest = dotted.partition(".")
        found = self.result.changed.get(first)
        if found is not None:
            return found
        value = self.namespace.get(first)
        while rest and isinstance(value, types.ModuleType):
            first, _, rest = rest.partition(".")
            other = self.others.get(value.__name__)
            if other is not None and first in other.changed:
                return other.changed[first]
            value = getattr(value, first, None)
        return None

    # ---- running

    def _execute(self, statement: Statement, code: types.CodeType) -> None:
        names = statement.binds if "*" not in statement.binds else frozenset(self.namespace) | statement.binds
        before = {name: self.namespace.get(name, MISSING) for name in names}
        exec(code, self.namespace)
        if "*" in names:
            names = names | frozenset(self.namespace)
        for name in names & self.namespace.keys():
            self._settle(statement, name, before.get(name, MISSING))
        for name in statement.stores:
            self.result.changed.setdefault(name, DATA)

    def _settle(self, statement: Statement, name: str, old: Any) -> None:
        """A name has been given a value again: keep the object it had, if that can be."""
        new = self.namespace[name]
        if statement.kind is Kind.IMPORT:
            self._settle_import(statement, name, old, new)
        elif new is old:
            return
        elif is_twin(old, new) and statement.kind is not Kind.DATA:
            patch_function(old, new, self.undo)
            self._keep(name, old, CODE)
        elif is_making_of(old, new) and new.__module__ == self.result.name:
            self._settle_class(statement, name, old, new)
        elif type(old) is type(new) and _equal(old, new):
            self.namespace[name] = old
        else:
            self.result.changed[name] = CODE if statement.kind in (Kind.FUNCTION, Kind.CLASS) else DATA

    def _keep(self, name: str, old: Any, change: str) -> None:
        self.namespace[name] = old
        self.result.changed[name] = change

    def _settle_class(self, statement: Statement, name: str, old: type, new: type) -> None:
        version = getattr(old, "vsn", None)
        try:
            remarks = patch_class(old, new, self.undo, kept=self._kept_attributes(statement))
        except CannotPatch as problem:
            self.result.remarks.append(replaced(old, problem))
            self.result.changed[name] = CODE
            self.result.classes[old] = version
            return
        self.result.remarks += remarks
        self.result.classes[old] = version
        self._keep(name, old, CODE)

    def _settle_import(self, statement: Statement, name: str, old: Any, new: Any) -> None:
        if isinstance(new, types.ModuleType) and new is old:
            return
        node = statement.node
        if isinstance(node, ast.ImportFrom):
            other = self.others.get(import_base(node, self.result.name, is_package="__path__" in self.namespace))
            origin = next((alias.name for alias in node.names if name in (alias.asname, alias.name)), name)
            if other is not None and origin in other.changed:
                self.result.changed[name] = other.changed[origin]
                return
        if new is not old and not (type(old) is type(new) and _equal(old, new)):
            self.result.changed[name] = CODE if callable(new) else DATA

    def _kept_attributes(self, statement: Statement) -> frozenset[str]:
        """Names of a class body that are data whose source has not changed."""
        before = next((each for each in self.old if each.kind is Kind.CLASS and each.binds == statement.binds), None)
        if before is None or statement.kind is not Kind.CLASS:
            return frozenset()
        new = class_statements(statement)
        comparison = Comparison.of(class_statements(before), new)
        return frozenset(
            name for each in new if each.kind is Kind.DATA and comparison.same(each) for name in each.binds
            if not any(self._change_of(read) for read in each.reads) and not each.reads & comparison.touched
        )  # fmt: skip

    def _move(self, statement: Statement, code: types.CodeType) -> None:
        """The statement is as it was, but may stand elsewhere now."""
        if statement.kind is Kind.FUNCTION or statement.kind is Kind.CLASS:
            codes = codes_in(code)
            for name in statement.binds:
                for function in _functions_of(self.namespace.get(name)):
                    move_lines(function, codes)


def _functions_of(value: Any) -> list[Any]:
    if isinstance(value, type):
        return list(vars(value).values())
    return [value]


def _equal(old: Any, new: Any) -> bool:
    """Equality that cannot fail, and that takes 1 and True, or two empty queues, for what they are."""
    equal: Any = type(old).__eq__
    if equal is object.__eq__:
        return False
    try:
        return bool(old == new)
    except Exception:
        return False
