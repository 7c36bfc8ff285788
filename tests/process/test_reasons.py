"""exits.py: exceptions as reasons and reasons as text. Pure: no loop."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from beamish.errors import Exit
from beamish.etf import decode, encode
from beamish.process.exits import (
    MAX_SHOWN,
    MAX_TEXT,
    PythonException,
    exit_within,
    is_exception_reason,
    reason_of,
    stack_of,
    text_of,
    type_name,
)
from beamish.term import Pid, atom, charlist

TRACE = "Traceback (most recent call last):\n  …\nKind: message"
STRUCT, EXCEPTION = atom("__struct__"), atom("__exception__")
SENT = {
    STRUCT: atom("Elixir.RuntimeError"),
    EXCEPTION: True,
    atom.kind: atom("app.Kind"),
    atom.detail: b"message",
    atom.message: f"app.Kind: message\n{TRACE}".encode(),
}
PLACE = [(atom.file, charlist("lib/a.ex")), (atom.line, 3)]


class Custom(Exception):
    class Inner(Exception):
        pass


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def test_an_exception_becomes_a_pair_of_exception_and_stack() -> None:
    reason = reason_of(raised(Custom.Inner("text")))
    match reason:
        case (PythonException(kind=kind, detail="text") as error, stack):
            assert kind == f"{__name__}.Custom.Inner"
        case _:
            raise AssertionError(reason)
    assert error.head == f"{__name__}.Custom.Inner: text"
    assert error.message.startswith(f"{error.head}\nTraceback (most recent call last):\n")
    assert "in raised" in error.traceback
    assert str(error) == error.traceback
    module, function, arity, place = stack[0]
    assert (module, function, arity) == (atom(__name__), atom.raised, 1)
    assert place[0][0] is atom.file
    assert place[1] == (atom.line, raised.__code__.co_firstlineno + 2)
    assert is_exception_reason(reason)


def test_an_exit_s_reason_is_its_own() -> None:
    assert reason_of(Exit(("any", "term"))) == ("any", "term")


def test_without_a_traceback_the_stack_is_empty() -> None:
    assert reason_of(ValueError("x")) == (PythonException("builtins.ValueError", "x", "ValueError: x"), [])
    assert reason_of(ValueError()) == (PythonException("builtins.ValueError", "", "ValueError"), [])
    assert text_of(reason_of(ValueError("x"))) == "ValueError: x"
    assert stack_of(None) == []


def test_causes_are_in_the_text() -> None:
    try:
        try:
            raise KeyError("first")
        except KeyError as error:
            raise ValueError("second") from error
    except ValueError as error:
        text = reason_of(error)[0].message
    assert text.index("KeyError: 'first'") < text.index("direct cause") < text.rindex("ValueError: second")


def test_frames_of_beamish_are_left_out_before_the_user_s_and_kept_where_there_are_no_others() -> None:
    from beamish.rpc.boundary import typed

    def fails(name: str) -> None:
        raise ValueError(name)

    try:
        typed(fails, 1)("x")
    except ValueError as error:
        text, stack = reason_of(error.with_traceback(error.__traceback__ and error.__traceback__.tb_next))
    assert "boundary.py" not in text.traceback
    assert [frame[1].text.rpartition(".")[2] for frame in stack] == ["fails"]
    try:
        charlist(7)  # type: ignore[arg-type]
    except TypeError as error:
        text, stack = reason_of(error.with_traceback(error.__traceback__ and error.__traceback__.tb_next))
    assert len(stack) == (1 if "Traceback" in text.message else 0)


def test_abroad_it_is_an_exception_of_elixir_s() -> None:
    """The whole of what Elixir prints is in `message`; nothing is lost on the way back."""
    error = PythonException("app.Kind", "message", f"app.Kind: message\n{TRACE}")
    there = decode(encode({key: value for key, value in SENT.items() if key is not STRUCT}))
    assert decode(encode(error)) == error
    assert decode(encode((error, []))) == (error, [])
    assert decode(encode(SENT)) == error
    assert there == {key: value for key, value in SENT.items() if key is not STRUCT}


@pytest.mark.parametrize(
    "change",
    [
        {atom.kind: b"app.Kind"},
        {atom.detail: atom.message},
        {atom.message: b"\xff"},
        {EXCEPTION: atom.yes},
        {atom.more: 1},
    ],
)
def test_an_exception_of_elixir_s_that_is_not_ours_stays_a_map(change: dict[Any, Any]) -> None:
    assert decode(encode(SENT | change)) == SENT | change
    assert decode(encode({STRUCT: SENT[STRUCT], EXCEPTION: True, atom.message: b"x"})) == {
        STRUCT: SENT[STRUCT],
        EXCEPTION: True,
        atom.message: b"x",
    }


def test_text_that_no_binary_can_hold_is_spelt_out() -> None:
    error, _ = reason_of(raised(ValueError("a\udcffb")))
    assert error.detail == "a\\udcffb"
    assert decode(encode(error)) == error


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (atom.normal, "normal"),
        (atom("not ok"), "not ok"),
        ((atom.shutdown, 1), "(atom.shutdown, 1)"),
        ("text", "'text'"),
        (Pid(atom("a@b"), 1, 2, 3), "<a@b.1.2>"),
        ((PythonException("app.Kind", "message", f"app.Kind: message\n{TRACE}"), []), TRACE),
        ((PythonException("app.Kind", "message", "app.Kind: message"), []), "app.Kind: message"),
        ({STRUCT: atom("Elixir.RuntimeError"), EXCEPTION: True, atom.message: b"oh \xff"}, "(RuntimeError) oh \ufffd"),
        (
            (
                {STRUCT: atom("Elixir.RuntimeError"), EXCEPTION: True, atom.message: b"oh"},
                [(atom("Elixir.A"), atom.run, 2, PLACE), (atom.m, atom.f, [1], [])],
            ),
            "(RuntimeError) oh\n  in A:run/2 (lib/a.ex, line 3)\n  in m:f/1",
        ),
        ((atom.badarith, [(atom.m, atom.f, 0, [(atom.file, [1, -1])])]), "badarith\n  in m:f/0"),
        ((atom.badarith, [(1, 2, 3, [])]), "badarith\n  in (1, 2, 3, [])"),
        ((atom.noproc, []), "(atom.noproc, [])"),
        ((PythonException("app.Kind", "", "x" * (MAX_TEXT + 5)), []), f"{'x' * MAX_TEXT}... ({MAX_TEXT + 5} characters)"),
        ("x" * (MAX_SHOWN + 1), f"'{'x' * (MAX_SHOWN - 1)}... ({MAX_SHOWN + 3} characters)"),
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
