"""Maps whose keys a dict would merge or cannot hold."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any

from beamish.term.identity import identity


class TermMap(Mapping[Any, Any]):
    """An immutable mapping whose keys are the same when Erlang says so: 1, 1.0 and true are three keys, lists and
    maps may be keys, and `"a"` finds what is under `b"a"`.

    The decoder gives a TermMap where a dict would lose something, and a dict everywhere else. It equals any mapping
    with the same keys and values in Erlang's eyes. Raises ValueError for two pairs with the same key.
    """

    __slots__ = ("_hash", "_pairs")

    _pairs: dict[Hashable, tuple[Any, Any]]
    _hash: int | None

    def __init__(self, pairs: Mapping[Any, Any] | Iterable[tuple[Any, Any]] = ()) -> None:
        self._pairs = {}
        self._hash = None
        for key, value in pairs.items() if isinstance(pairs, Mapping) else pairs:
            mark = identity(key)
            if mark in self._pairs:
                raise ValueError(f"the key {key!r} comes twice")
            self._pairs[mark] = (key, value)

    def __getitem__(self, key: Any) -> Any:
        try:
            return self._pairs[identity(key)][1]
        except (KeyError, TypeError):
            raise KeyError(key) from None

    def __contains__(self, key: object) -> bool:
        try:
            return identity(key) in self._pairs
        except TypeError:
            return False

    def __iter__(self) -> Iterator[Any]:
        return (key for key, _ in self._pairs.values())

    def __len__(self) -> int:
        return len(self._pairs)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        if len(other) != len(self._pairs):
            return False
        try:
            return identity(self) == identity(other)
        except TypeError:
            return False

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(identity(self))
        return self._hash

    def __repr__(self) -> str:
        return f"TermMap([{', '.join(f'({key!r}, {value!r})' for key, value in self._pairs.values())}])"

    def __reduce__(self) -> tuple[Any, ...]:
        return (TermMap, (list(self._pairs.values()),))
