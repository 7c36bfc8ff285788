"""Our connections to other nodes: who is tried, who is let in, what stands, what fell.

The decisions are made by `pending.PeerState`, one for each peer; this performs its actions on sockets and tells the runtime.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

from beamish.dist import pending as p
from beamish.dist._wire import Wire
from beamish.dist.connection import SETUP_TIME, Incoming, Shaken, connect_socket, initiate, refusal, tune
from beamish.dist.flags import announced
from beamish.dist.handshake import Failure, HandshakeFailed, NameReceived
from beamish.dist.peer import DISCONNECTED, ConnectedPeer, Options, nodedown_reason
from beamish.errors import BeamishError
from beamish.node.names import InvalidNodeName, check_same_kind, node_atom
from beamish.node.route import PendingRoute, fail_route
from beamish.node.runtime import Runtime
from beamish.process import Route
from beamish.term import Atom, Ref, atom

log = logging.getLogger("beamish.dist")

UNPROVED_MAX: Final = 256
"""Accepted sockets whose peers have not shown the cookie yet; above it new ones are closed at once."""

FAILURES_KEPT: Final = 100

FindPort = Callable[[Atom], Awaitable[tuple[str, int]]]
"""Where a node listens: (address, port). Raises NodeError or OSError."""


class _Attempt:
    """One of our attempts; knows its number so that stale news stays stale."""

    def __init__(self, net: NetKernel, state: p.PeerState, link: int) -> None:
        self.net, self.state, self.link = net, state, link

    def alive_asked(self) -> bool:
        (answer,) = self.state.attempt_alive(self.link)
        assert isinstance(answer, p.AnswerAlive)
        return answer.wanted

    def told_nok(self) -> None:
        self.net.perform(self.state, self.state.attempt_nok(self.link))


class NetKernel:
    """The distribution of one runtime (`Runtime.net`)."""

    def __init__(self, runtime: Runtime, options: Options, find_port: FindPort) -> None:
        self.runtime = runtime
        self.options = options
        self.hidden = options.hidden
        self.find_port = find_port
        self.states: dict[Atom, p.PeerState] = {}
        self.failures: dict[Atom, BaseException] = {}
        self.listeners: list[socket.socket] = []
        self.port = 0
        self._links = itertools.count(1)
        self._attempts: dict[int, asyncio.Task[None]] = {}
        self._incoming: dict[int, Incoming] = {}
        self._shaken: dict[int, Shaken] = {}
        self._peers: dict[int, ConnectedPeer] = {}
        self._reasons: dict[int, Any] = {}
        self._waiters: dict[Atom, list[asyncio.Future[bool]]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._queue: deque[tuple[p.PeerState, p.Action]] = deque()
        self._performing = False
        self._unproved = 0
        self._stopping = False
        runtime.net = self
        runtime.connector = self.route

    # ---- cookies

    def set_cookie(self, node: Atom | None, cookie: str) -> None:
        """Our cookie, or the one for one peer; connections that stand are not touched."""
        if node is None or node is self.runtime.node:
            self.options.cookie = cookie
        else:
            self.options.peer_cookies[node] = cookie

    def get_cookie(self, node: Atom | None = None) -> str:
        """The cookie used with a peer."""
        if node is None:
            return self.options.cookie
        return self.options.peer_cookies.get(node, self.options.cookie)

    # ---- from this side

    def route(self, node: Atom) -> Route | None:
        """The kernel wants to send to a node that has no route: start connecting and queue what it sends."""
        if self._stopping or not self.options.auto_connect or not self._possible(node):
            return None
        route = PendingRoute(node)
        self.runtime.routes[node] = route
        self.perform(self._state(node), self._state(node).want())
        return self.runtime.routes.get(node, route)

    async def connect(self, node: Atom) -> bool:
        """Connect and say whether that worked; `failures` holds the reason when it did not."""
        if self._stopping or not self._possible(node):
            return False
        state = self._state(node)
        waiter: asyncio.Future[bool] = self.runtime.loop.create_future()
        self._waiters.setdefault(node, []).append(waiter)
        self.perform(state, state.want())
        return await waiter

    def explain(self, node: Atom) -> None:
        """Log why a node could not be reached, for somebody who asked for it; refusals are in the log already."""
        error = self.failures.get(node)
        if error is not None and not isinstance(error, HandshakeFailed):
            log.warning("cannot connect: %s", self.failure_text(node))

    def disconnect(self, node: Atom) -> bool:
        """Take a connection down; False if there was none."""
        state = self.states.get(node)
        if state is None or not state.connected:
            return False
        self.perform(state, state.disconnect())
        return True

    def failure_text(self, node: Atom) -> str:
        """Why the last attempt to reach a node failed."""
        error = self.failures.get(node)
        return refusal(error, node) if error is not None else f"{node} could not be reached"

    def _possible(self, node: Atom) -> bool:
        if node is self.runtime.node:
            return False
        try:
            check_same_kind(self.runtime.node, node)
        except (InvalidNodeName, BeamishError) as error:
            self._note_failure(node, error)
            log.error("%s", error)
            return False
        return True

    def _note_failure(self, node: Atom, error: BaseException) -> None:
        self.failures.pop(node, None)
        self.failures[node] = error
        while len(self.failures) > FAILURES_KEPT:
            del self.failures[next(iter(self.failures))]

    def _state(self, node: Atom) -> p.PeerState:
        state = self.states.get(node)
        if state is None:
            state = self.states[node] = p.PeerState(self.runtime.node, node, self._links)
        return state

    # ---- actions

    def perform(self, state: p.PeerState, actions: list[p.Action]) -> None:
        """Perform actions in order; what they cause comes after them."""
        self._queue.extend((state, action) for action in actions)
        if self._performing:
            return
        self._performing = True
        touched = {state}
        try:
            while self._queue:
                concerned, action = self._queue.popleft()
                self._do(concerned, action)
                touched.add(concerned)
        finally:
            self._performing = False
        for one in touched:
            if one.idle and self.states.get(one.peer) is one:
                del self.states[one.peer]

    def _do(self, state: p.PeerState, action: p.Action) -> None:
        match action:
            case p.StartAttempt(link):
                self._attempts[link] = self._run(self._attempt(state, link))
            case p.AbortAttempt(link):
                task = self._attempts.pop(link, None)
                if task is not None and task is not asyncio.current_task():
                    task.cancel()
            case p.Answer(link, verdict):
                self._incoming[link].answer(verdict)
            case p.AnswerAlive():
                raise AssertionError("answered where it was asked")
            case p.DropIncoming(link):
                incoming = self._incoming.pop(link, None)
                if incoming is not None:
                    incoming.drop()
            case p.CloseConnection(link):
                self._peers[link].wire.close(self._reasons.pop(link, DISCONNECTED))
            case p.Acknowledge(link):
                self._shaken[link] = self._incoming[link].acknowledge()
            case p.Up(link):
                self._up(state, link)
            case p.Down(link, replaced):
                self._down(state, link, replaced)
            case p.Ready():
                self._answer_waiters(state.peer, True)
            case p.GaveUp(reason):
                if isinstance(reason, BaseException):
                    self._note_failure(state.peer, reason)
                self._answer_waiters(state.peer, False)
                route = self.runtime.routes.get(state.peer)
                if isinstance(route, PendingRoute):
                    del self.runtime.routes[state.peer]
                    fail_route(self.runtime, route)

    def _answer_waiters(self, node: Atom, answer: bool) -> None:
        for waiter in self._waiters.pop(node, []):
            if not waiter.done():
                waiter.set_result(answer)

    def _run(self, coroutine: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = self.runtime.loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _attempt(self, state: p.PeerState, link: int) -> None:
        peer = state.peer
        owner = _Attempt(self, state, link)
        try:
            async with asyncio.timeout(SETUP_TIME):
                address, port = await self.find_port(peer)
                sock = await connect_socket(address, port)
                shaken = await initiate(
                    sock, owner, local=self.runtime.node, peer=peer, flags=announced(hidden=self.hidden),
                    creation=self.runtime.creation, cookie=self.get_cookie(peer),
                )  # fmt: skip
                if shaken is None:
                    # The peer's own attempt is on its way; if it never comes, our time limit ends the wait.
                    await asyncio.Event().wait()
                    return
            shaken.address = f"{address}:{port}"
            self._shaken[link] = shaken
            self._attempts.pop(link, None)
            actions = state.attempt_succeeded(link)
            if any(isinstance(action, p.AbortAttempt) for action in actions):
                self._shaken.pop(link).sock.close()
                return
            self.perform(state, actions)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self._attempts.pop(link, None)
            if isinstance(error, HandshakeFailed):
                log.warning("connection to %s refused: %s", peer, error)
            self.perform(state, state.attempt_failed(link, error))

    # ---- from the other side

    def accept(self, listeners: list[socket.socket]) -> None:
        """Begin to let peers in on these sockets, which are ours from now on."""
        self.listeners = listeners
        self.port = listeners[0].getsockname()[1] if listeners else 0
        for sock in self.listeners:
            self.runtime.loop.add_reader(sock.fileno(), self._acceptable, sock)

    def _acceptable(self, listener: socket.socket) -> None:
        try:
            sock, address = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            log.error("cannot accept connections: %s", error)
            return
        if self._unproved >= UNPROVED_MAX or self._stopping:
            sock.close()
            log.warning("closed a connection from %s at once: %d handshakes are under way", address[0], self._unproved)
            return
        try:
            tune(sock)
        except OSError:
            sock.close()
            return
        self._run(self._welcome(sock, f"{address[0]}:{address[1]}"))

    async def _welcome(self, sock: socket.socket, address: str) -> None:
        incoming = Incoming(
            sock, address, local=self.runtime.node, flags=announced(hidden=self.hidden), creation=self.runtime.creation,
            cookie_for=self.get_cookie,
        )  # fmt: skip
        incoming.task = asyncio.current_task()
        state: p.PeerState | None = None
        link = 0

        def on_name(event: NameReceived) -> None:
            nonlocal state, link
            peer = event.peer
            if peer is None:
                peer = self._invent_name(event.host)
                state = self._state(peer)
                link, _ = state.incoming()
                self._incoming[link] = incoming
                incoming.shake.assign_name(peer, random.randrange(4, 1 << 32))
                return
            if peer is self.runtime.node or (self.options.allowed is not None and peer not in self.options.allowed):
                log.warning("refused %s (%s): it %s", peer, address,
                            "has our own name" if peer is self.runtime.node else "is not on the list of allowed nodes")  # fmt: skip
                incoming.shake.refuse()
                incoming.dropped = True
                return
            state = self._state(peer)
            link, actions = state.incoming()
            self._incoming[link] = incoming
            self.perform(state, actions)
            if incoming.dropped:
                self._incoming.pop(link, None)

        def on_alive(wanted: bool) -> None:
            assert state is not None
            self.perform(state, state.alive_answered(link, wanted))
            if not wanted:
                incoming.dropped = True

        def on_authenticated() -> None:
            assert state is not None
            self.perform(state, state.authenticated(link))

        self._unproved += 1
        try:
            await incoming.run(on_name, on_alive, on_authenticated)
        except asyncio.CancelledError:
            if self._stopping or not incoming.dropped:
                raise
        except HandshakeFailed as error:
            # A peer that hangs up half-way has its reasons and tells them at its own end.
            level = logging.INFO if error.failure is Failure.CLOSED else logging.WARNING
            log.log(level, "connection from %s refused: %s", address, error)
        except TimeoutError:
            log.info("%s connected and did not finish the handshake within %g s", address, SETUP_TIME)
        except OSError as error:
            log.info("connection from %s broke during the handshake: %s", address, error)
        except BeamishError as error:
            log.warning("connection from %s refused: %s", address, error)
        finally:
            self._unproved -= 1
            self._incoming.pop(link, None)
            if state is not None:
                self.perform(state, state.incoming_failed(link))

    def _invent_name(self, host: str) -> Atom:
        while True:
            name = node_atom(f"{random.choice('ABCDEFGHJKLMNPQRSTVWXYZ')}{random.randrange(10**12):012d}@{host}")
            if name not in self.states:
                return name

    # ---- connections

    def _up(self, state: p.PeerState, link: int) -> None:
        shaken = self._shaken.pop(link)
        incoming = self._incoming.pop(link, None)
        agreed = shaken.agreed
        fd = shaken.sock.detach()
        wire = Wire(state.peer, self.runtime, fd, agreed.flags, self.options.ticktime, shaken.leftover)
        # To a hidden node all others are hidden too, as in Erlang (dist_util, adjust_flags).
        visible = agreed.visible and not self.hidden
        peer = ConnectedPeer(
            state.peer, visible, agreed.creation, link, wire, agreed.peer_flags, shaken.address, incoming is not None
        )
        self._peers[link] = peer
        self.failures.pop(state.peer, None)
        wire.on_lost = lambda _wire, why: self._lost(state, link, why)
        wire.on_request = self._spawn_requested
        if shaken.first:
            wire.write_first(shaken.first)
        waiting = self.runtime.routes.get(state.peer)
        self.runtime.routes[state.peer] = wire
        log.info("connected to %s (%s%s)", state.peer, shaken.address, "" if visible else ", hidden")
        self.runtime.node_up(peer)
        if isinstance(waiting, PendingRoute):
            waiting.flush_into(wire)
        wire.start()

    def _spawn_requested(self, wire: Wire, ref: Ref, remote: Any, leader: Any, mfa: Any, args: Any, opts: Any) -> None:
        handler = self.runtime.services.get("spawn_requested")
        if handler is None:
            wire.spawn_reply(ref, remote, 0, atom.notsup)
        else:
            handler(wire, ref, remote, leader, mfa, args, opts)

    def _lost(self, state: p.PeerState, link: int, why: Any) -> None:
        self._reasons[link] = why
        if isinstance(why, BaseException):
            log.error("connection to %s closed: %s (%s)", state.peer, why, type(why).__name__)
        else:
            log.info("connection to %s closed: %s", state.peer, why)
        self.perform(state, state.connection_down(link))

    def _down(self, state: p.PeerState, link: int, replaced: bool) -> None:
        peer = self._peers.pop(link)
        why = nodedown_reason(self._reasons.pop(link, DISCONNECTED))
        if self.runtime.routes.get(state.peer) is peer.wire:
            del self.runtime.routes[state.peer]
        fail_route(self.runtime, peer.wire)
        self.runtime.node_down(peer, why, replaced)

    async def stop(self) -> None:
        """Leave in order: no more connections in or out, those that stand are closed."""
        self._stopping = True
        self.runtime.connector = None
        for sock in self.listeners:
            self.runtime.loop.remove_reader(sock.fileno())
            sock.close()
        self.listeners.clear()
        for state in list(self.states.values()):
            self.perform(state, state.disconnect("the node stops"))
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
