"""Exit reasons are terms, errors are exceptions: this is where one becomes the other.

A Python exception becomes ``((exception, 'builtins.ValueError', Message, TracebackText), Stack)``: Erlang and Elixir print it as
an error with its stack, and the text reads as Python wrote it.
"""

from __future__ import annotations

import traceback
from types import TracebackType
from typing import Any

from beamish.errors import Exit
from beamish.term import Atom, atom

MAX_MESSAGE = 4096
MAX_TRACEBACK = 16384
MAX_FRAMES = 20
MAX_SHOWN = 4096


def type_name(kind: type) -> str:
    """`builtins.ValueError`, `my_app.errors.Refused`."""
    return f"{kind.__module__}.{kind.__qualname__}"


def stack_of(trace: TracebackType | None) -> list[Any]:
    """The frames as Erlang lists them, innermost first: ``{Module, Function, Arity, [{file, Chars}, {line, N}]}``."""
    frames: list[Any] = []
    for frame, line in traceback.walk_tb(trace):
        code = frame.f_code
        module = frame.f_globals.get("__name__", "?")
        file = [ord(char) for char in code.co_filename]
        place = [(atom.file, file), (atom.line, line)]
        frames.append((atom(str(module)[:255]), atom(code.co_qualname[:255]), code.co_argcount, place))
    return frames[-MAX_FRAMES:][::-1]


def reason_of(error: BaseException) -> Any:
    """The exit reason of a process that this exception ended."""
    if isinstance(error, Exit):
        return error.reason
    try:
        message = str(error)
    except Exception as failure:  # a broken __str__ must not hide the crash
        message = f"<no message: {type(failure).__name__} in __str__>"
    text = "".join(traceback.format_exception(error))
    head = (atom.exception, atom(type_name(type(error))[:255]), message[:MAX_MESSAGE], text[-MAX_TRACEBACK:])
    return (head, stack_of(error.__traceback__))


def exit_within(error: BaseException) -> Exit | None:
    """The `Exit` that this exception is, or wraps: a TaskGroup makes a group of whatever ends its body."""
    if isinstance(error, Exit):
        return error
    if isinstance(error, BaseExceptionGroup):
        exits, others = error.split(Exit)
        found: BaseException | None = exits
        while others is None and isinstance(found, BaseExceptionGroup):
            found = found.exceptions[0]
        return found if isinstance(found, Exit) else None
    return None


def is_exception_reason(reason: Any) -> bool:
    """Whether a reason was made by `reason_of` from a Python exception."""
    return (
        isinstance(reason, tuple)
        and len(reason) == 2
        and isinstance(reason[0], tuple)
        and len(reason[0]) == 4
        and reason[0][0] is atom.exception
    )


def text_of(reason: Any) -> str:
    """A reason as people read it, in one line where it is short."""
    if is_exception_reason(reason):
        _, kind, message, trace = reason[0]
        trace = trace.decode("utf-8", "replace") if isinstance(trace, bytes) else trace
        message = message.decode("utf-8", "replace") if isinstance(message, bytes) else message
        return str(trace).rstrip() or f"{kind}: {message}"
    if isinstance(reason, Atom):
        return str(reason)
    text = repr(reason)
    # A peer chooses its reasons; our log is not its to fill.
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}... ({len(text)} characters)"
