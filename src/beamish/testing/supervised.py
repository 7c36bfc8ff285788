"""Processes that end with the test which started them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from beamish.errors import Exit, NoProcess
from beamish.node.runtime import Runtime, current_runtime
from beamish.process import link, receive, send, trap_exit, unlink
from beamish.supervisor import Supervisor, child_spec
from beamish.term import Pid, atom
from beamish.testing.case import Case

MAX_RESTARTS: Final = 1_000_000
"""A test may crash a child as often as it likes: giving up is what the supervisor under test does, not this one."""


class Keeper:
    """The process above a test's supervisor; it stands outside the test, so that the test's own end does not reach the children
    before their turn has come."""

    def __init__(self, runtime: Runtime) -> None:
        self.ready: asyncio.Future[Any] = runtime.loop.create_future()
        self.over: asyncio.Future[None] = runtime.loop.create_future()
        self.pid: Pid = runtime.spawn(self.keep, system=True)

    async def keep(self) -> None:
        """Start the supervisor, and stop it when told to."""
        trap_exit()
        try:
            started = await Supervisor.start_link([], strategy="one_for_one", max_restarts=MAX_RESTARTS, max_seconds=1)
            self.ready.set_result(started)
            await receive(atom.stop)
            await Supervisor.stop(started, atom.shutdown)
        except Exit:
            raise
        except BaseException as error:
            for waited in (self.ready, self.over):
                if not waited.done():
                    waited.set_exception(error)
                    waited.exception()  # told here or nowhere
            raise
        finally:
            if not self.over.done():
                self.over.set_result(None)


async def _supervisor(case: Case) -> Any:
    if case.keeper is None:
        keeper = Keeper(case.runtime)
        case.keeper = keeper

        async def stop_children() -> None:
            send(keeper.pid, atom.stop)
            await keeper.over

        case.stop_children = stop_children
    return await case.keeper.ready


async def start_supervised(child: Any, **changes: Any) -> Any:
    """Start a child under the test's own supervisor; gives a handle where its class has them, else the pid.

    child: as a supervisor's child is written: ``Counter``, ``(Counter, 10)``, ``Counter.child_spec(10, name="counter")``, a
    ChildSpec. changes: replace keys of the specification (``id=…``, ``restart="temporary"``). Before the test ends the children are
    stopped, the youngest first, each within its shutdown time: the next test meets none of them. One that crashes is started
    again if its specification says so. Raises StartError with the reason if it does not come up; gives None if it did not want to.
    """
    spec = child_spec(child, **changes)
    supervisor = await _supervisor(Case.of(current_runtime()))
    started = await Supervisor.start_child(supervisor, spec)
    return _held(spec, started)


async def start_link_supervised(child: Any, **changes: Any) -> Any:
    """`start_supervised`, and a link to the test: a crash of the child fails the test with the child's traceback."""
    held = await start_supervised(child, **{"restart": "temporary", **changes})
    link(getattr(held, "pid", held))
    return held


async def stop_supervised(id: Any) -> None:
    """Stop a child of `start_supervised` by its id (or class, or handle) and wait until it is gone. Raises NoProcess."""
    case = Case.of(current_runtime())
    supervisor = await _supervisor(case)
    pid = getattr(id, "pid", id)
    children = await Supervisor.which_children(supervisor)
    for each in children:
        if each.pid == pid or each.id == id or str(each.id) == getattr(id, "__name__", id):
            if isinstance(each.pid, Pid):
                unlink(each.pid)  # of start_link_supervised: this end is wanted
            await Supervisor.terminate_child(supervisor, each.id)
            if each.id in [left.id for left in await Supervisor.which_children(supervisor)]:
                await Supervisor.delete_child(supervisor, each.id)
            return
    known = ", ".join(str(each.id) for each in children) or "none"
    raise NoProcess(f"start_supervised has started no child {id!r} in this test; its children: {known}")


def on_exit(callback: Callable[[], Any]) -> None:
    """Have a function, plain or async, called when the test is over, however it ends: after the supervised children have stopped.

    Callbacks run as processes of the test's node, the last one first; if one fails, the test fails.
    """
    Case.of(current_runtime()).cleanups.append(callback)


def _held(spec: Any, started: Any) -> Any:
    if started is None:
        return None
    pid = getattr(started, "pid", started)
    modules = spec.modules if isinstance(spec.modules, tuple | list) else ()
    at = getattr(modules[0], "at", None) if modules else None
    return started if started is not pid or at is None else at(pid)


__all__ = ["on_exit", "start_link_supervised", "start_supervised", "stop_supervised"]
