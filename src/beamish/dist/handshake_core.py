"""What both roles of the distribution handshake share: states, events, cutting packets, ending badly.

Use ``beamish.dist.handshake``; its module text explains the whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from beamish.dist.flags import missing_mandatory
from beamish.dist.handshake_packets import PACKET_MAX, BadPacket, Failure, HandshakeFailed, foreign_protocol
from beamish.errors import LocalProtocolError
from beamish.node.names import InvalidNodeName, check_same_kind
from beamish.term import Atom


class State(Enum):
    """Where a handshake stands; see the module's diagram."""

    NAME = auto()
    STATUS = auto()
    DECIDE = auto()
    ALIVE = auto()
    CHALLENGE = auto()
    REPLY = auto()
    CONFIRM = auto()
    ACK = auto()
    DONE = auto()
    OVER = auto()


class Established(NamedTuple):
    """The handshake is complete; frames follow.

    flags: what both announced (framing and operations follow from it); peer_flags: what the peer announced;
    creation: the peer's incarnation; visible: the peer wants to be listed; local, local_creation: our own name and
    creation, both chosen by the peer if we asked for a dynamic name.
    """

    peer: Atom
    creation: int
    flags: int
    peer_flags: int
    visible: bool
    local: Atom
    local_creation: int


class StatusOk(NamedTuple):
    """The acceptor goes on with us; simultaneous: it gave up an attempt of its own for ours."""

    simultaneous: bool


@dataclass(frozen=True, slots=True)
class StatusNok:
    """The acceptor has an attempt of its own under way: close this socket and wait for that one."""


@dataclass(frozen=True, slots=True)
class StatusAlive:
    """The acceptor believes to be connected to us already. Answer with ``answer_alive``."""


class StatusNamed(NamedTuple):
    """The acceptor gave us this name and creation."""

    name: Atom
    creation: int


class NameReceived(NamedTuple):
    """A peer introduced itself; answer with ``accept``, ``nok``, ``ask_alive``, ``refuse`` or ``assign_name``.

    peer: its name, or None if it wants us to choose one for its host (``assign_name``).
    """

    peer: Atom | None
    host: str
    flags: int
    creation: int


class AliveAnswered(NamedTuple):
    """The initiator's answer to ``alive``: whether it still wants this attempt. If not, close."""

    wanted: bool


@dataclass(frozen=True, slots=True)
class Authenticated:
    """The peer knows the cookie. Take down any older connection to it, then call ``acknowledge``."""


Event = StatusOk | StatusNok | StatusAlive | StatusNamed | NameReceived | AliveAnswered | Authenticated | Established


class Handshake:
    """What both roles share: cutting packets, the outbox, ending badly."""

    def __init__(
        self, local: Atom, flags: int, creation: int, challenge: int, length_size: int, state: State, peer: str
    ) -> None:
        if length_size not in (2, 4):
            raise LocalProtocolError(f"handshake packets have a length of 2 (TCP) or 4 (TLS) bytes, not {length_size}")
        self.state = state
        self._local = local
        self._flags = flags
        self._creation = creation
        self._challenge = challenge
        self._length_size = length_size
        self._in = bytearray()
        self._out = bytearray()
        self._peer_text = peer
        self._failed: HandshakeFailed | None = None

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the socket. Call ``next_event`` until it gives None before the next ones."""
        self._in += data

    def next_event(self) -> Event | None:
        """What happened, or None if more bytes (or the owner's decision) are needed.

        Raises  HandshakeFailed, and again at every later call: close the socket after writing ``data_to_send``.
        """
        if self._failed is not None:
            raise self._failed
        while self.state not in (State.DECIDE, State.CONFIRM, State.DONE, State.OVER):
            body = self._packet()
            if body is None:
                return None
            try:
                event = self._step(body)
            except BadPacket as error:
                raise self._fail(Failure.PACKET, str(error)) from None
            if event is not None:
                return event
        # Nothing may arrive while it is our turn, until the connection stands (or the socket is to be closed anyway).
        if self.state in (State.DECIDE, State.CONFIRM) and len(self._in) > PACKET_MAX:
            raise self._fail(Failure.PACKET, f"sent {len(self._in)} bytes out of turn")
        if self.state is State.OVER:
            self._in.clear()
        return None

    def receive_eof(self) -> None:
        """The peer closed its side. Does nothing once the handshake is complete.

        Raises  HandshakeFailed with the likely cause.
        """
        if self._failed is not None:
            raise self._failed
        if self.state not in (State.DONE, State.OVER):
            raise self._eof_failure()

    def data_to_send(self) -> bytes:
        """Bytes to write now; each is given once."""
        data = bytes(self._out)
        self._out.clear()
        return data

    def trailing_data(self) -> bytes:
        """What arrived behind the handshake: the start of the first frames. Each byte is given once."""
        if self.state is not State.DONE:
            raise LocalProtocolError("trailing_data() has a meaning only once the handshake is complete")
        data = bytes(self._in)
        self._in.clear()
        return data

    def _step(self, body: bytes) -> Event | None:
        raise NotImplementedError

    def _eof_failure(self) -> HandshakeFailed:
        raise NotImplementedError

    def _packet(self) -> bytes | None:
        head = self._length_size
        if len(self._in) < head:
            return None
        size = int.from_bytes(self._in[:head], "big")
        if not 0 < size <= PACKET_MAX:
            if len(self._in) < 4 and size > PACKET_MAX:
                return None  # two more bytes tell what it is
            guess = foreign_protocol(bytes(self._in[:4])) or "is another program using this port?"
            raise self._fail(
                Failure.PACKET, f"sent a handshake packet of {size} bytes, allowed are 1 to {PACKET_MAX}; {guess}"
            )
        if len(self._in) < head + size:
            return None
        body = bytes(self._in[head : head + size])
        del self._in[: head + size]
        return body

    def _send(self, body: bytes) -> None:
        self._out += len(body).to_bytes(self._length_size, "big") + body

    def _fail(self, failure: Failure, message: str) -> HandshakeFailed:
        self.state = State.OVER
        self._in.clear()
        self._failed = HandshakeFailed(failure, self._peer_text, message)
        return self._failed

    def _expect(self, *states: State) -> None:
        if self.state not in states:
            raise LocalProtocolError(f"that answer does not fit a handshake in state {self.state.name}")

    def _require_flags(self, theirs: int, releases: str) -> HandshakeFailed | None:
        missing = missing_mandatory(theirs)
        if not missing:
            return None
        names = ", ".join(flag.name or hex(flag) for flag in missing)
        return self._fail(
            Failure.FLAGS, f"it cannot handle {names}, which {releases}; update that node to OTP 25 or later"
        )

    def _check_kind(self, peer: Atom) -> HandshakeFailed | None:
        try:
            check_same_kind(self._local, peer)
        except InvalidNodeName as error:
            return self._fail(Failure.KIND, str(error))
        return None

    def _cookie_failed(self, rule: str) -> HandshakeFailed:
        peer = self._peer_text.partition(" (")[0]
        return self._fail(
            Failure.COOKIE,
            f"wrong cookie ({rule}): {self._local.text} and {peer} must have the same one;"
            " start both with the same --cookie (Erlang: -setcookie), or give both the same ~/.erlang.cookie",
        )
