"""`io`: output through the group leader of the process of the call, which is the caller's; so text appears there.

Source  STDLIB, io; facts section 16.
"""

from __future__ import annotations

import sys
from typing import Any

from beamish.io.client import DeviceError
from beamish.io.client import request as leader_request
from beamish.io.format import FormatError
from beamish.io.format import format as erlang_format
from beamish.io.requests import put_chars as put_chars_request
from beamish.node.runtime import current_runtime
from beamish.rpc.outcome import ErlangError, badarg
from beamish.term import Atom, Pid, atom, text
from beamish.term.chardata import ChardataError

__all__ = ["columns", "format", "fwrite", "nl", "put_chars", "request", "rows", "write"]


async def ask(device: Any, request_: Any) -> Any:
    """Send an io request and wait for its result. device: a pid, `standard_io`, `user` or a registered name."""
    if device is atom.standard_error:
        return _on_standard_error(request_)
    if device is atom.user:
        device = current_runtime().user
    elif device is atom.standard_io:
        device = None
    try:
        return await leader_request(request_, device)
    except DeviceError as error:
        raise ErlangError(atom.badarg if error.reason is atom.noproc else atom.terminated) from None
    except TypeError:
        raise badarg() from None


def _on_standard_error(request_: Any) -> Any:
    match request_:
        case (atom.put_chars, _, chars):
            print(text(chars), end="", file=sys.stderr, flush=True)
            return atom.ok
    return (atom.error, atom.enotsup)


async def _put(device: Any, chars: str) -> Any:
    if await ask(device, put_chars_request(chars)) is not atom.ok:
        raise badarg()
    return atom.ok


def _formatted(pattern: Any, args: Any) -> str:
    try:
        return erlang_format(pattern, args)
    except (FormatError, ChardataError):
        raise badarg() from None


async def format(*args: Any) -> Any:
    """``format(Pattern)``, ``format(Pattern, Args)``, ``format(Device, Pattern, Args)``."""
    match args:
        case (pattern,):
            return await _put(None, _formatted(pattern, []))
        case (pattern, list() as values):
            return await _put(None, _formatted(pattern, values))
        case (device, pattern, list() as values):
            return await _put(device, _formatted(pattern, values))
    raise badarg()


fwrite = format


async def put_chars(*args: Any) -> Any:
    """``put_chars(Chardata)``, ``put_chars(Device, Chardata)``."""
    if len(args) not in (1, 2):
        raise ErlangError(atom.undef)
    try:
        return await _put(args[0] if len(args) == 2 else None, text(args[-1]))
    except ChardataError:
        raise badarg() from None


async def nl(device: Any = None) -> Any:
    """A line break."""
    return await _put(device, "\n")


async def write(*args: Any) -> Any:
    """``write(Term)``, ``write(Device, Term)``."""
    if len(args) not in (1, 2):
        raise ErlangError(atom.undef)
    return await _put(args[0] if len(args) == 2 else None, _formatted("~w", [args[-1]]))


async def request(device: Any, request_: Any) -> Any:
    """Any io request."""
    if not isinstance(device, Pid | Atom):
        raise badarg()
    return await ask(device, request_)


async def rows(device: Any = None) -> Any:
    """``{ok, N}`` or ``{error, enotsup}``."""
    return await _geometry(device, atom.rows)


async def columns(device: Any = None) -> Any:
    """``{ok, N}`` or ``{error, enotsup}``."""
    return await _geometry(device, atom.columns)


async def _geometry(device: Any, which: Any) -> Any:
    found = await ask(device, (atom.get_geometry, which))
    return (atom.ok, found) if isinstance(found, int) else (atom.error, atom.enotsup)
