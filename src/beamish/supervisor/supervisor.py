"""`Supervisor`: starts its children in order, keeps them alive, stops them in reverse order.

    supervisor = await Supervisor.start_link(
        [Counter, (Cache, 1000), Mailer.child_spec(restart="transient")], strategy="rest_for_one", name="my_app",
    )
    await supervisor.which_children()

    class Shop(Supervisor):                     # module-based: the tree in a class of its own
        strategy = "one_for_all"

        def init(self, url: str) -> list[Any]:
            return [(Database, url), Checkout]

    await Shop.start_link("postgres://…", name="shop")

Strategies: one_for_one starts only the child again that ended, one_for_all all of them, rest_for_one it and those after it. More
than `max_restarts` within `max_seconds` end the supervisor with reason shutdown, so that its own supervisor may start it afresh.
auto_shutdown "any_significant" or "all_significant" ends it when significant children have come to their own end.
"""

from __future__ import annotations

from typing import Any

from beamish.supervisor import requests
from beamish.supervisor.child_spec import ChildSpec, child_spec, id_of
from beamish.supervisor.face import AnySupervisor
from beamish.supervisor.server import options_of
from beamish.supervisor.tree_server import OPTIONS, TreeServer, check_plan
from beamish.term import atom


class Supervisor(AnySupervisor):
    """A supervisor of children that have an order. An instance is a handle; see `Supervisor.start_link`."""

    server_class = TreeServer

    def init(self, children: Any = (), **options: Any) -> Any:
        """Override it to say what is to be supervised: a list of children, or ``(children, options)``, or IGNORE.

        options: strategy ("one_for_one"), max_restarts (3), max_seconds (5), auto_shutdown ("never"); they may also be attributes
        of the class.
        """
        if isinstance(children, list | tuple):
            return children, options
        return children

    @classmethod
    def _check(cls, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if cls.init is Supervisor.init and len(args) == 1:
            check_plan(cls.__qualname__, args[0], options_of(cls, kwargs, OPTIONS))

    # `supervisor` is the handle, or any target: Supervisor.start_child("my_app", Counter) is the same as in Elixir.

    async def start_child(supervisor: Any, child: Any) -> Any:
        """Add a child and start it; gives its pid, ``(pid, info)`` if its start function gave more, None if it chose not to start.

        Raises AlreadyStarted, StartError (also when it is there and does not run), BadChildSpec, CallFailed.
        """
        return await requests.start_child(supervisor, child, dynamic=False)

    async def terminate_child(supervisor: Any, id: Any) -> None:
        """Stop a child and leave it stopped; its specification stays, unless it is temporary. Raises NoChild, CallFailed."""
        await requests.order(supervisor, atom.terminate_child, id)

    async def restart_child(supervisor: Any, id: Any) -> Any:
        """Start a child that does not run; gives the same as start_child. Raises NoChild, ChildBusy, StartError, CallFailed."""
        answer = await requests.ask(supervisor, (atom.restart_child, id_of(id)))
        return requests.started(answer, supervisor, id)

    async def delete_child(supervisor: Any, id: Any) -> None:
        """Forget a child that does not run. Raises NoChild, ChildBusy, CallFailed."""
        await requests.order(supervisor, atom.delete_child, id)

    async def get_childspec(supervisor: Any, id: Any) -> ChildSpec:
        """The specification of a child. Raises NoChild, CallFailed."""
        answer = await requests.order(supervisor, atom.get_childspec, id)
        return child_spec(answer[1])


__all__ = ["Supervisor"]
