"""Sessions: how two nodes that connect come to hold the same names and to know the same nodes.

    nodeup             each side casts init_connect with a fresh tag
    init_connect       pair the tags, confirm with init_connect_ack, give the peer to the locker
    both locked        (see `locker`) each side casts exchange with its names
    exchange           compute what each side has to do; cast resolved with the peer's part and whom we know
    resolved           apply all, tell everybody we knew (new_nodes), connect to everybody he knew (in_sync), unlock

Every message carries the tag that its receiver made for the session; with any other tag it is stale. A peer that
begins again while we are paired is paired anew under our old tag. A session that was cancelled begins again after a
pause that grows: OTP answers every stale confirmation by beginning again at once, and if both did so they could chase
each other for ever.

Source  kernel/src/global.erl of OTP 25 (protocol version 8).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from beamish.names import messages as m
from beamish.names.actions import Disconnect, Term
from beamish.names.locker import Cancel, Candidate, Farewell
from beamish.names.resolve import exchange_names
from beamish.names.state import State
from beamish.names.strand import Activity, Strand, Strands
from beamish.names.table import Author, NameTable
from beamish.term import Atom, Pid

RESTART_FIRST: Final = 0.05
RESTART_MOST: Final = 2.0
"""Seconds before a cancelled session begins again: doubled each time, up to the greatest."""
BEGIN_AFTER: Final = 5.0
"""Seconds, once to twice, after which we begin with a node that says it agrees with us, but that nobody told us of."""
DOUBT_AFTER: Final = 3.0
"""Seconds of connection after which such a beginning is taken for what it is."""


@dataclass(slots=True)
class Resolved:
    """What a peer's `resolved` said."""

    ops: list[Term]
    known: list[Term]
    names_ext: list[Term]


@dataclass(slots=True)
class Session:
    """One attempt to agree with a connected peer."""

    node: Atom
    my_tag: int
    thorough: bool = False
    him: Candidate | None = None
    lock_id: Term = None
    locked: bool = False
    his_names: list[Term] | None = None
    ops: list[Term] | None = None
    his_resolved: Resolved | None = None
    resolver: Strand | None = None

    def unpair(self) -> None:
        """Forget what belonged to the last pairing; our tag stays."""
        self.him = self.lock_id = self.his_names = self.ops = self.his_resolved = self.resolver = None
        self.locked = False


@dataclass(slots=True)
class Sessions:
    """All sessions of a node.

    to_locker   posts a message to the locker
    on_synced   called with a node that agrees with us from now on
    """

    state: State
    names: NameTable
    strands: Strands
    to_locker: Callable[[object], None]
    on_synced: Callable[[Atom], None]
    by_node: dict[Atom, Session] = field(default_factory=dict)
    parked: dict[Atom, tuple[Term, Term]] = field(default_factory=dict)
    restarts: dict[Atom, int] = field(default_factory=dict)
    doubted: dict[Atom, int] = field(default_factory=dict)
    unconfirmed: set[Atom] = field(default_factory=set)
    last_tag: int = 0

    # beginning

    def begin(self, node: Atom, *, thorough: bool = False) -> None:
        """A visible node connected. thorough: names on which we agree are told to our side again."""
        if node in self.state.known or node in self.by_node:
            return
        self.last_tag += 1
        session = self.by_node[node] = Session(node, self.last_tag, thorough)
        self.state.cast(node, m.init_connect(session.my_tag, self.state.node, self.state.known, self.state.pid))
        parked = self.parked.pop(node, None)
        if parked is not None:
            self.init_connect(node, *parked)

    def init_connect(self, node: Atom, versions: Term, greeting: Term) -> None:
        """The peer began a session. Without one of ours, as before nodeup, it is kept for later."""
        match versions, greeting:
            case (int(version), int(his_tag), *_), (_, _, _, Pid() as locker, *_):
                pass
            case _:
                self.state.log("warning", f"global: {node.text} sent an init_connect we cannot read: {versions!r}")
                return
        if version < m.LOWEST_VERSION:
            self.state.log(
                "error", f"global: {node.text} speaks version {version}; we need {m.LOWEST_VERSION} or later"
            )
            return
        session = self.by_node.get(node)
        if session is None and not self._doubt(node):
            if node not in self.state.known:  # else it will hear from us, or from who told us, that we agree
                self.parked[node] = (versions, greeting)
            return
        session = self.by_node[node]
        if session.him is not None:
            if version < m.VERIFY_VERSION:
                self.state.log("error", f"global: disconnecting {node.text}, version {version}, which began twice")
                self.state.out.append(Disconnect(node))
                return
            self._stop(session)
        session.him = Candidate(node, locker, version, session.my_tag, his_tag)
        self.state.pending[node] = version
        self.to_locker(session.him)
        if version >= m.VERIFY_VERSION:
            self.state.send(node, m.init_connect_ack(self.state.node, his_tag, session.my_tag))

    def _doubt(self, node: Atom) -> bool:
        """A node that we were told agrees with us begins, long after we met: who told us died before telling it.

        Then the session is needed. In good order such an init_connect comes too, but within the first moments of the
        connection, before the in_sync that makes it void.
        """
        state = self.state
        since = state.connected_at.get(node)
        if node not in state.known or node in state.synced or since is None or state.now - since < DOUBT_AFTER:
            return False
        self.doubted[node] = state.known.pop(node)
        self.begin(node, thorough=True)
        return True

    def init_connect_ack(self, node: Atom, my_tag: Term, his_tag: Term) -> None:
        """The peer says which tags it paired. If that is not what we have, begin again."""
        session = self.by_node.get(node)
        if session is None:
            if node not in self.state.known:
                self.state.send(node, m.cancel_connect(self.state.node, his_tag))
            return
        if session.my_tag != my_tag:
            return  # about a session we ended; our newer init_connect is on its way to the peer
        if session.him is None or session.him.his_tag != his_tag:
            self.state.send(node, m.cancel_connect(self.state.node, his_tag))
            self._begin_again(session)

    def cancel_connect(self, node: Atom, my_tag: Term) -> None:
        """The peer ended the session."""
        session = self.by_node.get(node)
        if session is not None and session.my_tag == my_tag:
            self._begin_again(session)

    def _begin_again(self, session: Session) -> None:
        """End a session and begin another after a pause, in which what is still under way for the old one passes."""
        node, state = session.node, self.state
        self.drop(node, tell=True)
        times = self.restarts[node] = self.restarts.get(node, 0) + 1
        connection = state.connections.get(node)

        def again() -> None:
            if state.connect_all and connection is not None and state.connections.get(node) == connection:
                self.begin(node)

        pause = min(RESTART_FIRST * (1 << min(times - 1, 10)), RESTART_MOST)
        state.after(pause * (0.5 + 0.5 * state.rng.random()), again)

    # ending

    def drop(self, node: Atom, *, tell: bool = False, farewell: Farewell = ()) -> None:
        """End the session with a node, if there is one; its locks are let go after the farewell.

        tell: let a peer that is paired with us know, so that it begins again.
        """
        session = self.by_node.pop(node, None)
        self.parked.pop(node, None)
        self.doubted.pop(node, None)
        him = session.him if session is not None else None
        if tell and him is not None and him.his_tag is not None and him.version >= m.VERIFY_VERSION:
            self.state.send(node, m.cancel_connect(self.state.node, him.his_tag))
        self.state.pending.pop(node, None)
        if session is not None:
            self._stop(session, farewell)

    def _stop(self, session: Session, farewell: Farewell = ()) -> None:
        if session.resolver is not None:
            self.strands.kill(session.resolver)
        if session.him is not None:
            self.to_locker(Cancel(session.him, farewell))
        session.unpair()

    # agreeing

    def locked(self, him: Candidate, lock_id: Term) -> None:
        """The locker has both partitions: send our names."""
        session = self.by_node.get(him.node)
        if session is None or session.him is not him:
            return  # its Cancel waits in the locker's mailbox
        session.lock_id = lock_id
        session.locked = True
        self.state.cast(him.node, m.exchange(self.state.node, self.names.triples(), him.his_tag))
        self._compare(session)

    def exchange(self, node: Atom, names: Term, my_tag: Term) -> None:
        """The peer's names; they may come before the locker told us that both are locked."""
        session = self._current(node, my_tag)
        if session is not None and isinstance(names, list):
            session.his_names = names
            self._compare(session)

    def _compare(self, session: Session) -> None:
        if session.locked and session.his_names is not None and session.resolver is None:
            session.resolver = self.strands.spawn(
                f"resolver for {session.node.text}", self._resolver(session, session.him, session.his_names)
            )

    def _resolver(self, session: Session, him: Candidate | None, his_names: list[Term]) -> Activity[None]:
        ops, his_ops = yield from exchange_names(self.state, self.names, session.node, his_names, session.thorough)
        if self.by_node.get(session.node) is session and session.him is him and him is not None:
            known = self.state.known_for(him.version)
            self.state.cast(him.node, m.resolved(self.state.node, his_ops, known, self.names.names_ext(), him.his_tag))
            session.ops = ops
            self._finish(session)

    def resolved(self, node: Atom, ops: Term, known: Term, names_ext: Term, my_tag: Term) -> None:
        """What the peer decided for us, and whom it knows."""
        session = self._current(node, my_tag)
        if session is not None and isinstance(ops, list) and isinstance(known, list):
            session.his_resolved = Resolved(ops, known, names_ext if isinstance(names_ext, list) else [])
            self._finish(session)

    def _finish(self, session: Session) -> None:
        """Both have decided: change the names, tell those we knew, meet those he knew."""
        mine, his, him = session.ops, session.his_resolved, session.him
        if mine is None or his is None or him is None:
            return
        session.resolver = None
        state, node = self.state, session.node
        ops = mine + his.ops
        his_known = {name: version or state.version_of(name) for name, version in m.node_versions(his.known)}
        his_known.pop(state.node, None)
        joined = {node: him.version, **his_known}
        self.names.apply(ops, his.names_ext, Author(lock_id=session.lock_id))
        self.on_synced(node)
        for other in his_known:
            self.drop(other)
        self.drop(node, farewell=tuple(self._announce(ops, his.names_ext, joined, him, session.lock_id)))
        self.restarts.pop(node, None)
        state.add_to_known(joined)
        state.synced[node] = None
        self.meet(his_known)

    def _announce(
        self, ops: list[Term], names_ext: list[Term], joined: dict[Atom, int], him: Candidate, lock_id: Term
    ) -> Iterator[tuple[Atom, Term]]:
        """new_nodes for everybody we knew before; old releases read no versions in it."""
        version = min(him.version, m.VERSION)
        for node, known_version in self.state.known.items():
            if node is not him.node:
                nodes: list[Term] = list(joined.items() if known_version >= m.PARTITIONS_VERSION else joined)
                yield node, m.new_nodes(self.state.node, ops, names_ext, nodes, version, lock_id)

    def new_nodes(self, node: Atom, ops: Term, names_ext: Term, nodes: Term, extra: Term) -> None:
        """A node we know agreed with a newcomer: take over what changed, and meet those who came."""
        if not isinstance(ops, list) or not isinstance(nodes, list):
            self.state.log("warning", f"global: {node.text} sent new_nodes we cannot read")
            return
        added = self.state.add_to_known(dict(m.node_versions(nodes)))
        for newcomer in added:
            if newcomer in self.state.synced:
                self.drop(newcomer)  # begun for want of this message
        self.meet(added)
        lock_id = next((pair[1] for pair in _pairs(extra) if pair[0] is m.LOCK), None)
        self.names.apply(ops, names_ext if isinstance(names_ext, list) else [], Author(lock_id=lock_id))

    def in_sync(self, node: Atom) -> None:
        """Somebody who agreed with both told us of each other; if it told only the peer, we have to begin ourselves."""
        doubted = self.doubted.get(node)
        self.drop(node)
        self.restarts.pop(node, None)
        if doubted is not None:
            self.state.known[node] = doubted
        self.on_synced(node)
        self.state.synced[node] = None
        if node not in self.state.known and node not in self.unconfirmed:
            self.unconfirmed.add(node)
            self.state.after(BEGIN_AFTER * (1 + self.state.rng.random()), lambda: self._begin_unconfirmed(node))

    def _begin_unconfirmed(self, node: Atom) -> None:
        self.unconfirmed.discard(node)
        state = self.state
        if state.connected(node) and state.connect_all and node in state.synced and node not in state.known:
            self.begin(node, thorough=True)

    def forget(self, node: Atom) -> None:
        """The node is gone or has to go."""
        self.drop(node, tell=True)
        self.restarts.pop(node, None)

    # meeting

    def meet(self, nodes: Iterable[Atom]) -> None:
        """Connect to nodes we were told of and say that we agree."""
        for node in nodes:
            if node is not self.state.node:
                self.state.cast(node, m.in_sync(self.state.node))

    def _current(self, node: Atom, my_tag: Term) -> Session | None:
        """The session a tagged message belongs to; None for a stale one."""
        session = self.by_node.get(node)
        return session if session is not None and session.him is not None and session.my_tag == my_tag else None


def _pairs(extra: Term) -> list[tuple[Term, Term]]:
    return [pair for pair in extra if isinstance(pair, tuple) and len(pair) == 2] if isinstance(extra, list) else []
