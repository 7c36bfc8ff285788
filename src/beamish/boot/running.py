"""`beamish.run`: a node for as long as one function runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from beamish.boot.start import start_local, start_node
from beamish.node import ProcessFailed


def new_event_loop() -> asyncio.AbstractEventLoop:
    """uvloop's loop where it exists, else asyncio's."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def run(main: Callable[..., Any], *args: Any, name: str | None = None,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None, **options: Any) -> Any:  # fmt: skip
    """Start a node, run ``main(*args)`` as a process on it, stop the node, give main's result.

    name: makes the node distributed; `options` are those of `start_node`. main's exception is raised here. A node that was asked to
    stop meanwhile (`stop_node`, a permanent application that ended) raises SystemExit with its exit status.
    """

    async def session() -> Any:
        runtime = await (start_local(**options) if name is None else start_node(name, **options))
        try:
            return await runtime.run(main, *args)
        except ProcessFailed:
            from beamish.application import stop_status

            status = stop_status(runtime)
            if status is None:
                raise
            raise SystemExit(status) from None
        finally:
            await runtime.stop()

    with asyncio.Runner(loop_factory=loop_factory or new_event_loop) as runner:
        return runner.run(session())
