"""The process in which a shell evaluates: it has a pid and a mailbox, and outlives what is typed into it.

Inputs come to it through a queue and not through its mailbox, which belongs to the user. An exception, an exit() and
Ctrl-C end an evaluation; only an exit signal (a link that broke, Process.exit) ends the process, and then the shell
starts another one with the same variables.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

from beamish.errors import Exit
from beamish.process import ControlBlock, current_process
from beamish.process.exits import exit_within
from beamish.shell.short_traceback import FILENAME
from beamish.shell.source_text import NOTHING, run_input

if TYPE_CHECKING:
    from beamish.node.runtime import Runtime
    from beamish.term import Pid

MODULE = "__shell__"


class Interrupted(Exception):
    """Ctrl-C ended the evaluation."""


class EvaluatorDied(Exception):
    """An exit signal ended the evaluating process; `reason` says which."""

    def __init__(self, reason: Any) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(eq=False)
class _Job:
    source: str
    number: int
    done: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Evaluator:
    """Evaluates inputs one after the other in a process of a runtime."""

    def __init__(self, runtime: Runtime, names: dict[str, Any]) -> None:
        self.runtime = runtime
        self.module = _session_module()
        self.namespace = self.module.__dict__
        self.namespace.update(names)
        self.number = 1
        self.running: _Job | None = None
        self.interrupt_asked = False
        self.closing = False
        self.on_death: Callable[[Any], None] = lambda reason: None
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue()
        self._process: ControlBlock | None = None

    @property
    def pid(self) -> Pid:
        """The evaluating process; started if there is none."""
        return self._started().pid

    def _started(self) -> ControlBlock:
        if self._process is None or self._process.done():
            self._jobs = asyncio.Queue()
            pid = self.runtime.spawn(self._serve)
            process = self.runtime.process_of(pid)
            assert process is not None
            process.rare_parts.label = "shell"
            process.rare_parts.on_exit = self._ended
            self._process = process
        return self._process

    async def evaluate(self, source: str) -> Any:
        """Run an input; its value, or NOTHING. What it raises is raised here, Interrupted and EvaluatorDied as well."""
        self._started()
        job = _Job(source, self.number)
        self.number += 1
        self.interrupt_asked = False
        self.running = job
        self._jobs.put_nowait(job)
        try:
            value = await job.done
        finally:
            self.running = None
        if value is not NOTHING and value is not None:
            self.namespace["_"] = value
        return value

    def interrupt(self) -> None:
        """End the running evaluation, if there is one. To be called from a signal handler in the loop's thread.

        Code that is running now sees KeyboardInterrupt at once; code that waits is woken up.
        """
        job, process = self.running, self._process
        if job is None or job.done.done() or process is None:
            return
        again, self.interrupt_asked = self.interrupt_asked, True
        running = current_process()
        if running is process:
            raise KeyboardInterrupt
        if running is not None and again:
            raise Exit("interrupted")  # another process does not let anybody else run
        process.home.loop.call_soon_threadsafe(self._wake, job)

    def _wake(self, job: _Job) -> None:
        if self._process is None or job.done.done():
            return
        if not self._process.home.interrupt(self._process, KeyboardInterrupt()):
            self._process.cancel("interrupted")

    async def _serve(self) -> None:
        while True:
            try:
                job = await self._jobs.get()
            except (KeyboardInterrupt, asyncio.CancelledError):
                continue  # an interrupt that came too late
            await self._run(job)

    async def _run(self, job: _Job) -> None:
        try:
            value = await run_input(job.source, FILENAME.format(number=job.number), self.namespace)
        except (KeyboardInterrupt, asyncio.CancelledError) as error:
            process = current_process()
            while process is not None and process.cancelling():
                process.uncancel()
            if self.interrupt_asked:
                _settle(job, Interrupted())
            else:
                _settle(job, error if isinstance(error, asyncio.CancelledError) else Interrupted())
        except SystemExit as error:
            _settle(job, Leave(error.code))
        except GeneratorExit:
            raise
        except BaseException as error:
            if exit_within(error) is not None and _from_a_signal(error):
                raise
            _settle(job, error)
        else:
            if not job.done.done():
                job.done.set_result(value)

    def _ended(self, _process: Any, reason: Any) -> None:
        if self.running is not None and not self.running.done.done():
            _settle(self.running, EvaluatorDied(reason))
        elif not self.closing:
            self.on_death(reason)


class Leave(Exception):
    """exit() or quit() was called."""


def _settle(job: _Job, error: BaseException) -> None:
    if job.done.done():
        return
    if isinstance(error, Exit | asyncio.CancelledError):
        error = Ended(error)
    job.done.set_exception(error)


class Ended(Exception):
    """Carries what may not travel through a future as it is."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error


def _from_a_signal(error: BaseException) -> bool:
    """Did an exit signal end the process, rather than exit() in the input?"""
    process = current_process()
    return process is not None and process.status in ("exiting", "dead")


def _session_module() -> ModuleType:
    """A module for what is typed, registered so that dataclasses, pickling and annotations find it."""
    import sys

    module = ModuleType(MODULE, "What was typed into this shell.")
    sys.modules[MODULE] = module
    return module
