"""Hypothesis strategies for terms, shared by every test that needs some."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from beamish.term import BitString, Charlist, ExportFun, Fun, ImproperList, Pid, Port, Ref, TermMap, atom
from beamish.term.identity import identity

U32 = 0xFFFFFFFF

atom_names = st.one_of(
    st.sampled_from(["ok", "error", "true", "false", "nil", "undefined", "", "$gen_call", "Elixir.Enum", "a b", "é", "日本"]),
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.text(st.characters(codec="utf-8"), min_size=100, max_size=255),
)
atoms = atom_names.map(atom)
"""Atoms, and True, False and None among them."""

# Not nonode@nohost: an Erlang without a name takes its pids for its own and refuses numbers it cannot have given out.
nodes = st.sampled_from(["a@b", "platform@localhost", "é@host", "n" * 200 + "@h"]).map(atom)
integers = st.one_of(
    st.integers(-300, 300),
    st.integers(-(2**33), 2**33),
    st.integers(-(2**65), 2**65),
    st.sampled_from([2**n + d for n in (7, 8, 31, 32, 63, 64, 2039, 2040, 3000) for d in (-1, 0, 1)]),
    st.sampled_from([-(2**n) + d for n in (7, 8, 31, 32, 63, 64, 2039, 2040, 3000) for d in (-1, 0, 1)]),
)
floats = st.floats(allow_nan=False, allow_infinity=False)
binaries = st.binary(max_size=40)
texts = st.text(st.characters(codec="utf-8"), max_size=30)
bitstrings = st.builds(BitString, st.binary(min_size=1, max_size=9), st.integers(1, 7))
pids = st.builds(Pid, nodes, st.integers(0, U32), st.integers(0, U32), st.integers(0, U32))
ports = st.builds(Port, nodes, st.one_of(st.integers(0, U32), st.integers(0, 2**64 - 1)), st.integers(0, U32))
refs = st.builds(Ref, nodes, st.integers(1, U32), st.lists(st.integers(0, U32), min_size=3, max_size=5))
export_funs = st.builds(ExportFun, atoms, atoms, st.integers(0, 255))

_every_leaf = st.one_of(atoms, integers, floats, binaries, texts, bitstrings, pids, ports, refs, export_funs, texts.map(Charlist))


@st.composite
def _leaf(draw: st.DrawFn) -> Any:
    return draw(_every_leaf)


# Behind a name, so that its description, which is printed for each place where it is used, stays short.
leaves = _leaf()


def _same_in_some_release(key: Any) -> Any:
    """The identity of a key, with 0.0 and -0.0 for the same, as releases before OTP 27 have it."""
    return repr(identity(key)).replace(repr(identity(-0.0)), repr(identity(0.0)))


def _term_map(pairs: list[tuple[Any, Any]]) -> TermMap:
    return TermMap({_same_in_some_release(key): (key, value) for key, value in pairs}.values())


def _dict(pairs: list[tuple[Any, Any]]) -> dict[Any, Any] | TermMap:
    """A dict if it can hold the pairs, else the TermMap that can."""
    mapping = _term_map(pairs)
    try:
        plain = dict(mapping)
    except TypeError:
        return mapping
    return plain if len(plain) == len(mapping) else mapping


def nested(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Containers of the given terms."""
    pairs = st.lists(st.tuples(children, children), max_size=4)
    return st.one_of(
        st.lists(children, max_size=5),
        st.lists(children, max_size=5).map(tuple),
        st.lists(st.integers(0, 300), max_size=40),
        st.dictionaries(atoms, children, max_size=4),
        pairs.map(_dict),
        pairs.map(_term_map),
        st.builds(
            ImproperList,
            st.lists(children, min_size=1, max_size=5),
            children.filter(lambda term: not isinstance(term, list | ImproperList | Charlist)),
        ),
        st.builds(
            Fun,
            st.sampled_from(["lists", "true", "erl_eval"]).map(atom),
            st.integers(0, 255),
            st.binary(min_size=16, max_size=16),
            st.integers(0, U32),
            st.integers(0, 2**27),
            st.integers(0, 2**27),
            pids,
            st.lists(children, max_size=3),
        ),
    )


_levels: list[st.SearchStrategy[Any]] = []


@st.composite
def _level(draw: st.DrawFn, depth: int) -> Any:
    return draw(_levels[depth])


_levels += [leaves, *(st.one_of(leaves, nested(_level(_depth))) for _depth in range(3))]

terms = _level(3)
"""Any term that is written as it is; registered Python classes are in `structs`."""

microsecond_times = st.one_of(st.times(), st.times().map(lambda time: time.replace(microsecond=0)))
datetimes = st.datetimes(timezones=st.just(dt.UTC))
naive_datetimes = st.datetimes()
decimals = st.one_of(
    st.decimals(allow_nan=False),
    st.builds(lambda text: Decimal(text), st.sampled_from(["NaN", "-0.00", "Infinity", "-Infinity", "0E+400", "1E-300"])),
)
ranges = st.builds(range, st.integers(), st.integers(), st.integers().filter(bool))
sets = st.frozensets(st.one_of(integers, binaries, atoms.filter(lambda name: name is not True and name is not False)))
structs = st.one_of(
    st.dates(), microsecond_times, datetimes, naive_datetimes, decimals.filter(lambda d: not d.is_snan()), ranges, sets
)
"""Values of the Python classes that stand for Elixir structs."""
