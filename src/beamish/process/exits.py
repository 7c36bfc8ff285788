"""Exit reasons are terms, errors are exceptions: this is where one becomes the other.

A Python exception becomes ``(PythonException, Stack)``. Abroad that is an exception of Elixir's with its stack, so that loggers,
`Exception.format_exit` and failed calls print the traceback line by line; Erlang prints the map:

    {%RuntimeError{message: "ValueError: no cheese\\nTraceback (most recent call last):\\n  File …"} with
       kind: :"builtins.ValueError" and detail: "no cheese",
     [{:"my_app.jobs", :run, 1, [file: 'my_app/jobs.py', line: 3]}, …]}
"""

from __future__ import annotations

import os
import traceback
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final

from beamish.errors import Exit
from beamish.term import Atom, atom, text
from beamish.term.chardata import ChardataError
from beamish.term.structs import STRUCT, read_struct, write_struct

MAX_MESSAGE = 4096
MAX_TRACEBACK = 16384
MAX_FRAMES = 20
MAX_SHOWN = 4096
MAX_TEXT = MAX_MESSAGE + MAX_TRACEBACK + 256
STANDS_FOR: Final = atom("Elixir.RuntimeError")
"""Which of Elixir's exceptions carries ours: one that every Elixir node has, and that prints its `message` as it is."""
EXCEPTION: Final = atom("__exception__")
_OWN_FILES: Final = (os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep, "src/beamish/", "beamish/")
"""Compiled modules name their files as the build saw them."""


@dataclass(frozen=True, slots=True)
class PythonException:
    """An exception in an exit reason: ``case (PythonException(kind="builtins.KeyError"), stack)`` matches one.

    kind: the type, `builtins.ValueError`, `my_app.errors.Refused`. detail: the exception's own text. message: what people are
    shown, that is both, and the traceback with its causes.
    """

    kind: str
    detail: str
    message: str = field(repr=False)

    @property
    def head(self) -> str:
        """`ValueError: no cheese`, as the last line of a traceback has it."""
        kind = self.kind.removeprefix("builtins.")
        return f"{kind}: {self.detail}" if self.detail else kind

    @property
    def traceback(self) -> str:
        """The traceback alone; empty if there was none."""
        return self.message.removeprefix(self.head).removeprefix("\n")

    def __str__(self) -> str:
        return self.traceback or self.message


def _to_map(value: PythonException) -> dict[Any, Any]:
    return {EXCEPTION: True, atom.kind: atom(value.kind), atom.detail: value.detail, atom.message: value.message}


def _from_map(fields: dict[Any, Any]) -> PythonException | None:
    if len(fields) != 5 or fields[EXCEPTION] is not True:
        return None
    kind, detail, message = fields[atom.kind], fields[atom.detail], fields[atom.message]
    if not isinstance(kind, Atom) or not all(isinstance(each, str | bytes) for each in (detail, message)):
        return None
    return PythonException(str(kind), *(each.decode() if isinstance(each, bytes) else each for each in (detail, message)))


read_struct(STANDS_FOR, _from_map)
write_struct(STANDS_FOR, PythonException, _to_map)


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
        detail = str(error)
    except Exception as failure:  # a broken __str__ must not hide the crash
        detail = f"<no message: {type(failure).__name__} in __str__>"
    head = PythonException(_sendable(type_name(type(error)))[:255], _sendable(detail[:MAX_MESSAGE]), "")
    frames = _from_the_users_code(error.__traceback__)
    trace = _sendable("".join(traceback.format_exception(type(error), error, frames)).rstrip()[-MAX_TRACEBACK:])
    message = head.head if trace in ("", head.head) else f"{head.head}\n{trace}"
    return (PythonException(head.kind, head.detail, message), stack_of(frames))


def _from_the_users_code(trace: TracebackType | None) -> TracebackType | None:
    """The traceback without the frames of beamish that called the user's function; whole, if all are beamish's."""
    inner = trace
    while inner is not None and inner.tb_frame.f_code.co_filename.startswith(_OWN_FILES):
        inner = inner.tb_next
    return inner or trace


def _sendable(words: str) -> str:
    """Text without the lone surrogates that file names and broken input bring, which no binary can hold."""
    return words.encode("utf-8", "backslashreplace").decode()


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
    return isinstance(reason, tuple) and len(reason) == 2 and isinstance(reason[0], PythonException)


def exception_text(error: Any) -> str | None:
    """What an exception of Elixir's says of itself, ``(ArithmeticError) bad argument``; None for any other term, and for
    those whose text Elixir computes from fields."""
    if not isinstance(error, dict) or error.get(EXCEPTION) is not True or not isinstance(error.get(STRUCT), Atom):
        return None
    message = error.get(atom.message)
    if not isinstance(message, str | bytes):
        return None
    kind = str(error[STRUCT]).removeprefix("Elixir.")
    return f"({kind}) {message.decode('utf-8', 'replace') if isinstance(message, bytes) else message}".rstrip()


def stack_text(stack: Any) -> str:
    """Erlang's stack, a line a frame; empty for what is no stack."""
    lines: list[str] = []
    for frame in stack[:MAX_FRAMES] if isinstance(stack, list) else ():
        match frame:
            case (Atom() as module, Atom() as function, int() | list() as arity, list() as place):
                count = len(arity) if isinstance(arity, list) else arity
                name = str(module).removeprefix("Elixir.")
                lines.append(f"  in {name}:{function}/{count}{_place(place)}")
            case _:
                lines.append(f"  in {repr(frame)[:MAX_SHOWN]}")
    return "\n".join(lines)


def _place(place: list[Any]) -> str:
    facts = {fact[0]: fact[1] for fact in place if isinstance(fact, tuple) and len(fact) == 2 and isinstance(fact[0], Atom)}
    try:
        file = text(facts[atom.file])
    except (ChardataError, KeyError):
        return ""
    return f" ({file}, line {facts[atom.line]})" if atom.line in facts else f" ({file})"


def is_stack(term: Any) -> bool:
    """Whether a term is a stack as errors carry it."""
    return isinstance(term, list) and all(
        isinstance(frame, tuple) and len(frame) == 4 and isinstance(frame[3], list) for frame in term
    )


def text_of(reason: Any) -> str:
    """A reason as people read it, in one line where it is short."""
    if is_exception_reason(reason):
        return _cut(str(reason[0]), MAX_TEXT)
    if isinstance(reason, Atom):
        return str(reason)
    if isinstance(reason, tuple) and len(reason) == 2 and is_stack(reason[1]) and (reason[1] or exception_text(reason[0])):
        what = _cut(exception_text(reason[0]) or text_of(reason[0]), MAX_TEXT)
        frames = stack_text(reason[1])
        return f"{what}\n{frames}" if frames else what
    return _cut(exception_text(reason) or repr(reason), MAX_SHOWN)


def _cut(words: str, most: int) -> str:
    """A peer chooses its reasons; our log is not its to fill."""
    return words if len(words) <= most else f"{words[:most]}... ({len(words)} characters)"
