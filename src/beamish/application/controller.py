"""The application controller: one process per node, `application_controller`, which starts and stops applications.

It answers the requests that Erlang's `application` module makes of its controller, so that a peer can ask it directly.

Source  OTP 25, kernel: application_controller.erl (behaviour), application(3).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final

from beamish.application import node_stop
from beamish.application.errors import ApplicationError, SpecError, UnknownApplication
from beamish.application.locate import not_found
from beamish.application.master import FAILED, STARTED, STOP, master
from beamish.application.reports import why_ended, why_not_started
from beamish.application.spec import ApplicationSpec, name_of
from beamish.application.table import Applications, Running, applications_of
from beamish.errors import BeamishError, NoRuntime
from beamish.node.runtime import Runtime
from beamish.process import current_process, receive, send, spawn_link, trap_exit
from beamish.process import self as self_pid
from beamish.process.gen import GEN_CALL, CallFailed, call, reply
from beamish.term import Atom, Pid, atom, charlist

log = logging.getLogger("beamish.application")

NAME: Final = atom.application_controller
STOP_ALL: Final = atom("$stop_applications")
OWN: Final = ("kernel", "stdlib", "beamish")
TYPES: Final = ("permanent", "transient", "temporary")


class Controller:
    """What the controller's process does with its messages."""

    def __init__(self, table: Applications) -> None:
        self.table = table
        self.waiting: dict[str, list[Any]] = {}
        self.stop_waiting: dict[str, list[Any]] = {}
        self.types: dict[str, str] = {}
        self.stopping_all: list[Any] = []
        self.stopping = False

    async def run(self) -> None:
        """Body of the process."""
        trap_exit()
        me = current_process()
        assert me is not None
        me.leader = self.table.runtime.user
        me.rare_parts.label = "application_controller (system)"
        while True:
            message = await receive()
            try:
                self.handle(message)
            except Exception as error:
                log.exception("application_controller could not handle %.300r", message)
                if isinstance(message, tuple) and message[0] is GEN_CALL:
                    reply(message[1], (atom.error, (atom.badarg, str(error)[:300])))

    def handle(self, message: Any) -> None:
        """One message."""
        match message:
            case (tag, (Pid(), _) as from_, request) if tag is GEN_CALL:
                self.asked(from_, request)
            case (tag, pid, child, top) if tag is STARTED:
                self.started(pid, child, top)
            case (tag, pid, reason) if tag is FAILED:
                self.not_started(pid, reason)
            case (atom.EXIT, pid, reason):
                self.ended(pid, reason)

    def asked(self, from_: Any, request: Any) -> None:
        """A call: Erlang's, or `$stop_applications`."""
        match request:
            case (atom.start_application, Atom() as app, Atom() as kind):
                self.start(from_, str(app), str(kind))
            case (atom.stop_application, Atom() as app):
                self.stop(from_, str(app))
            case (atom.load_application, Atom() as app):
                reply(from_, self.loaded(from_, str(app)))
            case (atom.unload_application, Atom() as app):
                reply(from_, self._tried(self.table.unload, str(app)))
            case (atom.set_env, app, key, value, options):
                self.table.put(str(app), str(key), value, persistent=(atom.persistent, True) in options)
                reply(from_, atom.ok)
            case (atom.unset_env, app, key, options):
                self.table.delete(str(app), str(key), persistent=(atom.persistent, True) in options)
                reply(from_, atom.ok)
            case atom.which_applications:
                reply(from_, erlang_list(self.table, self.table.started))
            case atom.loaded_applications:
                reply(from_, erlang_list(self.table, self.table.specs))
            case _ if request is STOP_ALL:
                self.stopping = True
                self.stopping_all.append(from_)
                self.stop_next()
            case _:
                reply(from_, (atom.error, (atom.unknown_request, request)))

    def loaded(self, from_: Any, name: str) -> Any:
        """Load an application by its name. Not for other nodes: it imports whatever module has that name."""
        if from_[0].node is not self.table.runtime.node and name not in self.table.specs:
            log.warning("%s asked to load the application %s; only this node loads applications", from_[0], name)
            return (atom.error, not_found(name))
        return self._tried(self.table.load, name)

    def _tried(self, change: Any, name: str) -> Any:
        try:
            change(name)
        except ApplicationError as error:
            return (atom.error, error.reason)
        except SpecError as error:
            return (atom.error, (atom.bad_application, str(error)))
        return atom.ok

    # ---- starting

    def start(self, from_: Any, name: str, kind: str) -> None:
        """Start an application, or answer why not. Whoever asks while it is starting gets the same answer."""
        if name in self.waiting:
            self.waiting[name].append(from_)
            return
        reason = self._refusal(from_, name, kind)
        if reason is not None:
            reply(from_, (atom.error, reason))
            return
        spec = self.table.specs[name]
        if spec.module is None:
            self.table.started[name] = Running(name, kind)
            reply(from_, atom.ok)
            return
        pid = spawn_link(master, self.table, spec, self_pid(), self.table.runtime.user)
        self.waiting[name] = [from_]
        self.table.starting[name] = Running(name, kind, pid)
        self.table.owners[pid] = name

    def _refusal(self, from_: Any, name: str, kind: str) -> Any:
        if self.stopping:
            return atom.stopping
        if kind not in TYPES:
            return (atom.bad_restart_type, atom(kind))
        if name in self.table.started:
            return (atom.already_started, atom(name))
        if name not in self.table.specs:
            loaded = self.loaded(from_, name)
            if loaded is not atom.ok:
                return loaded[1]
        spec = self.table.specs[name]
        for needed in spec.needed:
            if needed not in self.table.started and (needed in spec.applications or needed in self.table.specs):
                return (atom.not_started, atom(needed))
        return None

    def started(self, pid: Any, child: Pid, top: Pid) -> None:
        """A master says that its application runs."""
        name = self.table.owners.get(pid)
        running = None if name is None else self.table.starting.pop(name, None)
        if name is None or running is None:
            return
        running.child, running.top = child, top
        self.table.started[name] = running
        log.info("application %s started (%s)", name, running.type)
        self._answer(self.waiting, name, atom.ok)

    def not_started(self, pid: Any, reason: Any) -> None:
        """A master says that its application did not start; what it had started is gone."""
        name = self.table.owners.pop(pid, None)
        if name is not None and self.table.starting.pop(name, None) is not None:
            self._answer(self.waiting, name, (atom.error, reason))
            self._answer(self.stop_waiting, name, atom.ok)
        self.stop_next()

    # ---- stopping

    def stop(self, from_: Any, name: str) -> None:
        """Stop an application in order, and answer when it is gone."""
        running = self.table.started.get(name)
        if running is None:
            reply(from_, (atom.error, (atom.not_started, atom(name))))
        elif running.master is None:
            if name in OWN:
                reply(from_, (atom.error, (atom.not_stoppable, atom(name))))
                return
            del self.table.started[name]
            reply(from_, atom.ok)
        else:
            asked = name in self.stop_waiting
            self.stop_waiting.setdefault(name, []).append(from_)
            if not asked:
                send(running.master, (STOP, self_pid()))

    def stop_next(self) -> None:
        """When the node stops: the next application to go, the one that was started last."""
        if not self.stopping:
            return
        running = [*self.table.started.values(), *self.table.starting.values()]
        left = [each for each in running if each.master is not None]
        if not left:
            for from_ in self.stopping_all:
                reply(from_, atom.ok)
            self.stopping_all.clear()
            return
        last = left[-1]
        if last.name not in self.stop_waiting and last.master is not None:
            self.stop_waiting[last.name] = []
            send(last.master, (STOP, self_pid()))

    def ended(self, pid: Any, reason: Any) -> None:
        """A master has ended: because it was told to, or because its tree has."""
        name = self.table.owners.pop(pid, None)
        if name is None:
            return
        if self.table.starting.pop(name, None) is not None:
            self._answer(self.waiting, name, (atom.error, reason))
        running = self.table.started.pop(name, None)
        if name in self.stop_waiting:
            log.info("application %s stopped", name)
            self._answer(self.stop_waiting, name, atom.ok)
        elif running is not None:
            self._ended_by_itself(running, reason)
        self.stop_next()

    def _ended_by_itself(self, running: Running, reason: Any) -> None:
        runtime = self.table.runtime
        text = why_ended(running.name, running.type, reason, node_stop.cause_of(runtime, running.top))
        if running.type == "permanent" or (running.type == "transient" and reason is not atom.normal):
            node_stop.request_stop(runtime, 1, text)
        elif reason is atom.normal or reason is atom.shutdown:
            log.warning("%s", text)
        else:
            log.error("%s", text)

    def _answer(self, table: dict[str, list[Any]], name: str, answer: Any) -> None:
        for from_ in table.pop(name, ()):
            reply(from_, answer)


def erlang_list(table: Applications, names: Iterable[str]) -> list[Any]:
    """``[{Application, Description, Vsn}]`` with the texts as charlists, as Erlang's callers expect."""
    return [(atom(each.name), charlist(each.description), charlist(each.version)) for each in table.info(names)]


# ---- asking it


def start_controller(runtime: Runtime) -> Pid:
    """The controller of a node, started if it does not run. Runtime.stop() stops the applications first from then on."""
    process = runtime.names.get(NAME)
    if process is not None:
        return process.pid
    if runtime.closed:
        raise NoRuntime("the node has stopped")
    pid = runtime.spawn(Controller(applications_of(runtime)).run, name=NAME, system=True)
    process = runtime.process_of(pid)
    assert process is not None
    process.rare_parts.on_exit = lambda _process, reason: _lost(runtime, reason)
    if node_stop.HOOK not in runtime.services:
        runtime.services[node_stop.HOOK] = lambda: node_stop.stop_applications(runtime)
        runtime.stopping.append(runtime.services[node_stop.HOOK])
    return pid


def _lost(runtime: Runtime, reason: Any) -> None:
    """Without its controller a node cannot be trusted to run what it should: it stops, as Erlang's does."""
    if not runtime.services.get("node_is_going"):
        runtime.loop.call_soon(node_stop.request_stop, runtime, 1, f"application_controller ended with {reason!r}")


async def start(runtime: Runtime, app: Any, kind: str) -> None:
    """See Application.start."""
    table = applications_of(runtime)
    if kind not in TYPES:
        raise ValueError(f"the type of an application is permanent, transient or temporary, not {kind!r}")
    name = table.loaded(app).name
    answer = await call(start_controller(runtime), (atom.start_application, atom(name), atom(kind)), None)
    if answer is atom.ok:
        return
    reason = answer[1]
    error = table.failures.pop(name, None)
    raise ApplicationError(why_not_started(name, reason, error), reason, application=name) from error


async def ensure_started(runtime: Runtime, app: Any, kind: str) -> None:
    """See Application.ensure_started."""
    if applications_of(runtime).loaded(app).name not in applications_of(runtime).started:
        await start(runtime, app, kind)


async def ensure_all_started(runtime: Runtime, apps: Iterable[Any], kind: str) -> list[str]:
    """See Application.ensure_all_started."""
    started: list[str] = []
    path: list[str] = []
    try:
        for app in apps:
            await _with_dependencies(runtime, app, kind, path, started)
    except (BeamishError, ValueError) as error:
        for name in reversed(started):
            try:
                await stop(runtime, name)
            except ApplicationError as failure:
                log.info("%s", failure)
        if len(path) > 1 and isinstance(error, ApplicationError | SpecError):
            raise _in_chain(path, error) from error
        raise
    return started


async def _with_dependencies(runtime: Runtime, app: Any, kind: str, path: list[str], started: list[str]) -> None:
    """Start what an application depends on, and it. `path` is left as it was where the failure happened."""
    table = applications_of(runtime)
    name = name_of(app)
    if name in path:
        circle = [*path[path.index(name) :], name]
        raise ApplicationError(
            f"applications depend on each other in a circle: {' -> '.join(circle)}",
            (atom.circular_dependency, [atom(each) for each in circle]), application=name,
        )  # fmt: skip
    path.append(name)
    spec: ApplicationSpec = table.loaded(app)
    if spec.name not in table.started:
        for needed in spec.needed:
            try:
                await _with_dependencies(runtime, spec.classes.get(needed, needed), kind, path, started)
            except UnknownApplication as error:
                if needed in spec.applications or error.application != needed:
                    raise
                path.pop()
        await start(runtime, spec.name, kind)
        started.append(spec.name)
    path.pop()


def _in_chain(path: list[str], error: ApplicationError | SpecError) -> BeamishError:
    """The error of a dependency, told with the way that led to it."""
    if isinstance(error, SpecError):
        return SpecError(f"application {path[0]} needs {' -> '.join(path[1:])}: {error}")
    if isinstance(error.reason, tuple) and error.reason[0] is atom.circular_dependency:
        return ApplicationError(str(error), error.reason, application=error.application)
    why = f"application {path[0]} needs {' -> '.join(path[1:])}: {error}"
    return type(error)(why, error.reason, application=error.application)


async def stop(runtime: Runtime, name: str) -> None:
    """See Application.stop."""
    answer = await call(start_controller(runtime), (atom.stop_application, atom(name)), None)
    if answer is not atom.ok:
        why = "it belongs to the node" if name in OWN else "it is not started"
        raise ApplicationError(f"application {name} cannot be stopped: {why}", answer[1], application=name)


async def configure(runtime: Runtime, config: Mapping[str, Mapping[str, Any]]) -> None:
    """See Application.configure."""
    table = applications_of(runtime)
    for name, change in table.configure(config).items():
        running = table.started.get(name)
        if running is None or running.child is None:
            continue
        table.changes[name] = change
        try:
            await call(running.child, atom.config_change, None)
        except CallFailed:
            log.info("application %s ended before it heard of its new configuration", name)


def top_of(runtime: Runtime, name: str) -> Pid | None:
    """See Application.top_supervisor."""
    running = applications_of(runtime).started.get(name)
    return None if running is None else running.top


__all__ = [
    "NAME", "STOP_ALL", "Controller", "configure", "ensure_all_started", "ensure_started", "erlang_list", "start",
    "start_controller", "stop", "top_of",
]  # fmt: skip
