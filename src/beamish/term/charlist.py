"""Charlists: text that travels as a list of code points, as Erlang's "abc" does."""

from __future__ import annotations


class Charlist(str):
    """A str that is sent as a list of integers. Received charlists are lists of ints: read them with `text`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"charlist({str.__repr__(self)})"


def charlist(text: str) -> Charlist:
    """Mark text to be sent as a list of code points, which is what most Erlang functions expect of "a string"."""
    return Charlist(text)
