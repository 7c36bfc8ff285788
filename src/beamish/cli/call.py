"""`beamish call NODE MODULE FUNCTION [ARGUMENT …]`: one call, from a script or by hand."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from beamish.cli.flags import UsageError
from beamish.cli.one_shot import DEFAULT_TIMEOUT, ONE_SHOT_FLAGS, ask_node, json_text, read_command

USAGE = """usage: beamish call [FLAGS] NODE MODULE FUNCTION [ARGUMENT ...]

    beamish call robin math sqrt 16
    beamish call a@pi lists reverse '[1,2,3]'
    beamish call a@pi Elixir.String upcase '"hello"'
    beamish call a@pi os cmd '~c"uptime"'

Every ARGUMENT is a term in Erlang's notation, with one difference: "text" is a binary, which is what Elixir and
Python take for a string, and ~c"text" is Erlang's list of characters. What is not Erlang may be a Python literal:
True, None, {"key": 1}, b"bytes". A bare word is an atom. The result is printed in the same notation. What the
function prints appears here as well. MODULE is an Erlang module, Elixir.Module, or a Python module.
"""


def run(arguments: Sequence[str]) -> int:
    """The command; its exit status."""
    line = read_command(arguments, USAGE, ONE_SHOT_FLAGS, command="beamish call", words_end_flags=True)
    if line is None:
        return 0
    if len(line.words) < 3:
        raise UsageError("beamish call takes NODE MODULE FUNCTION [ARGUMENT ...]; see: beamish call --help")
    node, module, function, *texts = line.words
    terms = [parse_argument(text, number) for number, text in enumerate(texts, 1)]
    result = ask_call(line, node, _plain_name(module), _plain_name(function), terms)
    print(json_text(result) if line.get("json") else show(result))
    return 0


def ask_call(line: Any, node: str, module: str, function: str, terms: list[Any]) -> Any:
    """Call a function on a node through a hidden node of our own. Raises NodeError, RemoteError, CallTimeout."""
    seconds = line.get("timeout", DEFAULT_TIMEOUT)

    async def question(target: Any) -> Any:
        from beamish import rpc
        from beamish.cli.reach import connect_or_say_why
        from beamish.errors import NodeError

        problem = await connect_or_say_why(target, line.get("epmd_port"))
        if problem is not None:
            raise NodeError(problem)
        return await rpc.call(target, module, function, terms, timeout=seconds)

    return ask_node(line, node, question)


def parse_argument(source: str, number: int) -> Any:
    """A command line argument as a term: Erlang's notation, else a Python literal. Raises UsageError."""
    from beamish.io.term_text import TermSyntaxError, parse_term

    try:
        return parse_term(source, quotes_are_binaries=True)
    except TermSyntaxError as error:
        problem = error
    try:
        return _python_literal(source)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        pass
    quoted = source.replace("\\", "\\\\").replace('"', '\\"')
    raise UsageError(
        f"argument {number}, {source!r}, is not a term ({problem.problem}, column {problem.column}); "
        f"""as text it is written '"{quoted}"', as an atom "'{source}'" """.rstrip()
    )


def _python_literal(source: str) -> Any:
    """A Python literal whose value is a term; comments and sets are not what anybody means here."""
    import ast

    if "#" in source:
        raise ValueError("a comment")
    value = ast.literal_eval(source.strip())
    _check_term(value)
    return value


def _check_term(value: Any) -> None:
    if isinstance(value, dict):
        for pair in value.items():
            _check_term(pair)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_term(item)
    elif not (value is None or isinstance(value, bool | int | float | str | bytes)):
        raise ValueError(f"{type(value).__name__} is not a term")


def _plain_name(name: str) -> str:
    """A module or function as Erlang users quote it."""
    return name[1:-1] if len(name) > 1 and name[0] == name[-1] == "'" else name


def show(term: Any) -> str:
    """A term in the notation of the arguments, over several lines if it is long."""
    from beamish.io.measure import Style
    from beamish.io.pretty import pretty

    style = Style(unicode=True, quote_binaries=True)
    width = 0
    if sys.stdout.isatty():
        import os

        width = os.get_terminal_size().columns
    return pretty(term, style=style, width=width)
