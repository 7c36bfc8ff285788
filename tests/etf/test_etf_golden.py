"""What a real Erlang wrote, recorded by scripts/record_golden.py: we read it as we should and write the same bytes."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from beamish.etf import decode, encode
from beamish.term import BitString, ExportFun, ImproperList, Pid, Port, Ref, TermMap, atom

FOLDER = Path(__file__).resolve().parent.parent / "golden"
FILES = sorted(FOLDER.glob("otp*.json"))

# Erlang expression -> the term we read. Those that are not here are only checked to be written as they were read.
MEANING: dict[str, Any] = {
    "0": 0,
    "-2147483649": -(2**31) - 1,
    "-(1 bsl 64)": -(2**64),
    "1 bsl 2040": 2**2040,
    "5.0e-324": 5e-324,
    "ok": atom.ok,
    "true": True,
    "false": False,
    "nil": None,
    "undefined": atom.undefined,
    "''": atom(""),
    "list_to_atom([233])": atom("é"),
    "list_to_atom(lists:duplicate(255, 16#65E5))": atom("日" * 255),
    "{ok, {1, 2}}": (atom.ok, (1, 2)),
    "list_to_tuple(lists:seq(1, 260))": tuple(range(1, 261)),
    "[]": [],
    '"abc"': [97, 98, 99],
    "[1, 2, 256]": [1, 2, 256],
    "[1 | 2]": ImproperList([1], 2),
    "[a, b | <<99>>]": ImproperList([atom.a, atom.b], b"c"),
    "<<>>": b"",
    "<<1, 2, 3>>": b"\1\2\3",
    "<<5:3>>": BitString(b"\xa0", 3),
    "<<255, 1:1>>": BitString(b"\xff\x80", 1),
    "#{}": {},
    "#{<<97>> => [1.5]}": {b"a": [1.5]},
    "#{1 => a, 1.0 => b}": TermMap([(1, atom.a), (1.0, atom.b)]),
    "#{[] => x, #{} => y}": TermMap([([], atom.x), ({}, atom.y)]),
    "fun lists:map/2": ExportFun(atom.lists, atom.map, 2),
    'list_to_pid("<0.1.0>")': Pid(atom("nonode@nohost"), 1, 0, 0),
    'list_to_ref("#Ref<0.1.2.3>")': Ref(atom("nonode@nohost"), 0, (3, 2, 1)),
    'list_to_port("#Port<0.5>")': Port(atom("nonode@nohost"), 5, 0),
    "#{'__struct__' => 'Elixir.Date', calendar => 'Elixir.Calendar.ISO', year => 2024, month => 2, day => 29}": dt.date(
        2024, 2, 29
    ),
    "#{'__struct__' => 'Elixir.Range', first => 1, last => 10, step => 3}": range(1, 11, 3),
    "#{'__struct__' => 'Elixir.MapSet', map => #{1 => [], a => []}, version => 2}": frozenset([1, atom.a]),
    "#{'__struct__' => 'Elixir.Decimal', sign => -1, coef => 1234, exp => -2}": Decimal("-12.34"),
}
# Values whose map has its keys in another order than Erlang's.
ANY_ORDER = "'__struct__'"


def entries() -> list[Any]:
    return [
        pytest.param(entry, id=f"{file.stem}-{entry['erlang'][:50]}")
        for file in FILES
        for entry in json.loads(file.read_text())["terms"]
    ]


@pytest.mark.parametrize("entry", entries())
def test_recorded_bytes(entry: dict[str, str]) -> None:
    plain, utf8 = bytes.fromhex(entry["plain"]), bytes.fromhex(entry["utf8"])
    term = decode(plain)
    assert decode(utf8) == term
    if entry["erlang"] in MEANING:
        wanted = MEANING[entry["erlang"]]
        assert term == wanted
        assert type(term) is type(wanted)
    written = encode(term)
    if ANY_ORDER in entry["erlang"]:
        assert sorted(written) == sorted(utf8)
    elif "list_to_port" in entry["erlang"]:
        assert decode(written) == term  # OTP writes tag 120 where 89 is enough
    else:
        assert written == utf8


def test_there_is_a_recording_and_every_meaning_is_in_it() -> None:
    assert FILES
    for file in FILES:
        recorded = {entry["erlang"] for entry in json.loads(file.read_text())["terms"]}
        assert recorded >= MEANING.keys()
