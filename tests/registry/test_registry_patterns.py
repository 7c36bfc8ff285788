"""Patterns and keys of registries, without any registry."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from beamish.registry.keys import key_of
from beamish.registry.patterns import compiled
from beamish.term import atom, charlist
from beamish.term.identity import identity
from strategies import terms


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        (..., None),
        (..., (1, 2)),
        (1, 1),
        (atom.ok, atom.ok),
        (int, 7),
        (str, "x"),
        ((1, ..., ...), (1, atom.atom, 1)),
        ((..., atom.atom, int), (1, atom.atom, 1)),
        ([..., 2], [1, 2]),
        ((), ()),
        ({"b": "b"}, {"a": "a", "b": "b"}),
        ({"b": int}, {"b": 1}),
        ({}, {"a": 1}),
        (lambda value: value > 3, 4),
        ((lambda value: value > 3, ...), (4, 0)),
        (None, None),
        (True, True),
    ],
)
def test_what_fits(pattern: Any, value: Any) -> None:
    assert compiled(pattern)(value)


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        (1, 1.0),
        (1.0, 1),
        (1, True),
        (True, 1),
        (atom.ok, "ok"),
        ("ok", atom.ok),
        (int, "7"),
        ((1, ...), (1, 2, 3)),
        ((1, ...), [1, 2]),
        ([1, ...], (1, 2)),
        ((1.0, ...), (1, 2)),
        ((1, 2), None),
        ({"b": "b"}, {"a": "a"}),
        ({"b": "b"}, ("b", "b")),
        (lambda value: value > 3, 3),
        (None, False),
    ],
)
def test_what_does_not_fit(pattern: Any, value: Any) -> None:
    assert not compiled(pattern)(value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, True),
        (0, False),
        (1.0, True),
        ("ok", atom.ok),
        ((1, 2), [1, 2]),
        (("a", 1), ("a", 1.0)),
        (("a", 1), ("a", True)),
        ("abc", charlist("abc")),
        (None, False),
        ((), None),
    ],
)
def test_different_keys(one: Any, other: Any) -> None:
    assert key_of(one) != key_of(other)
    assert len({key_of(one), key_of(other)}) == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("room", b"room"),
        (("room", 1), (b"room", 1)),
        (b"\xff", bytearray(b"\xff")),
        (charlist("ab"), [97, 98]),
        ([1], [1]),
        ({1: "x"}, {1: b"x"}),
    ],
)
def test_keys_that_are_the_same(one: Any, other: Any) -> None:
    assert key_of(one) == key_of(other)
    assert hash(key_of(one)) == hash(key_of(other))


def test_any_hashable_object_can_be_a_key() -> None:
    class Topic:
        pass

    topic = Topic()
    assert key_of(topic) == key_of(topic) != key_of(Topic())
    assert key_of(Topic) == key_of(Topic)

    class Changing:
        __hash__ = None  # type: ignore[assignment]

    with pytest.raises(TypeError, match="unhashable"):
        key_of(Changing())


@settings(deadline=None)
@given(terms, terms)
def test_keys_are_the_same_when_erlang_says_so(one: Any, other: Any) -> None:
    assert key_of(one) == key_of(one)
    assert (key_of(one) == key_of(other)) == (identity(one) == identity(other))
