"""Running a function as a process of a fresh node, on the virtual clock or on a real loop.

    def test_echo():
        run_virtual(talk_to_echo)           # no event loop, no sleep, no plugin
"""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from beamish.node.runtime import NO_NODE, Runtime
from beamish.process import dirty
from beamish.process._scheduler import DEFAULT_SLICE
from beamish.term import Atom
from beamish.testing.case import Case, listing
from beamish.testing.clock import Stuck, VirtualClockLoop

T = TypeVar("T")
LIMIT = 3600.0
"""Seconds, of the loop's clock, after which a run has failed."""


def slice_for(loop: asyncio.AbstractEventLoop) -> float:
    """How long a test's processes run per turn of the loop: on the virtual clock until they all wait, so that a run does
    not depend on how fast the machine is."""
    return math.inf if isinstance(loop, VirtualClockLoop) else DEFAULT_SLICE


def settle_in(runtime: Runtime) -> None:
    """Make a new runtime known to its virtual clock: time stands still while its dirty processes compute or block, and when the
    test hangs its processes are listed."""

    def at_work() -> bool:
        if not dirty._at_work:
            return False
        blocks = (runtime.process_of(pid) for pid in runtime.pids())
        return any(_works(block.get_coro()) for block in blocks if block is not None)

    if isinstance(runtime.loop, VirtualClockLoop):
        runtime.loop.at_work.append(at_work)
        runtime.loop.listings.append(lambda: "" if runtime.closed else f"{runtime.node}:\n{listing(runtime)}")


def _works(body: Any) -> bool:
    """Whether the thread of a dirty process does anything but wait for a message."""
    if not isinstance(body, dirty.DirtyBody) or body._thread is None or not body._thread.is_alive():
        return False
    frame = sys._current_frames().get(body._thread.ident or 0)
    return frame is None or frame.f_code is not dirty.blocking.__code__ or not body.gate.empty()


def run_virtual(
    function: Callable[..., Any], *args: Any, node: Atom = NO_NODE, limit: float = LIMIT, debug: bool = False
) -> Any:
    """Run a function as a process on the virtual clock and give its result; its exception is raised here.

    What it started with `start_supervised` is stopped afterwards, and its `on_exit` callbacks run.
    limit: virtual seconds; a run that takes longer fails with TimeoutError, so that timers which are set again and again
    cannot keep a hanging test alive. Raises LinkedProcessFailed when a linked process crashed, ProcessFailed when
    another exit signal ended the process.
    """
    return run_on(VirtualClockLoop, function, *args, node=node, limit=limit, debug=debug)


def run_on(
    loop_factory: Callable[[], asyncio.AbstractEventLoop], function: Callable[..., Any], *args: Any,
    node: Atom = NO_NODE, limit: float = LIMIT, debug: bool = False,
) -> Any:  # fmt: skip
    """`run_virtual` on another loop, for tests where time must be real."""
    runtimes: list[Runtime] = []

    async def main() -> Any:
        runtime = Runtime(node, slice=slice_for(asyncio.get_running_loop()))
        runtimes.append(runtime)
        settle_in(runtime)
        case = Case(runtime)
        try:
            result = await within(limit, function, case.run(function, *args), [lambda: listing(runtime)])
        except (Exception, asyncio.CancelledError) as error:
            await _close_after(case, error)
            raise
        else:
            await case.close()
            return result
        finally:
            case.closed = True
            await runtime.stop()

    with asyncio.Runner(loop_factory=loop_factory, debug=debug) as runner:
        try:
            return runner.run(main())
        except Stuck as stuck:
            for runtime in runtimes:
                Case.of(runtime).closed = True  # what stands still would not be stopped either
                stuck.add_note(f"Processes of the test:\n{listing(runtime)}")
            raise


async def within(limit: float, function: Any, running: Awaitable[T], listings: list[Callable[[], str]]) -> T:
    """Await a test for `limit` seconds; TimeoutError then, with what the listings say of that moment."""
    loop = asyncio.get_running_loop()
    listed: list[str] = []

    def too_late() -> None:
        listed.extend(each() for each in listings)  # now, while everybody still waits
        limited.reschedule(loop.time())

    timer = loop.call_later(limit, too_late)
    try:
        async with asyncio.timeout(None) as limited:
            return await running
    except TimeoutError:
        if not limited.expired():
            raise
    finally:
        timer.cancel()
    # Not from the cancellation: the listing says where it waited.
    found = "\n".join(filter(None, listed))
    raise TimeoutError(f"{_name_of(function)} was still running after {limit:g} s of its loop's time:\n{found}")


def _name_of(function: Any) -> str:
    inner = getattr(function, "func", function)
    return str(getattr(inner, "__qualname__", repr(inner)))


async def _close_after(case: Case, error: BaseException) -> None:
    """Clean up after a test that has failed already: what goes wrong now is a note to that."""
    try:
        await case.close()
    except Exception as failure:
        error.add_note(f"Moreover, the clean-up failed: {type(failure).__name__}: {failure}")


__all__ = ["LIMIT", "run_on", "run_virtual", "settle_in", "slice_for", "within"]
