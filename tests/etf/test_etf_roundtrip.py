"""Whatever is encoded comes back, in the very bytes and values that the reference codec gives."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import strategies
from beamish.errors import DecodeError
from beamish.etf import decode, encode
from beamish.etf._decode import Decoder
from beamish.etf._encode import Encoder
from etf import reference

MANY = settings(max_examples=400, deadline=None)


@MANY
@given(strategies.terms)
def test_encoding_is_what_the_reference_writes(term: Any) -> None:
    assert encode(term) == reference.encode(reference.model_of(term))


@MANY
@given(strategies.terms)
def test_decoding_gives_back_the_term(term: Any) -> None:
    back = decode(encode(term))
    assert reference.strict(reference.model_of(back)) == reference.strict(reference.model_of(term))


@MANY
@given(strategies.structs)
def test_a_registered_value_comes_back_as_the_same_type_and_value(value: Any) -> None:
    back = decode(encode(value))
    assert type(back) is type(value)
    assert back == value or str(back) == str(value)  # NaN equals nothing
    assert reference.strict(reference.decode(encode(back))) == reference.strict(reference.decode(encode(value)))


@settings(max_examples=100, deadline=None)
@given(st.one_of(strategies.structs, strategies.nested(st.one_of(strategies.leaves, strategies.structs))))
def test_structs_inside_other_terms_lose_nothing(term: Any) -> None:
    data = encode(term)
    wire = reference.strict(reference.decode(data))
    assert wire == reference.strict(reference.model_of(decode(data)))
    assert reference.strict(reference.decode(encode(decode(data)))) == wire


@settings(max_examples=100, deadline=None)
@given(strategies.terms, st.integers(1, 9))
def test_compressed_is_the_same_term(term: Any, level: int) -> None:
    packed = encode([term] * 20, compressed=level)
    assert len(packed) <= len(encode([term] * 20))
    assert reference.strict(reference.decode(packed)) == reference.strict(reference.model_of([term] * 20))
    assert reference.strict(reference.model_of(decode(packed))) == reference.strict(reference.decode(packed))


@settings(max_examples=60, deadline=None)
@given(strategies.terms)
def test_every_prefix_is_refused(term: Any) -> None:
    data = encode(term)
    for size in range(len(data)):
        with pytest.raises(DecodeError):
            decode(data[:size])


@given(strategies.terms, st.binary(min_size=1, max_size=5))
def test_bytes_after_the_term_are_refused(term: Any, more: bytes) -> None:
    with pytest.raises(DecodeError, match="after the end"):
        decode(encode(term) + more)


@given(st.lists(strategies.terms, max_size=5))
def test_a_decoder_takes_terms_one_after_the_other(terms: list[Any]) -> None:
    stream = b"".join(encode(term)[1:] for term in terms)
    back = Decoder().terms(stream)
    assert [reference.strict(reference.model_of(term)) for term in back] == [
        reference.strict(reference.model_of(term)) for term in terms
    ]


@given(strategies.terms)
def test_any_buffer_can_be_decoded(term: Any) -> None:
    data = encode(term)
    model = reference.strict(reference.model_of(term))
    for buffer in (bytearray(data), memoryview(data), memoryview(b"xx" + data)[2:]):
        assert reference.strict(reference.model_of(decode(buffer))) == model


def test_an_encoder_keeps_working_after_a_failure() -> None:
    encoder = Encoder()
    for _ in range(3):
        with pytest.raises(ValueError, match="not a term"):
            encoder.message(1, [object()])
        assert encoder.message(1) == b"\0a\x01"
