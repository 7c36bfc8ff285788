"""One test on one runtime: what it has started, what is to be cleaned up after it, and what crashed meanwhile.

The order at the end is ExUnit's: the test's process ends with reason `shutdown`, which also ends whatever is linked to it; then
the supervised children stop, the youngest first; then the `on_exit` callbacks run, the youngest first.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final

from beamish.errors import Exit
from beamish.node.runtime import ProcessFailed, Runtime
from beamish.process import ControlBlock
from beamish.process._signals import kill_process
from beamish.process.exits import _from_the_users_code, exit_within
from beamish.process.info import coroutine_frames, initial_call
from beamish.term import atom

SERVICE: Final = "testing"
LABEL: Final = "the test"
"""Label of the process that a test is, for logs and listings."""

MOST_CRASHES = 50
MOST_LISTED = 20
STEP_LIMIT = 600.0
"""Seconds that stopping the children, or one callback, may take."""

LAST_TURNS = 10
"""Turns of the loop for processes that were linked to the test to end in order."""


class LinkedProcessFailed(ProcessFailed):
    """A process that the test was linked to ended, and the test's process with it; the cause is what ended it."""

    def __init__(self, reason: Any, crash: Crash, error: BaseException) -> None:
        super().__init__(reason)
        self.args = (f"a process linked to the test crashed: {crash.what}: {type(error).__name__}: {error}",)
        self.pid = crash.pid


class Crash:
    """A process that an exception has ended."""

    def __init__(self, process: ControlBlock, reason: Any, error: BaseException) -> None:
        rare = process.rare_parts
        module, function, _ = initial_call(process)
        self.pid = process.pid
        self.reason = reason
        name = f"{rare.names[0]} " if rare.names else ""
        # A server's crash report labels the process with its class, the last message and the state.
        about = f"[{rare.label}]" if rare.label is not None else f"(started as {module}:{function})"
        self.what = f"{name}{process.pid} {about}"
        # Whoever is linked may be the test. Others' exceptions are let go, for they keep alive what they and their frames hold.
        self._error = error if rare.links else None
        # The kernel takes it off the error, for the same reason.
        self._trace: TracebackType | None = _from_the_users_code(error.__traceback__) if rare.links else None

    @property
    def error(self) -> BaseException | None:
        """The exception of a linked process, with the traceback it had."""
        return None if self._error is None else self._error.with_traceback(self._trace)


class Case:
    """`Case.of(runtime)` is the test that runs on it; it is made when first asked for."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.cleanups: list[Callable[[], Any]] = []
        self.forgotten: list[str] = []
        """Assertions that nobody awaited."""

        self.closed = False
        self.keeper: Any = None
        """What holds the supervisor of `start_supervised`, once that was used."""

        self.stop_children: Callable[[], Any] | None = None
        self._crashes: deque[Crash] = deque(maxlen=MOST_CRASHES)
        self._report = runtime.report
        runtime.report = self._crashed
        runtime.services[SERVICE] = self
        runtime.stopping.append(self.close)

    @classmethod
    def of(cls, runtime: Runtime) -> Case:
        """The test of this runtime."""
        return cls.within(runtime) or cls(runtime)

    @classmethod
    def within(cls, runtime: Runtime) -> Case | None:
        """The test of this runtime, if there is one already."""
        found: Case | None = runtime.services.get(SERVICE)
        return found

    # ---- crashes

    def _crashed(self, process: ControlBlock, reason: Any, error: BaseException) -> None:
        if not self.closed:
            self._crashes.append(Crash(process, reason, error))
        if self._report is not None:
            self._report(process, reason, error)

    def crash_with(self, reason: Any) -> Crash | None:
        """The crash that made this exit reason: the same object, which linked processes pass on."""
        return next((crash for crash in self._crashes if crash.reason is reason), None)

    def crash_of(self, pid: Any) -> Crash | None:
        """The crash of this process."""
        return next((crash for crash in self._crashes if crash.pid == pid), None)

    # ---- the life of a test

    async def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """Run the test as a process, and give what it returns; its exception is raised here.

        Raises LinkedProcessFailed when a linked process crashed, ProcessFailed when another exit signal ended it.
        """
        done: asyncio.Future[Any] = self.runtime.loop.create_future()

        async def test() -> None:
            try:
                result = function(*args)
                if hasattr(result, "__await__"):
                    result = await result
            except (KeyboardInterrupt, SystemExit, Exit):
                raise
            except BaseException as error:
                if exit_within(error) is not None:
                    raise
                if not done.done():
                    done.set_exception(error)
                raise Exit(atom.shutdown) from error  # raised from here, so not logged as a crash too
            if not done.done():
                done.set_result(result)
            raise Exit(atom.shutdown)

        def ended(_process: Any, reason: Any) -> None:
            if not done.done():
                done.set_exception(self.failure(reason))

        pid = self.runtime.spawn(test)
        process = self.runtime.process_of(pid)
        assert process is not None
        process.rare_parts.on_exit = ended
        process.rare_parts.label = LABEL
        try:
            return await done
        finally:
            left = self.runtime.process_of(pid)
            if left is not None and (not done.done() or done.cancelled()):
                kill_process(left)
            else:
                for _ in range(LAST_TURNS):
                    await asyncio.sleep(0)

    def failure(self, reason: Any) -> ProcessFailed:
        """The error for the end of a test's process: with the crash behind it, if that was a linked process's."""
        crash = self.crash_with(reason)
        error = None if crash is None else crash.error
        if crash is None or error is None:
            return ProcessFailed(reason)
        failure = LinkedProcessFailed(reason, crash, error)
        failure.__cause__ = error
        return failure

    async def close(self) -> None:
        """Stop what was started and run the callbacks; everything is tried, then the failures are raised."""
        if self.closed:
            return
        failures: list[Exception] = []
        for step in [*([self.stop_children] if self.stop_children is not None else []), *reversed(self.cleanups)]:
            try:
                async with asyncio.timeout(STEP_LIMIT):
                    await self.runtime.run(step)
            except Exception as failure:
                failures.append(failure)
        if self.forgotten:
            failures.append(AssertionError(f"not awaited, so it has checked nothing: {', '.join(self.forgotten)}"))
        self.closed = True
        self.cleanups.clear()
        self._crashes.clear()
        if len(failures) == 1:
            raise failures[0]
        if failures:
            raise ExceptionGroup("the clean-up of the test failed", failures)


def line_of(process: ControlBlock) -> str:
    """One line about a process for people: who it is, what it does, where it waits."""
    details = process.details
    rare = details["rare"]
    name = f"{rare.names[0]} " if rare is not None and rare.names else ""
    frames = coroutine_frames(process.get_coro())
    if rare is not None and rare.label is not None:
        what = f"[{rare.label}]"
    elif frames and frames[0].f_code.co_name == "serve" and "cls" in frames[0].f_locals:
        what = f"[{frames[0].f_locals['cls'].__qualname__}]"  # a server is known by its class
    else:
        module, function, _ = initial_call(process)
        what = f"{module}:{function}"
    where = ""
    # Where its own code waits says more than the line of the library that it waits in.
    own = [frame for frame in frames if not _is_library(frame.f_code.co_filename)]
    if own:
        where = f", at {os.path.relpath(own[-1].f_code.co_filename)}:{own[-1].f_lineno} in {own[-1].f_code.co_name}"
    unread = details["queue"]
    waiting = f", {unread} message{'s' if unread > 1 else ''} unread" if unread else ""
    return f"{name}{process.pid} {what} is {process.status}{where}{waiting}"


def listing(runtime: Runtime) -> str:
    """Every process of a runtime, a line each, those that the system itself started left out."""
    blocks = [runtime.process_of(pid) for pid in runtime.pids()]
    lines = [line_of(block) for block in blocks if block is not None and not block.system]
    if len(lines) > MOST_LISTED:
        lines[MOST_LISTED:] = [f"… and {len(lines) - MOST_LISTED} more"]
    return "\n".join("  " + line for line in lines) or "  none"


def _is_library(path: str) -> bool:
    return f"{os.sep}asyncio{os.sep}" in path or path.startswith(_HERE)


_HERE: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

__all__ = ["Case", "Crash", "LinkedProcessFailed", "line_of", "listing"]
