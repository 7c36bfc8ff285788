"""The body of a process that is started from something other than an async function."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any


async def _apply(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    result = function(*args, **kwargs)
    if hasattr(result, "__await__"):
        await result


def loop_a_little() -> int:
    """Give the interpreter's loop an occasion to look for signals."""
    turns = 0
    for _ in range(3):
        turns += 1
    return turns


def body_of(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Coroutine[Any, Any, None]:
    """A coroutine that calls the function, and waits for what it gives if that can be awaited.

    Its `__name__` and `__qualname__` are the function's module and name: observers shall see what was started.
    """
    body: Any = _apply(function, args, kwargs)
    named = getattr(function, "func", function)  # of a functools.partial
    named = named if hasattr(named, "__qualname__") else type(named)
    body.__name__ = str(getattr(named, "__module__", None) or "builtins")
    body.__qualname__ = str(named.__qualname__)
    coroutine: Coroutine[Any, Any, None] = body
    return coroutine


def started_as(coro: Any) -> tuple[str, str, int] | None:
    """Module, name and number of arguments of the function, if the coroutine was made by `body_of`."""
    if getattr(coro, "cr_code", None) is not _apply.__code__:
        return None
    frame = coro.cr_frame
    return coro.__name__, coro.__qualname__, len(frame.f_locals["args"]) if frame is not None else 0


__all__ = ["body_of", "loop_a_little", "started_as"]
