"""Client functions of OTP as peers call them here: their servers, timeouts and exits. No module of Erlang's itself.

Source  OTP 25, stdlib: gen (do_call, do_for_proc), gen_server (call/3), proc_lib (stop/3); Elixir 1.14: GenServer, Supervisor.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from beamish.errors import CallTimeout, Exit
from beamish.gen_server import client
from beamish.gen_server.target import address
from beamish.process.gen import GEN_CALL, CallFailed
from beamish.rpc.modules.rpc import seconds
from beamish.rpc.outcome import badarg
from beamish.term import Atom, Pid, atom

INFINITY = atom.infinity
GLOBAL = atom("global")


def server_of(name: Any) -> Any:
    """The target that an Erlang name of a server means. Raises badarg."""
    match name:
        case Pid() | Atom():
            return name
        case (Atom() as kind, key) if kind is GLOBAL:
            return ("global", key)
        case (atom.via, Atom() as registry, key) if registry is GLOBAL:
            return ("global", key)
        case (Atom() as local, Atom() as node):
            return (local, node)
        case (atom.local, Atom() as local):
            return local
    raise badarg()


def reason_for(server: Any, reason: Any) -> Any:
    """The exit reason that a failed call has in Erlang: a lost connection names the node."""
    if reason is atom.noconnection:
        where = address(server)
        node = where.node if isinstance(where, Pid) else where[1] if isinstance(where, tuple) else None
        if node is not None:
            return (atom.nodedown, node)
    return reason


async def ask(mfa: tuple[Any, ...], name: Any, request: Any, timeout: Any, label: Atom = GEN_CALL) -> Any:
    """A call that exits with ``{Reason, {Module, Function, Args}}``. timeout: milliseconds or `infinity`."""
    server = server_of(name)
    try:
        return await client.call(server, request, seconds(timeout), label=label)
    except CallTimeout:
        raise Exit((atom.timeout, mfa)) from None
    except CallFailed as error:
        raise Exit((reason_for(server, error.reason), mfa)) from None


async def stopped(name: Any, reason: Any, timeout: Any) -> Atom:
    """`ok` once a server has ended with that reason; else an exit with the reason that it ended with."""
    server = server_of(name)
    try:
        await client.stop(server, reason, seconds(timeout))
    except CallTimeout:
        raise Exit(atom.timeout) from None
    except CallFailed as error:
        raise Exit(reason_for(server, error.reason)) from None
    return atom.ok


async def naming(mfa: tuple[Any, ...], work: Awaitable[Any]) -> Any:
    """What `work` gives; its exit becomes ``{Reason, mfa}``."""
    try:
        return await work
    except Exit as ending:
        raise Exit((ending.reason, mfa)) from None
