"""Functions as parts of messages: as they are between processes of one node, by name between nodes (D4).

A function of this node is wrapped into a `LocalCall`, which the receiving process calls. For another node it becomes Elixir's
``{Module, Function, Args}``; what such a message may call is the policy of the node that gets it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from beamish.errors import BeamishError, Exit
from beamish.node.remote_spawn import mfa_of, reference_of
from beamish.node.runtime import current_runtime
from beamish.term import Atom, ExportFun, atom
from beamish.term.structs import write_struct

ERLANG: Final = atom.erlang
APPLY: Final = atom.apply
MFA = tuple[Atom, Atom, list[Any]]


class LocalCall:
    """A function of this node and its last arguments. It counts as a term, so that strict messages let it pass, but code
    never travels: another node would get its name only."""

    __slots__ = ("args", "func", "kwargs")

    def __init__(self, func: Callable[..., Any], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> None:
        if not callable(func):
            raise TypeError(f"a function is needed, not {func!r}")
        self.func = func
        self.args = args
        self.kwargs = kwargs

    def __call__(self, *first: Any) -> Any:
        """Call it. What an async function gives is to be awaited."""
        if self.kwargs:
            return self.func(*first, *self.args, **self.kwargs)
        return self.func(*first, *self.args)

    def __repr__(self) -> str:
        return f"<LocalCall {name_of(self.func)}>"


write_struct("Elixir.Beamish.LocalCall", LocalCall, lambda call: {atom.name: name_of(call.func)})


def name_of(function: Any) -> str:
    """What people call a function: `shop.prices.fetch`."""
    named = getattr(function, "func", function)  # of a functools.partial
    module = getattr(named, "__module__", None)
    name = getattr(named, "__qualname__", None) or type(named).__qualname__
    return f"{module}.{name}" if module else name


def remote_call(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], *, prepended: bool = False) -> MFA:
    """``{Module, Function, Args}`` for another node, of a function of a module or of a ``(module, function)`` pair of names.

    prepended: the receiver puts an argument before these. Raises NodeError for functions that have no name, TypeError for keyword
    arguments: calls by name have none.
    """
    if kwargs:
        raise TypeError(f"a call on another node takes no keyword arguments ({', '.join(kwargs)}): give them by position")
    if type(function) is tuple and len(function) == 2:
        return _atom(function[0]), _atom(function[1]), list(args)
    if isinstance(function, ExportFun):
        return function.module, function.function, list(args)
    partial = getattr(function, "func", None)
    if partial is not None:
        if function.keywords:
            raise TypeError(f"{function!r} has keyword arguments, which cannot be sent to another node")
        if prepended and function.args:
            raise TypeError(f"{function!r} has first arguments, but the value comes first there: give them as last ones")
        return remote_call(partial, (*function.args, *args), {}, prepended=prepended)
    if not callable(function):
        raise TypeError(f"a task or an agent takes a function, not {function!r}")
    if prepended:
        return (*reference_of(function), list(args))
    return mfa_of(current_runtime(), (function, *args))


def _atom(name: Any) -> Atom:
    made: Any = atom(name)
    return made  # type: ignore[no-any-return]  # true, false and nil are names too


def resolved(module: Any, function: Any, args: Any) -> Callable[..., Any]:
    """The function behind the names in a message, as the node's policy for its peers allows.

    Ends the process as a call of something undefined does, with ``{undef, Stack}`` or ``{{notsup, Text}, Stack}``.
    """
    stack: list[Any] = [(module, function, args, [])]
    if not isinstance(args, list):
        raise Exit((atom.badarg, stack))
    if module is ERLANG and function is APPLY and len(args) == 2 and isinstance(args[1], list):
        return applied(args[0], args[1])
    policy = current_runtime().services.get("exports")
    if policy is None:
        raise Exit((atom.undef, stack))
    try:
        found: Callable[..., Any] = policy.resolve(module, function, len(args))
    except BeamishError as error:
        raise Exit((getattr(error, "reason", atom.undef), stack)) from error
    return found


def applied(function: Any, args: list[Any]) -> Callable[..., Any]:
    """What ``erlang:apply(Function, Args)`` is to call here: a ``fun M:F/A``. Closures of other runtimes cannot run."""
    if isinstance(function, ExportFun) and function.arity == len(args):
        found = resolved(function.module, function.function, args)
        return lambda _function, _args: found(*args)
    reason = (atom.badarity, (function, args)) if isinstance(function, ExportFun) else (atom.badfun, function)
    raise Exit((reason, [(ERLANG, APPLY, [function, args], [])]))


async def settled(value: Any) -> Any:
    """A value, awaited if it can be."""
    return await value if hasattr(value, "__await__") else value


__all__ = ["LocalCall", "applied", "name_of", "remote_call", "resolved", "settled"]
