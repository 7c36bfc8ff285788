"""Running a function as a process of a fresh node, on the virtual clock or on a real loop.

    def test_echo():
        run_virtual(talk_to_echo)           # no event loop, no sleep, no plugin
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

from beamish.node.runtime import NO_NODE, Runtime
from beamish.process._scheduler import DEFAULT_SLICE
from beamish.term import Atom
from beamish.testing.clock import VirtualClockLoop

LIMIT = 3600.0
"""Seconds, of the loop's clock, after which a run has failed."""


def slice_for(loop: asyncio.AbstractEventLoop) -> float:
    """How long a test's processes run per turn of the loop: on the virtual clock until they all wait, so that a run does
    not depend on how fast the machine is."""
    return math.inf if isinstance(loop, VirtualClockLoop) else DEFAULT_SLICE


def run_virtual(
    function: Callable[..., Any], *args: Any, node: Atom = NO_NODE, limit: float = LIMIT, debug: bool = False
) -> Any:
    """Run a function as a process on the virtual clock and give its result; its exception is raised here.

    limit: virtual seconds; a run that takes longer fails with TimeoutError, so that timers which are set again and again
    cannot keep a hanging test alive. Raises ProcessFailed when an exit signal ended the process.
    """
    return run_on(VirtualClockLoop, function, *args, node=node, limit=limit, debug=debug)


def run_on(
    loop_factory: Callable[[], asyncio.AbstractEventLoop], function: Callable[..., Any], *args: Any,
    node: Atom = NO_NODE, limit: float = LIMIT, debug: bool = False,
) -> Any:  # fmt: skip
    """`run_virtual` on another loop, for tests where time must be real."""

    async def main() -> Any:
        runtime = Runtime(node, slice=slice_for(asyncio.get_running_loop()))
        try:
            async with asyncio.timeout(limit) as run:
                return await runtime.run(function, *args)
        except TimeoutError as error:
            if run.expired():
                raise TimeoutError(f"{function!r} was still running after {limit:g} s of its loop's time") from error
            raise
        finally:
            await runtime.stop()

    with asyncio.Runner(loop_factory=loop_factory, debug=debug) as runner:
        return runner.run(main())


__all__ = ["LIMIT", "run_on", "run_virtual", "slice_for"]
