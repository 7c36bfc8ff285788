"""Waiting for several tasks at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from beamish.errors import ReceiveTimeout
from beamish.process import receive
from beamish.task.results import Outcome, TaskTimeout
from beamish.term import Ref, atom

if TYPE_CHECKING:
    from beamish.task.task import Task

T = TypeVar("T")
OnTimeout = Literal["nothing", "ignore", "kill_task"]


async def await_many(tasks: Iterable[Task[T]], timeout: float | None) -> list[T]:
    """See `Task.await_many`."""
    asked = list(tasks)
    waiting = _by_ref(asked)
    results: dict[Ref, T] = {}
    end = _end(timeout)
    try:
        while waiting:
            message = await _next(waiting, end)
            if message is None:
                late = next(iter(waiting.values()))
                raise TaskTimeout(f"{len(waiting)} of {len(asked)} tasks have no result after {timeout:g} s: {late!r}…", late)
            task = waiting.pop(_ref(message))
            if len(message) != 2:
                raise task.failure(message)
            results[task.ref] = task.take(message)
    finally:
        for task in waiting.values():
            task.give_up()
    return [results[task.ref] for task in asked]


async def yield_many(
    tasks: Iterable[Task[T]], timeout: float | None, limit: int | None, on_timeout: OnTimeout
) -> list[tuple[Task[T], Outcome[T] | None]]:
    """See `Task.yield_many`."""
    if on_timeout not in ("nothing", "ignore", "kill_task"):
        raise ValueError(f"on_timeout is 'nothing', 'ignore' or 'kill_task', not {on_timeout!r}")
    if limit is not None and limit < 1:
        raise ValueError(f"limit is a number of tasks from 1 on, not {limit!r}")
    asked = list(tasks)
    waiting = _by_ref(asked)
    enough = len(waiting) - min(limit or len(waiting), len(waiting))
    results: dict[Ref, Outcome[T] | None] = {}
    end = _end(timeout)
    while len(waiting) > enough:
        message = await _next(waiting, end)
        if message is None:
            for ref, task in waiting.items():
                if on_timeout == "kill_task":
                    results[ref] = await task.shutdown("brutal_kill")
                elif on_timeout == "ignore":
                    results[ref] = await task.ignore()
            break
        task = waiting.pop(_ref(message))
        results[task.ref] = task.outcome(message)
    return [(task, results.get(task.ref)) for task in asked]


def _by_ref(tasks: list[Task[T]]) -> dict[Ref, Task[T]]:
    for task in tasks:
        task.check()
    return {task.ref: task for task in tasks}


def _end(timeout: float | None) -> float | None:
    return None if timeout is None else asyncio.get_running_loop().time() + timeout


async def _next(waiting: dict[Ref, Any], end: float | None) -> Any:
    """The next message about one of the tasks, or None when the time is up."""

    def concerns(message: Any) -> bool:
        if type(message) is not tuple:
            return False
        ref = message[0] if len(message) == 2 else message[1] if len(message) == 5 and message[0] is atom.DOWN else None
        return type(ref) is Ref and ref in waiting

    try:
        return await receive(concerns, timeout=None if end is None else max(0.0, end - asyncio.get_running_loop().time()))
    except ReceiveTimeout:
        return None


def _ref(message: Any) -> Ref:
    ref: Ref = message[0] if len(message) == 2 else message[1]
    return ref


__all__ = ["OnTimeout", "await_many", "yield_many"]
