"""Garbage and damaged terms: refused with a DecodeError or read as the reference reads them, never anything else.

`make asan` runs this file under AddressSanitizer.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import strategies
from beamish.errors import DecodeError
from beamish.etf import decode, encode
from beamish.etf._decode import Decoder
from beamish.etf.tags import TAGS
from beamish.term import BitString, ExportFun, Fun, ImproperList, Pid, Port, Ref, TermMap, atom, charlist
from etf import reference

NODE = atom("a@b")
PID = Pid(NODE, 1, 2, 3)
SEEDS: list[Any] = [
    (atom("$gen_call"), (PID, ImproperList([atom.alias], Ref(NODE, 3, (1, 2, 3)))), {atom.a: [b"x", "y", 1.5]}),
    [2**70, -(2**70), 2**3000, -1, 300, 0, True, None, charlist("abc"), [1, 2, 3]],
    {1: TermMap([(1, 2), (1.0, 3), ([], {}), ({1: 2}, "z")]), b"k": (), "s": ""},
    [Fun(atom.m, 1, b"0123456789abcdef", 5, 6, 7, PID, (b"x", [PID])), ExportFun(atom.m, atom.f, 3)],
    [Port(NODE, 2**40, 1), Port(NODE, 1, 1), BitString(b"abc", 3), Ref(NODE, 1, (1, 2, 3, 4, 5)), atom("é" * 200)],
    tuple(range(300)),
    [{atom.a: i, b"key": [i], "text": (i,)} for i in range(20)],
]
INTERESTING = [*(tag.number for tag in TAGS.values()), 0, 1, 2, 3, 4, 8, 127, 128, 255]


def outcome(data: bytes) -> Any:
    """The model that we read, or None where we refuse."""
    try:
        term = decode(data)
    except DecodeError as error:
        if not 0 <= error.offset <= 1 << 20:
            raise AssertionError(f"an offset that is nowhere: {error}") from error
        return None
    return reference.strict(reference.model_of(term))


def expected(data: bytes) -> Any:
    try:
        return reference.strict(reference.decode(data))
    except reference.Malformed:
        return None


def damage(source: random.Random, data: bytes) -> bytes:
    """A few changes of the kinds that parsers stumble over."""
    found = bytearray(data)
    for _ in range(source.randint(1, 4)):
        place = source.randrange(1, len(found))
        match source.randrange(6):
            case 0:
                found[place] = source.randrange(256)
            case 1:
                found[place] = source.choice(INTERESTING)
            case 2:
                del found[place : place + source.randint(1, 8)]
            case 3:
                found[place:place] = bytes(source.choice(INTERESTING) for _ in range(source.randint(1, 5)))
            case 4:
                other = source.randrange(1, len(found))
                found[place:place] = found[other : other + source.randint(1, 40)]
            case 5:
                found[place : place + 4] = source.choice(
                    [b"\0\0\0\0", b"\0\0\0\1", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\0\0\1\0"]
                )
        if len(found) < 2:
            break
    return bytes(found)


@pytest.mark.parametrize("seed", range(len(SEEDS)))
def test_damaged_terms(seed: int) -> None:
    source = random.Random(seed)
    data = encode(SEEDS[seed])
    accepted = 0
    for _ in range(3000):
        bad = damage(source, data)
        found = outcome(bad)
        assert found == expected(bad), bad.hex()
        accepted += found is not None
    assert 0 < accepted < 3000


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=60))
def test_garbage(data: bytes) -> None:
    assert outcome(b"\x83" + data) == expected(b"\x83" + data)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(INTERESTING), max_size=60).map(bytes))
def test_garbage_made_of_tags(data: bytes) -> None:
    assert outcome(b"\x83" + data) == expected(b"\x83" + data)


@settings(max_examples=150, deadline=None)
@given(strategies.terms, st.randoms(use_true_random=False))
def test_damaged_random_terms(term: Any, source: random.Random) -> None:
    data = encode(term)
    for _ in range(20):
        bad = damage(source, data)
        assert outcome(bad) == expected(bad), bad.hex()


def test_damaged_compressed_terms() -> None:
    source = random.Random(80)
    data = encode([b"abc" * 50, list(range(300))], compressed=6)
    assert data[1] == 80
    for _ in range(2000):
        bad = damage(source, data)
        assert outcome(bad) == expected(bad), bad.hex()


def test_damaged_structs_lose_nothing() -> None:
    """Elixir structs with a field changed are read as whatever they are, and written back as that."""
    source = random.Random(1)
    data = encode(STRUCTS)
    read_as_other = 0
    for _ in range(5000):
        bad = damage(source, data)
        found = outcome(bad)
        assert found == expected(bad), bad.hex()
        if found is not None:
            read_as_other += found != expected(data)
            assert reference.strict(reference.decode(encode(decode(bad)))) == found
    assert read_as_other > 50


STRUCTS: list[dict[Any, Any]] = [
    {
        atom.__struct__: atom("Elixir.DateTime"),
        atom.calendar: atom("Elixir.Calendar.ISO"),
        **{atom(name): 1 for name in ("year", "month", "day", "hour", "minute", "second")},
        atom.microsecond: (123, 6),
        atom.time_zone: b"Etc/UTC",
        atom.zone_abbr: b"UTC",
        atom.utc_offset: 0,
        atom.std_offset: 0,
    },
    {atom.__struct__: atom("Elixir.Decimal"), atom.sign: 1, atom.coef: 123, atom.exp: -2},
    {atom.__struct__: atom("Elixir.MapSet"), atom.map: {1: [], b"a": []}, atom.version: 2},
    {atom.__struct__: atom("Elixir.Range"), atom.first: 1, atom.last: 9, atom.step: 2},
    {
        atom.__struct__: atom("Elixir.Time"),
        atom.calendar: atom("Elixir.Calendar.ISO"),
        **{atom(name): 1 for name in ("hour", "minute", "second")},
        atom.microsecond: (500000, 1),
    },
]


def test_damaged_messages_with_cache_references() -> None:
    source = random.Random(82)
    refs = (atom.a, NODE, True)
    data = encode([(PID, atom.x, Ref(NODE, 3, (1, 2, 3)))])[1:].replace(encode(NODE)[1:], b"R\x01")
    decoder = Decoder()
    for _ in range(5000):
        bad = damage(source, b"\0" + data)[1:]
        reader = reference.Reader(bad, ("a", "a@b", "true"))
        wanted: Any = []
        try:
            while reader.at < len(bad):
                wanted.append(reference.strict(reader.term()))
        except reference.Malformed:
            wanted = None
        try:
            found: Any = [reference.strict(reference.model_of(term)) for term in decoder.terms(bad, refs)]
        except DecodeError:
            found = None
        assert found == wanted, bad.hex()
