"""The packets of distribution handshake version 6: layouts, digests and limits. No state, see ``handshake``.

Each packet is ``length, body``; the length takes two bytes on TCP and four inside TLS. All integers are big-endian.

    N  send_name       'N', flags:64, creation:32, nlen:16, name
    s  send_status     's', text                  ok ok_simultaneous nok not_allowed alive named:… true false
    N  send_challenge  'N', flags:64, challenge:32, creation:32, nlen:16, name
    r  challenge_reply 'r', challenge:32, digest:16 bytes
    a  challenge_ack   'a', digest:16 bytes

Source  ERTS, Distribution Protocol, "Distribution Handshake" (OTP 25); checked against OTP 25 in both roles.
"""

from __future__ import annotations

import hashlib
import struct
from enum import Enum
from typing import Final, NamedTuple

from beamish.errors import LocalProtocolError, RemoteProtocolError
from beamish.node.names import NAME_MAX, InvalidNodeName, shown, split
from beamish.term import Atom

PACKET_MAX: Final = 2048
"""Bytes in a handshake packet: the longest name in UTF-8 (1,020) and room for fields of later versions."""

DIGEST_SIZE: Final = 16

_NAME: Final = struct.Struct(">BQIH")
_CHALLENGE: Final = struct.Struct(">BQIIH")
_REPLY: Final = struct.Struct(">BI16s")
_ACK: Final = struct.Struct(">B16s")


class Failure(Enum):
    """Why a handshake ended without a connection."""

    COOKIE = "the cookies differ"
    FLAGS = "a mandatory capability is missing"
    REFUSED = "the peer refused us"
    NAME = "the peer's name is unusable"
    KIND = "short and long node names are mixed"
    PACKET = "not the distribution handshake"
    CLOSED = "the peer closed the connection"
    STALE = "the attempt was given up"


class HandshakeFailed(RemoteProtocolError):
    """A handshake that ended without a connection. The message names the peer, the rule and what to do."""

    def __init__(self, failure: Failure, peer: str, message: str) -> None:
        super().__init__(f"{peer}: {message}")
        self.failure = failure
        self.peer = peer


class BadPacket(RemoteProtocolError):
    """A packet whose layout is wrong. ``handshake`` turns it into a HandshakeFailed that names the peer."""


class SendName(NamedTuple):
    """Step 1. name: a full node name, or only a host if the flags ask for a dynamic name."""

    flags: int
    creation: int
    name: str


class SendChallenge(NamedTuple):
    """Step 4."""

    flags: int
    challenge: int
    creation: int
    name: str


class NewName(NamedTuple):
    """What a ``named:`` status carries: the name and creation that the acceptor chose for us."""

    name: str
    creation: int


def digest(cookie: str, challenge: int) -> bytes:
    """The proof that somebody knows the cookie: MD5 of the cookie followed by the challenge in decimal.

    Raises  LocalProtocolError for a cookie beyond Latin-1, with which Erlang could not connect either.
    """
    try:
        secret = cookie.encode("latin-1")
    except UnicodeEncodeError:
        raise LocalProtocolError("a cookie may only have Latin-1 characters; choose another with --cookie") from None
    return hashlib.md5(secret + str(challenge).encode("ascii"), usedforsecurity=False).digest()


def encode_name(flags: int, creation: int, name: str) -> bytes:
    """Body of step 1."""
    text = name.encode("utf-8")
    return _NAME.pack(ord("N"), flags, creation, len(text)) + text


def encode_status(status: str) -> bytes:
    """Body of a status without fields, and of the answer to ``alive``."""
    return b"s" + status.encode("ascii")


def encode_named(name: str, creation: int) -> bytes:
    """Body of the status that gives a nameless peer its name."""
    text = name.encode("utf-8")
    return b"snamed:" + struct.pack(">H", len(text)) + text + struct.pack(">I", creation)


def encode_challenge(flags: int, challenge: int, creation: int, name: str) -> bytes:
    """Body of step 4."""
    text = name.encode("utf-8")
    return _CHALLENGE.pack(ord("N"), flags, challenge, creation, len(text)) + text


def encode_reply(challenge: int, proof: bytes) -> bytes:
    """Body of step 5."""
    return _REPLY.pack(ord("r"), challenge, proof)


def encode_ack(proof: bytes) -> bytes:
    """Body of step 6."""
    return _ACK.pack(ord("a"), proof)


def decode_name(body: bytes) -> SendName:
    """Read step 1. Bytes after the name belong to later versions and are ignored.

    Raises  BadPacket
    """
    if body[:1] == b"n":
        raise BadPacket("speaks the handshake of OTP 22 and before; beamish needs peers of OTP 25 or later")
    if body[:1] != b"N" or len(body) < _NAME.size:
        raise BadPacket(f"expected its name (N), got {_hint(body)}")
    _, flags, creation, size = _NAME.unpack_from(body)
    return SendName(flags, creation, _text(body, _NAME.size, size))


def decode_status(body: bytes) -> str | NewName:
    """Read a status: its text, or the new name that ``named:`` carries.

    Raises  BadPacket
    """
    if body[:1] != b"s":
        raise BadPacket(f"expected a status (s), got {_hint(body)}")
    if not body.startswith(b"snamed:"):
        try:
            return body[1:].decode("ascii")
        except UnicodeDecodeError:
            raise BadPacket(f"sent an unreadable status, {_hint(body)}") from None
    if len(body) < 9:
        raise BadPacket("its named: status is cut short")
    size = int.from_bytes(body[7:9], "big")
    name = _text(body, 9, size)
    end = 9 + size
    if len(body) < end + 4:
        raise BadPacket("its named: status is cut short")
    return NewName(name, int.from_bytes(body[end : end + 4], "big"))


def decode_challenge(body: bytes) -> SendChallenge:
    """Read step 4. Bytes after the name are ignored.

    Raises  BadPacket
    """
    if body[:1] == b"n":
        raise BadPacket("speaks the handshake of OTP 22 and before; beamish needs peers of OTP 25 or later")
    if body[:1] != b"N" or len(body) < _CHALLENGE.size:
        raise BadPacket(f"expected a challenge (N), got {_hint(body)}")
    _, flags, challenge, creation, size = _CHALLENGE.unpack_from(body)
    return SendChallenge(flags, challenge, creation, _text(body, _CHALLENGE.size, size))


def decode_reply(body: bytes) -> tuple[int, bytes]:
    """Read step 5: the peer's challenge and its proof for ours.

    Raises  BadPacket
    """
    if body[:1] != b"r" or len(body) != _REPLY.size:
        raise BadPacket(f"expected a challenge reply (r), got {_hint(body)}")
    _, challenge, proof = _REPLY.unpack(body)
    return challenge, proof


def decode_ack(body: bytes) -> bytes:
    """Read step 6: the peer's proof for our challenge.

    Raises  BadPacket
    """
    if body[:1] != b"a" or len(body) != _ACK.size:
        raise BadPacket(f"expected a challenge acknowledgement (a), got {_hint(body)}")
    return body[1:]


def readable_name(text: str) -> Atom:
    """The full node name in a packet.

    Raises  BadPacket
    """
    try:
        return split(text).full
    except InvalidNodeName as error:
        raise BadPacket(str(error)) from None


def foreign_protocol(first: bytes) -> str | None:
    """What a peer seems to speak whose first bytes cannot start a handshake; None if we cannot tell."""
    if first[:2] in (b"\x16\x03", b"\x15\x03"):
        return "it speaks TLS and this port does not; give both nodes TLS, or neither"
    if first[:4] in (b"GET ", b"POST", b"HEAD", b"PUT ", b"HTTP", b"OPTI"):
        return "it speaks HTTP; this is the port of an Erlang distribution, not of a web server"
    if first[:4] == b"SSH-":
        return "it speaks SSH; this is the port of an Erlang distribution"
    return None


def _text(body: bytes, start: int, size: int) -> str:
    if len(body) < start + size:
        raise BadPacket(f"its name claims {size} bytes and has {len(body) - start}")
    try:
        text = body[start : start + size].decode("utf-8")
    except UnicodeDecodeError:
        raise BadPacket("its name is not UTF-8") from None
    if not 0 < len(text) <= NAME_MAX:
        raise BadPacket(f"its name has {len(text)} characters; 1 to {NAME_MAX} are allowed: {shown(text)}")
    return text


def _hint(body: bytes) -> str:
    return f"{len(body)} bytes starting with {body[:8]!r}"
