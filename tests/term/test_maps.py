"""TermMap, and the identity that keys have in Erlang."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from beamish.term import ImproperList, TermMap, atom, charlist
from beamish.term.identity import identity
from etf import reference


@given(strategies.terms, strategies.terms)
def test_identity_agrees_with_the_reference(left: Any, right: Any) -> None:
    same = reference.identity(reference.model_of(left)) == reference.identity(reference.model_of(right))
    assert (identity(left) == identity(right)) == same
    assert identity(left) == identity(left)
    hash(identity(left))


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (1, 1.0, False),
        (1, True, False),
        (0, False, False),
        (0.0, -0.0, False),
        ("a", b"a", True),
        ("a", atom.a, False),
        (bytearray(b"a"), b"a", True),
        (charlist("ab"), [97, 98], True),
        (charlist("ab"), "ab", False),
        ([1], (1,), False),
        ([1], [1.0], False),
        ({1: 2}, TermMap({1: 2}), True),
        ({1: 2}, {1.0: 2}, False),
        ({1: "x", 2: 3}, {2: 3, 1: b"x"}, True),
        (ImproperList([1], 2), ImproperList([1], 2.0), False),
        (frozenset([1]), {1}, True),
        (range(0), range(1, 1), False),
        (None, atom("nil"), True),
    ],
    ids=repr,
)
def test_identity(left: Any, right: Any, same: bool) -> None:
    assert (identity(left) == identity(right)) is same


def test_only_terms_have_an_identity() -> None:
    with pytest.raises(TypeError, match="not a term"):
        identity(object())


def test_keys_that_a_dict_would_merge_or_refuse() -> None:
    held = TermMap([(1, "int"), (1.0, "float"), (True, "true"), ([], "list"), ({}, "map"), (b"k", "binary")])
    assert len(held) == 6
    assert [held[key] for key in (1, 1.0, True, [], {}, "k", b"k")] == [
        "int", "float", "true", "list", "map", "binary", "binary",
    ]  # fmt: skip
    assert list(held) == [1, 1.0, True, [], {}, b"k"]
    assert list(held.values()) == ["int", "float", "true", "list", "map", "binary"]
    assert list(held.items())[3] == ([], "list")
    assert ([], "list") in held.items()
    assert [] in held
    assert 2 not in held
    assert object() not in held
    assert held.get(2) is None
    for missing in (2, object()):
        with pytest.raises(KeyError):
            held[missing]


def test_equality_and_hash_are_erlangs() -> None:
    held = TermMap([(1, 2), (1.0, 3)])
    assert held == TermMap([(1.0, 3), (1, 2)])
    assert hash(held) == hash(TermMap([(1.0, 3), (1, 2)]))
    assert held != TermMap([(1, 2)])
    assert TermMap([(1, 2)]) != TermMap([(1.0, 2)])
    plain: Any = {1: 2}
    assert plain == TermMap([(1, 2)])
    assert TermMap([(1, 2)]) == plain
    assert TermMap([(1, 2)]) != {1: object()}
    assert held != 1
    assert {held: "nested"}[TermMap([(1.0, 3), (1, 2)])] == "nested"


def test_a_key_may_come_once() -> None:
    for pairs in ([(1, 2), (1, 3)], [("a", 1), (b"a", 2)], [([1], 1), (charlist("\x01"), 2)]):
        with pytest.raises(ValueError, match="comes twice"):
            TermMap(pairs)


@given(st.lists(st.tuples(strategies.leaves, strategies.leaves), max_size=6))
def test_made_from_pairs_or_from_a_mapping(pairs: list[tuple[Any, Any]]) -> None:
    unique = list({identity(key): (key, value) for key, value in pairs}.values())
    held = TermMap(unique)
    assert TermMap(held) == held
    assert pickle.loads(pickle.dumps(held)) == held
    assert len(held) == len(unique)
    assert eval(repr(TermMap([(1, 2)]))) == TermMap([(1, 2)])


def test_deep_keys_cost_no_more_than_their_size() -> None:
    made: Any = 1
    for level in range(120):
        made = TermMap([(made, 1)]) if level % 2 else {made: 1}
    assert made == made
    assert hash(TermMap([(made, 1)])) == hash(TermMap([(made, 1)]))
