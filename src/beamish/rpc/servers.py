"""Registered processes that every node of a cluster is expected to have: a loop for them, and `net_kernel`.

A server handles one message at a time in a plain function and never waits; what may take long runs in a process of
its own. Whatever a peer sends, a server logs and goes on; if somebody kills it, it is started again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from beamish.errors import NoRuntime
from beamish.node.runtime import Runtime
from beamish.process import link, monitor, receive, send, trap_exit
from beamish.process.gen import GEN_CALL, GEN_CAST, reply
from beamish.rpc.apply import run_mfa
from beamish.rpc.exports import Exports
from beamish.term import Atom, Pid, Ref, atom

log = logging.getLogger("beamish.rpc")

SYSTEM: Final = atom.system
SHOWN: Final = 300


class Server:
    """What a system process does with its messages. Unknown calls are answered with an error, unknown messages are
    dropped."""

    name: Atom

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def handle(self, message: Any) -> None:
        """One message. Runs inside the server's process."""
        match message:
            case (tag, (Pid(), _) as to, request) if tag is GEN_CALL:
                self.call(to, request)
            case (tag, request) if tag is GEN_CAST:
                self.cast(request)
            case (atom.DOWN, Ref() as ref, atom.process, _, reason):
                self.down(ref, reason)
            case (tag, (Pid(), _) as to, request) if tag is SYSTEM:
                self.system(to, request)
            case (atom.EXIT, Pid(), _):
                pass  # it traps exits so that links do it no harm
            case _:
                self.info(message)

    def call(self, to: Any, request: Any) -> None:
        """A gen call; answer with `reply`."""
        reply(to, (atom.error, (atom.unknown_request, request)))

    def cast(self, request: Any) -> None:
        """A gen cast."""
        self.unknown(request)

    def info(self, message: Any) -> None:
        """Any other message."""
        self.unknown(message)

    def down(self, ref: Ref, reason: Any) -> None:
        """A process that this server watches has ended."""

    def system(self, to: Any, request: Any) -> None:
        """sys messages: there is no state worth showing, and nothing to suspend."""
        reply(to, self.state() if request is atom.get_state else (atom.error, (atom.unknown_system_msg, request)))

    def state(self) -> Any:
        """What sys:get_state shows."""
        return atom.undefined

    def unknown(self, message: Any) -> None:
        """Say what was dropped."""
        log.debug("%s on %s dropped %s", self.name, self.runtime.node, repr(message)[:SHOWN])

    def start(self, function: Any, *args: Any, leader: Any = None) -> Ref:
        """Start a process that works for this server and watch it."""
        chosen = leader if isinstance(leader, Pid) else self.runtime.user
        return monitor(self.runtime.spawn(function, *args, leader=chosen))


def start_server(runtime: Runtime, make: Callable[[], Server]) -> None:
    """Register and run a server, again whenever it ends while the node runs."""

    async def loop(server: Server) -> None:
        trap_exit()
        while True:
            message = await receive()
            try:
                server.handle(message)
            except Exception:
                log.exception("%s on %s could not handle %s", server.name, runtime.node, repr(message)[:SHOWN])

    def begin() -> None:
        if runtime.closed:
            return
        server = make()
        try:
            pid = runtime.spawn(loop, server, name=server.name, system=True)
        except NoRuntime:
            return
        process = runtime.process_of(pid)
        assert process is not None
        process.rare_parts.on_exit = ended
        process.rare_parts.label = f"{server.name} (system)"

    def ended(_process: Any, reason: Any) -> None:
        # The runtime ends its processes when it stops: only look again once that is over.
        runtime.loop.call_soon(again, reason)

    def again(reason: Any) -> None:
        if not runtime.closed:
            log.warning("a system process of %s ended (%r); starting it again", runtime.node, reason)
            begin()

    begin()


class NetKernel(Server):
    """`net_kernel`: answers pings, and spawns for peers that do not know SPAWN_REQUEST.

    Source  OTP 25, kernel: net_kernel (handle_call/3, handle_info/2); facts section 9.
    """

    name = atom.net_kernel

    def __init__(self, runtime: Runtime, exports: Exports) -> None:
        super().__init__(runtime)
        self.exports = exports

    def call(self, to: Any, request: Any) -> None:
        match request:
            case (atom.is_auth, _):
                reply(to, atom.yes)
            case (atom.spawn, module, function, args, leader):
                reply(to, self.spawn(leader, module, function, args))
            case (atom.spawn_link, module, function, args, leader):
                reply(to, self.spawn(leader, module, function, args, linked=to[0]))
            case (atom.spawn_opt, module, function, args, opts, linked, leader):
                watch = isinstance(opts, list) and atom.monitor in opts
                pid = self.spawn(leader, module, function, args, linked=to[0] if linked is atom.link else None)
                reply(to, (pid, self.runtime.new_ref()) if watch else pid)
            case atom.longnames:
                reply(to, "." in str(self.runtime.node).partition("@")[2])
            case atom.nodename:
                reply(to, self.runtime.node)
            case _:
                super().call(to, request)

    def info(self, message: Any) -> None:
        match message:
            case (Pid(), atom.registered_send, Pid() | Atom() as dest, forwarded):
                if isinstance(dest, Pid) or dest in self.runtime.names:
                    send(dest, forwarded)
            case _:
                self.unknown(message)

    def spawn(self, leader: Any, module: Any, function: Any, args: Any, *, linked: Pid | None = None) -> Pid:
        """Run a function by name for an old peer."""

        async def body() -> None:
            if linked is not None:
                link(linked)
            await run_mfa(self.runtime, self.exports, module, function, args)

        chosen = leader if isinstance(leader, Pid) else self.runtime.user
        return self.runtime.spawn(body, leader=chosen)
