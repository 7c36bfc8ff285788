"""The distribution handshake, version 6, in both roles, without a socket.

    shake = Initiator(local=…, peer=…, …)                shake = Acceptor(local=…, …)
    write(shake.data_to_send())                          shake.receive_data(read())
    shake.receive_data(read())                           while event := shake.next_event(): …
    while event := shake.next_event(): …                 write(shake.data_to_send())

Feed whatever arrives, in any pieces, and ask for events until there are none (an answer by method can free further
ones); write what ``data_to_send`` gives after every call, also after an exception: it may hold the refusal. What must
be *decided* (may this peer connect now?) is an event that the owner answers with a method; what follows from the
protocol alone is answered here. Bytes behind the handshake are the first frames of the connection: ``trailing_data``.

States
    Initiator   STATUS ─ok, ok_simultaneous, named─▶ CHALLENGE ─▶ ACK ─▶ DONE
                STATUS ─alive─▶ DECIDE ─true─▶ CHALLENGE        STATUS ─nok─▶ OVER
    Acceptor    NAME ─▶ DECIDE ─ok, ok_simultaneous, named─▶ REPLY ─▶ CONFIRM ─acknowledge─▶ DONE
                DECIDE ─alive─▶ ALIVE ─true─▶ REPLY             DECIDE ─nok, refuse─▶ OVER

Before a peer has proved that it knows the cookie it can make us hold one packet (PACKET_MAX) and what a single read
of the socket brought. Time limits belong to the owner (Erlang: 7 s for the whole set-up).

Source  ERTS, Distribution Protocol, "Distribution Handshake" (OTP 25); kernel, dist_util.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable

from beamish.dist.flags import Flag, expand, is_published, negotiate
from beamish.dist.handshake_core import (
    AliveAnswered,
    Authenticated,
    Established,
    Event,
    Handshake,
    NameReceived,
    State,
    StatusAlive,
    StatusNamed,
    StatusNok,
    StatusOk,
)
from beamish.dist.handshake_packets import (
    BadPacket,
    Failure,
    HandshakeFailed,
    NewName,
    decode_ack,
    decode_challenge,
    decode_name,
    decode_reply,
    decode_status,
    digest,
    encode_ack,
    encode_challenge,
    encode_name,
    encode_named,
    encode_reply,
    encode_status,
    readable_name,
)
from beamish.errors import LocalProtocolError
from beamish.node.names import shown, split
from beamish.term import Atom

__all__ = [
    "Acceptor",
    "AliveAnswered",
    "Authenticated",
    "Established",
    "Event",
    "Failure",
    "HandshakeFailed",
    "Initiator",
    "NameReceived",
    "StatusAlive",
    "StatusNamed",
    "StatusNok",
    "StatusOk",
]


class Initiator(Handshake):
    """The side that opened the connection."""

    def __init__(
        self,
        *,
        local: Atom,
        peer: Atom,
        flags: int,
        creation: int,
        cookie: str,
        challenge: int,
        length_size: int = 2,
        dynamic: bool = False,
    ) -> None:
        """Start a handshake; the first packet is in ``data_to_send`` at once.

        cookie: ours for this peer; challenge: 32 random bits; length_size: 2 on TCP, 4 on TLS; dynamic: ask the peer to
        choose our name (only the host part of ``local`` counts then).
        Raises  LocalProtocolError
        """
        super().__init__(local, flags, creation, challenge, length_size, State.STATUS, peer.text)
        self._peer = peer
        self._cookie = cookie
        self._dynamic = dynamic
        self._proof = digest(cookie, challenge)
        self._established: Established | None = None
        if dynamic:
            self._flags |= int(Flag.NAME_ME)
        name = split(local).host if dynamic else local.text
        self._send(encode_name(self._flags, creation, name))

    def answer_alive(self, wanted: bool) -> None:
        """Answer ``StatusAlive``: whether this attempt is still the current one for that peer.

        A stale attempt that answers True makes the peer kill its healthy connection to us.
        """
        self._expect(State.DECIDE)
        self._send(encode_status("true" if wanted else "false"))
        if wanted:
            self.state = State.CHALLENGE
        else:
            self._fail(Failure.STALE, "it is connected to us already and this attempt was given up; nothing to do")

    def _step(self, body: bytes) -> Event | None:
        if self.state is State.STATUS:
            return self._on_status(decode_status(body))
        if self.state is State.CHALLENGE:
            self._on_challenge(body)
            return None
        return self._on_ack(decode_ack(body))

    def _on_status(self, status: str | NewName) -> Event:
        if isinstance(status, NewName):
            if not self._dynamic:
                raise BadPacket("gave us a name that we did not ask for")
            self._local = readable_name(status.name)
            self._creation = status.creation
            self.state = State.CHALLENGE
            return StatusNamed(self._local, status.creation)
        if self._dynamic and status != "not_allowed":
            raise BadPacket(f"was asked for a name and answered {shown(status)}")
        match status:
            case "ok" | "ok_simultaneous":
                self.state = State.CHALLENGE
                return StatusOk(status == "ok_simultaneous")
            case "alive":
                self.state = State.DECIDE
                return StatusAlive()
            case "nok":
                self.state = State.OVER
                return StatusNok()
            case "not_allowed":
                raise self._fail(
                    Failure.REFUSED,
                    "it does not allow this node (not_allowed); see its log for the reason, and look for"
                    " net_kernel:allow there or for a missing capability here",
                )
        raise BadPacket(f"sent the unknown status {shown(status)}")

    def _on_challenge(self, body: bytes) -> None:
        got = decode_challenge(body)
        name = readable_name(got.name)
        if name is not self._peer:
            alive = split(self._peer).alive
            if split(name).alive == alive:
                raise self._fail(
                    Failure.NAME,
                    f"the node {alive} there calls itself {shown(name.text)}, and names must agree to the letter:"
                    f" connect to {shown(name.text)}, or start that node as {shown(self._peer.text)}",
                )
            raise self._fail(
                Failure.NAME,
                f"the node that answered there is {shown(name.text)}; its entry in epmd is out of date or its host"
                " resolves to another machine, so check `epmd -names` and the address of the host",
            )
        if failed := self._require_flags(got.flags, "every node of OTP 25 and later can"):
            raise failed
        if self._dynamic and not got.flags & Flag.NAME_ME:
            raise BadPacket("gave us a name but does not confirm it in its flags (NAME_ME)")
        if failed := self._check_kind(name):
            raise failed
        self._established = Established(
            name,
            got.creation,
            negotiate(self._flags, got.flags) & ~int(Flag.NAME_ME),
            expand(got.flags),
            is_published(got.flags),
            self._local,
            self._creation,
        )
        self._send(encode_reply(self._challenge, digest(self._cookie, got.challenge)))
        self.state = State.ACK

    def _on_ack(self, proof: bytes) -> Event | None:
        if not hmac.compare_digest(proof, self._proof):
            raise self._cookie_failed("its answer to our challenge does not fit our cookie")
        self.state = State.DONE
        return self._established

    def _eof_failure(self) -> HandshakeFailed:
        if self.state is State.ACK:
            return self._cookie_failed("it closed the connection when it saw our proof")
        if self.state is State.STATUS:
            return self._fail(
                Failure.CLOSED,
                "it closed the connection before a word; one node may use TLS and the other not, another program may"
                " listen on that port, or the node is going down",
            )
        return self._fail(
            Failure.CLOSED,
            "it closed the connection in the middle of the handshake; see its log, it may be going down or have given"
            " this attempt up for one of its own",
        )


class Acceptor(Handshake):
    """The side that was connected to."""

    def __init__(
        self,
        *,
        local: Atom,
        flags: int,
        creation: int,
        cookie_for: Callable[[Atom], str],
        challenge: int,
        address: str = "an unknown peer",
        length_size: int = 2,
    ) -> None:
        """Wait for a peer's name.

        cookie_for: our cookie for the peer of that name, asked once it is known; challenge: 32 random bits;
        address: who connected, for messages; length_size: 2 on TCP, 4 on TLS.
        """
        super().__init__(local, flags, creation, challenge, length_size, State.NAME, address)
        self._address = address
        self._cookie_for = cookie_for
        self._cookie = ""
        self._peer: Atom | None = None
        self._host = ""
        self._peer_flags = 0
        self._peer_creation = 0
        self._his_challenge = 0
        self._reply_flags = flags

    def accept(self, *, simultaneous: bool = False) -> None:
        """Go on with this peer; simultaneous: we had an attempt of our own and have aborted it, whatever its phase."""
        self._expect(State.DECIDE)
        if self._peer is None:
            raise LocalProtocolError("this peer asked for a name: answer with assign_name()")
        self._send(encode_status("ok_simultaneous" if simultaneous else "ok"))
        self._challenge_peer()

    def ask_alive(self) -> None:
        """We have a connection to that peer: ask whether it means it. The answer is the event AliveAnswered."""
        self._expect(State.DECIDE)
        self._send(encode_status("alive"))
        self.state = State.ALIVE

    def nok(self) -> None:
        """We have an attempt of our own under way, which goes on. Close after writing."""
        self._expect(State.DECIDE)
        self._send(encode_status("nok"))
        self.state = State.OVER

    def refuse(self) -> None:
        """This peer may not connect. Close after writing."""
        self._expect(State.DECIDE)
        self._send(encode_status("not_allowed"))
        self.state = State.OVER

    def assign_name(self, name: Atom, creation: int) -> None:
        """Give a peer that asked for it a name on its host and a creation.

        The confirmation makes the peer hidden; without NAME_ME in our flags an Erlang peer would crash in its set-up.
        """
        self._expect(State.DECIDE)
        if self._peer is not None:
            raise LocalProtocolError(f"{self._peer.text} has a name")
        if split(name).host != self._host:
            raise LocalProtocolError(f"{name.text} is not on the host of that peer, {shown(self._host)}")
        self._peer = name
        self._peer_text = f"{name.text} ({self._address})"
        self._peer_creation = creation
        self._reply_flags = (self._flags | int(Flag.NAME_ME)) & ~int(Flag.PUBLISHED)
        self._send(encode_named(name.text, creation))
        self._challenge_peer()

    def acknowledge(self) -> Established:
        """Complete the handshake, after Authenticated and once no older connection to that peer is left."""
        self._expect(State.CONFIRM)
        assert self._peer is not None
        self._send(encode_ack(digest(self._cookie, self._his_challenge)))
        self.state = State.DONE
        return Established(
            self._peer,
            self._peer_creation,
            negotiate(self._flags, self._peer_flags) & ~int(Flag.NAME_ME),
            expand(self._peer_flags),
            is_published(self._peer_flags),
            self._local,
            self._creation,
        )

    def _step(self, body: bytes) -> Event | None:
        if self.state is State.NAME:
            return self._on_name(body)
        if self.state is State.ALIVE:
            return self._on_alive(decode_status(body))
        return self._on_reply(*decode_reply(body))

    def _on_name(self, body: bytes) -> Event:
        got = decode_name(body)
        self._peer_flags = got.flags
        self._peer_creation = got.creation
        if got.flags & Flag.NAME_ME:
            if "@" in got.name:
                raise BadPacket(f"asks for a name but says it is {shown(got.name)}")
            readable_name(f"x@{got.name}")
            self._host = got.name
            probe = split(f"x@{got.name}").full
            self._peer_text = f"a nameless node at {got.name} ({self._address})"
        else:
            probe = self._peer = readable_name(got.name)
            self._host = split(probe).host
            self._peer_text = f"{probe.text} ({self._address})"
        if probe is self._local:
            raise self._refuse(self._fail(Failure.NAME, "it has our own name; give every node of a cluster its own"))
        if failed := self._check_kind(probe):
            raise self._refuse(failed)
        if failed := self._require_flags(got.flags, "this node needs"):
            raise self._refuse(failed)
        self.state = State.DECIDE
        return NameReceived(self._peer, self._host, expand(got.flags), got.creation)

    def _on_alive(self, status: str | NewName) -> Event:
        if status not in ("true", "false"):
            raise BadPacket(f"was asked whether it is alive and answered {shown(str(status))}")
        if status == "false":
            self.state = State.OVER
            return AliveAnswered(False)
        self._challenge_peer()
        return AliveAnswered(True)

    def _on_reply(self, challenge: int, proof: bytes) -> Event:
        if not hmac.compare_digest(proof, digest(self._cookie, self._challenge)):
            raise self._cookie_failed("its answer to our challenge does not fit our cookie")
        self._his_challenge = challenge
        self.state = State.CONFIRM
        return Authenticated()

    def _challenge_peer(self) -> None:
        assert self._peer is not None
        self._cookie = self._cookie_for(self._peer)
        self._send(encode_challenge(self._reply_flags, self._challenge, self._creation, self._local.text))
        self.state = State.REPLY

    def _refuse(self, failed: HandshakeFailed) -> HandshakeFailed:
        self._send(encode_status("not_allowed"))
        return failed

    def _eof_failure(self) -> HandshakeFailed:
        if self.state is State.NAME:
            return self._fail(
                Failure.CLOSED,
                "it connected and closed without a word; a port scan or a health check, or an attempt given up",
            )
        return self._fail(
            Failure.CLOSED, "it closed the connection in the middle of the handshake; it may have given this attempt up"
        )
