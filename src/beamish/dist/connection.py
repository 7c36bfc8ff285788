"""Driving a handshake over a socket, in both roles, until there is a connection or a reason why not."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from beamish.dist.handshake import (
    Acceptor,
    AliveAnswered,
    Authenticated,
    Established,
    Failure,
    HandshakeFailed,
    Initiator,
    NameReceived,
    StatusAlive,
    StatusNok,
)
from beamish.dist.pending import Verdict
from beamish.errors import NodeError
from beamish.term import Atom

SETUP_TIME: Final = 7.0
"""Seconds for the whole set-up of a connection (Erlang's net_setuptime)."""

READ: Final = 2048


@dataclass(slots=True)
class Shaken:
    """A finished handshake: its socket, what was agreed, and what already came behind it."""

    sock: socket.socket
    agreed: Established
    leftover: bytes
    first: bytes = b""
    address: str = ""


def tune(sock: socket.socket) -> None:
    """Small packets go out at once; a peer whose machine vanished is noticed by the kernel too."""
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


class AttemptOwner(Protocol):
    """Who decides for an attempt."""

    def alive_asked(self) -> bool: ...
    def told_nok(self) -> None: ...


async def connect_socket(address: str, port: int) -> socket.socket:
    """A connected TCP socket, tuned. Raises OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        tune(sock)
        await asyncio.get_running_loop().sock_connect(sock, (address, port))
    except BaseException:
        sock.close()
        raise
    return sock


async def initiate(sock: socket.socket, owner: AttemptOwner, *, local: Atom, peer: Atom, flags: int, creation: int,
                   cookie: str) -> Shaken | None:  # fmt: skip
    """The initiator's side. None when the peer told us to wait for its own attempt, or the attempt is stale.

    Closes the socket unless it returns a connection. Raises HandshakeFailed, OSError.
    """
    loop = asyncio.get_running_loop()
    shake = Initiator(local=local, peer=peer, flags=flags, creation=creation, cookie=cookie, challenge=secrets.randbits(32))
    try:
        while True:
            event = shake.next_event()
            match event:
                case None:
                    data = shake.data_to_send()  # a step may answer without being an event
                    if data:
                        await loop.sock_sendall(sock, data)
                    await _feed(loop, sock, shake)
                case StatusNok():
                    owner.told_nok()
                    sock.close()
                    return None
                case StatusAlive():
                    wanted = owner.alive_asked()
                    shake.answer_alive(wanted)
                    if not wanted:
                        await loop.sock_sendall(sock, shake.data_to_send())
                        sock.close()
                        return None
                case Established():
                    return Shaken(sock, event, shake.trailing_data())
                case _:
                    pass
    except BaseException:
        sock.close()
        raise


async def _feed(loop: asyncio.AbstractEventLoop, sock: socket.socket, shake: Initiator | Acceptor) -> None:
    try:
        data = await loop.sock_recv(sock, READ)
    except ConnectionResetError:
        data = b""
    if data:
        shake.receive_data(data)
    else:
        shake.receive_eof()


class Incoming:
    """An accepted socket whose peer introduces itself. The owner answers through the methods; `run` does the waiting."""

    def __init__(self, sock: socket.socket, address: str, *, local: Atom, flags: int, creation: int,
                 cookie_for: Callable[[Atom], str]) -> None:  # fmt: skip
        self.sock = sock
        self.address = address
        self.shake = Acceptor(
            local=local, flags=flags, creation=creation, cookie_for=cookie_for, challenge=secrets.randbits(32), address=address
        )
        self.answered: asyncio.Future[bool] | None = None
        self.dropped = False
        self.task: asyncio.Task[Any] | None = None

    def answer(self, verdict: Verdict) -> None:
        """Answer the peer's introduction."""
        match verdict:
            case Verdict.OK:
                self.shake.accept()
            case Verdict.OK_SIMULTANEOUS:
                self.shake.accept(simultaneous=True)
            case Verdict.ALIVE:
                self.shake.ask_alive()
            case Verdict.NOK:
                self.shake.nok()
                self.dropped = True

    def drop(self) -> None:
        """Close without a word."""
        self.dropped = True
        if self.answered is not None and not self.answered.done():
            self.answered.set_result(False)
        elif self.task is not None and self.task is not asyncio.current_task():
            self.task.cancel()

    def acknowledge(self) -> Shaken:
        """Finish: the owner installs the connection."""
        agreed = self.shake.acknowledge()
        shaken = Shaken(self.sock, agreed, self.shake.trailing_data(), self.shake.data_to_send(), self.address)
        if self.answered is not None and not self.answered.done():
            self.answered.set_result(True)
        return shaken

    async def run(self, on_name: Callable[[NameReceived], None], on_alive: Callable[[bool], None],
                  on_authenticated: Callable[[], None]) -> bool:  # fmt: skip
        """Shake hands; True when the socket was handed over to a connection, else it is closed.

        Raises HandshakeFailed, OSError, TimeoutError.
        """
        loop = asyncio.get_running_loop()
        handed_over = False
        try:
            async with asyncio.timeout(SETUP_TIME) as limit:
                while not self.dropped:
                    try:
                        event = self.shake.next_event()
                    except HandshakeFailed:
                        # The refusal may still be readable by the peer.
                        await self._write(loop)
                        raise
                    match event:
                        case None:
                            await self._write(loop)
                            if not self.dropped:
                                await _feed(loop, self.sock, self.shake)
                        case NameReceived():
                            on_name(event)
                        case AliveAnswered(wanted):
                            on_alive(wanted)
                        case Authenticated():
                            self.answered = loop.create_future()
                            limit.reschedule(loop.time() + SETUP_TIME)
                            on_authenticated()
                            handed_over = await self.answered
                            return handed_over
                        case _:
                            pass
                await self._write(loop)
                return False
        finally:
            if not handed_over:
                self.sock.close()

    async def _write(self, loop: asyncio.AbstractEventLoop) -> None:
        data = self.shake.data_to_send()
        if data:
            await loop.sock_sendall(self.sock, data)


def refusal(error: BaseException, peer: Atom) -> str:
    """One line about a failed attempt, for logs and commands."""
    if isinstance(error, HandshakeFailed):
        return str(error)
    if isinstance(error, TimeoutError):
        return f"{peer} did not finish the handshake within {SETUP_TIME:g} s"
    if isinstance(error, NodeError):
        return str(error)
    if isinstance(error, OSError):
        return f"{peer}: {error.strerror or error}"
    return f"{peer}: {type(error).__name__}: {error}"


__all__ = ["SETUP_TIME", "AttemptOwner", "Failure", "Incoming", "Shaken", "connect_socket", "initiate", "refusal", "tune"]
