"""`lists`: what people try first on a new node. Source: STDLIB, lists."""

from __future__ import annotations

from typing import Any

from beamish.rpc.outcome import ErlangError
from beamish.term import atom

__all__ = ["duplicate", "flatten", "reverse", "seq", "sum"]

MAX_LENGTH = 10_000_000


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ErlangError(atom.function_clause)
    return value


def reverse(items: Any, tail: Any = None) -> list[Any]:
    """The list backwards, before `tail`."""
    return _list(items)[::-1] + _list([] if tail is None else tail)


def seq(first: Any, last: Any, step: Any = 1) -> list[int]:
    """Integers from first to last."""
    if not all(isinstance(number, int) and not isinstance(number, bool) for number in (first, last, step)) or step == 0:
        raise ErlangError(atom.function_clause)
    found = range(first, last + (1 if step > 0 else -1), step)
    if len(found) > MAX_LENGTH:
        raise ErlangError(atom.system_limit)
    return list(found)


def sum(items: Any) -> Any:
    """The sum of numbers."""
    total: Any = 0
    for item in _list(items):
        if not isinstance(item, int | float) or isinstance(item, bool):
            raise ErlangError(atom.badarith)
        total += item
    return total


def duplicate(count: Any, item: Any) -> list[Any]:
    """A list of `count` times the item."""
    if not isinstance(count, int) or not 0 <= count <= MAX_LENGTH:
        raise ErlangError(atom.function_clause)
    return [item] * count


def flatten(items: Any) -> list[Any]:
    """Without nesting."""
    flat: list[Any] = []
    waiting = [iter(_list(items))]
    while waiting:
        for item in waiting[-1]:
            if isinstance(item, list):
                waiting.append(iter(item))
                break
            flat.append(item)
        else:
            waiting.pop()
    return flat
