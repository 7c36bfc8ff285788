"""Atoms: one object for each name, for as long as somebody holds it."""

from __future__ import annotations

import copy
import enum
import gc
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamish.term import Atom, atom
from beamish.term._atom import live_atoms

names = st.text(st.characters(codec="utf-8"), max_size=255)


@given(names)
def test_one_object_for_each_name(name: str) -> None:
    made = atom(name)
    assert atom(name) is made
    if name not in ("true", "false", "nil"):
        assert isinstance(made, Atom)
        assert made.text == str(made) == name


@given(names, names)
def test_different_names_are_different_atoms(left: str, right: str) -> None:
    assert (atom(left) is atom(right)) == (left == right)


def test_two_spellings() -> None:
    assert atom.ok is atom("ok")
    assert atom.__struct__ is atom("__struct__")
    assert atom.__exception__ is atom("__exception__")
    assert atom(atom.ok) is atom.ok
    with pytest.raises(AttributeError):
        _ = atom.__nothing__


def test_true_false_and_nil_are_pythons() -> None:
    assert atom("true") is True
    assert atom("false") is False
    assert atom("nil") is None
    assert atom(True) is True
    assert atom(None) is None
    assert isinstance(atom.undefined, Atom)


def test_an_atom_equals_no_text() -> None:
    assert atom.ok != "ok"
    assert atom.ok != b"ok"
    assert {atom.ok: 1, "ok": 2, b"ok": 3}[atom.ok] == 1


def test_text_of_other_str_classes() -> None:
    class Word(enum.StrEnum):
        OK = "ok"

    assert atom(Word.OK) is atom.ok
    assert type(atom(Word.OK).text) is str


@pytest.mark.parametrize("wrong", [1, b"ok", ["a"], 1.5])
def test_only_text_makes_an_atom(wrong: Any) -> None:
    with pytest.raises(TypeError, match="made from a str"):
        atom(wrong)


def test_atoms_are_made_by_the_factory() -> None:
    with pytest.raises(TypeError, match="atom"):
        Atom()
    with pytest.raises(ValueError, match="255 characters"):
        atom("é" * 256)
    with pytest.raises(ValueError):
        atom("\ud800")
    assert len(atom("日" * 255).text) == 255


def test_representation() -> None:
    assert repr(atom.ok) == "atom.ok"
    assert repr(atom("not ok")) == "atom('not ok')"
    assert repr(atom) == "atom"


@given(names)
def test_copies_are_the_same_object(name: str) -> None:
    made = atom(name)
    assert copy.copy(made) is made
    assert copy.deepcopy([made])[0] is made
    assert pickle.loads(pickle.dumps(made)) is made
    assert pickle.loads(pickle.dumps(atom)) is atom


def test_order_is_that_of_the_names() -> None:
    assert sorted([atom.b, atom.a, atom("B")]) == [atom("B"), atom.a, atom.b]
    with pytest.raises(TypeError):
        _ = atom.a < "b"  # type: ignore[operator]


def test_an_atom_nobody_holds_disappears() -> None:
    gc.collect()
    before = live_atoms()
    held = [atom(f"held_{number}") for number in range(20_000)]
    assert live_atoms() >= 20_000
    del held
    assert live_atoms() - before < 5_000  # a few thousand recent names stay
    again = [atom(f"held_{number}") for number in range(20_000)]
    assert [name.text for name in again] == [f"held_{number}" for number in range(20_000)]


def test_matching() -> None:
    match (atom.ping, 7):
        case (atom.pong, _):
            pytest.fail("pong is not ping")
        case (atom.ping, number):
            assert number == 7
