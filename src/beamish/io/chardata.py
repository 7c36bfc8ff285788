"""Text as it comes through io requests: `text` (see `beamish.term.chardata`) and a decoder for text in pieces."""

from __future__ import annotations

from beamish.term.chardata import ChardataError, Encoding, text

__all__ = ["ChardataError", "Encoding", "PieceDecoder", "text"]


class PieceDecoder:
    """Turns bytes that arrive in arbitrary pieces into text; a character may be cut between two pieces.

    Bytes that are not in the encoding become U+FFFD: a terminal must show something. Holds at most three bytes.
    """

    def __init__(self, encoding: Encoding = "unicode") -> None:
        self._codec = "utf-8" if encoding == "unicode" else "latin-1"
        self._held = b""

    def feed(self, data: bytes, *, final: bool = False) -> str:
        """The text that is complete so far; final=True ends the stream and flushes what is held."""
        data = self._held + data
        cut = len(data) if final else len(data) - _cut_character(data, self._codec)
        self._held = data[cut:]
        return data[:cut].decode(self._codec, "replace")


def _cut_character(data: bytes, codec: str) -> int:
    """How many bytes at the end are the start of a UTF-8 character that goes on in the next piece."""
    if codec != "utf-8":
        return 0
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        needed = 2 if byte & 0xE0 == 0xC0 else 3 if byte & 0xF0 == 0xE0 else 4 if byte & 0xF8 == 0xF0 else 1
        return back if needed > back else 0
    return 0
