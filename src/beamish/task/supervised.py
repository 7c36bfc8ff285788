"""The processes of tasks that a supervisor starts, and how they are asked for: the messages of Elixir's Task.Supervisor.

The supervisor is called with ``{start_task, [Owner, monitor], Restart, Shutdown}``, Owner being ``{Node, NameOrPid, Pid}``, and
starts a process that waits for its work: ``{OwnerPid, Ref, ReplyTo, Callers, {Module, Function, Args}}``. The owner sends that when
it has made its link and its monitor, so nothing is lost; the result goes to ReplyTo as ``{Ref, Result}``. Within a node the work
is a `Body`, and so may be any function.

Source  Elixir 1.14: task/supervisor.ex, task/supervised.ex, dynamic_supervisor.ex (start_task).
"""

from __future__ import annotations

from typing import Any, Final

from beamish.agent.functions import LocalCall, remote_call, resolved, settled
from beamish.errors import ReceiveTimeout, StartError
from beamish.gen_server import client
from beamish.gen_server.target import shown
from beamish.node import current_runtime
from beamish.process import Process, current_process, demonitor, exit, link, monitor, receive, send, spawn, unlink
from beamish.process import self as current
from beamish.process.exits import text_of
from beamish.task.body import Body, describe
from beamish.task.collector import Started
from beamish.task.results import MaxChildren
from beamish.term import Pid, Ref, atom

WORK_TIMEOUT: Final = 5.0
"""Seconds that a started task waits for its work; an owner that is cut off may never send it."""
START_TASK: Final = atom.start_task
CALLERS: Final = atom("$callers")


# ---- in the supervisor and below it

def start_answering(owner: Any) -> Pid:
    """Start a task whose owner waits for its result."""
    pid: Pid = spawn(answer, owner, link=True)
    return pid


def start_working(owner: Any, callers: Any, work: Any) -> Pid:
    """Start a task whose result nobody wants."""
    pid: Pid = spawn(alone, owner, callers, work, link=True)
    return pid


async def answer(owner: Any) -> None:
    """Wait for the work, do it, send the result."""
    pid: Pid = owner[2]
    watch = monitor(pid)

    def expected(message: Any) -> bool:
        return type(message) is tuple and len(message) == 5 and (message[0] == pid or message[1] == watch)

    try:
        message = await receive(expected, timeout=WORK_TIMEOUT)
    except ReceiveTimeout:
        exit(atom.timeout)
    if message[0] is atom.DOWN:
        exit((atom.shutdown, message[4]))
    demonitor(watch, flush=True)
    _, ref, reply_to, callers, work = message
    if isinstance(work, Body):
        await work()
    else:
        send(reply_to, (ref, await perform(owner, callers, work)))


async def alone(owner: Any, callers: Any, work: Any) -> None:
    """Do the work."""
    if isinstance(work, LocalCall):
        await Body(work.func, work.args, work.kwargs, owner[2]).alone()
    else:
        await perform(owner, callers, work)


async def perform(owner: Any, callers: Any, work: Any) -> Any:
    """A call by name, as the node's policy allows."""
    Process.put(CALLERS, callers)
    match work:
        case (module, function, args):
            called = resolved(module, function, args)
        case _:
            exit((atom.badarg, [(START_TASK, work, [], [])]))
    try:
        return await settled(called(*args))
    except Exception:
        describe(called, owner[1])
        raise


# ---- in the owner

def owner_term() -> tuple[Any, Any, Pid]:
    """The current process as an owner of tasks: ``{Node, NameOrPid, Pid}``."""
    process = current_process()
    me = current()
    rare = process.details["rare"] if process is not None else None
    return me.node, rare.names[0] if rare is not None and rare.names else me, me


async def start_task(supervisor: Any, args: list[Any], restart: Any, shutdown: Any) -> Pid:
    """Ask a supervisor for a task process. Raises MaxChildren, StartError, CallFailed."""
    reply = await client.call(supervisor, (START_TASK, args, restart, shutdown_term(shutdown)), None)
    match reply:
        case (atom.ok, Pid() as pid):
            return pid
        case (atom.error, atom.max_children):
            raise MaxChildren(
                f"{shown(supervisor)} runs as many tasks as its max_children allows; raise that, or start fewer at a time "
                "(a stream's max_concurrency)")  # fmt: skip
        case (atom.error, reason):
            raise StartError(f"{shown(supervisor)} did not start the task: {text_of(reason)}", reason)
    raise StartError(f"{shown(supervisor)} is no task supervisor: it answered {reply!r}", reply)


async def start_owned(
    supervisor: Any, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], *, linked: bool, shutdown: Any
) -> Started:
    """Start a task whose result goes to the current process, which monitors it (and is linked to it)."""
    runtime, me = current_runtime(), current()
    pid = await start_task(supervisor, [owner_term(), atom.monitor], atom.temporary, shutdown)
    if linked:
        link(pid)
    ref = monitor(pid, alias="demonitor")
    if pid.node is runtime.node and callable(function):
        body = Body(function, args, kwargs, me)
        body.ref = ref
        runtime.deliver_pid(pid, (me, ref, ref, [me], body))
        return Started(pid, ref, body)
    try:
        work = remote_call(function, args, kwargs)
        send(pid, (me, ref, ref, [me], work))
    except Exception:
        abandon(pid, ref)
        raise
    return Started(pid, ref, None)


def abandon(pid: Pid, ref: Ref) -> None:
    """A task that cannot be told its work is not needed."""
    demonitor(ref, flush=True)
    unlink(pid)
    Process.exit(pid, atom.kill)


class SupervisedStarter:
    """Starts the tasks of a stream under a supervisor."""

    def __init__(self, supervisor: Any, function: Any, args: tuple[Any, ...], linked: bool, shutdown: Any) -> None:
        self.supervisor = supervisor
        self.function = function
        self.args = args
        self.linked = linked
        self.shutdown = shutdown

    async def start(self, item: Any) -> Started:
        """See `Starter`."""
        return await start_owned(self.supervisor, self.function, (item, *self.args), {}, linked=self.linked, shutdown=self.shutdown)


def shutdown_term(shutdown: Any) -> Any:
    """Milliseconds, `brutal_kill`, `infinity`; None for the supervisor's own choice. Raises ValueError."""
    if shutdown is None:
        return None
    if shutdown == "brutal_kill":
        return atom.brutal_kill
    if isinstance(shutdown, int | float) and not isinstance(shutdown, bool) and shutdown >= 0:
        return atom.infinity if shutdown == float("inf") else round(shutdown * 1000)
    raise ValueError(f"shutdown is seconds, math.inf or 'brutal_kill', not {shutdown!r}")


__all__ = [
    "SupervisedStarter", "owner_term", "shutdown_term", "start_answering", "start_owned", "start_task", "start_working",
]  # fmt: skip
