"""The process between a stream and its tasks.

It starts the tasks, so that their links and messages do not reach the process that reads the stream; it ends those that take too
long, also while the reader is busy; and it ends all of them when the stream is closed or its reader dies. Results go to the stream
without messages, so a stream that is left early leaves nothing in its reader's mailbox.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from beamish.process import Process, monitor, receive, send_after, spawn, trap_exit, unlink
from beamish.process import self as current
from beamish.process._signals import kill_process
from beamish.process.exits import text_of
from beamish.task.body import Body
from beamish.task.results import Exited, Ok, Outcome, TaskTimeout
from beamish.term import Pid, Ref, atom

if TYPE_CHECKING:
    from beamish.task.stream import Sink

SPAWN: Final = atom.spawn
PULL: Final = atom.pull
STOP: Final = atom.stop
LATE: Final = atom.late
DOWN: Final = atom.DOWN
STREAM: Final = "async_stream"


class Started(NamedTuple):
    """A task that runs; `body` if it runs on this node and knows what ended it."""

    pid: Pid
    ref: Ref
    body: Body | None


class Starter(Protocol):
    """How a stream's tasks are started."""

    linked: bool

    async def start(self, item: Any) -> Started:
        """Start the task for an item, from the collector's process, which monitors it (and is linked to it)."""


class LocalStarter:
    """Tasks without a supervisor."""

    linked = True

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        if not callable(function):
            raise TypeError(f"a function is needed, not {function!r}")
        self.function = function
        self.args = args

    async def start(self, item: Any) -> Started:
        """See `Starter`."""
        body = Body(self.function, (item, *self.args), None, current())
        pid = spawn(body, link=True)
        body.ref = monitor(pid, alias="demonitor")
        return Started(pid, body.ref, body)


class Running:
    """A task of the stream, until its end is known."""

    __slots__ = ("late", "outcome", "position", "task")

    def __init__(self, position: int, task: Started) -> None:
        self.position = position
        self.task = task
        self.outcome: Outcome[Any] | None = None
        self.late = False


class Collector:
    """The body of the process."""

    def __init__(self, sink: Sink, starter: Starter, owner: Pid, timeout: float | None, traps: bool) -> None:
        self.sink = sink
        self.starter = starter
        self.owner = owner
        self.timeout = timeout
        self.traps = traps
        self.running: dict[Ref, Running] = {}
        self.deadlines: deque[tuple[float, Ref]] = deque()
        self.ticking = False
        self.feeder: Pid | None = None
        self.loop = asyncio.get_running_loop()

    @property
    def func(self) -> Any:
        """What observers see as the process's function."""
        return Collector

    async def __call__(self) -> None:
        """Run until the stream is closed or its reader is dead."""
        trap_exit(self.traps)
        watch = monitor(self.owner)
        running = self.running
        while True:
            message = await receive()
            if message is STOP:
                break
            if message is LATE:
                self._end_the_late()
                continue
            if type(message) is not tuple or len(message) < 2:
                continue
            tag = message[0]
            if type(tag) is Ref:
                task = running.get(tag)
                if task is not None:
                    task.outcome = Ok(message[1])
            elif tag is SPAWN:
                await self._start(message[1], message[2])
            elif tag is DOWN:
                task = running.pop(message[1], None)
                if task is not None:
                    self._ended(task, message[4])
                elif message[1] == watch:
                    break
            elif tag is PULL:
                self._pull(message[1])
        await self._end_all()
        unlink(self.owner)

    # ---- tasks

    async def _start(self, position: int, item: Any) -> None:
        try:
            task = await self.starter.start(item)
        except Exception as error:
            self.sink.fail(error)
            return
        self.running[task.ref] = Running(position, task)
        if self.timeout is not None:
            while self.deadlines and self.deadlines[0][1] not in self.running:
                self.deadlines.popleft()
            self.deadlines.append((self.loop.time() + self.timeout, task.ref))
            self._watch_the_clock()

    def _ended(self, ended: Running, reason: Any) -> None:
        """A task is gone; only then its place is free."""
        if ended.outcome is None:
            if ended.late and self.sink.exits_on_timeout:
                self.sink.fail(TaskTimeout(
                    f"a task of {STREAM} was not ready within {self.timeout:g} s and was killed; give it a longer timeout=, or "
                    "on_timeout='kill_task' to get Exited(atom.timeout) for it"))  # fmt: skip
                return
            cause = ended.task.body.cause() if ended.task.body is not None else None
            ended.outcome = Exited(atom.timeout) if ended.late else Exited(reason, error=cause)
        self.sink.deliver(ended.position, ended.outcome)

    def _watch_the_clock(self) -> None:
        """Have LATE come when the first task may be late."""
        if not self.ticking and self.deadlines:
            self.ticking = True
            send_after(max(0.0, self.deadlines[0][0] - self.loop.time()), current(), LATE)

    def _end_the_late(self) -> None:
        self.ticking = False
        while self.deadlines and (self.deadlines[0][0] <= self.loop.time() or self.deadlines[0][1] not in self.running):
            late = self.running.get(self.deadlines.popleft()[1])
            if late is not None and late.outcome is None:
                late.late = True
                unlink(late.task.pid)
                Process.exit(late.task.pid, atom.kill)
        self._watch_the_clock()

    async def _end_all(self) -> None:
        trap_exit(True)
        for left in self.running.values():
            Process.exit(left.task.pid, atom.kill)
        if self.feeder is not None:
            Process.exit(self.feeder, atom.shutdown)
        for ref in self.running:
            await receive((atom.DOWN, ref, ..., ..., ...))
        self.running.clear()

    def ended(self, reason: Any) -> None:
        """The collector is dead, perhaps by a kill: tasks without a link to it end too. Called outside of any process."""
        home = self.sink.runtime
        for left in self.running.values():
            pid = left.task.pid
            process = home.process_of(pid)
            if process is not None:
                kill_process(process)
            elif pid.node in home.routes and self.sink.collector is not None:
                home.routes[pid.node].exit_signal(self.sink.collector, pid, atom.kill)
        self.running.clear()
        self.sink.collector_ended(reason)

    # ---- the items of an async source

    def _pull(self, source: AsyncIterable[Any]) -> None:
        if self.feeder is None:
            self.feeder = spawn(feed, self.sink, source, link=True)
        Process.send(self.feeder, PULL)


async def feed(sink: Sink, source: AsyncIterable[Any]) -> None:
    """A process that reads an async source for a stream, item by item, as asked."""
    items = aiter(source)
    try:
        while True:
            await receive(PULL)
            try:
                item = await anext(items)
            except StopAsyncIteration:
                sink.exhausted()
                return
            sink.put(item)
    except Exception as error:
        sink.fail(error)
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()


def gone(reason: Any) -> str:
    """What to say of a collector that died."""
    return f"the process that collects the results of {STREAM} has ended: {text_of(reason)}"


__all__ = ["PULL", "SPAWN", "STOP", "Collector", "LocalStarter", "Started", "Starter", "gone"]
