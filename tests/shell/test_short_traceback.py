"""What an evaluation's exception looks like."""

import asyncio
from typing import Any

import pytest

from beamish.errors import Exit, NodeError
from beamish.shell.short_traceback import describe_error
from beamish.shell.source_text import run_input
from beamish.term import atom


def shown(source: str, **names: Any) -> str:
    try:
        asyncio.run(run_input(source, "<beamish 7>", dict(names)))
    except BaseException as error:
        return describe_error(error)
    raise AssertionError("nothing was raised")


def test_one_line_inputs_need_no_frames() -> None:
    assert shown("1/0") == "ZeroDivisionError: division by zero"
    assert shown("nope") == "NameError: name 'nope' is not defined"


def test_frames_of_the_input_are_shown_and_no_others() -> None:
    text = shown("def f():\n    return 1/0\n\nf()")
    assert text.startswith('Traceback (most recent call last):\n  File "<beamish 7>", line 4, in <module>')
    assert "return 1/0" in text
    assert "source_text" not in text
    assert text.endswith("ZeroDivisionError: division by zero")


def test_frames_of_libraries_stay_and_beamish_goes() -> None:
    text = shown("import json; json.loads('{')")
    assert "json/decoder.py" in text
    text = shown("from beamish.io.term_text import parse_term; parse_term('{')")
    assert text.startswith("TermSyntaxError: line 1, column 2")


def test_syntax_errors_point_at_the_place() -> None:
    text = shown("1 1")
    assert "line 1" in text
    assert "^" in text
    assert text.splitlines()[-1].startswith("SyntaxError: ")
    assert "Traceback" not in text


def test_chains() -> None:
    def fail() -> None:
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise ValueError("outer") from error

    text = shown("fail()", fail=fail)
    assert "KeyError: 'inner'" in text
    assert "direct cause" in text

    def ours() -> None:
        try:
            raise OSError("inner")
        except OSError as error:
            raise NodeError("says it all") from error

    assert shown("ours()", ours=ours).splitlines()[-1] == "NodeError: says it all"


@pytest.mark.parametrize("reason", [atom.normal, "text", (atom.a, 1)])
def test_exits(reason: Any) -> None:
    assert describe_error(Exit(reason)) == f"** exit: {reason!r}"
