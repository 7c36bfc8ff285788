"""Reads terms written as Erlang text: files of `file:consult/1` (sys.config), and arguments on a command line.

    [{kernel, [{sync_nodes_timeout, 5000}]}, 'two words', "charlist", <<"binary">>, #{k => 16#ff}, $a, 1.0e3 | tail].

Comments start with %, a term in a file ends with a full stop. Every error carries line and column. Written by hand
because it has to say where and what; bounded in depth and size. Not read: pids, references, funs but `fun m:f/1`,
variables, calls and operators, which consult does not take either.

Source  Erlang Reference Manual, Data Types; STDLIB, file:consult/1 (compared with OTP 25).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from beamish.errors import BeamishError
from beamish.io.term_tokens import Scanner, TermSyntaxError, Token
from beamish.term import BitString, Charlist, ExportFun, ImproperList, TermMap, atom
from beamish.term.identity import identity

__all__ = ["MAX_NESTING", "MAX_TEXT", "TermSyntaxError", "consult", "parse_term"]

MAX_TEXT: Final = 16 * 1024 * 1024
MAX_NESTING: Final = 200
_MAX_SEGMENT_BITS: Final = 8 * 1024 * 1024


def consult(source: str, *, file: str | None = None) -> list[Any]:
    """All terms of a text, each ended by a full stop. file: a name for the errors."""
    reader = _Reader(source, file, quotes_are_binaries=False)
    terms: list[Any] = []
    while reader.token.kind != "end":
        terms.append(reader.term())
        reader.expect("stop", "a full stop after the term")
    return terms


def parse_term(source: str, *, quotes_are_binaries: bool = False) -> Any:
    """One term; a full stop after it may be left out.

    quotes_are_binaries: "…" is a binary (a Python str) as in Elixir and Python, and ~c"…" the charlist.
    """
    reader = _Reader(source, None, quotes_are_binaries=quotes_are_binaries)
    term = reader.term()
    if reader.token.kind == "stop":
        reader.advance()
    reader.expect("end", "nothing more after the term")
    return term


class _Reader:
    def __init__(self, source: str, file: str | None, *, quotes_are_binaries: bool) -> None:
        if len(source) > MAX_TEXT:
            raise BeamishError(f"{file or 'the text'} has {len(source)} characters; {MAX_TEXT} is the limit")
        self.scanner = Scanner(source, file)
        self.quotes_are_binaries = quotes_are_binaries
        self.nesting = 0
        self.left_off = ""
        self.token = self.scanner.next()

    def advance(self) -> Token:
        """Step to the next token; gives the one left behind."""
        passed = self.token
        self.token = self.scanner.next()
        return passed

    def fail(self, message: str, token: Token | None = None) -> TermSyntaxError:
        token = token or self.token
        return self.scanner.error(message, token.offset)

    def expect(self, kind: str, wanted: str) -> Token:
        if self.token.kind != kind:
            raise self.fail(f"expected {wanted}, found {self.token.shown}")
        return self.advance() if kind != "end" else self.token

    def take(self, kind: str) -> bool:
        if self.token.kind == kind:
            self.advance()
            return True
        return False

    def term(self) -> Any:
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            raise self.fail(f"nested deeper than {MAX_NESTING}")
        token = self.advance()
        read: Callable[[Token], Any] | None = getattr(self, f"read_{token.name}", None)
        if read is None:
            raise self.fail(f"expected a term, found {token.shown}", token)
        value = read(token)
        self.nesting -= 1
        return value

    def read_atom(self, token: Token) -> Any:
        if token.value == "fun" and not token.quoted:
            return self.export_fun(token)
        return atom(token.value)

    def read_number(self, token: Token) -> int | float:
        number: int | float = token.value
        return number

    def read_plus(self, token: Token) -> int | float:
        number: int | float = self.expect("number", "a number after the sign").value
        return number

    def read_minus(self, token: Token) -> int | float:
        number: int | float = self.expect("number", "a number after the sign").value
        return -number

    def read_string(self, token: Token) -> Any:
        content = self.adjacent(token)
        return content if self.quotes_are_binaries else Charlist(content)

    def read_charlist(self, token: Token) -> Charlist:
        return Charlist(token.value)

    def read_sigil(self, token: Token) -> bytes:
        """~"…" of OTP 27."""
        return str(token.value).encode()

    def adjacent(self, token: Token) -> str:
        """Strings that follow each other are one."""
        content: str = token.value
        while self.token.kind == "string":
            content += self.advance().value
        return content

    def read_open_brace(self, token: Token) -> tuple[Any, ...]:
        return tuple(self.until("}", token))

    def read_open_bracket(self, token: Token) -> Any:
        items = self.until("]", token, bar=True)
        if self.left_off != "|":
            return items
        tail = self.term()
        self.close("]", token)
        if isinstance(tail, list):
            return items + tail
        if isinstance(tail, Charlist):
            return items + [ord(character) for character in tail]
        if isinstance(tail, ImproperList):
            return ImproperList((*items, *tail.elements), tail.tail)
        return ImproperList(tuple(items), tail)

    def until(self, closing: str, opening: Token, *, bar: bool = False) -> list[Any]:
        """Terms between commas up to the closing bracket, or a bar; `left_off` says which of them it was."""
        items: list[Any] = []
        self.left_off = closing
        if self.take(closing):
            return items
        while True:
            items.append(self.term())
            if self.take(","):
                continue
            self.left_off = "|" if bar and self.take("|") else closing
            if self.left_off == closing:
                self.close(closing, opening)
            return items

    def close(self, closing: str, opening: Token) -> None:
        if not self.take(closing):
            line, column = self.scanner.place(opening.offset)
            raise self.fail(
                f"expected , or {closing} (the {opening.text} of line {line}, column {column}),"
                f" found {self.token.shown}"
            )

    def read_hash(self, token: Token) -> Any:
        self.expect("{", "{ after # (a map; records cannot be read)")
        pairs: list[tuple[Any, Any]] = []
        while not self.take("}"):
            if pairs:
                self.close_or_comma(token)
                if self.token.kind == "}":
                    raise self.fail("expected a key after the comma, found }")
            key = self.term()
            self.expect("=>", "=> after the key")
            pairs.append((key, self.term()))
            if self.token.kind not in (",", "}"):
                self.close("}", token)
        return make_map(pairs)

    def close_or_comma(self, opening: Token) -> None:
        if not self.take(","):
            self.close("}", opening)

    def export_fun(self, token: Token) -> ExportFun:
        module = self.expect("atom", "fun Module:Function/Arity").value
        self.expect(":", "fun Module:Function/Arity")
        function = self.expect("atom", "fun Module:Function/Arity").value
        self.expect("/", "fun Module:Function/Arity")
        arity = self.expect("number", "fun Module:Function/Arity")
        if not isinstance(arity.value, int) or arity.value > 255:
            raise self.fail("an arity is 0 to 255", arity)
        return ExportFun(atom(module), atom(function), arity.value)

    def read_open_binary(self, token: Token) -> bytes | BitString:
        bits, value = 0, 0
        chunks: list[bytes] = []  # whole bytes read so far; value holds `bits` further bits
        if not self.take(">>"):
            while True:
                segment, width = self.segment()
                if bits == 0 and width % 8 == 0:
                    chunks.append(segment.to_bytes(width // 8, "big"))
                else:
                    value, bits = value << width | segment, bits + width
                    chunks.append((value >> (bits % 8)).to_bytes(bits // 8, "big"))
                    bits %= 8
                    value &= (1 << bits) - 1
                if self.take(","):
                    continue
                self.close(">>", token)
                break
        data = b"".join(chunks)
        return BitString(data + bytes([value << (8 - bits)]), bits) if bits else data

    def segment(self) -> tuple[int, int]:
        """One segment of a binary: its value and its width in bits."""
        token = self.advance()
        sign = -1 if token.kind == "-" else 1
        if token.kind == "-":
            token = self.expect("number", "a number after the sign")
        if token.kind == "string":
            content = self.adjacent(token)
            wide = self.take("/")
            if wide and self.expect("atom", "utf8").value != "utf8":
                raise self.fail("only the type utf8 is known for strings in binaries")
            try:
                data = content.encode("utf-8" if wide else "latin-1")
            except UnicodeEncodeError:
                raise self.fail('a character above 255 in <<"…">> needs /utf8', token) from None
            return int.from_bytes(data, "big"), 8 * len(data)
        if token.kind != "number" or not isinstance(token.value, int):
            raise self.fail(f"expected an integer or a string in a binary, found {token.shown}", token)
        width = 8
        if self.take(":"):
            size = self.expect("number", "a size in bits")
            width = size.value
            if not isinstance(width, int) or width > _MAX_SEGMENT_BITS:
                raise self.fail(f"a size is 0 to {_MAX_SEGMENT_BITS} bits", size)
        return sign * token.value & ((1 << width) - 1), width


def make_map(pairs: list[tuple[Any, Any]]) -> Any:
    """A dict, or a TermMap where a dict would merge keys (1, 1.0, True) or cannot hold them. Later pairs win."""
    distinct = list({identity(key): (key, value) for key, value in pairs}.values())
    try:
        made = dict(distinct)
    except TypeError:
        return TermMap(distinct)
    return made if len(made) == len(distinct) else TermMap(distinct)
