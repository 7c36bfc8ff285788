"""`application` on our nodes. Whoever may call may ask; starting, stopping and changing is up to the node's `exports`.

Names and keys come as atoms; text of ours is shown as charlists where Erlang's callers expect them.

Source  OTP 25, kernel: application.
"""

from __future__ import annotations

from typing import Any

from beamish.application import Application
from beamish.application.controller import erlang_list
from beamish.application.table import applications_of
from beamish.errors import StartError
from beamish.gen_server.system import term_or_text
from beamish.node.runtime import current_runtime
from beamish.rpc.outcome import badarg
from beamish.term import Atom, atom, charlist

__all__ = [
    "ensure_all_started", "ensure_started", "get_all_env", "get_env", "get_key", "loaded_applications", "set_env", "start", "stop",
    "unset_env", "which_applications",
]  # fmt: skip

TYPES = ("permanent", "transient", "temporary")


def _name(name: Any) -> str:
    if not isinstance(name, Atom):
        raise badarg()
    return name.text


def _type(kind: Any) -> Any:
    if str(kind) not in TYPES:
        raise badarg()
    return str(kind)


def which_applications(_timeout: Any = 5000) -> list[Any]:
    """``[{Name, Description, Vsn}]`` of those that run."""
    table = applications_of(current_runtime())
    return erlang_list(table, table.started)


def loaded_applications() -> list[Any]:
    """The same of those that are loaded."""
    table = applications_of(current_runtime())
    return erlang_list(table, table.specs)


def get_env(app: Any, key: Any, default: Any = ...) -> Any:
    """``{ok, Value}`` or `undefined`; with a default the value itself."""
    known, value = Application.fetch_env(_name(app), _name(key))
    if default is not ...:
        return term_or_text(value) if known else default
    return (atom.ok, term_or_text(value)) if known else atom.undefined


def get_all_env(app: Any) -> list[tuple[Atom, Any]]:
    """``[{Key, Value}]``."""
    return [(atom(key), term_or_text(value)) for key, value in Application.get_all_env(_name(app)).items()]


def get_key(app: Any, key: Any) -> Any:
    """``{ok, Value}`` of a specification's key, or `undefined`."""
    spec = Application.spec(_name(app))
    if spec is None:
        return atom.undefined
    facts: dict[str, Any] = {
        "description": charlist(spec.description),
        "vsn": charlist(spec.version),
        "applications": [atom(each) for each in spec.applications],
        "optional_applications": [atom(each) for each in spec.optional_applications],
        "included_applications": [atom(each) for each in spec.included_applications],
        "registered": [atom(each) for each in spec.registered],
        "env": get_all_env(app),
    }
    return (atom.ok, facts[_name(key)]) if _name(key) in facts else atom.undefined


async def _tried(work: Any) -> Any:
    try:
        return await work
    except StartError as error:
        return (atom.error, error.reason)


async def start(app: Any, type: Any = atom.temporary) -> Any:
    """`ok` or ``{error, Reason}``."""
    return await _tried(Application.start(_name(app), _type(type))) or atom.ok


async def ensure_started(app: Any, type: Any = atom.temporary) -> Any:
    """`ok` or ``{error, Reason}``."""
    return await _tried(Application.ensure_started(_name(app), _type(type))) or atom.ok


async def ensure_all_started(apps: Any, type: Any = atom.temporary) -> Any:
    """``{ok, Started}`` or ``{error, Reason}``."""
    names = [_name(each) for each in apps] if isinstance(apps, list) else [_name(apps)]
    started = await _tried(Application.ensure_all_started(names, _type(type)))
    return started if isinstance(started, tuple) else (atom.ok, [atom(each) for each in started])


async def stop(app: Any) -> Any:
    """`ok` or ``{error, Reason}``."""
    return await _tried(Application.stop(_name(app))) or atom.ok


def set_env(app: Any, key: Any, value: Any, _options: Any = ()) -> Atom:
    """Change the environment."""
    Application.put_env(_name(app), _name(key), value)
    return atom.ok


def unset_env(app: Any, key: Any, _options: Any = ()) -> Atom:
    """Remove a key."""
    Application.delete_env(_name(app), _name(key))
    return atom.ok
