"""A loop whose clock jumps: when everybody sleeps it is at once the time at which the first one wakes.

    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        runner.run(main())          # asyncio.sleep(3600) takes no time, and loop.time() has moved by 3600

Everything that asks the loop for time lives by this clock: asyncio.sleep, asyncio.timeout, loop.call_later, and the
receive timeouts and timers of processes. What really takes time still does: the clock stands still while a thread of
`to_thread` works, and sockets are asked before it jumps. The idea is that of trio's mock clock.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

PATIENCE = 10.0
"""Real seconds that a loop without a single timer waits for a thread or a socket before it calls itself stuck."""

SETTLE = 0.005
"""Real seconds that open sockets are given to bring something before the clock jumps."""


class Stuck(RuntimeError):
    """Nothing can happen any more: no timer is set, and no thread or socket has come to life for a long while."""


class _JumpingSelector(selectors.BaseSelector):
    """Asks the real selector first; where that would block, the clock moves instead."""

    def __init__(self, loop: VirtualClockLoop, real: selectors.BaseSelector) -> None:
        self._loop = loop
        self._real = real

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.get_key(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready. `timeout` is in virtual seconds: None when no timer is set, 0 when callbacks wait to be run."""
        found = self._real.select(0)
        if found or (timeout is not None and timeout <= 0):
            return found
        if self._loop.rested():
            return found
        if timeout is None or self._loop.others_at_work():
            found = self._real.select(self._loop.patience)
            if not found:
                raise Stuck(
                    f"nothing has happened for {self._loop.patience:g} s and nothing can: no timer is set and every "
                    "process and task waits (for a message that nobody sends?). Process.info() shows where"
                )
            return found
        # One descriptor is the loop's own, through which threads wake it.
        if len(self._real.get_map()) > 1:
            found = self._real.select(min(self._loop.settle, timeout))
        if not found:
            self._loop.jump(timeout)
        return found


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """asyncio's selector loop on virtual time, which starts at 0.

    patience: see PATIENCE. settle: see SETTLE; a test over real sockets may want more, one without needs none.
    """

    def __init__(self, *, patience: float = PATIENCE, settle: float = SETTLE) -> None:
        self.patience = patience
        self.settle = settle
        self.threads_at_work = 0
        self.at_work: list[Callable[[], bool]] = []
        """Say whether something works beside the loop, and time must stand still."""

        self.listings: list[Callable[[], str]] = []
        """Say who is there and waits for what, for the message of a test that hangs."""
        self._now = 0.0
        self._resting: list[asyncio.Future[None]] = []
        super().__init__(_JumpingSelector(self, selectors.DefaultSelector()))

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass at once, as a process that computes for so long would; what is due runs in the next turn."""
        if seconds < 0:
            raise ValueError(f"time does not run backwards ({seconds:g} s)")
        self._now += seconds

    def jump(self, timeout: float) -> None:
        """The selector found nothing to do for so long."""
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        # To the timer's own time where it is known: sums of floats miss it by a hair.
        self._now = max(self._now, scheduled[0].when()) if scheduled else self._now + timeout

    async def at_rest(self) -> None:
        """Wait, without time passing, until nothing is left to do now: every process and task waits, for a message, a thread
        or a later time."""
        waiter: asyncio.Future[None] = self.create_future()
        self._resting.append(waiter)
        await waiter

    def rested(self) -> bool:
        """There is nothing to do now: wake those in `at_rest`, if there are any."""
        if not self._resting or self.others_at_work():
            return False
        waiters, self._resting = self._resting, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        return True

    def others_at_work(self) -> bool:
        """Whether a thread works for somebody on this loop."""
        return self.threads_at_work > 0 or any(asked() for asked in self.at_work)

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """As in asyncio; the clock stands still until the thread has finished."""
        future = super().run_in_executor(executor, func, *args)
        self.threads_at_work += 1
        future.add_done_callback(self._thread_done)
        return future

    def _thread_done(self, _future: asyncio.Future[Any]) -> None:
        self.threads_at_work -= 1


def now() -> float:
    """The running loop's time in seconds; on the virtual clock, since the test began."""
    return asyncio.get_running_loop().time()


async def settle() -> None:
    """Wait until everybody has done what there is to do at this moment; no time passes.

    After a cast, for instance, the server has handled it, and whatever it sent has been handled too. Raises RuntimeError where
    time is real, for there nobody knows. A process that never rests (two that send to each other for ever) keeps it waiting.
    """
    await _virtual("settle()").at_rest()


async def advance(seconds: float) -> None:
    """Let time pass on the virtual clock: what is due meanwhile happens in its order, and has settled when this returns.

    Raises RuntimeError where time is real.
    """
    if seconds < 0:
        raise ValueError(f"time does not run backwards ({seconds:g} s)")
    loop = _virtual("advance()")
    if seconds:
        await asyncio.sleep(seconds)
    await loop.at_rest()


def _virtual(verb: str) -> VirtualClockLoop:
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualClockLoop):
        raise RuntimeError(f"{verb} needs the virtual clock: make the test @virtual, or run it with run_virtual()")
    return loop


__all__ = ["PATIENCE", "SETTLE", "Stuck", "VirtualClockLoop", "advance", "now", "settle"]
