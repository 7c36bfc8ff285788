"""`inets`: the application that Erlang's HTTP client needs; here there is nothing to start, and that is remembered.

Source  OTP 25, inets (results compared).
"""

from __future__ import annotations

from typing import Any

from beamish.node.runtime import current_runtime
from beamish.term import atom

__all__ = ["services", "start", "stop"]

_STARTED = "inets_started"


def start(kind: Any = None) -> Any:
    """`ok`, or ``{error, {already_started, inets}}``. A kind (permanent, …) is taken and ignored."""
    services_ = current_runtime().services
    if services_.get(_STARTED):
        return (atom.error, (atom.already_started, atom.inets))
    services_[_STARTED] = True
    return atom.ok


def stop() -> Any:
    """`ok`, or ``{error, {not_started, inets}}``."""
    if current_runtime().services.pop(_STARTED, None):
        return atom.ok
    return (atom.error, (atom.not_started, atom.inets))


def services() -> list[Any]:
    """Running services: none that inets would have to know of."""
    return []
