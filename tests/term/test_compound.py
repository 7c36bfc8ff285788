"""Improper lists, bitstrings, funs and charlists."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from beamish.term import BitString, Charlist, ExportFun, Fun, ImproperList, Pid, atom, charlist

PID = Pid(atom("a@b"), 1, 2, 3)
UNIQ = b"0123456789abcdef"


@given(st.one_of(strategies.bitstrings, strategies.export_funs))
def test_equal_by_value(value: Any) -> None:
    back = pickle.loads(pickle.dumps(value))
    assert back == value
    assert hash(back) == hash(value)
    assert (back != value) is False
    assert value != object()
    assert value != 1


def test_improper_lists() -> None:
    alias = ImproperList([atom.alias], 7)
    assert alias == ImproperList((atom.alias,), 7)
    assert hash(alias) == hash(ImproperList((atom.alias,), 7))
    assert alias != ImproperList((atom.alias,), 8)
    assert alias != ImproperList((atom.other,), 7)
    assert pickle.loads(pickle.dumps(alias)) == alias
    assert repr(alias) == "ImproperList((atom.alias,), 7)"
    match alias:
        case ImproperList((atom.alias,), tail):
            assert tail == 7
        case _:
            pytest.fail("it does not match")
    with pytest.raises(ValueError, match="at least one"):
        ImproperList([], 1)
    for tail in ([], [1], alias):
        with pytest.raises(ValueError, match="join"):
            ImproperList([1], tail)
    with pytest.raises(TypeError):
        hash(ImproperList([[]], 1))
    with pytest.raises(AttributeError):
        alias.tail = 3  # type: ignore[misc]


def test_deep_improper_lists_are_freed_safely() -> None:
    made: Any = 1
    for _ in range(200_000):
        made = ImproperList([made], 1)
    del made


def test_bitstrings() -> None:
    bits = BitString(b"\xff\xff", 3)
    assert bits.data == b"\xff\xe0"
    assert len(bits) == 11
    assert bits == BitString(b"\xff\xe0", 3)
    assert bits != BitString(b"\xff\xe0", 4)
    assert bits != b"\xff\xe0"
    assert repr(bits) == r"BitString(b'\xff\xe0', 3)"
    for wrong in (0, 8, -1):
        with pytest.raises(ValueError, match="1 to 7"):
            BitString(b"a", wrong)
    with pytest.raises(ValueError, match="at least one byte"):
        BitString(b"", 1)


def test_export_funs() -> None:
    fun = ExportFun(atom.lists, atom.map, 2)
    assert fun == ExportFun(atom.lists, atom.map, 2)
    assert len({fun, ExportFun(atom.lists, atom.map, 3), ExportFun(atom.lists, atom.keyfind, 2)}) == 3
    assert ExportFun(None, True, 0).function is True
    assert repr(fun) == "ExportFun(atom.lists, atom.map, 2)"
    with pytest.raises(TypeError, match="atoms"):
        ExportFun("lists", atom.map, 2)  # type: ignore[arg-type]
    for arity in (-1, 256):
        with pytest.raises(ValueError, match="arguments"):
            ExportFun(atom.lists, atom.map, arity)


def test_funs() -> None:
    def made(**changes: Any) -> Fun:
        fields: dict[str, Any] = {
            "module": atom.m, "arity": 1, "uniq": UNIQ, "index": 2, "old_index": 3, "old_uniq": 4, "pid": PID,
            "free": [1],
        }  # fmt: skip
        return Fun(**{**fields, **changes})

    assert made() == made()
    assert hash(made()) == hash(made())
    assert made() == made(pid=Pid(atom("x@y"), 9, 9, 9))  # who made it does not count, as in Erlang
    assert pickle.loads(pickle.dumps(made())) == made()
    for change in ({"module": atom.n}, {"arity": 2}, {"uniq": b"x" * 16}, {"index": 9}, {"old_uniq": 9}, {"free": [2]}):
        assert made() != made(**change)
    assert repr(made()) == "#Fun<m.2.4/1>"
    assert made().free == (1,)
    with pytest.raises(ValueError, match="16 bytes"):
        made(uniq=b"x")
    with pytest.raises(ValueError, match="arguments"):
        made(arity=256)
    with pytest.raises(TypeError, match="atom"):
        made(module="m")
    with pytest.raises(TypeError, match="integers"):
        made(old_index="x")
    with pytest.raises(TypeError):
        made(pid=None)


def test_charlists_are_text() -> None:
    made = charlist("abc")
    assert isinstance(made, Charlist)
    assert made == "abc"
    assert repr(made) == "charlist('abc')"
