"""States and event types as Erlang's tools show them. Pure."""

from __future__ import annotations

import enum
from typing import Any

from beamish.term import Atom, atom


def state_term(state: Any) -> Any:
    """A state as Erlang shows it: names as atoms."""
    if isinstance(state, enum.Enum):
        return state_term(state.value if isinstance(state.value, str) else state.name.lower())
    return atom(state) if isinstance(state, str) else state


def like_state(given: Any, before: Any) -> Any:
    """A state that came as a term, as this machine writes its states."""
    text = given.text if isinstance(given, Atom) else given
    if isinstance(before, enum.Enum):
        for each in type(before):
            if given is each or text in (each.value, each.name.lower()):
                return each
    return text if isinstance(before, str) else given


def event_term(kind: Any) -> Any:
    """An event type as gen_statem writes it."""
    return (atom(kind[0]), kind[1]) if isinstance(kind, tuple) else atom(kind)


__all__ = ["event_term", "like_state", "state_term"]
