"""`Runtime`: one node inside this interpreter."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from beamish.errors import BeamishError, Exit, NoRuntime
from beamish.process import Kernel, Route, current_scheduler
from beamish.process._scheduler import DEFAULT_SLICE
from beamish.process.exits import exit_within, text_of
from beamish.process.info import initial_call
from beamish.process.preemption import long_schedule
from beamish.term import Atom, Pid, atom

if TYPE_CHECKING:
    from beamish.process import ControlBlock

T = TypeVar("T")
log = logging.getLogger("beamish.process")
NO_NODE = atom("nonode@nohost")


class ProcessFailed(BeamishError):
    """The process that `Runtime.run` waited for ended without a result; `reason` says how."""

    def __init__(self, reason: Any) -> None:
        super().__init__(f"the process ended with reason {text_of(reason)}")
        self.reason = reason


class Peer(Protocol):
    """What is known of a connected node."""

    node: Atom
    visible: bool
    creation: int
    connection_id: int


class Net(Protocol):
    """What a distributed runtime can do about other nodes; `dist` implements it."""

    hidden: bool

    async def connect(self, node: Atom) -> bool: ...
    def disconnect(self, node: Atom) -> bool: ...
    def route(self, node: Atom) -> Route | None: ...
    async def stop(self) -> None: ...
    def set_cookie(self, node: Atom | None, cookie: str) -> None: ...
    def get_cookie(self, node: Atom | None = None) -> str: ...


NodeHook = Callable[[Peer], None]
NodeDownHook = Callable[[Peer, Any, bool], None]
"""Called with the peer, the reason, and whether a successor of the connection is at hand (then nobody may be told it was lost)."""


class Runtime(Kernel):
    """One node: processes, names, routes and services. Nothing of it is global, so that several fit into one interpreter."""

    on_new: ClassVar[list[Callable[[Runtime], object]]] = []
    """Called with every runtime that is made: how a test run prepares the nodes that its tests make."""

    def __init__(
        self, node: Atom = NO_NODE, creation: int = 1, loop: asyncio.AbstractEventLoop | None = None, *,
        slice: float = DEFAULT_SLICE,
    ) -> None:  # fmt: skip
        """slice: real seconds of processes per turn of the loop; infinity makes runs on a virtual clock repeatable."""
        super().__init__(node, creation, loop or asyncio.get_running_loop(), slice)
        self.report = self._report_crash
        self.on_long_schedule = self._report_long_schedule
        self.long_schedule_watchers: dict[Pid, float] = {}
        self._long_told = 0.0
        self.net: Net | None = None
        self.peers: dict[Atom, Peer] = {}
        self.known_nodes: set[Atom] = set()
        self.on_nodeup: list[NodeHook] = []
        self.on_nodedown: list[NodeDownHook] = []
        self.node_monitors: dict[Pid, dict[str, Any]] = {}
        self.one_node_monitors: dict[Atom, list[Pid]] = {}
        self.services: dict[str, Any] = {}
        self.stopping: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self.stopped: asyncio.Future[Any] = self.loop.create_future()
        for prepare in self.on_new:
            prepare(self)

    @property
    def distributed(self) -> bool:
        """Whether the node has a name and can be reached."""
        return self.net is not None

    async def run(self, function: Callable[..., Any], *args: Any, name: str | None = None) -> Any:
        """Run a function as a process and return its result; its exception is raised here. Cancelling kills the process.

        Raises ProcessFailed when an exit signal ended it.
        """
        done: asyncio.Future[Any] = self.loop.create_future()

        async def body() -> None:
            try:
                result = function(*args)
                if hasattr(result, "__await__"):
                    result = await result
            except Exit:
                raise
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:
                if exit_within(error) is not None:
                    raise
                if not done.done():
                    done.set_exception(error)
                raise Exit(atom.shutdown) from error  # reported to our caller, so not logged as a crash too
            if not done.done():
                done.set_result(result)

        def ended(_process: Any, reason: Any) -> None:
            if not done.done():
                done.set_exception(ProcessFailed(reason))

        pid = self.spawn(body, name=name)
        process = self.process_of(pid)
        assert process is not None
        process.rare_parts.on_exit = ended
        try:
            return await done
        finally:
            if not done.done() or done.cancelled():
                left = self.process_of(pid)
                if left is not None:
                    from beamish.process._signals import kill_process

                    kill_process(left)

    async def stop(self) -> None:
        """Leave the cluster and end every process. Safe to call twice."""
        if self.closed:
            return
        for stop in reversed(self.stopping):
            await stop()
        self.stopping.clear()
        if self.net is not None:
            await self.net.stop()
        self.shut()
        if not self.stopped.done():
            self.stopped.set_result(None)

    def node_up(self, peer: Peer) -> None:
        """A connection is up: hooks first, then messages to those who asked."""
        self.peers[peer.node] = peer
        self.known_nodes.add(peer.node)
        for hook in list(self.on_nodeup):
            hook(peer)
        self._tell_node_monitors(atom.nodeup, peer, None)

    def node_down(self, peer: Peer, reason: Any, replaced: bool = False) -> None:
        """A connection that was up is gone; `replaced` when its successor follows at once."""
        self.peers.pop(peer.node, None)
        for hook in list(self.on_nodedown):
            hook(peer, reason, replaced)
        self._tell_node_monitors(atom.nodedown, peer, reason)
        for pid in self.one_node_monitors.pop(peer.node, []):
            self.deliver_pid(pid, (atom.nodedown, peer.node))

    def _tell_node_monitors(self, what: Atom, peer: Peer, reason: Any) -> None:
        for pid, options in list(self.node_monitors.items()):
            if self.process_of(pid) is None:
                del self.node_monitors[pid]
                continue
            kind, with_reason = options.get("node_type"), options.get("nodedown_reason")
            if kind != "all" and (kind != "hidden") != peer.visible:
                continue
            if kind is None and not with_reason:
                self.deliver_pid(pid, (what, peer.node))
                continue
            info: list[Any] = []
            if kind is not None:
                info.append((atom.node_type, atom.visible if peer.visible else atom.hidden))
            if with_reason and what is atom.nodedown:
                info.append((atom.nodedown_reason, reason))
            self.deliver_pid(pid, (what, peer.node, info))

    def _report_crash(self, process: ControlBlock, reason: Any, error: BaseException) -> None:
        names = process.details["rare"].names if process.details["rare"] is not None else None
        module, function, _ = initial_call(process)
        what = f"{names[0]} " if names else ""
        label = process.details["rare"].label if process.details["rare"] is not None else None
        shown = f" [{label}]" if label is not None else ""
        log.error("process %s%s%s on %s crashed (started as %s:%s)\n%s", what, process.pid, shown, self.node, module, function,
                  text_of(reason))  # fmt: skip

    def _report_long_schedule(self, process: ControlBlock, seconds: float, frame: FrameType) -> None:
        """At most one log line a second; every watcher gets every event."""
        event = long_schedule(process, seconds, frame)
        now = time.monotonic()
        if now - self._long_told >= 1.0:
            self._long_told = now
            log.warning("%s", event)
        info = {
            "timeout": int(seconds * 1000), "module": event.module, "function": event.function, "file": event.file,
            "line": event.line, "name": event.name,
        }  # fmt: skip
        for pid, least in list(self.long_schedule_watchers.items()):
            if self.process_of(pid) is None:
                del self.long_schedule_watchers[pid]
            elif seconds >= least:
                self.deliver_pid(pid, (atom.monitor, process.pid, atom.long_schedule, info))

    def __repr__(self) -> str:
        return f"<Runtime {self.node} {self.process_count} processes>"


def current_runtime() -> Runtime:
    """The runtime of the current process. Raises NoRuntime outside one."""
    home = current_scheduler()
    if home is None:
        raise NoRuntime("this needs a running node: use it inside a process (spawn(), beamish.run(), the shell)")
    assert isinstance(home, Runtime)
    return home
