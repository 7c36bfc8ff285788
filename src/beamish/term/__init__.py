"""Erlang's terms in Python."""

from beamish.term import calendar_structs, value_structs  # noqa: F401  (they register the built-in structs)
from beamish.term._atom import Atom, atom
from beamish.term._compound import BitString, ExportFun, Fun, ImproperList
from beamish.term._identifiers import Pid, Port, Ref
from beamish.term.chardata import text
from beamish.term.charlist import Charlist, charlist
from beamish.term.maps import TermMap
from beamish.term.structs import register_struct, struct

__all__ = [
    "Atom",
    "BitString",
    "Charlist",
    "ExportFun",
    "Fun",
    "ImproperList",
    "Pid",
    "Port",
    "Ref",
    "TermMap",
    "atom",
    "charlist",
    "register_struct",
    "struct",
    "text",
]
