"""`TaskSupervisor`, also `Task.Supervisor`: tasks that somebody looks after, on this node or another.

    await TaskSupervisor.start_link(name="jobs")                     # or as a child: TaskSupervisor.child_spec(name="jobs")
    task = await TaskSupervisor.async_nolink("jobs", fetch, url)     # may fail without us
    match await task.yield_():
        case Ok(page): ...
        case Exited(reason): ...

    task = await TaskSupervisor.async_(("jobs", "robin@frankel"), prices.of, "cheese")      # runs there
    await task

On another node functions go by name (D4): of a module that both have, and that the other one exports. `("Elixir.Enum", "sum")`
names a function of Elixir's. Elixir's Task.Supervisor.async({jobs, node}, Module, Function, Args) starts tasks here in the same
way. If the connection breaks, awaiting raises TaskFailed with reason ``{nodedown, Node}``; a linked task ends, another goes on.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar, Unpack, overload

from beamish.agent.functions import LocalCall, name_of, remote_call
from beamish.errors import BeamishError
from beamish.gen_server.child_spec import ChildSpec
from beamish.gen_server.client import From
from beamish.gen_server.target import address
from beamish.node import current_runtime
from beamish.process import self as current
from beamish.process.exits import is_exception_reason
from beamish.supervisor import requests
from beamish.supervisor.child_spec import BadChildSpec, make
from beamish.supervisor.dynamic_server import DynamicServer
from beamish.supervisor.events import Report
from beamish.supervisor.face import AnySupervisor
from beamish.task.stream import Stream, StreamOptions
from beamish.task.supervised import (
    START_TASK,
    SupervisedStarter,
    owner_term,
    start_answering,
    start_owned,
    start_task,
    start_working,
)
from beamish.task.task import Task
from beamish.term import Atom, Pid, atom
from beamish.term.convert import shown_value

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741  # the input of a stream


class TaskServer(DynamicServer):
    """The process: a dynamic supervisor that is also asked for tasks."""

    def handle_call(self, request: Any, from_: From) -> Any:
        """``{start_task, Args, Restart, Shutdown}``, and what any dynamic supervisor is asked."""
        if type(request) is not tuple or len(request) != 4 or request[0] is not START_TASK:
            return super().handle_call(request, from_)
        _, args, restart, shutdown = request
        try:
            if not isinstance(restart, Atom | None) or not isinstance(shutdown, Atom | int | None):
                return (atom.error, (atom.badarg, shown_value(request)))
            spec = _spec(restart, shutdown)
            match args:
                case [(_, _, Pid()), atom.monitor | atom.nomonitor]:
                    # Its work comes later and only once: nothing is kept of it, and its start cannot fail.
                    pool = self.pool
                    if len(pool.children) >= pool.max_children:
                        return (atom.error, atom.max_children)
                    pid = start_answering(args[0])
                    pool.keep(pid, spec)
                    return (atom.ok, pid)
                case [(_, _, Pid()), _, _]:
                    return self.add(replace(spec, start=(start_working, args)), from_)
        except BadChildSpec as error:
            return (atom.error, error.reason)
        except BeamishError as error:  # no more processes
            return (atom.error, str(error))
        return (atom.error, (atom.badarg, shown_value(args)))

    def told(self, what: Report) -> None:
        """Log what went wrong with a child; but of a task that is not started again its own crash report says it all, and one that
        was killed was not wanted any more."""
        spoke_for_itself = is_exception_reason(what.reason) or what.reason is atom.killed
        if what.what != "child_terminated" or what.spec.restart != "temporary" or not spoke_for_itself:
            super().told(what)


@functools.lru_cache(64)
def _spec(restart: Any, shutdown: Any) -> ChildSpec:
    """The specification of tasks without what they are to do. Raises BadChildSpec."""
    options = {"restart": atom.temporary if restart is None else restart, "shutdown": 5000 if shutdown is None else shutdown}
    checked = make({"id": atom.task, "start": (atom.task, atom.start, []), **options}, erlang=True)
    return ChildSpec(atom.task, start_answering, checked.restart, checked.shutdown, modules=(Task,))


class TaskSupervisor(AnySupervisor):
    """A supervisor of tasks. An instance is a handle; the verbs also take any other target as their first argument."""

    server_class = TaskServer

    def init(self, **options: Any) -> Any:
        """Override it to give options: max_children (no limit), max_restarts (3), max_seconds (5)."""
        return options

    # ---- tasks whose results are awaited

    @overload
    async def async_(
        supervisor: Any, function: Callable[..., Awaitable[T]], *args: Any, shutdown: float | str | None = ..., **kwargs: Any
    ) -> Task[T]: ...
    @overload
    async def async_(
        supervisor: Any, function: Callable[..., T] | tuple[Any, Any], *args: Any, shutdown: float | str | None = ..., **kwargs: Any
    ) -> Task[T]: ...
    async def async_(
        supervisor: Any, function: Any, *args: Any, shutdown: float | str | None = None, **kwargs: Any
    ) -> Task[Any]:
        """Start a task under the supervisor, linked to the current process as well, which owns it and must await it.

        shutdown: seconds (5), or "brutal_kill": what the supervisor gives it when it ends; only a task that traps exits uses them.
        Raises MaxChildren, CallFailed, and NodeError for a function that another node could not find.
        """
        return await _task(supervisor, function, args, kwargs, True, shutdown)

    @overload
    async def async_nolink(
        supervisor: Any, function: Callable[..., Awaitable[T]], *args: Any, shutdown: float | str | None = ..., **kwargs: Any
    ) -> Task[T]: ...
    @overload
    async def async_nolink(
        supervisor: Any, function: Callable[..., T] | tuple[Any, Any], *args: Any, shutdown: float | str | None = ..., **kwargs: Any
    ) -> Task[T]: ...
    async def async_nolink(
        supervisor: Any, function: Any, *args: Any, shutdown: float | str | None = None, **kwargs: Any
    ) -> Task[Any]:
        """The same without the link: the task may fail, and then `await task` raises TaskFailed. In a GenServer, take the messages
        ``(task.ref, result)`` and ``(atom.DOWN, task.ref, …)`` in `handle_info`."""
        return await _task(supervisor, function, args, kwargs, False, shutdown)

    # ---- tasks for their side effects

    async def start_child(
        supervisor: Any, function: Any, *args: Any, restart: str = "temporary", shutdown: float | str | None = None,
        **kwargs: Any,
    ) -> Pid:  # fmt: skip
        """Start a task whose result nobody wants; gives its pid.

        restart: "temporary" (never again), "transient" (after a crash) or "permanent". Raises MaxChildren, CallFailed.
        """
        where = address(supervisor)
        node = where.node if isinstance(where, Pid) else where[1] if type(where) is tuple else current_runtime().node
        is_local = node is current_runtime().node and callable(function)
        work: Any = LocalCall(function, args, kwargs) if is_local else remote_call(function, args, kwargs)
        return await start_task(supervisor, [owner_term(), [current()], work], atom(restart), shutdown)

    # ---- streams

    def async_stream(
        supervisor: Any, source: Iterable[I] | AsyncIterable[I], function: Callable[..., Any] | tuple[Any, Any], *args: Any,
        shutdown: float | str | None = None, **options: Unpack[StreamOptions],
    ) -> Stream[Any]:  # fmt: skip
        """`Task.async_stream` with tasks of the supervisor, linked to the reader: if one crashes so does the reader, unless it
        traps exits. Raises MaxChildren while it is read if max_concurrency is more than the supervisor allows."""
        return Stream(source, SupervisedStarter(supervisor, function, args, True, shutdown), **options)

    def async_stream_nolink(
        supervisor: Any, source: Iterable[I] | AsyncIterable[I], function: Callable[..., Any] | tuple[Any, Any], *args: Any,
        shutdown: float | str | None = None, **options: Unpack[StreamOptions],
    ) -> Stream[Any]:  # fmt: skip
        """The same without links: a task that crashes is an `Exited` among the results."""
        return Stream(source, SupervisedStarter(supervisor, function, args, False, shutdown), **options)

    # ---- children

    async def children(supervisor: Any) -> list[Pid]:
        """The pids of the tasks that run. Raises CallFailed."""
        found = await requests.ask(supervisor, atom.which_children)
        return [child[1] for child in found if isinstance(child[1], Pid)]

    async def terminate_child(supervisor: Any, child: Any) -> None:
        """End a task, given by its pid. Raises NoChild, CallFailed."""
        await requests.order(supervisor, atom.terminate_child, child if isinstance(child, Pid) else child.pid)


async def _task(
    supervisor: Any, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], linked: bool, shutdown: Any
) -> Task[Any]:
    started = await start_owned(supervisor, function, args, kwargs, linked=linked, shutdown=shutdown)
    return Task(_name(function), current(), started.pid, started.ref, started.body)


def _name(function: Any) -> str:
    return f"{function[0]}:{function[1]}" if type(function) is tuple and len(function) == 2 else name_of(function)


Task.Supervisor = TaskSupervisor

__all__ = ["TaskServer", "TaskSupervisor"]
