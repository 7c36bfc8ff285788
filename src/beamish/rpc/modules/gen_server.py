"""`gen_server` on our nodes: clients' functions, for servers of this node and of any other.

Source  OTP 25, stdlib: gen_server.
"""

from __future__ import annotations

from typing import Any

from beamish.gen_server import client
from beamish.node.face import Node
from beamish.rpc.modules.otp_calls import INFINITY, ask, server_of, stopped
from beamish.rpc.modules.rpc import seconds
from beamish.rpc.outcome import badarg
from beamish.term import Atom, atom

__all__ = ["abcast", "call", "cast", "multi_call", "reply", "stop"]

MODULE = atom.gen_server


async def call(server: Any, request: Any, timeout: Any = ...) -> Any:
    """A reply, or an exit with ``{Reason, {gen_server, call, Args}}``."""
    args = [server, request] if timeout is ... else [server, request, timeout]
    return await ask((MODULE, atom.call, args), server, request, 5000 if timeout is ... else timeout)


def cast(server: Any, message: Any) -> Atom:
    """Always `ok`."""
    client.cast(server_of(server), message)
    return atom.ok


async def stop(server: Any, reason: Any = atom.normal, timeout: Any = INFINITY) -> Atom:
    """End a server in order."""
    return await stopped(server, reason, timeout)


def reply(to: Any, answer: Any) -> Atom:
    """Answer a call in a server's place."""
    if not isinstance(to, tuple) or len(to) != 2:
        raise badarg()
    client.reply(to, answer)
    return atom.ok


def everywhere() -> list[Atom]:
    """This node and all that it sees."""
    return [Node.self(), *Node.list()]


async def multi_call(*args: Any) -> Any:
    """``{Replies, BadNodes}``: multi_call(Name, Request), (Nodes, Name, Request), (Nodes, Name, Request, Timeout)."""
    if not 2 <= len(args) <= 4:
        raise badarg()
    nodes, name, request, *rest = args if len(args) > 2 else (everywhere(), *args)
    if not isinstance(nodes, list) or not isinstance(name, Atom):
        raise badarg()
    replies, bad = await client.multi_call(nodes, name, request, seconds(rest[0]) if rest else None)
    return list(replies), bad


def abcast(*args: Any) -> Atom:
    """`abcast`: abcast(Name, Message), (Nodes, Name, Message)."""
    if not 2 <= len(args) <= 3:
        raise badarg()
    nodes, name, message = args if len(args) == 3 else (everywhere(), *args)
    if not isinstance(nodes, list) or not isinstance(name, Atom):
        raise badarg()
    client.abcast(nodes, name, message)
    return atom.abcast
