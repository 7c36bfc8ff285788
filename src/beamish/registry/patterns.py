"""Patterns for the registry's values and entries, in the style of `receive`, compiled to predicates.

| pattern | fits |
|---|---|
| `...` | anything |
| a type | its instances |
| a tuple or list | one of the same length, element by element |
| a dict | a mapping that has these keys, with values that fit |
| a function | what it returns true for |
| anything else | a value of the same type that is equal: 1 does not fit 1.0 |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from beamish.term import Atom

Predicate = Callable[[Any], Any]


def anything(_: Any) -> bool:
    """The predicate of `...`."""
    return True


def compiled(pattern: Any) -> Predicate:
    """The predicate of a pattern."""
    if pattern is ...:
        return anything
    if isinstance(pattern, type):
        return lambda value: isinstance(value, pattern)
    if type(pattern) is tuple or type(pattern) is list:
        return _sequence(type(pattern), [compiled(part) for part in pattern])
    if type(pattern) is dict:
        return _mapping({key: compiled(part) for key, part in pattern.items()})
    if isinstance(pattern, Atom):
        return lambda value: value is pattern
    if callable(pattern):
        predicate: Predicate = pattern
        return predicate
    return lambda value: type(value) is type(pattern) and value == pattern


def _sequence(kind: type, parts: list[Predicate]) -> Predicate:
    size = len(parts)

    def fits(value: Any) -> bool:
        if not isinstance(value, tuple | list) or type(value) is not kind:
            return False
        elements = list(value)
        return len(elements) == size and all(part(element) for part, element in zip(parts, elements, strict=True))

    return fits


def _mapping(parts: Mapping[Any, Predicate]) -> Predicate:
    def fits(value: Any) -> bool:
        return isinstance(value, Mapping) and all(key in value and part(value[key]) for key, part in parts.items())

    return fits


__all__ = ["Predicate", "anything", "compiled"]
