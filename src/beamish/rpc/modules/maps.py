"""`maps`: the simplest functions. Source: STDLIB, maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from beamish.rpc.outcome import ErlangError
from beamish.term import TermMap, atom

__all__ = ["from_list", "get", "is_key", "keys", "put", "size", "to_list", "values"]


def _map(value: Any) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping | TermMap):
        raise ErlangError((atom.badmap, value))
    return value


def get(key: Any, of: Any, default: Any = ...) -> Any:
    """The value of a key; `badkey` without a default."""
    items = _map(of)
    if key in items:
        return items[key]
    if default is ...:
        raise ErlangError((atom.badkey, key))
    return default


def put(key: Any, value: Any, of: Any) -> Any:
    """A map with the key set."""
    return TermMap([*_map(of).items(), (key, value)])


def is_key(key: Any, of: Any) -> bool:
    """Whether the key is there."""
    return key in _map(of)


def keys(of: Any) -> list[Any]:
    """All keys."""
    return list(_map(of).keys())


def values(of: Any) -> list[Any]:
    """All values."""
    return list(_map(of).values())


def to_list(of: Any) -> list[Any]:
    """Pairs."""
    return list(_map(of).items())


def size(of: Any) -> int:
    """How many keys."""
    return len(_map(of))


def from_list(pairs: Any) -> Any:
    """A map of pairs."""
    if not isinstance(pairs, list) or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs):
        raise ErlangError(atom.badarg)
    return TermMap(pairs)
