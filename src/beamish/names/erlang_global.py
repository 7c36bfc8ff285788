"""Erlang's module `global` on our nodes, for peers that call it by name: Erlang's arguments and answers.

Source  OTP 25, kernel: global.
"""

from __future__ import annotations

from typing import Any

from beamish.errors import Exit
from beamish.names import actions as a
from beamish.names import messages as m
from beamish.names.face import Global
from beamish.names.resolve import NOTIFY_ALL_NAME, RANDOM_EXIT_NAME, RANDOM_NOTIFY_NAME, standard_outcome
from beamish.names.server import log, server_of
from beamish.node.runtime import current_runtime
from beamish.process import send as _send
from beamish.process._signals import send_exit
from beamish.process.gen import call
from beamish.rpc.apply import apply_fun
from beamish.rpc.outcome import badarg
from beamish.term import Atom, ExportFun, Fun, Pid, atom

__all__ = [
    "del_lock",
    "disconnect",
    "info",
    "notify_all_name",
    "random_exit_name",
    "random_notify_name",
    "re_register_name",
    "register_name",
    "registered_names",
    "resolve_it",
    "send",
    "set_lock",
    "sync",
    "trans",
    "unregister_name",
    "whereis_name",
]


def whereis_name(name: Any) -> Any:
    """The pid, or undefined."""
    return Global.whereis_name(name) or m.UNDEFINED


def registered_names() -> list[Any]:
    """All global names."""
    return Global.registered_names()


async def register_name(name: Any, pid: Any, method: Any = RANDOM_EXIT_NAME) -> Atom:
    """yes or no."""
    return m.YES if await Global.register_name(name, _pid(pid), _method(method)) else m.NO


async def re_register_name(name: Any, pid: Any, method: Any = RANDOM_EXIT_NAME) -> Atom:
    """yes."""
    await Global.re_register_name(name, _pid(pid), _method(method))
    return m.YES


async def unregister_name(name: Any) -> Atom:
    """ok."""
    await Global.unregister_name(name)
    return m.OK


def send(name: Any, message: Any) -> Pid:
    """The pid; exits with {badarg, {Name, Message}} if nobody has the name."""
    pid = Global.whereis_name(name)
    if pid is None:
        raise Exit((atom.badarg, (name, message)))
    _send(pid, message)
    return pid


async def sync(nodes: Any = None) -> Atom:
    """ok, once this node agrees with them."""
    await Global.sync(None if nodes is None else _nodes(nodes))
    return m.OK


async def set_lock(lock_id: Any, nodes: Any = None, retries: Any = atom.infinity) -> bool:
    """Whether the lock was set."""
    return await Global.set_lock(_lock_id(lock_id), _nodes(nodes), _retries(retries))


async def del_lock(lock_id: Any, nodes: Any = None) -> bool:
    """true."""
    await Global.del_lock(_lock_id(lock_id), _nodes(nodes))
    return True


async def trans(lock_id: Any, function: Any, nodes: Any = None, retries: Any = atom.infinity) -> Any:
    """What ``fun M:F/0`` gives while the lock is set, or aborted."""
    runtime = current_runtime()
    return await Global.trans(
        _lock_id(lock_id), lambda: apply_fun(runtime, function, []), _nodes(nodes), _retries(retries)
    )


async def info() -> Any:
    """The name server's state, as OTP 25 shows it."""
    server_of(current_runtime())
    return await call(m.NAME_SERVER, m.INFO, None)


async def disconnect() -> list[Atom]:
    """Leave the mesh; the nodes that were connected."""
    return await Global.disconnect()


# conflicts


async def resolve_it(method: Any, name: Any, pid: Any, pid2: Any) -> Any:
    """Let a method decide who keeps a name: a pid or none; {'EXIT', Reason} when it fails."""
    standard = standard_outcome(method, name, _pid(pid), _pid(pid2))
    if standard is None:
        return await server_of(current_runtime()).resolve(method, name, pid, pid2)
    outcome, actions = standard
    for action in actions:
        match action:
            case a.KillPid(victim):
                send_exit(victim, atom.kill)
            case a.SendPid(told, message):
                _send(told, message)
            case a.Log(_, text):
                log.info("%s", text)
    return outcome


async def random_exit_name(name: Any, pid: Any, pid2: Any) -> Any:
    """The pid on the smaller node; the other process is killed."""
    return await resolve_it(RANDOM_EXIT_NAME, name, pid, pid2)


async def random_notify_name(name: Any, pid: Any, pid2: Any) -> Any:
    """The pid on the smaller node; the other process is told."""
    return await resolve_it(RANDOM_NOTIFY_NAME, name, pid, pid2)


async def notify_all_name(name: Any, pid: Any, pid2: Any) -> Any:
    """none; both processes are told."""
    return await resolve_it(NOTIFY_ALL_NAME, name, pid, pid2)


# arguments


def _pid(pid: Any) -> Pid:
    if not isinstance(pid, Pid):
        raise badarg()
    return pid


def _method(method: Any) -> Any:
    if isinstance(method, Fun | ExportFun) and method.arity == 3:
        return method
    if isinstance(method, tuple) and len(method) == 2 and all(isinstance(part, Atom) for part in method):
        return method
    raise badarg()


def _lock_id(lock_id: Any) -> tuple[Any, Any]:
    if not isinstance(lock_id, tuple) or len(lock_id) != 2:
        raise badarg()
    return lock_id


def _nodes(nodes: Any) -> list[Atom] | None:
    if nodes is None:
        return None
    if not isinstance(nodes, list) or not all(isinstance(node, Atom) for node in nodes):
        raise badarg()
    return nodes


def _retries(retries: Any) -> int | None:
    if retries is atom.infinity:
        return None
    if isinstance(retries, int) and not isinstance(retries, bool) and retries >= 0:
        return retries
    raise badarg()
