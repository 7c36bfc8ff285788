"""Erlang's order of terms, as far as printing maps needs it.

    number < atom < reference < fun < port < pid < tuple < map < nil < list < bitstring

Among map keys an integer comes before any float. Source: Erlang Reference Manual, Term Comparisons.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cmp_to_key
from typing import Any

from beamish.term import Atom, BitString, Charlist, ExportFun, Fun, ImproperList, Pid, Port, Ref


def sorted_items(mapping: Mapping[Any, Any]) -> list[tuple[Any, Any]]:
    """The pairs of a map in the order in which Erlang prints a small one."""
    items = list(mapping.items())
    if all(type(key) is Atom for key, _ in items):
        items.sort(key=lambda pair: pair[0].text)
    else:
        items.sort(key=lambda pair: _as_key(pair[0]))
    return items


def compare(one: Any, two: Any) -> int:
    """Negative, zero or positive, as `one` comes before, with or after `two` in Erlang's order of map keys."""
    rank, value = _ranked(one)
    other_rank, other_value = _ranked(two)
    if rank != other_rank:
        return -1 if rank < other_rank else 1
    if rank == _TUPLE:
        if len(value) != len(other_value):
            return len(value) - len(other_value)
        return _compare_each(value, other_value)
    if rank == _LIST:
        return _compare_each(value, other_value) or compare(_rest(one, len(other_value)), _rest(two, len(value)))
    if rank == _MAP:
        if len(value) != len(other_value):
            return len(value) - len(other_value)
        mine, yours = sorted_items(value), sorted_items(other_value)
        return _compare_each([key for key, _ in mine], [key for key, _ in yours]) or _compare_each(
            [item for _, item in mine], [item for _, item in yours]
        )
    if value == other_value:
        return 0
    return -1 if value < other_value else 1


_as_key = cmp_to_key(compare)

_NUMBER, _ATOM, _REF, _FUN, _PORT, _PID, _TUPLE, _MAP, _NIL, _LIST, _BITS, _FOREIGN = range(12)


def _ranked(term: Any) -> tuple[int, Any]:
    """Where the term's kind stands, and a value that compares within the kind."""
    if term is True or term is False or term is None:
        return _ATOM, {True: "true", False: "false", None: "nil"}[term]
    if isinstance(term, int | float):
        return _NUMBER, (isinstance(term, float), term)
    if isinstance(term, Atom):
        return _ATOM, term.text
    if isinstance(term, Charlist):
        return (_LIST, [ord(character) for character in term]) if term else (_NIL, 0)
    if isinstance(term, str):
        return _BITS, (term.encode("utf-8", "surrogatepass"), 8)
    if isinstance(term, bytes):
        return _BITS, (term, 8)
    if isinstance(term, BitString):
        return _BITS, (term.data, term.bits)
    if isinstance(term, tuple):
        return _TUPLE, term
    if isinstance(term, list):
        return (_LIST, term) if term else (_NIL, 0)
    if isinstance(term, ImproperList):
        return _LIST, list(term.elements)
    if isinstance(term, Mapping):
        return _MAP, term
    return _ranked_identity(term)


def _ranked_identity(term: Any) -> tuple[int, Any]:
    if isinstance(term, Pid):
        return _PID, term
    if isinstance(term, Ref):
        return _REF, term
    if isinstance(term, Port):
        return _PORT, term
    if isinstance(term, ExportFun):
        return _FUN, (1, term.module.text, term.function.text, term.arity)
    if isinstance(term, Fun):
        return _FUN, (0, term.module.text, term.old_index, term.old_uniq)
    return _FOREIGN, (type(term).__name__, id(term))


def _compare_each(ones: Iterable[Any], twos: Iterable[Any]) -> int:
    for one, two in zip(ones, twos, strict=False):
        difference = compare(one, two)
        if difference:
            return difference
    return 0


def _rest(term: Any, count: int) -> Any:
    """What follows the first count elements: a list, or the tail of an improper one."""
    if isinstance(term, ImproperList):
        rest = list(term.elements[count:])
        return ImproperList(tuple(rest), term.tail) if rest else term.tail
    return list(term)[count:] if not isinstance(term, Charlist) else [ord(character) for character in term[count:]]
