"""What the process of a task runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any

from beamish.agent.functions import name_of, settled
from beamish.process import current_process
from beamish.term import Pid, Ref


class Body:
    """A call whose result goes to the owner of a task of this node, as ``(ref, result)`` to its alias.

    `ref` is known a moment after the process is made. What ended it is kept for the owner, who may want to raise from it.
    """

    __slots__ = ("_error", "_trace", "args", "function", "kwargs", "owner", "ref")

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any] | None, owner: Pid) -> None:
        if not callable(function):
            raise TypeError(f"a function is needed, not {function!r}")
        self.function = function
        self.args = args
        self.kwargs = kwargs
        self.owner = owner
        self.ref: Ref | None = None
        self._error: BaseException | None = None
        self._trace: TracebackType | None = None

    @property
    def func(self) -> Any:
        """The function, after which the process is called (`beamish.process.body`); methods of C types have no module."""
        return self.function if hasattr(self.function, "__module__") else Body

    async def __call__(self) -> None:
        """Run it."""
        while self.ref is None:  # noqa: ASYNC110  # only if another thread started the task
            await asyncio.sleep(0)
        try:
            result = self.function(*self.args, **self.kwargs) if self.kwargs else self.function(*self.args)
            if hasattr(result, "__await__"):
                result = await result
        except Exception as error:
            self.failed(error)
            raise
        process = current_process()
        if process is not None and not process.done():
            # Not `send`: the result does not leave this node, and so may be any object.
            process.home.deliver_alias(self.ref, (self.ref, result))

    async def alone(self) -> None:
        """Run it for nobody."""
        try:
            await settled(self.function(*self.args, **(self.kwargs or {})))
        except Exception:
            describe(self.function, self.owner)
            raise

    def failed(self, error: Exception) -> None:
        """Keep what ended the task, with the traceback from the task's function on: the kernel will take it off the error."""
        trace = error.__traceback__
        self._error, self._trace = error, trace.tb_next if trace is not None else None
        describe(self.function, self.owner)

    def cause(self) -> BaseException | None:
        """The exception that ended the task; it is given once, for its frames keep their locals alive."""
        error, trace = self._error, self._trace
        self._error = self._trace = None
        return error.with_traceback(trace) if error is not None else None


def describe(function: Any, owner: Any) -> None:
    """For the crash report of the current process."""
    process = current_process()
    if process is not None and process.rare_parts.label is None:
        process.rare_parts.label = f"task {name_of(function)} of {owner}"


__all__ = ["Body", "describe"]
