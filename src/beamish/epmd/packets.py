"""The port mapper's protocol: requests, replies and limits. Bytes and values only.

A request is ``length:16, body``; a reply has no length in front. Integers are big-endian.

    ALIVE2_REQ       120, port:16, type:8, proto:8, high:16, low:16, nlen:16, name, elen:16, extra
    ALIVE2_X_RESP    118, result:8, creation:32            if both sides know version 6
    ALIVE2_RESP      121, result:8, creation:16            else
    PORT_PLEASE2_REQ 122, name
    PORT2_RESP       119, result:8 and, if that is 0,
                     port:16, type:8, proto:8, high:16, low:16, nlen:16, name, elen:16, extra
    NAMES_REQ        110                                   epmd's port:32, then lines ``name NAME at port PORT``
    DUMP_REQ         100                                   the same with file descriptors
    KILL_REQ         107                                   ``OK``, or ``NO`` while names are registered

Source  ERTS, Distribution Protocol, "EPMD Protocol" (OTP 25); all but the 16-bit creation seen from OTP 25's own epmd.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Final, NamedTuple

from beamish.errors import LocalProtocolError, RemoteProtocolError

DEFAULT_PORT: Final = 4369
"""Where epmd listens unless ERL_EPMD_PORT says otherwise."""

VERSION: Final = 6
"""The distribution version (handshake and creation sizes) that beamish speaks, and the only one."""

NAME_MAX: Final = 255
"""Characters in a name before the @."""

NAME_BYTES_MAX: Final = 4 * NAME_MAX
EXTRA_MAX: Final = 1024
REQUEST_MAX: Final = 13 + NAME_BYTES_MAX + EXTRA_MAX
"""Bytes in a request body that epmd accepts."""

REPLY_MAX: Final = 14 + NAME_BYTES_MAX + 0xFFFF
"""Bytes in a PORT2_RESP."""

NAMES_MAX: Final = 1 << 20
"""Bytes in the text of a NAMES reply that a client reads."""

ALIVE2_REQ: Final = 120
ALIVE2_X_RESP: Final = 118
ALIVE2_RESP: Final = 121
PORT_PLEASE2_REQ: Final = 122
PORT2_RESP: Final = 119
NAMES_REQ: Final = 110
DUMP_REQ: Final = 100
KILL_REQ: Final = 107

VISIBLE_TYPE: Final = 77
HIDDEN_TYPE: Final = 72

_ALIVE: Final = struct.Struct(">BHBBHHH")
_PORT: Final = struct.Struct(">HBBHHH")
_LINE: Final = re.compile(r"name (\S+) at port (\d{1,5})")
_REGISTRABLE: Final = re.compile(r"[^\x00-\x20\x7f@]+")


class AliveRequest(NamedTuple):
    """A node registers itself. high, low: the versions it speaks."""

    name: str
    port: int
    hidden: bool = False
    high: int = VERSION
    low: int = VERSION
    extra: bytes = b""
    protocol: int = 0


class PortRequest(NamedTuple):
    """Somebody asks for the port of a name."""

    name: str


@dataclass(frozen=True, slots=True)
class NamesRequest:
    """Somebody asks for all names."""


@dataclass(frozen=True, slots=True)
class DumpRequest:
    """Somebody asks for the state of epmd."""


@dataclass(frozen=True, slots=True)
class KillRequest:
    """Somebody asks epmd to end."""


Request = AliveRequest | PortRequest | NamesRequest | DumpRequest | KillRequest


class AliveReply(NamedTuple):
    """Whether the name was free, and the creation to use if so."""

    accepted: bool
    creation: int


class PortInfo(NamedTuple):
    """Where a node listens and what it speaks."""

    name: str
    port: int
    hidden: bool
    high: int
    low: int
    extra: bytes = b""
    protocol: int = 0

    @property
    def compatible(self) -> bool:
        """Whether we speak a version that the node speaks."""
        return self.low <= VERSION <= self.high


def registrable(name: str) -> bool:
    """Whether a text may be registered: it could not be mistaken for something else in a list of names."""
    return len(name) <= NAME_MAX and _REGISTRABLE.fullmatch(name) is not None


# ---- requests


def encode_request(request: Request) -> bytes:
    """A request with its length in front.

    Raises  LocalProtocolError for a name or port that epmd could not hold
    """
    match request:
        case AliveRequest():
            body = _encode_alive(request)
        case PortRequest(name):
            body = bytes([PORT_PLEASE2_REQ]) + _name_bytes(name)
        case NamesRequest():
            body = bytes([NAMES_REQ])
        case DumpRequest():
            body = bytes([DUMP_REQ])
        case KillRequest():
            body = bytes([KILL_REQ])
    return len(body).to_bytes(2, "big") + body


def decode_request(body: bytes) -> Request:
    """Read a request, its length already taken off.

    Raises  RemoteProtocolError
    """
    if not 0 < len(body) <= REQUEST_MAX:
        raise RemoteProtocolError(f"an epmd request has 1 to {REQUEST_MAX} bytes, not {len(body)}")
    match body[0]:
        case 120:
            return _decode_alive(body)
        case 122:
            return PortRequest(_text(body[1:]))
        case 110:
            return NamesRequest()
        case 100:
            return DumpRequest()
        case 107:
            return KillRequest()
    raise RemoteProtocolError(f"{body[0]} is not an epmd request")


# ---- replies


def encode_alive_reply(accepted: bool, creation: int, *, high: int) -> bytes:
    """The answer to a registration by a node that speaks up to version ``high``."""
    if high >= VERSION:
        return struct.pack(">BBI", ALIVE2_X_RESP, 0 if accepted else 1, creation)
    return struct.pack(">BBH", ALIVE2_RESP, 0 if accepted else 1, creation % 3 + 1)


def decode_alive_reply(data: bytes) -> AliveReply | None:
    """Read the answer to a registration, or None if more bytes are needed.

    Raises  RemoteProtocolError for what no epmd sends
    """
    if not data:
        return None
    if data[0] not in (ALIVE2_X_RESP, ALIVE2_RESP):
        raise RemoteProtocolError(f"{data[:8]!r} is not the answer of an epmd")
    size = 6 if data[0] == ALIVE2_X_RESP else 4
    if len(data) < size:
        return None
    return AliveReply(data[1] == 0, int.from_bytes(data[2:size], "big"))


def encode_port_reply(info: PortInfo | None) -> bytes:
    """The answer to a look-up; None for an unknown name."""
    if info is None:
        return bytes([PORT2_RESP, 1])
    name = info.name.encode("utf-8")
    kind = HIDDEN_TYPE if info.hidden else VISIBLE_TYPE
    head = _PORT.pack(info.port, kind, info.protocol, info.high, info.low, len(name))
    return bytes([PORT2_RESP, 0]) + head + name + len(info.extra).to_bytes(2, "big") + info.extra


def decode_port_reply(data: bytes) -> PortInfo | None:
    """Read the whole answer to a look-up (epmd closes after it); None if the name is unknown.

    Raises  RemoteProtocolError
    """
    if len(data) < 2 or data[0] != PORT2_RESP:
        raise RemoteProtocolError(f"{data[:8]!r} is not the answer of an epmd")
    if data[1] != 0:
        return None
    if len(data) < 2 + _PORT.size:
        raise RemoteProtocolError(f"epmd's answer ends after {len(data)} bytes")
    port, kind, protocol, high, low, size = _PORT.unpack_from(data, 2)
    start = 2 + _PORT.size
    name = _text(_slice(data, start, size))
    end = start + size
    # Old port mappers leave out the empty extra field.
    extra = _slice(data, end + 2, int.from_bytes(data[end : end + 2], "big")) if len(data) >= end + 2 else b""
    return PortInfo(name, port, kind == HIDDEN_TYPE, high, low, extra, protocol)


def encode_names_reply(epmd_port: int, nodes: list[tuple[str, int]]) -> bytes:
    """The list of registered names with their ports."""
    text = "".join(f"name {name} at port {port}\n" for name, port in nodes)
    return epmd_port.to_bytes(4, "big") + text.encode("utf-8")


def decode_names_reply(data: bytes) -> list[tuple[str, int]]:
    """Read the whole list of names (epmd closes after it).

    Raises  RemoteProtocolError
    """
    if len(data) < 4:
        raise RemoteProtocolError(f"epmd's answer ends after {len(data)} bytes")
    nodes = []
    for line in _text(data[4:], limit=NAMES_MAX).splitlines():
        found = _LINE.fullmatch(line)
        if found is None:
            raise RemoteProtocolError(f"{line[:80]!r} is not a line of epmd's list of names")
        nodes.append((found[1], int(found[2])))
    return nodes


# ---- pieces


def _encode_alive(request: AliveRequest) -> bytes:
    if not 0 < request.port <= 0xFFFF:
        raise LocalProtocolError(f"{request.port} is not a TCP port")
    if not registrable(request.name):
        raise LocalProtocolError(f"{request.name[:80]!r} cannot be registered in epmd")
    if len(request.extra) > EXTRA_MAX:
        raise LocalProtocolError(f"the extra field has {len(request.extra)} bytes; at most {EXTRA_MAX} are allowed")
    name = request.name.encode("utf-8")
    kind = HIDDEN_TYPE if request.hidden else VISIBLE_TYPE
    head = _ALIVE.pack(ALIVE2_REQ, request.port, kind, request.protocol, request.high, request.low, len(name))
    return head + name + len(request.extra).to_bytes(2, "big") + request.extra


def _decode_alive(body: bytes) -> AliveRequest:
    if len(body) < _ALIVE.size:
        raise RemoteProtocolError(f"the registration ends after {len(body)} bytes")
    _, port, kind, protocol, high, low, size = _ALIVE.unpack_from(body)
    end = _ALIVE.size + size
    name = _text(_slice(body, _ALIVE.size, size))
    extra_size = int.from_bytes(_slice(body, end, 2), "big")
    return AliveRequest(name, port, kind == HIDDEN_TYPE, high, low, _slice(body, end + 2, extra_size), protocol)


def _slice(data: bytes, start: int, size: int) -> bytes:
    piece = data[start : start + size]
    if len(piece) != size:
        raise RemoteProtocolError(f"a field of {size} bytes at byte {start} ends after {len(piece)}")
    return piece


def _name_bytes(name: str) -> bytes:
    data = name.encode("utf-8")
    if not 0 < len(data) <= NAME_BYTES_MAX:
        raise LocalProtocolError(f"{name[:80]!r} cannot be a name in epmd")
    return data


def _text(data: bytes, limit: int = NAME_BYTES_MAX) -> str:
    if len(data) > limit:
        raise RemoteProtocolError(f"{len(data)} bytes of text; at most {limit} are allowed")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        # Nodes with names beyond ASCII register them in Latin-1 on some releases.
        return data.decode("latin-1")
