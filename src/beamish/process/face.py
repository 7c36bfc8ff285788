"""The rarer verbs, and `Process`: the namespace Elixir users look for."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from beamish.errors import Exit, NoRuntime, NotAProcess
from beamish.process import _core, _scheduler, _signals
from beamish.process.info import info_of
from beamish.term import Atom, Pid, Ref, atom


def _me(verb: str) -> _core.Process:
    process = _core.current_process()
    if process is None:
        raise NotAProcess(f"{verb} needs a process: use it inside a function started with spawn() or beamish.run()")
    return process


def _living(verb: str) -> _core.Process:
    """The current process; one that was killed and still unwinds can do nothing any more to others."""
    process = _me(verb)
    if process.done():
        raise Exit(process.rare_parts.exit_reason)
    return process


def _home(verb: str) -> _scheduler.Kernel:
    process = _core.current_process()
    if process is None:
        raise NoRuntime(f"{verb} needs a running node: use it inside a process, or a method of a Runtime")
    return process.home


class HasPid(Protocol):
    """A handle of a server or supervisor."""

    @property
    def pid(self) -> Pid: ...


def _pid(pid: Pid | HasPid) -> Pid:
    return pid if isinstance(pid, Pid) else pid.pid


def register(name: Atom | str, pid: Pid | HasPid) -> None:
    """Give a process of this node a name. Raises NameTaken, NoProcess."""
    _signals.register_name(_living("register()").home, name, _pid(pid))


def unregister(name: Atom | str) -> None:
    """Release a name. Raises NoProcess if nobody holds it."""
    _signals.unregister_name(_living("unregister()").home, name)


def whereis(name: Atom | str) -> Pid | None:
    """The pid behind a name of this node, or None."""
    return _signals.whereis_name(_home("whereis()"), name)


def registered() -> list[Atom]:
    """Every registered name of this node."""
    return list(_home("registered()").names)


def trap_exit(on: bool = True) -> bool:
    """Turn exit signals into ``(atom.EXIT, pid, reason)`` messages; gives the old value."""
    process = _me("trap_exit()")
    old = process.traps
    process.traps = on
    return old


def send_after(seconds: float, dest: Pid | Atom | str | tuple[Any, Any], message: Any) -> Ref:
    """Send later. The reference cancels it; the timer dies with a local destination."""
    return _living("send_after()").home.send_later(seconds, dest, message)


def cancel_timer(ref: Ref) -> float | None:
    """Seconds that were left, or None if it has fired (or never was)."""
    return _home("cancel_timer()").cancel_timer(ref)


def read_timer(ref: Ref) -> float | None:
    """Seconds left, or None."""
    return _home("read_timer()").read_timer(ref)


def group_leader() -> Pid | None:
    """Who collects this process's output; inherited from the spawner."""
    leader: Pid | None = _me("group_leader()").leader
    return leader


def set_group_leader(pid: Pid, leader: Pid) -> None:
    """Make `leader` collect pid's output."""
    home = _living("set_group_leader()").home
    process = home.process_of(pid)
    if process is not None:
        process.leader = leader
    elif pid.node is not home.node:
        route = home.route(pid.node)
        if route is not None:
            route.group_leader(leader, pid)


class Process:
    """The verbs on processes under Elixir's names. Not to be instantiated: a process is made by `spawn`."""

    self = staticmethod(_core.self_)
    link = staticmethod(_signals.link)
    unlink = staticmethod(_signals.unlink)
    monitor = staticmethod(_signals.monitor)
    demonitor = staticmethod(_signals.demonitor)
    alias = staticmethod(_signals.alias)
    unalias = staticmethod(_signals.unalias)
    exit = staticmethod(_signals.send_exit)
    register = staticmethod(lambda pid, name: register(name, pid))
    unregister = staticmethod(unregister)
    whereis = staticmethod(whereis)
    registered = staticmethod(registered)
    send_after = staticmethod(lambda dest, message, seconds: send_after(seconds, dest, message))
    cancel_timer = staticmethod(cancel_timer)
    read_timer = staticmethod(read_timer)
    group_leader = staticmethod(group_leader)
    set_group_leader = staticmethod(set_group_leader)

    def __init__(self) -> None:
        raise TypeError("a process is made by spawn(function, *args)")

    @staticmethod
    def alive(pid: Pid | HasPid) -> bool:
        """Whether a process of this node lives. Raises ValueError for a pid of another node, as Elixir does."""
        home = _home("Process.alive()")
        pid = _pid(pid)
        if pid.node is not home.node:
            raise ValueError(f"{pid} lives on {pid.node}; ask there: rpc.call(pid.node, 'erlang', 'is_process_alive', [pid])")
        process = home.process_of(pid)
        return process is not None and process.status != "exiting"

    @staticmethod
    def list() -> list[Pid]:
        """Every living process of this node."""
        return _home("Process.list()").pids()

    @staticmethod
    def info(pid: Pid | HasPid, *items: str) -> dict[str, Any] | Any:
        """What is known of a local process: a dict, one value when one item is asked for, None when it is dead."""
        home = _home("Process.info()")
        pid = _pid(pid)
        if pid.node is not home.node:
            raise ValueError(f"{pid} lives on {pid.node}; ask there: rpc.call({str(pid.node)!r}, 'erlang', 'process_info', [pid])")
        process = home.process_of(pid)
        if process is None:
            return None
        found = info_of(process, items)
        return found[items[0]] if len(items) == 1 else found

    @staticmethod
    def flag(name: Atom | str, value: Any) -> Any:
        """Set a process flag; only ``trap_exit`` has a meaning here. Gives the old value."""
        if str(name) == "trap_exit":
            return trap_exit(bool(value))
        raise ValueError(f"unknown process flag {name!s}; known: trap_exit")

    @staticmethod
    def put(key: Any, value: Any) -> Any:
        """Put into the process dictionary; gives the old value or None."""
        rare = _me("Process.put()").rare_parts
        if rare.dictionary is None:
            rare.dictionary = {}
        old = rare.dictionary.get(key)
        rare.dictionary[key] = value
        return old

    @staticmethod
    def get(key: Any = ..., default: Any = None) -> Any:
        """Read the process dictionary; without a key a copy of all of it."""
        dictionary = _me("Process.get()").rare_parts.dictionary or {}
        return dict(dictionary) if key is ... else dictionary.get(key, default)

    @staticmethod
    def delete(key: Any) -> Any:
        """Remove from the process dictionary; gives the old value or None."""
        dictionary = _me("Process.delete()").rare_parts.dictionary
        return dictionary.pop(key, None) if dictionary else None

    @staticmethod
    def set_label(label: Any) -> None:
        """Describe the current process for people: observers and crash logs show it."""
        _me("Process.set_label()").rare_parts.label = label

    @staticmethod
    async def sleep(seconds: float) -> None:
        """Let the process rest; messages wait in the mailbox."""
        _me("Process.sleep()")
        await asyncio.sleep(seconds)

    @staticmethod
    def send(dest: Any, message: Any, *, noconnect: bool = False) -> bool:
        """`send` with Elixir's option: with noconnect nothing is sent to a node that is not connected (False then)."""
        if noconnect:
            home = _home("Process.send()")
            node = dest.node if isinstance(dest, Pid) else atom(dest[1]) if isinstance(dest, tuple) else home.node
            if node is not home.node and node not in home.routes:
                return False
        _core.send(dest, message)
        return True
