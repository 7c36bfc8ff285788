"""Running a test as a process: on the virtual clock, or on every loop that beamish supports."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from beamish.testing import VirtualClockLoop, now, run_on, virtual

try:
    import uvloop
except ImportError:  # not on Windows
    uvloop = None  # type: ignore[assignment]

LoopFactory = Callable[[], asyncio.AbstractEventLoop]
REAL_LOOPS: dict[str, LoopFactory] = {"asyncio": asyncio.SelectorEventLoop}
if uvloop is not None:
    REAL_LOOPS["uvloop"] = uvloop.new_event_loop
LOOPS: dict[str, LoopFactory] = {"virtual": VirtualClockLoop, **REAL_LOOPS}

REAL_LIMIT = 20.0
"""Seconds a test may take on a real loop."""


def _on(loops: dict[str, LoopFactory], test: Callable[..., Any]) -> Any:
    @functools.wraps(test)
    def run(loop_factory: LoopFactory, **kwargs: Any) -> None:
        limit = 3600.0 if loop_factory is VirtualClockLoop else REAL_LIMIT
        run_on(loop_factory, functools.partial(test, **kwargs), limit=limit)

    signature = inspect.signature(test)
    parameter = inspect.Parameter("loop_factory", inspect.Parameter.KEYWORD_ONLY)
    run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), parameter])  # type: ignore[attr-defined]
    return pytest.mark.parametrize("loop_factory", list(loops.values()), ids=list(loops))(run)


def on_every_loop(test: Callable[..., Any]) -> Any:
    """The same on the virtual clock, on asyncio's loop and on uvloop."""
    return _on(LOOPS, test)


def on_real_loops(test: Callable[..., Any]) -> Any:
    """The same where time is real."""
    return _on(REAL_LOOPS, test)


__all__ = ["LOOPS", "REAL_LIMIT", "REAL_LOOPS", "LoopFactory", "now", "on_every_loop", "on_real_loops", "virtual"]
