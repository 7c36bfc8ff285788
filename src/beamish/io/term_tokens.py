"""The tokens of Erlang term text, and the error that says where something is wrong with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from beamish.errors import BeamishError

MAX_DIGITS: Final = 100_000
MAX_ATOM: Final = 255


class TermSyntaxError(BeamishError, ValueError):
    """Text that is no Erlang term. line, column: from 1."""

    def __init__(self, message: str, line: int, column: int, file: str | None) -> None:
        place = f"{file}:{line}:{column}" if file else f"line {line}, column {column}"
        super().__init__(f"{place}: {message}")
        self.problem = message
        self.line = line
        self.column = column


@dataclass(slots=True, frozen=True)
class Token:
    """kind: "atom", "number", "string", "charlist", "sigil", "stop", "end", or the punctuation itself."""

    kind: str
    value: Any
    text: str
    offset: int
    quoted: bool = False

    @property
    def name(self) -> str:
        """The kind, as part of a method's name."""
        return _NAMES.get(self.kind, self.kind)

    @property
    def shown(self) -> str:
        if self.kind == "end":
            return "the end of the text"
        if self.kind == "stop":
            return "a full stop"
        return self.text if len(self.text) <= 40 else self.text[:37] + "..."


_NAMES: Final = {
    "{": "open_brace",
    "[": "open_bracket",
    "<<": "open_binary",
    "#": "hash",
    "-": "minus",
    "+": "plus",
}
_BLANK: Final = re.compile(r"(?:[\s\x00-\x20\x80-\xa0]+|%[^\n]*)*")
_ATOM: Final = re.compile(r"[a-zß-öø-ÿ][\w@]*")
_VARIABLE: Final = re.compile(r"[A-Z_À-ÖØ-Þ][\w@]*")
_NUMBER: Final = re.compile(
    r"(?P<base>\d+(?:_\d+)*)\#(?P<digits>[0-9A-Za-z]+(?:_[0-9A-Za-z]+)*)"
    r"|(?P<float>\d+(?:_\d+)*\.\d+(?:_\d+)*(?:[eE][+-]?\d+)?)|(?P<integer>\d+(?:_\d+)*)"
)
_PUNCTUATION: Final = ("<<", ">>", "=>", "{", "}", "[", "]", ",", "|", "#", ":", "/", "-", "+")
_SIMPLE_ESCAPES: Final = {
    "n": "\n", "t": "\t", "r": "\r", "v": "\v", "b": "\b", "f": "\f", "e": "\x1b", "s": " ", "d": "\x7f",
}  # fmt: skip
_HEX: Final = re.compile(r"x(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{2}))")
_OCTAL: Final = re.compile(r"[0-7]{1,3}")


class Scanner:
    """Cuts a text into tokens, one at a time."""

    def __init__(self, source: str, file: str | None) -> None:
        self.source = source
        self.file = file
        self.offset = 0

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, from 1."""
        line_start = self.source.rfind("\n", 0, offset) + 1
        return self.source.count("\n", 0, offset) + 1, offset - line_start + 1

    def error(self, message: str, offset: int) -> TermSyntaxError:
        return TermSyntaxError(message, *self.place(offset), self.file)

    def next(self) -> Token:
        source = self.source
        blank = _BLANK.match(source, self.offset)
        start = blank.end() if blank else self.offset
        if start >= len(source):
            self.offset = start
            return Token("end", None, "", start)
        character = source[start]
        if match := _ATOM.match(source, start):
            return self.atom(match.group(), start, match.end())
        if character.isdigit():
            return self.number(start)
        if character in "'\"":
            content, end = self.quoted(start)
            if character == "'":
                return self.atom(content, start, end, quoted=True)
            return self.token("string", content, start, end)
        if character == "~":
            return self.sigil(start)
        if character == "$":
            content, end = self.character(start + 1)
            return self.token("number", ord(content), start, end)
        if character == "." and (start + 1 == len(source) or source[start + 1] in " \t\r\n%"):
            return self.token("stop", None, start, start + 1)
        for mark in _PUNCTUATION:
            if source.startswith(mark, start):
                return self.token(mark, None, start, start + len(mark))
        if match := _VARIABLE.match(source, start):
            name = match.group()
            raise self.error(f"{name} is a variable to Erlang; an atom that starts so is written '{name}'", start)
        raise self.error(f"unexpected character {character!r}", start)

    def token(self, kind: str, value: Any, start: int, end: int, *, quoted: bool = False) -> Token:
        self.offset = end
        return Token(kind, value, self.source[start:end], start, quoted)

    def atom(self, name: str, start: int, end: int, *, quoted: bool = False) -> Token:
        if len(name) > MAX_ATOM:
            raise self.error(f"an atom has at most {MAX_ATOM} characters; this one has {len(name)}", start)
        return self.token("atom", name, start, end, quoted=quoted)

    def number(self, start: int) -> Token:
        match = _NUMBER.match(self.source, start)
        if match is None:  # a digit of another script
            raise self.error(f"unexpected character {self.source[start]!r}", start)
        if len(match.group()) > MAX_DIGITS:
            raise self.error(f"a number has at most {MAX_DIGITS} characters", start)
        value: int | float
        if match["base"] is not None:
            base = int(match["base"])
            if not 2 <= base <= 36:
                raise self.error(f"a base is 2 to 36, not {base}", start)
            try:
                value = _in_base(match["digits"].replace("_", ""), base)
            except ValueError:
                raise self.error(f"{match['digits']} is not a number in base {base}", start) from None
        elif match["float"] is not None:
            value = float(match["float"].replace("_", ""))
            if value == float("inf"):
                raise self.error("too large for a float", start)
        else:
            value = _in_base(match["integer"].replace("_", ""), 10)
        end = match.end()
        if end < len(self.source) and (self.source[end].isalnum() or self.source[end] == "_"):
            raise self.error(f"unexpected {self.source[end]!r} in a number", end)
        return self.token("number", value, start, end)

    def sigil(self, start: int) -> Token:
        kind = "charlist" if self.source.startswith('c"', start + 1) else "sigil"
        quote = start + 1 + (kind == "charlist")
        if not self.source.startswith('"', quote):
            raise self.error("unexpected character '~'", start)
        content, end = self.quoted(quote)
        return self.token(kind, content, start, end)

    def quoted(self, start: int) -> tuple[str, int]:
        """The text between quotes, and where it ends."""
        quote = self.source[start]
        pieces: list[str] = []
        place = start + 1
        plain = re.compile(r"[^\\" + quote + r"]+")
        while place < len(self.source):
            if self.source[place] == quote:
                return "".join(pieces), place + 1
            if match := plain.match(self.source, place):
                pieces.append(match.group())
                place = match.end()
            elif self.source.startswith("\\\n", place):  # a line break that does not count
                place += 2
            else:
                content, place = self.character(place)
                pieces.append(content)
        what = "quoted atom" if quote == "'" else "string"
        raise self.error(f"this {what} has no end; {quote} is missing", start)

    def character(self, place: int) -> tuple[str, int]:
        """One character, escaped or not, and where it ends."""
        if place >= len(self.source):
            raise self.error("a character is missing", place)
        character = self.source[place]
        if character != "\\":
            return character, place + 1
        escape = self.source[place + 1 : place + 2]
        if match := _OCTAL.match(self.source, place + 1):
            return chr(int(match.group(), 8)), match.end()
        if match := _HEX.match(self.source, place + 1):
            code = int(match[1] or match[2], 16)
            if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
                raise self.error(f"there is no character \\x{{{code:X}}}", place)
            return chr(code), match.end()
        if escape == "^" and place + 2 < len(self.source):
            return chr(ord(self.source[place + 2]) & 31), place + 3
        if not escape or escape == "x":
            raise self.error("an escape that does not end", place)
        return _SIMPLE_ESCAPES.get(escape, escape), place + 2


def _in_base(digits: str, base: int) -> int:
    """int() without CPython's limit on the number of decimal digits."""
    if base != 10 or len(digits) <= 4000:
        return int(digits, base)
    value = 0
    for start in range(0, len(digits), 4000):
        group = digits[start : start + 4000]
        value = value * 10 ** len(group) + int(group)
    return value
