"""A cluster of name server cores over a simulated network, in virtual time.

Every pair of nodes has its own delay, with jitter, and keeps its order, as TCP does. Nothing here sleeps: the clock
jumps to the next event. The same seed gives the same run.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from typing import Any

from beamish.names import messages as m
from beamish.names.actions import (
    Action,
    Call,
    CancelTimer,
    Cast,
    ConnectTo,
    Demonitor,
    Disconnect,
    KillPid,
    Log,
    Monitor,
    NameEvent,
    Reply,
    ResolveRemote,
    RunResolver,
    Send,
    SendPid,
    StartTimer,
)
from beamish.names.core import GlobalCore
from beamish.names.partitions import Gone
from beamish.names.resolve import standard_outcome
from beamish.term import Atom, Pid, atom

HANDSHAKE = 0.004


class Connection:
    """One connection: who of the two still holds it for up, and when the last message of each direction arrives."""

    def __init__(self, number: int, one: SimNode, two: SimNode) -> None:
        self.number = number
        self.ends = (one, two)
        self.up = {one: True, two: True}
        self.last = {one: 0.0, two: 0.0}  # by receiver
        self.broken = False  # what is under way is lost

    def other(self, node: SimNode) -> SimNode:
        return self.ends[1] if node is self.ends[0] else self.ends[0]


class SimNode:
    def __init__(
        self, net: Net, name: str, creation: int, make_core: Callable[..., GlobalCore], **options: Any
    ) -> None:
        self.net = net
        self.name = atom(name)
        self.creation = creation
        self.alive = True
        self.ids = itertools.count(100)
        self.dead: set[Pid] = set()
        self.messages: dict[Pid, list[Any]] = {}
        self.watchers: dict[Pid, dict[tuple[SimNode, int], None]] = {}
        self.monitors: dict[int, Pid] = {}
        self.cancelled: set[int] = set()
        self.replies: dict[Any, Any] = {}
        self.logs: list[Log] = []
        self.events: list[NameEvent] = []
        self.connections: dict[Atom, Connection] = {}
        self.calls: dict[int, Atom] = {}
        self.core = make_core(
            self.name,
            self.spawn(),
            creation,
            random.Random(net.rng.random()),
            is_alive=lambda pid: pid not in self.dead,
            **options,
        )

    def __repr__(self) -> str:
        return self.name.text

    def spawn(self) -> Pid:
        return Pid(self.name, next(self.ids), 0, self.creation)

    # what users do

    def ask(self, request: Any, pid: Pid | None = None) -> str:
        """A local gen call; its answer appears in `replies` under the tag that is given back."""
        tag = f"call {next(self.net.numbers)}"
        self.act(self.core.handle_call((pid or self.core.state.pid, tag), request, self.net.now))
        return tag

    def register(self, name: Any, pid: Pid | None = None, resolve: Any = None) -> str:
        pid = pid or self.spawn()
        return self.ask((m.REGISTRAR, (m.REGISTER, name, pid, self.core.methods.term_of(resolve))))

    def unregister(self, name: Any) -> str:
        return self.ask((m.REGISTRAR, (m.UNREGISTER, name)))

    def sync(self) -> str:
        return self.ask((m.SYNC, list(self.core.state.connections)))

    def kill(self, pid: Pid) -> None:
        if pid in self.dead:
            return
        self.dead.add(pid)
        for watcher, key in self.watchers.pop(pid, {}):
            self.net.transmit(self, watcher, lambda watcher=watcher, key=key: watcher.report_down(key))

    # how actions are carried out

    def act(self, actions: list[Action]) -> None:
        for action in actions:
            if self.alive:
                self.carry_out(action)

    def carry_out(self, action: Action) -> None:
        net, core = self.net, self.core
        match action:
            case Send(node, message):
                self.transmit(node, lambda peer: peer.act(peer.core.handle_message(message, net.now)))
            case Cast(node, message):
                self.transmit(node, lambda peer: peer.act(peer.core.handle_cast(message, net.now)))
            case Call(node, request, key):
                caller = (core.state.pid, (self, key))
                self.calls[key] = node
                if not self.transmit(node, lambda peer: peer.act(peer.core.handle_call(caller, request, net.now))):
                    net.later(0.0, lambda: self.settle(key, False, atom.noconnection))
            case Reply((pid, tag), reply):
                if isinstance(tag, str):
                    self.replies[tag] = reply
                else:
                    asker, key = tag
                    self.transmit(pid.node, lambda peer: peer.settle(key, True, reply) if peer is asker else None)
            case SendPid(pid, message):
                self.deliver(pid, message)
            case Monitor(pid, key):
                self.monitors[key] = pid
                self.monitor(pid, key)
            case Demonitor(key):
                self.monitors.pop(key, None)
            case StartTimer(key, seconds):
                net.later(seconds, lambda: self.fire(key))
            case CancelTimer(key):
                self.cancelled.add(key)
            case ConnectTo(node, key):
                net.connect(self, net.nodes.get(node), lambda ok: self.settle(key, ok, None))
            case Disconnect(node):
                if node in self.connections:
                    net.close(self.connections[node], self)
            case KillPid(pid):
                if pid.node is self.name:
                    net.later(0.0, lambda: self.kill(pid))
                else:
                    self.transmit(pid.node, lambda peer: peer.kill(pid))
            case ResolveRemote(node, arguments, key):
                self.calls[key] = node
                if not self.transmit(node, lambda peer: peer.resolve_it(self, key, arguments)):
                    net.later(0.0, lambda: self.settle(key, False, atom.noconnection))
            case RunResolver(method, name, pid, pid2, key):
                resolver = core.methods.callable_of(method)
                assert resolver is not None
                outcome = resolver(name, pid, pid2)
                net.later(0.001, lambda: self.settle(key, True, outcome))
            case Log():
                self.logs.append(action)
            case NameEvent():
                self.events.append(action)

    def transmit(self, node: Atom, arrive: Callable[[SimNode], None]) -> bool:
        """Over the connection to a node, if there is one."""
        if node not in self.connections:
            return False
        peer = self.connections[node].other(self)
        return self.net.transmit(self, peer, lambda: arrive(peer))

    def deliver(self, pid: Pid, message: Any) -> None:
        if pid.node is not self.name:
            self.transmit(pid.node, lambda peer: peer.deliver(pid, message))
        elif pid == self.core.state.pid:
            self.act(self.core.handle_message(message, self.net.now))
        else:
            self.messages.setdefault(pid, []).append(message)

    def resolve_it(self, asker: SimNode, key: int, arguments: list[Any]) -> None:
        standard = standard_outcome(*arguments)
        if standard is None:
            resolver = self.core.methods.callable_of(arguments[0])
            outcome = resolver(*arguments[1:]) if resolver else (atom.EXIT, atom.undef)
        else:
            outcome, actions = standard
            self.act(actions)
        self.net.transmit(self, asker, lambda: asker.settle(key, True, outcome))

    def settle(self, key: int, ok: bool, value: Any) -> None:
        self.calls.pop(key, None)
        self.act(self.core.handle_result(key, ok, value, self.net.now))

    def fire(self, key: int) -> None:
        if key not in self.cancelled:
            self.act(self.core.handle_timer(key, self.net.now))

    def monitor(self, pid: Pid, key: int) -> None:
        if pid.node is self.name:
            self.watched(pid, self, key)
        elif not self.transmit(pid.node, lambda peer: peer.watched(pid, self, key)):
            peer = self.net.nodes.get(pid.node)
            self.net.connect(self, peer, lambda ok: self.monitor(pid, key) if ok else self.report_down(key))

    def watched(self, pid: Pid, watcher: SimNode, key: int) -> None:
        if pid in self.dead or pid.creation != self.creation:
            self.net.transmit(self, watcher, lambda: watcher.report_down(key))
        else:
            self.watchers.setdefault(pid, {})[watcher, key] = None

    def report_down(self, key: int) -> None:
        if self.monitors.pop(key, None) is not None:
            self.act(self.core.handle_down(key, self.net.now))

    def went_up(self, connection: Connection) -> None:
        peer = connection.other(self)
        self.connections[peer.name] = connection
        self.act(self.core.handle_nodeup(peer.name, connection.number, True, self.net.now))

    def went_down(self, connection: Connection, why: Gone) -> None:
        peer = connection.other(self)
        if not self.alive or self.connections.get(peer.name) is not connection:
            return
        del self.connections[peer.name]
        connection.up[self] = False
        for watched in self.watchers.values():
            for watcher, key in [entry for entry in watched if entry[0] is peer]:
                del watched[watcher, key]
        steps: list[Callable[[], None]] = [
            lambda: self.act(self.core.handle_nodedown(peer.name, why, self.net.now)),
            lambda: [
                self.settle(key, False, atom.noconnection)
                for key, node in list(self.calls.items())
                if node is peer.name
            ],
            lambda: [self.report_down(key) for key, pid in list(self.monitors.items()) if pid.node is peer.name],
        ]
        self.net.rng.shuffle(steps)
        for step in steps:
            step()


class Net:
    """The network, the clock and what the user does to them."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.now = 1000.0
        self.numbers = itertools.count(1)
        self.heap: list[tuple[float, int, Callable[[], None]]] = []
        self.nodes: dict[Atom, SimNode] = {}
        self.cuts: set[frozenset[Atom]] = set()
        self.attempts: dict[frozenset[Atom], list[tuple[SimNode, Callable[[bool], None]]]] = {}
        self.delays: dict[frozenset[Atom], float] = {}
        self.handled = 0

    def start(self, name: str, make_core: Callable[..., GlobalCore] = GlobalCore, **options: Any) -> SimNode:
        node = SimNode(self, name, next(self.numbers) + 4, make_core, **options)
        self.nodes[node.name] = node
        return node

    def alive(self) -> list[SimNode]:
        return [node for node in self.nodes.values() if node.alive]

    def later(self, seconds: float, then: Callable[[], None]) -> None:
        heapq.heappush(self.heap, (self.now + seconds, next(self.numbers), then))

    def delay(self, one: SimNode, two: SimNode) -> float:
        base = self.delays.setdefault(frozenset((one.name, two.name)), 10 ** self.rng.uniform(-4.5, -1.2))
        return base * self.rng.uniform(0.8, 1.6)

    def transmit(self, sender: SimNode, receiver: SimNode, arrive: Callable[[], None]) -> bool:
        """Over the connection of two nodes, in order; lost if it breaks meanwhile. To oneself at once."""
        if sender is receiver:
            self.later(0.0, arrive)
            return True
        connection = sender.connections.get(receiver.name)
        if connection is None or not connection.up[sender]:
            return False
        at = max(connection.last[receiver], self.now + self.delay(sender, receiver))
        connection.last[receiver] = at

        def deliver() -> None:
            if receiver.alive and receiver.connections.get(sender.name) is connection and not connection.broken:
                arrive()

        self.later(at - self.now, deliver)
        return True

    def connect(self, one: SimNode, two: SimNode | None, then: Callable[[bool], None] = lambda ok: None) -> None:
        """Set up a connection, or join the attempt under way from either side."""
        if two is None:
            self.later(0.002, lambda: then(False))
            return
        pair = frozenset((one.name, two.name))
        if two.name in one.connections:
            self.later(0.0, lambda: then(two.name in one.connections))
            return
        waiting = self.attempts.setdefault(pair, [])
        waiting.append((one, then))
        if len(waiting) == 1:
            self.later(HANDSHAKE + 3 * self.delay(one, two), lambda: self.connected(one, two, pair))

    def connected(self, one: SimNode, two: SimNode, pair: frozenset[Atom]) -> None:
        """The attempt ends. Each end that waits for it is told once its own side is up."""
        if not (one.alive and two.alive) or pair in self.cuts or one.name in two.connections:
            for node, then in self.attempts.pop(pair):
                then((two if node is one else one).name in node.connections)
            return
        connection = Connection(next(self.numbers), one, two)
        connection.last[two] = self.now + self.delay(one, two)

        def up(node: SimNode) -> None:
            if node.alive and not connection.broken:
                node.went_up(connection)
            elif not node.alive:
                connection.other(node).went_down(connection, Gone.LOST)
            waiting = self.attempts.pop(pair) if node is two else list(self.attempts[pair])
            for waiter, then in waiting:
                if waiter is node:
                    then(connection.other(node).name in node.connections)

        self.later(connection.last[two] - self.now, lambda: up(two))  # before anything sent can reach it
        up(one)

    def close(self, connection: Connection, closer: SimNode, why: Gone = Gone.LOST, far: Gone = Gone.LOST) -> None:
        """One end closes: what it sent arrives, what is on its way to it does not."""
        peer = connection.other(closer)
        if not connection.up[closer]:
            return
        connection.up[closer] = False
        at = connection.last[peer] = max(connection.last[peer], self.now + self.delay(closer, peer))
        self.later(0.0, lambda: closer.went_down(connection, why))
        self.later(at - self.now + 1e-9, lambda: peer.went_down(connection, far))

    def cut(self, one: SimNode, two: SimNode, within: float = 1.5) -> None:
        """The link fails: both ends notice, each in its own time, at most that many seconds later."""
        self.cuts.add(frozenset((one.name, two.name)))
        connection = one.connections.get(two.name)
        if connection is not None:
            connection.broken = True
            for end in connection.ends:
                self.later(self.rng.uniform(0.0, within), lambda end=end: end.went_down(connection, Gone.LOST))

    def heal(self, one: SimNode, two: SimNode) -> None:
        self.cuts.discard(frozenset((one.name, two.name)))

    def replace(self, one: SimNode, two: SimNode) -> None:
        """A newer connection takes the place of the old one."""
        connection = one.connections.get(two.name)
        if connection is None:
            return
        connection.broken = True
        for end in connection.ends:
            end.went_down(connection, Gone.REPLACED)
        self.connect(one, two)

    def crash(self, node: SimNode) -> None:
        """kill -9: what it had written still arrives, then its connections close."""
        for connection in list(node.connections.values()):
            peer = connection.other(node)
            at = max(connection.last[peer], self.now + self.delay(node, peer))
            self.later(
                at - self.now + 1e-9, lambda peer=peer, connection=connection: peer.went_down(connection, Gone.LOST)
            )
        node.alive = False
        del self.nodes[node.name]

    def stop(self, node: SimNode) -> None:
        """An orderly stop."""
        node.act(node.core.prepare_shutdown(self.now))
        self.crash(node)

    def run(self, seconds: float = 600.0) -> float:
        """Until nothing is left to happen; gives the virtual seconds that took.

        Fails when that does not come within `seconds`: something retries for ever.
        """
        began = self.now
        while self.heap:
            if self.heap[0][0] > began + seconds:
                raise AssertionError(f"not settled after {seconds} s: {self.unsettled()}")
            self.step()
        return self.now - began

    def run_for(self, seconds: float) -> None:
        """Let time pass, with whatever happens in it."""
        end = self.now + seconds
        while self.heap and self.heap[0][0] <= end:
            self.step()
        self.now = end

    def step(self) -> None:
        at, _, then = heapq.heappop(self.heap)
        self.now = max(self.now, at)
        self.handled += 1
        then()

    def unsettled(self) -> dict[str, list[str]]:
        return {node.name.text: node.core.busy() for node in self.alive() if node.core.busy()}

    # what must hold

    def groups(self) -> list[set[SimNode]]:
        """The nodes by who is connected with whom, directly or through others."""
        left, groups = set(self.alive()), []
        while left:
            group: set[SimNode] = set()
            todo = [left.pop()]
            while todo:
                node = todo.pop()
                group.add(node)
                todo += [self.nodes[name] for name in node.connections if self.nodes.get(name) not in group]
            left -= group
            groups.append(group)
        return groups

    def check(self) -> None:
        """Nothing is under way, every group is a full mesh, and its members agree about themselves and all names."""
        assert self.unsettled() == {}
        for group in self.groups():
            for node in group:
                others = {other.name for other in group if other is not node}
                assert set(node.connections) == others, f"{node} is not connected to all"
                state = node.core.state
                assert set(state.known) == others, f"{node} does not know all"
                assert set(state.synced) == others, f"{node} is not in sync with all"
                assert not state.pending
                assert not state.removing
                assert not state.outcomes
                assert set(state.known.values()) <= {m.VERSION}
                assert not node.core.sessions.parked
            views = {tuple(sorted(self.names(node).items())) for node in group}
            assert len(views) == 1, f"names differ: {views}"

    @staticmethod
    def names(node: SimNode) -> dict[str, Pid]:
        """The node's names, by their text."""
        return {repr(name): node.core.names.lookup(name).pid for name in node.core.registered_names()}


def healthy_mesh(net: Net, names: list[str], make_core: Callable[..., GlobalCore] = GlobalCore) -> list[SimNode]:
    """Nodes that joined one after the other, in sync."""
    nodes = [net.start(name, make_core) for name in names]
    for node in nodes[1:]:
        net.connect(node, nodes[0])
        net.run()
    net.check()
    return nodes
