"""Source text as it is typed: is it a whole statement yet, and running it with `await` allowed anywhere."""

from __future__ import annotations

import ast
import codeop
import inspect
import linecache
from collections.abc import Iterable, Iterator
from types import CodeType
from typing import Any, Final, Literal

from beamish.errors import BeamishError
from beamish.process._preempt import mark_transparent

State = Literal["empty", "whole", "open", "unfinished"]

_AWAITED: Final = "__beamish_awaited__"
_FLAGS: Final = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_GOES_ON: Final = ("else", "elif", "except", "finally", "case")


class NothingToShow:
    """The value of an input that is no expression."""


NOTHING: Final = NothingToShow()


def state_of(source: str) -> State:
    """What to do with an input so far.

    "unfinished" needs more text; "open" is an indented block that may go on, until a blank line ends it; "whole" can
    run (or fail to compile, which running it tells).
    """
    if not source.strip():
        return "empty"
    compiler = codeop.Compile()
    compiler.flags |= _FLAGS
    try:
        code = codeop._maybe_compile(compiler, source, "<input>", "exec")  # type: ignore[attr-defined]
    except (SyntaxError, ValueError, OverflowError, MemoryError, RecursionError):
        return "whole"
    if code is None:
        return "unfinished"
    last = source.rpartition("\n")[2]
    return "open" if last[:1] in (" ", "\t") and last.strip() else "whole"


def statements(lines: Iterable[str]) -> Iterator[str]:
    """Cut lines of a file or pipe into inputs, each as soon as it is known to be whole.

    Unlike in Python's own interactive mode a line without indentation ends a block; a blank line is not needed.
    """
    held = ""
    for line in lines:
        if held and state_of(held) in ("open", "whole") and not _belongs(line):
            yield held
            held = ""
        held = held + line if held or line.strip() else ""
        if held and state_of(held.rstrip("\n")) == "whole" and not _may_go_on(held):
            yield held
            held = ""
    if held.strip():
        yield held


def _belongs(line: str) -> bool:
    """Does a line go on with the block before it?"""
    if not line.strip() or line[0] in " \t#":
        return True
    word = line.split(":")[0].split()
    return bool(word) and word[0] in _GOES_ON


def _may_go_on(source: str) -> bool:
    """Is the last statement one that later lines can belong to?"""
    try:
        tree = compile(source, "<input>", "exec", ast.PyCF_ONLY_AST | _FLAGS)
    except (SyntaxError, ValueError):
        return False
    return bool(tree.body) and hasattr(tree.body[-1], "body")


class SourceTooDeep(BeamishError):
    """An input that the compiler gives up on."""


def compile_input(source: str, filename: str) -> tuple[CodeType | None, CodeType | None]:
    """Code for all but the last expression, and code for that expression. Raises what compile() raises."""
    try:
        tree = compile(source, filename, "exec", ast.PyCF_ONLY_AST | _FLAGS)
    except (RecursionError, MemoryError) as error:
        raise SourceTooDeep("this input is nested too deeply to be compiled") from error
    body = tree.body
    last = None
    if body and isinstance(body[-1], ast.Expr):
        expression = ast.Expression(body.pop().value)
        last = compile(expression, filename, "eval", _FLAGS)
    for statement in body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call | ast.Tuple | ast.List):
            statement.value = _await_of(statement.value)
    first = compile(tree, filename, "exec", _FLAGS) if body else None
    return first, last


def _await_of(value: ast.expr) -> ast.expr:
    """`await awaited(value)`, so that `pid = Node.spawn(…)` binds the pid."""
    called = ast.Call(ast.Name(_AWAITED, ast.Load()), [value], [])
    waiting = ast.Await(called)
    for node in (called.func, called, waiting):
        ast.copy_location(node, value)
    return waiting


def remember_source(source: str, filename: str) -> None:
    """Let tracebacks and inspect find the lines of an input."""
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)


async def run_input(source: str, filename: str, namespace: dict[str, Any]) -> Any:
    """Run an input and give its value, or NOTHING.

    `await` may stand anywhere, and what can be awaited is awaited: the value of a last expression, and coroutines that
    are assigned outside of any block.
    """
    remember_source(source, filename)
    first, last = compile_input(source, filename)
    if first is not None:
        namespace[_AWAITED] = awaited_coroutines
        await _executed(first, namespace)
    if last is None:
        return NOTHING
    return await awaited(await _executed(last, namespace))


@mark_transparent
async def awaited(value: Any) -> Any:
    """What comes of a value if it can be awaited, or is a tuple or list of coroutines."""
    if inspect.isawaitable(value):
        return await value
    return await awaited_coroutines(value)


@mark_transparent
async def awaited_coroutines(value: Any) -> Any:
    """The same for coroutines only: a future or task that is assigned may be meant to run on."""
    if inspect.iscoroutine(value):
        return await value
    if type(value) in (tuple, list) and any(inspect.iscoroutine(item) for item in value):
        return type(value)([await item if inspect.iscoroutine(item) else item for item in value])
    return value


async def _executed(code: CodeType, namespace: dict[str, Any]) -> Any:
    value = eval(code, namespace)
    if code.co_flags & inspect.CO_COROUTINE:
        return await value
    return value
