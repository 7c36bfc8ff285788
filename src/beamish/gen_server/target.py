"""Targets: everything that stands for a server.

A target is a Pid, a handle, a local name (str or Atom), ``(name, node)``, ``("global", name)``, or a *registered name object*
such as `Global.via("x")` or `Registry.via(registry, key)`. Handles and registered name objects say what they stand for through
an attribute `__target__` or the methods of `RegisteredName`, so that nothing here knows their classes.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from beamish.errors import NoProcess, NoRuntime
from beamish.process import Scheduler, current_scheduler
from beamish.term import Atom, Pid, atom


@runtime_checkable
class RegisteredName(Protocol):
    """A name kept by a registry. `register` (False if the name is taken) and `unregister` may be async."""

    def register(self, pid: Pid) -> Any:
        """Give the name to a process; False if somebody has it."""

    def unregister(self) -> Any:
        """Release the name."""

    def whereis(self) -> Pid | None:
        """Who has the name."""

    def send(self, message: Any) -> Any:
        """Send to whoever has the name."""


async def settled(value: Any) -> Any:
    """A value, awaited if it can be."""
    return await value if hasattr(value, "__await__") else value


def is_global(target: Any) -> bool:
    """Whether this is ``("global", name)``."""
    return type(target) is tuple and len(target) == 2 and (target[0] == "global" or target[0] is atom("global"))


def name_object(name: Any) -> RegisteredName:
    """The registered name object that a name is or means. Raises TypeError with what would do."""
    if is_global(name):
        home = current_scheduler()
        if home is None:
            raise NoRuntime("a global name needs a running node: use it inside a process")
        services = getattr(home, "services", {})
        server = services.get("global")
        if server is None:
            raise NoProcess(f"{home.node} has no global names: they need a node that is part of a cluster (start_node)")
        made: RegisteredName = server.via(name[1])
        return made
    if isinstance(name, RegisteredName):
        return name
    raise TypeError(
        "a name is a str, an atom, ('global', name), or an object with register, unregister, whereis and send "
        f"such as Registry.via(registry, key), not {name!r}")  # fmt: skip


def address(target: Any) -> Any:
    """What the kernel can send to: a Pid, an Atom, or ``(name, node)``; None when nobody has the name. Raises TypeError."""
    kind = type(target)
    if kind is Pid or kind is Atom:
        return target
    inner = getattr(target, "__target__", None)
    if inner is not None:
        return address(inner)
    if kind is tuple and len(target) == 2 and not is_global(target):
        return (_atom(target[0], target), _atom(target[1], target))
    if isinstance(target, str):
        return _atom(target, target)
    if kind is tuple or isinstance(target, RegisteredName):
        return name_object(target).whereis()
    raise TypeError(
        "a server is a pid, a handle, a name, (name, node), ('global', name) or a registered name object, "
        f"not {target!r}")  # fmt: skip


def _atom(name: Any, target: Any) -> Atom:
    made = atom(name) if isinstance(name, str | Atom) else None
    if not isinstance(made, Atom):
        raise TypeError(f"{target!r} is no server: {name!r} is not a name")
    return made


def pid_of(target: Any, home: Scheduler | None = None) -> Pid | None:
    """The pid a target stands for now; None when there is none.

    A name on another node is not looked up: it gives ValueError, for only that node knows.
    """
    where = address(target)
    if where is None or type(where) is Pid:
        return where
    home = home or current_scheduler()
    if home is None:
        raise NoRuntime(f"{shown(target)} is looked up on a node: do it inside a process")
    name = where
    if type(where) is tuple:
        name, node = where
        if node is not home.node:
            raise ValueError(f"only {node} knows who {name} is: ask with rpc.call({str(node)!r}, 'erlang', 'whereis', …)")
    process = home.names.get(name)
    return None if process is None else process.pid


def shown(target: Any) -> str:
    """A target for a message to people."""
    inner = getattr(target, "__target__", target)
    if type(inner) is tuple and len(inner) == 2 and not is_global(inner):
        return f"{inner[0]} on {inner[1]}"
    if isinstance(inner, str | Atom | Pid):
        return str(inner)
    return repr(inner)[:200]


__all__ = ["RegisteredName", "address", "is_global", "name_object", "pid_of", "settled", "shown"]
