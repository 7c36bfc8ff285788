"""exits.py: exceptions as reasons and reasons as text. Pure: no loop."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from beamish.errors import Exit
from beamish.process.exits import exit_within, is_exception_reason, reason_of, stack_of, text_of, type_name
from beamish.term import Pid, atom


class Custom(Exception):
    class Inner(Exception):
        pass


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def test_an_exception_becomes_a_pair_of_head_and_stack() -> None:
    reason = reason_of(raised(Custom.Inner("text")))
    (kind, name, message, trace), stack = reason
    assert kind is atom.exception
    assert name is atom(f"{__name__}.Custom.Inner")
    assert message == "text"
    assert "in raised" in trace
    module, function, arity, place = stack[0]
    assert (module, function, arity) == (atom(__name__), atom.raised, 1)
    assert place[0][0] is atom.file
    assert place[1] == (atom.line, raised.__code__.co_firstlineno + 2)
    assert is_exception_reason(reason)


def test_an_exit_s_reason_is_its_own() -> None:
    assert reason_of(Exit(("any", "term"))) == ("any", "term")


def test_without_a_traceback_the_stack_is_empty() -> None:
    assert reason_of(ValueError("x"))[1] == []
    assert stack_of(None) == []


def test_causes_are_in_the_text() -> None:
    try:
        try:
            raise KeyError("first")
        except KeyError as error:
            raise ValueError("second") from error
    except ValueError as error:
        text = reason_of(error)[0][3]
    assert text.index("KeyError: 'first'") < text.index("direct cause") < text.index("ValueError: second")


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (atom.normal, "normal"),
        (atom("not ok"), "not ok"),
        ((atom.shutdown, 1), "(atom.shutdown, 1)"),
        ("text", "'text'"),
        (Pid(atom("a@b"), 1, 2, 3), "<a@b.1.2>"),
        (((atom.exception, atom.Kind, "message", "Traceback\nKind: message\n"), []), "Traceback\nKind: message"),
        (((atom.exception, atom.Kind, b"message", b"Traceback \xff\n"), []), "Traceback \ufffd"),
        (((atom.exception, atom.Kind, b"message", b""), []), "Kind: message"),
    ],
)
def test_texts(reason: Any, text: str) -> None:
    assert text_of(reason) == text


@pytest.mark.parametrize("reason", [None, (), ((),), ((atom.exception, 1, 2), []), ((atom.error, 1, 2, 3), [])])
def test_what_was_not_made_from_an_exception(reason: Any) -> None:
    assert not is_exception_reason(reason)


def test_type_names() -> None:
    assert type_name(ValueError) == "builtins.ValueError"
    assert type_name(Custom.Inner) == f"{__name__}.Custom.Inner"


def test_the_exit_in_a_group() -> None:
    one = Exit(1)
    assert exit_within(one) is one
    assert exit_within(BaseExceptionGroup("", [one, Exit(2)])) is one
    assert exit_within(BaseExceptionGroup("", [BaseExceptionGroup("", [one])])) is one
    for other in (ValueError(), asyncio.CancelledError(), BaseExceptionGroup("", [one, ValueError()])):
        assert exit_within(other) is None
