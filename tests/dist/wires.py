"""Two runtimes in this interpreter whose wires meet in a socket pair, and what passes between them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from beamish.dist._wire import Wire
from beamish.dist.flags import VISIBLE
from beamish.node.route import fail_route
from beamish.node.runtime import Runtime
from beamish.term import Atom, atom

FLAGS = VISIBLE
PLAIN_FLAGS = VISIBLE & ~0x2000 & ~0x800000  # neither the distribution header nor fragments


@dataclass
class Side:
    """One end: its runtime, its wire, and why the wire was lost."""

    runtime: Runtime
    wire: Wire
    lost: list[Any] = field(default_factory=list)

    def on_lost(self, wire: Wire, why: Any) -> None:
        self.lost.append(why)
        self.runtime.routes.pop(wire.node, None)
        fail_route(self.runtime, wire)


def side(name: str, peer: str, sock: socket.socket, *, flags: int = FLAGS, ticktime: float = 60.0) -> Side:
    """A runtime named `name` with a started wire to `peer` on this socket."""
    sock.setblocking(False)
    runtime = Runtime(node(name), 7, asyncio.get_running_loop())
    runtime.user = runtime.spawn(_wait_for_ever, name="user", system=True)
    wire = Wire(node(peer), runtime, sock.detach(), flags, ticktime)
    made = Side(runtime, wire)
    wire.on_lost = made.on_lost
    runtime.routes[node(peer)] = wire
    wire.start()
    return made


def node(name: str) -> Atom:
    return atom(f"{name}@127.0.0.1")


async def _wait_for_ever() -> None:
    from beamish.process import receive

    while True:
        await receive()


@contextlib.asynccontextmanager
async def pair(*, flags: int = FLAGS, ticktime: float = 60.0) -> AsyncIterator[tuple[Side, Side]]:
    """Runtimes `a` and `b`, connected."""
    left, right = socket.socketpair()
    a = side("a", "b", left, flags=flags, ticktime=ticktime)
    b = side("b", "a", right, flags=flags, ticktime=ticktime)
    try:
        yield a, b
    finally:
        for end in (a, b):
            end.wire.close()
            end.runtime.shut()


@contextlib.asynccontextmanager
async def raw_peer(*, ticktime: float = 60.0, flags: int = FLAGS) -> AsyncIterator[tuple[Side, socket.socket]]:
    """A runtime `a` whose peer `b` is the bare socket in the hands of the test."""
    left, right = socket.socketpair()
    right.setblocking(False)
    a = side("a", "b", left, flags=flags, ticktime=ticktime)
    try:
        yield a, right
    finally:
        a.wire.close()
        a.runtime.shut()
        right.close()
