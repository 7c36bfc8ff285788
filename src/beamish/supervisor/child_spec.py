"""Every way to write a child, checked and brought into one form, `ChildSpec`.

    Counter                                  a class with `child_spec()`, started without arguments
    (Counter, 10)                            the same with arguments
    Counter.child_spec(10, name="counter", restart="transient")
    ChildSpec("ticker", start_ticker)        a function that starts and links a process and gives its pid
    {"id": "ticker", "start": start_ticker}  the same as a dict; with atoms as keys it is Erlang's map (times in milliseconds)
    (id, {m, f, args}, restart, shutdown, type, modules)   Erlang's old tuple, in atoms

Source  OTP 25, stdlib: supervisor (child_spec(), check_childspecs/2); Elixir 1.14: Supervisor.child_spec/2.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from beamish import etf
from beamish.errors import EncodeError, StartError
from beamish.gen_server.child_spec import KINDS, RESTARTS, ChildSpec
from beamish.term import Atom, Pid, atom
from beamish.term.identity import identity

AUTO_SHUTDOWNS: Final = ("never", "any_significant", "all_significant")
BRUTAL_KILL: Final = "brutal_kill"
WORKER_SHUTDOWN: Final = 5.0
"""Seconds that a worker may take to stop; a supervisor may take for ever."""
KEYS: Final = ("id", "start", "restart", "shutdown", "type", "significant", "modules", "start_timeout")
_START: Final = "a function that starts the child, (function, args), (function, args, keywords), or {Module, Function, Args}"


class BadChildSpec(StartError, ValueError):
    """A child that is not written as a child must be; `reason` is the term of Erlang's ``{error, Reason}``."""


def shown_id(id: Any) -> str:
    """A child's id as log lines and errors show it."""
    return id.__qualname__ if isinstance(id, type) else str(id) if isinstance(id, Atom | Pid) else repr(id)


def id_of(id: Any) -> Any:
    """A child's id as a term: a class stands for its name."""
    return class_name(id) if isinstance(id, type) else id


def class_name(cls: type) -> Any:
    """`my_app.counter.Counter`, an atom."""
    return atom(f"{cls.__module__}.{cls.__qualname__}"[:255])


def key_of(id: Any) -> Hashable:
    """What tells ids apart: equal for those that Erlang holds for the same term. Raises BadChildSpec for what is none."""
    if id.__class__ is Atom or id.__class__ is bytes or id.__class__ is Pid:
        return id
    try:
        return identity(id_of(id))
    except (TypeError, RecursionError) as error:
        raise BadChildSpec(f"child {id!r}: its id must be a term ({error})", (atom.invalid_child_spec, repr(id))) from None


def as_term(value: Any) -> Any:
    """A value, as text if it is not a term."""
    try:
        etf.encode(value)
    except EncodeError:
        return repr(value)
    return value


def _bad(id: Any, key: str, value: Any, wanted: str, tag: Atom) -> BadChildSpec:
    return BadChildSpec(f"child {shown_id(id)}: {key} must be {wanted}, not {value!r}", (tag, as_term(value)))


# ---- normalising

def child_spec(child: Any, **changes: Any) -> ChildSpec:
    """The specification of a child, however it is written; `changes` replace single keys (``restart="temporary"``).

    Raises BadChildSpec, which names the child and the key.
    """
    found = _child_spec(child)
    if not changes:
        return found
    unknown = changes.keys() - set(KEYS)
    if unknown:
        raise _unknown(found.id, unknown)
    return make({**{key: getattr(found, key) for key in KEYS}, **changes})


def _child_spec(child: Any) -> ChildSpec:
    if child.__class__ is ChildSpec:
        return child
    if isinstance(child, Mapping):
        return _from_mapping(child)
    if isinstance(child, tuple) and child:
        if callable(getattr(child[0], "child_spec", None)):
            return _made_by(child[0], child[1:])
        if len(child) == 6:
            return from_tuple(child)
    elif callable(getattr(child, "child_spec", None)):
        return _made_by(child, ())
    hint = ""
    if callable(child):
        hint = f"; a function that starts a process is written ChildSpec(id, {getattr(child, '__name__', 'function')})"
    raise BadChildSpec(
        f"{child!r} is not a child: write a class with child_spec(), (Class, arguments...), Class.child_spec(...), a ChildSpec "
        f"or a dict{hint}",
        (atom.invalid_child_spec, as_term(child)),
    )


def _made_by(maker: Any, args: tuple[Any, ...]) -> ChildSpec:
    name = getattr(maker, "__qualname__", None) or getattr(maker, "__name__", repr(maker))
    try:
        made = maker.child_spec(*args)
    except (TypeError, ValueError) as error:
        shown = ", ".join(map(repr, args))
        raise BadChildSpec(f"child {name}: {name}.child_spec({shown}): {error}", (atom.invalid_child_spec, str(error))) from error
    if made.__class__ is not ChildSpec and not isinstance(made, Mapping | tuple):
        raise BadChildSpec(f"child {name}: its child_spec() gives {made!r}, which is no child", (atom.invalid_child_spec, name))
    return _child_spec(made)


def _unknown(id: Any, keys: Iterable[Any]) -> BadChildSpec:
    names = ", ".join(sorted(map(str, keys)))
    return BadChildSpec(
        f"child {shown_id(id)}: a child has no key {names}; its keys are {', '.join(KEYS)}", (atom.invalid_child_spec, names)
    )


def _from_mapping(given: Mapping[Any, Any]) -> ChildSpec:
    erlang = any(isinstance(key, Atom) for key in given)
    values = {str(key): value for key, value in given.items()}
    if "id" not in values:
        raise BadChildSpec(f"a child without an id: {given!r}", atom.missing_id)
    if "start" not in values:
        raise BadChildSpec(f"child {shown_id(values['id'])}: the key start is missing", atom.missing_start)
    if erlang:  # as in OTP, keys that it does not know are none of its business
        return make({key: value for key, value in values.items() if key in KEYS and key != "start_timeout"}, erlang=True)
    unknown = values.keys() - set(KEYS)
    if unknown:
        raise _unknown(values["id"], unknown)
    return make(values)


def from_tuple(given: tuple[Any, ...]) -> ChildSpec:
    """Erlang's ``{Id, StartFunc, Restart, Shutdown, Type, Modules}``."""
    keys = ("id", "start", "restart", "shutdown", "type", "modules")
    return make(dict(zip(keys, given, strict=True)), erlang=True)


def make(values: dict[str, Any], *, erlang: bool = False) -> ChildSpec:
    """A ChildSpec of checked values. erlang: shutdown is in milliseconds. Raises BadChildSpec."""
    id = values["id"]
    restart = _one_of(id, "restart", values.get("restart", "permanent"), RESTARTS, atom.invalid_restart_type)
    kind = _one_of(id, "type", values.get("type", "worker"), KINDS, atom.invalid_child_type)
    shutdown = values.get("shutdown")
    if shutdown is None:
        seconds: float | str = WORKER_SHUTDOWN if kind == "worker" else math.inf
    else:
        seconds = _milliseconds(id, shutdown) if erlang else _seconds(id, shutdown)
    significant = values.get("significant", False)
    if significant is not True and significant is not False:
        raise _bad(id, "significant", significant, "True or False", atom.invalid_significant)
    if significant and restart == "permanent":
        raise BadChildSpec(
            f"child {shown_id(id)}: significant does not go with restart permanent, for such a child is always started again; "
            "make it transient or temporary",
            (atom.bad_combination, [(atom.restart, atom.permanent), (atom.significant, True)]),
        )
    timeout = values.get("start_timeout")
    if timeout is not None and not (isinstance(timeout, int | float) and timeout > 0):
        raise _bad(id, "start_timeout", timeout, "a number of seconds above 0, or None", atom.invalid_start_timeout)
    start = checked_start(id, values["start"], erlang=erlang)
    modules = _modules(id, values.get("modules", ()))
    made: Any = ChildSpec
    spec: ChildSpec = made(id, start, restart, seconds, kind, significant, modules, timeout)
    return spec


def _one_of(id: Any, key: str, value: Any, known: tuple[str, ...], tag: Atom) -> str:
    if isinstance(value, str | Atom) and str(value) in known:
        return str(value)
    raise _bad(id, key, value, f"{', '.join(known[:-1])} or {known[-1]}", tag)


def checked_start(id: Any, start: Any, *, erlang: bool = False) -> Any:
    """A start function in one of its forms. erlang: only by name. Raises BadChildSpec."""
    match start:
        case (module, function, list() | tuple() as args) if is_name(module) and is_name(function):
            return atom(module), atom(function), list(args)
        case (function, list() | tuple()) | (function, list() | tuple(), Mapping()) if callable(function) and not erlang:
            return start
    if callable(start) and not erlang:
        return start
    raise _bad(id, "start", start, _START, atom.invalid_mfa)


def is_name(value: Any) -> bool:
    """Whether this can be a module's or function's name; true, false and nil come as Python's constants."""
    return isinstance(value, str | Atom | bool) or value is None


def _seconds(id: Any, shutdown: Any) -> float | str:
    if isinstance(shutdown, str | Atom):
        if str(shutdown) == BRUTAL_KILL:
            return BRUTAL_KILL
        if str(shutdown) == "infinity":
            return math.inf
    elif isinstance(shutdown, int | float) and not isinstance(shutdown, bool) and shutdown >= 0:
        return float(shutdown)
    raise _bad(id, "shutdown", shutdown, "a number of seconds, math.inf or 'brutal_kill'", atom.invalid_shutdown)


def _milliseconds(id: Any, shutdown: Any) -> float | str:
    if isinstance(shutdown, int) and not isinstance(shutdown, bool) and shutdown >= 0:
        return shutdown / 1000
    if shutdown is atom.infinity or shutdown is atom.brutal_kill:
        return _seconds(id, shutdown)
    raise _bad(id, "shutdown", shutdown, "milliseconds, infinity or brutal_kill", atom.invalid_shutdown)


def _modules(id: Any, modules: Any) -> tuple[Any, ...]:
    if isinstance(modules, str | Atom) and str(modules) == "dynamic":
        return (atom.dynamic,)
    if not isinstance(modules, list | tuple):
        raise _bad(id, "modules", modules, "a list of module names, or dynamic", atom.invalid_modules)
    for module in modules:
        if not is_name(module) and not isinstance(module, type):
            raise _bad(id, "modules", modules, "a list of module names", atom.invalid_module)
    return tuple(modules)


# ---- what a supervisor asks of specs together

def check_children(specs: Iterable[ChildSpec], auto_shutdown: str) -> dict[Hashable, ChildSpec]:
    """The specs by key, in their order. Raises BadChildSpec for an id that is used twice, and for a significant child of a
    supervisor that never shuts down by itself."""
    found: dict[Hashable, ChildSpec] = {}
    for spec in specs:
        key = check_child(spec, auto_shutdown)
        if key in found:
            raise BadChildSpec(
                f"two children have the id {shown_id(spec.id)}: give one another id, with child_spec(..., id=...)",
                (atom.duplicate_child_name, id_of(spec.id)),
            )
        found[key] = spec
    return found


def check_child(spec: ChildSpec, auto_shutdown: str) -> Hashable:
    """The key of a spec that may be added to such a supervisor. Raises BadChildSpec."""
    if spec.significant and auto_shutdown == "never":
        raise BadChildSpec(
            f"child {shown_id(spec.id)} is significant, but its supervisor's auto_shutdown is never; set that to "
            "any_significant or all_significant",
            (atom.bad_combination, [(atom.auto_shutdown, atom.never), (atom.significant, True)]),
        )
    return key_of(spec.id)


__all__ = [
    "AUTO_SHUTDOWNS", "BRUTAL_KILL", "KEYS", "WORKER_SHUTDOWN", "BadChildSpec", "ChildSpec", "as_term", "check_child",
    "check_children", "checked_start", "child_spec", "class_name", "from_tuple", "id_of", "is_name", "key_of", "make", "replace",
    "shown_id",
]  # fmt: skip
