"""Decorators that make an `async def` test an ordinary one: for pytest, unittest and hypothesis alike, without a plugin.

    @virtual
    async def test_echo():
        send(spawn(echo), (self(), "hello"))
        await assert_receive("hello")
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import traceback
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Final, overload

from beamish.node.runtime import ProcessFailed
from beamish.term import Atom, atom
from beamish.testing.clock import VirtualClockLoop
from beamish.testing.cluster import MemoryCluster, Services, run_cluster, services_of_a_node
from beamish.testing.network import DELAY, NOTICE
from beamish.testing.running import LIMIT, run_on

_OURS: Final = (os.path.dirname(os.path.abspath(__file__)), os.path.dirname(asyncio.__file__))
SEED: Final = "BEAMISH_SEED"
"""Environment variable: the one seed that `@clustered` tests are to be run with."""


@overload
def virtual(test: Callable[..., Any]) -> Callable[..., None]: ...
@overload
def virtual(*, node: str | Atom | None = ..., limit: float = ...) -> Callable[[Callable[..., Any]], Callable[..., None]]: ...
def virtual(test: Callable[..., Any] | None = None, *, node: str | Atom | None = None, limit: float = LIMIT) -> Any:
    """Make an async test a process on the virtual clock; see `run_virtual`.

    Arguments stay what they are: fixtures, parametrize, `self` of a unittest class, hypothesis's given (above or below).
    node: the name of its node. limit: virtual seconds that it may take.
    """

    def decorate(test: Callable[..., Any]) -> Any:
        def call(*args: Any, **kwargs: Any) -> None:
            settings: dict[str, Any] = {} if node is None else {"node": atom(str(node))}
            run_on(VirtualClockLoop, functools.partial(test, *args, **kwargs), limit=limit, **settings)

        return _sync(test, call, decorate, "virtual")

    return decorate if test is None else decorate(test)


def clustered(
    *names: str, seeds: int | Iterable[int] = 1, connected: bool = True, services: Services | None = services_of_a_node,
    delay: tuple[float, float] = DELAY, notice: tuple[float, float] = NOTICE, limit: float = LIMIT,
) -> Callable[[Callable[..., Any]], Callable[..., None]]:  # fmt: skip
    """Give an async test a fresh `MemoryCluster` of these nodes as its argument `cluster`, on the virtual clock.

        @clustered("a", "b", "c", seeds=20)
        async def test_failover(cluster): ...

    The test itself is no process: it starts them with `cluster.run` and `cluster.spawn`. It is run once for each seed: those
    given, or that many from 0 on, or the one in BEAMISH_SEED; a failure names the seed that it came with. connected: every node
    is connected with every other. services: as in MemoryCluster; by default what real nodes have.
    """
    if not names:
        raise TypeError('clustered() takes the names of the nodes: @clustered("a", "b")')

    def decorate(test: Callable[..., Any]) -> Any:
        async def once(seed: int, arguments: dict[str, Any]) -> None:
            async with MemoryCluster(*names, seed=seed, services=services, delay=delay, notice=notice) as cluster:
                if connected:
                    await cluster.connect_all()
                await test(cluster=cluster, **arguments)

        once.__qualname__ = test.__qualname__
        def call(*args: Any, **kwargs: Any) -> None:
            arguments = signature.bind(*args, **kwargs).arguments
            for seed in _seeds(seeds):
                try:
                    run_cluster(once, seed, arguments, limit=limit)
                except BaseException as error:
                    error.add_note(f"This was seed {seed}; to run it alone: {SEED}={seed}")
                    raise

        parameters = inspect.signature(test).parameters
        if "cluster" not in parameters:
            raise TypeError(f"@clustered gives {test.__qualname__} the argument `cluster`, which it does not take")
        signature = inspect.Signature([each for each in parameters.values() if each.name != "cluster"])
        made = _sync(test, call, None, "clustered")
        made.__signature__ = signature
        return made

    return decorate


def _seeds(seeds: int | Iterable[int]) -> Iterable[int]:
    wanted = os.environ.get(SEED)
    if wanted:
        try:
            return [int(wanted)]
        except ValueError:
            raise ValueError(f"{SEED}={wanted!r}: a seed is a whole number") from None
    return range(seeds) if isinstance(seeds, int) else seeds


def _sync(test: Any, call: Callable[..., None], redo: Callable[[Any], Any] | None, name: str) -> Any:
    """A function with the test's name, arguments and marks, which runs `call`."""
    given = getattr(test, "hypothesis", None)
    if inspect.iscoroutinefunction(getattr(given, "inner_test", None)):
        # @given stands below; it keeps the test where those who run async tests find it.
        if redo is None:
            raise TypeError(f"write @given above @{name}")
        given.inner_test = redo(given.inner_test)  # type: ignore[union-attr]
        return test
    if not inspect.iscoroutinefunction(test):
        raise TypeError(f"@{name} is for `async def` tests; {getattr(test, '__qualname__', test)} is none")

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            call(*args, **kwargs)
        except (ProcessFailed, TimeoutError) as failure:
            if not _only_ours(failure.__traceback__):
                raise
            told = failure.with_traceback(None)  # twenty frames of asyncio and this kit: no news
        else:
            return
        raise told

    return run


def _only_ours(trace: TracebackType | None) -> bool:
    """Whether no frame below the test's own belongs to the test: then the frames tell nothing."""
    files = {frame.f_code.co_filename for frame, _ in traceback.walk_tb(trace)}
    return all(file.startswith(_OURS) for file in files)


__all__ = ["SEED", "clustered", "virtual"]
