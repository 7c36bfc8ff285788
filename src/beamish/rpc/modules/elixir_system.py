"""Elixir's `System` on our nodes: `stop`, and what one asks of every node."""

from __future__ import annotations

import os
import time
from typing import Any

from beamish.rpc.modules.init import stop
from beamish.rpc.outcome import ErlangError
from beamish.term import atom

__all__ = ["os_time", "pid", "stop", "system_time"]

UNITS = {"second": 10**9, "millisecond": 10**6, "microsecond": 10**3, "nanosecond": 1, "native": 1}


def _in(unit: Any, nanoseconds: int) -> int:
    parts = UNITS.get(str(unit))
    if parts is None:
        raise ErlangError(atom.badarg)
    return nanoseconds // parts


def system_time(unit: Any = atom.native) -> int:
    """The wall clock."""
    return _in(unit, time.time_ns())


os_time = system_time


def pid() -> str:
    """The operating system's number of this node's process."""
    return str(os.getpid())
