"""Tables: bytes on the left, terms on the right."""

from __future__ import annotations

import enum
import math
import struct
import zlib
from collections import Counter, OrderedDict, UserDict, namedtuple
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import pytest

from beamish.errors import DecodeError, EncodeError
from beamish.etf import decode, encode
from beamish.etf._decode import Decoder
from beamish.etf.tags import TAGS
from beamish.term import (
    BitString,
    Charlist,
    ExportFun,
    Fun,
    ImproperList,
    Pid,
    Port,
    Ref,
    TermMap,
    atom,
    charlist,
)

NODE = atom("a@b")
NAME = b"w\x03a@b"
NAME_LATIN = b"s\x03a@b"
PID = Pid(NODE, 1, 2, 3)
PACKED = zlib.compress(b"a\x01")
PID_BYTES = b"X" + NAME + bytes([0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3])

# Spellings that we write ourselves.
BOTH: list[tuple[Any, bytes]] = [
    (0, b"a\x00"),
    (255, b"a\xff"),
    (256, b"b\x00\x00\x01\x00"),
    (-1, b"b\xff\xff\xff\xff"),
    (2**31 - 1, b"b\x7f\xff\xff\xff"),
    (-(2**31), b"b\x80\x00\x00\x00"),
    (2**31, b"n\x04\x00\x00\x00\x00\x80"),
    (-(2**31) - 1, b"n\x04\x01\x01\x00\x00\x80"),
    (2**63, b"n\x08\x00" + bytes(7) + b"\x80"),
    (-(2**63), b"n\x08\x01" + bytes(7) + b"\x80"),
    (2**64 - 1, b"n\x08\x00" + b"\xff" * 8),
    (-(2**64) + 1, b"n\x08\x01" + b"\xff" * 8),
    (2**64, b"n\x09\x00" + bytes(8) + b"\x01"),
    (2**2040 - 1, b"n\xff\x00" + b"\xff" * 255),
    (2**2040, b"o\x00\x00\x01\x00\x00" + bytes(255) + b"\x01"),
    (1.5, b"F\x3f\xf8" + bytes(6)),
    (atom.ok, b"w\x02ok"),
    (atom(""), b"w\x00"),
    (atom("é" * 127), b"w\xfe" + "é".encode() * 127),
    (atom("é" * 128), b"v\x01\x00" + "é".encode() * 128),
    (atom("日" * 255), b"v\x02\xfd" + "日".encode() * 255),
    (True, b"w\x04true"),
    (False, b"w\x05false"),
    (None, b"w\x03nil"),
    ((), b"h\x00"),
    ((1, (2,)), b"h\x02a\x01h\x01a\x02"),
    ((1,) * 255, b"h\xff" + b"a\x01" * 255),
    ((1,) * 256, b"i\x00\x00\x01\x00" + b"a\x01" * 256),
    ([], b"j"),
    ([1, 255], b"k\x00\x02\x01\xff"),
    ([1, 256], b"l\x00\x00\x00\x02a\x01b\x00\x00\x01\x00j"),
    ([True], b"l\x00\x00\x00\x01w\x04truej"),
    ([0] * 65535, b"k\xff\xff" + bytes(65535)),
    ([0] * 65536, b"l\x00\x01\x00\x00" + b"a\x00" * 65536 + b"j"),
    ([[]], b"l\x00\x00\x00\x01jj"),
    (b"", b"m\x00\x00\x00\x00"),
    (b"ab", b"m\x00\x00\x00\x02ab"),
    ("", b"M\x00\x00\x00\x00\x00"),
    ("aé", b"M\x00\x00\x00\x03\x08a\xc3\xa9"),
    (BitString(b"\xa0", 3), b"M\x00\x00\x00\x01\x03\xa0"),
    (BitString(b"\x01\x80", 1), b"M\x00\x00\x00\x02\x01\x01\x80"),
    (ImproperList([1], 2), b"l\x00\x00\x00\x01a\x01a\x02"),
    ({}, b"t\x00\x00\x00\x00"),
    ({atom.a: 1, b"k": [2]}, b"t\x00\x00\x00\x02w\x01aa\x01m\x00\x00\x00\x01kk\x00\x01\x02"),
    (TermMap([(1, 2), (1.0, 3)]), b"t\x00\x00\x00\x02a\x01a\x02F\x3f\xf0" + bytes(6) + b"a\x03"),
    (TermMap([([], 2)]), b"t\x00\x00\x00\x01ja\x02"),
    (PID, PID_BYTES),
    (Port(NODE, 7, 3), b"Y" + NAME + b"\0\0\0\x07\0\0\0\x03"),
    (Port(NODE, 2**40, 3), b"x" + NAME + b"\0\0\x01\0\0\0\0\0\0\0\0\x03"),
    (Ref(NODE, 3, (1, 2, 3)), b"Z\x00\x03" + NAME + b"\0\0\0\x03\0\0\0\x01\0\0\0\x02\0\0\0\x03"),
    (Ref(NODE, 3, (9,)), b"Z\x00\x01" + NAME + b"\0\0\0\x03\0\0\0\x09"),
    (ExportFun(atom.m, None, 2), b"qw\x01mw\x03nila\x02"),
    (
        Fun(atom.m, 1, b"0123456789abcdef", 5, 6, 2**27, PID, (b"x", 1)),
        b"p"
        + (29 + 3 + 2 + 5 + len(PID_BYTES) + 6 + 2).to_bytes(4, "big")
        + b"\x010123456789abcdef\0\0\0\x05\0\0\0\x02w\x01ma\x06b\x08\x00\x00\x00"
        + PID_BYTES
        + b"m\0\0\0\x01xa\x01",
    ),
]

# Other spellings, which we only read.
READ: list[tuple[bytes, Any]] = [
    (b"d\x00\x02ok", atom.ok),
    (b"s\x02ok", atom.ok),
    (b"d\x00\x01\xe9", atom("é")),
    (b"s\x01\xe9", atom("é")),
    (b"v\x00\x02ok", atom.ok),
    (b"d\x00\x04true", True),
    (b"c" + b"1.50000000000000000000e+00".ljust(31, b"\0"), 1.5),
    (b"c" + b"-2.5e-3".ljust(31, b"\0"), -0.0025),
    (b"n\x00\x00", 0),
    (b"n\x01\x01\x00", 0),
    (b"n\x02\x00\x01\x00", 1),
    (b"n\x0a\x01\x01" + bytes(9), -1),
    (b"o\x00\x00\x00\x01\x01\x07", -7),
    (b"b\x00\x00\x00\x01", 1),
    (b"i\x00\x00\x00\x01a\x01", (1,)),
    (b"k\x00\x00", []),
    (b"l\x00\x00\x00\x00j", []),
    (b"l\x00\x00\x00\x00a\x07", 7),
    (b"l\x00\x00\x00\x02a\x01a\x02j", [1, 2]),
    (b"l\x00\x00\x00\x01a\x01l\x00\x00\x00\x01a\x02j", [1, 2]),
    (b"l\x00\x00\x00\x01a\x01k\x00\x02\x02\x03", [1, 2, 3]),
    (b"l\x00\x00\x00\x01a\x01l\x00\x00\x00\x01a\x02a\x03", ImproperList([1, 2], 3)),
    (b"M\x00\x00\x00\x01\x08\xff", b"\xff"),
    (b"M\x00\x00\x00\x01\x03\xbf", BitString(b"\xa0", 3)),
    (b"M\x00\x00\x00\x02\x03\x01\xbf", BitString(b"\x01\xa0", 3)),
    (b"g" + NAME_LATIN + b"\0\0\0\x01\0\0\0\x02\x03", PID),
    (b"f" + NAME_LATIN + b"\0\0\0\x07\x03", Port(NODE, 7, 3)),
    (b"x" + NAME + b"\0\0\0\0\0\0\0\x07\0\0\0\x03", Port(NODE, 7, 3)),
    (b"r\x00\x02" + NAME_LATIN + b"\x03\0\0\0\x01\0\0\0\x02", Ref(NODE, 3, (1, 2))),
    (b"e" + NAME_LATIN + b"\0\0\0\x07\x03", Ref(NODE, 3, (7,))),
    (b"P\x00\x00\x00\x02" + PACKED, 1),
]

BAD: list[tuple[bytes, str]] = [
    (b"", "131"),
    (b"y\x00", "only the emulator"),
    (b"u\x00\x00\x00\x00", "OTP 22"),
    (b"\x00", "no such tag"),
    (b"\xff", "no such tag"),
    (b"R\x00", "cache reference"),
    (b"h\x01P\x00\x00\x00\x02xx", "compressed data inside"),
    (b"P\x00\x00\x00\x02xxxxxx", "zlib"),
    (b"P\x00\x00\x00\x03" + PACKED, "claims"),
    (b"P\x00\x00\x00\x01" + PACKED, "claims"),
    (b"P\x00\x00\x00\x02" + PACKED + b"x", "claims"),
    (b"P\x00\x00", "end of the bytes"),
    (b"F\x7f\xf0" + bytes(6), "finite"),
    (b"F\x7f\xf8" + bytes(6), "finite"),
    (b"c" + b"inf".ljust(31, b"\0"), "finite"),
    (b"c" + b"1_0".ljust(31, b"\0"), "finite"),
    (b"c" + b"".ljust(31, b"\0"), "finite"),
    (b"c" + b"1e999".ljust(31, b"\0"), "finite"),
    (b"w\x01\xff", "UTF-8"),
    (b"w\x03\xed\xa0\x80", "UTF-8"),
    (b"v\x01\x00" + b"a" * 256, "255 characters"),
    (b"d\x01\x00" + b"a" * 256, "255 characters"),
    (b"M\x00\x00\x00\x00\x08", "bits"),
    (b"M\x00\x00\x00\x01\x00a", "bits"),
    (b"M\x00\x00\x00\x01\x09a", "bits"),
    (b"t\x00\x00\x00\x02a\x01a\x01a\x01a\x02", "same key twice"),
    (b"t\x00\x00\x00\x02ja\x01ja\x02", "same key twice"),
    (b"t\x00\x00\x00\x02m\0\0\0\x01aa\x01M\0\0\0\x01\x08aa\x02", "same key twice"),
    (b"t\x00\x00\x00\x02h\x01m\0\0\0\x01aa\x01h\x01M\0\0\0\x01\x08aa\x02", "same key twice"),
    (b"X" + b"w\x04true" + bytes(12), "node name"),
    (b"Xa\x01" + bytes(12), "atom was expected"),
    (b"Z\x00\x00" + NAME + bytes(4), "words"),
    (b"Z\x00\x06" + NAME + bytes(28), "words"),
    (b"qw\x01mw\x01fb\0\0\0\x01", "fun"),
    (b"qw\x01ma\x01a\x01", "atom was expected"),
    (b"p\x00\x00\x00\x1d\x01" + bytes(24) + b"w\x01ma\x01a\x01" + PID_BYTES, "fun"),
    (b"p\x00\x00\x00\x34\x01" + bytes(24) + b"w\x01mw\x01aa\x01" + PID_BYTES, "fun"),
    (b"p\x00\x00\x00\x34\x01" + bytes(24) + b"w\x01ma\x01a\x01a\x01", "fun"),
]


@pytest.mark.parametrize(("term", "data"), BOTH, ids=lambda value: repr(value)[:40])
def test_written_and_read(term: Any, data: bytes) -> None:
    assert encode(term) == b"\x83" + data
    back = decode(b"\x83" + data)
    assert back == term
    assert type(back) is type(term)


@pytest.mark.parametrize(("data", "term"), READ, ids=lambda value: repr(value)[:40])
def test_only_read(data: bytes, term: Any) -> None:
    back = decode(b"\x83" + data)
    assert back == term
    assert type(back) is type(term)


@pytest.mark.parametrize(("data", "why"), BAD, ids=lambda value: repr(value)[:40])
def test_refused(data: bytes, why: str) -> None:
    with pytest.raises(DecodeError, match=why):
        decode(b"\x83" + data)


def test_every_tag_is_in_a_table() -> None:
    read = {data[0] for _, data in BOTH} | {data[0] for data, _ in READ}
    assert {tag.number for tag in TAGS.values() if tag.use in ("both", "read")} == read
    written = {data[0] for _, data in BOTH} | {80}
    assert {tag.number for tag in TAGS.values() if tag.use == "both"} == written
    refused = {data[0] for data, _ in BAD if data}
    assert {tag.number for tag in TAGS.values() if tag.use == "refused"} <= refused


def test_errors_say_where() -> None:
    with pytest.raises(DecodeError) as caught:
        decode(b"\x83h\x02a\x01y\x00")
    assert (caught.value.offset, caught.value.tag) == (5, 121)
    with pytest.raises(DecodeError, match="131"):
        decode(b"h\x00")


def test_cache_references() -> None:
    refs = (atom.a, True, atom("é"))
    assert Decoder().terms(b"h\x03R\x00R\x01R\x02", refs) == [refs]
    node = b"X" + b"R\x00" + bytes(12)
    assert Decoder().terms(node, (NODE,)) == [Pid(NODE, 0, 0, 0)]
    for bad in (b"R\x03", b"R", b"X" + b"R\x01" + bytes(12)):
        with pytest.raises(DecodeError):
            Decoder().terms(bad, refs)


# --- values that are not exactly a term's type ---


class Colour(enum.IntEnum):
    RED = 3


class Word(enum.StrEnum):
    A = "a"


class Text(str):
    pass


class Half:
    def __index__(self) -> int:
        return 7


Point = namedtuple("Point", "x y")


class Wrapped(Mapping[Any, Any]):
    def __init__(self, inner: dict[Any, Any]) -> None:
        self.inner = inner

    def __getitem__(self, key: Any) -> Any:
        return self.inner[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.inner)

    def __len__(self) -> int:
        return len(self.inner)


@pytest.mark.parametrize(
    ("value", "same_as"),
    [
        (Colour.RED, 3),
        (Word.A, "a"),
        (Text("é"), "é"),
        (Half(), 7),
        (Point(1, 2), (1, 2)),
        (OrderedDict({1: 2}), {1: 2}),
        (Counter("a"), {"a": 1}),
        (MappingProxyType({1: 2}), {1: 2}),
        (UserDict({1: 2}), {1: 2}),
        (Wrapped({b"a": []}), {b"a": []}),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"ab"), b"ab"),
        (memoryview(b"abcdef")[::2], b"ace"),
        (charlist("abc"), [97, 98, 99]),
        (Charlist("日a"), [0x65E5, 97]),
        (Charlist(""), []),
        (TermMap({1: 2}), {1: 2}),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_look_alikes(value: Any, same_as: Any) -> None:
    assert encode(value) == encode(same_as)
    assert encode([1, value, (value,)]) == encode([1, same_as, (same_as,)])


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (math.nan, "NaN"),
        (math.inf, "infinities"),
        (-math.inf, "infinities"),
        (object(), r"builtins\.object is not a term"),
        (len, "code does not travel"),
        (ValueError("x"), "describes it"),
        (1j, "complex"),
        ("\ud800", "surrogates"),
        ({"a": 1, b"a": 2}, "same in Erlang"),
        ({("a", 1): 1, (b"a", 1): 2}, "same in Erlang"),
        ({Text("a"): 1, b"a": 2}, "same in Erlang"),
        (iter([]), "not a term"),
    ],
    ids=repr,
)
def test_not_terms(value: Any, why: str) -> None:
    with pytest.raises(EncodeError, match=why):
        encode(value)


def test_an_encode_error_gives_the_path() -> None:
    with pytest.raises(EncodeError, match=r"builtins\.object is not a term.*\(at term\[1\]\[atom\.a\]\[0\]\)"):
        encode([0, {atom.a: (object(),)}])
    with pytest.raises(EncodeError, match=r"at term key \(<object"):
        encode({(object(),): 1})
    with pytest.raises(EncodeError, match=r"at term\[2\]\)"):
        encode(ImproperList([1, 2], object()))


class Spoiler:
    """Changes a container while it is being encoded."""

    def __init__(self, change: Any) -> None:
        self.change = change

    def __index__(self) -> int:
        self.change()
        return 1


def test_containers_that_change_while_they_are_encoded() -> None:
    items: list[Any] = [[1, 2, 3], 2]
    items.insert(0, Spoiler(items.clear))
    with pytest.raises(EncodeError, match="list changed"):
        encode([items])
    pairs: dict[Any, Any] = {atom.b: 1, atom.c: [1]}
    pairs = {atom.a: Spoiler(pairs.clear), **pairs}
    pairs[atom.a] = Spoiler(pairs.clear)
    with pytest.raises(EncodeError, match="dict changed"):
        encode(pairs)
    outer: list[Any] = []
    inner: list[Any] = [Spoiler(outer.clear), [1], [2]]
    outer.append(inner)
    del inner
    with pytest.raises(EncodeError, match="list changed"):
        encode(outer)


def test_calls_inside_calls_do_not_share_a_buffer() -> None:
    class Nested:
        def __index__(self) -> int:
            assert decode(encode([1, 2, 3])) == [1, 2, 3]
            return 9

    assert decode(encode((b"x" * 100, Nested(), b"y" * 100))) == (b"x" * 100, 9, b"y" * 100)


def test_negative_zero_is_kept() -> None:
    back = decode(encode(-0.0))
    assert struct.pack(">d", back) == struct.pack(">d", -0.0)
