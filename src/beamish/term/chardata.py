"""Chardata: the shapes in which Erlang and Elixir hand text around.

    chardata ::= binary | charlist | [code point | binary | chardata, … | binary]

A binary is UTF-8 (or Latin-1 if so said), a charlist is a list of code points, and both nest to any depth. A character
may be cut between neighbouring binaries. `str` counts as text that is already decoded.

Source  STDLIB, module unicode, characters_to_list/2 (checked against OTP 25).
"""

from __future__ import annotations

from typing import Any, Literal

from beamish.errors import BeamishError

Encoding = Literal["unicode", "latin1"]

MAX_CHARACTERS = 64 * 1024 * 1024
MAX_DEPTH = 10_000


class ChardataError(BeamishError, ValueError):
    """Something that is not chardata, or not in the encoding it was said to be in.

    so_far: the text before the fault; fault: "incomplete" (ends inside a character), "error" (no such character),
    "badarg" (not chardata at all) or "limit".
    """

    def __init__(self, message: str, so_far: str, fault: str) -> None:
        super().__init__(message)
        self.so_far = so_far
        self.fault = fault


def text(chardata: Any, encoding: Encoding = "unicode", *, lenient: bool = False, max_characters: int = MAX_CHARACTERS) -> str:
    """Read any chardata as a str.

    encoding says what the binaries in it hold, and bounds the code points (255 in latin1); with lenient a binary that
    is not UTF-8 is read as Latin-1, as io_lib's ~ts does. Raises ChardataError.
    """
    if isinstance(chardata, str):
        return str(chardata)
    reader = _Reader(encoding, lenient, max_characters)
    if isinstance(chardata, bytes | bytearray | memoryview):
        reader.binary(bytes(chardata))
        return reader.finish()
    tail = getattr(chardata, "elements", None)
    if not isinstance(chardata, list) and tail is None:
        raise ChardataError(f"text is a str, bytes, or a list of both and of code points; this is {_shown(chardata)}", "", "badarg")
    _walk(chardata, reader)
    return reader.finish()


def _walk(chardata: Any, reader: _Reader) -> None:
    """Visit a nested list in order, with its own stack: depth costs no Python frames."""
    stack: list[Any] = [iter((chardata,))]
    while stack:
        for item in stack[-1]:
            if isinstance(item, int) and not isinstance(item, bool):
                reader.code_point(item)
            elif isinstance(item, str):
                reader.decoded(item)
            elif isinstance(item, bytes | bytearray | memoryview):
                reader.binary(bytes(item))
            elif isinstance(item, list):
                stack.append(iter(item))
                break
            elif getattr(item, "elements", None) is not None:
                if isinstance(item.tail, int):  # only a binary may end an improper list of characters
                    raise ChardataError(
                        f"a list of characters ends in a list or a binary, not in {item.tail!r}",
                        reader.so_far(),
                        "badarg",
                    )
                stack.append(iter((*item.elements, item.tail)))
                break
            else:
                raise ChardataError(f"{_shown(item)} is not a character", reader.so_far(), "badarg")
        else:
            stack.pop()
            continue
        if len(stack) > MAX_DEPTH:
            raise ChardataError(f"text nested deeper than {MAX_DEPTH} lists", reader.so_far(), "limit")


class _Reader:
    """Collects pieces; neighbouring binaries are decoded together."""

    def __init__(self, encoding: Encoding, lenient: bool, max_characters: int) -> None:
        self.encoding = encoding
        self.lenient = lenient
        self.highest = 255 if encoding == "latin1" else 0x10FFFF
        self.left = max_characters
        self.limit = max_characters
        self.pieces: list[str] = []
        self.pending: list[bytes] = []

    def so_far(self) -> str:
        return "".join(self.pieces)

    def code_point(self, number: int) -> None:
        if not 0 <= number <= self.highest or 0xD800 <= number <= 0xDFFF:
            self.flush()
            raise ChardataError(f"there is no character {number} in {self.encoding}", self.so_far(), "error")
        self.decoded(chr(number))

    def decoded(self, piece: str) -> None:
        if self.pending:
            self.flush()
        self.left -= len(piece)
        if self.left < 0:
            raise ChardataError(f"text longer than {self.limit} characters", self.so_far(), "limit")
        self.pieces.append(piece)

    def binary(self, data: bytes) -> None:
        self.left -= len(data)
        if self.left < 0:
            raise ChardataError(f"text longer than {self.limit} characters", self.so_far(), "limit")
        self.pending.append(data)
        if self.lenient:
            self.flush()

    def flush(self, *, last: bool = False) -> None:
        if not self.pending:
            return
        data = b"".join(self.pending)
        self.pending.clear()
        if self.encoding == "latin1":
            self.pieces.append(data.decode("latin-1"))
            return
        try:
            self.pieces.append(data.decode("utf-8"))
        except UnicodeDecodeError as error:
            if self.lenient:
                self.pieces.append(data.decode("latin-1"))
                return
            self.pieces.append(data[: error.start].decode("utf-8"))
            fault = "incomplete" if last and error.reason == "unexpected end of data" else "error"
            raise ChardataError(
                f"byte {error.start} of a binary ({data[error.start]:#04x}) is not UTF-8: {error.reason}",
                self.so_far(),
                fault,
            ) from None

    def finish(self) -> str:
        self.flush(last=True)
        return "".join(self.pieces)


def _shown(value: Any) -> str:
    shown = repr(value)
    return f"{type(value).__name__} {shown if len(shown) <= 60 else shown[:57] + '...'}"
