"""What there is to run in a page of documentation.

Every fenced block with the language python, elixir, sh or console is run by tests/test_docs.py, in the order of the page, and the
blocks of one page share their variables. Comments before a block, or for the whole page, say what is special:

    <!-- not run: why -->           an illustration
    <!-- run -->                    a whole program, in an interpreter of its own
    <!-- pytest -->                 a file of tests, for pytest
    <!-- raises: ValueError -->     it ends with this exception
    <!-- no output -->              the text block that follows is not what it prints
    <!-- page: cluster barry@frankel robin@frankel -->   nodes in memory; the page runs on the first
    <!-- page: beside maurice@frankel -->                a real Elixir node; the page runs on barry@frankel, in real time
    <!-- setup: python ... -->, <!-- setup: elixir ... -->   lines that prepare what the page shows

A line of Python may end with `# => value`: what it gives. A block `text` that follows is what it prints (`...` stands for
anything). A block `console` holds prompts of the shell or of iex and what they answer. A table whose first columns are `Elixir`
and `beamish` is run row by row, in both languages; the column `gives` is the value that both give.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

FENCE = re.compile(r"^(`{3,})([\w-]*)[^\n]*\n(.*?)^\1[ ]*$|^<!--(.*?)-->[ ]*$|^((?:\|[^\n]*\n)+)", re.M | re.S)
RUN = ("python", "elixir", "sh", "console")
PLAIN = ("text", "", "cython", "toml", "erlang", "ini", "yaml", "dockerfile")
"""Languages of blocks that nothing runs."""

DIRECTIVES = ("not run", "run", "pytest", "raises", "no output", "setup", "page", "transcript", "end of transcript", "diagram")


@dataclass
class Piece:
    """Something to run. kind: python, elixir, sh, console, program, pytest, row. given: what a row gives in both languages."""

    kind: str
    code: str
    line: int
    output: str | None = None
    raises: str = ""
    elixir: str = ""
    given: str = ""


@dataclass
class Page:
    """One file. reasons: why which line is not run; wrong: what the page says wrongly."""

    path: Path
    pieces: list[Piece] = field(default_factory=list)
    nodes: list[str] = field(default_factory=list)
    beside: str = ""
    reasons: dict[int, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def of(self, *kinds: str) -> list[Piece]:
        """The pieces of these kinds."""
        return [piece for piece in self.pieces if piece.kind in kinds]


def read_page(path: Path, text: str | None = None) -> Page:
    """Parse a page."""
    page = Page(path)
    text = path.read_text() if text is None else text
    said: dict[str, str] = {}
    last: Piece | None = None
    for match in FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        if match[4] is not None:
            name, _, rest = match[4].strip().partition(":")
            if name not in DIRECTIVES:
                if re.match(r"[\w ]+(:|$)", match[4].strip()):
                    page.wrong.append(f"{path.name}:{line}: what is <!-- {name} -->?")
                continue
            _directive(page, name, rest.strip("\n ") if name != "setup" else rest, line, said)
        elif match[5] is not None:
            _table(page, match[5], line)
        else:
            last = _block(page, match[2], match[3], line, said, last)
            said.clear()
    return page


def _directive(page: Page, name: str, rest: str, line: int, said: dict[str, str]) -> None:
    if name == "page":
        kind, *names = rest.split()
        if kind == "cluster":
            page.nodes = names
        elif kind == "beside":
            (page.beside,) = names
        else:
            page.wrong.append(f"{page.path.name}:{line}: a page is `cluster` or `beside`, not {kind}")
    elif name == "setup":
        language, _, code = rest.strip(" ").partition("\n")
        if language not in ("python", "elixir"):
            page.wrong.append(f"{page.path.name}:{line}: setup in python or elixir, not {language!r}")
        else:
            page.pieces.append(Piece(language, code, line + 1))
    else:
        said[name] = rest


def _block(page: Page, language: str, code: str, line: int, said: dict[str, str], last: Piece | None) -> Piece | None:
    """Add what a fenced block is; gives the piece whose output may follow."""
    if language == "text" and last is not None and not said:
        last.output = code
        return None
    if "no output" in said or "transcript" in said:
        return None
    if "not run" in said:
        if not said["not run"]:
            page.wrong.append(f"{page.path.name}:{line}: not run, but why?")
        page.reasons[line] = said["not run"]
        return None
    if language not in RUN:
        if language not in PLAIN:
            page.wrong.append(f"{page.path.name}:{line}: nothing runs blocks of {language}")
        return None
    kind = "program" if "run" in said else "pytest" if "pytest" in said else language
    piece = Piece(kind, code, line + 1, raises=said.get("raises", ""))
    page.pieces.append(piece)
    return piece


def _table(page: Page, text: str, line: int) -> None:
    rows = [_cells(row) for row in text.splitlines()]
    if [cell.strip() for cell in rows[0][:2]] != ["Elixir", "beamish"]:
        return
    gives = rows[0].index("gives") if "gives" in rows[0] else None
    for number, row in enumerate(rows[2:], line + 2):
        elixir, python = (_code(cell) for cell in row[:2])
        given = _code(row[gives]) if gives is not None and len(row) > gives else ""
        page.pieces.append(Piece("row", python, number, elixir=elixir, given=given))


def _cells(row: str) -> list[str]:
    return [cell.replace(r"\|", "|").strip() for cell in re.split(r"(?<!\\)\|", row.strip().strip("|"))]


def _code(cell: str) -> str:
    """The code of a cell: what stands in backticks, each a line."""
    return "\n".join(found.strip() for _, found in re.findall(r"(`+)(.+?)\1", cell))
