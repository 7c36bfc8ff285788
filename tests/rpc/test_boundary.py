from __future__ import annotations

import functools
from typing import Any, Optional

import pytest

from beamish.rpc.boundary import typed
from beamish.term import atom, charlist


def greet(name: str, times: int = 1, *more: str) -> Any:
    return name, times, more


def perhaps(name: str | None, other: Optional[str] = None) -> Any:  # noqa: UP045
    return name, other


def many(names: list[str], others: list[bytes]) -> Any:
    return names, others


def untyped(name: Any, other: bytes) -> Any:
    return name, other


def unknown(name: "NoSuchType", text: str) -> Any:  # type: ignore[name-defined]  # noqa: F821, UP037
    return name, text


class Greeter:
    def __call__(self, name: str) -> str:
        return name

    def method(self, name: str) -> str:
        return name


TEXTS = [b"caf\xc3\xa9", "café", [99, 97, 102, 233], [b"ca", ["f"], 233], charlist("café")]


@pytest.mark.parametrize("text", TEXTS)
def test_any_form_of_text_becomes_a_str_where_a_str_is_wanted(text: Any) -> None:
    assert typed(greet, 1)(text) == ("café", 1, ())
    assert typed(greet, 4)(text, 2, text, text) == ("café", 2, ("café", "café"))
    assert typed(perhaps, 2)(text, None) == ("café", None)
    assert typed(many, 2)([text, text], [b"x"]) == (["café", "café"], [b"x"])
    assert typed(Greeter(), 1)(text) == "café"
    assert typed(Greeter().method, 1)(text) == "café"


def test_other_terms_stay_what_they_are() -> None:
    for term in (7, atom.x, (1, 2), {}):
        assert typed(greet, 1)(term)[0] is term
        assert typed(many, 2)(term, term) == (term, term)


def test_a_function_without_such_annotations_is_called_directly() -> None:
    for function in (untyped, unknown, len, functools.partial(untyped, 1), int):
        assert typed(function, 1) is function


def test_text_that_cannot_be_read_is_named() -> None:
    with pytest.raises(TypeError, match="argument 1 is to be text, but byte 0"):
        typed(greet, 1)(b"\xff")
    with pytest.raises(TypeError, match="argument 3"):
        typed(greet, 3)("x", 1, [7, -1])
