"""`text` reads what unicode:characters_to_list reads, and refuses what it refuses."""

import itertools
from typing import Any

import pytest
from erl_oracle import ErlangOracle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beamish.io.chardata import ChardataError, PieceDecoder, text
from beamish.io.measure import write
from beamish.term import ImproperList, atom

pieces = st.one_of(
    st.integers(-1, 0x110000),
    st.integers(0, 300),
    st.text(max_size=5).map(str.encode),
    st.binary(max_size=3),
    st.sampled_from([b"\xe2", b"\x82", b"\xac", b"\xe2\x82", atom.a]),
)
chardata = st.recursive(
    st.lists(pieces, max_size=6),
    lambda inner: st.one_of(
        st.lists(st.one_of(pieces, inner), max_size=5),
        st.tuples(st.lists(st.one_of(pieces, inner), min_size=1, max_size=3), st.binary(max_size=3)).map(
            lambda pair: ImproperList(*pair)
        ),
    ),
    max_leaves=15,
)


@pytest.mark.interop
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chardata)
def test_like_erlang(erlang: ErlangOracle, data: Any) -> None:
    try:
        ours = text(data)
    except ChardataError as error:
        ours = "!" + error.fault
    theirs = erlang.ask(f"{{text,{write(data)}}}")
    if theirs.startswith("!") and ours.startswith("!"):
        return  # which of several faults comes first is not the point
    assert ours == theirs


@given(st.text(), st.lists(st.integers(0, 1000), max_size=8))
def test_pieces_of_a_stream(content: str, places: list[int]) -> None:
    data = content.encode()
    marks = sorted({0, len(data), *[place % (len(data) + 1) for place in places]})
    decoder = PieceDecoder()
    out = "".join(decoder.feed(data[start:end]) for start, end in itertools.pairwise(marks))
    assert out + decoder.feed(b"", final=True) == content


def test_a_stream_that_is_not_text_still_shows() -> None:
    decoder = PieceDecoder()
    assert decoder.feed(b"a\xffb\xe2") == "a�b"
    assert decoder.feed(b"x") == "�x"
    assert PieceDecoder("latin1").feed(b"\xe9") == "é"
