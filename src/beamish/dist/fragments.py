"""Putting fragmented messages together again. Pure and bounded.

A message that was cut arrives as one first piece, which holds the frame's header and the whole control term, and pieces
that continue the payload. All carry the message's sequence number and count down to 1; pieces of several messages may
interleave. The header of the first piece serves the whole message, so whoever read it hands in what it made of it
(``head``) and gets it back with the complete payload.

Source  ERTS, Distribution Protocol, "Distribution Header for Fragmented Messages" (OTP 22 and later).
"""

from __future__ import annotations

from typing import Final, Generic, NamedTuple, TypeVar

from beamish.errors import RemoteProtocolError

SEQUENCES_MAX: Final = 4096
"""Messages of one peer that may be incomplete at a time: a peer interleaves at most one per sending process."""

BYTES_MAX: Final = 1 << 30
"""Bytes of incomplete messages that are kept for one peer."""

PIECE_COST: Final = 64
"""Bytes that keeping one piece costs beside its data: many tiny pieces must count as what they are."""

Head = TypeVar("Head")


class Whole(NamedTuple, Generic[Head]):
    """A complete message: what was made of its first piece, and the payload of all of them."""

    head: Head
    payload: bytes


class _Partial(Generic[Head]):
    __slots__ = ("head", "missing", "pieces", "size")

    def __init__(self, head: Head, missing: int) -> None:
        self.head = head
        self.missing = missing
        self.pieces: list[bytes] = []
        self.size = 0


class Fragments(Generic[Head]):
    """The incomplete messages of one connection. Drop it with the connection."""

    def __init__(self, *, sequences_max: int = SEQUENCES_MAX, bytes_max: int = BYTES_MAX) -> None:
        self._sequences_max = sequences_max
        self._bytes_max = bytes_max
        self._partial: dict[int, _Partial[Head]] = {}
        self.size = 0

    def __len__(self) -> int:
        """How many messages are incomplete."""
        return len(self._partial)

    def first(self, sequence: int, number: int, head: Head, data: bytes) -> Whole[Head] | None:
        """Take a first piece: ``number`` is how many pieces the message has; data: the payload's part in this one.

        Raises  RemoteProtocolError
        """
        if number < 1:
            raise RemoteProtocolError(f"fragment {number} of message {sequence}: pieces count down to 1")
        if sequence in self._partial:
            missing = self._partial[sequence].missing
            raise RemoteProtocolError(f"message {sequence} starts again while {missing} pieces of it are missing")
        if number == 1:
            return Whole(head, bytes(data))
        if len(self._partial) >= self._sequences_max:
            raise RemoteProtocolError(f"more than {self._sequences_max} incomplete messages at a time")
        # Each piece has at least its number, so a claim beyond the limit is refused before the pieces come.
        if number > self._bytes_max:
            raise RemoteProtocolError(f"message {sequence} claims {number} pieces")
        partial = _Partial(head, number)
        self._partial[sequence] = partial
        self._add(sequence, partial, data)
        return None

    def more(self, sequence: int, number: int, data: bytes) -> Whole[Head] | None:
        """Take a piece that continues a message; the message if it was the last one.

        Raises  RemoteProtocolError
        """
        partial = self._partial.get(sequence)
        if partial is None:
            raise RemoteProtocolError(f"fragment {number} of message {sequence}, which has no first piece")
        if number != partial.missing:
            raise RemoteProtocolError(f"fragment {number} of message {sequence} in the place of {partial.missing}")
        self._add(sequence, partial, data)
        if partial.missing:
            return None
        del self._partial[sequence]
        self.size -= partial.size
        return Whole(partial.head, b"".join(partial.pieces))

    def clear(self) -> None:
        """Forget everything: the connection is gone and the rest will never come."""
        self._partial.clear()
        self.size = 0

    def _add(self, sequence: int, partial: _Partial[Head], data: bytes) -> None:
        partial.missing -= 1
        if not data:
            return
        cost = len(data) + PIECE_COST
        if self.size + cost > self._bytes_max:
            raise RemoteProtocolError(
                f"message {sequence} brings the incomplete messages above {self._bytes_max} bytes"
            )
        partial.pieces.append(bytes(data))
        partial.size += cost
        self.size += cost
