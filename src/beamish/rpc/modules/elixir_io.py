"""Elixir's `IO` on our nodes: ``Node.spawn(node, IO, :puts, ["hi"])`` prints at the caller."""

from __future__ import annotations

from typing import Any

from beamish.io.format import format as erlang_format
from beamish.rpc.modules import io
from beamish.term import Atom, atom, text
from beamish.term.chardata import ChardataError

__all__ = ["inspect", "puts", "write"]


def _chars(item: Any) -> str:
    """What Elixir's to_string makes of chardata, atoms and numbers."""
    if isinstance(item, Atom):
        return item.text.removeprefix("Elixir.")
    if item is None or isinstance(item, bool):
        return "" if item is None else str(item).lower()
    if isinstance(item, int | float):
        return str(item)
    try:
        return text(item)
    except ChardataError:
        return erlang_format("~tp", [item])


async def puts(*args: Any) -> Any:
    """``puts(item)``, ``puts(device, item)``."""
    await write(*args[:-1], _chars(args[-1]) + "\n")
    return atom.ok


async def write(*args: Any) -> Any:
    """``write(item)``, ``write(device, item)``."""
    device = (
        None if len(args) == 1 or args[0] is atom.stdio else atom.standard_error if args[0] is atom.stderr else args[0]
    )
    return await io.put_chars(device, _chars(args[-1]))


async def inspect(term: Any, options: Any = None) -> Any:
    """Print a term, in Erlang's notation; gives the term."""
    await io.put_chars(erlang_format("~tp~n", [term]))
    return term
