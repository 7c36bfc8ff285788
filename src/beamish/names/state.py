"""What the parts of the name server share: whom we know, the time, and the actions of the event being handled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from beamish.names import messages as m
from beamish.names.actions import (
    Action,
    Call,
    CancelTimer,
    Cast,
    ConnectTo,
    Demonitor,
    Log,
    Monitor,
    ResolveRemote,
    RunResolver,
    Send,
    StartTimer,
    Term,
)
from beamish.term import Atom, Pid, atom

NODEDOWN: Final = atom("nodedown")
CONNECT_AGAIN: Final = 0.5
"""Seconds before the second and last attempt to reach a node that a peer told us of."""

Outcome = Callable[[bool, Term], None]


class RandomSource(Protocol):
    """The part of `random.Random` that is used."""

    def random(self) -> float: ...


@dataclass(slots=True)
class State:
    """One node's view of the cluster.

    known        nodes that hold the same names as we do, with their protocol version (0: not told)
    pending      nodes with which a session is under way and who answered, with their version
    removing     connected nodes that we asked to go, or were asked to leave: their nodedown is no news
    synced       nodes that agreed with us, in order
    connections  visible connected nodes, with the id of the connection
    reaching     nodes being connected to, with what waits for it
    """

    node: Atom
    pid: Pid
    creation: int
    rng: RandomSource
    connect_all: bool = True
    prevent_overlapping_partitions: bool = True
    known: dict[Atom, int] = field(default_factory=dict)
    pending: dict[Atom, int] = field(default_factory=dict)
    removing: set[Atom] = field(default_factory=set)
    synced: dict[Atom, None] = field(default_factory=dict)
    connections: dict[Atom, Term] = field(default_factory=dict)
    connected_at: dict[Atom, float] = field(default_factory=dict)
    reaching: dict[Atom, list[Callable[[bool], None]]] = field(default_factory=dict)
    on_unreachable: Callable[[Atom], None] = lambda node: None
    now: float = 0.0
    out: list[Action] = field(default_factory=list)
    timers: dict[int, Callable[[], None]] = field(default_factory=dict)
    monitors: dict[int, Callable[[], None]] = field(default_factory=dict)
    outcomes: dict[int, tuple[Atom | None, Outcome]] = field(default_factory=dict)
    _last_key: int = 0

    def next_key(self) -> int:
        """A number never used before."""
        self._last_key += 1
        return self._last_key

    def flush(self) -> list[Action]:
        """The actions gathered since the last flush."""
        out, self.out = self.out, []
        return out

    # actions

    def send(self, node: Atom, message: Term) -> None:
        self.out.append(Send(node, message))

    def cast(self, node: Atom, message: Term) -> None:
        """To a node we know, also while its connection is only being set up; to others if they are connected."""
        if self.connected(node):
            self.out.append(Cast(node, message))
        elif node in self.known:
            self.reach(node, lambda ok: self.out.append(Cast(node, message)) if ok else None)

    def log(self, level: str, text: str) -> None:
        self.out.append(Log(level, text))

    def after(self, seconds: float, then: Callable[[], None]) -> int:
        """Start a timer; gives its key."""
        key = self.next_key()
        self.timers[key] = then
        self.out.append(StartTimer(key, seconds))
        return key

    def cancel_timer(self, key: int | None) -> None:
        """Stop a timer; None and timers that fired are no error."""
        if key is not None and self.timers.pop(key, None) is not None:
            self.out.append(CancelTimer(key))

    def monitor(self, pid: Pid, then: Callable[[], None]) -> int:
        """Watch a process; gives the key of the monitor."""
        key = self.next_key()
        self.monitors[key] = then
        self.out.append(Monitor(pid, key))
        return key

    def demonitor(self, key: int) -> None:
        if self.monitors.pop(key, None) is not None:
            self.out.append(Demonitor(key))

    def call(self, node: Atom, request: Term, then: Outcome) -> int:
        """Ask the name server of a node we know or are connected to; not ok when it is not there or goes down."""
        key = self._expect(node, then)

        def send(ok: bool) -> None:
            if ok and key in self.outcomes:
                self.out.append(Call(node, request, key))
            elif not ok:
                self.settle(key, False, NODEDOWN)

        if self.connected(node) or node not in self.known:
            send(self.connected(node))
        else:
            self.reach(node, send)
        return key

    def resolve_remote(self, node: Atom, arguments: list[Term], then: Outcome) -> int:
        key = self._expect(node, then)
        self.out.append(ResolveRemote(node, arguments, key))
        return key

    def run_resolver(self, method: Term, name: Term, pid: Pid, pid2: Pid, then: Outcome) -> int:
        key = self._expect(None, then)
        self.out.append(RunResolver(method, name, pid, pid2, key))
        return key

    def _expect(self, node: Atom | None, then: Outcome) -> int:
        key = self.next_key()
        self.outcomes[key] = (node, then)
        return key

    # outcomes

    def came_up(self, node: Atom, connection: Term) -> None:
        """A visible node connected: what waited for that goes out first."""
        self.connections[node] = connection
        self.connected_at[node] = self.now
        for then in self.reaching.pop(node, ()):
            then(True)

    def reach(self, node: Atom, then: Callable[[bool], None]) -> None:
        """Call `then` once the node is connected, or cannot be. A known node is tried twice, then it is lost."""
        if self.connected(node):
            then(True)
        elif node in self.reaching:
            self.reaching[node].append(then)
        else:
            waiting = self.reaching[node] = [then]
            self._try_to_reach(node, waiting, again=True)

    def _try_to_reach(self, node: Atom, waiting: list[Callable[[bool], None]], *, again: bool) -> None:
        def retry() -> None:
            if self.reaching.get(node) is waiting:
                self._try_to_reach(node, waiting, again=False)

        def tried(ok: bool, _reason: Term) -> None:
            if self.reaching.get(node) is not waiting:
                return
            if again and node in self.known and self.connect_all:
                self.after(CONNECT_AGAIN, retry)
            else:
                self.stop_reaching(node)
                if node in self.known and self.connect_all:
                    self.log("warning", f"'global' at {self.node.text} failed to connect to {node.text}")
                    self.on_unreachable(node)

        self.out.append(ConnectTo(node, self._expect(None, tried)))

    def stop_reaching(self, node: Atom) -> None:
        """Whoever waits for that node waits no more."""
        for then in self.reaching.pop(node, ()):
            then(False)

    def fail_calls_to(self, node: Atom, reason: Term) -> None:
        """Everything asked of a node that is gone has failed."""
        for key in [key for key, (asked, _) in self.outcomes.items() if asked is node]:
            self.settle(key, False, reason)

    def settle(self, key: int, ok: bool, value: Term) -> None:
        """Pass on an outcome; late and doubled ones are ignored."""
        waiting = self.outcomes.pop(key, None)
        if waiting is not None:
            waiting[1](ok, value)

    # whom we know

    def connected(self, node: Atom) -> bool:
        return node in self.connections

    def potentially_known(self, node: Atom) -> bool:
        return node in self.known or node in self.pending

    def version_of(self, node: Atom) -> int:
        """The protocol version of a node, 0 when it was never told."""
        if node is self.node:
            return m.VERSION
        return self.known.get(node) or self.pending.get(node, 0)

    def known_for(self, version: int) -> list[Term]:
        """The nodes we know in the form that a peer of that version reads."""
        if version < m.PARTITIONS_VERSION:
            return list(self.known)
        return list(self.known.items())

    def add_to_known(self, nodes: Mapping[Atom, int]) -> list[Atom]:
        """Take nodes into `known`; gives those that are new, without ourselves."""
        added: list[Atom] = []
        for node, version in nodes.items():
            if node is self.node:
                continue
            if node not in self.known:
                added.append(node)
                self.known[node] = version
            elif self.known[node] == 0:
                self.known[node] = version
        return added

    def boss(self, nodes: list[Atom]) -> Atom:
        """Whoever locks has to have this one first: the greatest name."""
        return max(nodes, key=lambda node: node.text)

    def multicast(self, message: Term, but: Atom) -> None:
        """Send to all we know or are about to know and that understand partitions, except one."""
        for node, version in (self.pending | self.known).items():
            if node is not but and version >= m.PARTITIONS_VERSION:
                self.send(node, message)
