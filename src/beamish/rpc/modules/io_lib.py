"""`io_lib`: formats as chardata. Source: STDLIB, io_lib."""

from __future__ import annotations

from typing import Any

from beamish.io.format import FormatError
from beamish.io.format import format as erlang_format
from beamish.rpc.outcome import badarg
from beamish.term import charlist
from beamish.term.chardata import ChardataError

__all__ = ["format", "fwrite", "write"]


def format(pattern: Any, args: Any, options: Any = None) -> Any:
    """The text as a charlist."""
    try:
        return charlist(erlang_format(pattern, args))
    except (FormatError, ChardataError):
        raise badarg() from None


fwrite = format


def write(term: Any) -> Any:
    """A term on one line."""
    return format("~w", [term])
