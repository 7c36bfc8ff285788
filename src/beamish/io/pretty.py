"""~p: terms broken over lines the way Erlang breaks them.

A term that fits its line stays on it. Otherwise elements go below each other, leaves sharing lines as long as they
fit; a tagged tuple's elements stand behind the tag, or under it with a fixed indentation if that would push them too
far right; a map's value that does not fit goes below its key.

Three indentations below a long tag are tried in turn: behind it, then 4, then 1 columns; the first two give up when
the text would start in the right half of the line.

Source  STDLIB, io:format/2, ~p (layout compared with OTP 25).
"""

from __future__ import annotations

from typing import Any

from beamish.io.measure import BRACKETS, DOTS, Piece, Style, measure, one_line

DEFAULT_WIDTH = 80
_BEHIND_THE_TAG = -1
_FEWEST_BYTES = 8


def pretty(
    term: Any, depth: int = -1, style: Style | None = None, *, column: int = 1, width: int = DEFAULT_WIDTH
) -> str:
    """A term as ~p and ~P print it. column: where it starts, from 1; width: of the line, 0 for one endless line."""
    if depth == 0:
        return "..."
    piece = measure(term, depth, style or Style())
    if width == 0 or piece.kind == "text" or piece.length < width - column:
        return one_line(piece)
    column = max(1, column)
    for below_tag, strict in ((_BEHIND_THE_TAG, True), (4, True), (1, False)):
        layout = _Layout(width, piece.length, below_tag, strict)
        try:
            layout.place(piece, column, 0, 0)
        except _TooFarRightError:
            continue
        return "".join(layout.out)
    raise AssertionError("the last layout never gives up")


class _TooFarRightError(Exception):
    pass


class _Layout:
    """One attempt. Throughout, `closers` is how many brackets follow directly, `used` the characters on this line."""

    def __init__(self, width: int, budget: int, below_tag: int, strict: bool) -> None:
        self.width = width
        self.budget = budget
        self.below_tag = below_tag
        self.strict = strict
        self.out: list[str] = []

    def fits(self, length: int, column: int, closers: int, used: int) -> bool:
        return length < self.width - column - closers and length + used + closers <= self.budget

    def fits_behind(self, length: int, column: int, closers: int, used: int) -> bool:
        """Does it fit behind a comma, with whatever follows?"""
        return self.fits(length + 1, column, max(1, closers), used)

    def new_line(self, column: int) -> None:
        self.out.append("\n" + " " * (column - 1))

    def place(self, piece: Piece, column: int, closers: int, used: int) -> None:
        if piece.kind == "text" or self.fits(piece.length, column, closers, used):
            self.out.append(one_line(piece))
        elif piece.kind == "bytes":
            self.place_bytes(piece.text, column + 2, closers, used)
        else:
            opening, closing = BRACKETS[piece.kind]
            self.out.append(opening)
            if piece.tagged:
                self.place_tagged(piece, column, closers, used + 1)
            elif piece.kind == "map":
                self.place_pairs(piece, column + 2, closers, used + 1)
            else:
                self.place_elements(piece, piece.parts or [], column + 1, closers, used + 1)
            self.out.append(closing)

    def place_tagged(self, piece: Piece, column: int, closers: int, used: int) -> None:
        tag, *rest = piece.parts or [DOTS]
        self.out.append(tag.text)
        step = tag.length + 2
        if 0 < self.below_tag < step:
            left = column + self.below_tag
            if self.strict and self.budget + left > self.width and left > self.width // 2:
                raise _TooFarRightError
            self.place_rest(piece, rest, left, column + step, closers, used + tag.length)
            return
        behind = column + step
        if self.strict and self.budget + behind >= self.width and behind >= self.width // 2:
            raise _TooFarRightError
        self.out.append(",")
        self.place_elements(piece, rest, behind, closers, used + tag.length + 1)

    def place_elements(self, piece: Piece, parts: list[Piece], left: int, closers: int, used: int) -> None:
        """The elements between brackets, the first one where we are."""
        if not parts:
            self.out.append(DOTS.text)
            return
        wide = self.place_element(parts[0], left, _closers_after(piece, parts, 0, closers), used)
        self.place_rest(piece, parts[1:], left, left + wide, closers, used + wide)

    def place_rest(self, piece: Piece, parts: list[Piece], left: int, column: int, closers: int, used: int) -> None:
        """Elements after the first: behind the one before if they are leaves and fit, else on a line of their own."""
        for number, part in enumerate(parts):
            after = _closers_after(piece, parts, number, closers)
            if part.leaf and self.fits_behind(part.length, column, after, used):
                self.out.append("," + part.text)
                column += part.length + 1
                used += part.length + 1
                continue
            self.out.append(",")
            self.new_line(left)
            used = self.place_element(part, left, after, 0)
            column = left + used
        if piece.tail is not None:
            self.place_tail(piece, piece.tail, left, column, closers, used)

    def place_tail(self, piece: Piece, tail: Piece, left: int, column: int, closers: int, used: int) -> None:
        bar = "|" if piece.kind == "list" else ","
        if tail is DOTS or (tail.leaf and self.fits(tail.length + 1, column, closers + 1, used)):
            self.out.append(bar + tail.text)
            return
        self.out.append(bar)
        self.new_line(left)
        self.place(tail, left, closers + 1, 0)

    def place_element(self, part: Piece, column: int, closers: int, used: int) -> int:
        """Place it and say how many columns it took; what is no leaf takes the whole line."""
        if part.leaf and self.fits(part.length, column, closers, used):
            self.out.append(part.text)
            return part.length
        self.place(part, column, closers, used)
        return self.width

    def place_pairs(self, piece: Piece, left: int, closers: int, used: int) -> None:
        parts = piece.parts or []
        used = self.place_pair(parts[0], left, _closers_after(piece, parts, 0, closers), used)
        column = left + used
        for number, pair in enumerate(parts[1:], 1):
            after = _closers_after(piece, parts, number, closers)
            if pair.leaf and self.fits_behind(pair.length, column, after, used):
                self.out.append("," + one_line(pair))
                column += pair.length + 1
                used += pair.length + 1
                continue
            self.out.append(",")
            self.new_line(left)
            used = self.place_pair(pair, left, after, 0)
            column = left + used
        if piece.tail is not None:
            self.out.append("," + piece.tail.text)

    def place_pair(self, pair: Piece, column: int, closers: int, used: int) -> int:
        if self.fits(pair.length, column, closers, used):
            self.out.append(one_line(pair))
            return pair.length if pair.leaf else self.width
        key, value = pair.sides
        self.place(key, column, closers, used)
        self.out.append(" =>")
        below = column + (self.below_tag if self.below_tag > 0 else 4)
        self.new_line(below)
        self.place(value, below, closers, 0)
        return self.width

    def place_bytes(self, text: str, column: int, closers: int, used: int) -> None:
        """The numbers of a binary, as many on a line as fit."""
        room = max(_FEWEST_BYTES, min(self.width - column, self.budget - 4 - used) - closers)
        left = room
        *numbers, last = text[2:-2].split(",")
        self.out.append("<<")
        for number in numbers:
            left -= len(number) + 1
            if left < 0:
                self.new_line(column)
                left = room - len(number) - 1
            self.out.append(number + ",")
        if len(last) > left:
            self.new_line(column)
        self.out.append(last + ">>")


def _closers_after(piece: Piece, parts: list[Piece], number: int, closers: int) -> int:
    """Brackets that follow directly after an element: none but after the last one."""
    return 0 if number + 1 < len(parts) else closers + 1
