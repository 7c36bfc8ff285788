"""Dirty processes: plain functions on threads of their own.

    spawn(resize, path, dirty=True)         # def resize(path): ... blocking calls, C code that releases the GIL

They are processes in every other way: pid, mailbox, links, monitors, names. `receive` blocks the thread and gives the message,
and `blocking(…)` waits for anything else that is awaited elsewhere. The name is Erlang's: dirty schedulers run what must not hold
up the others. One thread of Python runs at a time, so that a dirty process that computes in Python slows the node down; `offload`
uses other cores.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from collections.abc import Awaitable, Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from beamish.errors import BeamishError, Exit, NotAProcess
from beamish.process import _core

T = TypeVar("T")

LIMIT = 256
"""Dirty processes at a time."""

SWITCH_INTERVAL = 0.001
"""Seconds after which a dirty process that computes in Python lets the node's own thread run."""

_CPYTHON_SWITCH_INTERVAL = 0.005
_at_work = 0


class _Ended(Exit):
    """Raised in the middle of a thread's Python by an exit signal."""

    def __init__(self) -> None:
        process = _core.current_process()
        super().__init__(process.rare_parts.exit_reason if process is not None else None)


class DirtyBody:
    """What the kernel steps in place of a coroutine: it starts the thread and waits for its end."""

    process_body = True

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._function = function
        self._args = args
        self._kwargs = kwargs
        self._thread: threading.Thread | None = None
        self._over = False
        self._error: BaseException | None = None
        self._ended: asyncio.Future[None] | None = None
        self.gate: SimpleQueue[None] = SimpleQueue()
        named = getattr(function, "func", function)
        named = named if hasattr(named, "__qualname__") else type(named)
        self.initial_call = (str(named.__module__), str(named.__qualname__), len(args))

    def __iter__(self) -> DirtyBody:
        return self

    def __next__(self) -> Any:
        """The kernel's step: begin, hand a message on, or end."""
        process = _core.current_process()
        assert process is not None
        if self._thread is None:
            self._start(process)
        elif self._over:
            self._finish()
        else:
            self.gate.put(None)
        self._ended = future = process.get_loop().create_future()
        if self._over:  # meanwhile
            self._finish()
        future._asyncio_future_blocking = True
        return future

    def send(self, value: None) -> Any:
        """As a coroutine's."""
        return self.__next__()

    def throw(self, error: BaseException) -> Any:
        """An exit signal or a cancellation: it goes to the thread."""
        if self._thread is None:
            raise error
        if not self._over:
            self._interrupt(_Ended if isinstance(error, Exit) else type(error))
        return self.__next__()

    def close(self) -> None:
        """The process is dead: end the thread as soon as it runs Python."""
        if self._thread is not None and not self._over:
            self._interrupt(_Ended)
        self.gate.put(None)

    def _start(self, process: _core.Process) -> None:
        global _at_work
        if _at_work >= LIMIT:
            raise BeamishError(f"system_limit: {LIMIT} dirty processes are at work already; let some end, or use offload()")
        if sys.getswitchinterval() == _CPYTHON_SWITCH_INTERVAL:
            sys.setswitchinterval(SWITCH_INTERVAL)
        _at_work += 1
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._run, process), name=f"beamish {process.pid}", daemon=True
        )
        self._thread.start()

    def _finish(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        raise StopIteration

    def _interrupt(self, kind: type[BaseException]) -> None:
        import ctypes

        assert self._thread is not None
        assert self._thread.ident is not None
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread.ident), ctypes.py_object(kind))

    def _run(self, process: _core.Process) -> None:
        global _at_work
        loop = process.get_loop()
        try:
            _core.become(process)
            self._function(*self._args, **self._kwargs)
        except BaseException as error:
            self._error = error
        finally:
            _core.become(None)
            self._over = True
            _at_work -= 1
            try:
                loop.call_soon_threadsafe(self._tell)
            except RuntimeError:  # the loop has closed: nobody waits any more
                pass

    def _tell(self) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)


def blocking(awaitable: Awaitable[T]) -> T:
    """In a dirty process: wait for what is awaited elsewhere, ``blocking(GenServer.call(server, request))``.

    For calls, receives and what is built of them; asyncio's own sleeps and sockets belong to the loop's thread.
    """
    process = _core.current_process()
    body = process.get_coro() if process is not None else None
    if process is None or not isinstance(body, DirtyBody):
        _close(awaitable)
        raise NotAProcess("blocking() is for dirty processes (spawn(function, dirty=True)); elsewhere: await")
    steps = awaitable.__await__()
    _core.set_blocking(process, False)
    try:
        while True:
            try:
                waited_for = next(steps)
            except StopIteration as stop:
                result: T = stop.value
                return result
            if waited_for is not None:
                raise RuntimeError(f"a dirty process cannot wait for {waited_for!r}: it belongs to the event loop")
            body.gate.get()
    finally:
        _close(steps)
        _core.set_blocking(process, True)


def _close(steps: Any) -> None:
    """Of a coroutine that will not be awaited to its end."""
    close = getattr(steps, "close", None)
    if close is not None:
        close()


__all__ = ["LIMIT", "DirtyBody", "blocking"]
