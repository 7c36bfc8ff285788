"""A module's source as its top-level statements: what each binds, what it reads while it runs, and whether it is the same
as before.

    old, new = read_statements(before, "a.py"), read_statements(after, "a.py")
    Comparison.of(old, new).same(new[3])

Two statements are the same when they mean the same to Python: comments, blank lines and places do not count.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What a statement does. OTHER: everything that is none of the rest, such as a call, `if` or `for`."""

    IMPORT = "import"
    FUNCTION = "function"
    CLASS = "class"
    DATA = "data"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Statement:
    """One top-level statement.

    meaning: equal for equal statements. binds: names it gives a value, "*" for a star import. reads: dotted names it looks
    up while it runs (`config.LIMIT`), those inside functions not among them. stores: names whose objects it changes, as
    `TABLE["x"] = 1` does.
    """

    node: ast.stmt
    kind: Kind
    meaning: str
    binds: frozenset[str]
    reads: frozenset[str]
    stores: frozenset[str]

    @property
    def lines(self) -> tuple[int, int]:
        """First and last line, decorators included."""
        decorators = getattr(self.node, "decorator_list", [])
        return min([self.node.lineno, *(each.lineno for each in decorators)]), self.node.end_lineno or self.node.lineno


def read_statements(source: str, filename: str) -> list[Statement]:
    """The statements of a module. Raises SyntaxError, ValueError (null bytes)."""
    tree = ast.parse(source, filename)
    lazy = any(
        isinstance(node, ast.ImportFrom) and node.module == "__future__" and any(a.name == "annotations" for a in node.names)
        for node in tree.body
    )
    return [_statement(node, lazy_annotations=lazy) for node in tree.body]


def _statement(node: ast.stmt, *, lazy_annotations: bool) -> Statement:
    scope = _Scope(lazy_annotations)
    scope.visit(node)
    return Statement(
        node, _kind(node), ast.dump(node), frozenset(scope.binds), frozenset(scope.reads), frozenset(scope.stores)
    )


def _kind(node: ast.stmt) -> Kind:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return Kind.IMPORT
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return Kind.FUNCTION
    if isinstance(node, ast.ClassDef):
        return Kind.CLASS
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    if targets and all(_only_names(target) for target in targets):
        return Kind.DATA
    if type(node).__name__ == "TypeAlias":  # Python 3.12
        return Kind.DATA
    return Kind.OTHER


def _only_names(target: ast.expr) -> bool:
    if isinstance(target, ast.Tuple | ast.List):
        return all(_only_names(each) for each in target.elts)
    return isinstance(target, ast.Name) or (isinstance(target, ast.Starred) and _only_names(target.value))


class _Scope(ast.NodeVisitor):
    """Collects the names of one scope: functions are looked at from outside, class bodies and comprehensions run at once."""

    def __init__(self, lazy_annotations: bool) -> None:
        self.lazy = lazy_annotations
        self.binds: set[str] = set()
        self.reads: set[str] = set()
        self.stores: set[str] = set()

    def visit_Name(self, node: ast.Name) -> None:
        (self.reads if isinstance(node.ctx, ast.Load) else self.binds).add(node.id)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        dotted = _dotted(node)
        if not isinstance(node.ctx, ast.Load):
            self._changes(node.value)
        if dotted is None:
            self.visit(node.value)
        else:
            self.reads.add(dotted)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._changes(node.value)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self.reads.add(node.target.id)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.visit(node.target)
        if node.value is not None:
            self.visit(node.value)
        if not self.lazy:
            self.visit(node.annotation)

    def visit_Import(self, node: ast.Import) -> None:
        self.binds.update(alias.asname or alias.name.partition(".")[0] for alias in node.names)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.module != "__future__":
            self.binds.update(alias.asname or alias.name for alias in node.names)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.binds.add(node.name)
        self._all(node.decorator_list)
        self._arguments(node.args)
        if node.returns is not None and not self.lazy:
            self.visit(node.returns)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.visit_FunctionDef(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._arguments(node.args)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.binds.add(node.name)
        self._all(node.decorator_list)
        self._all(node.bases)
        self._all(keyword.value for keyword in node.keywords)
        inner = _Scope(self.lazy)
        for statement in node.body:
            inner.visit(statement)
        self.reads |= inner.reads
        self.stores |= inner.stores

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.type is not None:
            self.visit(node.type)
        self._all(node.body)  # the name of `except … as name` is gone afterwards

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        inner = _Scope(self.lazy)
        inner.generic_visit(node)
        self.reads |= {name for name in inner.reads if name.partition(".")[0] not in inner.binds}

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    def _arguments(self, arguments: ast.arguments) -> None:
        self._all(arguments.defaults)
        self._all(default for default in arguments.kw_defaults if default is not None)
        if not self.lazy:
            every = (*arguments.posonlyargs, *arguments.args, arguments.vararg, *arguments.kwonlyargs, arguments.kwarg)
            self._all(each.annotation for each in every if each is not None and each.annotation is not None)

    def _changes(self, target: ast.expr) -> None:
        while isinstance(target, ast.Attribute | ast.Subscript):
            target = target.value
        if isinstance(target, ast.Name):
            self.stores.add(target.id)

    def _all(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            self.visit(node)


def _dotted(node: ast.expr) -> str | None:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Old and new statements of a module (or of a class body) beside each other.

    touched: names that a statement bound which is gone, new or different. removed: names that nothing binds any more.
    """

    common: frozenset[str]
    touched: frozenset[str]
    removed: frozenset[str]

    @classmethod
    def of(cls, old: Sequence[Statement], new: Sequence[Statement]) -> Comparison:
        """Compare; a statement that only moved is the same."""
        before, after = Counter(each.meaning for each in old), Counter(each.meaning for each in new)
        common = frozenset(meaning for meaning in before if before[meaning] == after[meaning])
        different = [each for each in (*old, *new) if each.meaning not in common]
        touched = frozenset(name for each in different for name in each.binds)
        left = {name for each in new for name in each.binds}
        return cls(common, touched, frozenset(name for each in old for name in each.binds) - left)

    def same(self, statement: Statement) -> bool:
        """Whether a new statement was there before, and nothing else that binds its names has changed."""
        return statement.meaning in self.common and not statement.binds & self.touched


def class_statements(statement: Statement) -> list[Statement]:
    """The statements of a class's body."""
    assert isinstance(statement.node, ast.ClassDef)
    return [_statement(node, lazy_annotations=True) for node in statement.node.body]


def import_base(node: ast.ImportFrom, module: str, *, is_package: bool) -> str:
    """The absolute name of the module behind `from`."""
    if not node.level:
        return node.module or ""
    package = module if is_package else module.rpartition(".")[0]
    parts = package.split(".") if package else []
    return ".".join([*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])])


def imported_modules(statements: Iterable[Statement], module: str, *, is_package: bool) -> Iterator[str]:
    """Absolute names of the modules that the statements import, wherever in them; for `from a import b` both a and a.b."""
    for statement in statements:
        for node in ast.walk(statement.node):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = import_base(node, module, is_package=is_package)
                yield base
                yield from (f"{base}.{alias.name}" for alias in node.names)


def dependency_order(imports: dict[str, set[str]]) -> list[str]:
    """Modules so that each comes after those it imports; within a circle in alphabetical order."""
    ordered: list[str] = []
    seen: set[str] = set()

    def visit(name: str) -> None:
        if name in seen:
            return
        seen.add(name)
        for needed in sorted(imports[name] & imports.keys()):
            visit(needed)
        ordered.append(name)

    for name in sorted(imports):
        visit(name)
    return ordered
