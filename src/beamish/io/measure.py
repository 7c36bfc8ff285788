"""Terms measured for printing: what every part says and how long that is on one line.

Both of io_lib's forms come from here: `write` (~w) joins the parts on one line, `beamish.io.pretty` (~p) breaks them
over lines. A depth limits both as ~W and ~P do: each level and each further element costs one, "..." stands for the
rest.

Source  STDLIB, io_lib:write/2 and io:format/2 (behaviour compared with OTP 25).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

from beamish.io.term_order import sorted_items
from beamish.io.written import bitstring_bits, quoted, write_atom, write_bytes, write_float, write_identity
from beamish.term import Atom, BitString, Charlist, ImproperList
from beamish.term.structs import to_map_of

MAX_NESTING = 120  # deeper terms print "..."; printing is recursive

Kind = Literal["text", "bytes", "list", "tuple", "map", "pair"]

_CONTROLS = frozenset("\n\r\t\v\b\f\x1b")
_CHARACTERS_A_LEVEL = 4  # of a printable binary


@dataclass(slots=True, frozen=True)
class Style:
    """unicode: the `t` modifier; strings: show printable lists and binaries as text; printable_unicode: what counts as
    printable under `t` (OTP: the +pc flag); own_node: whose pids are local; quote_binaries: printable binaries as "…"
    and charlists as ~c"…", as Elixir writes them."""

    unicode: bool = False
    strings: bool = True
    printable_unicode: bool = True
    own_node: Atom | None = None
    quote_binaries: bool = False


@dataclass(slots=True, eq=False)
class Piece:
    """A measured term. Leaves ("text", "bytes") have text; the rest have parts, and `tail` after them: the end of an
    improper list, or DOTS where the depth ran out."""

    kind: Kind
    length: int
    text: str = ""
    parts: list[Piece] | None = None
    tail: Piece | None = None
    tagged: bool = False

    @property
    def leaf(self) -> bool:
        """May stand behind others on a line. For a pair: both sides may."""
        if self.kind == "pair":
            key, value = self.sides
            return key.leaf and value.leaf
        return self.kind == "text"

    @property
    def sides(self) -> tuple[Piece, Piece]:
        """Key and value of a pair."""
        assert self.parts is not None
        key, value = self.parts
        return key, value


DOTS = Piece("text", 3, "...")


def one_line(piece: Piece) -> str:
    """The piece without line breaks."""
    return "".join(_written(piece))


def write(term: Any, depth: int = -1, style: Style | None = None) -> str:
    """A term as ~w (depth -1) and ~W write it: one line, no strings."""
    style = style or Style()
    plain = Style(style.unicode, False, style.printable_unicode, style.own_node)
    return "..." if depth == 0 else one_line(measure(term, depth, plain))


def measure(term: Any, depth: int, style: Style, nesting: int = 0) -> Piece:
    """Measure a term. depth: -1 for all of it, else at least 1."""
    if type(term) is Atom:
        return _leaf(write_atom(term.text, unicode=style.unicode))
    if term is True or term is False or term is None:
        return _leaf({True: "true", False: "false", None: "nil"}[term])
    if isinstance(term, int):
        return _leaf(str(term) if -(10**18) < term < 10**18 else _long_integer(term))
    if isinstance(term, Charlist):
        return _list([ord(character) for character in term], None, depth, style, nesting)
    if isinstance(term, str):
        return _binary(term.encode("utf-8", "surrogatepass"), depth, style)
    if isinstance(term, bytes | BitString):
        return _binary(term, depth, style)
    if isinstance(term, float):
        return _leaf(write_float(term))
    if isinstance(term, list):
        return _list(term, None, depth, style, nesting)
    if isinstance(term, tuple):
        return _tuple(term, depth, style, nesting)
    if isinstance(term, Mapping):
        return _map(term, depth, style, nesting)
    if isinstance(term, ImproperList):
        return _list(list(term.elements), term, depth, style, nesting)
    to_map = to_map_of(type(term))
    if to_map is not None:
        return _map(to_map(term), depth, style, nesting)
    return _leaf(write_identity(term, style.own_node, unicode=style.unicode))


def _long_integer(number: int) -> str:
    """Decimal digits without CPython's limit on them (sys.set_int_max_str_digits)."""
    sign, number, groups = ("-" if number < 0 else ""), abs(number), []
    while number:
        number, group = divmod(number, 10**4000)
        groups.append(group)
    first, *rest = reversed(groups)
    return sign + str(first) + "".join(str(group).rjust(4000, "0") for group in rest)


def _leaf(text: str) -> Piece:
    return Piece("text", len(text), text)


def _list(items: list[Any], improper: ImproperList | None, depth: int, style: Style, nesting: int) -> Piece:
    if not items:
        return _leaf("[]")
    if improper is None and style.strings and depth != 1 and _printable(items, style):
        sigil = "~c" if style.quote_binaries else ""
        return _leaf(sigil + quoted("".join(map(chr, items)), '"', unicode=True))
    if nesting >= MAX_NESTING:
        return _leaf("[...]")
    parts, left = _measured(items, depth, style, nesting)
    if left == 0:
        tail: Piece | None = DOTS
    elif improper is None:
        tail = None
    else:
        tail = DOTS if left == 1 else measure(improper.tail, left - 1, style, nesting + 1)
    return Piece("list", _total(parts, tail, 2), "", parts, tail)


def _tuple(items: tuple[Any, ...], depth: int, style: Style, nesting: int) -> Piece:
    if not items:
        return _leaf("{}")
    if depth == 1 or nesting >= MAX_NESTING:
        return _leaf("{...}")
    parts, left = _measured(items, depth, style, nesting)
    tail = DOTS if left == 0 else None
    return Piece("tuple", _total(parts, tail, 2), "", parts, tail, len(items) > 1 and _is_atom(items[0]))


def _map(mapping: Mapping[Any, Any], depth: int, style: Style, nesting: int) -> Piece:
    if not mapping:
        return _leaf("#{}")
    if depth == 1 or nesting >= MAX_NESTING:
        return _leaf("#{...}")
    parts: list[Piece] = []
    left = depth
    for key, value in sorted_items(mapping):
        if left == 1:
            return Piece("map", _total(parts, DOTS, 3), "", parts, DOTS)
        sides = [measure(key, depth - 1, style, nesting + 1), measure(value, depth - 1, style, nesting + 1)]
        parts.append(Piece("pair", sides[0].length + 4 + sides[1].length, "", sides))
        left -= 1
    return Piece("map", _total(parts, None, 3), "", parts)


def _measured(items: Iterable[Any], depth: int, style: Style, nesting: int) -> tuple[list[Piece], int]:
    """Elements of a list or tuple, and the depth left after them: 0 where elements had to be left out."""
    parts: list[Piece] = []
    left = depth
    for item in items:
        if left == 1:
            return parts, 0
        left -= 1
        parts.append(measure(item, left, style, nesting + 1))
    return parts, left


def _total(parts: list[Piece], tail: Piece | None, brackets: int) -> int:
    count = len(parts) + (tail is not None)
    return brackets + sum(part.length for part in parts) + (tail.length if tail else 0) + max(0, count - 1)


def _is_atom(term: Any) -> bool:
    return type(term) is Atom or term is True or term is False or term is None


def _printable(items: list[Any], style: Style) -> bool:
    wide = style.unicode and style.printable_unicode
    return all(type(item) is int and 0 <= item <= 0x10FFFF and _shows(chr(item), wide) for item in items)


def _shows(character: str, wide: bool) -> bool:
    """Is it printable? Source: STDLIB, io_lib:printable_latin1_list/1 and printable_unicode_list/1."""
    if " " <= character <= "~" or character in _CONTROLS:
        return True
    code = ord(character)
    if not wide:
        return 0xA0 <= code <= 0xFF
    return 0xA0 <= code < 0xD800 or 0xDFFF < code < 0xFFFE or code > 0xFFFF


def _binary(term: bytes | BitString, depth: int, style: Style) -> Piece:
    data, bits = bitstring_bits(term)
    if not data:
        return _leaf("<<>>")
    if depth == 1:
        return _leaf("<<...>>")
    if style.strings and bits == 8:
        shown = _binary_as_text(data, depth - 1 if depth > 0 else -1, style)
        if shown is not None:
            if style.quote_binaries and shown.endswith('"' if data.isascii() else '"/utf8'):
                return _leaf(shown.removesuffix("/utf8"))
            return _leaf(f"<<{shown}>>")
    text = write_bytes(data, bits, depth - 1 if depth > 0 else -1)
    return Piece("bytes", len(text), text)


def _binary_as_text(data: bytes, levels: int, style: Style) -> str | None:
    """The inside of <<"…">>, or None if the bytes are not printable text. levels: what the depth leaves, or -1."""
    limit = len(data) if levels < 0 else min(_CHARACTERS_A_LEVEL * levels, len(data))
    content: str | None = None
    if style.unicode:
        try:
            content = data.decode("utf-8")
        except UnicodeDecodeError:
            content = None
    wide = content is not None and style.printable_unicode
    characters = data.decode("latin-1") if content is None else content
    count = 0
    while count < limit and count < len(characters) and _shows(characters[count], wide):
        count += 1
    whole = count == len(characters)
    if not whole and not 0 < levels <= count:
        return None
    prefix = characters[:count]
    plain = content is None or prefix.isascii()
    return quoted(prefix, '"', unicode=True) + ("" if plain else "/utf8") + ("" if whole else "...")


def _written(piece: Piece) -> Iterator[str]:
    if piece.parts is None:
        yield piece.text
        return
    if piece.kind == "pair":
        key, value = piece.sides
        yield from chain(_written(key), (" => ",), _written(value))
        return
    opening, closing = BRACKETS[piece.kind]
    yield opening
    for number, part in enumerate(piece.parts):
        if number:
            yield ","
        yield from _written(part)
    if piece.tail is not None:
        if piece.parts:
            yield "|" if piece.kind == "list" else ","
        yield piece.tail.text if piece.tail.parts is None else one_line(piece.tail)
    yield closing


BRACKETS = {"list": ("[", "]"), "tuple": ("{", "}"), "map": ("#{", "}")}
