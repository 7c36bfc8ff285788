"""Cuts the text of a vm.args file, or of --erl, into words the way erl does.

Source  ERTS Reference Manual: erl, -args_file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from beamish.cli.flags import UsageError

_WORD: Final = re.compile(r"""(?:[^\s"'\\#]|\\.|"[^"]*"|'[^']*')+""", re.DOTALL)
_WORD_WITH_MARKS: Final = re.compile(r"""(?:[^\s"'\\]|\\.|"[^"]*"|'[^']*')+""", re.DOTALL)
_PIECE: Final = re.compile(r""""([^"]*)"|'([^']*)'|\\(.)|([^"'\\]+)""", re.DOTALL)
_VARIABLE: Final = re.compile(r"\$\{(\w+)\}")


def split(source: str, where: str, environ: Mapping[str, str] | None = None, *, comments: bool = True) -> list[str]:
    """Cut a text into words. Quotes of either kind keep white space, a backslash outside of them keeps one character.

    comments: # outside of quotes starts a comment, as in files (not in --erl). environ: replaces ${VARIABLE}; without it that
    stays as it is. Raises UsageError, naming the line.
    """
    words: list[str] = []
    for number, line in _logical_lines(source, comments):
        place = 0
        while place < len(line):
            if line[place].isspace():
                place += 1
                continue
            if comments and line[place] == "#":
                break
            match = (_WORD if comments else _WORD_WITH_MARKS).match(line, place)
            if match is None or (match.end() < len(line) and line[match.end()] in "\"'\\"):
                raise UsageError(f"{where}, line {number}: a quote or backslash that does not end")
            words.append(_filled(_unquoted(match.group()), f"{where}, line {number}", environ))
            place = match.end()
    return words


def _logical_lines(source: str, comments: bool) -> list[tuple[int, str]]:
    """Lines with their numbers; one that ends inside quotes or with a backslash goes on in the next."""
    lines: list[tuple[int, str]] = []
    held, started = "", 0
    for number, line in enumerate(source.splitlines(), 1):
        if not held:
            started = number
        held += line
        if held.endswith("\\") and not held.endswith("\\\\"):
            held = held[:-1] + " "
        elif _open_quote(held, comments):
            held += "\n"
        else:
            lines.append((started, held))
            held = ""
    if held:
        lines.append((started, held))
    return lines


def _open_quote(line: str, comments: bool) -> bool:
    closed = r"\"[^\"]*\"|'[^']*'|\\." + (r"|#[^\n]*" if comments else "")
    stripped = re.sub(closed, "", line, flags=re.DOTALL)
    return '"' in stripped or "'" in stripped


def _unquoted(word: str) -> str:
    def content(match: re.Match[str]) -> str:
        return next(part for part in match.groups() if part is not None)

    return _PIECE.sub(content, word)


def _filled(word: str, where: str, environ: Mapping[str, str] | None) -> str:
    if environ is None:
        return word

    def value(match: re.Match[str]) -> str:
        if match[1] not in environ:
            raise UsageError(f"{where}: the environment variable {match[1]} is not set")
        return environ[match[1]]

    return _VARIABLE.sub(value, word)
