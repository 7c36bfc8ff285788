"""What a dynamic supervisor does when something happens to one of its children, as decisions without I/O.

There may be a million of them and no order between them, so they are entries of one dict, by pid, and the entry is what is
needed to start the child again: its `ChildSpec`; for a temporary child, which never is, one spec without arguments that many
share.

Source  Elixir 1.14: dynamic_supervisor.ex.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final

from beamish.supervisor.child_spec import ChildSpec, as_term, replace
from beamish.supervisor.child_terms import by_name, modules_term
from beamish.supervisor.events import Quit, Report
from beamish.supervisor.instance import Instance
from beamish.supervisor.intensity import BadOption, Intensity
from beamish.supervisor.strategy import orderly
from beamish.term import Pid, atom

MOST_KINDS: Final = 64
"""How many different temporary children are kept as one spec each; of further ones each has its own."""


class Restarting:
    """The entry of a child that could not be started again yet."""

    __slots__ = ("spec",)

    def __init__(self, spec: Spec) -> None:
        self.spec = spec


Spec = Any
"""A `ChildSpec`, or an `Instance`, which has the same."""


class Pool:
    """The children of one dynamic supervisor. In the order in which they were started, though nobody may rely on it."""

    def __init__(self, intensity: Intensity | None = None, max_children: Any = None) -> None:
        """max_children: None or `math.inf` for any number. Raises BadOption."""
        if max_children is None or max_children is atom.infinity:
            max_children = math.inf
        if max_children != math.inf and (not isinstance(max_children, int) or isinstance(max_children, bool) or max_children < 0):
            raise BadOption(
                f"max_children must be a number of children, 0 or more, or math.inf, not {max_children!r}",
                (atom.invalid_max_children, as_term(max_children)),
            )
        self.intensity = intensity or Intensity()
        self.max_children: float = max_children
        self.children: dict[Pid, Spec | Restarting] = {}
        self._kept: dict[tuple[Any, ...], ChildSpec] = {}

    def keep(self, pid: Pid, spec: Spec) -> None:
        """A child was started."""
        if spec.__class__ is Instance:
            self.children[pid] = spec if spec.spec.restart != "temporary" else spec.spec
        else:
            self.children[pid] = spec if spec.restart != "temporary" else self._without_arguments(spec)

    def _without_arguments(self, spec: ChildSpec) -> ChildSpec:
        start = spec.start
        if by_name(start):
            start = (*start[:2], [])  # type: ignore[index]
            function: Any = start[:2]
        else:
            function = start[0] if isinstance(start, tuple) else start
            cls = getattr(function, "cls", None)  # the start of a behaviour's own child_spec(), an object for each child
            if isinstance(cls, type):
                function = cls.start_link  # type: ignore[attr-defined]
            start = (function, ())
        look = (function, spec.shutdown, spec.type, spec.modules)
        try:
            kept = self._kept.get(look)
        except TypeError:  # a function object that has no hash
            return spec
        if kept is None:
            if len(self._kept) >= MOST_KINDS:
                return spec
            kept = self._kept[look] = replace(spec, start=start, id=None)
        return kept

    def ended(self, pid: Pid, reason: Any, now: float) -> tuple[Report | None, Spec | Quit | None]:
        """A process has ended: what to report, and which child to start again in its place (or that the supervisor ends)."""
        entry = self.children.get(pid)
        if entry is None or entry.__class__ is Restarting:
            return None, None
        spec: Spec = entry
        if spec.restart == "permanent" or (spec.restart == "transient" and not orderly(reason)):
            then = self.again(pid, spec, now)
            count = f"restart {len(self.intensity.times)} of at most {self.intensity}"
            did = "it is not started again" if isinstance(then, Quit) else f"the supervisor starts it again ({count})"
            return Report("child_terminated", spec, pid, reason, did), then
        del self.children[pid]
        if orderly(reason):
            return None, None
        return Report("child_terminated", spec, pid, reason, "it is temporary and is not started again"), None

    def again(self, pid: Pid, spec: Spec, now: float) -> Spec | Quit:
        """Count one more attempt to start a child in the place of `pid`."""
        if self.intensity.add(now):
            return spec
        del self.children[pid]
        return Quit(atom.shutdown)

    def restarted(self, old: Pid, new: Pid | None, spec: Spec) -> None:
        """It runs again under another pid; None: it chose not to."""
        del self.children[old]
        if new is not None:
            self.keep(new, spec)

    def failed(self, old: Pid, spec: Spec) -> None:
        """It could not be started; another attempt will follow."""
        self.children[old] = Restarting(spec)

    def waiting(self, pid: Pid) -> Spec | None:
        """The child that waits for another attempt in the place of `pid`."""
        entry = self.children.get(pid)
        return entry.spec if isinstance(entry, Restarting) else None

    def running(self) -> Iterable[tuple[Pid, Spec]]:
        """Those that run."""
        return ((pid, entry) for pid, entry in self.children.items() if entry.__class__ is not Restarting)

    def which_children(self) -> list[tuple[Any, Any, Any, Any]]:
        """``{undefined, Pid | restarting, Type, Modules}`` of each."""
        found = []
        for pid, entry in self.children.items():
            spec = entry.spec if isinstance(entry, Restarting) else entry
            shown = atom.restarting if spec is not entry else pid
            found.append((atom.undefined, shown, atom(spec.type), modules_term(spec)))
        return found

    def counts(self) -> dict[str, int]:
        """How many specs, active children, supervisors and workers there are."""
        active = supervisors = 0
        for entry in self.children.values():
            spec = entry.spec if isinstance(entry, Restarting) else entry
            active += spec is entry
            supervisors += spec.type == "supervisor"
        specs = len(self.children)
        return {"specs": specs, "active": active, "supervisors": supervisors, "workers": specs - supervisors}
