"""The name server without its process: events in, actions out.

`GlobalCore` is what Erlang's `global_name_server`, its locker and its registrar are together. Every `handle_*` method
takes one event and the time (seconds, any origin, never backwards) and gives the actions (see `actions`) to carry out
in order. Events of one node must come in the order of its signals: nodeup before its messages, nodedown after them.

    connect_all=False   no sessions: the node keeps names and locks of its own and answers others, as if alone
    prevent_overlapping_partitions=False   a lost connection is not announced, and announcements are ignored

Source  kernel/src/global.erl of OTP 25 (protocol version 8).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from beamish.names import messages as m
from beamish.names.actions import Action, Caller, Disconnect, Reply, SendPid, Term
from beamish.names.locker import Locker, PeerLock
from beamish.names.locks import LockTable, random_pause
from beamish.names.partitions import Gone, Partitions
from beamish.names.registrar import Change, Registrar
from beamish.names.resolve import Methods
from beamish.names.session import Sessions
from beamish.names.state import NODEDOWN, RandomSource, State
from beamish.names.strand import Strands
from beamish.names.table import Author, NameTable
from beamish.term import Atom, Pid, atom

CONF, STATE, NO_TRACE = atom("conf"), atom("state"), atom("no_trace")
WHEREIS_TIMES = 5
"""Counts as that many attempts for the pause before a `whereis` is looked at again."""


@dataclass(slots=True)
class Waiting:
    """A caller of sync, and the nodes it still waits for."""

    caller: Caller
    nodes: set[Atom] = field(default_factory=set)


class GlobalCore:
    """One node's name server.

    node, pid      our name, and the process that speaks for us: name server, locker and registrar in one
    creation       our incarnation, as registered with the port mapper
    rng            source of randomness
    is_alive       whether a pid of this node is alive
    """

    def __init__(
        self,
        node: Atom,
        pid: Pid,
        creation: int,
        rng: RandomSource,
        *,
        connect_all: bool = True,
        prevent_overlapping_partitions: bool = True,
        is_alive: Callable[[Pid], bool] = lambda pid: True,
    ) -> None:
        self.state = State(node, pid, creation, rng, connect_all, prevent_overlapping_partitions)
        self.state.on_unreachable = self._unreachable
        self.locks = LockTable(self.state)
        self.names = NameTable(self.state, self.locks, is_alive)
        self.methods = Methods()
        self.partitions = Partitions(self.state, self._forget)
        self._strands = Strands(self.state, lambda request: self._serve(request, pid))
        self._waiting: list[Waiting] = []
        self.sessions = Sessions(
            self.state,
            self.names,
            self._strands,
            to_locker=lambda message: self._strands.post(self._locker_strand, message),
            on_synced=self._synced,
            last_tag=int(rng.random() * (1 << 31)),
        )
        self.locker = Locker(self.state, self.locks, self.sessions.locked)
        self.registrar = Registrar(self.state, self.names, self.locks)
        self._locker_strand = self._strands.spawn("locker", self.locker.run())
        self._registrar_strand = self._strands.spawn("registrar", self.registrar.run())
        self._strands.run()

    # events

    def handle_nodeup(self, node: Atom, connection: Term, visible: bool, now: float) -> list[Action]:
        """A node connected. Hidden nodes are none of our business."""
        self.state.now = now
        if visible:
            if node in self.state.connections:
                self._down(node, Gone.REPLACED)
            self.state.removing.discard(node)
            self.state.came_up(node, connection)
            if self.state.connect_all:
                self.sessions.begin(node)
        return self._done()

    def handle_nodedown(self, node: Atom, why: Gone, now: float) -> list[Action]:
        """A connection ended. One that we never saw come up, or that was replaced since, changes nothing."""
        self.state.now = now
        if node in self.state.connections:
            self._down(node, why)
        return self._done()

    def handle_message(self, message: Term, now: float) -> list[Action]:
        """A plain message to the name server."""
        self.state.now = now
        self._message(message)
        return self._done()

    def handle_cast(self, message: Term, now: float) -> list[Action]:
        """The message of a gen cast."""
        self.state.now = now
        self._cast(message)
        return self._done()

    def handle_call(self, caller: Caller, request: Term, now: float) -> list[Action]:
        """The request of a gen call; the answer is a `Reply`, now or later. caller: (pid, tag)."""
        self.state.now = now
        self._call(caller, request)
        return self._done()

    def handle_down(self, key: int, now: float) -> list[Action]:
        """A watched process ended, or its node is gone."""
        self.state.now = now
        then = self.state.monitors.pop(key, None)
        if then is not None:
            then()
        return self._done()

    def handle_timer(self, key: int, now: float) -> list[Action]:
        """A timer fired."""
        self.state.now = now
        then = self.state.timers.pop(key, None)
        if then is not None:
            then()
        return self._done()

    def handle_result(self, key: int, ok: bool, value: Term, now: float) -> list[Action]:
        """How a call, a connection attempt or a resolver ended. Keys that are not known any more are ignored."""
        self.state.now = now
        self.state.settle(key, ok, value)
        return self._done()

    def prepare_shutdown(self, now: float) -> list[Action]:
        """We are about to stop: from now on connections that close are no news to anybody."""
        self.state.now = now
        self.state.connect_all = self.state.prevent_overlapping_partitions = False
        return self._done()

    # reading, without traffic

    def whereis(self, name: Term) -> Pid | None:
        """The process registered under a name, as far as this node knows."""
        return self.names.whereis(name)

    def registered_names(self) -> list[Term]:
        """All global names this node knows."""
        return self.names.names()

    def lock_nodes(self) -> list[Atom]:
        """The nodes on which user locks are set by default: ourselves and all visible connected ones."""
        return [self.state.node, *self.state.connections]

    def busy(self) -> list[str]:
        """What is under way, for inspection and tests; empty when all is settled."""
        found = [f"session with {node.text}" for node in self.sessions.by_node]
        found += [f"locker {self.locker.doing}"] if self.locker.doing != "idle" else []
        found += [f"candidate {node.text}" for node in self.locker.candidates]
        found += [f"registrar {self.registrar.doing}"] if self.registrar.doing != "idle" else []
        found += [f"lock {lock.resource!r} for {lock.requester!r}" for lock in self.locks.holders().values()]
        found += [f"waiting for an answer from {node}" for node, _ in self.state.outcomes.values()]
        found += [f"reaching {node.text}" for node in self.state.reaching]
        return found

    # inside

    def _done(self) -> list[Action]:
        self._strands.run()
        return self.state.flush()

    def _down(self, node: Atom, why: Gone) -> None:
        del self.state.connections[node]
        del self.state.connected_at[node]
        self.state.fail_calls_to(node, NODEDOWN)
        self._stop_waiting(node)
        self._forget(node, why)

    def _forget(self, node: Atom, why: Gone) -> None:
        """Take a node out of everything; announce it if its connection was lost unasked."""
        self.sessions.forget(node)
        if why is Gone.REMOVED:
            if self.state.connected(node):
                self.state.removing.add(node)
        elif node in self.state.removing:
            self.state.removing.discard(node)
        elif why is Gone.LOST:
            self.partitions.announce(node)
        self.state.known.pop(node, None)
        self.state.synced.pop(node, None)
        self.state.stop_reaching(node)

    def _unreachable(self, node: Atom) -> None:
        """A peer told us of a node that we cannot connect to: to us it is as good as lost."""
        self._stop_waiting(node)
        self._forget(node, Gone.LOST)

    def _message(self, message: Term) -> None:
        match message:
            case (m.INIT_CONNECT_ACK, Atom() as node, my_tag, his_tag):
                self.sessions.init_connect_ack(node, my_tag, his_tag)
            case (m.CANCEL_CONNECT, Atom() as node, my_tag):
                self.sessions.cancel_connect(node, my_tag)
            case (m.LOST_CONNECTION, Atom() as reporter, incarnation, number, Atom() as lost):
                self.partitions.lost_connection(reporter, incarnation, number, lost)
            case (m.REMOVE_CONNECTION, Atom() as node):
                self.partitions.remove_connection(node)
            case (m.WHEREIS, name, (Pid(), _) as caller):
                self._whereis(name, caller)
            case (m.LOCK_SET, Pid() as locker, bool(is_set), _):
                self._peer_lock(locker, is_set, None)
            case (m.PREPARE_SHUTDOWN, Pid() as sender, reference) if sender.node is self.state.node:
                self.state.connect_all = self.state.prevent_overlapping_partitions = False
                self.state.out.append(SendPid(sender, (reference, m.OK)))
            case _:
                self.state.log("warning", f"global_name_server got an unexpected message: {message!r}")

    def _cast(self, message: Term) -> None:
        match message:
            case (m.INIT_CONNECT, versions, Atom() as node, greeting):
                self.sessions.init_connect(node, versions, greeting)
            case (m.LOCK_SET, Pid() as locker, bool(is_set), _, tag):
                self._peer_lock(locker, is_set, tag)
            case (m.LOCK_SET, Pid() as locker, bool(is_set), _):
                self._peer_lock(locker, is_set, None)
            case (m.EXCHANGE, Atom() as node, names, _, my_tag):
                self.sessions.exchange(node, names, my_tag)
            case (m.RESOLVED, Atom() as node, ops, known, _, names_ext, my_tag):
                self.sessions.resolved(node, ops, known, names_ext, my_tag)
            case (m.NEW_NODES, Atom() as node, ops, names_ext, nodes, extra):
                if self.state.connect_all:
                    self.sessions.new_nodes(node, ops, names_ext, nodes, extra)
            case (m.IN_SYNC, Atom() as node, _):
                self.sessions.in_sync(node)
            case (m.ASYNC_DEL_NAME | m.ASYNC_DEL_LOCK, _, _):
                pass  # of releases long gone
            case _:
                self.state.log("warning", f"global_name_server got an unexpected cast: {message!r}")

    def _peer_lock(self, locker: Pid, is_set: bool, tag: Term) -> None:
        """A peer's lock_set. One for a session that we no longer have is refused, or the peer would hold its locks
        for us."""
        session = self.sessions.by_node.get(locker.node)
        if session is None:
            if is_set:
                refusal = m.lock_set(self.state.pid, False, list(self.state.known), None)
                self.state.out.append(SendPid(locker, refusal))
        elif tag is None or tag == session.my_tag:
            self._strands.post(self._locker_strand, PeerLock(locker, is_set, tag))

    def _whereis(self, name: Term, caller: Caller) -> None:
        """Answer when names are not just being changed."""
        if self.locks.global_lock() is None:
            self.state.out.append(Reply(caller, self.whereis(name) or m.UNDEFINED))
        else:
            self.state.after(random_pause(WHEREIS_TIMES, self.state.rng), lambda: self._whereis(name, caller))

    def _call(self, caller: Caller, request: Term) -> None:
        local = caller[0].node is self.state.node
        match request:
            case (m.SYNC, list(nodes)):
                self._sync(caller, nodes)
            case (m.REGISTRAR, change) if local:
                self._change(caller, change)
            case m.DISCONNECT if local:
                self.state.out.append(Reply(caller, self._disconnect_all()))
            case _:
                reply = self._serve(request, caller[0])
                if reply is _UNKNOWN:
                    self.state.log(
                        "warning", f"global_name_server got an unexpected call: {request!r} from {caller[0]!r}"
                    )
                else:
                    self.state.out.append(Reply(caller, reply))

    def _serve(self, request: Term, pid: Pid) -> Term:
        """The calls that are answered at once."""
        match request:
            case (m.SET_LOCK, (_, _) as lock_id):
                return self.locks.set(lock_id, pid)
            case (m.DEL_LOCK, (_, _) as lock_id):
                self.locks.delete(lock_id, pid)
                return True
            case (m.REGISTER, name, Pid() as registered, method):
                self.names.insert(name, registered, method, Author(pid=pid))
                return m.YES
            case (m.REGISTER_EXT, name, Pid() as registered, method, Atom() as reg_node):
                self.names.insert(name, registered, method, Author(pid=pid), reg_node=reg_node)
                return m.YES
            case (m.UNREGISTER, name):
                self.names.delete(name)
                return m.OK
            case m.GET_KNOWN:
                return list(self.state.known)
            case m.GET_SYNCED:
                return list(self.state.synced)
            case m.GET_PROTOCOL_VERSION:
                return m.VERSION
            case m.GET_NAMES_EXT:
                return self.names.names_ext()
            case m.INFO:
                return self.info()
        return _UNKNOWN

    def _change(self, caller: Caller, change: Term) -> None:
        match change:
            case (m.REGISTER | m.RE_REGISTER as kind, name, Pid() as pid, method):
                self._strands.post(self._registrar_strand, Change(kind, caller, name, pid, method))
            case (m.UNREGISTER, name):
                if self.whereis(name) is None:
                    self.state.out.append(Reply(caller, m.OK))
                else:
                    self._strands.post(self._registrar_strand, Change(m.UNREGISTER, caller, name))
            case _:
                self.state.log("warning", f"global_name_server cannot change names by {change!r}")

    def _sync(self, caller: Caller, nodes: list[Any]) -> None:
        """Answer ok when all those nodes agree with us or are gone."""
        wanted = {node for node in nodes if isinstance(node, Atom)} - {self.state.node} - set(self.state.synced)
        waiting = Waiting(caller, wanted if self.state.connect_all else set())
        self._waiting.append(waiting)
        for node in wanted:
            if not self.state.connected(node):
                self._reach(node)
        self._answer_waiting()

    def _reach(self, node: Atom) -> None:
        """Connect to a node that somebody wants to be in sync with; unreachable is as good as gone."""
        self.state.reach(node, lambda ok: None if ok else self._stop_waiting(node))

    def _synced(self, node: Atom) -> None:
        self._stop_waiting(node)

    def _stop_waiting(self, node: Atom) -> None:
        for waiting in self._waiting:
            waiting.nodes.discard(node)
        self._answer_waiting()

    def _answer_waiting(self) -> None:
        self.state.out.extend(Reply(waiting.caller, m.OK) for waiting in self._waiting if not waiting.nodes)
        self._waiting = [waiting for waiting in self._waiting if waiting.nodes]

    def _disconnect_all(self) -> list[Atom]:
        """Leave the mesh in order; nobody is told that a connection was lost."""
        nodes = list(self.state.connections)
        for node in nodes:
            self.state.out.append(Disconnect(node))
            self._down(node, Gone.SHUTDOWN)
        return nodes

    def info(self) -> Term:
        """Our state in the shape that OTP 25 answers."""
        state = self.state
        conf = (CONF, state.connect_all, state.prevent_overlapping_partitions)
        return (
            STATE,
            conf,
            dict(state.known),
            list(state.synced),
            [(node, session.my_tag, state.pid) for node, session in self.sessions.by_node.items()],
            [waiting.caller[0] for waiting in self._waiting],
            state.node,
            state.pid,
            state.pid,
            NO_TRACE,
            self.locks.global_lock_down,
        )


_UNKNOWN = object()
