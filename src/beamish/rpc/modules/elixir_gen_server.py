"""Elixir's `GenServer` on our nodes: clients' functions.

Source  Elixir 1.14, GenServer.
"""

from __future__ import annotations

from typing import Any

from beamish.gen_server import client
from beamish.rpc.modules import gen_server
from beamish.rpc.modules.otp_calls import INFINITY, ask, naming, server_of, stopped
from beamish.term import Atom, atom

__all__ = ["abcast", "call", "cast", "multi_call", "reply", "stop", "whereis"]

MODULE = atom("Elixir.GenServer")
abcast = gen_server.abcast
cast = gen_server.cast
multi_call = gen_server.multi_call
reply = gen_server.reply


async def call(server: Any, request: Any, timeout: Any = 5000) -> Any:
    """A reply, or an exit with ``{reason, {GenServer, :call, args}}``."""
    return await ask((MODULE, atom.call, [server, request, timeout]), server, request, timeout)


async def stop(server: Any, reason: Any = atom.normal, timeout: Any = INFINITY) -> Atom:
    """End a server in order, or exit with ``{reason, {GenServer, :stop, args}}``."""
    ended: Atom = await naming((MODULE, atom.stop, [server, reason, timeout]), stopped(server, reason, timeout))
    return ended


def whereis(server: Any) -> Any:
    """A pid, ``{name, node}``, or nil."""
    return client.whereis(server_of(server))
