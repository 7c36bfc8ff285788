"""A port mapper that real Erlang and Elixir nodes can use.

    server = EpmdServer(port=4369)
    await server.start()
    await server.wait_stopped()

A registration lasts as long as the socket it came on. Names are only taken from this machine; everybody who can reach
the port may look names up, as with Erlang's epmd. It listens on loopback, and further addresses only if it is told so:
``addresses``, or ERL_EPMD_ADDRESS (a list with commas, to which loopback is added, as Erlang does).

What a stranger can cost: a connection that has not registered is closed after ``request_timeout`` seconds, is limited
to one request of REQUEST_MAX bytes, and there are at most ``connections_max`` of them.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import os
import socket
import time
from collections.abc import Sequence
from typing import Final, cast

from beamish.epmd.client import configured_port
from beamish.epmd.directory import REGISTRATIONS_MAX, Directory
from beamish.epmd.packets import REQUEST_MAX, decode_request
from beamish.errors import EpmdError, RemoteProtocolError

LOOPBACK: Final = ("127.0.0.1", "::1")
REQUEST_TIMEOUT: Final = 10.0
CONNECTIONS_MAX: Final = 512

log = logging.getLogger("beamish.epmd")


def configured_addresses(addresses: Sequence[str] = ()) -> tuple[str, ...]:
    """Where a port mapper listens: loopback, ERL_EPMD_ADDRESS, and the addresses given.

    Raises  EpmdError for something that is not an address
    """
    listed = [part.strip() for part in os.environ.get("ERL_EPMD_ADDRESS", "").split(",")]
    chosen = dict.fromkeys([*LOOPBACK, *(part for part in listed if part), *addresses])
    for address in chosen:
        try:
            ipaddress.ip_address(address.split("%", 1)[0])
        except ValueError:
            raise EpmdError(
                f"{address!r} is not an IP address for the port mapper to listen on; write for example 127.0.0.1, and"
                " several with commas between them in ERL_EPMD_ADDRESS"
            ) from None
    return tuple(chosen)


def bind(port: int | None = None, addresses: Sequence[str] = ()) -> list[socket.socket]:
    """Listening sockets for a port mapper, one per address, all on one port (0 picks a free one).

    Raises  EpmdError that says who is in the way
    """
    port = configured_port(port)
    wanted = configured_addresses(addresses)
    sockets: list[socket.socket] = []
    try:
        for address in wanted:
            listener = _bind_one(address, port, optional=address == "::1")
            if listener is not None:
                sockets.append(listener)
                port = int(listener.getsockname()[1])
    except BaseException:
        for listener in sockets:
            listener.close()
        raise
    return sockets


def _bind_one(address: str, port: int, *, optional: bool) -> socket.socket | None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError:
        if optional:
            return None
        raise
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((address, port))
        listener.listen(128)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        if optional:
            return None
        raise EpmdError(error.errno, _in_the_way(address, port, error)) from error
    return listener


def _in_the_way(address: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} of {address} is in use, perhaps by another port mapper (`beamish names` tells);"
            f" `ss -ltnp 'sport = :{port}'` tells who has it, ERL_EPMD_PORT chooses another port"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{address} is not an address of this machine, so the port mapper cannot listen on it"
    return f"the port mapper cannot listen on port {port} of {address}: {error.strerror or error}"


class EpmdServer:
    """One port mapper in this event loop."""

    def __init__(
        self,
        *,
        port: int | None = None,
        addresses: Sequence[str] = (),
        relaxed: bool = False,
        exit_when_idle: float | None = None,
        request_timeout: float = REQUEST_TIMEOUT,
        connections_max: int = CONNECTIONS_MAX,
        registrations_max: int = REGISTRATIONS_MAX,
        creation: int | None = None,
        sockets: Sequence[socket.socket] | None = None,
    ) -> None:
        """Choose how it will work; ``start`` binds.

        port: default ERL_EPMD_PORT or 4369, 0 for any; addresses: beside loopback; relaxed: may be told to end while
        names are registered; exit_when_idle: stop after so many seconds without a name; creation: the first to hand
        out, default the time in seconds; sockets: from ``bind``, then port and addresses are not used.
        """
        self.port = 0
        self._wanted_port = port
        self._addresses = addresses
        self._relaxed = relaxed
        self._exit_when_idle = exit_when_idle
        self.request_timeout = request_timeout
        self.connections_max = connections_max
        self._registrations_max = registrations_max
        self._creation = int(time.time()) if creation is None else creation
        self._sockets = sockets
        self._servers: list[asyncio.Server] = []
        self._idle_timer: asyncio.TimerHandle | None = None
        self._stopped = asyncio.Event()
        self.open: set[_Connection] = set()
        self.directory: Directory

    async def start(self) -> None:
        """Bind and serve.

        Raises  EpmdError
        """
        sockets = list(self._sockets) if self._sockets is not None else bind(self._wanted_port, self._addresses)
        self.port = int(sockets[0].getsockname()[1])
        self.directory = Directory(
            self.port, self._creation, relaxed=self._relaxed, registrations_max=self._registrations_max
        )
        loop = asyncio.get_running_loop()
        for listener in sockets:
            self._servers.append(await loop.create_server(lambda: _Connection(self), sock=listener))
        self.idle()

    def stop(self) -> None:
        """Stop listening and close every connection: all names are gone."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        for server in self._servers:
            server.close()
        for connection in list(self.open):
            connection.abort()
        self._stopped.set()

    async def wait_stopped(self) -> None:
        """Return once the server was stopped: by ``stop``, by a request to end, or for want of names."""
        await self._stopped.wait()

    async def __aenter__(self) -> EpmdServer:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.stop()
        # One more turn, so that no transport of ours is left for the event loop to complain about.
        await asyncio.sleep(0)

    def idle(self) -> None:
        """A name came or went: see whether to stop after a while."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        if self._exit_when_idle is not None and not len(self.directory) and not self._stopped.is_set():
            self._idle_timer = asyncio.get_running_loop().call_later(self._exit_when_idle, self.stop)

    def crowded(self) -> bool:
        """Whether as many strangers are connected as we take."""
        return len(self.open) - len(self.directory) >= self.connections_max


class _Connection(asyncio.Protocol):
    """One socket: a request, its answer, and for a registration the rest of a node's life."""

    def __init__(self, server: EpmdServer) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._data = b""
        self._name: str | None = None
        self._answered = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, not a check: uvloop's transports are none of asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)
        if self._server.crowded():
            self._transport.abort()
            return
        self._server.open.add(self)
        self._timer = asyncio.get_running_loop().call_later(self._server.request_timeout, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        if self._answered:
            return  # a registered node has nothing to say; what it says is dropped
        self._data += data[: 2 + REQUEST_MAX]
        if len(self._data) < 2:
            return
        size = int.from_bytes(self._data[:2], "big")
        if 0 < size <= REQUEST_MAX and len(self._data) < 2 + size:
            return
        self._answer(self._data[2 : 2 + size], size)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.open.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._name is not None:
            log.debug("%s is gone", self._name)
            self._server.directory.unregister(self._name)
            self._server.idle()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def _answer(self, body: bytes, size: int) -> None:
        assert self._transport is not None
        self._answered = True
        self._data = b""
        try:
            if size > REQUEST_MAX:
                raise RemoteProtocolError(f"a request of {size} bytes; at most {REQUEST_MAX} are allowed")
            request = decode_request(body)
        except RemoteProtocolError as error:
            log.warning("%s: %s", self._transport.get_extra_info("peername"), error)
            self._transport.abort()
            return
        outcome = self._server.directory.answer(request, local=_is_local(self._transport))
        self._transport.write(outcome.reply)
        if outcome.registered is None:
            # The timer runs on: a peer that does not read its answer is cut off.
            self._transport.close()
        else:
            self._name = outcome.registered
            log.debug("%s registered", self._name)
            if self._timer is not None:
                self._timer.cancel()
            self._server.idle()
        if outcome.stop:
            asyncio.get_running_loop().call_soon(self._server.stop)


def _is_local(transport: asyncio.Transport) -> bool:
    peer, ours = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
    if not peer or not ours:
        return False
    return peer[0] == ours[0] or ipaddress.ip_address(str(peer[0]).split("%", 1)[0]).is_loopback
