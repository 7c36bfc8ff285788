"""The process of a supervisor, as far as it is the same for all kinds: a GenServer that traps exits.

Source  OTP 25, stdlib: supervisor.erl.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from beamish import etf
from beamish.errors import EncodeError
from beamish.gen_server.client import From
from beamish.gen_server.results import IGNORE, Ignore, Stop
from beamish.gen_server.server import GenServer
from beamish.node.runtime import Runtime, current_runtime
from beamish.process import ControlBlock, current_process, trap_exit
from beamish.process._signals import send_exit
from beamish.supervisor import report
from beamish.supervisor.child_spec import BadChildSpec
from beamish.supervisor.events import Report
from beamish.supervisor.intensity import DEFAULT_RESTARTS, DEFAULT_SECONDS, BadOption, Intensity
from beamish.supervisor.starting import StartWatch, watch_of
from beamish.term import Pid, atom
from beamish.term.convert import shown_value

log = logging.getLogger("beamish.supervisor")

_ERROR: Final = atom.error


def options_of(cls: type, given: Any, known: frozenset[str]) -> dict[str, Any]:
    """The class's attributes, and what its `init` gave beside or instead of them. Raises BadOption for one that is not known."""
    name = cls.__qualname__
    found = {key: getattr(cls, key) for key in known if hasattr(cls, key)}
    if not isinstance(given, dict):
        raise BadOption(f"{name}.init gave {given!r} as options; they are a dict", (atom.bad_return, shown_value(given)))
    for key, value in given.items():
        if str(key) not in known:
            names = ", ".join(sorted(known))
            raise BadOption(f"{name}: such a supervisor has no option {key}; its options are {names}", (atom.badarg, str(key)))
        found[str(key)] = value
    return found


@contextmanager
def refusals() -> Iterator[None]:
    """Give what is refused here the reason with which a supervisor of OTP does not start."""
    try:
        yield
    except BadChildSpec as error:
        error.reason = (atom.start_spec, error.reason)
        raise
    except BadOption as error:
        error.reason = (atom.supervisor_data, error.reason)
        raise


def intensity_of(options: dict[str, Any]) -> Intensity:
    """The restart intensity among the options. Raises BadOption."""
    return Intensity(options.get("max_restarts", DEFAULT_RESTARTS), options.get("max_seconds", DEFAULT_SECONDS))


class Plan:
    """What a supervisor is started with. error, words: why it could not be, for whoever started it."""

    __slots__ = ("args", "error", "kwargs", "module", "name", "words")

    def __init__(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], name: str | None = None) -> None:
        self.module = module
        self.name = name
        self.args = args
        self.kwargs = kwargs
        self.error: Exception | None = None
        self.words = ""


class SupervisingServer(GenServer):
    """Runs the `init` of a supervisor's class and keeps its children."""

    process: ControlBlock
    runtime: Runtime
    watch: StartWatch
    module: Any
    called: str | None
    given: tuple[tuple[Any, ...], dict[str, Any]]

    async def init(self, plan: Plan) -> Any:
        """Ask the class for its plan, then begin."""
        trap_exit(True)
        process = current_process()
        assert process is not None
        self.process = process
        self.runtime = current_runtime()
        self.watch = watch_of(self.runtime)
        self.module = module = plan.module
        self.given, self.called = (plan.args, plan.kwargs), plan.name
        module.__target__ = self.pid
        module._home = self.runtime
        try:
            made = module.init(*plan.args, **plan.kwargs)
            if hasattr(made, "__await__"):
                made = await made
            if isinstance(made, Ignore) or made is atom.ignore:
                return IGNORE
            if isinstance(made, Stop):
                return made
            with refusals():
                self.prepare(made)
        except (BadChildSpec, BadOption) as error:
            error.__traceback__ = None
            plan.error = error
            return Stop(error.reason)
        return await self.begin(plan)

    def prepare(self, made: Any) -> None:
        """Make the state out of what the class's `init` gave. Raises BadChildSpec, BadOption."""
        raise NotImplementedError

    async def begin(self, plan: Plan) -> Any:
        """Start the children; what GenServer's init gives."""

    async def code_change(self, old_version: Any, extra: Any) -> None:
        """The class has new code: ask its `init` again. Children that run go on; what changed counts from their next start."""
        made = self.module.init(*self.given[0], **self.given[1])
        if hasattr(made, "__await__"):
            made = await made
        if not isinstance(made, Ignore):
            self.prepare(made)

    @property
    def title(self) -> str:
        """How log lines call this supervisor."""
        own = f"{type(self).__qualname__} {self.pid}"
        return f"supervisor {own}" if self.called is None else f"supervisor {self.called} ({own})"

    # ---- messages

    def visible(self, from_: From, answer: Any) -> Any:
        """An answer for whoever asked: abroad it must be a term, and a child's arguments need not be one."""
        if from_[0].node is self.runtime.node:
            return answer
        try:
            etf.encode(answer)
        except EncodeError:
            return shown_value(answer)
        return answer

    def handle_call(self, request: Any, from_: From) -> Any:
        """A request that this kind of supervisor does not know."""
        log.error("%s was asked %s by %s, which it does not know", self.title, shown_value(request), from_[0])
        return (_ERROR, (atom.unknown_request, atom(type(self).__name__)))

    def handle_cast(self, request: Any) -> Any:
        """Nobody casts to a supervisor but itself."""
        log.error("%s received an unexpected cast: %s", self.title, shown_value(request))

    def handle_info(self, message: Any) -> Any:
        """Exits of children are handled by the subclasses."""
        match message:
            case (atom.spawn_reply, _, atom.ok, Pid() as pid):
                # The start of a child on another node was given up; here it is.
                log.warning("%s: %s came up after its start was given up, and is killed", self.title, pid)
                send_exit(pid, atom.kill)
            case (atom.spawn_reply, _, _, _):
                pass
            case _:
                log.error("%s received an unexpected message: %s", self.title, shown_value(message))

    def told(self, what: Report) -> None:
        """Log what went wrong with a child, and keep it for whoever has to explain the end of this supervisor."""
        report.keep(self.runtime, self.pid, what, report.write(self.title, what))


__all__ = ["Plan", "SupervisingServer"]
