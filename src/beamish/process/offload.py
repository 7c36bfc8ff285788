"""`offload`: CPU-bound functions on other cores.

    digest = await offload(hash_file, path)

The work runs in worker processes of the operating system (the standard library's ProcessPoolExecutor, started by `spawn`, so that
no lock or socket of the node is inherited). Function and arguments are pickled to a child of this very program; nothing of that
goes to, or comes from, other nodes.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from beamish.errors import BeamishError

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

P = ParamSpec("P")
T = TypeVar("T")


class OffloadError(BeamishError):
    """The work could not be sent to a worker, or its worker died."""


class _Pool:
    """The workers of this program: made on first use, as many as there are other cores (at least one)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._executor: ProcessPoolExecutor | None = None
        self.workers = max(1, (os.cpu_count() or 2) - 1)

    def get(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._executor is None:
                # Loaded when it is needed: programs that offload nothing start faster without.
                import atexit
                import multiprocessing
                from concurrent.futures import ProcessPoolExecutor

                atexit.register(self.close)
                context = multiprocessing.get_context("spawn")
                self._executor = ProcessPoolExecutor(self.workers, mp_context=context, initializer=_quiet)
            return self._executor

    def drop(self, executor: ProcessPoolExecutor) -> None:
        """A broken pool takes no more work; the next one gets a new pool."""
        with self._lock:
            if self._executor is executor:
                self._executor = None
        executor.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)


_pool = _Pool()


def _quiet() -> None:
    """Ctrl-C is the node's business; workers end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


async def offload(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a module-level function on another core and give its result; its exception is raised here.

    Raises OffloadError when function, arguments or result cannot be pickled, or the worker died (killed, out of memory). Cancelled
    or killed callers do not wait; work that has begun is finished and thrown away.
    """
    import pickle
    from concurrent.futures.process import BrokenProcessPool

    loop = asyncio.get_running_loop()
    name = getattr(function, "__qualname__", repr(function))
    executor = _pool.get()
    try:
        future = executor.submit(function, *args, **kwargs)
    except (BrokenProcessPool, RuntimeError):
        _pool.drop(executor)
        executor = _pool.get()
        future = executor.submit(function, *args, **kwargs)
    try:
        return await asyncio.wrap_future(future, loop=loop)
    except BrokenProcessPool as error:
        _pool.drop(executor)
        raise OffloadError(f"the worker that ran {name} died (killed, or out of memory?); the next call gets a new one") from error
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        if "pickle" not in str(error).lower():
            raise
        raise OffloadError(
            f"{name} cannot be sent to another core: {error}; it takes functions at the top level of a module, and data"
        ) from error


def set_workers(count: int) -> None:
    """How many cores `offload` may use, from the next pool on."""
    if count < 1:
        raise ValueError(f"offload needs at least one worker, not {count}")
    _pool.workers = count
    _pool.close()


__all__ = ["OffloadError", "offload", "set_workers"]
