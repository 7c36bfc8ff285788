"""The registered process `global_name_server`: messages in, the core's decisions, actions out.

Source  facts sections 12 and 13; what is decided is in `core`.
"""

from __future__ import annotations

import logging
import random
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from beamish.errors import ConnectionBusy
from beamish.names import actions as a
from beamish.names import messages as m
from beamish.names.core import GlobalCore
from beamish.names.partitions import Gone
from beamish.node.runtime import Peer, Runtime
from beamish.process import demonitor, monitor, receive, send
from beamish.process._signals import send_exit
from beamish.process.gen import GEN_CALL, GEN_CAST, reply
from beamish.rpc import add_module
from beamish.rpc import call as rpc_call
from beamish.rpc.apply import apply_fun
from beamish.rpc.outcome import MFA, crash_reason, failure_of
from beamish.term import Atom, ImproperList, Pid, Ref, atom

log = logging.getLogger("beamish.global")
SERVICE: Final = "global"
RETRY_AFTER: Final = 0.05
"""Seconds before we try again to tell something to a peer whose connection is full."""


class _Internal:
    """First element of messages that only this module sends: no term of a peer can be taken for them."""


UP, DOWN, RESULT, TIMER, RETRY, STOP = (_Internal() for _ in range(6))
Event = Callable[[float], list[a.Action]]


class GlobalServer:
    """The name server of one runtime; `runtime.services["global"]`.

    observers are called with (name, old pid, new pid) when a global name changes on this node. core is a new one when
    the process had to be started again.
    """

    def __init__(
        self, runtime: Runtime, *, connect_all: bool, prevent_overlapping_partitions: bool, seed: int | None
    ) -> None:
        self.runtime = runtime
        self.observers: list[Callable[[Any, Pid | None, Pid | None], None]] = []
        self._options = {
            "connect_all": connect_all,
            "prevent_overlapping_partitions": prevent_overlapping_partitions,
        }
        self._rng = random.Random(seed)
        self._stopping = False
        self._start()
        runtime.on_nodeup.append(self._node_up)
        runtime.on_nodedown.append(self._node_down)
        runtime.stopping.append(self._prepare_shutdown)

    def _start(self) -> None:
        runtime = self.runtime
        self.pid = runtime.spawn(self._serve, name=m.NAME_SERVER.text, system=True)
        self.core = GlobalCore(
            runtime.node,
            self.pid,
            runtime.creation,
            self._rng,
            is_alive=lambda pid: runtime.process_of(pid) is not None,
            **self._options,
        )
        self._calls: dict[Ref, int] = {}
        self._monitors: dict[Ref, int] = {}
        self._refs: dict[int, Ref] = {}
        self._timers: dict[int, Any] = {}
        self._events: deque[Event] = deque()
        self._backlog: dict[Atom, deque[a.Action]] = {}
        process = runtime.process_of(self.pid)
        assert process is not None
        process.rare_parts.on_exit = self._ended
        process.rare_parts.label = f"{m.NAME_SERVER.text} (system)"

    def via(self, name: Any) -> Any:
        """A global name as the name of a server, for behaviours, which are layers below this one."""
        from beamish.names.via import GlobalName

        return GlobalName(name)

    def _ended(self, _process: Any, reason: Any) -> None:
        # The runtime ends its processes when it stops: look again once that is over.
        self.runtime.loop.call_soon(self._start_again, reason)

    def _start_again(self, reason: Any) -> None:
        """Somebody killed the name server. It knows nothing any more, so peers that rely on it have to go."""
        runtime = self.runtime
        if runtime.closed or self._stopping:
            return
        log.error(
            "global_name_server on %s ended (%r): starting it again, without names and peers", runtime.node, reason
        )
        for timer in self._timers.values():
            timer.cancel()
        self._start()
        for node, peer in list(runtime.peers.items()):
            if peer.visible and runtime.net is not None:
                runtime.net.disconnect(node)

    # ---- from the runtime, in the order of the connection's signals

    def _node_up(self, peer: Peer) -> None:
        self._post(UP, peer.node, peer.connection_id, peer.visible)

    def _node_down(self, peer: Peer, _reason: Any, replaced: bool) -> None:
        why = Gone.REPLACED if replaced else Gone.SHUTDOWN if self._stopping else Gone.LOST
        self._post(DOWN, peer.node, why)

    async def _prepare_shutdown(self) -> None:
        """Connections that close from now on are no news to anybody."""
        self._stopping = True
        if self.runtime.process_of(self.pid) is None:
            return
        done = self.runtime.loop.create_future()
        self._post(STOP, done)
        await done

    def _post(self, what: _Internal, *facts: Any) -> None:
        self.runtime.deliver_pid(self.pid, (what, *facts))

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
                self._carry_out(action)

    def _event_of(self, message: Any) -> Event | None:
        """What a message is to the core; None for one that is dealt with already."""
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
            case (atom.system, (Pid(), _) as caller, request):
                reply(
                    caller,
                    core.info() if request is atom.get_state else (atom.error, (atom.unknown_system_msg, request)),
                )
                return None
            case (ImproperList(tail=Ref() as ref), answer) | (Ref() as ref, answer):
                return self._answered(ref, answer)
        return lambda now: core.handle_message(message, now)

    def _internal(self, what: _Internal, facts: list[Any]) -> Event | None:
        core = self.core
        if what is UP:
            node, connection, visible = facts
            return lambda now: core.handle_nodeup(node, connection, visible, now)
        if what is DOWN:
            node, why = facts
            self._backlog.pop(node, None)
            return lambda now: core.handle_nodedown(node, why, now)
        if what is RESULT:
            key, ok, value = facts
            return lambda now: core.handle_result(key, ok, value, now)
        if what is TIMER:
            (key,) = facts
            if self._timers.pop(key, None) is None:
                return None
            return lambda now: core.handle_timer(key, now)
        if what is RETRY:
            self._retry(facts[0])
            return None
        facts[0].set_result(None)
        return core.prepare_shutdown

    def _gone(self, ref: Ref, reason: Any) -> Event | None:
        if ref in self._calls:
            asked = self._calls.pop(ref)
            return lambda now: self.core.handle_result(asked, False, reason, now)
        if ref not in self._monitors:
            return None
        watched = self._monitors.pop(ref)
        self._refs.pop(watched, None)
        return lambda now: self.core.handle_down(watched, now)

    def _answered(self, ref: Ref, answer: Any) -> Event | None:
        if ref not in self._calls:
            return None  # it comes after its monitor fired
        key = self._calls.pop(ref)
        demonitor(ref, flush=True)
        return lambda now: self.core.handle_result(key, True, answer, now)

    # ---- actions

    def _carry_out(self, action: a.Action) -> None:
        """One action; what concerns a peer whose connection is full waits its turn, for the order counts."""
        node = _node_of(action)
        if node is not None and node in self._backlog:
            self._backlog[node].append(action)
            return
        try:
            self._perform(action)
        except ConnectionBusy:
            assert node is not None
            self._backlog[node] = deque([action])
            self._retry_later(node)

    def _retry_later(self, node: Atom) -> None:
        self.runtime.call_later(RETRY_AFTER, self._post, RETRY, node)

    def _retry(self, node: Atom) -> None:
        waiting = self._backlog.get(node)
        while waiting:
            try:
                self._perform(waiting[0])
            except ConnectionBusy:
                self._retry_later(node)
                return
            waiting.popleft()
        self._backlog.pop(node, None)

    def _reachable(self, node: Atom) -> bool:
        return node is self.runtime.node or node in self.runtime.peers

    def _perform(self, action: a.Action) -> None:
        runtime = self.runtime
        match action:
            case a.Send(node, message):
                if self._reachable(node):
                    send((m.NAME_SERVER, node), message)
            case a.SendPid(pid, message):
                if self._reachable(pid.node):
                    send(pid, message)
            case a.Cast(node, message):
                if self._reachable(node):
                    send((m.NAME_SERVER, node), (GEN_CAST, message))
            case a.Call(node, request, key):
                self._call(node, request, key)
            case a.Reply(caller, answer):
                reply(caller, answer)
            case a.Monitor(pid, key):
                # Of a node that is just being connected too: its names must not be lost for that.
                ref = monitor(pid)
                self._monitors[ref] = key
                self._refs[key] = ref
            case a.Demonitor(key):
                self._demonitor(key)
            case a.StartTimer(key, seconds):
                self._timers[key] = runtime.call_later(seconds, self._post, TIMER, key)
            case a.CancelTimer(key):
                timer = self._timers.pop(key, None)
                if timer is not None:
                    timer.cancel()
            case a.ConnectTo(node, key):
                runtime.spawn(self._connect, node, key, system=True)
            case a.Disconnect(node):
                if runtime.net is not None:
                    runtime.net.disconnect(node)
            case a.KillPid(pid):
                if self._reachable(pid.node):
                    send_exit(pid, atom.kill)
            case a.ResolveRemote(node, arguments, key):
                runtime.spawn(self._resolve_remote, node, arguments, key, system=True)
            case a.RunResolver(method, name, pid, pid2, key):
                runtime.spawn(self._resolve_here, method, name, pid, pid2, key, system=True)
            case a.Log(level, text):
                log.log(logging.getLevelNamesMapping()[level.upper()], "%s", text)
            case a.NameEvent(name, old, new):
                for observer in list(self.observers):
                    observer(name, old, new)

    def _call(self, node: Atom, request: Any, key: int) -> None:
        if not self._reachable(node):
            # A result that is known already still comes after what is being done.
            self._events.append(lambda now: self.core.handle_result(key, False, atom.noconnection, now))
            return
        ref = monitor((m.NAME_SERVER, node), alias="reply_demonitor")
        try:
            send((m.NAME_SERVER, node), (GEN_CALL, (self.pid, ImproperList((atom.alias,), ref)), request))
        except ConnectionBusy:
            demonitor(ref, flush=True)
            raise
        self._calls[ref] = key

    def _demonitor(self, key: int) -> None:
        ref = self._refs.pop(key, None)
        if ref is not None:
            self._monitors.pop(ref, None)
            demonitor(ref, flush=True)

    # ---- what takes long, in processes of their own

    async def _connect(self, node: Atom, key: int) -> None:
        net = self.runtime.net
        ok = node in self.runtime.peers or (net is not None and await net.connect(node))
        self._post(RESULT, key, ok, None)

    async def _resolve_remote(self, node: Atom, arguments: list[Any], key: int) -> None:
        try:
            value = await rpc_call(node, SERVICE, "resolve_it", arguments)
        except Exception as error:
            self._post(RESULT, key, False, str(error))
        else:
            self._post(RESULT, key, True, value)

    async def _resolve_here(self, method: Any, name: Any, pid: Pid, pid2: Pid, key: int) -> None:
        self._post(RESULT, key, True, await self.resolve(method, name, pid, pid2))

    async def resolve(self, method: Any, name: Any, pid: Pid, pid2: Pid) -> Any:
        """What a method that is no standard one decides: a pid or `none`; ``{'EXIT', Reason}`` when it fails."""
        try:
            resolver = self.core.methods.callable_of(method)
            if resolver is None:
                value = await apply_fun(self.runtime, method, [name, pid, pid2])
            else:
                value = resolver(name, pid, pid2)
                if hasattr(value, "__await__"):
                    value = await value
        except Exception as error:
            log.warning(
                "global on %s: the method %r for the name %r failed: %s", self.runtime.node, method, name, error
            )
            return (
                atom.EXIT,
                crash_reason(failure_of(error, MFA(atom(SERVICE), atom.resolve_it, [method, name, pid, pid2]))),
            )
        return m.NONE if value is None else value


def _node_of(action: a.Action) -> Atom | None:
    """The peer that an action sends something to."""
    match action:
        case a.Send(node, _) | a.Cast(node, _) | a.Call(node, _, _):
            return node
        case a.SendPid(pid, _) | a.Reply((pid, _), _) | a.Monitor(pid, _) | a.KillPid(pid):
            return pid.node
    return None


def server_of(runtime: Runtime) -> GlobalServer:
    """The name server of a runtime; a node that started none gets one for itself, without peers."""
    found = runtime.services.get(SERVICE)
    if found is None:
        found = GlobalServer(runtime, connect_all=False, prevent_overlapping_partitions=False, seed=None)
        _install(runtime, found)
    assert isinstance(found, GlobalServer)
    return found


def _install(runtime: Runtime, server: GlobalServer) -> None:
    runtime.services[SERVICE] = server
    if "exports" in runtime.services:
        add_module(runtime, SERVICE, "beamish.names.erlang_global")


async def start_global(
    runtime: Runtime,
    *,
    connect_all: bool = True,
    prevent_overlapping_partitions: bool = True,
    seed: int | None = None,
) -> GlobalServer:
    """Start the name server. To be done after the rpc services and before the first connection.

    connect_all: join the mesh; without it names and locks are this node's own. seed: of its random pauses, for tests.
    """
    server = GlobalServer(
        runtime,
        connect_all=connect_all,
        prevent_overlapping_partitions=prevent_overlapping_partitions,
        seed=seed,
    )
    _install(runtime, server)
    return server
