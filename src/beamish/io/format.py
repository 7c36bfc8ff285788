"""io_lib:format/2: Erlang's format strings.

    ~F.P.PadModC     F width (negative: left), P precision, Pad one character, Mod any of t l k, C the control:

    ~w ~W   term on one line            ~p ~P   term over lines            (W, P: one more argument, the depth)
    ~s      text                        ~c      character                  ~i      skips an argument
    ~b ~B   integer in base P           ~x ~X   the same behind a prefix   ~# ~+   the same as base#digits
    ~e ~f ~g  floats                    ~n      new line                   ~~      a tilde

`*` for F, P or Pad takes the value from the arguments. Whatever is not so raises FormatError, as io_lib raises badarg.

Source  STDLIB, io:format/2 (behaviour compared with OTP 25).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from beamish.errors import BeamishError
from beamish.io.measure import Style, write
from beamish.io.pretty import DEFAULT_WIDTH, pretty
from beamish.io.written import quoted, write_float
from beamish.term import Atom, Charlist, ImproperList
from beamish.term.chardata import ChardataError, text

MAX_FIELD: Final = 1_000_000
"""Widest field, so that a peer's format string cannot claim all memory."""

_ARGUMENTS: Final = {"w": 1, "p": 1, "W": 2, "P": 2, "s": 1, "c": 1, "b": 1, "B": 1, "x": 2, "X": 2, "#": 1, "+": 1}
_ARGUMENTS.update({"e": 1, "f": 1, "g": 1, "i": 1, "n": 0, "~": 0})
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class FormatError(BeamishError, ValueError):
    """A format string and arguments that do not go together; says which control sequence, where, and why."""


@dataclass(slots=True, frozen=True)
class Control:
    """One control sequence with its arguments."""

    letter: str
    arguments: tuple[Any, ...] = ()
    width: int | None = None
    left: bool = False
    precision: int | None = None
    pad: str = " "
    unicode: bool = False
    strings: bool = True
    offset: int = field(default=0, compare=False)


def format(pattern: Any, arguments: Iterable[Any] = (), style: Style | None = None) -> str:
    """io_lib:format(Pattern, Arguments) as a str.

    pattern: chardata or an atom. style: printable range and own node; `t` and `l` come from the pattern.
    """
    out: list[str] = []
    column = 0
    for item in scan(pattern, arguments):
        shown = item if isinstance(item, str) else _shown(item, column, style or Style())
        out.append(shown)
        column = _column_after(shown, column)
    return "".join(out)


def scan(pattern: Any, arguments: Iterable[Any]) -> list[str | Control]:
    """Split a pattern into text and control sequences, each with its arguments."""
    source = _pattern_text(pattern)
    if isinstance(arguments, Charlist):
        arguments = [ord(character) for character in arguments]
    if not isinstance(arguments, list | tuple):
        raise FormatError(f"the arguments of a format are a list, not {type(arguments).__name__}")
    scanner = _Scanner(source, list(arguments))
    items: list[str | Control] = []
    while scanner.place < len(source):
        tilde = source.find("~", scanner.place)
        if tilde < 0:
            items.append(source[scanner.place :])
            break
        if tilde > scanner.place:
            items.append(source[scanner.place : tilde])
        scanner.place = tilde + 1
        items.append(scanner.control(tilde))
    if scanner.given:
        raise FormatError(f"{len(scanner.given)} arguments too many for the format {source!r}")
    return items


def _pattern_text(pattern: Any) -> str:
    if isinstance(pattern, bytes):
        return pattern.decode("latin-1") if not _is_utf8(pattern) else pattern.decode("utf-8")
    if isinstance(pattern, Atom) or pattern is None or isinstance(pattern, bool):
        return pattern.text if isinstance(pattern, Atom) else {True: "true", False: "false", None: "nil"}[pattern]
    try:
        return text(pattern)
    except ChardataError as error:
        raise FormatError(f"the format string is not text: {error}") from None


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


class _Scanner:
    def __init__(self, source: str, given: list[Any]) -> None:
        self.source = source
        self.given = given[::-1]  # consumed from the end
        self.place = 0
        self.offset = 0

    def fail(self, why: str) -> FormatError:
        return FormatError(f"{why}, at character {self.offset} of the format {self.source!r}")

    def argument(self) -> Any:
        if not self.given:
            raise self.fail("too few arguments")
        return self.given.pop()

    def next_is(self, character: str) -> bool:
        if self.source.startswith(character, self.place):
            self.place += len(character)
            return True
        return False

    def control(self, offset: int) -> Control:
        self.offset = offset
        left = self.next_is("-")
        width = self.number()
        if left and width is None:
            raise self.fail("'-' without a width")
        if width is not None:
            width = -width if left else width
            left, width = width < 0, abs(width)
        precision, pad = None, " "
        if self.next_is("."):
            precision = self.number()
            if precision is not None and precision < 0:
                raise self.fail(f"precision {precision}")
            if self.next_is("."):
                pad = self.pad()
        unicode, strings = False, True
        while self.place < len(self.source) and self.source[self.place] in "tlk":
            unicode = unicode or self.source[self.place] == "t"
            strings = strings and self.source[self.place] != "l"
            self.place += 1  # k asks for maps in order, which ours always are
        letter = self.source[self.place : self.place + 1]
        self.place += 1
        if letter not in _ARGUMENTS:
            raise self.fail(f"there is no control sequence ~{letter}" if letter else "a format ends inside a sequence")
        arguments = tuple([self.argument() for _ in range(_ARGUMENTS[letter])])
        return Control(letter, arguments, width, left, precision, pad, unicode, strings, offset)

    def number(self) -> int | None:
        """A number in the pattern, or for `*` from the arguments."""
        if self.next_is("*"):
            value = self.argument()
            if not isinstance(value, int) or isinstance(value, bool):
                raise self.fail(f"'*' needs an integer, not {value!r}")
        else:
            start = self.place
            while self.place < len(self.source) and self.source[self.place] in "0123456789":
                self.place += 1
            if start == self.place:
                return None
            value = int(self.source[start : min(self.place, start + 20)])
        if abs(value) > MAX_FIELD:
            raise self.fail(f"a field of {value} is wider than {MAX_FIELD}")
        return value

    def pad(self) -> str:
        if self.next_is("*"):
            value = self.argument()
            if not isinstance(value, int) or not 0 <= value <= 0x10FFFF:
                raise self.fail(f"'*' as padding needs a code point, not {value!r}")
            return chr(value)
        if self.place >= len(self.source):
            raise self.fail("a format ends inside a sequence")
        self.place += 1
        return self.source[self.place - 1]


def _column_after(shown: str, column: int) -> int:
    """Where the cursor is after some text, with tabs of eight."""
    line_start = shown.rfind("\n")
    if line_start >= 0:
        column, shown = 0, shown[line_start + 1 :]
    for number, part in enumerate(shown.split("\t")):
        if number:
            column = (column + 8) // 8 * 8
        column += len(part)
    return column


def _shown(control: Control, column: int, style: Style) -> str:
    letter = control.letter
    if letter in "wWpP":
        return _term(control, column, replace(style, unicode=control.unicode, strings=control.strings))
    if letter == "s":
        return _string(control)
    if letter in "bBxX#+":
        return _integer(control)
    if letter in "efg":
        return _float(control)
    if letter == "c":
        return _character(control)
    if letter == "~":
        return _repeated("~", control)
    if letter == "n":
        if control.left:
            raise _bad(control, "new lines have no left side")
        return "\n" * (1 if control.width is None else control.width)
    return ""  # ~i


def _bad(control: Control, why: str) -> FormatError:
    return FormatError(f"~{control.letter} at character {control.offset} of the format: {why}")


def _term(control: Control, column: int, style: Style) -> str:
    term, depth = control.arguments[0], -1
    if control.letter in "WP":
        depth = control.arguments[1]
        if not isinstance(depth, int) or isinstance(depth, bool):
            raise _bad(control, f"a depth is an integer, not {depth!r}")
    if control.letter in "wW":
        return _in_field(write(term, depth, style), control, control.width, control.precision)
    if control.left:
        raise _bad(control, "the width of ~p is that of the line and cannot be negative")
    width = DEFAULT_WIDTH if control.width is None else control.width
    start = column + 1 if control.precision is None else control.precision
    return pretty(term, depth, style, column=start, width=width)


def _in_field(shown: str, control: Control, width: int | None, precision: int | None) -> str:
    """Something that must not be cut: in a field too small for it there are stars."""
    if width is None:
        width = precision
    if width is None:
        return shown
    room = min(len(shown), width if precision is None else min(precision, width))
    if len(shown) > room:
        shown = "*" * room
    return _adjusted(shown, width, control)


def _adjusted(shown: str, width: int, control: Control) -> str:
    padding = control.pad * (width - len(shown))
    return shown + padding if control.left else padding + shown


def _string(control: Control) -> str:
    shown = _string_text(control)
    width, precision = control.width, control.precision
    if precision is None:
        if width is None:
            return shown
        return _adjusted(shown[:width], width, control)
    shown = shown[:precision]
    shown += control.pad * (precision - len(shown))
    if width is None:
        return shown
    if width < precision:
        raise _bad(control, f"precision {precision} is more than the width {width}")
    if width == precision:  # nothing is padded twice: the text goes where the field says
        return _adjusted(_string_text(control)[:width], width, control)
    return _adjusted(shown, width, control)


def _string_text(control: Control) -> str:
    term = control.arguments[0]
    try:
        if isinstance(term, Atom) or term is None or isinstance(term, bool):
            shown = _pattern_text(term)
            if not control.unicode:
                shown.encode("latin-1")
            return shown
        if isinstance(term, str) and not isinstance(term, Charlist):
            return term if control.unicode else term.encode().decode("latin-1")
        if not isinstance(term, bytes | list | ImproperList | Charlist):
            raise _bad(control, f"{term!r} is not text")
        return text(term, lenient=True) if control.unicode else text(term, "latin1")
    except ChardataError as error:
        raise _bad(control, str(error)) from None
    except UnicodeEncodeError:
        raise _bad(control, f"{term!r} is not Latin-1; ~ts takes it") from None


def _character(control: Control) -> str:
    code = control.arguments[0]
    if not isinstance(code, int) or isinstance(code, bool):
        raise _bad(control, f"a character is a code point, not {code!r}")
    if not control.unicode:
        code &= 255
    if not 0 <= code <= 0x10FFFF:
        raise _bad(control, f"there is no character {code}")
    return _repeated(chr(code), control)


def _repeated(character: str, control: Control) -> str:
    width, precision = control.width, control.precision
    if precision is None or width is None:
        count = precision if width is None else width
        return character * (1 if count is None else count)
    if width < precision:
        raise _bad(control, f"precision {precision} is more than the width {width}")
    return _adjusted(character * precision, width, control)


def _integer(control: Control) -> str:
    number, base = control.arguments[0], 10 if control.precision is None else control.precision
    if not isinstance(number, int) or isinstance(number, bool):
        raise _bad(control, f"{number!r} is not an integer")
    if not 2 <= base <= 36:
        raise _bad(control, f"a base is 2 to 36, not {base}")
    digits = in_base(abs(number), base)
    if control.letter in "bx+":
        digits = digits.lower()
    prefix = f"{base}#" if control.letter in "#+" else ""
    if control.letter in "xX":
        prefix = _prefix(control)
    sign = "-" if number < 0 else ""
    return _in_field(sign + prefix + digits, control, control.width, None)


def _prefix(control: Control) -> str:
    prefix = control.arguments[1]
    if isinstance(prefix, list | Charlist):
        try:
            return text(prefix)
        except ChardataError:
            pass
    elif isinstance(prefix, Atom) or prefix is None or isinstance(prefix, bool):
        return _pattern_text(prefix)
    raise _bad(control, f"a prefix is an atom or a list of characters, not {prefix!r}")


def in_base(number: int, base: int) -> str:
    """Digits of a number >= 0 in base 2 to 36, upper case."""
    if base == 16:
        return f"{number:X}"
    if base == 2:
        return f"{number:b}"
    if base == 10:
        return write(number)
    digits = []
    while number:
        number, digit = divmod(number, base)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits)) or "0"


def _float(control: Control) -> str:
    number = control.arguments[0]
    if not isinstance(number, float):
        raise _bad(control, f"{number!r} is not a float")
    if number != number or number in (float("inf"), float("-inf")):
        raise _bad(control, f"{number!r} is not an Erlang float")
    precision = 6 if control.precision is None else control.precision
    form = control.letter
    if form == "g":
        form, precision = _general_form(abs(number), precision)
    if precision < (2 if form == "e" else 1):
        raise _bad(control, f"precision {precision} is too small")
    shown = _scientific(number, precision) if form == "e" else _fixed(number, precision)
    return _in_field(shown, control, control.width, None if control.width is None else control.width)


def _general_form(magnitude: float, precision: int) -> tuple[str, int]:
    """~g: fixed from 0.1 to 10000 if the precision (significant digits) reaches that far, else scientific."""
    if precision < 1:
        return "f", 0
    exponent = next((power for power, limit in _GENERAL if magnitude < limit), None)
    if exponent is not None and ((precision <= 1 and exponent == -1) or (precision - 1 > exponent >= -1)):
        return "f", precision - 1 - exponent
    return "e", max(2, precision)


_GENERAL: Final = ((-2, 0.1), (-1, 1.0), (0, 10.0), (1, 100.0), (2, 1000.0), (3, 10000.0))


def _decimal(number: float) -> Decimal:
    """The number rounded to 21 significant digits, which is what OTP rounds from."""
    return Decimal(f"{number:.20e}")


def _fixed(number: float, precision: int) -> str:
    value = _decimal(number)
    rounded = _round(value, -precision)
    sign = "-" if value.is_signed() else ""
    return sign + f"{rounded.copy_abs():f}"


def _scientific(number: float, precision: int) -> str:
    value = _decimal(number)
    sign = "-" if value.is_signed() else ""
    value = value.copy_abs()
    if value == 0:
        return f"{sign}0.{'0' * (precision - 1)}e+0"
    rounded = _round(value, value.adjusted() - precision + 1)
    exponent = rounded.adjusted()
    digits = "".join(map(str, rounded.as_tuple().digits))[:precision].ljust(precision, "0")
    return f"{sign}{digits[0]}.{digits[1:]}e{exponent:+d}"


def _round(value: Decimal, exponent: int) -> Decimal:
    """Half away from zero at the given power of ten, whatever the size."""
    from decimal import Context

    context = Context(prec=1200 + abs(exponent), rounding=ROUND_HALF_UP)
    return value.quantize(Decimal((0, (1,), exponent)), context=context)


__all__ = ["MAX_FIELD", "Control", "FormatError", "format", "in_base", "quoted", "scan", "write_float"]
