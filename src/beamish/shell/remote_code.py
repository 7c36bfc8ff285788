"""Functions typed into a shell, on their way to another shell.

Code never travels in beamish, with this one exception, made for trying things out: a function that was typed into a
shell has no module that another node could look it up in, so its source text is sent, with the variables it uses as
terms. Only a node that is itself a shell runs it, and only if it was not told otherwise (`--no-remote-code`).

    describe(fn) -> term | None          None for a function that is found by module and name
    revive(term) -> callable

Form  {beamish_code, 1, Name, Source, [{Variable, Value}], Defaults, KeywordDefaults}; a Value is {term, T},
      {module, Name} or {code, Described}.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import linecache
import textwrap
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final

from beamish.errors import BeamishError
from beamish.shell.prelude import prelude
from beamish.term import Atom, atom, text

MODULE: Final = "beamish_shell"
"""Under this name a shell that runs others' functions exports `run`."""

VERSION: Final = 1
MAX_SOURCE: Final = 64 * 1024
MAX_VARIABLES: Final = 200
MAX_DEPTH: Final = 8


class NotPortable(BeamishError, ValueError):
    """A function typed into a shell that cannot be sent; says what it holds on to."""


def describe(function: Any) -> tuple[Any, ...] | None:
    """A function typed into this shell as a term; None for any other callable. Raises NotPortable."""
    if not isinstance(function, FunctionType) or not function.__code__.co_filename.startswith("<beamish "):
        return None
    return _described(function, [])


def described_call(function: Any) -> tuple[Atom, Atom, list[Any]] | None:
    """For `runtime.services["describe_code"]`: what to call on the other node; the call's arguments are appended."""
    described = describe(function)
    return None if described is None else (atom(MODULE), atom.run, [described])


def _described(function: FunctionType, outer: list[FunctionType]) -> tuple[Any, ...]:
    if len(outer) >= MAX_DEPTH:
        raise NotPortable(f"{function.__qualname__} uses functions that use functions, more than {MAX_DEPTH} deep")
    source = source_of(function)
    variables = []
    for name, value in _free_variables(function):
        if value is function and name == function.__name__:
            continue  # it will find itself there under the same name
        if value is function or value in outer:
            raise NotPortable(f"{function.__qualname__} and {name} use each other; put them into a module that both nodes have")
        variables.append((name, _carried(function, name, value, [*outer, function])))
    if len(variables) > MAX_VARIABLES:
        raise NotPortable(f"{function.__qualname__} uses more than {MAX_VARIABLES} variables")
    defaults = [_term(function, "a default", value) for value in function.__defaults__ or ()]
    keywords = [(name, _term(function, name, value)) for name, value in (function.__kwdefaults__ or {}).items()]
    return (atom.beamish_code, VERSION, function.__name__, source, variables, defaults, keywords)


def _free_variables(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Variables of enclosing functions, and globals of the session that every shell does not have anyhow."""
    closure = function.__closure__ or ()
    for name, cell in zip(function.__code__.co_freevars, closure, strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:
            raise NotPortable(f"{function.__qualname__} uses {name}, which has no value yet") from None
    known = prelude()
    for name in sorted(_global_names(function.__code__)):
        if name not in function.__globals__ or hasattr(builtins, name):
            continue
        value = function.__globals__[name]
        if name not in known or not (known[name] is value or getattr(value, "of_the_shell", False)):
            yield name, value


def _global_names(code: CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _global_names(constant)
    return names


def _carried(function: FunctionType, name: str, value: Any, outer: list[FunctionType]) -> tuple[Any, ...]:
    if isinstance(value, ModuleType):
        return (atom.module, value.__name__)
    if isinstance(value, FunctionType) and value.__code__.co_filename.startswith("<beamish "):
        return (atom.code, _described(value, outer))
    return (atom.term, _term(function, name, value))


def _term(function: FunctionType, name: str, value: Any) -> Any:
    from beamish.etf import encode

    try:
        encode(value)
    except ValueError as error:
        raise NotPortable(f"{function.__qualname__} uses {name}, and that cannot be sent: {error}") from None
    return value


def source_of(function: FunctionType) -> str:
    """The source text of a function or lambda, and nothing around it. Raises NotPortable."""
    code = function.__code__
    lines = linecache.getlines(code.co_filename)
    source = "".join(lines)
    if not source:
        raise NotPortable(f"the source of {function.__qualname__} is not known any more")
    tree = compile(source, code.co_filename, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    node = _lambda_of(tree, code) if function.__name__ == "<lambda>" else _definition_of(tree, code)
    if node is None:
        raise NotPortable(f"the source of {function.__qualname__} cannot be told apart from what is around it")
    if _simplified(node) or (not isinstance(node, ast.Lambda) and _shares_line(lines, node)):
        found = ast.unparse(node)
    elif isinstance(node, ast.Lambda):
        found = ast.get_source_segment(source, node) or ""
    else:
        found = textwrap.dedent("".join(lines[node.lineno - 1 : node.end_lineno]))
    if len(found) > MAX_SOURCE:
        raise NotPortable(f"the source of {function.__qualname__} is longer than {MAX_SOURCE} characters")
    return found


def _simplified(node: ast.Lambda | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Take out what was evaluated here when the function was made: decorators, annotations, defaults (which travel as
    terms). True if there was any."""
    arguments = node.args
    changed = bool(arguments.defaults) or any(arguments.kw_defaults)
    arguments.defaults = [ast.Constant(None) for _ in arguments.defaults]
    arguments.kw_defaults = [None if value is None else ast.Constant(None) for value in arguments.kw_defaults]
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    for argument in every:
        if argument is not None and argument.annotation is not None:
            argument.annotation, changed = None, True
    if not isinstance(node, ast.Lambda):
        changed = changed or bool(node.decorator_list) or node.returns is not None
        node.decorator_list, node.returns = [], None
    return changed


def _definition_of(tree: ast.AST, code: CodeType) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    first = code.co_firstlineno
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == code.co_name:
            start = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            if start == first:
                return node
    return None


def _shares_line(lines: list[str], node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    before = lines[node.lineno - 1].encode()[: node.col_offset].strip()
    after = lines[(node.end_lineno or node.lineno) - 1].encode()[node.end_col_offset :].strip()
    return bool(before) or bool(after)


def _lambda_of(tree: ast.AST, code: CodeType) -> ast.Lambda | None:
    """The lambda whose body the code's positions lie in; the innermost one that holds all of them."""
    places = [(line, column) for line, _, column, _ in code.co_positions() if line is not None and column is not None]
    lines = {place for place in places if place != (code.co_firstlineno, 0)}
    best: ast.Lambda | None = None
    for node in ast.walk(tree):
        if not isinstance(node, ast.Lambda) or node.lineno != code.co_firstlineno:
            continue
        start = (node.body.lineno, node.body.col_offset)
        end = (node.body.end_lineno or 0, node.body.end_col_offset or 0)
        inside = all(start <= place <= end for place in lines)
        if inside and (best is None or start >= (best.body.lineno, best.body.col_offset)):
            best = node
    return best


def revive(described: Any) -> Callable[..., Any]:
    """The function that `describe` described. Raises ValueError for anything else."""
    return _revived(described, 0)


def _revived(described: Any, depth: int) -> FunctionType:
    match described:
        case (atom.beamish_code, 1, name, source, list(variables), list(defaults), list(keywords)):
            pass
        case _:
            raise ValueError("this is no function described by a beamish shell, or by a newer one")
    if depth >= MAX_DEPTH or len(variables) > MAX_VARIABLES:
        raise ValueError("a described function that holds on to too much")
    written, called = text(source), text(name)
    if len(written) > MAX_SOURCE:
        raise ValueError("a described function with too long a source")
    namespace: dict[str, Any] = {**prelude(), "__name__": "__shell__", "__builtins__": builtins}
    for variable, value in variables:
        namespace[text(variable)] = _value(value, depth)
    filename = f"<beamish code of {called}>"
    linecache.cache[filename] = (len(written), None, written.splitlines(keepends=True), filename)
    try:
        if called == "<lambda>":
            function = eval(compile(f"({written}\n)", filename, "eval"), namespace)
        else:
            exec(compile(written, filename, "exec"), namespace)
            function = namespace[called]
    except (SyntaxError, KeyError) as error:
        raise ValueError(f"the source of {called} cannot be compiled: {error}") from None
    if not isinstance(function, FunctionType):
        raise ValueError(f"the source of {called} is not a function")
    function.__defaults__ = tuple(defaults) or None
    function.__kwdefaults__ = {text(key): value for key, value in keywords} or None
    return function


def _value(carried: Any, depth: int) -> Any:
    match carried:
        case (atom.term, value):
            return value
        case (atom.code, described):
            return _revived(described, depth + 1)
        case (atom.module, name):
            import importlib

            try:
                return importlib.import_module(text(name))
            except ImportError as error:
                raise ValueError(f"this node has no module {text(name)}: {error}") from None
    raise ValueError("a described function with a variable of an unknown kind")


async def refuse(described: Any, arguments: Any) -> Any:
    """What a shell with `--no-remote-code` answers."""
    raise NotPortable("this shell does not run functions that were typed into others (--no-remote-code)")


async def run(described: Any, arguments: Any) -> Any:
    """Run a described function: what other shells call here."""
    result = revive(described)(*arguments)
    return await result if inspect.isawaitable(result) else result
