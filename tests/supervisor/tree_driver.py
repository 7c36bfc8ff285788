"""Plays the part of the supervisor's process for a `Tree`: performs its actions on children that exist only by number."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from beamish.supervisor.child_spec import ChildSpec
from beamish.supervisor.events import (
    Again,
    Boot,
    Event,
    Exited,
    Failed,
    Halt,
    Ignored,
    Quit,
    Reply,
    Report,
    Retry,
    Start,
    Started,
    Stop,
    Stopped,
)
from beamish.supervisor.strategy import Tree
from beamish.term import Pid, atom

NODE = atom("tables@nohost")


def nothing() -> None:
    """A start function that is never called."""


def spec(id: Any, restart: str = "permanent", **keys: Any) -> ChildSpec:
    """A child of a table."""
    return ChildSpec(id, nothing, restart, **keys)  # type: ignore[arg-type]


class Driver:
    """One supervisor without processes. trace: what was done, as ("start" | "stop" | "fail" | "ignore", id)."""

    def __init__(self, tree: Tree, starts: Callable[[Any], str] | None = None) -> None:
        """starts: asked for each start with the child's id, gives "ok", "error" or "ignore"."""
        self.tree = tree
        self.starts = starts or (lambda id: "ok")
        self.now = 0.0
        self.trace: list[tuple[str, Any]] = []
        self.alive: dict[Pid, Any] = {}
        self.reports: list[Report] = []
        self.replies: list[Any] = []
        self.retries: list[Any] = []
        self.quit: Any = None
        self._numbers = itertools.count(1)

    def boot(self) -> Driver:
        """Start it, and forget the trace of that."""
        self.tell(Boot())
        self.trace.clear()
        return self

    def tell(self, event: Event) -> list[tuple[str, Any]]:
        """Tell the tree of an event, perform what it says, retries excepted; gives what was done."""
        before = len(self.trace)
        following: Event | None = event
        while following is not None:
            actions = self.tree.step(following, self.now)
            following = None
            for place, action in enumerate(actions):
                match action:
                    case Start(child):
                        assert place == len(actions) - 1, "a Start is the last action of its step"
                        following = self._start(child)
                    case Stop(child):
                        assert place == len(actions) - 1, "a Stop is the last action of its step"
                        self.trace.append(("stop", child.spec.id))
                        del self.alive[child.pid]
                        following = Stopped()
                    case Retry(key):
                        self.retries.append(key)
                    case Reply(value):
                        self.replies.append(value)
                    case Quit(reason):
                        self.quit = reason
                    case Report():
                        self.reports.append(action)
        assert not self.tree.busy
        return self.trace[before:]

    def _start(self, child: Any) -> Event:
        id = child.spec.id
        how = self.starts(id)
        self.trace.append(({"ok": "start", "error": "fail", "ignore": "ignore"}[how], id))
        if how == "error":
            return Failed(atom.no_start)
        if how == "ignore":
            return Ignored()
        pid = Pid(NODE, next(self._numbers), 0, 1)
        assert id not in self.alive.values(), f"{id} was started while it was running"
        self.alive[pid] = id
        return Started(pid)

    def pid(self, id: Any) -> Pid:
        """The pid of a running child."""
        return next(pid for pid, each in self.alive.items() if each == id)

    def ends(self, id: Any, reason: Any) -> list[tuple[str, Any]]:
        """A child ends; retries are made until there are none."""
        pid = self.pid(id)
        del self.alive[pid]
        done = self.tell(Exited(pid, reason))
        while self.retries and self.quit is None:
            done = done + self.tell(Again(self.retries.pop(0)))
        if self.quit is not None:
            done = done + self.tell(Halt())
        return done
