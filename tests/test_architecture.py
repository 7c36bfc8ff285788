"""docs/internals.md holds the layer table and the list of pure modules; these tests hold the sources to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from architecture import (
    LINES,
    Import,
    Rules,
    Source,
    badly_named,
    imports,
    impure,
    read_rules,
    read_sources,
    too_long,
    undocumented,
    upward,
)

ROOT = Path(__file__).resolve().parent.parent
SOURCES = read_sources(ROOT / "src")
RULES = read_rules((ROOT / "docs" / "internals.md").read_text())

ONE_UNIT = "static C functions are only inlined within one compiled file, and this is the hot path"
LONG_FILES: dict[str, tuple[int, str]] = {
    "beamish/dist/_wire.pyx": (950, ONE_UNIT),
    "beamish/etf/_decode.pyx": (1100, ONE_UNIT),
    "beamish/etf/_encode.pyx": (1050, ONE_UNIT),
    "beamish/gen_server/_server.pyx": (600, ONE_UNIT),
    "beamish/process/_core.pyx": (1300, ONE_UNIT),
    "beamish/process/_scheduler.pyx": (850, ONE_UNIT),
    "beamish/process/_signals.pyx": (650, ONE_UNIT),
}
"""Path below src -> how long it may be instead, and why. Each entry is a debt."""


def test_imports_point_downwards() -> None:
    assert upward(SOURCES, RULES) == []


def test_pure_modules_import_only_pure_ones() -> None:
    assert impure(SOURCES, RULES) == []


def test_files_are_short_enough_to_be_read() -> None:
    assert too_long(SOURCES, LONG_FILES) == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert badly_named(SOURCES) == []


def test_everything_public_has_a_docstring() -> None:
    assert undocumented(SOURCES) == []


def test_the_sources_and_the_rules_were_found() -> None:
    assert {"beamish.term", "beamish.etf", "beamish.process", "beamish.dist"} <= {source.module for source in SOURCES}
    assert RULES.rank["cli"] > RULES.rank["dist"] > RULES.rank["term"]
    assert RULES.is_pure("beamish.term._atom")
    assert RULES.is_pure("beamish.dist.handshake")
    assert not RULES.is_pure("beamish.dist")


# --- the checker itself, on made-up inputs ---

DOCUMENT = """
# Internals

```
 2  cli  shell
 1  node  process
 0  etf  term  errors
```

Within a row, left may import right. Pure modules (no asyncio): `term`,
`node/table`.

## term
"""
MADE_UP = Rules(
    {
        "cli": (2, 0),
        "shell": (2, 1),
        "node": (1, 0),
        "process": (1, 1),
        "etf": (0, 0),
        "term": (0, 1),
        "errors": (0, 2),
    },
    ("term", "node.table"),
)


def source(module: str, text: str, suffix: str = ".py") -> Source:
    """A made-up file."""
    return Source(module, module.replace(".", "/") + suffix, text)


def test_rules_are_read_from_the_document() -> None:
    assert read_rules(DOCUMENT.replace(" 2  cli  shell\n", " 2  cli  shell\n")) == MADE_UP


@pytest.mark.parametrize(
    "broken", ["", DOCUMENT.replace("Pure modules", "Modules"), DOCUMENT.replace(" 1  ", " one ")[:30]]
)
def test_a_document_without_rules_is_an_error(broken: str) -> None:
    with pytest.raises(ValueError, match=r"internals\.md"):
        read_rules(broken)


@pytest.mark.parametrize(
    ("text", "suffix"),
    [
        ("from beamish.node import Runtime\n", ".py"),
        ("import beamish.node.table\n", ".py"),
        ("from beamish import node\n", ".py"),
        ("from ..node import Runtime\n", ".py"),
        ("def late():\n    from beamish.node.table import x\n", ".py"),
        ("if TYPE_CHECKING:\n    from beamish.cli import main\n", ".py"),
        ("from beamish.node.table cimport Table\n", ".pyx"),
        ("from beamish.node._table cimport (\n    Table,\n    Row,\n)\n", ".pxd"),
        ("cimport beamish.node.table as t\n", ".pyx"),
        ("    from beamish.node import \\\n        Runtime\n", ".pyx"),
    ],
)
def test_an_upward_import_is_found(text: str, suffix: str) -> None:
    assert len(upward([source("beamish.process.kernel", text, suffix)], MADE_UP)) == 1


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (
            "beamish.process.kernel",
            "from beamish.term import Pid\nfrom beamish.errors import NoProcess\nimport asyncio\n",
        ),
        ("beamish.process.kernel", "from .other import x\nfrom . import another\n"),
        ("beamish.node.table", "from beamish.process import spawn\n"),
        ("beamish.etf.decode", "from beamish.term import Pid\n"),
        ("beamish", "from beamish.cli import main\n"),
        ("beamish.__main__", "from beamish.cli import main\n"),
    ],
)
def test_a_downward_import_is_allowed(module: str, text: str) -> None:
    assert upward([source(module, text)], MADE_UP) == []


def test_the_left_neighbour_is_out_of_reach() -> None:
    found = upward([source("beamish.term.pid", "from beamish.etf import encode\n")], MADE_UP)
    assert found == [
        "beamish/term/pid.py:1: term (layer 0) imports etf (layer 0): "
        "imports point downwards, within a row to the right"
    ]


def test_the_package_itself_is_for_the_top_row_only() -> None:
    assert len(upward([source("beamish.node.table", "import beamish\n")], MADE_UP)) == 1
    assert upward([source("beamish.shell.prelude", "import beamish\n")], MADE_UP) == []


def test_a_folder_that_the_table_does_not_name_is_found() -> None:
    assert upward([source("beamish.extra.thing", "")], MADE_UP) == [
        "beamish/extra/thing.py:1: beamish.extra is not in the layer table of docs/internals.md"
    ]


@pytest.mark.parametrize(
    ("text", "suffix"),
    [
        ("import time\n", ".py"),
        ("import asyncio.events\n", ".py"),
        ("from random import random\n", ".py"),
        ("from beamish.process import spawn\n", ".py"),
        ("from beamish import node\n", ".py"),
        ("from posix.time cimport clock_gettime\n", ".pyx"),
        ("from libc.time cimport time\n", ".pyx"),
        ("cimport cpython.time\n", ".pxd"),
    ],
)
def test_an_impure_import_is_found(text: str, suffix: str) -> None:
    files = [source("beamish.term", ""), source("beamish.term.pid", text, suffix), source("beamish.node.table", "")]
    files += [source("beamish.node", "import socket\n"), source("beamish.process", "import asyncio\n")]
    assert len(impure(files, MADE_UP)) == 1


def test_pure_imports_are_allowed() -> None:
    files = [
        source("beamish.term", "import re, struct\nfrom collections.abc import Iterator\n"),
        source(
            "beamish.term.pid",
            "from libc.stdint cimport uint32_t\ncimport cython\nfrom cpython.ref cimport PyObject\n",
            ".pyx",
        ),
        source("beamish.node.table", "from beamish.term import Pid\nfrom beamish import term\n"),
        source("beamish.process.kernel", "import time, asyncio, socket\n"),
    ]
    assert impure(files, MADE_UP) == []


def test_what_a_pure_module_uses_must_be_pure_too() -> None:
    files = [
        source("beamish.term", "from beamish.errors import NoProcess\n"),
        source("beamish.errors", "from beamish import later\n"),
        source("beamish.later", "import logging\n"),
        source("beamish.node.table", ""),
    ]
    assert impure(files, MADE_UP) == [
        "beamish/later.py:1: must be pure, since beamish.errors uses it, but imports logging"
    ]


def test_a_pure_module_that_is_gone_is_found() -> None:
    assert impure([source("beamish.term", "")], MADE_UP) == ["docs/internals.md: pure module node.table does not exist"]


def test_imports_in_comments_and_strings_of_cython_are_none() -> None:
    text = '"""\nimport time\nfrom x import y\n"""\n# import socket\nname = "\\"import os"\n'
    text += "from beamish.term cimport (Atom,  # why\n  Pid)\n"
    assert imports(source("beamish.process.kernel", text, ".pyx")) == [Import(7, "beamish.term", ("Atom", "Pid"))]


def test_relative_imports_start_at_the_package() -> None:
    package = Source("beamish.term", "beamish/term/__init__.py", "from .pid import Pid\nfrom . import ref\n")
    assert imports(package) == [Import(1, "beamish.term.pid", ("Pid",)), Import(2, "beamish.term", ("ref",))]


def test_a_long_file_is_found() -> None:
    long = source("beamish.term.pid", "x = 1\n" * (LINES + 1))
    assert len(too_long([long], {})) == 1
    assert too_long([long], {"beamish/term/pid.py": (LINES + 1, "tables")}) == []
    assert len(too_long([long], {"beamish/term/pid.py": (LINES, "tables")})) == 1
    assert too_long([source("beamish.term.pid", "x = 1\n" * LINES)], {}) == []


def test_an_exception_that_is_not_needed_is_found() -> None:
    assert too_long([], {"beamish/gone.py": (900, "was long")}) == [
        "beamish/gone.py: may be longer than others, but is not"
    ]


@pytest.mark.parametrize("name", ["beamish.term.utils", "beamish.utils", "beamish.io._helpers", "beamish.util.thing"])
def test_a_name_that_says_nothing_is_found(name: str) -> None:
    assert len(badly_named([source(name, ""), source("beamish.term.pid", "")])) == 1


@pytest.mark.parametrize(
    ("text", "suffix", "missing"),
    [
        ("x = 1\n", ".py", "the module"),
        ('"""Doc."""\ndef f(): ...\n', ".py", "f"),
        ('"""Doc."""\nasync def f():\n    return 1\n', ".py", "f"),
        ('"""Doc."""\nclass C:\n    pass\n', ".py", "C"),
        ("# comment\ncimport cython\n", ".pyx", "the module"),
        ('"""Doc."""\ndef f(\n    int a,\n):\n    return a\n', ".pyx", "f"),
        ('"""Doc."""\ncpdef object f(object x) except *:\n    return x\n', ".pyx", "f"),
        ('"""Doc."""\ncdef class Pid:\n    cdef int x\n', ".pyx", "Pid"),
    ],
)
def test_a_missing_docstring_is_found(text: str, suffix: str, missing: str) -> None:
    (finding,) = undocumented([source("beamish.term.pid", text, suffix)])
    assert finding.endswith(f"no docstring of {missing}")


@pytest.mark.parametrize(
    ("text", "suffix"),
    [
        ("", ".py"),
        ('"""Doc."""\ndef _private(): ...\ndef f():\n    "Doc."\n', ".py"),
        (
            '"""Doc."""\n@overload\ndef f(x: int) -> int: ...\n'
            '@typing.overload\ndef f(x: str) -> str: ...\ndef f(x):\n    "Doc."\n',
            ".py",
        ),
        (
            '# cython: language_level=3\n"""Doc."""\ndef f(\n    int a,  # why\n):\n    """Doc."""\n    return a\n',
            ".pyx",
        ),
        ('"""Doc."""\ncdef int g() except -1:\n    return 0\ncdef class Pid:\n    """Doc."""\n', ".pyx"),
        ("cdef class Pid:\n    pass\n", ".pxd"),
        ("def f() -> int: ...\n", ".pyi"),
    ],
)
def test_documented_and_private_things_are_let_be(text: str, suffix: str) -> None:
    assert undocumented([source("beamish.term.pid", text, suffix)]) == []
