"""`Node`: other nodes, as seen from the current process."""

from __future__ import annotations

from typing import Any

from beamish.errors import CallTimeout, NodeError
from beamish.node.names import complete_peer
from beamish.node.remote_spawn import spawn_on
from beamish.node.runtime import current_runtime
from beamish.process import self
from beamish.process.gen import CallFailed, call
from beamish.term import Atom, Pid, atom

PING_TIMEOUT = 10.0


def _peer(name: str | Atom) -> Atom:
    """A peer's name; one without a host means our own host, as in `Node.connect("robin")`."""
    return complete_peer(str(name), current_runtime().node)


def _is_time_to_tidy(watchers: int) -> bool:
    """Now and then the dead are taken out of a list of watchers: at 64, at 128 and so on."""
    return watchers >= 64 and watchers & (watchers - 1) == 0


def node() -> Atom:
    """The name of this node; `nonode@nohost` when it is not distributed."""
    return current_runtime().node


class Node:
    """Elixir's `Node`, for the current process's runtime. Node names may be given as str or Atom."""

    def __init__(self) -> None:
        raise TypeError("Node is a namespace; a node is started by beamish.run(main, name=...) or `beamish shell --sname NAME`")

    @staticmethod
    def self() -> Atom:
        """The name of this node."""
        return current_runtime().node

    @staticmethod
    def alive() -> bool:
        """Whether this node is distributed."""
        return current_runtime().distributed

    @staticmethod
    def list(kind: str | Atom = "visible") -> list[Atom]:
        """Connected nodes: "visible" (default), "hidden", "connected" (both), "this", or "known" (all ever heard of, and this)."""
        runtime = current_runtime()
        match str(kind):
            case "visible":
                return [peer.node for peer in runtime.peers.values() if peer.visible]
            case "hidden":
                return [peer.node for peer in runtime.peers.values() if not peer.visible]
            case "connected":
                return [*runtime.peers]
            case "this":
                return [runtime.node]
            case "known":
                return [runtime.node, *(name for name in runtime.known_nodes if name is not runtime.node)]
        raise ValueError(f"Node.list() knows visible, hidden, connected, this and known; not {kind!s}")

    @staticmethod
    async def connect(name: str | Atom) -> bool | Atom:
        """Connect: True, False, or `atom.ignored` when this node is not distributed."""
        runtime = current_runtime()
        if runtime.net is None:
            return atom.ignored
        peer = _peer(name)
        if peer is runtime.node or await runtime.net.connect(peer):
            return True
        explain = getattr(runtime.net, "explain", None)
        if explain is not None:
            explain(peer)
        return False

    @staticmethod
    def disconnect(name: str | Atom) -> bool | Atom:
        """Drop the connection: True, False if there was none, `atom.ignored` when this node is not distributed."""
        runtime = current_runtime()
        return atom.ignored if runtime.net is None else runtime.net.disconnect(_peer(name))

    @staticmethod
    async def ping(name: str | Atom) -> Atom:
        """`atom.pong` if the node answers (connecting first if need be), else `atom.pang`."""
        runtime = current_runtime()
        peer = _peer(name)
        if peer is runtime.node:
            return atom.pong
        if runtime.net is None or not await runtime.net.connect(peer):
            return atom.pang
        try:
            answer = await call((atom.net_kernel, peer), (atom.is_auth, runtime.node), PING_TIMEOUT)
        except (CallFailed, CallTimeout):
            return atom.pang
        return atom.pong if answer is atom.yes else atom.pang

    @staticmethod
    async def spawn(name: str | Atom, *what: Any, link: bool = False, monitor: bool = False) -> Any:
        """Start a process on another node.

        ``Node.spawn(node, function, *args)`` for a module-level function of code that the other node has too, or
        ``Node.spawn(node, module, function, [args])``. Gives the pid; with monitor=True ``(pid, ref)``.
        """
        return await spawn_on(current_runtime(), _peer(name), what, link=link, monitor=monitor)

    @staticmethod
    async def spawn_link(name: str | Atom, *what: Any) -> Pid:
        """`Node.spawn` with a link."""
        pid: Pid = await Node.spawn(name, *what, link=True)
        return pid

    @staticmethod
    def monitor_nodes(on: bool = True, *, node_type: str | None = None, nodedown_reason: bool = False) -> None:
        """Get ``(atom.nodeup, node)`` and ``(atom.nodedown, node)`` messages; with node_type ("visible", "hidden", "all") also of
        hidden nodes and with a list of facts as third element, as Erlang's net_kernel:monitor_nodes/2. nodedown_reason puts
        among the facts of a nodedown why: disconnect (by us), connection_closed or net_tick_timeout."""
        runtime = current_runtime()
        if on:
            if _is_time_to_tidy(len(runtime.node_monitors)):
                for pid in [pid for pid in runtime.node_monitors if runtime.process_of(pid) is None]:
                    del runtime.node_monitors[pid]
            runtime.node_monitors[self()] = {"node_type": node_type, "nodedown_reason": nodedown_reason}
        else:
            runtime.node_monitors.pop(self(), None)

    @staticmethod
    def monitor(name: str | Atom, on: bool = True) -> None:
        """One ``(atom.nodedown, node)`` message when that node goes (at once if it is not there), as Erlang's monitor_node/2."""
        runtime = current_runtime()
        peer = _peer(name)
        if not on:
            watchers = runtime.one_node_monitors.get(peer, [])
            if self() in watchers:
                watchers.remove(self())
        elif peer in runtime.peers or peer is runtime.node:
            watchers = runtime.one_node_monitors.setdefault(peer, [])
            if _is_time_to_tidy(len(watchers)):
                watchers[:] = [pid for pid in watchers if runtime.process_of(pid) is not None]
            watchers.append(self())
        else:
            runtime.deliver_pid(self(), (atom.nodedown, peer))

    @staticmethod
    def system_monitor(*, long_schedule: float | None = 0.05) -> None:
        """Get ``(atom.monitor, pid, atom.long_schedule, info)`` for every step of a process of this node that held up the others
        for so many seconds and could not be interrupted; info has timeout (ms), module, function, file, line, name. None ends it.
        As Erlang's system_monitor; the node must be one that preempts."""
        watchers = current_runtime().long_schedule_watchers
        if long_schedule is None:
            watchers.pop(self(), None)
        else:
            watchers[self()] = long_schedule

    @staticmethod
    def set_cookie(cookie: str, name: str | Atom | None = None) -> None:
        """Set this node's cookie, or the one used with one peer."""
        net = current_runtime().net
        if net is None:
            raise NodeError("a node without a name has no cookie: start it with --sname or --name")
        net.set_cookie(None if name is None else _peer(name), cookie)

    @staticmethod
    def get_cookie() -> str:
        """This node's cookie."""
        net = current_runtime().net
        return "nocookie" if net is None else net.get_cookie()
