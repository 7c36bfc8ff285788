"""Signals between two nodes of one interpreter, as bytes: nothing is shared, as over a wire."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

from beamish.errors import RemoteProtocolError
from beamish.etf import decode, encode
from beamish.node.runtime import Runtime
from beamish.process import Route
from beamish.process import _signals as signals
from beamish.term import Atom, Pid, Ref, atom

LINKED: Final = 1
MONITORED: Final = 2
"""Flags of a spawn reply: ERTS, Distribution Protocol, SPAWN_REPLY."""


class MemoryRoute(Route):
    """What a runtime sends to one peer. Every signal is encoded here, so that what is no term fails at its sender."""

    def __init__(self, runtime: Runtime, peer: Atom, transmit: Callable[[bytes], object]) -> None:
        super().__init__(peer)
        self.runtime = runtime
        self.closed = False
        self._transmit = transmit
        self._thread = threading.get_ident()

    def _put(self, verb: str, *fields: Any) -> None:
        if self.closed:
            return
        data = encode((atom(verb), list(fields)))
        if threading.get_ident() == self._thread:
            self._transmit(data)
        else:
            self.runtime.loop.call_soon_threadsafe(self._transmit, data)

    def _put_reason(self, verb: str, *fields: Any) -> None:
        """News of a death go out even if the reason is no term."""
        try:
            self._put(verb, *fields)
        except ValueError as error:
            reason = (atom.unsendable_reason, repr(fields[-1])[:1000], str(error)[:1000])
            self._put(verb, *fields[:-1], reason)

    def send(self, sender: Pid | None, to: Any, message: Any) -> None:
        self._put("send", sender, to, message)

    def link(self, local: Pid, remote: Pid) -> None:
        self._put("link", local, remote)

    def unlink(self, local: Pid, remote: Pid, id: int) -> None:
        self._put("unlink", id, local, remote)

    def unlink_ack(self, local: Pid, remote: Pid, id: int) -> None:
        self._put("unlink_ack", id, local, remote)

    def exit_linked(self, local: Pid, remote: Pid, reason: Any) -> None:
        self._put_reason("exit_linked", local, remote, reason)

    def exit_signal(self, local: Pid, remote: Pid, reason: Any) -> None:
        self._put_reason("exit_signal", local, remote, reason)

    def monitor(self, local: Pid, target: Any, ref: Ref) -> None:
        self._put("monitor", local, target, ref)

    def demonitor(self, local: Pid, target: Any, ref: Ref) -> None:
        self._put("demonitor", local, target, ref)

    def monitor_down(self, target: Any, remote: Pid, ref: Ref, reason: Any) -> None:
        self._put_reason("monitor_down", target, remote, ref, reason)

    def spawn_request(
        self, ref: Ref, local: Pid, leader: Pid, mfa: tuple[Any, ...], args: list[Any], opts: list[Any]
    ) -> None:
        self._put("spawn_request", ref, local, leader, mfa, args, opts)

    def spawn_reply(self, ref: Ref, remote: Pid, flags: int, pid_or_reason: Any) -> None:
        self._put("spawn_reply", ref, remote, flags, pid_or_reason)

    def group_leader(self, leader: Pid, remote: Pid) -> None:
        self._put("group_leader", leader, remote)

    def flush(self) -> None:
        """Nothing is held back here."""

    # ---- the other way

    def dispatch(self, data: bytes) -> None:
        """A signal of the peer arrives at our runtime; the same rules as on a wire."""
        verb, fields = decode(data)
        handler = getattr(self, f"_in_{verb}", None)
        if handler is None:
            raise RemoteProtocolError(f"sent the unknown signal {verb}")
        handler(*fields)

    def _in_send(self, sender: Pid | None, to: Any, message: Any) -> None:
        if isinstance(to, Pid):
            self.runtime.deliver_pid(to, message)
        elif isinstance(to, Ref):
            self.runtime.deliver_alias(to, message)
        else:
            self.runtime.deliver_name(to, message)

    def _in_link(self, remote: Pid, local: Pid) -> None:
        signals.in_link(self.runtime, self, remote, local)

    def _in_unlink(self, id: int, remote: Pid, local: Pid) -> None:
        signals.in_unlink(self.runtime, self, id, remote, local)

    def _in_unlink_ack(self, id: int, remote: Pid, local: Pid) -> None:
        signals.in_unlink_ack(self.runtime, self, id, remote, local)

    def _in_exit_linked(self, remote: Pid, local: Pid, reason: Any) -> None:
        signals.in_exit_linked(self.runtime, self, remote, local, reason)

    def _in_exit_signal(self, remote: Pid, local: Pid, reason: Any) -> None:
        signals.in_exit_signal(self.runtime, remote, local, reason)

    def _in_monitor(self, remote: Pid, target: Any, ref: Ref) -> None:
        signals.in_monitor(self.runtime, self, remote, target, ref)

    def _in_demonitor(self, remote: Pid, target: Any, ref: Ref) -> None:
        signals.in_demonitor(self.runtime, self, ref)

    def _in_monitor_down(self, target: Any, local: Pid, ref: Ref, reason: Any) -> None:
        signals.in_monitor_down(self.runtime, self, local, ref, reason)

    def _in_group_leader(self, leader: Pid, local: Pid) -> None:
        process = self.runtime.process_of(local)
        if process is not None:
            process.leader = leader

    def _in_spawn_request(self, ref: Ref, remote: Pid, leader: Pid, mfa: Any, args: Any, opts: Any) -> None:
        handler = self.runtime.services.get("spawn_requested")
        if handler is None:
            self.spawn_reply(ref, remote, 0, atom.notsup)
        else:
            handler(self, ref, remote, leader, mfa, args, opts)

    def _in_spawn_reply(self, ref: Ref, local: Pid, flags: int, result: Any) -> None:
        request = self.requests.pop(ref, None)
        process = self.runtime.process_of(local)
        if process is None:
            if isinstance(result, Pid) and flags & LINKED:
                self.exit_linked(local, result, atom.noproc)  # whom it is linked to has died meanwhile
            return
        if request is None:
            return
        if not isinstance(result, Pid):
            self.runtime.deliver_pid(local, (atom.spawn_reply, ref, atom.error, result))
            return
        if flags & LINKED:
            signals.link_made(process, self, result)
        if flags & MONITORED:
            signals.monitor_made(process, self, result, ref)
        self.runtime.deliver_pid(local, (atom.spawn_reply, ref, atom.ok, result))


__all__ = ["MemoryRoute"]
