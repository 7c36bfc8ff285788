"""What a test says about its own mailbox and about the end of processes.

Patterns are those of `receive`: a tuple with ``...`` for anything and types for their instances, a predicate, a reference; and any
other value, which fits what equals it.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import sys
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, ParamSpec, TypeVar

from beamish.errors import ReceiveTimeout
from beamish.node.runtime import current_runtime
from beamish.process import current_process, demonitor, monitor, receive
from beamish.process.exits import text_of
from beamish.term import Ref, atom
from beamish.testing.case import Case, line_of
from beamish.testing.patterns import reason_fits, wanted_by

SOON = 1.0
"""Seconds that `assert_receive`, `assert_down` and `eventually` wait."""

A_WHILE = 0.1
"""Seconds that `refute_receive` waits. On the virtual clock both cost nothing."""

SHOWN = 20
MOST_TEXT = 400

P = ParamSpec("P")
T = TypeVar("T")


class Assertion(Generic[T]):
    """What an assertion gives: to be awaited. One that is forgotten fails the test, for it has checked nothing."""

    __slots__ = ("_case", "_coroutine", "_where")

    def __init__(self, name: str, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine: Coroutine[Any, Any, T] | None = coroutine
        caller = sys._getframe(2)
        self._where = f"{name}() at {os.path.relpath(caller.f_code.co_filename)}:{caller.f_lineno}"
        process = current_process()
        self._case = None if process is None else Case.of(current_runtime())

    def __await__(self) -> Generator[Any, Any, T]:
        coroutine, self._coroutine = self._coroutine, None
        if coroutine is None:
            raise RuntimeError(f"{self._where} was awaited before")
        return coroutine.__await__()

    def __del__(self) -> None:
        if self._coroutine is not None:
            self._coroutine.close()
            if self._case is not None:
                self._case.forgotten.append(self._where)


def _to_be_awaited(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Assertion[T]]:
    @functools.wraps(function)
    def made(*args: P.args, **kwargs: P.kwargs) -> Assertion[T]:
        return Assertion(function.__name__, function(*args, **kwargs))

    return made



@_to_be_awaited
async def assert_receive(wanted: Any = None, timeout: float = SOON) -> Any:
    """The oldest message that fits, taken out of the mailbox; AssertionError, with what was in it, if none comes in time."""
    try:
        return await receive(wanted_by(wanted), timeout=timeout)
    except ReceiveTimeout:
        pass
    raise AssertionError(f"no message {_shown(wanted)} within {timeout:g} s; the mailbox held {_mailbox()}")


@_to_be_awaited
async def assert_received(wanted: Any = None) -> Any:
    """`assert_receive` without waiting: the message has come already."""
    try:
        return await receive(wanted_by(wanted), timeout=0)
    except ReceiveTimeout:
        pass
    raise AssertionError(f"no message {_shown(wanted)} has come; the mailbox held {_mailbox()}")


@_to_be_awaited
async def refute_receive(wanted: Any = None, timeout: float = A_WHILE) -> None:
    """AssertionError if a message that fits comes within the time."""
    try:
        found = await receive(wanted_by(wanted), timeout=timeout)
    except ReceiveTimeout:
        return
    raise AssertionError(f"received {_short(found)}, though no message {_shown(wanted)} was to come within {timeout:g} s")


@_to_be_awaited
async def refute_received(wanted: Any = None) -> None:
    """AssertionError if a message that fits has come already."""
    try:
        found = await receive(wanted_by(wanted), timeout=0)
    except ReceiveTimeout:
        return
    raise AssertionError(f"received {_short(found)}, though no message {_shown(wanted)} was to come")


async def flush() -> list[Any]:
    """Take every message out of the mailbox, oldest first."""
    taken: list[Any] = []
    while True:
        try:
            taken.append(await receive(timeout=0))
        except ReceiveTimeout:
            return taken


@_to_be_awaited
async def assert_down(target: Any, reason: Any = ..., timeout: float = SOON) -> Any:
    """Wait until a process has ended, and give its reason; AssertionError if it lives on or ended otherwise.

    target: a pid, a handle or a name; or the reference of a monitor that was made before, which is what keeps the reason of a
    process that may be dead already. reason: a pattern, a predicate, or a class of exceptions (`ValueError`) for a crash.
    """
    made_here = not isinstance(target, Ref)
    ref = monitor(getattr(target, "pid", target)) if made_here else target
    try:
        down = await receive((atom.DOWN, ref, ..., ..., ...), timeout=timeout)
    except ReceiveTimeout:
        if made_here:
            demonitor(ref, flush=True)
        raise AssertionError(f"{_whom(target)} has not ended within {timeout:g} s{_whereabouts(target)}") from None
    found = down[4]
    crash = None
    case = Case.within(current_runtime())
    if case is not None:
        if found is atom.noproc and (late := case.crash_of(getattr(target, "pid", target))) is not None:
            found = late.reason
        crash = case.crash_with(found)
    if reason_fits(reason, found):
        return found
    hint = ""
    if found is atom.noproc and made_here:
        hint = (
            "\nIt was dead before assert_down looked, and why is not known any more. Make the monitor earlier:"
            "\n  ref = monitor(target)\n  ...\n  await assert_down(ref, reason)"
        )
    error = AssertionError(
        f"{_whom(target)} ended with reason\n  {text_of(found)}\nwhich does not fit\n  {_reason_shown(reason)}{hint}"
    )
    raise error from (None if crash is None else crash.error)


@_to_be_awaited
async def eventually(condition: Callable[[], Any], timeout: float = SOON, every: float = 0.01) -> Any:
    """Ask again and again until the condition gives something true, and give that. It may be an async function.

    For what tells nobody when it happens, such as `Node.list`; AssertionError with the last answer after `timeout` seconds.
    An AssertionError of the condition counts as "not yet".
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + timeout
    while True:
        late = loop.time() >= end
        failure: AssertionError | None = None
        answer: Any = None
        try:
            answer = condition()
            if inspect.isawaitable(answer):
                answer = await answer
            if answer:
                return answer
        except AssertionError as error:
            failure = error
        if late:
            what = f"it gave {_short(answer)}" if failure is None else f"it says: {failure}"
            raise AssertionError(f"not within {timeout:g} s: {_named(condition)}; at last {what}") from failure
        await asyncio.sleep(min(every, max(end - loop.time(), 0)))


def _named(function: Any) -> str:
    code = getattr(function, "__code__", None)
    name = getattr(function, "__qualname__", repr(function))
    return name if code is None else f"{name} ({code.co_filename}:{code.co_firstlineno})"


def _shown(wanted: Any) -> str:
    if wanted is None:
        return "at all"
    if callable(wanted) and not isinstance(wanted, type) and hasattr(wanted, "__code__"):
        return f"that fits {_named(wanted)}"
    return f"that fits {wanted!r}"


def _reason_shown(reason: Any) -> str:
    if isinstance(reason, type) and issubclass(reason, BaseException):
        return f"a crash with {reason.__qualname__}"
    return repr(reason)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}... ({len(text)} characters)"


def _mailbox() -> str:
    process = current_process()
    messages = process.peek_messages() if process is not None else []
    if not messages:
        return "nothing"
    lines = [_short(message) for message in messages[:SHOWN]]
    if len(messages) > SHOWN:
        lines.append(f"… and {len(messages) - SHOWN} more")
    return f"{len(messages)}:\n  " + "\n  ".join(lines)


def _whom(target: Any) -> str:
    return "the process of this monitor" if isinstance(target, Ref) else f"process {getattr(target, 'pid', target)}"


def _whereabouts(target: Any) -> str:
    home = current_runtime()
    pid = getattr(target, "pid", target)
    if isinstance(pid, Ref):
        me = current_process()
        pid = ((me.rare_parts.monitors or {}) if me is not None else {}).get(pid)
    elif isinstance(pid, str) or type(pid) is type(atom.ok):
        named = home.names.get(atom(str(pid)))
        pid = named.pid if named is not None else None
    process = home.process_of(pid) if pid is not None and hasattr(pid, "node") else None
    return "" if process is None else ":\n  " + line_of(process)


__all__ = [
    "A_WHILE",
    "SOON",
    "assert_down",
    "assert_receive",
    "assert_received",
    "eventually",
    "flush",
    "refute_receive",
    "refute_received",
]
