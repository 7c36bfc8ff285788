"""The registered process `global_name_server`: messages in, the core's decisions, actions out.

Source  facts sections 12 and 13; what is decided is in `core`.
"""

from __future__ import annotations

import logging
import random
from collections import deque
from collections.abc import Callable
from typing import Any

from beamish.names import actions as a
from beamish.names import messages as m
from beamish.names.core import GlobalCore
from beamish.names.partitions import Gone
from beamish.node.runtime import Peer, Runtime
from beamish.process import demonitor, monitor, receive, send, spawn
from beamish.process._signals import send_exit
from beamish.process.gen import GEN_CALL, GEN_CAST, reply
from beamish.rpc import call as rpc_call
from beamish.rpc.apply import apply_fun
from beamish.term import ImproperList, Pid, Ref, atom

log = logging.getLogger("beamish.global")
SERVICE = "global"


class _Internal:
    """First element of messages that only this module sends: no term of a peer can be taken for them."""


UP, DOWN_NODE, RESULT, TIMER, STOP = _Internal(), _Internal(), _Internal(), _Internal(), _Internal()
Event = Callable[[float], list[a.Action]]


class GlobalServer:
    """The name server of one runtime; `runtime.services["global"]`."""

    def __init__(self, runtime: Runtime, *, connect_all: bool, prevent_overlapping_partitions: bool, seed: int | None) -> None:
        self.runtime = runtime
        self.observers: list[Callable[[Any, Pid | None, Pid | None], None]] = []
        self.pid = runtime.spawn(self._serve, name=m.NAME_SERVER.text, system=True)
        self.core = GlobalCore(
            runtime.node, self.pid, runtime.creation, random.Random(seed), connect_all=connect_all,
            prevent_overlapping_partitions=prevent_overlapping_partitions, is_alive=lambda pid: runtime.process_of(pid) is not None,
        )  # fmt: skip
        self._calls: dict[Ref, int] = {}
        self._monitors: dict[Ref, int] = {}
        self._refs: dict[int, Ref] = {}
        self._timers: dict[int, Any] = {}
        self._events: deque[Event] = deque()
        self._stopping = False
        runtime.on_nodeup.append(self._node_up)
        runtime.on_nodedown.append(self._node_down)
        runtime.stopping.append(self._prepare_shutdown)

    # ---- from the runtime, in the order of the connection's signals

    def _node_up(self, peer: Peer) -> None:
        self.runtime.deliver_pid(self.pid, (UP, peer.node, peer.connection_id, peer.visible))

    def _node_down(self, peer: Peer, _reason: Any, replaced: bool) -> None:
        why = Gone.REPLACED if replaced else Gone.SHUTDOWN if self._stopping else Gone.LOST
        self.runtime.deliver_pid(self.pid, (DOWN_NODE, peer.node, why))

    async def _prepare_shutdown(self) -> None:
        """Connections that close from now on are no news to anybody."""
        self._stopping = True
        done = self.runtime.loop.create_future()
        if self.runtime.process_of(self.pid) is None:
            return
        self.runtime.deliver_pid(self.pid, (STOP, done))
        await done

    # ---- the process

    async def _serve(self) -> None:
        while True:
            message = await receive()
            try:
                event = self._event_of(message)
                if event is not None:
                    self._handle(event)
            except Exception:
                # A name server that dies takes its locks with it; one bad message must not do that.
                log.exception("global_name_server on %s could not handle %.500r", self.runtime.node, message)

    def _handle(self, event: Event) -> None:
        self._events.append(event)
        while self._events:
            for action in self._events.popleft()(self.runtime.loop.time()):
                self._perform(action)

    def _event_of(self, message: Any) -> Event | None:
        core = self.core
        if not isinstance(message, tuple):
            return lambda now: core.handle_message(message, now)
        match message:
            case (_Internal() as what, *facts):
                return self._internal(what, facts)
            case (gen, (Pid(), _) as caller, request) if gen is GEN_CALL:
                return lambda now: core.handle_call(caller, request, now)
            case (gen, cast) if gen is GEN_CAST:
                return lambda now: core.handle_cast(cast, now)
            case (atom.DOWN, Ref() as ref, _, _, reason):
                return self._gone(ref, reason)
            case (ImproperList() as tag, answer) if tag.tail in self._calls:
                return self._answered(tag.tail, answer)
            case (Ref() as ref, answer) if ref in self._calls:
                return self._answered(ref, answer)
            case (ImproperList(), _) | (Ref(), _):
                return None  # an answer that comes after its monitor fired
        return lambda now: core.handle_message(message, now)

    def _internal(self, what: _Internal, facts: list[Any]) -> Event | None:
        core = self.core
        if what is UP:
            node, connection, visible = facts
            return lambda now: core.handle_nodeup(node, connection, visible, now)
        if what is DOWN_NODE:
            node, why = facts
            return lambda now: core.handle_nodedown(node, why, now)
        if what is RESULT:
            key, ok, value = facts
            return lambda now: core.handle_result(key, ok, value, now)
        if what is TIMER:
            (key,) = facts
            if self._timers.pop(key, None) is None:
                return None
            return lambda now: core.handle_timer(key, now)
        done = facts[0]
        done.set_result(None)
        return core.prepare_shutdown

    def _gone(self, ref: Ref, reason: Any) -> Event | None:
        key = self._calls.pop(ref, None)
        if key is not None:
            return lambda now: self.core.handle_result(key, False, reason, now)
        key = self._monitors.pop(ref, None)
        if key is None:
            return None
        self._refs.pop(key, None)
        return lambda now: self.core.handle_down(key, now)

    def _answered(self, ref: Ref, answer: Any) -> Event:
        key = self._calls.pop(ref)
        demonitor(ref, flush=True)
        return lambda now: self.core.handle_result(key, True, answer, now)

    # ---- actions

    def _perform(self, action: a.Action) -> None:
        runtime = self.runtime
        match action:
            case a.Send(node, message):
                if node in runtime.peers:
                    send((m.NAME_SERVER, node), message)
            case a.SendPid(pid, message):
                if pid.node is runtime.node or pid.node in runtime.peers:
                    send(pid, message)
            case a.Cast(node, message):
                if node in runtime.peers:
                    send((m.NAME_SERVER, node), (GEN_CAST, message))
            case a.Call(node, request, key):
                self._call(node, request, key)
            case a.Reply(caller, answer):
                reply(caller, answer)
            case a.Monitor(pid, key):
                self._monitor(pid, key)
            case a.Demonitor(key):
                ref = self._refs.pop(key, None)
                if ref is not None:
                    self._monitors.pop(ref, None)
                    demonitor(ref, flush=True)
            case a.StartTimer(key, seconds):
                self._timers[key] = runtime.call_later(seconds, runtime.deliver_pid, self.pid, (TIMER, key))
            case a.CancelTimer(key):
                timer = self._timers.pop(key, None)
                if timer is not None:
                    timer.cancel()
            case a.ConnectTo(node, key):
                runtime.loop.create_task(self._connect(node, key))
            case a.Disconnect(node):
                if runtime.net is not None:
                    runtime.net.disconnect(node)
            case a.KillPid(pid):
                if pid.node is runtime.node or pid.node in runtime.peers:
                    send_exit(pid, atom.kill)
            case a.ResolveRemote(node, arguments, key):
                spawn(self._resolve_remote, node, arguments, key)
            case a.RunResolver(method, name, pid, pid2, key):
                spawn(self._resolve_here, method, name, pid, pid2, key)
            case a.Log(level, text):
                log.log(logging.getLevelNamesMapping()[level.upper()], "%s", text)
            case a.NameEvent(name, old, new):
                for observer in list(self.observers):
                    observer(name, old, new)

    def _later(self, key: int, ok: bool, value: Any) -> None:
        """A result that is known already still comes after what is being done."""
        self._events.append(lambda now: self.core.handle_result(key, ok, value, now))

    def _call(self, node: Any, request: Any, key: int) -> None:
        if node is not self.runtime.node and node not in self.runtime.peers:
            self._later(key, False, atom.noconnection)
            return
        ref = monitor((m.NAME_SERVER, node), alias="reply_demonitor")
        self._calls[ref] = key
        send((m.NAME_SERVER, node), (GEN_CALL, (self.pid, ImproperList((atom.alias,), ref)), request))

    def _monitor(self, pid: Pid, key: int) -> None:
        if pid.node is not self.runtime.node and pid.node not in self.runtime.peers:
            self._events.append(lambda now: self.core.handle_down(key, now))
            return
        ref = monitor(pid)
        self._monitors[ref] = key
        self._refs[key] = ref

    async def _connect(self, node: Any, key: int) -> None:
        net = self.runtime.net
        ok = node in self.runtime.peers or (net is not None and await net.connect(node))
        self.runtime.deliver_pid(self.pid, (RESULT, key, ok, None))

    async def _resolve_remote(self, node: Any, arguments: list[Any], key: int) -> None:
        try:
            value = await rpc_call(node, "global", "resolve_it", arguments)
        except Exception as error:
            log.warning("global on %s: resolving a name conflict on %s failed: %s", self.runtime.node, node, error)
            self.runtime.deliver_pid(self.pid, (RESULT, key, False, None))
        else:
            self.runtime.deliver_pid(self.pid, (RESULT, key, True, value))

    async def _resolve_here(self, method: Any, name: Any, pid: Pid, pid2: Pid, key: int) -> None:
        try:
            resolver = self.core.methods.callable_of(method)
            if resolver is not None:
                value = resolver(name, pid, pid2)
                if hasattr(value, "__await__"):
                    value = await value
            else:
                value = await apply_fun(self.runtime, method, [name, pid, pid2])
        except Exception:
            log.exception("global on %s: the resolver of %r failed; the name is deleted", self.runtime.node, name)
            value = None
        self.runtime.deliver_pid(self.pid, (RESULT, key, True, atom.none if value is None else value))


async def start_global(runtime: Runtime, *, connect_all: bool = True, prevent_overlapping_partitions: bool = True,
                       seed: int | None = None) -> GlobalServer:  # fmt: skip
    """Start the name server. To be done before the first connection. seed: of its random pauses, for tests."""
    server = GlobalServer(
        runtime, connect_all=connect_all, prevent_overlapping_partitions=prevent_overlapping_partitions, seed=seed
    )
    runtime.services[SERVICE] = server
    return server
