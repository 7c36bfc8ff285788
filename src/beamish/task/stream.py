"""`Stream`: the results of one function for many items, a few tasks at a time.

    async for result in Task.async_stream(urls, fetch, max_concurrency=10):
        print(result.value)                     # of an `Ok`; an `Exited` raises here what ended its task

Nothing runs before the first result is asked for, and items are only taken from the source while the reader waits and there is
room: an endless source is fine. A stream that is left early (`break`) ends its tasks as soon as nobody holds it any more; `async
with stream:` or `await stream.aclose()` wait until they are gone.

Source  Elixir 1.14: task.ex (async_stream/3), task/supervised.ex.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterable, Iterable, Iterator
from types import TracebackType
from typing import Any, Final, Generic, Literal, TypedDict, TypeVar

from beamish.node import current_runtime
from beamish.node.runtime import Runtime
from beamish.process import current_process, spawn
from beamish.process import self as current
from beamish.task.collector import PULL, SPAWN, STOP, Collector, Starter, gone
from beamish.task.endings import at_exit
from beamish.task.flow import Flow
from beamish.task.results import Outcome, TaskFailed
from beamish.term import Pid

T_co = TypeVar("T_co", covariant=True)
OnTimeout = Literal["exit", "kill_task"]
STREAM_TIMEOUT: Final = 5.0


class StreamOptions(TypedDict, total=False):
    """Options of a stream.

    max_concurrency: how many tasks at a time; one per processor if None. ordered: results in the order of the items (True), or as
    they come. timeout: seconds for each task (5), None for ever. on_timeout: "exit" (TaskTimeout is raised) or "kill_task" (the
    result is ``Exited(atom.timeout)``). zip_input_on_exit: whether an `Exited` carries its item as `input` (True).
    """

    max_concurrency: int | None
    ordered: bool
    timeout: float | None
    on_timeout: OnTimeout
    zip_input_on_exit: bool


_END: Final = object()


class Sink:
    """What the reader and the collector of a stream share. The collector does not hold the stream itself, so that a stream that
    nobody reads any more is noticed."""

    def __init__(self, runtime: Runtime, flow: Flow, exits_on_timeout: bool) -> None:
        self.runtime = runtime
        self.flow = flow
        self.exits_on_timeout = exits_on_timeout
        self.collector: Pid | None = None
        self.pulling = False
        self.pulled: deque[Any] = deque()
        self.gone: asyncio.Future[None] = runtime.loop.create_future()
        """Done when every task is gone."""
        self._waiter: asyncio.Future[None] | None = None

    async def change(self) -> None:
        """Wait until the reader has something to do."""
        self._waiter = self.runtime.loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def tell(self, message: Any) -> None:
        """Send to the collector. Not with `send`: what is inside need not be a term, for it does not leave this node."""
        if self.collector is not None:
            self.runtime.deliver_pid(self.collector, message)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def deliver(self, position: int, outcome: Outcome[Any]) -> None:
        """The task of an item is over."""
        if self.flow.deliver(position, outcome):
            self._wake()

    def put(self, item: Any) -> None:
        """An async source has given an item."""
        self.pulling = False
        self.pulled.append(item)
        self._wake()

    def exhausted(self) -> None:
        """An async source has no more items."""
        self.flow.no_more = True
        self._wake()

    def fail(self, error: Exception) -> None:
        """The stream cannot go on."""
        self.flow.fail(error)
        self._wake()

    def collector_ended(self, reason: Any) -> None:
        """The collector is gone: because the stream was closed, or because somebody ended it."""
        if self.runtime.loop.is_closed():
            return
        self.fail(TaskFailed(gone(reason), reason))
        if not self.gone.done():
            self.gone.set_result(None)


class Stream(Generic[T_co]):
    """An async iterator of `Ok(value)` and `Exited(reason, input)`. It belongs to the process that reads it first."""

    def __init__(
        self, source: Iterable[Any] | AsyncIterable[Any], starter: Starter, *, max_concurrency: int | None = None,
        ordered: bool = True, timeout: float | None = STREAM_TIMEOUT, on_timeout: OnTimeout = "exit",
        zip_input_on_exit: bool = True,
    ) -> None:  # fmt: skip
        self._sink: Sink | None = None
        self._closed = False
        if max_concurrency is None:
            max_concurrency = os.cpu_count() or 1
        if isinstance(max_concurrency, bool) or not isinstance(max_concurrency, int) or max_concurrency < 1:
            raise ValueError(f"max_concurrency is a number of tasks from 1 on, not {max_concurrency!r}")
        if on_timeout not in ("exit", "kill_task"):
            raise ValueError(f"on_timeout is 'exit' or 'kill_task', not {on_timeout!r}")
        if timeout is not None and not timeout >= 0:
            raise ValueError(f"timeout is a number of seconds, or None, not {timeout!r}")
        if not isinstance(source, Iterable | AsyncIterable):
            raise TypeError(f"a stream reads an iterable or an async iterable, not {source!r}")
        self._source = source
        self._items: Iterator[Any] | None = None
        self._starter = starter
        self._flow = Flow(max_concurrency, ordered=ordered, keep_input=zip_input_on_exit)
        self._timeout = timeout
        self._exits_on_timeout = on_timeout == "exit"
        self._owner: Pid | None = None

    def __aiter__(self) -> Stream[T_co]:
        return self

    async def __anext__(self) -> Outcome[T_co]:
        """The next result. Raises what the source raises, TaskTimeout, MaxChildren and the like; the stream is closed then."""
        if self._closed:
            raise StopAsyncIteration
        sink = self._sink or self._begin()
        if self._owner != current():
            raise ValueError(f"this stream is read by {self._owner}; no other process can read it")
        flow = self._flow
        while True:
            if flow.error is None:
                self._fill(sink)
            if flow.error is not None:
                await self.aclose()
                raise flow.error
            outcome = flow.next()
            if outcome is not None:
                return outcome
            if flow.finished and not sink.pulled:
                await self.aclose()
                raise StopAsyncIteration
            await sink.change()

    async def aclose(self) -> None:
        """End the tasks that still run and wait until they are gone. The source is read no further."""
        self._leave()
        if self._sink is not None:
            await asyncio.shield(self._sink.gone)

    async def __aenter__(self) -> Stream[T_co]:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    def __del__(self) -> None:
        # Left without aclose(), as by a `break`: maybe outside every process, maybe on another thread (garbage collection).
        sink = self._sink
        if sink is None or self._closed or sink.runtime.closed:
            return
        try:
            sink.runtime.loop.call_soon_threadsafe(sink.tell, STOP)
        except RuntimeError:
            pass  # the loop is closed: the tasks are gone

    def __repr__(self) -> str:
        state = "closed" if self._closed else "not begun" if self._sink is None else f"{self._flow.running} tasks"
        return f"<Stream of {type(self._source).__name__}, {state}>"

    # ---- parts

    def _begin(self) -> Sink:
        process = current_process()
        owner = current()
        assert process is not None
        runtime = current_runtime()
        if not isinstance(self._source, AsyncIterable):
            self._items = iter(self._source)
        sink = Sink(runtime, self._flow, self._exits_on_timeout)
        collector = Collector(sink, self._starter, owner, self._timeout, process.traps)
        pid: Pid = spawn(collector, link=True)
        block = runtime.process_of(pid)
        assert block is not None
        at_exit(block, collector.ended)
        sink.collector = pid
        self._owner, self._sink = owner, sink
        return sink

    def _fill(self, sink: Sink) -> None:
        """Start tasks while there is room and an item at hand; ask an async source for the next."""
        flow = self._flow
        while flow.has_room:
            if sink.pulled:
                item = sink.pulled.popleft()
            elif flow.no_more:
                return
            elif self._items is None:
                if not sink.pulling:
                    sink.pulling = True
                    sink.tell((PULL, self._source))
                return
            else:
                try:
                    item = next(self._items, _END)
                except Exception as error:
                    flow.fail(error)
                    return
                if item is _END:
                    flow.no_more = True
                    return
            sink.tell((SPAWN, flow.start(item), item))

    def _leave(self) -> None:
        if not self._closed:
            self._closed = True
            if self._sink is not None:
                self._sink.tell(STOP)


__all__ = ["STREAM_TIMEOUT", "OnTimeout", "Sink", "Stream", "StreamOptions"]
