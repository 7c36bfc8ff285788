"""Talking to a port mapper: register a node, look nodes up, list them.

The registration of a node lasts as long as its socket: ``register`` returns a ``Registration`` that holds it, and that
registers again every two seconds if the port mapper goes away, as Erlang does.

Environment  ERL_EPMD_PORT, the port on every machine. ERL_EPMD_ADDRESS only concerns where a port mapper listens
             (``beamish.epmd.server``); it always listens on loopback too, which is where a node registers.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from beamish.epmd.packets import (
    DEFAULT_PORT,
    NAMES_MAX,
    REPLY_MAX,
    AliveReply,
    AliveRequest,
    KillRequest,
    NamesRequest,
    PortInfo,
    PortRequest,
    Request,
    decode_alive_reply,
    decode_names_reply,
    decode_port_reply,
    encode_request,
)
from beamish.errors import EpmdError, RemoteProtocolError

LOCAL: Final = "127.0.0.1"
TIMEOUT: Final = 5.0
"""Seconds for one question and its answer."""

RETRY: Final = 2.0
"""Seconds between attempts to register again (kernel, erl_epmd)."""

log = logging.getLogger("beamish.epmd")

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class NodeNameTaken(EpmdError):
    """Another node of that name is registered on this machine."""


class EpmdUnreachable(EpmdError):
    """Nobody answers where the port mapper should be."""


class NotEpmd(EpmdError):
    """Something answers there, and it is no port mapper."""


def configured_port(epmd_port: int | None = None) -> int:
    """The port mapper's port: the argument, else ERL_EPMD_PORT, else 4369.

    Raises  EpmdError if the variable is not a port number
    """
    if epmd_port is not None:
        return epmd_port
    text = os.environ.get("ERL_EPMD_PORT")
    if not text:
        return DEFAULT_PORT
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= 0xFFFF:
        raise EpmdError(f"ERL_EPMD_PORT={text!r} is not a port number; use 1 to 65535, or unset it for {DEFAULT_PORT}")
    return int(text)


async def register(
    name: str, port: int, *, hidden: bool = False, host: str = LOCAL, epmd_port: int | None = None, retry: float = RETRY
) -> Registration:
    """Register the node ``name`` (the part before @), listening on ``port``.

    retry: seconds between attempts to register again once the port mapper has gone away.
    Raises  NodeNameTaken; EpmdUnreachable; NotEpmd; EpmdError
    """
    request = AliveRequest(name, port, hidden)
    epmd_port = configured_port(epmd_port)
    reply, connection = await _announce(request, host, epmd_port)
    return Registration(request, host, epmd_port, reply.creation, connection, retry)


async def port_please(name: str, host: str = LOCAL, *, epmd_port: int | None = None) -> PortInfo | None:
    """Where the node ``name`` on ``host`` listens, or None if no such name is registered there.

    Raises  EpmdUnreachable; NotEpmd
    """
    port = configured_port(epmd_port)
    data = await _ask(PortRequest(name), host, port, REPLY_MAX)
    try:
        return decode_port_reply(data)
    except RemoteProtocolError as error:
        raise _not_epmd(host, port, str(error)) from None


async def names(host: str = LOCAL, *, epmd_port: int | None = None) -> list[tuple[str, int]]:
    """All registered names on ``host`` with their ports.

    Raises  EpmdUnreachable; NotEpmd
    """
    port = configured_port(epmd_port)
    data = await _ask(NamesRequest(), host, port, NAMES_MAX)
    try:
        return decode_names_reply(data)
    except RemoteProtocolError as error:
        raise _not_epmd(host, port, str(error)) from None


async def kill(host: str = LOCAL, *, epmd_port: int | None = None) -> bool:
    """Ask a port mapper to end; False if it refuses because names are registered.

    Raises  EpmdUnreachable; NotEpmd
    """
    port = configured_port(epmd_port)
    answer = await _ask(KillRequest(), host, port, 16)
    if answer not in (b"OK", b"NO", b""):
        raise _not_epmd(host, port, f"{answer!r} is not an answer to a request to end")
    return answer == b"OK"


class Registration:
    """A registered name. It is given back by ``close``, or when this process ends."""

    def __init__(
        self,
        request: AliveRequest,
        host: str,
        epmd_port: int,
        creation: int,
        connection: Connection,
        retry: float,
    ) -> None:
        """Made by ``register``. creation: this incarnation of the node, for all its pids, ports and references."""
        self.name = request.name
        self.port = request.port
        self.creation = creation
        self._request = request
        self._host = host
        self._epmd_port = epmd_port
        self._retry = retry
        self._connection: Connection | None = connection
        self._watcher = asyncio.create_task(self._watch(), name=f"epmd registration of {request.name}")

    def close(self) -> None:
        """Give the name back. Returns at once; may be called again."""
        self._watcher.cancel()
        self._hang_up()

    async def wait_closed(self) -> None:
        """Close, and return once nothing of it is left in the event loop."""
        self.close()
        await asyncio.gather(self._watcher, return_exceptions=True)

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection[1].close()
            self._connection = None

    async def _watch(self) -> None:
        while True:
            await self._until_lost()
            log.warning(
                "the port mapper at %s went away; %s stays up, and registers again every %g s until it is back",
                _at(self._host, self._epmd_port),
                self.name,
                self._retry,
            )
            await self._register_again()
            log.info("%s is registered again at %s", self.name, _at(self._host, self._epmd_port))

    async def _until_lost(self) -> None:
        assert self._connection is not None
        reader = self._connection[0]
        try:
            # A port mapper says nothing on this socket; whatever comes is thrown away until it closes.
            while await reader.read(1024):
                pass
        except OSError:
            pass
        self._hang_up()

    async def _register_again(self) -> None:
        complained = False
        while True:
            await asyncio.sleep(self._retry)
            try:
                # The new creation is ignored, as Erlang does: this is still the same incarnation.
                _, self._connection = await _announce(self._request, self._host, self._epmd_port)
                return
            except EpmdUnreachable:
                continue
            except EpmdError as error:
                if not complained:
                    log.warning("cannot register again: %s", error)
                complained = True


async def _announce(request: AliveRequest, host: str, port: int) -> tuple[AliveReply, Connection]:
    async with _connection(host, port) as (reader, writer):
        writer.write(encode_request(request))
        data = b""
        try:
            while (reply := decode_alive_reply(data)) is None:
                more = await reader.read(16)
                if not more:
                    raise RemoteProtocolError("it closed the connection without an answer")
                data += more
        except RemoteProtocolError as error:
            raise _not_epmd(host, port, str(error)) from None
        if reply.accepted:
            return reply, (reader, writer)
        # Hanging up is left to the context manager: the look-up below is only for the message.
        raise await _taken(request.name, host, port)


async def _taken(name: str, host: str, port: int) -> NodeNameTaken:
    try:
        holder = await port_please(name, host, epmd_port=port)
    except EpmdError:
        holder = None
    refused = f"(the port mapper at {_at(host, port)} refused it)"
    who = f"by a node that listens on port {holder.port}" if holder else refused
    return NodeNameTaken(
        f"the node name {name!r} is taken on this machine {who};"
        " choose another name, or stop that node (`beamish names` lists what is registered)"
    )


async def _ask(request: Request, host: str, port: int, limit: int) -> bytes:
    async with _connection(host, port) as (reader, writer):
        writer.write(encode_request(request))
        data = b""
        while more := await reader.read(65536):
            data += more
            if len(data) > limit:
                raise _not_epmd(host, port, f"it answered with more than {limit} bytes")
        writer.close()
        return data


@asynccontextmanager
async def _connection(host: str, port: int) -> AsyncIterator[Connection]:
    """A connection for one question; every failure comes out as an EpmdError, and closes it."""
    writer = None
    try:
        async with asyncio.timeout(TIMEOUT):
            reader, writer = await asyncio.open_connection(host, port)
            yield reader, writer
    except BaseException as error:
        if writer is not None:
            writer.close()
        if isinstance(error, TimeoutError):
            if writer is None:
                raise EpmdUnreachable(
                    f"no port mapper answers at {_at(host, port)} within {TIMEOUT:g} s: the machine is off, its name"
                    " resolves to a wrong address, or a firewall drops the packets"
                ) from None
            raise _not_epmd(host, port, f"it accepts connections and stays silent for {TIMEOUT:g} s") from None
        if isinstance(error, OSError) and not isinstance(error, EpmdError):
            if writer is None:
                raise EpmdUnreachable(_refused(host, port, error)) from error
            raise _not_epmd(host, port, f"it broke the connection ({error.strerror or error})") from error
        raise


def _refused(host: str, port: int, error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError) or error.errno is None:
        return (
            f"no port mapper listens at {_at(host, port)}: no node runs there, or it uses another ERL_EPMD_PORT;"
            " `beamish epmd` starts one"
        )
    return (
        f"the port mapper at {_at(host, port)} cannot be reached ({error.strerror or error});"
        " check the host name, the network and ERL_EPMD_PORT"
    )


def _not_epmd(host: str, port: int, what: str) -> NotEpmd:
    return NotEpmd(
        f"what listens at {_at(host, port)} is not a port mapper: {what}; free the port (`ss -ltnp 'sport = :{port}'`"
        " tells who has it), or set ERL_EPMD_PORT to another one on all nodes"
    )


def _at(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
