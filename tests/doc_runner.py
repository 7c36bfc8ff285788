"""Runs the Python of one page, in an interpreter of its own: `python doc_runner.py PAGE [EPMD_PORT COOKIE]`.

Prints what went wrong, one finding after the other; the exit code is 1 then. Blocks may await; they import what they use, but the
prompts of a transcript know what the shell knows.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import doctest
import inspect
import io
import json
import re
import sys
import traceback
from pathlib import Path
from typing import Any

import beamish
from beamish.shell.prelude import prelude
from beamish.term import atom
from beamish.testing import MemoryCluster, VirtualClockLoop, services_of_a_node
from beamish.testing.case import Case
from beamish.testing.running import slice_for
from doc_pages import Page, Piece, read_page

HERE = "frankel"
PYTHON = ("python", "console", "row")
LIMIT = 100_000.0
"""Virtual seconds for a page."""

FLAGS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
CHECKER = doctest.OutputChecker()
PROMPT = re.compile(r"^(?:beamish|iex)\(?[^>\n]*>[ ]?", re.M)


class Wrong(Exception):
    """A line does not give what the comment behind it says."""


async def evaluate(code: str, names: dict[str, Any], where: str, line: int) -> Any:
    """Run code, which may await; gives the value of its last line if that is an expression.

    Raises Wrong when an expression does not give what a comment `# => value` at its end says.
    """
    lines = code.splitlines()
    value: Any = None
    for node in ast.parse("\n" * (line - 1) + code, where).body:
        value = None
        if not isinstance(node, ast.Expr):
            made = eval(compile(ast.Module([node], []), where, "exec", FLAGS), names)
            if inspect.iscoroutine(made):
                await made
            continue
        value = eval(compile(ast.Expression(node.value), where, "eval", FLAGS), names)
        if inspect.isawaitable(value):
            value = await value
        assert node.end_lineno is not None
        _, mark, promised = lines[node.end_lineno - line].partition("# => ")
        if mark and (difference := is_not(promised.strip(), value, names)):
            raise Wrong(f"{where}:{node.end_lineno}: {difference}")
    return value


def is_not(promised: str, value: Any, names: dict[str, Any]) -> str:
    """What is wrong with a value, given what the page says: a literal, or its repr, in which `...` stands for anything."""
    if CHECKER.check_output(promised + "\n", f"{value!r}\n", doctest.ELLIPSIS):
        return ""
    try:
        if normal(eval(promised, {**names, "atom": atom})) == normal(value):
            return ""
    except Exception:
        pass  # it is no Python, and was not what repr gives
    return f"gives {value!r} instead of {promised}"


def differs(expected: str, printed: str) -> str:
    """What is wrong with the output, if anything."""
    if CHECKER.check_output(expected, printed, doctest.ELLIPSIS):
        return ""
    return f"prints\n{printed}instead of\n{expected}"


def normal(value: Any) -> Any:
    """A value as both languages have it: text as str, `{:ok, value}` as the value."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, tuple):
        return normal(value[1]) if len(value) == 2 and value[0] is atom.ok else tuple(map(normal, value))
    if isinstance(value, list):
        return [normal(each) for each in value]
    if isinstance(value, dict):
        return {normal(key): normal(each) for key, each in value.items()}
    return value


async def run_piece(piece: Piece, names: dict[str, Any], where: str) -> str:
    """Run one piece; gives what is wrong with it."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            if piece.kind == "console":
                return await run_console(piece, names, where)
            value = await evaluate(piece.code, names, where, piece.line)
    except (Exception, beamish.Exit) as error:
        if piece.raises and type(error).__name__ == piece.raises:
            return differs(piece.output, printed.getvalue()) if piece.output is not None else ""
        return "".join(traceback.format_exception(error)).replace(str(Path(__file__).parent), "")
    if piece.raises:
        return f"raises nothing, instead of {piece.raises}"
    if piece.given and (difference := is_not(piece.given, value, names)):
        return difference
    return differs(piece.output, printed.getvalue()) if piece.output is not None else ""


def inputs(code: str, prompt: str) -> list[tuple[str, str]]:
    """(input, expected answer) of a console block; lines of the other language's prompt are left out."""
    found: list[tuple[str, list[str]]] = []
    for part in re.split(r"^(?=(?:beamish|iex)(?:\([^>\n]*\))?\d*>)", code, flags=re.M):
        if not part.startswith(prompt):
            continue
        first, *rest = PROMPT.sub("", part, count=1).splitlines()
        more = 0
        while more < len(rest) and (rest[more].startswith(("    ", "... ")) or _is_open(first, rest[:more])):
            more += 1
        found.append(("\n".join([first, *rest[:more]]), rest[more:]))
    return [(code, "\n".join(answer)) for code, answer in found]


def _is_open(first: str, rest: list[str]) -> bool:
    text = "\n".join([first, *rest])
    return sum(map(text.count, "([{")) > sum(map(text.count, ")]}"))


async def run_console(piece: Piece, names: dict[str, Any], where: str) -> str:
    """Run the inputs of a transcript of the shell."""
    wrong = ""
    for code, answer in inputs(piece.code, "beamish"):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            value = await evaluate(code, names, where, piece.line)
        shown = printed.getvalue() + ("" if value is None else repr(value) + "\n")
        if difference := differs(answer + "\n" if answer else "", shown):
            wrong += f"{code}\n{difference}\n"
    return wrong


def variables(page: Page) -> dict[str, Any]:
    """What the first block finds."""
    return {**(prelude() if page.of("console") else {}), "__name__": "__main__"}


async def run_page(page: Page, findings: list[str]) -> None:
    """Run what the page has for this interpreter, as one process."""
    names = variables(page)
    for piece in page.of(*PYTHON):
        if wrong := await run_piece(piece, names, str(page.path)):
            findings.append(f"{page.path.name}:{piece.line}: {wrong}")


def run_in_memory(page: Page, findings: list[str]) -> None:
    """On the virtual clock, on nodes in memory."""
    names = page.nodes or [f"barry@{HERE}"]

    async def main() -> None:
        async with asyncio.timeout(LIMIT), MemoryCluster(*names, services=services_of_a_node) as cluster:
            here = cluster[names[0]]
            assert slice_for(here.loop) > 1
            await Case.of(here).run(run_page, page, findings)

    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        runner.run(main())


def run_beside(page: Page, epmd_port: int, cookie: str) -> None:
    """On a real node, in real time: the pieces whose numbers come on the standard input; each answered by what is wrong."""

    async def serve() -> None:
        names = variables(page)
        while line := await asyncio.to_thread(sys.stdin.readline):
            piece = page.pieces[int(line)]
            wrong = await run_piece(piece, names, str(page.path))
            print(json.dumps(wrong and f"{page.path.name}:{piece.line}: {wrong}"), flush=True)

    beamish.run(serve, name="barry@localhost", long=False, cookie=cookie, epmd_port=epmd_port)


def main(path: str, *options: str) -> int:
    """Run a page and print what is wrong."""
    findings: list[str] = []
    text = Path(path).read_text()
    if options:
        page = read_page(Path(path), text.replace(HERE, "localhost"))
        run_beside(page, int(options[0]), options[1])
    else:
        run_in_memory(read_page(Path(path), text), findings)
    print("\n\n".join(findings), file=sys.stderr)
    return int(bool(findings))


__all__ = ["HERE", "PYTHON", "differs", "inputs", "normal"]

if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
