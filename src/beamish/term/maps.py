"""Maps whose keys a dict would merge or cannot hold."""

from __future__ import annotations

from collections.abc import Hashable, ItemsView, Iterable, Iterator, Mapping, ValuesView
from typing import Any

from beamish.term.identity import identity


class _Items(ItemsView[Any, Any]):
    _mapping: TermMap

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return iter(self._mapping._pairs.values())


class _Values(ValuesView[Any]):
    _mapping: TermMap

    def __iter__(self) -> Iterator[Any]:
        return (value for _, value in self._mapping._pairs.values())


class TermMap(Mapping[Any, Any]):
    """An immutable mapping whose keys are the same when Erlang says so: 1, 1.0 and true are three keys, lists and
    maps may be keys, and `"a"` finds what is under `b"a"`.

    The decoder gives a TermMap where a dict would lose something, and a dict everywhere else. It equals any mapping
    with the same keys and values in Erlang's eyes. Raises ValueError for two pairs with the same key.
    """

    __slots__ = ("_mark", "_pairs")

    _pairs: dict[Hashable, tuple[Any, Any]]
    _mark: Hashable

    def __init__(self, pairs: Mapping[Any, Any] | Iterable[tuple[Any, Any]] = ()) -> None:
        self._pairs = {}
        self._mark = None
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
        return hash(self.__identity__())

    def items(self) -> ItemsView[Any, Any]:
        return _Items(self)

    def values(self) -> ValuesView[Any]:
        return _Values(self)

    def __identity__(self) -> Hashable:
        if self._mark is None:
            self._mark = ("map", frozenset((mark, identity(value)) for mark, (_, value) in self._pairs.items()))
        return self._mark

    def __repr__(self) -> str:
        return f"TermMap([{', '.join(f'({key!r}, {value!r})' for key, value in self._pairs.values())}])"

    def __reduce__(self) -> tuple[Any, ...]:
        return (TermMap, (list(self._pairs.values()),))
