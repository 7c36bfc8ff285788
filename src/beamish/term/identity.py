"""What makes two terms one and the same in Erlang (`=:=`), where Python's `==` decides otherwise.

Python holds 1, 1.0 and True for the same dict key, and `"a"` and `b"a"` for two; Erlang does the opposite. The
identity of a term is a hashable value that is equal for exactly those terms that Erlang holds for the same.
"""

from __future__ import annotations

import struct
from collections.abc import Hashable, Mapping
from typing import Any

from beamish.term import structs
from beamish.term._atom import Atom
from beamish.term._compound import BitString, ExportFun, Fun, ImproperList
from beamish.term._identifiers import Pid, Port, Ref
from beamish.term.charlist import Charlist

_THEMSELVES = (Atom, bytes, Pid, Port, Ref, BitString, ExportFun)


def identity(term: Any) -> Hashable:
    """The identity of a term. Raises TypeError for what is not a term, RecursionError for very deep ones.

    0.0 and -0.0 differ, as they do since OTP 27.
    """
    if term is None or term is True or term is False or isinstance(term, _THEMSELVES):
        return term
    if isinstance(term, Charlist):
        return ("list", *[("int", ord(character)) for character in term])
    if isinstance(term, str):
        return term.encode()
    if isinstance(term, int):
        return ("int", int(term))
    if isinstance(term, float):
        return ("float", struct.pack(">d", term))
    if isinstance(term, tuple):
        return ("tuple", *map(identity, term))
    if isinstance(term, list):
        return ("list", *map(identity, term))
    if isinstance(term, bytearray | memoryview):
        return bytes(term)
    if isinstance(term, ImproperList):
        return ("improper", identity(term.elements), identity(term.tail))
    if isinstance(term, Fun):
        return ("fun", term.module, term.uniq, term.index, identity(term.free))
    if isinstance(term, Mapping):
        own = getattr(term, "__identity__", None)  # a TermMap keeps its own: else deep keys would cost 2^depth
        if own is not None:
            return own()  # type: ignore[no-any-return]
        return ("map", frozenset((identity(key), identity(value)) for key, value in term.items()))
    to_map = structs.to_map_of(type(term))
    if to_map is not None:
        return identity(to_map(term))
    raise TypeError(f"{type(term).__name__} is not a term")
