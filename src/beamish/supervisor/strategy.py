"""What a supervisor does when something happens to its children, as decisions without I/O.

    actions = tree.step(event, now)        the state is changed in place: a supervisor may have very many children

The process performs the actions in their order. `Start` and `Stop` are always the last of a step; what came of them is the next
event, and nothing else may be told to the tree before (`tree.busy`). So every strategy can be tested as a table.

Source  OTP 25, stdlib: supervisor.erl, whose answers to requests are used as they are.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, Final

from beamish.supervisor.child_spec import (
    AUTO_SHUTDOWNS,
    BRUTAL_KILL,
    ChildSpec,
    as_term,
    check_child,
    check_children,
    id_of,
    shown_id,
)
from beamish.supervisor.child_terms import modules_term, to_map, to_record
from beamish.supervisor.events import (
    Action,
    Add,
    Again,
    Boot,
    Child,
    Delete,
    Event,
    Exited,
    Failed,
    Halt,
    Ignored,
    Quit,
    Reply,
    Report,
    Restart,
    Retry,
    Start,
    Started,
    Stop,
    Stopped,
    Terminate,
)
from beamish.supervisor.intensity import BadOption, Intensity
from beamish.term import Pid, atom

STRATEGIES: Final = ("one_for_one", "one_for_all", "rest_for_one")
_SHUTDOWN: Final = atom.shutdown
_NORMAL: Final = atom.normal
_ERROR: Final = atom.error
_OK: Final = atom.ok


def orderly(reason: Any) -> bool:
    """Whether a reason is an ordinary end: `normal`, `shutdown` or ``{shutdown, Term}``."""
    if reason is _NORMAL or reason is _SHUTDOWN:
        return True
    return reason.__class__ is tuple and len(reason) == 2 and reason[0] is _SHUTDOWN


def stopped_badly(spec: ChildSpec, reason: Any) -> bool:
    """Whether a child that was asked to stop ended with another reason than that asks for; this is to be reported."""
    if reason is (atom.killed if spec.shutdown == BRUTAL_KILL else _SHUTDOWN):
        return False
    return spec.restart == "permanent" or not orderly(reason)


class Tree:
    """The children of one supervisor, in the order in which they start."""

    def __init__(
        self, specs: Iterable[ChildSpec] = (), strategy: str = "one_for_one", intensity: Intensity | None = None,
        auto_shutdown: str = "never",
    ) -> None:  # fmt: skip
        """Raises BadOption, BadChildSpec."""
        self.strategy = _one_of("strategy", strategy, STRATEGIES, atom.invalid_strategy)
        self.auto_shutdown = _one_of("auto_shutdown", auto_shutdown, AUTO_SHUTDOWNS, atom.invalid_auto_shutdown)
        self.intensity = intensity or Intensity()
        self.children = {key: Child(key, spec) for key, spec in check_children(specs, self.auto_shutdown).items()}
        self.by_pid: dict[Pid, Child] = {}
        self.halted = False
        # The sequence in progress: first these stop, then those start, for this purpose.
        self._stops: list[Child] = []
        self._starts: list[Child] = []
        self._purpose: Event | None = None

    @property
    def busy(self) -> bool:
        """Whether a `Start` or `Stop` is not answered yet."""
        return self._purpose is not None

    def step(self, event: Event, now: float) -> list[Action]:
        """What is to be done. now: seconds of any clock that does not run backwards."""
        match event:
            case Started() | Ignored() | Failed() | Stopped():
                assert self._purpose is not None
                return self._result(event)
        assert self._purpose is None, f"{event} while {self._purpose} is in progress"
        match event:
            case Exited(pid, reason):
                child = self.by_pid.pop(pid, None)
                return [] if child is None else self._ended(child, pid, reason, event, now)
            case Again(key):
                found = self.children.get(key)
                return [] if found is None or not found.restarting else self._restart(found, event, now)
            case Boot():
                return self._begin(event, starts=list(self.children.values()))
            case Halt():
                self.halted = True
                return self._begin(event, stops=[child for child in reversed(self.children.values()) if child.pid is not None])
            case Add(spec):
                return self._add(spec, event)
            case _:
                return self._request(event)

    def take_over(self, old: Tree) -> None:
        """The specifications have changed (this is the new tree): children keep running under their new ones, those that are
        no longer among them stay behind the others, and new ones are not started."""
        assert not old.busy
        self.intensity = old.intensity.changed(self.intensity)
        for key, child in old.children.items():
            fresh = self.children.get(key)
            if fresh is not None:
                child.spec = fresh.spec
            self.children[key] = child
        self.by_pid = old.by_pid

    # ---- requests

    def _add(self, spec: ChildSpec, event: Add) -> list[Action]:
        key = check_child(spec, self.auto_shutdown)
        present = self.children.get(key)
        if present is not None:
            why = atom.already_present if present.pid is None else (atom.already_started, present.pid)
            return [Reply((_ERROR, why))]
        return self._begin(event, starts=[Child(key, spec)])

    def _request(self, event: Terminate | Restart | Delete) -> list[Action]:
        child = self.children.get(event.key)
        if child is None:
            return [Reply((_ERROR, atom.not_found))]
        if isinstance(event, Terminate):
            if child.pid is not None:
                return self._begin(event, stops=[child])
            self._forget(child)
            return [Reply(_OK)]
        if child.pid is not None or child.restarting:
            return [Reply((_ERROR, atom.restarting if child.restarting else atom.running))]
        if isinstance(event, Restart):
            return self._begin(event, starts=[child])
        del self.children[child.key]
        return [Reply(_OK)]

    # ---- a child has ended

    def _ended(self, child: Child, pid: Pid, reason: Any, event: Event, now: float) -> list[Action]:
        child.pid = None
        restart = child.spec.restart
        if restart == "permanent" or (restart == "transient" and not orderly(reason)):
            actions = self._restart(child, event, now)
            did = "it is not started again" if isinstance(actions[0], Report) else self._restarts(child)
            return [Report("child_terminated", child.spec, pid, reason, did), *actions]
        self._forget(child)
        done: list[Action] = []
        closes = self._closes(child)
        if not orderly(reason):
            did = "it is temporary and is not started again"
            if closes:
                did += f"; auto_shutdown is {self.auto_shutdown}, so the supervisor stops"
            done.append(Report("child_terminated", child.spec, pid, reason, did))
        elif closes:
            did = f"auto_shutdown is {self.auto_shutdown}, so the supervisor stops"
            done.append(Report("auto_shutdown", child.spec, pid, reason, did))
        if closes:
            done.append(Quit(_SHUTDOWN))
        return done

    def _closes(self, child: Child) -> bool:
        """Whether the end of this child is the end of the supervisor."""
        if not child.spec.significant or self.auto_shutdown == "never":
            return False
        if self.auto_shutdown == "any_significant":
            return True
        return not any(
            other.spec.significant and (other.pid is not None or other.restarting) for other in self.children.values()
        )

    def _forget(self, child: Child) -> None:
        """It does not run and shall not: a temporary child is gone, of another one the specification stays."""
        child.pid = None
        child.restarting = False
        if child.spec.restart == "temporary":
            self.children.pop(child.key, None)

    def _restarts(self, child: Child) -> str:
        """What a restart of this child means, in words."""
        others = len(self._stops)
        with_them = f" and {others} other{'s' if others > 1 else ''}, which it stops first" if others else ""
        count = f"restart {len(self.intensity.times)} of at most {self.intensity}"
        return f"the supervisor starts it again{with_them} ({self.strategy}, {count})"

    def _restart(self, child: Child, event: Event, now: float) -> list[Action]:
        if not self.intensity.add(now):
            reason = atom.reached_max_restart_intensity
            self._forget(child)
            did = f"that is more than {self.intensity}: the supervisor stops its children and ends with reason shutdown"
            return [Report("shutdown", child.spec, child.pid, reason, did), Quit(_SHUTDOWN)]
        if self.strategy == "one_for_one":
            return self._begin(event, starts=[child])
        affected = list(self.children.values())
        if self.strategy == "rest_for_one":
            affected = affected[affected.index(child) :]
        stops = []
        for other in reversed(affected):
            if other.pid is not None:
                stops.append(other)
            else:
                self._forget(other)
        starts = [other for other in affected if other.spec.restart != "temporary"]
        return self._begin(event, stops, starts)

    # ---- sequences of stops and starts

    def _begin(self, purpose: Event, stops: list[Child] | None = None, starts: list[Child] | None = None) -> list[Action]:
        self._purpose = purpose
        self._stops = stops or []
        self._starts = starts or []
        # They are taken from the end.
        self._stops.reverse()
        self._starts.reverse()
        return self._next([])

    def _next(self, done: list[Action]) -> list[Action]:
        if self._stops:
            done.append(Stop(self._stops[-1]))
        elif self._starts:
            done.append(Start(self._starts[-1]))
        else:
            purpose, self._purpose = self._purpose, None
            if isinstance(purpose, Terminate):
                done.append(Reply(_OK))
        return done

    def _result(self, event: Started | Ignored | Failed | Stopped) -> list[Action]:
        if isinstance(event, Stopped):
            child = self._stops.pop()
            if child.pid is not None:
                self.by_pid.pop(child.pid, None)
            self._forget(child)
            return self._next([])
        child = self._starts.pop()
        if isinstance(event, Failed):
            return self._failed(child, event.reason, event.text)
        child.restarting = False
        adding = isinstance(self._purpose, Add)
        if isinstance(event, Started):
            child.pid = event.pid
            self.by_pid[event.pid] = child
        if isinstance(event, Ignored) and child.spec.restart == "temporary":
            self.children.pop(child.key, None)
        elif adding:
            self.children[child.key] = child
        if adding or isinstance(self._purpose, Restart):
            pid = atom.undefined if isinstance(event, Ignored) else event.pid
            extra = () if isinstance(event, Ignored) or event.info is ... else (event.info,)
            return self._next([Reply((_OK, pid, *extra))])
        return self._next([])

    def _failed(self, child: Child, reason: Any, text: str) -> list[Action]:
        purpose = self._purpose
        self._purpose = None
        self._starts = []
        match purpose:
            case Add():
                if reason.__class__ is tuple and len(reason) == 2 and reason[0] is atom.already_started:
                    return [Reply((_ERROR, reason))]
                return [Reply((_ERROR, (reason, to_record(child.spec))))]
            case Restart():
                return [Reply((_ERROR, reason))]
            case Boot():
                up = sum(1 for other in self.children.values() if other.pid is not None)
                did = f"the supervisor does not start{f' and stops the {up} it had started' if up else ''}"
                why = (_SHUTDOWN, (atom.failed_to_start_child, id_of(child.spec.id), reason))
                words = text and f"its child {shown_id(child.spec.id)} could not be started: {text}"
                return [Report("start_error", child.spec, None, reason, did, text), Quit(why, words)]
        # A restart: what stands behind it waits until it is up.
        child.restarting = True
        return [Report("start_error", child.spec, None, reason, "the supervisor tries again", text), Retry(child.key)]

    # ---- looking in

    def which_children(self) -> list[tuple[Any, Any, Any, Any]]:
        """``{Id, Pid | undefined | restarting, Type, Modules}``, the child that was started last first, as OTP lists them."""
        return [listed(child) for child in reversed(self.children.values())]

    def counts(self) -> dict[str, int]:
        """How many specs, active children, supervisors and workers there are."""
        children = self.children.values()
        supervisors = sum(1 for child in children if child.spec.type == "supervisor")
        active = sum(1 for child in children if child.pid is not None)
        return {"specs": len(children), "active": active, "supervisors": supervisors, "workers": len(children) - supervisors}

    def get_childspec(self, key: Hashable) -> Any:
        """The answer to get_childspec."""
        child = self.children.get(key)
        return (_ERROR, atom.not_found) if child is None else (_OK, to_map(child.spec))


def listed(child: Child) -> tuple[Any, Any, Any, Any]:
    """A child as which_children lists it."""
    spec = child.spec
    pid = atom.restarting if child.restarting else child.pid if child.pid is not None else atom.undefined
    return id_of(spec.id), pid, atom(spec.type), modules_term(spec)


def _one_of(option: str, value: Any, known: tuple[str, ...], tag: Any) -> str:
    if str(value) not in known:
        shown = atom(value) if isinstance(value, str) else as_term(value)
        raise BadOption(f"{option} must be {', '.join(known[:-1])} or {known[-1]}, not {value!r}", (tag, shown))
    return str(value)
