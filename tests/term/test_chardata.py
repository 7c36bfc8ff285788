"""Chardata, as tables, as properties, and (in tests/io) beside Erlang."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamish.term import Charlist, ImproperList, atom, text
from beamish.term.chardata import ChardataError


@pytest.mark.parametrize(
    ("chardata", "expected"),
    [
        ("abc", "abc"),
        (Charlist("abc"), "abc"),
        (b"caf\xc3\xa9", "café"),
        (bytearray(b"abc"), "abc"),
        ([], ""),
        ([97, b"b", [[b"c"], "d"], Charlist("e")], "abcde"),
        ([b"\xe2\x82", b"\xac"], "€"),
        ([b"\xe2", [], [b"\x82", [b"\xac"]]], "€"),
        (ImproperList([97, 98], b"c"), "abc"),
        (ImproperList([[97], 98], "c"), "abc"),
        ([0xFFFE, 0xFFFF, 0x10FFFF], "\ufffe\uffff\U0010ffff"),
    ],
)
def test_reads(chardata: Any, expected: str) -> None:
    result = text(chardata)
    assert result == expected
    assert type(result) is str


def test_latin1() -> None:
    assert text([b"\xe9", 233], "latin1") == "éé"
    with pytest.raises(ChardataError, match="256"):
        text([256], "latin1")


def test_lenient_reads_each_binary_as_it_can() -> None:
    assert text([b"\xe9", b"\xc3\xa9"], lenient=True) == "éé"


@pytest.mark.parametrize(
    ("chardata", "fault", "so_far"),
    [
        ([97, b"\xe2\x82"], "incomplete", "a"),
        ([b"\xe2", 65], "error", ""),
        (b"ab\xff", "error", "ab"),
        ([97, 0xD800], "error", "a"),
        ([0x110000], "error", ""),
        ([-1], "error", ""),
        ([97, atom.a], "badarg", "a"),
        ([97, 1.0], "badarg", "a"),
        ([True], "badarg", ""),
        (ImproperList([97], 98), "badarg", ""),
        (atom.a, "badarg", ""),
        (5, "badarg", ""),
        (None, "badarg", ""),
    ],
)
def test_faults(chardata: Any, fault: str, so_far: str) -> None:
    with pytest.raises(ChardataError) as caught:
        text(chardata)
    assert caught.value.fault == fault
    assert caught.value.so_far == so_far


def test_bounds() -> None:
    with pytest.raises(ChardataError, match="longer than 10"):
        text([b"12345", [b"123456"]], max_characters=10)
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ChardataError, match="nested deeper"):
        text(endless)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    marks = sorted({0, len(data), *[place % (len(data) + 1) for place in places]})
    return [data[start:end] for start, end in itertools.pairwise(marks)]


@given(st.text(), st.lists(st.integers(0, 1000), max_size=8))
def test_binaries_may_be_cut_anywhere(content: str, places: list[int]) -> None:
    assert text(cut(content.encode("utf-8"), places)) == content
