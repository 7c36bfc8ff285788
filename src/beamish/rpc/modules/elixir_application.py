"""Elixir's `Application` on our nodes; see `application`.

Source  Elixir 1.14, Application.
"""

from __future__ import annotations

from typing import Any

from beamish.rpc.modules import application
from beamish.rpc.outcome import ErlangError
from beamish.term import Atom, atom

__all__ = [
    "delete_env", "ensure_all_started", "ensure_started", "fetch_env", "get_all_env", "get_env", "loaded_applications", "put_env",
    "spec", "start", "started_applications", "stop",
]  # fmt: skip

delete_env = application.unset_env
ensure_all_started = application.ensure_all_started
ensure_started = application.ensure_started
get_all_env = application.get_all_env
loaded_applications = application.loaded_applications
put_env = application.set_env
start = application.start
started_applications = application.which_applications
stop = application.stop


def get_env(app: Any, key: Any, default: Any = None) -> Any:
    """The value, or the default."""
    return application.get_env(app, key, default)


def fetch_env(app: Any, key: Any) -> Any:
    """``{:ok, value}`` or ``:error``."""
    found = application.get_env(app, key)
    return atom.error if found is atom.undefined else found


def spec(app: Any, key: Atom) -> Any:
    """A key of the specification, or nil."""
    found = application.get_key(app, key)
    return None if found is atom.undefined else found[1]


def _fetch_env_required(app: Any, key: Any) -> Any:
    found = application.get_env(app, key)
    if found is atom.undefined:
        raise ErlangError((atom.badkey, key))
    return found[1]


SPELLINGS = {"fetch_env!": _fetch_env_required}
