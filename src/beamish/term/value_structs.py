"""Elixir's Decimal, MapSet and Range as Python's Decimal, frozenset and range.

Source  Elixir 1.14, MapSet, Range; the decimal library 2.x, Decimal.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from beamish.term._atom import atom
from beamish.term.structs import register_struct, write_struct

# Python turns ints of more than 4300 digits into text only on request; Decimal needs the digits.
MAX_COEFFICIENT_BITS = 14_000
MAX_EXPONENT = 999_999_999
SIGN, COEF, EXP = atom.sign, atom.coef, atom.exp
MAP, VERSION = atom.map, atom.version
FIRST, LAST, STEP = atom.first, atom.last, atom.step


class MapSet(frozenset[Any]):
    """A set as newer Elixirs send it, without the `version` that 1.14's has. Plain sets are sent with it: every
    Elixir reads that."""

    __slots__ = ()


def _decimal_to_map(value: Decimal) -> dict[Any, Any]:
    sign, digits, exponent = value.as_tuple()
    coefficient: Any
    if exponent == "F":
        coefficient, exponent = atom.inf, 0
    elif exponent == "n" and not digits:
        coefficient, exponent = atom.NaN, 0
    elif isinstance(exponent, str):
        raise ValueError(f"Elixir's Decimal has no {value}")
    else:
        coefficient = int("".join(map(str, digits)))
    return {SIGN: -1 if sign else 1, COEF: coefficient, EXP: exponent}


def _decimal_from_map(fields: dict[Any, Any]) -> Decimal | None:
    sign, coefficient, exponent = fields[SIGN], fields[COEF], fields[EXP]
    if len(fields) != 4 or type(sign) is not int or sign not in (1, -1) or type(exponent) is not int:
        return None
    negative = 1 if sign < 0 else 0
    if coefficient is atom.inf and exponent == 0:
        return Decimal("-Infinity" if negative else "Infinity")
    if coefficient is atom.NaN and exponent == 0:
        return Decimal("-NaN" if negative else "NaN")
    if type(coefficient) is not int or coefficient < 0 or coefficient.bit_length() > MAX_COEFFICIENT_BITS:
        return None
    if abs(exponent) > MAX_EXPONENT:
        return None
    return Decimal((negative, tuple(map(int, str(coefficient))), exponent))


def _set_to_map(value: Iterable[Any]) -> dict[Any, Any]:
    return {MAP: {element: [] for element in value}, VERSION: 2}


def _bare_set_to_map(value: MapSet) -> dict[Any, Any]:
    return {MAP: {element: [] for element in value}}


def _set_from_map(fields: dict[Any, Any]) -> frozenset[Any] | None:
    elements = fields[MAP]
    if type(elements) is not dict or any(type(mark) is not list or mark for mark in elements.values()):
        return None
    if len(fields) == 2:
        return MapSet(elements)
    version = fields[VERSION]
    if len(fields) != 3 or type(version) is not int or version != 2:
        return None
    return frozenset(elements)


def _range_to_map(value: range) -> dict[Any, Any]:
    # Elixir's last is in the range; Python's stop is not.
    return {FIRST: value.start, LAST: value.stop - (1 if value.step > 0 else -1), STEP: value.step}


def _range_from_map(fields: dict[Any, Any]) -> range | None:
    first, last, step = fields[FIRST], fields[LAST], fields[STEP]
    if len(fields) != 4 or any(type(number) is not int for number in (first, last, step)):
        return None
    return range(first, last + (1 if step > 0 else -1), step)


register_struct("Elixir.Decimal", Decimal, to_map=_decimal_to_map, from_map=_decimal_from_map)
register_struct("Elixir.MapSet", frozenset, to_map=_set_to_map, from_map=_set_from_map)
write_struct("Elixir.MapSet", set, _set_to_map)
write_struct("Elixir.MapSet", MapSet, _bare_set_to_map)
register_struct("Elixir.Range", range, to_map=_range_to_map, from_map=_range_from_map)
