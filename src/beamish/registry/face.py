"""`Registry`: processes of this node under keys, found by a plain function call.

    await Registry.start_link(name="rooms")                      # or in a supervisor: Registry.child_spec(name="rooms")
    await Room.start_link("lobby", name=Registry.via("rooms", "lobby"))
    Registry.lookup("rooms", "lobby")                            # [(pid, None)]

    await Registry.start_link(name="topics", keys="duplicate")   # a local publish/subscribe
    Registry.register("topics", "news", None)                    # the current process
    Registry.dispatch("topics", "news", lambda entries: [send(pid, message) for pid, _ in entries])

An entry belongs to the process that made it and goes when that process dies: nobody is ever shown an entry of a dead process.
A process that registers is linked to the registry: if the registry crashes, its processes get its exit signal, for they could
not be found any more.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from typing import Any, Literal, TypeAlias, TypeVar, overload

from beamish.gen_server.child_spec import ChildSpec
from beamish.node import current_runtime
from beamish.process import self
from beamish.registry.access import find, publish, withdraw
from beamish.registry.keys import PLAIN, key_of
from beamish.registry.patterns import anything, compiled
from beamish.registry.server import partition_specs
from beamish.registry.table import Pair, Row, Table
from beamish.registry.via import Via
from beamish.supervisor import Supervisor
from beamish.task import Task
from beamish.task.endings import at_exit
from beamish.term import Atom, Pid, atom

T = TypeVar("T")
Name: TypeAlias = Atom | str
Keys: TypeAlias = Literal["unique", "duplicate"]
Guard: TypeAlias = Callable[..., Any]


class Registry:
    """Elixir's `Registry`, for the node of the current process. A registry is called by its name."""

    def __init__(self) -> None:
        raise TypeError("Registry is a namespace; a registry is started by await Registry.start_link(name=...)")

    # ---- starting

    @staticmethod
    async def start_link(
        *, name: Name, keys: Keys | Atom = "unique", partitions: int = 1, listeners: Iterable[Name] = (),
        meta: Mapping[Any, Any] | None = None,
    ) -> Pid:  # fmt: skip
        """Start a registry as a supervisor under `name`; gives its pid. Raises AlreadyStarted.

        keys: "unique" (a key has one process at most) or "duplicate". partitions: among how many servers the processes are
        divided; `dispatch` calls its function once for each. listeners: names of processes that are sent
        ``(atom.register, registry, key, pid, value)`` and ``(atom.unregister, registry, key, pid)``; the latter not for those
        that die: a listener monitors them. meta: see `meta`.
        """
        runtime = current_runtime()
        table = Table(runtime, _checked_name(name), _is_unique(keys), _checked_size(partitions),
                      _checked_listeners(listeners), dict(meta or {}))  # fmt: skip
        # A server of a unique registry may have entries of every key; in the other kind it has those of its processes only.
        strategy = "one_for_all" if table.unique else "one_for_one"
        started = await Supervisor.start_link(partition_specs(table), strategy=strategy, name=table.name)
        pid = started.pid
        process = runtime.process_of(pid)
        if process is not None:
            publish(table)
            at_exit(process, lambda _reason: withdraw(table))
        return pid

    @staticmethod
    def child_spec(*, name: Name, id: Hashable = None, **options: Any) -> ChildSpec:
        """A registry as a supervisor's child; options as `start_link`'s."""
        start = (Registry.start_link, (), {"name": _checked_name(name), **options})
        return ChildSpec(id=name if id is None else id, start=start, shutdown=math.inf, type="supervisor", modules=(Registry,))

    @staticmethod
    def via(registry: Name, key: Any, value: Any = None) -> Via:
        """A key of a unique registry as a server's name, for `start_link(name=…)`, `call`, `send`, `monitor` and the others.
        value: goes into the registry when a process is started under the name."""
        return Via(registry, key, value)

    # ---- the current process's entries

    @staticmethod
    def register(registry: Name, key: Any, value: Any = None) -> Pid:
        """Register the current process; gives the registry's process it is linked to now.

        Raises AlreadyRegistered (its `pid` says by whom) when the key of a unique registry is in use, also by this process.
        In a registry with duplicates a process may have a key several times.
        """
        return find(registry).add(self(), key, value)

    @staticmethod
    def unregister(registry: Name, key: Any) -> None:
        """Remove all entries of the current process under a key."""
        find(registry).remove(self(), key)

    @staticmethod
    def unregister_match(registry: Name, key: Any, pattern: Any, where: Guard | None = None) -> None:
        """Remove the entries of the current process under a key whose value fits (see `match`)."""
        find(registry).remove(self(), key, _both(pattern, where))

    @staticmethod
    def update_value(registry: Name, key: Any, function: Callable[[Any], Any]) -> tuple[Any, Any] | None:
        """Replace the value of the current process's key in a unique registry by what the function makes of it; gives
        ``(new, old)``, or None when the key is not this process's."""
        table = find(registry)
        if not table.unique:
            raise ValueError(f"{table.name} has duplicate keys: update_value works on unique registries")
        me = self()
        held = table.values(key, me)
        if not held:
            return None
        new = function(held[0])
        table.replace(me, key, new)
        return new, held[0]

    # ---- looking up

    @staticmethod
    def lookup(registry: Name, key: Any) -> list[Pair]:
        """The processes under a key with their values, ``[(pid, value), …]``; an empty list if there are none."""
        table = find(registry)
        if table.unique:
            pair = table.keys.get(key if type(key) in PLAIN else key_of(key))
            return [pair] if pair is not None and table.alive(pair[0]) is not None else []
        return [pair for group in table.groups(key) for pair in group]

    @staticmethod
    def whereis(registry: Name, key: Any) -> Pid | None:
        """The process under a key of a unique registry, or None."""
        table = find(registry)
        if not table.unique:
            raise ValueError(f"{table.name} has duplicate keys, which many processes may have: use lookup()")
        pair = table.owner(key_of(key))
        return None if pair is None else pair[0]

    @staticmethod
    def keys(registry: Name, pid: Pid) -> list[Any]:
        """The keys of a process; one that it has several times comes as often."""
        return find(registry).keys_of(pid)

    @staticmethod
    def values(registry: Name, key: Any, pid: Pid) -> list[Any]:
        """The values of a process under a key."""
        return find(registry).values(key, pid)

    @staticmethod
    def count(registry: Name) -> int:
        """How many entries there are."""
        return find(registry).count()

    @staticmethod
    def match(registry: Name, key: Any, pattern: Any, where: Guard | None = None) -> list[Pair]:
        """The entries under a key whose value fits: ``Registry.match("rooms", "lobby", (atom.open, ..., int))``.

        pattern: `...` fits anything, a type its instances, a tuple or list element by element, a dict what has these keys with
        values that fit, a function what it says yes to, anything else itself. where: a function of the value, asked as well.
        """
        fits = _both(pattern, where)
        return [pair for pair in Registry.lookup(registry, key) if fits(pair[1])]

    @staticmethod
    def count_match(registry: Name, key: Any, pattern: Any, where: Guard | None = None) -> int:
        """How many entries under a key have a value that fits (see `match`)."""
        return len(Registry.match(registry, key, pattern, where))

    @overload
    @staticmethod
    def select(registry: Name, pattern: Any = ..., where: Guard | None = None) -> list[Row]: ...
    @overload
    @staticmethod
    def select(
        registry: Name, pattern: Any = ..., where: Guard | None = None, *, give: Callable[[Any, Pid, Any], T]
    ) -> list[T]: ...  # fmt: skip
    @staticmethod
    def select(
        registry: Name, pattern: Any = (..., ..., ...), where: Guard | None = None, *,
        give: Callable[[Any, Pid, Any], Any] | None = None,
    ) -> list[Any]:  # fmt: skip
        """The entries ``(key, pid, value)`` that fit, of the whole registry: it looks at every one.

        pattern: of three parts, each as `match`'s. where, give: functions of key, pid and value; the one says which, the other
        makes what is returned: ``Registry.select("rooms", give=lambda key, pid, value: key)``.
        """
        return [row if give is None else give(*row) for row in _selected(find(registry), pattern, where)]

    @staticmethod
    def count_select(registry: Name, pattern: Any = (..., ..., ...), where: Guard | None = None) -> int:
        """How many entries fit (see `select`)."""
        return len(_selected(find(registry), pattern, where))

    # ---- dispatch

    @overload
    @staticmethod
    def dispatch(
        registry: Name, key: Any, function: Callable[[list[Pair]], Awaitable[Any]], *, parallel: bool = ...
    ) -> Awaitable[None]: ...
    @overload
    @staticmethod
    def dispatch(registry: Name, key: Any, function: Callable[[list[Pair]], Any]) -> None: ...
    @staticmethod
    def dispatch(registry: Name, key: Any, function: Callable[[list[Pair]], Any], *, parallel: bool = False) -> Any:
        """Call a function with the entries under a key, ``[(pid, value), …]``: once per partition that has some, never with an
        empty list. It runs in the current process.

        The call of an async function is to be awaited; with parallel=True the partitions then are worked on at the same time,
        by tasks.
        """
        groups = list(find(registry).groups(key))
        if inspect.iscoroutinefunction(function):
            return _dispatch(groups, function, parallel)
        if parallel:
            raise TypeError("dispatch(parallel=True) takes an async function: others cannot run beside each other")
        for group in groups:
            function(group)
        return None

    # ---- metadata

    @staticmethod
    def meta(registry: Name, key: Any, default: Any = None) -> Any:
        """What `start_link(meta=…)` or `put_meta` stored under a key."""
        return find(registry).meta.get(key, default)

    @staticmethod
    def put_meta(registry: Name, key: Any, value: Any) -> None:
        """Store something with the registry; it lasts as long as the registry, whoever stored it."""
        find(registry).meta[key] = value

    @staticmethod
    def delete_meta(registry: Name, key: Any) -> None:
        """Forget what is stored under a key."""
        find(registry).meta.pop(key, None)


async def _dispatch(groups: list[list[Pair]], function: Callable[[list[Pair]], Awaitable[Any]], parallel: bool) -> None:
    if parallel:
        await Task.await_many([Task.async_(function, group) for group in groups], None)
        return
    for group in groups:
        await function(group)


def _both(pattern: Any, where: Guard | None) -> Callable[[Any], Any]:
    fits = compiled(pattern)
    if where is None:
        return fits
    if fits is anything:
        return where
    return lambda value: fits(value) and where(value)


def _selected(table: Table, pattern: Any, where: Guard | None) -> list[Row]:
    if type(pattern) is not tuple or len(pattern) != 3:
        raise ValueError(f"select takes a pattern of three parts, (key, pid, value), not {pattern!r}")
    key, pid, value = map(compiled, pattern)
    rows = (row for row in table.rows() if key(row[0]) and pid(row[1]) and value(row[2]))
    return [row for row in rows if where is None or where(*row)]


def _checked_name(name: Any) -> Atom:
    made = atom(name) if isinstance(name, str | Atom) else None
    if not isinstance(made, Atom):
        raise TypeError(f"a registry's name is a str or an atom, not {name!r}")
    return made


def _is_unique(keys: Any) -> bool:
    if str(keys) not in ("unique", "duplicate") or not isinstance(keys, str | Atom):
        raise ValueError(f'keys is "unique" or "duplicate", not {keys!r}')
    return str(keys) == "unique"


def _checked_size(partitions: Any) -> int:
    if isinstance(partitions, bool) or not isinstance(partitions, int) or partitions < 1:
        raise ValueError(f"partitions is a number from 1 on, not {partitions!r}")
    return partitions


def _checked_listeners(listeners: Any) -> list[Atom]:
    if isinstance(listeners, str | Atom) or not isinstance(listeners, Iterable):
        raise TypeError(f"listeners is a list of names of processes, not {listeners!r}")
    return [_checked_name(listener) for listener in listeners]


__all__ = ["Keys", "Name", "Registry"]
