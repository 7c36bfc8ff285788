"""What a test says about its own mailbox."""

from __future__ import annotations

from typing import Any

from beamish.errors import ReceiveTimeout
from beamish.process import current_process, receive

SOON = 1.0
"""Seconds that `assert_receive` waits."""

A_WHILE = 0.1
"""Seconds that `refute_receive` waits. On the virtual clock both cost nothing."""

SHOWN = 20


async def assert_receive(wanted: Any = None, timeout: float = SOON) -> Any:
    """The oldest message that fits (see `receive`); AssertionError, with what was in the mailbox, if none comes in time."""
    try:
        return await receive(wanted, timeout=timeout)
    except ReceiveTimeout:
        pass
    raise AssertionError(f"no message {_shown(wanted)} within {timeout:g} s; the mailbox held {_mailbox()}")


async def refute_receive(wanted: Any = None, timeout: float = A_WHILE) -> None:
    """AssertionError if a message that fits comes within the time."""
    try:
        found = await receive(wanted, timeout=timeout)
    except ReceiveTimeout:
        return
    raise AssertionError(f"received {found!r}, though no message {_shown(wanted)} was to come within {timeout:g} s")


async def flush() -> list[Any]:
    """Take every message out of the mailbox, oldest first."""
    taken: list[Any] = []
    while True:
        try:
            taken.append(await receive(timeout=0))
        except ReceiveTimeout:
            return taken


def _shown(wanted: Any) -> str:
    return "at all" if wanted is None else f"that fits {wanted!r}"


def _mailbox() -> str:
    process = current_process()
    messages = process.peek_messages() if process is not None else []
    if not messages:
        return "nothing"
    lines = [repr(message) for message in messages[:SHOWN]]
    if len(messages) > SHOWN:
        lines.append(f"… and {len(messages) - SHOWN} more")
    return f"{len(messages)}:\n  " + "\n  ".join(lines)


__all__ = ["A_WHILE", "SOON", "assert_receive", "flush", "refute_receive"]
