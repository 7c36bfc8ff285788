"""Who connects to whom: the state machine of our connection to one peer, without a socket.

A node keeps one ``PeerState`` per peer name (an Atom, never a str) and tells it everything that happens; each method
returns the actions to perform, in order. All connections, tried or standing, are *links*: numbers from one counter per
node, so that late news about an old link can never be taken for news about a newer one.

    actions = peers[name].want()                       somebody needs the connection
    link, actions = peers[name].incoming()             a peer introduced itself on an accepted socket

The promises (proved over two nodes and a network that delays at will, in tests/dist/test_pending.py):
  * at most one attempt and one live connection per peer;
  * a stale attempt never answers ``true`` to ``alive``, so no healthy connection is killed;
  * an old connection is fully down before its successor is acknowledged, and Down comes before Up;
  * Down says whether a successor is at hand: only a connection without one may be reported as lost to other nodes.

Who yields when both connect at once: the node with the smaller name gives its attempt up, in whatever phase it is. The
comparison is of names as text, as Erlang compares atoms.

Source  ERTS, Distribution Protocol, "Distribution Handshake", steps 3A to 4; kernel, net_kernel (accept_pending).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, NamedTuple

from beamish.errors import LocalProtocolError
from beamish.term import Atom

INCOMING_MAX: Final = 4
"""Unproved handshakes from one name at a time; a fifth ends the oldest."""


class Verdict(Enum):
    """What to answer to a peer that introduced itself (``Acceptor`` has a method for each)."""

    OK = "ok"
    OK_SIMULTANEOUS = "ok_simultaneous"
    NOK = "nok"
    ALIVE = "alive"


class StartAttempt(NamedTuple):
    """Look the peer up, connect, shake hands; report back with ``attempt_…(link)``."""

    link: int


class AbortAttempt(NamedTuple):
    """Stop that attempt in whatever phase it is and close its socket. Later reports about it are ignored.

    What counts is that it does not go on: an attempt that is no longer ``PeerState.attempt`` must not send its name nor
    its challenge reply. (A cancelled asyncio task keeps that by itself: it is ended at the await where it waits.)
    """

    link: int


class Answer(NamedTuple):
    """Send this status on an incoming link. After NOK the link is forgotten: close it."""

    link: int
    verdict: Verdict


class AnswerAlive(NamedTuple):
    """Answer an attempt's ``alive`` question. After False the link is forgotten: close it."""

    link: int
    wanted: bool


class DropIncoming(NamedTuple):
    """Close an incoming link; it is forgotten."""

    link: int


class CloseConnection(NamedTuple):
    """Take the live connection down and report ``connection_down`` once nothing of it is left."""

    link: int


class Acknowledge(NamedTuple):
    """Complete the handshake of an incoming link (``Acceptor.acknowledge``). Up follows."""

    link: int


class Up(NamedTuple):
    """The link is the connection now: install it, announce nodeup, only then read its frames."""

    link: int


class Down(NamedTuple):
    """The connection is gone: links and monitors across it break, nodedown is announced.

    replaced: a successor is at hand and Up follows at once. Other nodes must not be told that the peer was lost.
    """

    link: int
    replaced: bool


@dataclass(frozen=True, slots=True)
class Ready:
    """Whoever waits for the connection can have it."""


class GaveUp(NamedTuple):
    """Whoever waits for the connection waits in vain."""

    reason: object


Action = (
    StartAttempt
    | AbortAttempt
    | Answer
    | AnswerAlive
    | DropIncoming
    | CloseConnection
    | Acknowledge
    | Up
    | Down
    | Ready
    | GaveUp
)


class Stage(Enum):
    """How far an incoming handshake is: asked whether it is alive, under way, or proved to know the cookie."""

    ASKED = auto()
    OPEN = auto()
    PROVED = auto()


class PeerState:
    """Our side of the connection to one peer."""

    def __init__(self, local: Atom, peer: Atom, numbers: Iterator[int]) -> None:
        """numbers: the node's link counter, ever increasing and shared by all its peers.

        Raises  LocalProtocolError if the peer has our own name.
        """
        if local is peer:
            raise LocalProtocolError(f"{local.text} cannot connect to itself")
        self.peer = peer
        self.attempt: int | None = None
        self.connection: int | None = None
        self.closing = False
        self.wanted = False
        self._yields = local.text < peer.text
        self._numbers = numbers
        self._told_to_wait = False
        self._owed = False
        self._retried = False
        self._incoming: dict[int, Stage] = {}

    @property
    def connected(self) -> bool:
        """Whether there is a live connection that is not being closed."""
        return self.connection is not None and not self.closing

    @property
    def idle(self) -> bool:
        """Whether nothing is left to remember: the owner may forget this object."""
        return self.connection is None and self.attempt is None and not self._incoming and not self.wanted

    # ---- somebody here

    def want(self) -> list[Action]:
        """Somebody here needs the connection; Ready or GaveUp will follow."""
        if self.connected:
            return [Ready()]
        self.wanted = True
        return self._go_on()

    def disconnect(self, reason: object = "disconnected") -> list[Action]:
        """Somebody here wants the connection gone, and whatever might become one."""
        actions: list[Action] = []
        if self.attempt is not None:
            actions.append(self._abort())
        actions.extend(DropIncoming(link) for link in self._incoming)
        self._incoming.clear()
        if self.connection is not None and not self.closing:
            self.closing = True
            actions.append(CloseConnection(self.connection))
        return actions + self._give_up(reason)

    # ---- an incoming handshake

    def incoming(self) -> tuple[int, list[Action]]:
        """The peer introduced itself on a fresh socket: its link number and what to answer."""
        link = next(self._numbers)
        actions: list[Action] = []
        if self.attempt is not None and not self._yields and not self._told_to_wait:
            # The peer counts on our attempt from now on; should it fail, another is owed.
            self._owed = True
            return link, [Answer(link, Verdict.NOK)]
        verdict = Verdict.OK
        if self.attempt is not None:
            actions.append(self._abort())
            verdict = Verdict.OK_SIMULTANEOUS
        elif self.connected:
            verdict = Verdict.ALIVE
        actions.extend(self._make_room())
        self._incoming[link] = Stage.ASKED if verdict is Verdict.ALIVE else Stage.OPEN
        actions.append(Answer(link, verdict))
        return link, actions

    def alive_answered(self, link: int, wanted: bool) -> list[Action]:
        """The peer answered our ``alive``: whether it still wants this link."""
        if link not in self._incoming:
            return [DropIncoming(link)]
        if wanted:
            self._incoming[link] = Stage.OPEN
            return []
        return self.incoming_failed(link)

    def authenticated(self, link: int) -> list[Action]:
        """The peer proved on this incoming link that it knows the cookie."""
        if link not in self._incoming:
            return [DropIncoming(link)]
        # Only its current attempt makes a peer go this far, so links that are older than this one are past.
        actions: list[Action] = [DropIncoming(older) for older in self._incoming if older < link]
        self._incoming = {known: stage for known, stage in self._incoming.items() if known >= link}
        if any(stage is Stage.PROVED for stage in self._incoming.values()):
            del self._incoming[link]
            return [*actions, DropIncoming(link)]
        if self.attempt is not None:
            actions.append(self._abort())
        if self.connection is None:
            return [*actions, *self._install(link)]
        self._incoming[link] = Stage.PROVED
        if not self.closing:
            self.closing = True
            actions.append(CloseConnection(self.connection))
        return actions

    def incoming_failed(self, link: int) -> list[Action]:
        """An incoming handshake ended: its socket closed, its time is over, or it broke a rule."""
        if self._incoming.pop(link, None) is None:
            return []
        return self._go_on()

    # ---- our attempt

    def attempt_alive(self, link: int) -> list[Action]:
        """The peer believes to be connected and asks whether this attempt is meant."""
        return [AnswerAlive(link, link == self.attempt and self.connection is None)]

    def attempt_nok(self, link: int) -> list[Action]:
        """The peer goes on with its own attempt: close the socket, let the attempt's time limit run on."""
        if link == self.attempt:
            self._told_to_wait = True
        return []

    def attempt_failed(self, link: int, reason: object) -> list[Action]:
        """Our attempt ended without a connection, or its time is over."""
        if link != self.attempt:
            return []
        owed = self._owed
        self._forget_attempt()
        if self._incoming:
            return []
        if owed and not self._retried:
            self._retried = True
            return [self._start()]
        return self._give_up(reason)

    def attempt_succeeded(self, link: int) -> list[Action]:
        """The peer acknowledged our attempt. If it is no longer the current one, it is to be closed."""
        if link != self.attempt:
            return [AbortAttempt(link)]
        if self.connection is not None:
            raise LocalProtocolError(f"a second connection to {self.peer.text} while one is up")
        self._forget_attempt()
        return self._up(link)

    # ---- the connection

    def connection_down(self, link: int) -> list[Action]:
        """Nothing is left of the connection: its socket is closed and its last frame was delivered."""
        if link != self.connection:
            return []
        self.connection = None
        self.closing = False
        successor = next((other for other, stage in self._incoming.items() if stage is Stage.PROVED), None)
        if successor is not None:
            return [Down(link, True), *self._install(successor)]
        return [Down(link, False), *self._go_on()]

    # ---- what the above have in common

    def _go_on(self) -> list[Action]:
        """Start an attempt if one is wanted and nothing else could lead to a connection."""
        if self.wanted and self.attempt is None and not self._incoming and self.connection is None:
            return [self._start()]
        return []

    def _start(self) -> StartAttempt:
        self.attempt = next(self._numbers)
        return StartAttempt(self.attempt)

    def _abort(self) -> AbortAttempt:
        assert self.attempt is not None
        aborted = AbortAttempt(self.attempt)
        self._forget_attempt()
        return aborted

    def _forget_attempt(self) -> None:
        self.attempt = None
        self._told_to_wait = False
        self._owed = False

    def _install(self, link: int) -> list[Action]:
        older: list[Action] = [DropIncoming(other) for other in self._incoming if other < link]
        self._incoming = {other: stage for other, stage in self._incoming.items() if other > link}
        return [*older, Acknowledge(link), *self._up(link)]

    def _up(self, link: int) -> list[Action]:
        self.connection = link
        self.closing = False
        self._retried = False
        if self.wanted:
            self.wanted = False
            return [Up(link), Ready()]
        return [Up(link)]

    def _give_up(self, reason: object) -> list[Action]:
        self._retried = False
        if not self.wanted:
            return []
        self.wanted = False
        return [GaveUp(reason)]

    def _make_room(self) -> list[Action]:
        unproved = [link for link, stage in self._incoming.items() if stage is not Stage.PROVED]
        if len(unproved) < INCOMING_MAX:
            return []
        del self._incoming[unproved[0]]
        return [DropIncoming(unproved[0])]
