"""Starting one child inside its supervisor's process, and what its start function may give.

A start function gives a pid or a handle, or Erlang's ``{ok, Pid}``, ``{ok, Pid, Info}``, `ignore`, ``{error, Reason}``; it may
raise StartError (its reason counts), StartIgnored, or anything. A child that it forgot to link is linked here.
"""

from __future__ import annotations

import asyncio
import logging
from types import CoroutineType
from typing import Any, Final, Protocol

from beamish.errors import Exit, NodeError, StartError, StartIgnored
from beamish.gen_server.results import Ignore
from beamish.node.runtime import Runtime
from beamish.process import ControlBlock, current_process, link
from beamish.process._signals import send_exit, unlink
from beamish.process.exits import reason_of
from beamish.supervisor.child_spec import ChildSpec, as_term, shown_id
from beamish.supervisor.child_terms import WITH_KEYWORDS, by_name, start_term
from beamish.supervisor.events import Failed, Ignored, Started
from beamish.supervisor.instance import Instance
from beamish.term import Pid, atom, text

log = logging.getLogger("beamish.supervisor")

SLOW_START: Final = 5.0
"""Seconds after which a child that is still starting is named in the log, again and again."""
_OK: Final = atom.ok
_ERROR: Final = atom.error
_IGNORE: Final = atom.ignore
_EXIT: Final = atom.EXIT
_SERVICE: Final = "supervisor_starts"

Outcome = Started | Ignored | Failed


class Starter(Protocol):
    """A supervisor's server, as far as starting is concerned."""

    runtime: Runtime
    watch: StartWatch

    @property
    def pid(self) -> Pid:
        """Its pid."""

    @property
    def title(self) -> str:
        """How log lines call it."""


class StartWatch:
    """Names the children of one node that take long to start. One timer, that runs only while something starts."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.starting: dict[Starter, tuple[Any, float]] = {}
        self._armed = False

    def begin(self, supervisor: Starter, spec: Any) -> None:
        """A supervisor starts a child; `starting.pop(supervisor)` when it is done."""
        self.starting[supervisor] = (spec, self.runtime.loop.time())
        if not self._armed:
            self._armed = True
            self.runtime.call_later(SLOW_START, self._look)

    def _look(self) -> None:
        now = self.runtime.loop.time()
        for supervisor, (spec, since) in list(self.starting.items()):
            if self.runtime.process_of(supervisor.pid) is None:
                del self.starting[supervisor]
            elif now - since >= SLOW_START - 0.001:
                log.warning(
                    "%s: child %s has been starting for %.0f s (%s); the supervisor waits for it and does nothing else meanwhile",
                    supervisor.title, shown_id(spec.id), now - since, function_name(spec),
                )  # fmt: skip
        self._armed = bool(self.starting)
        if self._armed:
            self.runtime.call_later(SLOW_START, self._look)


def watch_of(runtime: Runtime) -> StartWatch:
    """The watch of a node."""
    watch: StartWatch | None = runtime.services.get(_SERVICE)
    if watch is None:
        watch = runtime.services[_SERVICE] = StartWatch(runtime)
    return watch


def function_name(spec: ChildSpec) -> str:
    """`my_app.counter:Counter.start_link`."""
    module, function, _ = start_term(spec)
    return f"{module}:{function}"


def call_start(runtime: Runtime, start: Any, extra: tuple[Any, ...] = ()) -> Any:
    """Call a start function, with `extra` before its own arguments; what it gives may have to be awaited."""
    if start.__class__ is tuple:
        if by_name(start):
            return call_by_name(runtime, start, extra)
        if len(start) == 2:
            return start[0](*extra, *start[1])
        return start[0](*extra, *start[1], **start[2])
    if not extra:
        return start()
    cls = getattr(start, "cls", None)
    if cls is not None:  # the start of a behaviour's own child_spec(): its arguments come after ours
        return cls.start_link(*extra, *start.args, name=start.name, **start.kwargs)
    return start(*extra)


def call_by_name(runtime: Runtime, start: Any, extra: tuple[Any, ...]) -> Any:
    """Call the function behind a name that another node sent. Raises what the exports policy raises, which names the setting."""
    module, function, args = start
    keywords: dict[str, Any] = {}
    if (module, function) == WITH_KEYWORDS and len(args) == 4:
        module, function, args, keywords = args
    called = named(runtime, module, function, len(extra) + len(args))
    if keywords:
        called = getattr(called, "__wrapped__", called)
    return called(*extra, *args, **{text(key): value for key, value in keywords.items()})


def named(runtime: Runtime, module: Any, function: Any, arity: int) -> Any:
    """The function behind a name, as far as the policy allows it."""
    exports = runtime.services.get("exports")
    if exports is None:
        raise NodeError(
            f"{runtime.node} starts no child by name ({module}:{function}/{arity}): its rpc service is not running (start_node() "
            "or beamish.rpc.start_services(runtime, exports=...))"
        )
    return exports.resolve(module, function, arity)


async def start_child(supervisor: Starter, spec: Any, extra: tuple[Any, ...] = ()) -> Outcome:
    """Start a child, given as a ChildSpec or an Instance. extra: arguments before its own.

    Raises Exit only when the supervisor itself has been killed.
    """
    watch = supervisor.watch
    process = current_process()
    assert process is not None
    try:
        if spec.__class__ is Instance:
            made = spec.cls.start_link(*extra, *spec.args)
        else:
            made = call_start(supervisor.runtime, spec.start, extra)
        if made.__class__ is CoroutineType or hasattr(made, "__await__"):
            watch.begin(supervisor, spec)
            try:
                if spec.start_timeout is None:
                    made = await made
                else:
                    made = await _in_time(made, spec)
            finally:
                watch.starting.pop(supervisor, None)
    except BaseException as error:
        return refusal(error, process)
    return outcome(spec, made, process)


def refusal(error: BaseException, process: ControlBlock) -> Outcome:
    """What an exception of a start function means; raised again when it concerns the supervisor itself, or the interpreter."""
    match error:
        case StartIgnored():
            return Ignored()
        case StartError():
            return Failed(as_term(error.reason), str(error))
        case Exit() if process.status not in ("exiting", "dead"):
            return Failed((_EXIT, as_term(error.reason)))
        case Exception() | asyncio.CancelledError():  # nobody cancels a supervisor: what the start waited for was cancelled
            return Failed(why(error), "" if getattr(error, "reason", None) is None else str(error))
    raise error


def why(error: BaseException) -> Any:
    """The reason that an exception of a start function becomes."""
    reason = getattr(error, "reason", None)  # errors that stand for a reason of Erlang's: a refused call, a failed call
    if reason is not None:
        return as_term(reason)
    return (_EXIT, reason_of(error))


async def _in_time(made: Any, spec: ChildSpec) -> Any:
    process = current_process()
    assert process is not None
    before = set(process.rare_parts.links or ())
    try:
        async with asyncio.timeout(spec.start_timeout) as limit:
            return await made
    except TimeoutError as error:
        if not limit.expired():
            raise
        kill_started(process, before)
        raise StartError(f"not up within {spec.start_timeout:g} s", atom.timeout) from error


def kill_started(process: ControlBlock, before: set[Pid]) -> None:
    """Kill what a start that was given up has left linked to us. Others may link themselves to a supervisor at any time."""
    for pid in list(process.rare_parts.links or ()):
        if pid in before:
            continue
        made = process.home.process_of(pid)
        if pid.node is not process.home.node or (made is not None and made.parent == process.pid):
            unlink(pid)
            send_exit(pid, atom.kill)


def outcome(spec: ChildSpec, made: Any, process: Any) -> Outcome:
    """What a start function gave."""
    info: Any = ...
    if made.__class__ is tuple:
        if len(made) == 2 and made[0] is _ERROR:
            return Failed(as_term(made[1]))
        if len(made) in (2, 3) and made[0] is _OK:
            if len(made) == 3:
                info = made[2]
            made = made[1]
    elif made is _IGNORE or isinstance(made, Ignore):
        return Ignored()
    pid = made if made.__class__ is Pid else getattr(made, "pid", None)
    if pid.__class__ is not Pid:
        module, function, _ = start_term(spec)
        return Failed((atom.bad_return, (module, function, as_term(made))))
    links = process.rare_parts.links
    if links is None or pid not in links:
        link(pid)  # it forgot to; one that is dead already says so
    return Started(pid, info)


__all__ = ["SLOW_START", "StartWatch", "Starter", "call_by_name", "call_start", "function_name", "kill_started", "named",
           "outcome", "refusal", "start_child", "watch_of"]  # fmt: skip
