"""The process of a `Supervisor`: performs what its `Tree` decides and answers OTP's requests.

Source  OTP 25, stdlib: supervisor.erl.
"""

from __future__ import annotations

from typing import Any, Final

from beamish.gen_server.client import From, cast
from beamish.gen_server.results import Stop
from beamish.supervisor import events, report
from beamish.supervisor.child_spec import BadChildSpec, child_spec, key_of
from beamish.supervisor.events import Add, Again, Boot, Delete, Event, Exited, Halt, Quit, Restart, Retry, Start, Stopped, Terminate
from beamish.supervisor.server import Plan, SupervisingServer, intensity_of, options_of
from beamish.supervisor.starting import start_child
from beamish.supervisor.stopping import stop_child
from beamish.supervisor.strategy import Tree
from beamish.term import Atom, Pid, atom
from beamish.term.convert import shown_value

OPTIONS: Final = frozenset({"strategy", "max_restarts", "max_seconds", "auto_shutdown"})
_ERROR: Final = atom.error
_EXIT: Final = atom.EXIT
_TRY_AGAIN: Final = atom.try_again_restart
_BY_ID: Final[dict[Any, Any]] = {atom.terminate_child: Terminate, atom.restart_child: Restart, atom.delete_child: Delete}


def check_plan(name: str, children: Any, options: dict[str, Any]) -> Tree:
    """The tree that children and options make. Raises BadChildSpec, BadOption."""
    if not isinstance(children, list | tuple):
        raise BadChildSpec(
            f"{name} supervises a list of children, not {children!r}", (atom.bad_return, shown_value(children))
        )
    kind = {key: options[key] for key in ("strategy", "auto_shutdown") if key in options}
    return Tree([child_spec(child) for child in children], intensity=intensity_of(options), **kind)


class TreeServer(SupervisingServer):
    """A supervisor whose children have an order."""

    tree: Tree

    def prepare(self, made: Any) -> None:
        """``children``, or ``(children, options)``."""
        children = made
        given: dict[str, Any] = {}
        if isinstance(made, tuple) and len(made) == 2 and isinstance(made[1], dict) and isinstance(made[0], list | tuple):
            children, given = made
        cls = type(self.module)
        fresh = check_plan(cls.__qualname__, children, options_of(cls, given, OPTIONS))
        old: Tree | None = getattr(self, "tree", None)
        if old is not None:  # new code
            fresh.take_over(old)
        self.tree = fresh

    async def begin(self, plan: Plan) -> Any:
        """Start the children in their order; if one cannot be started, stop those that were."""
        done = await self.perform(Boot())
        if isinstance(done, Quit):
            plan.words = done.text
            await self.perform(Halt())
            return Stop(done.reason)
        return None

    async def perform(self, event: Event) -> Quit | events.Reply | None:
        """Tell the tree of an event and do what it says, until it has nothing more to say."""
        tree, now = self.tree, self.runtime.loop.time
        outcome: Quit | events.Reply | None = None
        going: Event | None = event
        while going is not None:
            actions = tree.step(going, now())
            going = None
            for action in actions:
                kind = action.__class__
                if kind is Start:
                    going = await start_child(self, action.child.spec)  # type: ignore[union-attr]
                elif kind is events.Stop:
                    child = action.child  # type: ignore[union-attr]
                    assert child.pid is not None
                    ending = await stop_child(child.pid, child.spec)
                    if ending.bad:
                        report.write_ending(self.title, ending)
                    going = Stopped()
                elif kind is Retry:
                    cast(self.pid, (_TRY_AGAIN, action.key))  # type: ignore[union-attr]
                elif kind is events.Reply or kind is Quit:
                    outcome = action  # type: ignore[assignment]
                else:
                    self.told(action)  # type: ignore[arg-type]
        return outcome

    # ---- messages

    async def handle_call(self, request: Any, from_: From) -> Any:
        """OTP's requests, in OTP's shapes."""
        if request is atom.which_children:
            return self.visible(from_, self.tree.which_children())
        if request is atom.count_children:
            return [(atom(key), value) for key, value in self.tree.counts().items()]
        if request.__class__ is tuple and len(request) == 2 and request[0].__class__ is Atom:
            what, value = request
            try:
                if what is atom.start_child:
                    return self.visible(from_, await self.ask(Add(child_spec(value))))
                if what is atom.get_childspec:
                    return self.visible(from_, self.tree.get_childspec(key_of(value)))
                if what in _BY_ID:
                    return self.visible(from_, await self.ask(_BY_ID[what](key_of(value))))
            except BadChildSpec as error:
                return (_ERROR, error.reason)
        return super().handle_call(request, from_)

    async def ask(self, event: Event) -> Any:
        """Perform a request and give its answer."""
        done = await self.perform(event)
        assert isinstance(done, events.Reply)
        return done.value

    async def handle_info(self, message: Any) -> Any:
        """The end of a child."""
        if message.__class__ is tuple and len(message) == 3 and message[0] is _EXIT and message[1].__class__ is Pid:
            return await self._perform(Exited(message[1], message[2]))
        return super().handle_info(message)

    async def handle_cast(self, request: Any) -> Any:
        """Another attempt to start a child."""
        if request.__class__ is tuple and len(request) == 2 and request[0] is _TRY_AGAIN:
            try:
                known = request[1] in self.tree.children
            except TypeError:  # no key of ours: anybody may send a cast
                known = False
            if known:
                return await self._perform(Again(request[1]))
        return super().handle_cast(request)

    async def _perform(self, event: Event) -> Any:
        done = await self.perform(event)
        return Stop(done.reason) if isinstance(done, Quit) else None

    async def terminate(self, reason: Any) -> None:
        """Stop the children, the last first."""
        if not self.tree.busy and not self.tree.halted:
            await self.perform(Halt())

    # ---- for `sys`

    def get_state(self) -> Any:
        """What there is to know, as a map."""
        tree = self.tree
        return {
            atom.strategy: atom(tree.strategy), atom.intensity: tree.intensity.max_restarts,
            atom.period: tree.intensity.max_seconds, atom.auto_shutdown: atom(tree.auto_shutdown),
            atom.restarts: list(tree.intensity.times),
            atom.children: tree.which_children(),
        }  # fmt: skip

    def set_state(self, state: Any) -> None:
        """Refused: the children are processes."""
        raise TypeError("the state of a supervisor cannot be replaced; use start_child, terminate_child, delete_child")


__all__ = ["TreeServer"]
