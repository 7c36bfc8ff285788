"""A network in memory: several runtimes of one loop, and everything that can go wrong between them.

    network = MemoryNetwork(seed=7)
    network.attach(one)                     # a Runtime("one@host")
    network.attach(two)                     # they connect when somebody sends, as nodes do
    network.cut("one@host", "two@host")

Signals between a pair of nodes keep their order and take a random time; those of different pairs overtake one another.
All chance comes from the seed: on the virtual clock the same seed gives the same run, so a failure can be replayed; in
another interpreter too, unless the code under test goes through sets, whose order PYTHONHASHSEED fixes.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from beamish.node.route import PendingRoute, fail_route
from beamish.node.runtime import Runtime
from beamish.process import Route
from beamish.term import Atom, atom
from beamish.testing.memory_route import MemoryRoute

log = logging.getLogger("beamish.testing")

DELAY: Final = (0.0001, 0.02)
"""Seconds that a signal takes, at least and at most."""

NOTICE: Final = (0.0, 0.2)
"""Seconds until a node notices that the connection to another was cut; each side has its own."""

COOKIE: Final = "memory"
BROKEN: Final = "connection lost: the network was cut"
CLOSED: Final = "connection closed by the peer"


@dataclass(slots=True)
class MemoryPeer:
    """A node at the other end of a connection."""

    node: Atom
    visible: bool
    creation: int
    connection_id: int


class _Lane:
    """One direction of a connection: first in, first out, each after its own delay."""

    def __init__(self, network: MemoryNetwork, pair: frozenset[Atom], deliver: Callable[[bytes | str], None]) -> None:
        self._network = network
        self._pair = pair
        self._deliver = deliver
        self._waiting: deque[tuple[float, bytes | str]] = deque()
        self._last = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.open = True

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, what: bytes | str) -> None:
        """Bytes of a signal, or "up" or "closed" about the connection itself."""
        if not self.open:
            return
        takes = self._network.chance.uniform(*self._network.delay_of(self._pair))
        self._last = max(self._last, self._network.loop.time() + takes)
        self._waiting.append((self._last, what))
        if self._timer is None:
            self._timer = self._network.loop.call_at(self._last, self._due)

    def _due(self) -> None:
        self._timer = None
        now = self._network.loop.time() + 1e-9
        while self._waiting and self._waiting[0][0] <= now:
            self._deliver(self._waiting.popleft()[1])
        if self._waiting and self._timer is None:
            self._timer = self._network.loop.call_at(self._waiting[0][0], self._due)

    def drop(self) -> None:
        """Whatever is under way is lost, and nothing more is taken."""
        self.open = False
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _End:
    """One node's side of a connection."""

    def __init__(self, net: MemoryNet, peer: MemoryNet, number: int) -> None:
        self.net = net
        self.number = number
        self.other: _End = self
        self.state = "opening"
        self.incoming = _Lane(net.network, frozenset((net.runtime.node, peer.runtime.node)), self._arrived)
        self.peer = MemoryPeer(peer.runtime.node, not peer.hidden, peer.runtime.creation, number)
        self.route = MemoryRoute(net.runtime, peer.runtime.node, self.put)

    def put(self, what: bytes | str) -> None:
        self.other.incoming.put(what)

    def _arrived(self, what: bytes | str) -> None:
        if isinstance(what, bytes):
            self.net.network.note("signal", self.peer.node, self.net.runtime.node)
            try:
                self.route.dispatch(what)
            except Exception:
                log.exception("connection from %s to %s closed: bad signal", self.peer.node, self.net.runtime.node)
                self.put("closed")
                self.net.down(self, "bad signal")
        elif what == "up":
            self.net.up(self)
        else:
            self.net.down(self, CLOSED)


class MemoryNet:
    """The distribution of one runtime (`Runtime.net`)."""

    def __init__(self, network: MemoryNetwork, runtime: Runtime, *, hidden: bool, cookie: str, auto_connect: bool) -> None:
        self.network = network
        self.runtime = runtime
        self.hidden = hidden
        self.auto_connect = auto_connect
        self.stopped = False
        self.ends: dict[Atom, _End] = {}
        self.failures: dict[Atom, str] = {}
        self._cookie = cookie
        self._cookies: dict[Atom, str] = {}
        self._waiters: dict[Atom, list[asyncio.Future[bool]]] = {}
        self._attempts: dict[Atom, asyncio.TimerHandle] = {}
        runtime.net = self
        runtime.connector = self.route

    # ---- what the runtime asks for

    async def connect(self, node: Atom) -> bool:
        """Connect and say whether that worked."""
        end = self.ends.get(node)
        if end is not None and end.state == "up":
            return True
        if self.stopped or node is self.runtime.node:
            return False
        waiter: asyncio.Future[bool] = self.runtime.loop.create_future()
        self._waiters.setdefault(node, []).append(waiter)
        self._try(node)
        return await waiter

    def disconnect(self, node: Atom) -> bool:
        """Close a connection; what was sent before still arrives. False if there was none."""
        end = self.ends.get(node)
        if end is None or end.state != "up":
            return False
        end.put("closed")
        self.down(end, "disconnected")
        return True

    def route(self, node: Atom) -> Route | None:
        """The kernel wants to send to a node that has no route: start connecting and queue what it sends."""
        if self.stopped or not self.auto_connect:
            return None
        waiting = PendingRoute(node)
        self.runtime.routes[node] = waiting
        self._try(node)
        return waiting

    async def stop(self) -> None:
        """Leave: every connection is closed."""
        self.leave()

    def set_cookie(self, node: Atom | None, cookie: str) -> None:
        """Our cookie, or the one for one peer."""
        if node is None or node is self.runtime.node:
            self._cookie = cookie
        else:
            self._cookies[node] = cookie

    def get_cookie(self, node: Atom | None = None) -> str:
        """The cookie used with a peer."""
        return self._cookie if node is None else self._cookies.get(node, self._cookie)

    def failure_text(self, node: Atom) -> str:
        """Why the last attempt to reach a node failed."""
        return self.failures.get(node, f"{node} could not be reached")

    # ---- connections

    def _try(self, node: Atom) -> None:
        end = self.ends.get(node)
        if node not in self._attempts and (end is None or end.state != "opening"):
            delay = self.network.chance.uniform(*self.network.delay)
            self._attempts[node] = self.runtime.loop.call_later(delay, self._attempt, node)

    def _attempt(self, node: Atom) -> None:
        del self._attempts[node]
        if node in self.ends:
            return  # the peer was faster; whoever waits is told when that connection is up
        peer = self.network.nets.get(node)
        if peer is None or peer.stopped:
            self._give_up(node, f"{node} is not running")
        elif self.network.is_cut(self.runtime.node, node):
            self._give_up(node, f"{node} cannot be reached: the network is cut")
        elif self.get_cookie(node) != peer.get_cookie(self.runtime.node):
            self._give_up(node, f"{node} has another cookie")
        else:
            self._connect_to(peer)

    def _connect_to(self, peer: MemoryNet) -> None:
        me = self.runtime.node
        stale = peer.ends.get(me)
        if stale is not None:
            # We have lost that connection; the peer learns it now, and that a successor is at hand.
            peer.down(stale, "replaced by a new connection", replaced=True)
        number = next(self.network.numbers)
        ours, theirs = _End(self, peer, number), _End(peer, self, number)
        ours.other, theirs.other = theirs, ours
        self.ends[peer.runtime.node] = ours
        peer.ends[me] = theirs
        theirs.put("up")
        peer.up(theirs)

    def up(self, end: _End) -> None:
        """The connection can be used from this side."""
        node = end.peer.node
        if end.state != "opening":
            return
        end.state = "up"
        self.network.note("up", self.runtime.node, node)
        waiting = self.runtime.routes.get(node)
        self.runtime.routes[node] = end.route
        self.failures.pop(node, None)
        self.runtime.node_up(end.peer)
        if isinstance(waiting, PendingRoute):
            waiting.flush_into(end.route)
        self._answer(node, True)

    def down(self, end: _End, reason: str, *, replaced: bool = False) -> None:
        """The connection is over for this side; the other may not know yet."""
        node = end.peer.node
        if self.ends.get(node) is not end:
            return
        del self.ends[node]
        before, end.state = end.state, "down"
        end.route.closed = True
        end.incoming.drop()
        if before == "opening":
            if not replaced:
                self._give_up(node, reason)
            return
        self.network.note("down", self.runtime.node, node)
        if self.runtime.routes.get(node) is end.route:
            del self.runtime.routes[node]
        fail_route(self.runtime, end.route)
        self.runtime.node_down(end.peer, reason, replaced)

    def _give_up(self, node: Atom, reason: str) -> None:
        self.failures[node] = reason
        waiting = self.runtime.routes.get(node)
        if isinstance(waiting, PendingRoute):
            del self.runtime.routes[node]
            fail_route(self.runtime, waiting)
        self._answer(node, False)

    def _answer(self, node: Atom, answer: bool) -> None:
        for waiter in self._waiters.pop(node, []):
            if not waiter.done():
                waiter.set_result(answer)

    def leave(self) -> None:
        """No more connections in or out; those that stand are closed."""
        if self.stopped:
            return
        self.stopped = True
        self.runtime.connector = None
        for node, timer in list(self._attempts.items()):
            timer.cancel()
            self._give_up(node, "the node stops")
        self._attempts.clear()
        for end in list(self.ends.values()):
            end.put("closed")
            self.down(end, "the node stops")


class MemoryNetwork:
    """The cables. Node names may be given as str or Atom.

    seed: all chance comes from it. delay: of a signal; notice: of a cut, each (at least, at most) in seconds.
    keep_log: have `log` list what happened, as (time, what, from, to), for comparing runs.
    """

    def __init__(
        self, seed: int = 0, *, delay: tuple[float, float] = DELAY, notice: tuple[float, float] = NOTICE,
        keep_log: bool = False,
    ) -> None:  # fmt: skip
        self.loop = asyncio.get_running_loop()
        self.seed = seed
        self.chance = random.Random(seed)
        self.delay = delay
        self.notice = notice
        self.nets: dict[Atom, MemoryNet] = {}
        self.numbers = itertools.count(1)
        self.log: list[tuple[float, str, Atom, Atom]] | None = [] if keep_log else None
        self._cuts: set[frozenset[Atom]] = set()
        self._usual_delay = delay
        self._delays: dict[frozenset[Atom], tuple[float, float]] = {}

    def attach(
        self, runtime: Runtime, *, hidden: bool = False, cookie: str = COOKIE, auto_connect: bool = True
    ) -> MemoryNet:
        """Put a runtime on the network. One that has stopped makes room for its successor of the same name."""
        present = self.nets.get(runtime.node)
        if present is not None and not present.stopped:
            raise ValueError(f"{runtime.node} is already on this network")
        if runtime.loop is not self.loop:
            raise ValueError(f"{runtime.node} runs on another loop than its network")
        net = MemoryNet(self, runtime, hidden=hidden, cookie=cookie, auto_connect=auto_connect)
        self.nets[runtime.node] = net
        return net

    # ---- trouble

    def cut(self, one: str | Atom, two: str | Atom) -> None:
        """Cut a pair apart: what is under way is lost, and each side notices after a while."""
        a, b = atom(one), atom(two)
        self._cuts.add(frozenset((a, b)))
        net = self.nets.get(a)
        end = net.ends.get(b) if net is not None else None
        other = self.nets[b].ends.get(a) if b in self.nets else None
        for side in (end, other):
            if side is not None:
                side.incoming.drop()
                self.loop.call_later(self.chance.uniform(*self.notice), side.net.down, side, BROKEN)

    def heal(self, one: str | Atom | None = None, two: str | Atom | None = None) -> None:
        """Join a pair again, or everybody; they connect when somebody wants to."""
        if one is None or two is None:
            self._cuts.clear()
        else:
            self._cuts.discard(frozenset((atom(one), atom(two))))

    def partition(self, *groups: Iterable[str | Atom]) -> None:
        """Cut every pair whose nodes are in different groups."""
        for left, right in itertools.combinations([[atom(node) for node in group] for group in groups], 2):
            for a, b in itertools.product(left, right):
                self.cut(a, b)

    def set_delay(self, seconds: float | tuple[float, float] | None, *pair: str | Atom) -> None:
        """Let signals take so long from now on, everywhere or between two nodes: exactly, or (at least, at most).

        None for a pair is what holds everywhere, None everywhere is what the network was made with. Order is kept: nothing
        overtakes what is already under way between the same two nodes.
        """
        if seconds is not None:
            seconds = seconds if isinstance(seconds, tuple) else (seconds, seconds)
            if not 0 <= seconds[0] <= seconds[1]:
                raise ValueError(f"a delay is seconds, or (at least, at most); not {seconds!r}")
        if not pair:
            self.delay = seconds or self._usual_delay
            return
        one, two = pair
        key = frozenset((atom(one), atom(two)))
        self._delays.pop(key, None)
        if seconds is not None:
            self._delays[key] = seconds

    def delay_of(self, pair: frozenset[Atom]) -> tuple[float, float]:
        """Seconds that a signal between these two takes, at least and at most."""
        return self._delays.get(pair, self.delay)

    def kill(self, node: str | Atom) -> None:
        """End a node without a farewell, as `kill -9` does: what it has sent arrives, its processes tell nobody."""
        net = self.nets[atom(node)]
        net.leave()
        net.runtime.shut()

    def is_cut(self, one: Atom, two: Atom) -> bool:
        """Whether a pair is cut apart."""
        return frozenset((one, two)) in self._cuts

    @property
    def in_flight(self) -> int:
        """Signals that are under way."""
        return sum(len(end.incoming) for net in self.nets.values() for end in net.ends.values())

    def note(self, what: str, source: Atom, target: Atom) -> None:
        """Keep a log of what happens, if asked to."""
        if self.log is not None:
            self.log.append((self.loop.time(), what, source, target))


__all__ = ["MemoryNet", "MemoryNetwork", "MemoryPeer"]
