"""Reassembly: any cut and any interleaving, and the limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamish.dist.fragments import PIECE_COST, Fragments, Whole
from beamish.errors import RemoteProtocolError


def test_one_piece_is_whole_at_once() -> None:
    fragments: Fragments[str] = Fragments()
    assert fragments.first(7, 1, "head", b"payload") == Whole("head", b"payload")
    assert len(fragments) == 0


def test_pieces_count_down() -> None:
    fragments: Fragments[str] = Fragments()
    assert fragments.first(7, 3, "head", b"ab") is None
    assert fragments.more(7, 2, b"cd") is None
    assert len(fragments) == 1
    assert fragments.size == 4 + 2 * PIECE_COST
    assert fragments.more(7, 1, b"e") == Whole("head", b"abcde")
    assert len(fragments) == 0
    assert fragments.size == 0


@pytest.mark.parametrize(
    ("sequence", "number", "told"),
    [(7, 3, "in the place of 2"), (7, 1, "in the place of 2"), (7, 0, "in the place"), (8, 2, "no first piece")],
)
def test_continuations_that_do_not_fit(sequence: int, number: int, told: str) -> None:
    fragments: Fragments[str] = Fragments()
    fragments.first(7, 3, "head", b"ab")
    with pytest.raises(RemoteProtocolError, match=told):
        fragments.more(sequence, number, b"")


def test_first_pieces_that_do_not_fit() -> None:
    fragments: Fragments[str] = Fragments(bytes_max=1000)
    fragments.first(7, 3, "head", b"ab")
    with pytest.raises(RemoteProtocolError, match="starts again while 2 pieces"):
        fragments.first(7, 3, "head", b"ab")
    with pytest.raises(RemoteProtocolError, match="count down to 1"):
        fragments.first(8, 0, "head", b"ab")
    with pytest.raises(RemoteProtocolError, match="claims 2000 pieces"):
        fragments.first(8, 2000, "head", b"ab")


def test_incomplete_messages_are_bounded_in_number_and_size() -> None:
    fragments: Fragments[str] = Fragments(sequences_max=2, bytes_max=400)
    fragments.first(1, 100, "head", b"x" * 100)
    fragments.first(2, 2, "head", b"")
    with pytest.raises(RemoteProtocolError, match="more than 2 incomplete"):
        fragments.first(3, 2, "head", b"")
    fragments.more(1, 99, b"x" * 100)
    with pytest.raises(RemoteProtocolError, match="above 400 bytes"):
        fragments.more(1, 98, b"x" * 9)


def test_tiny_pieces_cost_what_they_cost() -> None:
    fragments: Fragments[str] = Fragments(bytes_max=10 * (PIECE_COST + 1))
    fragments.first(1, 100, "head", b"x")
    for number in range(99, 90, -1):
        fragments.more(1, number, b"x")
    with pytest.raises(RemoteProtocolError, match="above"):
        fragments.more(1, 90, b"x")


def test_disconnect_drops_everything() -> None:
    fragments: Fragments[str] = Fragments()
    fragments.first(7, 3, "head", b"ab")
    fragments.clear()
    assert len(fragments) == fragments.size == 0
    with pytest.raises(RemoteProtocolError, match="no first piece"):
        fragments.more(7, 2, b"")


@given(
    st.dictionaries(st.integers(0, 2**64 - 1), st.lists(st.binary(max_size=20), min_size=1, max_size=8), max_size=6),
    st.data(),
)
def test_any_interleaving_gives_back_every_message(messages: dict[int, list[bytes]], data: st.DataObject) -> None:
    fragments: Fragments[int] = Fragments()
    left = {sequence: list(pieces) for sequence, pieces in messages.items()}
    whole: dict[int, bytes] = {}
    while left:
        sequence = data.draw(st.sampled_from(sorted(left)))
        pieces = left[sequence]
        number = len(pieces)
        piece = pieces.pop(0)
        if number == len(messages[sequence]):
            done = fragments.first(sequence, number, sequence, piece)
        else:
            done = fragments.more(sequence, number, piece)
        assert (done is not None) == (not pieces)
        if done is not None:
            assert done.head == sequence
            whole[sequence] = done.payload
            del left[sequence]
    assert whole == {sequence: b"".join(pieces) for sequence, pieces in messages.items()}
    assert len(fragments) == fragments.size == 0
