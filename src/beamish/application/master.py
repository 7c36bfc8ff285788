"""The application master: group leader of an application's processes, and the process in which its callbacks run.

As in OTP there are two: the master answers at any time (it passes io requests on), the callbacks run in a child of it, to
which the top of the tree is linked.

    controller -- spawn --> master -- spawn_link --> child -- start() --> top supervisor
    top ends by itself:   child calls stop(), exits with top's reason; master clears up, exits with it
    stop:                 child calls prep_stop(), sends the top `shutdown`, waits, calls stop(), exits; likewise

Source  OTP 25, kernel: application_master.erl (behaviour), application(3).
"""

from __future__ import annotations

import inspect
import logging
from typing import Any, Final

from beamish.application.reports import ends_of, place_of, remaining_lines
from beamish.application.spec import ApplicationSpec
from beamish.application.table import Applications
from beamish.errors import BeamishError, Exit, ReceiveTimeout, StartError
from beamish.gen_server.system import term_or_text
from beamish.node.runtime import current_runtime
from beamish.process import Process, current_process, group_leader, link, monitor, receive, self, send, spawn_link, trap_exit
from beamish.process._signals import kill_process
from beamish.process.exits import reason_of
from beamish.process.gen import GEN_CALL, reply
from beamish.supervisor import Supervisor
from beamish.term import Pid, atom

log = logging.getLogger("beamish.application")

PATIENCE: Final = 10.0
"""Seconds that a start or a stop takes before it is said; then twice as long each time."""

STARTED: Final = atom("$application_started")
FAILED: Final = atom("$application_failed")
STOP: Final = atom("$application_stop")
IO_REQUEST: Final = atom.io_request
NORMAL_START: Final = "normal"


# ---- the master


async def master(table: Applications, spec: ApplicationSpec, controller: Pid, leader: Pid | None) -> None:
    """Body of an application master. Tells the controller ``(STARTED, self, child, top)`` or ``(FAILED, self, reason)``."""
    trap_exit()
    me = current_process()
    assert me is not None
    me.leader = me.pid
    me.rare_parts.label = f"application master of {spec.name}"
    child = spawn_link(_callbacks, table, spec, me.pid)
    top: Pid | None = None
    waits = Patience()
    reason: Any = atom.normal
    while True:
        try:
            message = await receive(timeout=None if top is not None else waits.left)
        except ReceiveTimeout:
            log.warning("application %s has been starting for %g s: %s", spec.name, waits.over(), place_of(table.runtime, child))
            continue
        match message:
            case (tag, *_) if tag is IO_REQUEST:
                if leader is not None:
                    send(leader, message)
            case (tag, pid, started) if tag is STARTED and pid == child:
                top = started
                send(controller, (STARTED, me.pid, child, top))
            case (tag, pid, why) if tag is FAILED and pid == child:
                _clear_up(table, me.pid)
                send(controller, (FAILED, me.pid, why))
                return
            case (tag, pid) if tag is STOP and pid == controller:
                if top is None:
                    await _give_up_starting(table, spec, child)
                    _clear_up(table, me.pid)
                    raise Exit(atom.shutdown)
                send(child, (STOP, me.pid))
            case (atom.EXIT, pid, why) if pid == child:
                reason = why
                break
            case (atom.EXIT, pid, why) if pid == controller:
                send(child, (STOP, me.pid))
    _clear_up(table, me.pid)
    raise Exit(reason)


async def _give_up_starting(table: Applications, spec: ApplicationSpec, child: Pid) -> None:
    """Stop an application whose `start` has not returned: whatever it has started goes, in order."""
    links = [pid for pid in links_of(child) if pid != self()]
    waiting = {monitor(pid) for pid in (child, *links)}
    Process.exit(child, atom.kill)
    waits = Patience()
    while waiting:
        try:
            waiting.discard((await _down(waits.left))[1])
        except ReceiveTimeout:
            lines = remaining_lines(table.runtime, self())
            log.warning("application %s has been stopping for %g s; left of it:\n%s", spec.name, waits.over(), lines)


def links_of(pid: Pid) -> list[Pid]:
    """The local processes that a local one is linked to."""
    found: Any = Process.info(pid, "links")
    return [each for each in found or () if each.node is pid.node]


async def _down(timeout: float) -> Any:
    return await receive(lambda message: type(message) is tuple and len(message) == 5 and message[0] is atom.DOWN, timeout=timeout)


def _clear_up(table: Applications, me: Pid) -> None:
    """Kill what is left of the application: processes that its tree started and did not stop."""
    for process in ends_of(table.runtime, me):
        kill_process(process)


# ---- the child


async def _callbacks(table: Applications, spec: ApplicationSpec, parent: Pid) -> None:
    trap_exit()
    me = current_process()
    assert me is not None
    me.rare_parts.label = f"application {spec.name}"
    table.failures.pop(spec.name, None)
    kind: Any = spec.module
    try:
        application = kind()
        top, state = await _started(application, spec)
    except Exception as error:
        table.failures[spec.name] = error
        await _take_down(table, spec, [pid for pid in links_of(me.pid) if pid != parent])
        send(parent, (FAILED, me.pid, _start_reason(spec, error)))
        return
    send(parent, (STARTED, me.pid, top))
    while True:
        match await receive():
            case (atom.EXIT, pid, reason) if pid == top:
                await _called(spec, application, "stop", state)
                raise Exit(reason)
            case (tag, pid) if tag is STOP and pid == parent:
                break
            case (atom.EXIT, pid, reason) if pid == parent:
                break
            case (tag, from_, atom.config_change) if tag is GEN_CALL:
                change = table.changes.pop(spec.name, None)
                if change is not None:
                    await _called(spec, application, "config_change", change.changed, change.new, change.removed)
                reply(from_, atom.ok)
    prepared = await _called(spec, application, "prep_stop", state, otherwise=state)
    await _take_down(table, spec, [top])
    await _called(spec, application, "stop", prepared)


class BadStart(BeamishError, TypeError):
    """`start` returned something that is no tree."""


async def _started(application: Any, spec: ApplicationSpec) -> tuple[Pid, Any]:
    """Run `start` and the start phases: the top of the tree, linked to this process, and the state."""
    start = getattr(application, "start", None)
    where = f"{type(application).__qualname__}.start"
    if start is None:
        raise BadStart(f"{type(application).__qualname__} has no start(self, start_type, args), so there is nothing to start")
    result = start(NORMAL_START, spec.args)
    if inspect.isawaitable(result):
        result = await result
    state: Any = None
    if isinstance(result, tuple) and len(result) == 2 and not isinstance(result[0], type):
        result, state = result
    if isinstance(result, list):
        result = await _supervised(application, result)
    top = result if isinstance(result, Pid) else getattr(result, "pid", None)
    if not isinstance(top, Pid):
        hint = "it returned nothing; was a `return` forgotten?" if result is None else f"not {result!r:.300}"
        raise BadStart(f"{where} must return the top supervisor (a handle or pid) or a list of children: {hint}")
    if top.node is not self().node:
        raise BadStart(f"{where} returned {top}, which lives on another node; the top of a tree is local")
    if top == self():
        raise BadStart(f"{where} returned its own process; start a supervisor and return that")
    link(top)
    for phase, args in spec.start_phases:
        result = application.start_phase(phase, NORMAL_START, args)
        if inspect.isawaitable(result):
            await result
    return top, state


async def _supervised(application: Any, children: list[Any]) -> Any:
    return await Supervisor.start_link(
        children, strategy=application.strategy, max_restarts=application.max_restarts, max_seconds=application.max_seconds
    )


def _start_reason(spec: ApplicationSpec, error: Exception) -> Any:
    """What Erlang's application:start gives as ``{error, Reason}``."""
    kind: Any = spec.module
    call = (atom(f"{kind.__module__}.{kind.__qualname__}"[:255]), atom.start, [atom.normal, term_or_text(spec.args)])
    if isinstance(error, BadStart):
        return (atom.bad_return, (call, str(error)))
    if isinstance(error, StartError):
        return (term_or_text(error.reason), call)
    return (atom.bad_return, (call, (atom.EXIT, reason_of(error))))


async def _take_down(table: Applications, spec: ApplicationSpec, pids: list[Pid]) -> None:
    """Send `shutdown` to linked processes and wait for their end, which their own shutdown times bound."""
    waiting = {monitor(pid) for pid in pids}
    for pid in pids:
        Process.exit(pid, atom.shutdown)
    waits = Patience()
    while waiting:
        try:
            waiting.discard((await _down(waits.left))[1])
        except ReceiveTimeout:
            lines = remaining_lines(table.runtime, group_leader())
            log.warning("application %s has been stopping for %g s; left of it:\n%s", spec.name, waits.over(), lines)


async def _called(spec: ApplicationSpec, application: Any, name: str, *args: Any, otherwise: Any = None) -> Any:
    """An optional callback; its crash is logged and changes nothing."""
    callback = getattr(application, name, None)
    if callback is None:
        return otherwise
    try:
        result = callback(*args)
        return await result if inspect.isawaitable(result) else result
    except Exception:
        log.exception("application %s: %s.%s failed", spec.name, type(application).__qualname__, name)
        return otherwise


class Patience:
    """Growing times after which a wait is worth a line in the log."""

    def __init__(self) -> None:
        self.begun = current_runtime().loop.time()
        self.next = PATIENCE

    @property
    def left(self) -> float:
        """Seconds until then."""
        return max(0.0, self.begun + self.next - current_runtime().loop.time())

    def over(self) -> float:
        """It is time: the seconds waited so far. The next time is after as long again."""
        waited, self.next = self.next, 2 * self.next
        return waited


__all__ = ["FAILED", "PATIENCE", "STARTED", "STOP", "Patience", "master"]
