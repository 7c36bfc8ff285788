"""Child specifications as Erlang and Elixir write them.

Source  OTP 25, stdlib: supervisor (child_spec(), child_to_spec/1, #child{}); Elixir 1.14: dynamic_supervisor.ex.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, Final

from beamish.gen_server.child_spec import ChildSpec
from beamish.supervisor.child_spec import BadChildSpec, as_term, class_name, from_tuple, id_of, is_name, replace, shown_id
from beamish.term import Atom, atom

_RECORD: Final = atom.child
_UNDEFINED: Final = atom.undefined
WITH_KEYWORDS: Final = (atom.beamish, atom.start_with_keywords)
"""Module and function that stand for a start function with keywords: its arguments are module, function, arguments, keywords."""


def by_name(start: Any) -> bool:
    """Whether a start function is given as ``{Module, Function, Args}``."""
    return start.__class__ is tuple and len(start) == 3 and is_name(start[0])


def start_parts(start: Any) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """Function, arguments and keywords of a start function that is not given by name."""
    args: tuple[Any, ...] = ()
    keywords: dict[str, Any] = {}
    function = start
    if isinstance(start, tuple):
        function, args, keywords = start[0], tuple(start[1]), dict(start[2]) if len(start) == 3 else {}
    cls = getattr(function, "cls", None)
    if isinstance(cls, type) and hasattr(function, "kwargs"):  # the start of a behaviour's own child_spec()
        named = {"name": function.name} if function.name is not None else {}
        return cls.start_link, (*args, *function.args), {**function.kwargs, **named, **keywords}  # type: ignore[attr-defined]
    while isinstance(function, partial):
        args, keywords = (*function.args, *args), {**function.keywords, **keywords}
        function = function.func
    return function, args, keywords


def start_term(spec: ChildSpec) -> tuple[Any, Any, Any]:
    """The start function as ``{M, F, A}``; one of ours stands there by its name, with keywords as a map behind its arguments."""
    if by_name(spec.start):
        return spec.start  # type: ignore[return-value]
    function, given, keywords = start_parts(spec.start)
    args = [*given, *([keywords] if keywords else [])]
    owner = getattr(function, "__self__", None)
    if isinstance(owner, type):  # Counter.start_link, though inherited from GenServer, is Counter's
        module, name = owner.__module__, f"{owner.__qualname__}.{function.__name__}"
    else:
        module = getattr(function, "__module__", None) or "beamish"
        name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return atom(str(module)[:255]), atom(name[:255]), [as_term(arg) for arg in args]


def modules_term(spec: ChildSpec) -> Any:
    """``[Module]``, or `dynamic`."""
    if spec.modules:
        if spec.modules[0] is atom.dynamic and len(spec.modules) == 1:
            return atom.dynamic
        return [class_name(module) if isinstance(module, type) else atom(module) for module in spec.modules]
    module, name, _ = start_term(spec)
    owner = "" if by_name(spec.start) else str(name).rpartition(".")[0]
    return [atom(f"{module}.{owner}"[:255])] if owner and "<" not in owner else [module]


def shutdown_term(shutdown: float | str) -> Any:
    """Milliseconds, `infinity` or `brutal_kill`."""
    if isinstance(shutdown, str):
        return atom.brutal_kill
    return atom.infinity if shutdown == math.inf else round(shutdown * 1000)


def to_map(spec: ChildSpec) -> dict[Atom, Any]:
    """Erlang's map of a child, as supervisor:get_childspec/2 gives it."""
    return {
        atom.id: id_of(spec.id), atom.start: start_term(spec), atom.restart: atom(spec.restart), atom.significant: spec.significant,
        atom.shutdown: shutdown_term(spec.shutdown), atom.type: atom(spec.type), atom.modules: modules_term(spec),
    }  # fmt: skip


def to_record(spec: ChildSpec) -> tuple[Any, ...]:
    """OTP's record of a child that is not running, which its errors carry."""
    return (
        _RECORD, _UNDEFINED, id_of(spec.id), start_term(spec), atom(spec.restart), spec.significant, shutdown_term(spec.shutdown),
        atom(spec.type), modules_term(spec),
    )  # fmt: skip


def to_dynamic(spec: ChildSpec) -> tuple[Any, ...]:
    """The child as Elixir's DynamicSupervisor is asked for it: ``{{M, F, A}, restart, shutdown, type, modules}``."""
    return start_term(spec), atom(spec.restart), shutdown_term(spec.shutdown), atom(spec.type), modules_term(spec)


def from_dynamic(given: Any) -> ChildSpec:
    """The reverse. Raises BadChildSpec."""
    if not isinstance(given, tuple) or len(given) != 5:
        raise BadChildSpec(f"{given!r} is not a child of a dynamic supervisor", (atom.invalid_child_spec, as_term(given)))
    return from_tuple((_UNDEFINED, *given))


def by_name_only(spec: ChildSpec) -> ChildSpec:
    """The same child with a start function that another node can find by name. Raises BadChildSpec if there is none."""
    if by_name(spec.start):
        return spec
    module, name, _ = start_term(spec)
    _, args, keywords = start_parts(spec.start)
    if "<" in str(name):
        raise BadChildSpec(
            f"child {shown_id(spec.id)}: a supervisor on another node finds its start function by name, and {module}:{name} has "
            "none that can be looked up; define it at the top level of a module that both nodes have",
            (atom.invalid_mfa, str(name)),
        )
    start = (module, name, list(args))
    if keywords:  # only Python has them
        start = (*WITH_KEYWORDS, [module, name, list(args), keywords])
    modules = modules_term(spec)
    return replace(spec, start=start, modules=tuple(modules) if isinstance(modules, list) else spec.modules)


__all__ = ["WITH_KEYWORDS", "by_name", "by_name_only", "from_dynamic", "modules_term", "shutdown_term", "start_parts",
           "start_term", "to_dynamic", "to_map", "to_record"]  # fmt: skip
