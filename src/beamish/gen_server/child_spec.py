"""`ChildSpec`: the recipe by which a supervisor starts, watches and stops one child. Pure.

It lives here and not with the supervisors because every behaviour makes specs of itself (`Counter.child_spec(10)`).

Source  OTP 25, stdlib: supervisor, "Child specification".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

Restart = Literal["permanent", "transient", "temporary"]
Shutdown = float | Literal["brutal_kill"]
Kind = Literal["worker", "supervisor"]
Start = Callable[..., Any] | tuple[Any, ...]

RESTARTS: Final = ("permanent", "transient", "temporary")
KINDS: Final = ("worker", "supervisor")


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """How to run one child.

    id: any hashable term, unique among the supervisor's children. start: a function (sync or async) that is called in the
    supervisor's process and gives a pid or a handle; or ``(function, args)``; or a term ``(Module, Function, Args)`` for what
    runs by name. restart: permanent (always), transient (after a crash), temporary (never). shutdown: seconds between the
    polite exit signal and the kill, math.inf to wait for ever, or "brutal_kill". start_timeout: seconds the start may take.
    """

    id: Any
    start: Start
    restart: Restart = "permanent"
    shutdown: Shutdown = 5.0
    type: Kind = "worker"
    significant: bool = False
    modules: tuple[Any, ...] = ()
    start_timeout: float | None = None

    def __post_init__(self) -> None:
        if self.restart not in RESTARTS:
            raise ValueError(f"child {self.id!r}: restart is one of {', '.join(RESTARTS)}, not {self.restart!r}")
        if self.type not in KINDS:
            raise ValueError(f"child {self.id!r}: type is worker or supervisor, not {self.type!r}")
        if self.shutdown != "brutal_kill" and not (isinstance(self.shutdown, int | float) and self.shutdown >= 0):
            raise ValueError(
                f"child {self.id!r}: shutdown is seconds, math.inf or 'brutal_kill', not {self.shutdown!r}")  # fmt: skip
        if not callable(self.start) and not (isinstance(self.start, tuple) and len(self.start) in (2, 3)):
            forms = "a function, (function, args) or (Module, Function, Args)"
            raise TypeError(f"child {self.id!r}: start is {forms}, not {self.start!r}")
        if self.significant and self.restart == "permanent":
            raise ValueError(f"child {self.id!r}: a significant child is transient or temporary, for a permanent one never ends")


__all__ = ["KINDS", "RESTARTS", "ChildSpec", "Kind", "Restart", "Shutdown", "Start"]
