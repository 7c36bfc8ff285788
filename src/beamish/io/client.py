"""Talking to a group leader from inside a process.

await puts("hello")               a line on the terminal of whoever started this process
name = await gets("name? ")       a line from there, None at the end of input
"""

from __future__ import annotations

import sys
from typing import Any

from beamish.errors import BeamishError, NoProcess
from beamish.io.output_proxy import flush_own_output
from beamish.io.requests import get_line, io_request, parse_reply, put_chars
from beamish.process import current_process, demonitor, mailbox_mark, monitor, receive, self, send
from beamish.term import Atom, Pid, atom, text

__all__ = ["DeviceError", "columns", "gets", "puts", "request", "rows", "write"]


class DeviceError(BeamishError, OSError):
    """The group leader is gone or refused; `reason` is its answer."""

    def __init__(self, message: str, reason: Any) -> None:
        super().__init__(message)
        self.reason = reason


async def request(what: Any, device: Pid | Atom | str | None = None) -> Any:
    """Send an io request to a device (default: the group leader of this process) and give its result.

    Raises DeviceError if the device is gone. Results such as (atom.error, Reason) are given as they are.
    """
    me = current_process()
    if device is None:
        device = None if me is None else me.leader or me.home.user
    if me is None or device is None:
        return _without_leader(what)
    flush_own_output()  # what was printed before comes before
    mark = mailbox_mark()
    try:
        ref = monitor(device)
    except NoProcess:
        raise DeviceError(f"there is no device {device}", atom.noproc) from None
    try:
        send(device, io_request(self(), ref, what))
        answer = await receive(
            lambda message: parse_reply(message, ref) is not None or _is_down(message, ref), since=mark
        )
    except NoProcess:
        raise DeviceError(f"there is no device {device}", atom.noproc) from None
    finally:
        demonitor(ref, flush=True)
    found = parse_reply(answer, ref)
    if found is None:
        raise DeviceError(f"the group leader {device} is gone", answer[-1])
    return found[0]


def _is_down(message: Any, ref: Any) -> bool:
    return isinstance(message, tuple) and len(message) == 5 and message[0] is atom.DOWN and message[1] == ref


def _without_leader(what: Any) -> Any:
    match what:
        case (atom.put_chars, atom.unicode, content):
            sys.stdout.write(text(content))
            return atom.ok
    return (atom.error, atom.enotsup)


async def write(content: Any, device: Pid | Atom | str | None = None) -> None:
    """Write chardata, and return once it is written."""
    result = await request(put_chars(text(content)), device)
    if result is not atom.ok:
        raise DeviceError(f"the device refused to write: {result!r}", result)


async def puts(content: Any, device: Pid | Atom | str | None = None) -> None:
    """Write chardata and a line break."""
    await write([text(content), "\n"], device)


async def gets(prompt: str = "", device: Pid | Atom | str | None = None) -> str | None:
    """Read a line with its line break; None at the end of input."""
    result = await request(get_line(prompt), device)
    if result is atom.eof:
        return None
    if isinstance(result, tuple):
        raise DeviceError(f"the device refused to read: {result!r}", result)
    return text(result)


async def columns(device: Pid | Atom | str | None = None) -> int | None:
    """Width of the device, None if it has none."""
    return _number(await request((atom.get_geometry, atom.columns), device))


async def rows(device: Pid | Atom | str | None = None) -> int | None:
    """Height of the device, None if it has none."""
    return _number(await request((atom.get_geometry, atom.rows), device))


def _number(result: Any) -> int | None:
    return result if isinstance(result, int) else None
