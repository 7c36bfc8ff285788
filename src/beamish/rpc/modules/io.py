"""`io`: output through the group leader of the process of the call, which is the caller's; so text appears there.

Source  STDLIB, io; facts section 16.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from beamish.errors import NoProcess
from beamish.io.format import FormatError
from beamish.io.format import format as erlang_format
from beamish.io.requests import io_request
from beamish.io.requests import put_chars as put_chars_request
from beamish.node.runtime import current_runtime
from beamish.process import current_process, demonitor, mailbox_mark, monitor, receive, self, send
from beamish.rpc.outcome import ErlangError, badarg
from beamish.term import Atom, Pid, atom, text
from beamish.term.chardata import ChardataError

__all__ = ["columns", "format", "fwrite", "nl", "put_chars", "request", "rows", "write"]

STANDARD: Final = (atom.standard_io, atom.user, atom.standard_error)


async def ask(device: Any, request_: Any) -> Any:
    """Send an io request and wait for its result. device: a pid, `standard_io`, `user` or a registered name."""
    runtime = current_runtime()
    me = current_process()
    assert me is not None
    leader: Any = device
    if device is None or device is atom.standard_io:
        leader = me.leader or runtime.user
    elif device is atom.user:
        leader = runtime.user
    if leader is None or device is atom.standard_error:
        return _without_leader(request_, device)
    mark = mailbox_mark()
    ref = monitor(leader)
    try:
        send(leader, io_request(self(), ref, request_))
        answer = await receive(lambda got: _concerns(got, ref), since=mark)
    except (NoProcess, TypeError):
        raise badarg() from None
    finally:
        demonitor(ref, flush=True)
    if answer[0] is atom.io_reply:
        return answer[2]
    raise ErlangError(atom.terminated)


def _concerns(message: Any, ref: Any) -> bool:
    return (
        isinstance(message, tuple)
        and len(message) >= 3
        and message[1] == ref
        and message[0] in (atom.io_reply, atom.DOWN)
    )


def _without_leader(request_: Any, device: Any) -> Any:
    """A node without a group leader prints where Python prints."""
    match request_:
        case (atom.put_chars, _, chars):
            print(text(chars), end="", file=sys.stderr if device is atom.standard_error else sys.stdout, flush=True)
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
