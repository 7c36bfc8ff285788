"""Two runtimes with all rpc services, connected by real wires over a socket pair; and a route that only writes down."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

from beamish.dist._wire import Wire
from beamish.dist.flags import VISIBLE
from beamish.node.route import fail_route
from beamish.node.runtime import Runtime
from beamish.process import Route, receive, send
from beamish.rpc import start_services
from beamish.term import Atom, Pid, atom

A, B = atom("a@127.0.0.1"), atom("b@127.0.0.1")
Allowed = Any


class Peer:
    """A connected node, as `Runtime.peers` knows it."""

    visible = True
    creation = 7
    connection_id = 1

    def __init__(self, node: Atom) -> None:
        self.node = node


class Output:
    """A group leader that collects what is printed."""

    def __init__(self) -> None:
        self.texts: list[Any] = []

    async def __call__(self) -> None:
        while True:
            match await receive():
                case (atom.io_request, Pid() as sender, reply_as, (atom.put_chars, _, chars)):
                    self.texts.append(chars if isinstance(chars, str) else chars.decode())
                    send(sender, (atom.io_reply, reply_as, atom.ok))


async def node(name: Atom, exports: Allowed = None) -> tuple[Runtime, Output]:
    """A runtime with services and a group leader of its own."""
    runtime = Runtime(name, 7, asyncio.get_running_loop())
    output = Output()
    runtime.user = runtime.spawn(output, name="user", system=True)
    await start_services(runtime, exports)
    return runtime, output


def wire(runtime: Runtime, peer: Atom, sock: socket.socket) -> Wire:
    """A started wire to `peer`."""
    sock.setblocking(False)
    made = Wire(peer, runtime, sock.detach(), VISIBLE, 60.0)

    def lost(gone: Wire, why: Any) -> None:
        runtime.routes.pop(peer, None)
        runtime.peers.pop(peer, None)
        fail_route(runtime, gone)

    made.on_lost = lost
    made.on_request = runtime.services["spawn_requested"]
    runtime.routes[peer] = made
    runtime.peers[peer] = Peer(peer)
    made.start()
    return made


class Pair:
    """a and b; what b printed itself is in `b_output`."""

    def __init__(self, a: Runtime, b: Runtime, a_output: Output, b_output: Output, wires: tuple[Wire, Wire]) -> None:
        self.a, self.b, self.a_output, self.b_output, self.wires = a, b, a_output, b_output, wires


@contextlib.asynccontextmanager
async def pair(a_exports: Allowed = None, b_exports: Allowed = None) -> AsyncIterator[Pair]:
    """Nodes a and b, connected."""
    left, right = socket.socketpair()
    a, a_output = await node(A, a_exports)
    b, b_output = await node(B, b_exports)
    wires = wire(a, B, left), wire(b, A, right)
    try:
        yield Pair(a, b, a_output, b_output, wires)
    finally:
        for end in wires:
            end.close()
        await a.stop()
        await b.stop()


class Recorder(Route):
    """A route to nowhere that remembers every signal given to it."""

    def __init__(self, to: Atom) -> None:
        super().__init__(to)
        self.signals: list[tuple[Any, ...]] = []

    def of(self, verb: str) -> list[tuple[Any, ...]]:
        return [signal[1:] for signal in self.signals if signal[0] == verb]

    def send(self, *args: Any) -> None:
        self.signals.append(("send", *args))

    def demonitor(self, *args: Any) -> None:
        self.signals.append(("demonitor", *args))

    def monitor_down(self, *args: Any) -> None:
        self.signals.append(("monitor_down", *args))

    def exit_linked(self, *args: Any) -> None:
        self.signals.append(("exit_linked", *args))

    def link(self, *args: Any) -> None:
        self.signals.append(("link", *args))

    def spawn_request(self, *args: Any) -> None:
        self.signals.append(("spawn_request", *args))

    def spawn_reply(self, *args: Any) -> None:
        self.signals.append(("spawn_reply", *args))
