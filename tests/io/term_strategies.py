"""Terms that can be written as Erlang text."""

from typing import Any

from hypothesis import strategies as st

from beamish.term import BitString, Charlist, ExportFun, ImproperList, TermMap, atom
from beamish.term.identity import identity

names = st.one_of(
    st.sampled_from(["ok", "error", "a", "undefined", "some_rather_long_atom_name", "Abc", "a b", "end", "x@y", "", "é"]),
    # Erlang measures lines in grapheme clusters, we in code points: keep to characters that do not combine.
    st.text(st.characters(max_codepoint=0x2FF) | st.sampled_from("жшщ漢字𝒳"), max_size=12),
)
atoms = names.map(atom)
integers = st.one_of(st.integers(-300, 300), st.integers())
floats = st.floats(allow_nan=False, allow_infinity=False)
printable = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_categories=["Cc"]), max_size=40)
charlists = printable.map(Charlist)
binaries = st.one_of(st.binary(max_size=40), printable.map(str.encode), st.text(max_size=20).map(str.encode))
bitstrings = st.tuples(st.binary(min_size=1, max_size=6), st.integers(1, 7)).map(
    lambda pair: BitString(pair[0][:-1] + bytes([pair[0][-1] >> (8 - pair[1]) << (8 - pair[1])]), pair[1])
)
# Erlang does not quote the names in a fun where it would have to; we do.
plain_atoms = st.sampled_from(["lists", "map", "a1"]).map(atom)
functions = st.tuples(plain_atoms, plain_atoms, st.integers(0, 255)).map(lambda parts: ExportFun(*parts))
leaves = st.one_of(atoms, integers, floats, charlists, binaries, bitstrings, functions)


def _map(pairs: list[tuple[Any, Any]]) -> TermMap:
    return TermMap({identity(key): (key, value) for key, value in pairs}.values())


def nested_without_maps(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(children, max_size=12),
        st.lists(children, max_size=8).map(tuple),
        st.tuples(atoms, children, children),
        st.tuples(st.lists(children, min_size=1, max_size=4), st.one_of(atoms, integers, binaries)).map(
            lambda pair: ImproperList(*pair)
        ),
        st.lists(st.integers(0, 300), max_size=40),
    )


def nested(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    maps = st.lists(st.tuples(children, children), max_size=6).map(_map)
    return st.one_of(nested_without_maps(children), maps)


terms = st.recursive(leaves, nested, max_leaves=40)
terms_without_maps = st.recursive(leaves, nested_without_maps, max_leaves=40)
