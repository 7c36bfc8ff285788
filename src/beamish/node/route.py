"""A route that does not lead anywhere yet: it keeps signals, in order, until the connection is up or has failed."""

from __future__ import annotations

import logging
from typing import Any, Final

from beamish.errors import BeamishError, ConnectionBusy
from beamish.etf import decode, encode
from beamish.process import Route
from beamish.process._core import Scheduler
from beamish.process._signals import route_lost
from beamish.term import Atom, Pid, Ref, atom

log = logging.getLogger("beamish.node")

MAX_WAITING_SIGNALS: Final = 100_000
MAX_WAITING_BYTES: Final = 32 << 20
"""Of encoded messages; less than a fresh connection refuses to take at once."""


class PendingRoute(Route):
    """Signals for a node that is being connected.

    A message is encoded once here: what is no term fails where its sender can see it, and what the sender changes
    afterwards does not change what is sent.
    """

    def __init__(self, node: Atom) -> None:
        super().__init__(node)
        self.waiting: list[tuple[str, tuple[Any, ...]]] = []
        self.waiting_bytes = 0

    def _keep(self, verb: str, *args: Any) -> None:
        # News of deaths and ends of links are always taken: they are bounded by what was made before.
        self.waiting.append((verb, args))

    def _ask(self, verb: str, *args: Any, size: int = 0) -> None:
        """A signal that somebody here may be refused."""
        if len(self.waiting) >= MAX_WAITING_SIGNALS or self.waiting_bytes + size > MAX_WAITING_BYTES:
            raise ConnectionBusy(
                f"{len(self.waiting)} signals ({self.waiting_bytes} bytes) already wait for the connection to {self.node}; "
                "await Node.connect() before sending in bulk"
            )
        self.waiting_bytes += size
        self.waiting.append((verb, args))

    def send(self, sender: Pid | None, to: Any, message: Any) -> None:
        data = encode(message)
        self._ask("send", sender, to, decode(data), size=len(data))

    def link(self, local: Pid, remote: Pid) -> None:
        self._ask("link", local, remote)

    def unlink(self, local: Pid, remote: Pid, id: int) -> None:
        self._keep("unlink", local, remote, id)

    def unlink_ack(self, local: Pid, remote: Pid, id: int) -> None:
        self._keep("unlink_ack", local, remote, id)

    def exit_linked(self, local: Pid, remote: Pid, reason: Any) -> None:
        self._keep("exit_linked", local, remote, reason)

    def exit_signal(self, local: Pid, remote: Pid, reason: Any) -> None:
        self._ask("exit_signal", local, remote, reason)

    def monitor(self, local: Pid, target: Any, ref: Ref) -> None:
        self._ask("monitor", local, target, ref)

    def demonitor(self, local: Pid, target: Any, ref: Ref) -> None:
        self._keep("demonitor", local, target, ref)

    def monitor_down(self, target: Any, remote: Pid, ref: Ref, reason: Any) -> None:
        self._keep("monitor_down", target, remote, ref, reason)

    def spawn_request(self, ref: Ref, local: Pid, leader: Pid, mfa: tuple[Any, ...], args: list[Any], opts: list[Any]) -> None:
        data = encode(args)
        self._ask("spawn_request", ref, local, leader, mfa, decode(data), opts, size=len(data))

    def spawn_reply(self, ref: Ref, remote: Pid, flags: int, pid_or_reason: Any) -> None:
        self._keep("spawn_reply", ref, remote, flags, pid_or_reason)

    def group_leader(self, leader: Pid, remote: Pid) -> None:
        self._ask("group_leader", leader, remote)

    def flush_into(self, route: Route) -> None:
        """The connection is up: everything goes out in the order in which it came."""
        for table in ("out_monitors", "in_monitors", "requests"):
            getattr(route, table).update(getattr(self, table))
        for remote, locals_ in self.links.items():
            route.links.setdefault(remote, {}).update(locals_)
        waiting, self.waiting = self.waiting, []
        for verb, args in waiting:
            try:
                getattr(route, verb)(*args)
            except (BeamishError, ValueError) as error:
                # Whoever sent it has long gone on; the others' signals must not be lost with it.
                log.error("a signal that waited for the connection to %s was dropped: %s: %s", self.node, verb, error)


def fail_route(home: Scheduler, route: Route) -> None:
    """`noconnection` for everything that hung on this route: links, monitors, spawn requests."""
    requests, route.requests = route.requests, {}
    for ref, (local, *_) in requests.items():
        home.deliver_pid(local, (atom.spawn_reply, ref, atom.error, atom.noconnection))
    route_lost(home, route)
