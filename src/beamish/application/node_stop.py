"""How a node comes to its end in order: who may ask for it, what happens then, and what happens if it does not.

    request_stop(runtime, 0)                 from anywhere: System.stop, init:stop of a peer, SIGTERM, a permanent application
    status = await run_until_stopped(runtime)       waits for that, stops the applications, gives the exit status

Applications stop in the reverse order of their start, each within the shutdown times of its tree. A second SIGTERM or
SIGINT, or `limit` seconds, force the end; what would not go is then named.

Source  OTP 25, erts: init(3) (stop/1), kernel: application_controller; SIGTERM calls init:stop() (erl_signal_handler).
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Final

from beamish.application.reports import remaining_lines
from beamish.errors import BeamishError
from beamish.node.runtime import Runtime, current_runtime
from beamish.term import Pid

log = logging.getLogger("beamish.application")

SERVICE: Final = "node_stop"
HOOK: Final = "applications_stop"
LIMIT: Final = 60.0
"""Seconds that an ordered stop may take altogether."""

GRACE: Final = 5.0
"""Seconds, after an end that was forced, in which the event loop must come round; after them the process is ended."""

MOST_LEVELS: Final = 8
"""Supervisors below each other whose words explain the end of the top one."""

FAILED: Final = 1
SIGNAL_BASE: Final = 128
SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@dataclass(slots=True)
class NodeStop:
    """Whether a node shall stop, and why.

    requested: done with the exit status once somebody asked. awaited: somebody will act upon it (`run_until_stopped`).
    reason: for people; "" for an ordinary stop. forced: a second signal asked for the end at once.
    """

    requested: asyncio.Future[int]
    reason: str = ""
    awaited: bool = False
    forced: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


def node_stop_of(runtime: Runtime) -> NodeStop:
    """The stop of a runtime, made when first asked for."""
    found = runtime.services.get(SERVICE)
    if found is None:
        found = runtime.services[SERVICE] = NodeStop(runtime.loop.create_future())
    assert isinstance(found, NodeStop)
    return found


def request_stop(runtime: Runtime, status: int = 0, reason: str = "") -> None:
    """Ask a node to stop in order with this exit status. The first request counts; it returns at once.

    Where nobody waits in `run_until_stopped` the node stops all the same, and the status is lost.
    """
    stop = node_stop_of(runtime)
    if runtime.closed or stop.requested.done():
        if reason:
            log.error("%s (the node is stopping already)", reason)
        return
    if reason:
        log.critical("%s\nthe node %s stops with status %d", reason, runtime.node, status)
    stop.reason = reason
    stop.requested.set_result(status)
    if not stop.awaited:
        stop.task = runtime.loop.create_task(runtime.stop())


def stop_status(runtime: Runtime) -> int | None:
    """The exit status with which a node was asked to stop, None if it was not."""
    stop = runtime.services.get(SERVICE)
    return stop.requested.result() if isinstance(stop, NodeStop) and stop.requested.done() else None


def stop_node(status: int = 0) -> None:
    """Ask the current process's node to stop in order: Elixir's `System.stop`. Returns at once; the caller is ended with all
    other processes, so it may just go on."""
    request_stop(current_runtime(), status)


def cause_of(runtime: Runtime, supervisor: Pid | None) -> str | None:
    """What a supervisor said of the child that brought it down, and that one of its own, if it was a supervisor; None if it
    said nothing."""
    kept: dict[Pid, list[tuple[Pid | None, str]]] = runtime.services.get("supervisor_reports", {})
    told: list[str] = []
    for _ in range(MOST_LEVELS):
        lines = [] if supervisor is None else kept.get(supervisor, [])
        told.extend(line for _, line in lines if line not in told)
        supervisor = next((child for child, _ in reversed(lines) if child in kept), None)
    return "\n".join(told) or None


# ---- the ordered end


async def stop_applications(runtime: Runtime) -> None:
    """Stop all applications in the reverse order of their start; no more are started on this node."""
    from beamish.application.controller import NAME, STOP_ALL
    from beamish.process.gen import call

    runtime.services["node_is_going"] = True
    if runtime.closed or NAME not in runtime.names:
        return
    with contextlib.suppress(BeamishError):  # whoever kills the controller meanwhile has stopped everything himself
        await runtime.run(call, NAME, STOP_ALL, None)
    await _drained(runtime)


async def _drained(runtime: Runtime) -> None:
    """What was printed last has reached the device."""
    from beamish.io.client import request
    from beamish.io.requests import put_chars

    if runtime.user is not None and runtime.process_of(runtime.user) is not None:
        with contextlib.suppress(BeamishError, TimeoutError):
            async with asyncio.timeout(1.0):
                await runtime.run(request, put_chars(""), runtime.user)


async def shutdown(runtime: Runtime, *, limit: float | None = LIMIT) -> list[str]:
    """Stop all applications and then the node. Gives the lines that name what would not go: none if all went.

    limit: seconds; when they are over, or a second signal comes, everything that is left is killed.
    """
    stop = node_stop_of(runtime)
    ordered = asyncio.ensure_future(stop_applications(runtime))
    forced = asyncio.ensure_future(stop.forced.wait())
    try:
        await asyncio.wait({ordered, forced}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        left = [] if ordered.done() else stragglers(runtime)
        if ordered.done():
            ordered.result()
    finally:
        for task in (ordered, forced):
            task.cancel()
        await asyncio.gather(ordered, forced, return_exceptions=True)
    if left and runtime.services.get(HOOK) in runtime.stopping:
        runtime.stopping.remove(runtime.services[HOOK])
    await runtime.stop()
    return left


def stragglers(runtime: Runtime) -> list[str]:
    """The applications that still run and what is left of them, as lines; the one that is being stopped comes first."""
    from beamish.application.table import applications_of

    table = applications_of(runtime)
    lines: list[str] = []
    for running in reversed([*table.started.values(), *table.starting.values()]):
        if running.master is not None:
            lines.append(f"application {running.name}:")
            lines.extend(remaining_lines(runtime, running.master).splitlines())
    return lines


async def run_until_stopped(
    runtime: Runtime, start: Callable[[], Any] | None = None, *, signals: Sequence[signal.Signals] = SIGNALS,
    limit: float | None = LIMIT,
) -> int:  # fmt: skip
    """Wait until the node is asked to stop, stop it in order, and give the exit status of the operating system's process.

    start: run as a process of the node first, for instance what starts the applications; its exception is raised here, once
    everything has stopped. A signal may end it.
    0 after SIGTERM and System.stop(), 130 after SIGINT, what was asked for otherwise, 1 when a permanent application died or
    something would not go within `limit` seconds, 128 + N when a second signal N forced the end.
    """
    stop = node_stop_of(runtime)
    stop.awaited = True
    with _signal_handlers(runtime, stop, signals) as caught:
        failure = await _until_asked(runtime, stop, start)
        status = stop_status(runtime) or 0
        with _last_resort(limit):
            left = await shutdown(runtime, limit=limit)
        if left:
            why = f"signal {caught[-1].name}" if stop.forced.is_set() else f"{limit:g} s were over"
            log.error("the node was ended by force (%s); this was left:\n%s", why, "\n".join(left))
            status = SIGNAL_BASE + caught[-1] if stop.forced.is_set() else status or FAILED
        if failure is not None:
            raise failure
        return status


async def _until_asked(runtime: Runtime, stop: NodeStop, start: Callable[[], Any] | None) -> BaseException | None:
    """Run `start`, then wait for a request to stop, or for somebody to stop the runtime. The exception of `start`."""
    ends = {asyncio.ensure_future(asyncio.shield(stop.requested)), asyncio.ensure_future(asyncio.shield(runtime.stopped))}
    starting = None if start is None else asyncio.ensure_future(runtime.run(start))
    try:
        if starting is not None:
            await asyncio.wait({*ends, starting}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done() and starting.exception() is not None and not any(end.done() for end in ends):
                return starting.exception()
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        return None
    finally:
        for task in (*ends, *([starting] if starting is not None else [])):
            task.cancel()
        await asyncio.gather(*([starting] if starting is not None else []), return_exceptions=True)


@contextlib.contextmanager
def _signal_handlers(runtime: Runtime, stop: NodeStop, signals: Sequence[signal.Signals]) -> Iterator[list[signal.Signals]]:
    """The first signal asks for the stop, the second forces it, the third does not wait for the event loop.

    Handlers of the interpreter, not of the loop: they also run while a process keeps the loop busy.
    """
    caught: list[signal.Signals] = []

    def on_signal(number: int, frame: FrameType | None) -> None:
        caught.append(signal.Signals(number))
        if len(caught) == 1:
            runtime.loop.call_soon_threadsafe(asked, signal.Signals(number))
        elif len(caught) == 2:
            runtime.loop.call_soon_threadsafe(stop.forced.set)
            _end_later(GRACE, SIGNAL_BASE + number)
        else:
            _end_now(SIGNAL_BASE + number)

    def asked(number: signal.Signals) -> None:
        if stop.requested.done():
            stop.forced.set()  # it stops already: this is as good as a second signal
            return
        log.info("%s: the node %s stops", number.name, runtime.node)
        request_stop(runtime, SIGNAL_BASE + number if number is signal.SIGINT else 0)

    old: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for each in signals:
            old[each] = signal.signal(each, on_signal)
    try:
        yield caught
    finally:
        for each, handler in old.items():
            signal.signal(each, handler)


@contextlib.contextmanager
def _last_resort(limit: float | None) -> Iterator[None]:
    """End the operating system's process when even the forced end does not come: something keeps the event loop busy."""
    if limit is None:
        yield
        return
    timer = _end_later(limit + GRACE, FAILED)
    try:
        yield
    finally:
        timer.cancel()


def _end_later(seconds: float, status: int) -> threading.Timer:
    timer = threading.Timer(seconds, _end_now, (status,))
    timer.daemon = True
    timer.start()
    return timer


def _end_now(status: int) -> None:
    """Nothing else helped: say where the main thread is, and end the process without another word."""
    print("beamish: the node does not stop and its event loop does not answer; it is ended here:", file=sys.stderr, flush=True)
    faulthandler.dump_traceback(all_threads=True)
    os._exit(status)


__all__ = [
    "LIMIT", "SIGNALS", "NodeStop", "cause_of", "node_stop_of", "request_stop", "run_until_stopped", "shutdown",
    "stop_applications", "stop_node", "stop_status", "stragglers",
]  # fmt: skip
