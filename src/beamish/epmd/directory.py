"""What a port mapper knows: the registered names, and how each request is answered. Values only.

The server around it owns the sockets: it hands in each decoded request, writes the answer, and calls ``unregister``
when the socket of a registration closes.

Source  ERTS, epmd and "EPMD Protocol" (OTP 25); behaviour compared with OTP 25's own epmd by tests/epmd.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from beamish.epmd.packets import (
    VERSION,
    AliveRequest,
    DumpRequest,
    KillRequest,
    NamesRequest,
    PortInfo,
    PortRequest,
    Request,
    encode_alive_reply,
    encode_names_reply,
    encode_port_reply,
    registrable,
)

REGISTRATIONS_MAX: Final = 4096
"""Names that may be registered at a time."""

CREATION_MAX: Final = 0xFFFFFFFF
FIRST_CREATION: Final = 4
"""Creations 0 to 3 belong to nodes that know two bits of it only."""


class Outcome(NamedTuple):
    """What to do about a request: write ``reply``; close unless the socket now holds the name ``registered``.

    stop: the port mapper was asked to end and may.
    """

    reply: bytes
    registered: str | None = None
    stop: bool = False


class Directory:
    """The registered names of one port mapper."""

    def __init__(
        self, port: int, creation: int, *, relaxed: bool = False, registrations_max: int = REGISTRATIONS_MAX
    ) -> None:
        """port: where this port mapper listens, told in lists of names.

        creation: the first to hand out, greater than any that an earlier port mapper of this machine handed out: the
        time in seconds. relaxed: may be asked to end while names are registered, and to show its state.
        """
        self.port = port
        self._next_creation = max(creation & CREATION_MAX, FIRST_CREATION)
        self._relaxed = relaxed
        self._registrations_max = registrations_max
        self._nodes: dict[str, PortInfo] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def answer(self, request: Request, *, local: bool) -> Outcome:
        """The answer to a request; local: it comes from this machine."""
        match request:
            case AliveRequest():
                return self._register(request, local)
            case PortRequest(name):
                return Outcome(encode_port_reply(self._nodes.get(name)))
            case NamesRequest():
                nodes = [(info.name, info.port) for info in self._nodes.values()]
                return Outcome(encode_names_reply(self.port, nodes))
            case DumpRequest():
                return Outcome(self._dump() if local and self._relaxed else b"")
            case KillRequest():
                if local and (self._relaxed or not self._nodes):
                    return Outcome(b"OK", stop=True)
                return Outcome(b"NO" if local else b"")

    def unregister(self, name: str) -> None:
        """The socket that held this name is closed."""
        self._nodes.pop(name, None)

    def _register(self, request: AliveRequest, local: bool) -> Outcome:
        if not local:
            return Outcome(b"")
        # A name with a line end in it would forge entries of the list of names.
        free = request.name not in self._nodes and len(self._nodes) < self._registrations_max
        if not free or not registrable(request.name) or not request.port or request.high < request.low:
            return Outcome(encode_alive_reply(False, 0, high=request.high))
        creation = self._creation()
        self._nodes[request.name] = PortInfo(
            request.name, request.port, request.hidden, request.high, request.low, request.extra, request.protocol
        )
        return Outcome(encode_alive_reply(True, creation, high=request.high), registered=request.name)

    def _creation(self) -> int:
        creation = self._next_creation
        self._next_creation = creation + 1 if creation < CREATION_MAX else FIRST_CREATION
        return creation

    def _dump(self) -> bytes:
        lines = "".join(
            f"active name     <{info.name}> at port {info.port}, versions {info.low} to {min(info.high, VERSION)}\n"
            for info in self._nodes.values()
        )
        return self.port.to_bytes(4, "big") + lines.encode("utf-8")
