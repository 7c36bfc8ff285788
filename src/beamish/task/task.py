"""`Task`: one piece of work in a process of its own, and the wait for its result.

    task = Task.async_(fetch, url)              # runs beside us
    page = await task                           # its result; 5 s at most
    page = await task.await_(timeout=60)

    async for result in Task.async_stream(urls, fetch, max_concurrency=10):
        print(result.value)

The process that starts a task owns it, and only the owner can wait for it. The reply comes as the message ``(ref, result)`` and
the end as ``(atom.DOWN, ref, …)``, as between Elixir's tasks and their owners, so that a GenServer can take both in `handle_info`.
The reference is an alias that ends with the monitor: once the owner has stopped waiting, a late reply goes nowhere.

Source  Elixir 1.14: task.ex.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, Generic, Literal, ParamSpec, TypeVar, Unpack, overload

from beamish.agent.functions import name_of
from beamish.errors import ReceiveTimeout
from beamish.gen_server.child_spec import ChildSpec, Restart
from beamish.node import current_runtime
from beamish.process import Process, demonitor, monitor, receive, send, spawn, unlink
from beamish.process import self as current
from beamish.process.exits import text_of
from beamish.task import many
from beamish.task.body import Body
from beamish.task.collector import LocalStarter
from beamish.task.results import Exited, Ok, Outcome, TaskFailed, TaskTimeout, reason_for
from beamish.task.stream import Stream, StreamOptions
from beamish.term import Pid, Ref, atom

if TYPE_CHECKING:
    from beamish.task.supervisor import TaskSupervisor

T = TypeVar("T")
P = ParamSpec("P")
I = TypeVar("I")  # noqa: E741  # the input of a stream
AWAIT_TIMEOUT = 5.0
Shutdown = float | Literal["brutal_kill"] | None


class Task(Generic[T]):
    """A task, as `async_` and a TaskSupervisor give it: `pid` (None if there is no process), `owner`, and `ref`."""

    __slots__ = ("__weakref__", "_body", "_function", "_taken", "owner", "pid", "ref")

    Supervisor: ClassVar[type[TaskSupervisor]]

    def __init__(self, function: Any, owner: Pid, pid: Pid | None, ref: Ref, body: Body | None = None) -> None:
        self._function = function
        self.owner = owner
        self.pid = pid
        self.ref = ref
        self._body = body
        self._taken = False

    @property
    def function(self) -> str:
        """The name of what runs."""
        function = self._function
        return function if isinstance(function, str) else name_of(function)

    def __repr__(self) -> str:
        return f"<Task {self.function} {self.pid if self.pid is not None else 'completed'}>"

    def __await__(self) -> Generator[Any, Any, T]:
        return self.await_().__await__()

    # ---- starting

    @overload
    @staticmethod
    def async_(function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> Task[T]: ...
    @overload
    @staticmethod
    def async_(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Task[T]: ...
    @staticmethod
    def async_(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Task[Any]:
        """Start a task that must be awaited. It is linked to the current process: if the one crashes, so does the other.

        For work that may fail on its own use `TaskSupervisor.async_nolink`.
        """
        me = current()
        body = Body(function, args, kwargs, me)
        pid = spawn(body, link=True)
        body.ref = monitor(pid, alias="demonitor")
        return Task(function, me, pid, body.ref, body)

    @staticmethod
    def start(function: Callable[P, Any], *args: P.args, **kwargs: P.kwargs) -> Pid:
        """Start a process for side effects only: nobody hears of its result. `TaskSupervisor.start_child` does so with a
        supervisor that ends it in order."""
        pid: Pid = spawn(Body(function, args, kwargs, current()).alone)
        return pid

    @staticmethod
    async def start_link(function: Callable[P, Any], *args: P.args, **kwargs: P.kwargs) -> Pid:
        """The same, linked to the current process: for a task that is a child of a supervisor (see `child_spec`)."""
        pid: Pid = spawn(Body(function, args, kwargs, current()).alone, link=True)
        return pid

    @staticmethod
    def child_spec(
        function: Callable[..., Any], *args: Any, id: Any = None, restart: Restart = "temporary", **kw: Any
    ) -> ChildSpec:  # fmt: skip
        """A task as a supervisor's child; `kw` are further fields of ChildSpec. Without `restart` it runs once."""
        id = atom(name_of(function)[:255]) if id is None else id
        return ChildSpec(id=id, start=(Task.start_link, (function, *args)), restart=restart, modules=(Task,), **kw)

    @staticmethod
    def completed(result: T) -> Task[T]:
        """A task that has its result already: for code that sometimes has nothing to do."""
        me, ref = current(), current_runtime().new_ref()
        send(me, (ref, result))
        return Task("Task.completed", me, None, ref)

    # ---- waiting for one

    async def await_(self, timeout: float | None = AWAIT_TIMEOUT) -> T:
        """The task's result; `await task` is the same with 5 s.

        timeout: seconds, None for ever. Raises TaskFailed when the task ended without a result, TaskTimeout after `timeout`; then
        the task goes on, but its result is lost. A task of `async_` is linked: if it crashes its owner gets the exit signal as
        well, so that only one that traps exits lives to see the error.
        """
        self.check()
        try:
            message = await receive(self.ref, timeout=timeout)
        except ReceiveTimeout:
            self.give_up()
            raise TaskTimeout(f"{self!r} has no result after {timeout:g} s; it goes on, but its result is lost", self) from None
        if len(message) == 2:
            result: T = self.take(message)
            return result
        raise self.failure(message)

    async def yield_(self, timeout: float | None = AWAIT_TIMEOUT) -> Outcome[T] | None:
        """What the task has come to within `timeout` seconds: `Ok(value)`, `Exited(reason)`, or None while it runs.

        It may be asked again then. Raises TaskFailed when the connection to the task's node broke.
        """
        self.check()
        try:
            message = await receive(self.ref, timeout=timeout)
        except ReceiveTimeout:
            return None
        return self.outcome(message)

    async def ignore(self) -> Outcome[T] | None:
        """Let the task go on for itself, unlinked; its result is lost. Gives `Ok` or `Exited` if it is over already."""
        found = await self.yield_(0)
        if self.pid is not None:
            unlink(self.pid)
        if found is None:
            self.give_up()
        return found

    async def shutdown(self, how: Shutdown = AWAIT_TIMEOUT) -> Outcome[T] | None:
        """Unlink the task and end it: by the exit signal `shutdown`, and a kill `how` seconds later (None: never), or with
        "brutal_kill" at once. Gives `Ok` if its result came first, `Exited` if it ended for a reason of its own, else None.

        Raises TaskFailed when the connection to the task's node broke.
        """
        self._own()
        brutal = how == "brutal_kill"
        patience = None if isinstance(how, str) else how
        if (isinstance(how, str) and not brutal) or (patience is not None and not patience >= 0):
            raise ValueError(f"shutdown takes seconds, None or 'brutal_kill', not {how!r}")
        if self.pid is None:
            return None if self._taken else await self.ignore()
        reason = await _ended(self.pid, brutal, patience)
        if reason is atom.noproc:
            reason = await self._reason_it_had()
        self.give_up()
        try:
            reply = await receive((self.ref, ...), timeout=0)
        except ReceiveTimeout:
            pass
        else:
            return Ok(reply[1])
        if reason is atom.noconnection:
            raise self.failure((atom.DOWN, self.ref, atom.process, self.pid, reason))
        return None if reason is (atom.killed if brutal else atom.shutdown) else Exited(reason, error=self._cause())

    async def _reason_it_had(self) -> Any:
        """The reason in our own DOWN message of a task that was dead before."""
        try:
            message = await receive((atom.DOWN, self.ref, ..., ..., ...), timeout=0)
        except ReceiveTimeout:
            return atom.noproc
        return message[4]

    # ---- waiting for several

    @staticmethod
    async def await_many(tasks: Iterable[Task[T]], timeout: float | None = AWAIT_TIMEOUT) -> list[T]:
        """The results of all, in the order of the tasks. Raises for the first that fails, or that is not ready after `timeout`
        seconds, as `await_` does; the results of the others are lost then."""
        return await many.await_many(tasks, timeout)

    @staticmethod
    async def yield_many(
        tasks: Iterable[Task[T]], timeout: float | None = AWAIT_TIMEOUT, *, limit: int | None = None,
        on_timeout: many.OnTimeout = "nothing",
    ) -> list[tuple[Task[T], Outcome[T] | None]]:  # fmt: skip
        """What each has come to within `timeout` seconds (see `yield_`), as pairs in the order of the tasks.

        limit: be content with so many. on_timeout: what happens to those that are late: "nothing", "ignore" or "kill_task".
        """
        return await many.yield_many(tasks, timeout, limit, on_timeout)

    # ---- streams

    @overload
    @staticmethod
    def async_stream(
        source: Iterable[I] | AsyncIterable[I], function: Callable[Concatenate[I, ...], Awaitable[T]], *args: Any,
        **options: Unpack[StreamOptions],
    ) -> Stream[T]: ...  # fmt: skip
    @overload
    @staticmethod
    def async_stream(
        source: Iterable[I] | AsyncIterable[I], function: Callable[Concatenate[I, ...], T], *args: Any,
        **options: Unpack[StreamOptions],
    ) -> Stream[T]: ...  # fmt: skip
    @staticmethod
    def async_stream(source: Any, function: Callable[..., Any], *args: Any, **options: Unpack[StreamOptions]) -> Stream[Any]:
        """Call ``function(item, *args)`` for every item, each in a task of its own, a few at a time. See `Stream`, and
        `StreamOptions` for max_concurrency, ordered, timeout, on_timeout and zip_input_on_exit.

        The tasks are linked: if one crashes so does the current process, unless it traps exits;
        `TaskSupervisor.async_stream_nolink` isolates them.
        """
        return Stream(source, LocalStarter(function, args), **options)

    # ---- parts, also for `many`

    def _own(self) -> None:
        me = current()
        if self.owner != me:
            raise ValueError(f"{self!r} belongs to {self.owner}, who alone can wait for it; this is {me}")

    def check(self) -> None:
        self._own()
        if self._taken:
            raise ValueError(f"the result of {self!r} was taken before, or given up: a task is awaited once")

    def give_up(self) -> None:
        """Wait no more: what still comes is dropped."""
        self._taken = True
        demonitor(self.ref, flush=True)

    def take(self, message: Any) -> Any:
        """The result in a reply."""
        self.give_up()
        return message[1]

    def outcome(self, message: Any) -> Outcome[T]:
        """What a message with our reference says. Raises TaskFailed for a lost connection."""
        if len(message) == 2:
            return Ok(self.take(message))
        if message[4] is atom.noconnection:
            raise self.failure(message)
        self._taken = True
        return Exited(message[4], error=self._cause())

    def failure(self, message: Any) -> TaskFailed:
        """The error for a DOWN message."""
        self._taken = True
        reason = reason_for(message[4], message[3])
        cause = self._cause()
        said = text_of(reason) if cause is None else f"{type(cause).__name__}: {cause}"  # the cause has its own traceback
        failure = TaskFailed(f"{self!r} failed: {said}", reason, self)
        failure.__cause__ = cause
        return failure

    def _cause(self) -> BaseException | None:
        return None if self._body is None else self._body.cause()


async def _ended(pid: Pid, brutal: bool, patience: float | None) -> Any:
    """End a process that is linked to us; its exit reason."""
    watch = monitor(pid)
    unlink(pid)
    Process.exit(pid, atom.kill if brutal else atom.shutdown)
    try:
        try:
            message = await receive(watch, timeout=patience)
        except ReceiveTimeout:
            Process.exit(pid, atom.kill)
            message = await receive(watch)
    finally:
        demonitor(watch, flush=True)
    return message[4]


__all__ = ["AWAIT_TIMEOUT", "Shutdown", "Task"]
