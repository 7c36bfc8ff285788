"""Sources as statements: what they bind, read and store, and which are the same as before."""

from __future__ import annotations

import textwrap

import pytest

from beamish.project.reload.statements import Comparison, Kind, dependency_order, imported_modules, read_statements


def one(source: str) -> tuple[Kind, set[str], set[str], set[str]]:
    statement = read_statements(textwrap.dedent(source), "m.py")[-1]
    return statement.kind, set(statement.binds), set(statement.reads), set(statement.stores)


@pytest.mark.parametrize(
    ("source", "kind", "binds", "reads", "stores"),
    [
        ("x = y", Kind.DATA, {"x"}, {"y"}, set()),
        ("a, (b, *c) = d.e.f", Kind.DATA, {"a", "b", "c"}, {"d.e.f"}, set()),
        ("x: T = 1", Kind.DATA, {"x"}, {"T"}, set()),
        ("x += y", Kind.OTHER, {"x"}, {"x", "y"}, set()),
        ("t['a'].b = c", Kind.OTHER, set(), {"t", "c"}, {"t"}),
        ("import a.b, c as d", Kind.IMPORT, {"a", "d"}, set(), set()),
        ("from .a import b as c, d", Kind.IMPORT, {"c", "d"}, set(), set()),
        ("from a import *", Kind.IMPORT, {"*"}, set(), set()),
        ("def f(a=x, *, b: T = y) -> U:\n    return z", Kind.FUNCTION, {"f"}, {"x", "y", "T", "U"}, set()),
        ("@d(e)\nasync def f(): await z", Kind.FUNCTION, {"f"}, {"d", "e"}, set()),
        ("class C(B, metaclass=M):\n    x = y\n    def f(self, a=z): return w", Kind.CLASS, {"C"}, {"B", "M", "y", "z"}, set()),
        ("f = lambda a=x: y", Kind.DATA, {"f"}, {"x"}, set()),
        ("x = [a for a in b if a.c]", Kind.DATA, {"x"}, {"b"}, set()),
        ("log.info(x)", Kind.OTHER, set(), {"log.info", "x"}, set()),
        ("if a:\n    b = 1\nelse:\n    def c(): ...", Kind.OTHER, {"b", "c"}, {"a"}, set()),
        ("try:\n    import a\nexcept E as e:\n    a = None", Kind.OTHER, {"a"}, {"E"}, set()),
        ("for i in x: y[i] = 1", Kind.OTHER, {"i"}, {"x", "y", "i"}, {"y"}),
        ("f().x = 1", Kind.OTHER, set(), {"f"}, set()),
    ],
)
def test_names(source: str, kind: Kind, binds: set[str], reads: set[str], stores: set[str]) -> None:
    assert one(source) == (kind, binds, reads, stores)


def test_annotations_that_are_not_run_are_not_read() -> None:
    assert one("from __future__ import annotations\ndef f(a: T = x) -> U: ...")[2] == {"x"}
    assert one("from __future__ import annotations\nx: T = 1")[2] == set()


def test_comparison() -> None:
    old = read_statements("a = 1\nb = 2\nc = 3\n@overload\ndef f(): ...\ndef f(x): ...\n", "m.py")
    new = read_statements("# moved\nc  =  3\n\na = 1\nb = 20\n@overload\ndef f(y): ...\ndef f(x): ...\n", "m.py")
    comparison = Comparison.of(old, new)
    assert [comparison.same(each) for each in new] == [True, True, False, False, False]
    assert comparison.touched == {"b", "f"}
    assert comparison.removed == frozenset()
    assert Comparison.of(old, new[:2]).removed == {"b", "f"}


def test_a_statement_that_comes_twice_counts() -> None:
    old = read_statements("log.append(1)\n", "m.py")
    new = read_statements("log.append(1)\nlog.append(1)\n", "m.py")
    assert not Comparison.of(old, new).same(new[0])


@pytest.mark.parametrize(
    ("source", "module", "package", "found"),
    [
        ("import a.b", "x.y", False, {"a.b"}),
        ("from a import b", "x.y", False, {"a", "a.b"}),
        ("from . import b", "x.y", False, {"x", "x.b"}),
        ("from . import b", "x.y", True, {"x.y", "x.y.b"}),
        ("from ..c import b", "x.y.z", False, {"x.c", "x.c.b"}),
        ("def f():\n    from .late import b", "x.y", False, {"x.late", "x.late.b"}),
    ],
)
def test_imported_modules(source: str, module: str, package: bool, found: set[str]) -> None:
    assert set(imported_modules(read_statements(source, "m.py"), module, is_package=package)) == found


def test_dependency_order() -> None:
    assert dependency_order({"a": {"b", "os"}, "b": {"c"}, "c": set(), "d": {"a"}}) == ["c", "b", "a", "d"]
    assert dependency_order({"a": {"b"}, "b": {"a"}}) == ["b", "a"]
