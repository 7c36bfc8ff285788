"""What makes two registry keys the same: what makes two terms the same in Erlang (`beamish.term.identity`).

Python holds 1, 1.0 and True for one dict key; a registry does not. A text is the same key as its UTF-8 bytes, for one is what
the other is on the wire. Keys that are no terms (classes, say) are compared as Python does.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final

from beamish.term import Atom, Pid, Ref
from beamish.term.charlist import Charlist
from beamish.term.identity import identity

PLAIN: Final = frozenset({str, int, Atom, Pid, Ref, type(None)})
"""Types whose values are dict keys as they are; also inside a tuple."""

_OTHER: Final = object()


def key_of(key: Any) -> Hashable:
    """The dict key of a registry key. Raises TypeError for what is neither a term nor hashable."""
    kind = type(key)
    if kind in PLAIN or (kind is tuple and PLAIN.issuperset(map(type, key))):
        return key  # type: ignore[no-any-return]
    return _unusual(key)


def _unusual(key: Any) -> Hashable:
    if isinstance(key, bytes):
        try:
            return key.decode()
        except UnicodeDecodeError:
            return (_OTHER, bytes(key))
    if type(key) is tuple:
        return tuple(map(key_of, key))
    if isinstance(key, int) and type(key) is not bool:
        return int(key)
    if isinstance(key, str) and not isinstance(key, Charlist):
        return str.__str__(key)
    try:
        return (_OTHER, identity(key))
    except TypeError:
        hash(key)
        return (_OTHER, key)


__all__ = ["PLAIN", "key_of"]
