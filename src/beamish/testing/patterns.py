"""Patterns of `receive`, for values that are in no mailbox; and what assertions take beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from beamish.process.exits import is_exception_reason, type_name
from beamish.term import Atom, Ref


def fits(pattern: Any, value: Any) -> bool:
    """`...` fits anything, a type its instances, a tuple element by element, and everything else what equals it."""
    if pattern is ... or pattern is value:
        return True
    if type(pattern) is tuple:
        return type(value) is tuple and len(pattern) == len(value) and all(map(fits, pattern, value))
    if type(pattern) is Atom:
        return False
    if isinstance(pattern, type):
        return isinstance(value, pattern)
    return type(pattern) is type(value) and bool(pattern == value)


def wanted_by(pattern: Any) -> Any:
    """What to give to `receive`, which takes patterns and predicates, for a pattern that may also be a plain value."""
    if pattern is None or isinstance(pattern, tuple | Atom | Ref | type) or callable(pattern):
        return pattern
    return lambda message: fits(pattern, message)


def reason_fits(pattern: Any, reason: Any) -> bool:
    """Whether an exit reason is the expected one: a pattern, a predicate, or a class of exceptions for a crash with it.

    Subclasses are not known by a reason, which only has the name of the exception's own class.
    """
    if isinstance(pattern, type) and issubclass(pattern, BaseException):
        return is_exception_reason(reason) and reason[0].kind == type_name(pattern)
    if not isinstance(pattern, type | tuple | Atom) and callable(pattern):
        predicate: Callable[[Any], Any] = pattern
        return bool(predicate(reason))
    return fits(pattern, reason)


__all__ = ["fits", "reason_fits", "wanted_by"]
