"""The sockets a node listens on, and where other nodes listen."""

from __future__ import annotations

import asyncio
import socket

from beamish.epmd import client as epmd
from beamish.errors import NodeError
from beamish.node.names import split
from beamish.term import Atom


def open_listeners(addresses: list[str], port_range: tuple[int, int] = (0, 0)) -> list[socket.socket]:
    """Listen on all these addresses, on one port of the range ((0, 0): any). Raises NodeError when none is free."""
    low, high = port_range
    for port in range(low, high + 1):
        opened: list[socket.socket] = []
        chosen = port
        try:
            for address in addresses:
                opened.append(_listen(address, chosen))
                chosen = opened[-1].getsockname()[1]
        except OSError as error:
            for sock in opened:
                sock.close()
            if low == high == 0:
                raise NodeError(f"cannot listen on {', '.join(addresses)}: {error.strerror or error}; does the node's host "
                                "name resolve to an address of this machine?") from error  # fmt: skip
            continue
        return opened
    where = ", ".join(addresses)
    if low == high:
        raise NodeError(f"port {low} on {where} is in use (`ss -ltnp` shows by whom); choose another with --dist-port")
    raise NodeError(
        f"all distribution ports {low}-{high} on {where} are in use (`beamish names` and `ss -ltnp` show by whom); "
        "widen the range with --dist-ports MIN-MAX"
    )


def _listen(address: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        if ":" in address:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        sock.listen(128)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


async def find_port(node: Atom, epmd_port: int | None = None) -> tuple[str, int]:
    """Where a node listens, from the port mapper of its host: (address, port).

    Raises NodeError (EpmdError) when the host does not resolve, has no port mapper, or knows no such node.
    """
    alive, host = split(node)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise NodeError(f"{node}: the host {host} does not resolve ({error.strerror or error}); enter it in /etc/hosts or the "
                        "DNS, or name the node by its address") from error  # fmt: skip
    address = str(min(found, key=lambda entry: entry[0] != socket.AF_INET)[4][0])
    info = await epmd.port_please(alive, address, epmd_port=epmd_port)
    if info is None:
        raise NodeError(f"{node}: no node named {alive} is registered with epmd on {host} (`beamish names {host}` lists them)")
    if not info.low <= 6 <= info.high:
        raise NodeError(f"{node} speaks distribution versions {info.low} to {info.high}; beamish speaks 6 (OTP 23 and later)")
    return address, info.port
