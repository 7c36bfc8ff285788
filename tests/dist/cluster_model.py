"""Two nodes and a network as a model: what a schedule of small moves does to their ``PeerState`` machines.

Every step of every connection (look-up, connect, each handshake packet, the news of a closed socket, the end of a
teardown) is one move, and the order of moves is free except that one socket keeps the order of what goes through it.
The model performs the machines' actions as a real node would and checks the promises at each step.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable

from beamish.dist import pending
from beamish.dist.pending import PeerState, Verdict
from beamish.term import Atom

EOF = "eof"
Move = tuple[str, Callable[[], None]]


class Wire:
    """One TCP connection: an initiator's link, an acceptor's link once it has one, and what is in flight each way."""

    def __init__(self, initiator: Node, acceptor: Node, link: int) -> None:
        self.links: dict[Node, int | None] = {initiator: link, acceptor: None}
        self.flight: dict[Node, deque[str]] = {initiator: deque(), acceptor: deque()}
        self.closed: set[Node] = set()
        self.initiator = initiator
        self.acceptor = acceptor

    def other(self, node: Node) -> Node:
        return self.acceptor if node is self.initiator else self.initiator

    def send(self, sender: Node, *items: str) -> None:
        if sender not in self.closed and self.other(sender) not in self.closed:
            self.flight[self.other(sender)].extend(items)

    def close(self, node: Node) -> None:
        """This side closes its socket: it hears nothing more, the other side will hear of it."""
        if node not in self.closed:
            self.send(node, EOF)
            self.closed.add(node)
            self.flight[node].clear()


class Node:
    """One node's shell around the state machine for its only peer."""

    def __init__(self, name: Atom, peer: Atom, model: Model) -> None:
        self.name = name
        self.model = model
        self.state = PeerState(name, peer, model.numbers)
        self.wires: dict[int, Wire] = {}
        self.looking_up: set[int] = set()
        self.tearing: set[int] = set()
        self.zombies: set[int] = set()
        self.closes: set[int] = set()
        self.up: int | None = None
        self.waiting = 0
        self.history: list[str] = []
        self.replaces = False

    # moves

    def want(self) -> None:
        self.waiting += 1
        self.perform(self.state.want())

    def disconnect(self) -> None:
        self.perform(self.state.disconnect())

    def connect(self, link: int) -> None:
        """An attempt's look-up is done: open the socket and say our name."""
        self.looking_up.discard(link)
        wire = Wire(self, self.model.other(self), link)
        self.wires[link] = wire
        self.model.wires.append(wire)
        wire.send(self, "name")

    def time_out_attempt(self, link: int) -> None:
        self.looking_up.discard(link)
        self.hang_up(link)
        self.perform(self.state.attempt_failed(link, "timeout"))

    def time_out_incoming(self, link: int) -> None:
        self.hang_up(link)
        self.perform(self.state.incoming_failed(link))

    def reap(self, link: int) -> None:
        self.zombies.discard(link)
        self.looking_up.discard(link)
        self.hang_up(link)

    def finish_teardown(self, link: int) -> None:
        self.tearing.discard(link)
        self.perform(self.state.connection_down(link))

    def deliver(self, wire: Wire) -> None:
        item = wire.flight[self].popleft()
        link = wire.links[self]
        if item == EOF:
            self.on_eof(wire, link)
        elif item == "name":
            link, actions = self.state.incoming()
            wire.links[self] = link
            self.wires[link] = wire
            self.perform(actions)
        elif link is not None and link in self.wires:
            self.on_packet(wire, link, item)

    def on_packet(self, wire: Wire, link: int, item: str) -> None:
        match item:
            case "challenge":
                if self.state.attempt == link:
                    wire.send(self, "reply")
            case "alive":
                self.perform(self.state.attempt_alive(link))
            case "nok":
                self.hang_up(link)
                self.zombies.discard(link)
                self.perform(self.state.attempt_nok(link))
            case "ack":
                self.perform(self.state.attempt_succeeded(link))
            case "true" | "false":
                if item == "true":
                    wire.send(self, "challenge")
                else:
                    self.hang_up(link)
                self.perform(self.state.alive_answered(link, item == "true"))
            case "reply":
                self.replaces = True
                self.perform(self.state.authenticated(link))
                self.replaces = False

    def on_eof(self, wire: Wire, link: int | None) -> None:
        wire.close(self)
        if link is None or self.wires.pop(link, None) is None:
            return
        if link == self.up:
            self.tearing.add(link)
        elif wire.initiator is self:
            self.perform(self.state.attempt_failed(link, "closed"))
        else:
            self.perform(self.state.incoming_failed(link))

    # actions

    def perform(self, actions: list[pending.Action]) -> None:
        for action in actions:
            self.history.append(str(action))
            self.perform_one(action)
        self.check()

    def perform_one(self, action: pending.Action) -> None:
        match action:
            case pending.StartAttempt(link):
                self.looking_up.add(link)
            case pending.AbortAttempt(link):
                # A task takes its time to end: until it is reaped an aborted attempt goes on as if nothing happened,
                # and at its worst sends its name. Only the reply is held back, see AbortAttempt.
                self.zombies.add(link)
            case pending.DropIncoming(link):
                self.hang_up(link)
            case pending.Answer(link, verdict):
                assert (verdict is Verdict.ALIVE) == (self.up is not None and self.up not in self.closes)
                self.wires[link].send(self, verdict.value)
                if verdict in (Verdict.OK, Verdict.OK_SIMULTANEOUS):
                    self.wires[link].send(self, "challenge")
                if verdict is Verdict.NOK:
                    self.hang_up(link)
            case pending.AnswerAlive(link, wanted):
                # An Erlang peer kills its connection to us on "true", proof of the cookie or not.
                assert not wanted or (link not in self.zombies and self.up is None), "a stale attempt says true"
                self.wires[link].send(self, "true" if wanted else "false")
                if not wanted:
                    self.hang_up(link)
            case pending.CloseConnection(link):
                assert link == self.up
                if self.replaces:
                    self.check_not_healthy(link)
                self.hang_up(link)
                self.tearing.add(link)
                self.closes.add(link)
            case pending.Acknowledge(link):
                self.wires[link].send(self, "ack")
            case pending.Up(link):
                assert self.up is None, "Up while another connection is up"
                self.up = link
                assert link in self.wires, "Up for a closed socket"
            case pending.Down(link, _):
                assert self.up == link, "Down for what was not up"
                assert link not in self.wires
                assert link not in self.tearing
                self.up = None
            case pending.Ready():
                assert self.waiting
                assert self.up is not None
                self.waiting = 0
            case pending.GaveUp():
                assert self.waiting
                self.waiting = 0

    def hang_up(self, link: int) -> None:
        wire = self.wires.pop(link, None)
        if wire is not None:
            wire.close(self)

    # promises

    def check(self) -> None:
        assert self.state.connection == self.up
        attempts = {link for link, wire in self.wires.items() if wire.initiator is self and link != self.up}
        attempts = (attempts | self.looking_up) - self.zombies
        assert attempts <= {self.state.attempt}, "more than the one current attempt is under way"
        assert self.state.attempt is None or self.up is None, "an attempt beside a connection"
        assert self.waiting == 0 or self.state.wanted

    def check_not_healthy(self, link: int) -> None:
        """The connection about to be replaced must be dead at the other end already."""
        wire = self.wires.get(link)
        if wire is None:
            return
        other = wire.other(self)
        there = wire.links[other]
        healthy = other not in wire.closed and there not in other.closes and there in (other.up, other.state.attempt)
        assert not healthy, "a healthy connection is killed for an attempt"


class Model:
    """The two nodes, all sockets between them, and what can happen next."""

    def __init__(self, left: Atom, right: Atom) -> None:
        self.numbers = itertools.count(1)
        self.nodes = (Node(left, right, self), Node(right, left, self))
        self.wires: list[Wire] = []

    def other(self, node: Node) -> Node:
        return self.nodes[1] if node is self.nodes[0] else self.nodes[0]

    def progress(self) -> list[Move]:
        """The moves that happen by themselves, sooner or later."""
        moves: list[Move] = []
        for node in self.nodes:
            moves += [
                (f"{node.name} connects", lambda n=node, k=link: n.connect(k)) for link in sorted(node.looking_up)
            ]
            moves += [(f"{node.name} reaps", lambda n=node, k=k: n.reap(k)) for k in sorted(node.zombies)]
            moves += [
                (f"{node.name} is torn down", lambda n=node, k=k: n.finish_teardown(k)) for k in sorted(node.tearing)
            ]
        for wire in self.wires:
            for node, queue in wire.flight.items():
                if queue:
                    moves.append((f"{node.name} gets {queue[0]}", lambda n=node, w=wire: n.deliver(w)))
        return moves

    def wishes(self) -> list[Move]:
        """What users may do at any time."""
        return [
            move
            for node in self.nodes
            for move in ((f"{node.name} wants", node.want), (f"{node.name} cuts", node.disconnect))
        ]

    def mishaps(self) -> list[Move]:
        """What may go wrong: time limits, sockets that break, a node that dies and comes back."""
        moves = self.timeouts()
        moves += [
            (f"wire {i} breaks", lambda w=wire: self.cut(w)) for i, wire in enumerate(self.wires) if not wire.closed
        ]
        return moves + [(f"{node.name} restarts", lambda n=node: self.restart(n)) for node in self.nodes]

    def timeouts(self) -> list[Move]:
        moves: list[Move] = []
        for node in self.nodes:
            if (attempt := node.state.attempt) is not None:
                moves.append((f"{node.name} times out", lambda n=node, k=attempt: n.time_out_attempt(k)))
            for link, wire in node.wires.items():
                if wire.acceptor is node and link != node.up:
                    moves.append((f"{node.name} stops waiting", lambda n=node, k=link: n.time_out_incoming(k)))
        return moves

    def cut(self, wire: Wire) -> None:
        """The network loses a connection: what is in flight is lost, both sides notice in their own time."""
        for node in (wire.initiator, wire.acceptor):
            wire.flight[node].clear()
            if node not in wire.closed:
                wire.flight[node].append(EOF)

    def restart(self, node: Node) -> None:
        """kill -9 and a new node of the same name."""
        for wire in self.wires:
            if node in wire.links:
                wire.close(node)
        fresh = Node(node.name, self.other(node).name, self)
        # Sockets that the peer opened and that nobody had accepted yet died with the old listener, see above.
        for wire in self.wires:
            for table in (wire.links, wire.flight):
                if node in table:
                    table[fresh] = table.pop(node)  # type: ignore[assignment,arg-type]
            wire.closed = {fresh if one is node else one for one in wire.closed}
            wire.initiator = fresh if wire.initiator is node else wire.initiator
            wire.acceptor = fresh if wire.acceptor is node else wire.acceptor
        self.nodes = (fresh, self.nodes[1]) if node is self.nodes[0] else (self.nodes[0], fresh)

    def settle(self, choose: Callable[[int], int], *, timeouts: bool) -> int:
        """Let everything that is under way happen; time limits only when nothing else can. Returns the moves made."""
        for count in range(10_000):
            moves = self.progress() or (self.timeouts() if timeouts else [])
            if not moves:
                return count
            moves[choose(len(moves))][1]()
        raise AssertionError("the two nodes never come to rest")

    def agreement(self) -> None:
        """Both ends hold the same connection or none, and nothing else is left."""
        left, right = self.nodes
        ends = []
        for node in (left, right):
            assert node.state.attempt is None
            assert node.waiting == 0
            assert not node.tearing
            ends.append(node.wires.get(node.up) if node.up is not None else None)
        assert ends[0] is ends[1], "the two ends disagree on their connection"
        if ends[0] is None:
            assert left.state.idle
            assert right.state.idle
            assert left.up is None
            assert right.up is None
