"""`net_adm`: the port mapper's list, and pings. Also `beamish.net_adm` for Python: ``await net_adm.names()``.

Source  OTP 25, kernel: net_adm.
"""

from __future__ import annotations

import asyncio
from typing import Any

from beamish.epmd import client as epmd
from beamish.errors import EpmdError, NodeError
from beamish.node.face import Node
from beamish.node.host import full_hostname
from beamish.node.names import split
from beamish.node.runtime import current_runtime
from beamish.rpc.outcome import badarg
from beamish.term import Atom, atom, charlist, text
from beamish.term.chardata import ChardataError

__all__ = ["localhost", "names", "ping", "world_list"]

EPMD_PORT = "epmd_port"
"""The runtime's service of this name is its port mapper's port, where it is not the usual one."""


async def names(host: Any = None) -> tuple[Atom, Any]:
    """``{ok, [{Name, Port}]}`` of the nodes on a host (this one), or ``{error, address | nxdomain}``."""
    try:
        where = epmd.LOCAL if host is None else host.text if isinstance(host, Atom) else text(host)
    except ChardataError:
        raise badarg() from None
    try:
        found = await epmd.names(where, epmd_port=current_runtime().services.get(EPMD_PORT))
    except (EpmdError, OSError) as error:
        unknown = (host is not None and "resolve" in str(error).lower()) or isinstance(error.__cause__, UnicodeError)
        return (atom.error, atom.nxdomain if unknown else atom.address)
    return (atom.ok, [(charlist(name), port) for name, port in found])


async def ping(node: Any) -> Atom:
    """`pong` or `pang`."""
    try:
        return await Node.ping(node if isinstance(node, str | Atom) else text(node))
    except (NodeError, ChardataError):
        return atom.pang


async def localhost() -> Any:
    """This machine's full name."""
    return charlist(await asyncio.to_thread(full_hostname))


async def world_list(hosts: Any) -> list[Atom]:
    """Ping every node on these hosts; those that answered."""
    if not isinstance(hosts, list):
        raise badarg()
    long = split(current_runtime().node).long
    found: list[Atom] = []
    for host in hosts:
        where = host.text if isinstance(host, Atom) else text(host)
        answer, listed = await names(where)
        if answer is not atom.ok:
            continue
        at = where if long else where.partition(".")[0]
        candidates = [atom(f"{name}@{at}") for name, _ in listed]
        found += [node for node in candidates if await ping(node) is atom.pong]
    return found
