"""How Erlang writes atomic terms: quoting, escapes, the shortest float, binaries, identities."""

from __future__ import annotations

from typing import Any

from beamish.term import Atom, BitString, ExportFun, Fun, Pid, Port, Ref

_RESERVED_WORDS = """
    after and andalso band begin bnot bor bsl bsr bxor case catch cond div end fun if let not of or orelse receive rem
    try when xor
"""
RESERVED = frozenset(
    _RESERVED_WORDS.split()
)  # Erlang Reference Manual, Reserved Words (`maybe` and `else` only where that feature is on)

_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\b": "\\b", "\f": "\\f", "\x1b": "\\e", "\x7f": "\\d"}
_LATIN1_LOWER = frozenset(chr(code) for code in range(0xDF, 0x100) if code != 0xF7)
_LATIN1_UPPER = frozenset(chr(code) for code in range(0xC0, 0xDF) if code != 0xD7)
_FIRST = frozenset("abcdefghijklmnopqrstuvwxyz") | _LATIN1_LOWER
_LATER = _FIRST | _LATIN1_UPPER | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@")
_LONGEST_FOREIGN = 200


def write_atom(name: str, *, unicode: bool) -> str:
    """An atom as Erlang source, quoted where needed; without unicode what is above Latin-1 is escaped."""
    if name and name[0] in _FIRST and name not in RESERVED and all(character in _LATER for character in name):
        return name
    return quoted(name, "'", unicode=unicode)


def quoted(content: str, quote: str, *, unicode: bool) -> str:
    """Text between quotes with Erlang's escapes."""
    pieces = [quote]
    for character in content:
        code = ord(character)
        if character == quote or character == "\\":
            pieces.append("\\" + character)
        elif " " <= character <= "~":
            pieces.append(character)
        elif character in _ESCAPES:
            pieces.append(_ESCAPES[character])
        elif code < 0xA0:
            pieces.append(f"\\{code:03o}")
        elif code < 0x100 or unicode:
            pieces.append(character)
        else:
            pieces.append(f"\\x{{{code:X}}}")
    pieces.append(quote)
    return "".join(pieces)


def write_float(number: float) -> str:
    """The shortest text that reads back as the same float, in the form Erlang chooses.

    Decimal form unless the scientific one is shorter, and scientific from 2^53 on, where digits would be invented.
    """
    if number != number or number in (float("inf"), float("-inf")):
        return repr(number)  # not a term; shown for logs
    sign = "-" if str(number)[0] == "-" else ""
    digits, exponent = _digits_of(abs(number))
    scientific = f"{digits[0]}.{digits[1:] or '0'}e{exponent}"
    if abs(number) >= 2.0**53:
        return sign + scientific
    point = exponent + 1
    if point <= 0:
        decimal = "0." + "0" * -point + digits
    elif point >= len(digits):
        decimal = digits + "0" * (point - len(digits)) + ".0"
    else:
        decimal = digits[:point] + "." + digits[point:]
    return sign + (scientific if len(scientific) < len(decimal) else decimal)


def _digits_of(number: float) -> tuple[str, int]:
    """The shortest round-trip digits, without zeros at either end, and the exponent of the first one."""
    mantissa, _, power = f"{number!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = whole + fraction
    leading = len(digits) - len(digits.lstrip("0"))
    exponent = len(whole) - 1 - leading + int(power or 0)
    stripped = digits.strip("0")
    return (stripped, exponent) if stripped else ("0", 0)


def write_bytes(data: bytes, bits: int, shown: int) -> str:
    """A binary by its numbers, <<1,2,3>>; bits (1..8) are used of the last byte, shown limits the items (-1: all)."""
    if not data:
        return "<<>>"
    cut = 0 <= shown < len(data)
    numbers = [str(byte) for byte in (data[:shown] if cut else data)]
    if cut:
        numbers.append("...")
    elif bits != 8:
        numbers[-1] = f"{data[-1] >> (8 - bits)}:{bits}"
    return "<<" + ",".join(numbers) + ">>"


def write_identity(term: Any, own_node: Atom | None, *, unicode: bool) -> str:
    """Pids, ports, references, funs, and what is no term at all.

    A node writes its own as <0.id.serial>; those of another node carry its name instead of Erlang's table index,
    which means nothing to a reader.
    """
    if isinstance(term, Pid):
        return f"<{_place(term.node, own_node)}.{term.id}.{term.serial}>"
    if isinstance(term, Ref):
        words = ".".join(str(word) for word in reversed(term.words))
        return f"#Ref<{_place(term.node, own_node)}.{words}>"
    if isinstance(term, Port):
        return f"#Port<{_place(term.node, own_node)}.{term.id}>"
    if isinstance(term, ExportFun):
        module = write_atom(term.module.text, unicode=unicode)
        return f"fun {module}:{write_atom(term.function.text, unicode=unicode)}/{term.arity}"
    if isinstance(term, Fun):
        return f"#Fun<{write_atom(term.module.text, unicode=unicode)}.{term.old_index}.{term.old_uniq}>"
    shown = repr(term)
    if len(shown) > _LONGEST_FOREIGN:
        shown = shown[: _LONGEST_FOREIGN - 3] + "..."
    return f"#Python<{shown}>"


def bitstring_bits(term: bytes | BitString) -> tuple[bytes, int]:
    """Data, and how many bits of its last byte count (8 for a binary)."""
    return (term.data, term.bits) if isinstance(term, BitString) else (term, 8)


def _place(node: Atom, own_node: Atom | None) -> str:
    return "0" if node is own_node else node.text
