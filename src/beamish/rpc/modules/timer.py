"""`timer`: rests. Source: STDLIB, timer."""

from __future__ import annotations

import asyncio
from typing import Any

from beamish.rpc.outcome import ErlangError
from beamish.term import atom

__all__ = ["hours", "minutes", "seconds", "sleep"]


async def sleep(milliseconds: Any) -> Any:
    """Rest for milliseconds, or for `infinity`."""
    if milliseconds is atom.infinity:
        await asyncio.Event().wait()
    if not isinstance(milliseconds, int) or isinstance(milliseconds, bool) or milliseconds < 0:
        raise ErlangError(atom.timeout_value)
    await asyncio.sleep(milliseconds / 1000)
    return atom.ok


def seconds(count: Any) -> Any:
    """Milliseconds of so many seconds."""
    return 1000 * count


def minutes(count: Any) -> Any:
    """Milliseconds of so many minutes."""
    return 60_000 * count


def hours(count: Any) -> Any:
    """Milliseconds of so many hours."""
    return 3_600_000 * count
