"""Pids, ports and references: values by which nodes name what they made."""

from __future__ import annotations

import copy
import itertools
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from beamish.term import Pid, Port, Ref, atom

NODE, OTHER = atom("a@b"), atom("c@d")
identifiers = st.one_of(strategies.pids, strategies.ports, strategies.refs)


@given(identifiers)
def test_copies_are_equal(value: Any) -> None:
    back = pickle.loads(pickle.dumps(value))
    assert back == value
    assert hash(back) == hash(value)
    assert copy.deepcopy([value])[0] is value
    assert copy.copy(value) is value
    assert value != object()
    assert (value == str(value)) is False


def test_every_field_counts() -> None:
    pids = [Pid(NODE, 1, 2, 3), Pid(OTHER, 1, 2, 3), Pid(NODE, 2, 2, 3), Pid(NODE, 1, 3, 3), Pid(NODE, 1, 2, 4)]
    ports = [Port(NODE, 1, 2), Port(OTHER, 1, 2), Port(NODE, 2, 2), Port(NODE, 1, 3), Port(NODE, 2**40, 2)]
    refs = [
        Ref(NODE, 1, (1, 2)),
        Ref(OTHER, 1, (1, 2)),
        Ref(NODE, 2, (1, 2)),
        Ref(NODE, 1, (2, 1)),
        Ref(NODE, 1, (1, 2, 0)),
    ]
    for values in (pids, ports, refs):
        assert len(set(values)) == len(values)
        assert all((left == right) == (left is right) for left in values for right in values)


def test_fields() -> None:
    pid = Pid(NODE, 2**32 - 1, 2, 3)
    assert (pid.node, pid.id, pid.serial, pid.creation) == (NODE, 2**32 - 1, 2, 3)
    port = Port(NODE, 2**64 - 1, 3)
    assert (port.node, port.id, port.creation) == (NODE, 2**64 - 1, 3)
    ref = Ref(NODE, 3, [1, 2, 3, 4, 5])
    assert (ref.node, ref.creation, ref.words) == (NODE, 3, (1, 2, 3, 4, 5))


def test_pids_are_ordered_as_erlang_orders_them() -> None:
    """Serial, then id, then node, then creation: what `global` compares."""
    wanted = [
        Pid(atom("z@z"), 1, 0, 1),
        Pid(atom("a@a"), 2, 0, 1),
        Pid(atom("b@a"), 2, 0, 1),
        Pid(atom("b@a"), 2, 0, 2),
        Pid(atom("a@a"), 1, 1, 1),
    ]
    assert all(sorted(order) == wanted for order in itertools.permutations(wanted))
    assert wanted[0] < wanted[1] <= wanted[1] > wanted[0] >= wanted[0]
    with pytest.raises(TypeError):
        _ = wanted[0] < 1  # type: ignore[operator]


@given(st.lists(strategies.ports, max_size=5), st.lists(strategies.refs, max_size=5))
def test_ports_and_references_have_an_order(ports: list[Port], refs: list[Ref]) -> None:
    for left, right in [*itertools.product(ports, ports), *itertools.product(refs, refs)]:
        assert (left < right, left == right, left > right).count(True) == 1
        assert (left <= right) == (not left > right)
        assert (left >= right) == (not left < right)


@pytest.mark.parametrize("words", [(), (1, 2, 3, 4, 5, 6)])
def test_a_reference_has_one_to_five_words(words: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="1 to 5 words"):
        Ref(NODE, 1, words)


def test_numbers_that_do_not_fit() -> None:
    for wrong in (-1, 2**32):
        with pytest.raises(OverflowError):
            Pid(NODE, wrong, 0, 0)
        with pytest.raises(OverflowError):
            Ref(NODE, 0, (wrong,))
    with pytest.raises(TypeError):
        Pid("a@b", 1, 2, 3)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Pid(None, 1, 2, 3)  # type: ignore[arg-type]


def test_representation() -> None:
    assert str(Pid(NODE, 1, 2, 3)) == "<a@b.1.2>"
    assert repr(Port(NODE, 1, 2)) == "#Port<a@b.1>"
    assert repr(Ref(NODE, 1, (1, 2, 3))) == "#Ref<a@b.1.2.3>"
