"""`DynamicSupervisor`: children that come and go, up to millions, without an order between them.

    sessions = await DynamicSupervisor.start_link(name="sessions", max_children=100_000)
    pid = await sessions.start_child(Session.child_spec(user, restart="temporary"))
    await sessions.terminate_child(pid)

    class Sessions(DynamicSupervisor):          # module-based
        max_restarts = 100

        def init(self, database: str) -> dict[str, Any]:
            return {"extra_arguments": [database]}       # every child is started with it as its first argument

The id of a child is not looked at. When the supervisor ends, its children stop at the same time.
"""

from __future__ import annotations

from typing import Any, Final

from beamish.gen_server.client import call
from beamish.supervisor import requests
from beamish.supervisor.dynamic_server import DynamicServer, instance_of
from beamish.supervisor.face import AnySupervisor
from beamish.term import Pid, atom

_START: Final = atom.start_child
_OK: Final = atom.ok


class DynamicSupervisor(AnySupervisor):
    """A supervisor of children without an order. An instance is a handle; see `DynamicSupervisor.start_link`."""

    server_class = DynamicServer

    def init(self, **options: Any) -> Any:
        """Override it to give options (a dict, or None), or IGNORE.

        options: max_restarts (3), max_seconds (5), max_children (no limit), extra_arguments (none: they go before the arguments
        of each child's start function); they may also be attributes of the class.
        """
        return options

    # `supervisor` is the handle, or any target: DynamicSupervisor.start_child("sessions", Session) is the same as in Elixir.

    async def start_child(supervisor: Any, child: Any) -> Any:
        """Start one more child; gives its pid, ``(pid, info)`` if its start function gave more, None if it chose not to start.

        Raises StartError (`reason` max_children when there are too many), AlreadyStarted, BadChildSpec, CallFailed.
        """
        target = getattr(supervisor, "__target__", supervisor)
        spec = instance_of(child) if requests.is_here(target) else None
        if spec is None:
            spec = requests.request_of(target, child, dynamic=True)
        answer = await call(target, (_START, spec), None)
        if answer.__class__ is tuple and len(answer) == 2 and answer[0] is _OK:
            return answer[1]
        return requests.started(answer, supervisor, child)

    async def terminate_child(supervisor: Any, child: Any) -> None:
        """Stop a child, given by its pid or a handle, and forget it. Raises NoChild, CallFailed."""
        pid = child if isinstance(child, Pid) else child.pid
        await requests.order(supervisor, atom.terminate_child, pid)


__all__ = ["DynamicSupervisor"]
