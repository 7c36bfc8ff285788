"""Restart intensity: more than so many restarts within so many seconds, and the supervisor gives up.

Source  OTP 25, stdlib: supervisor (add_restart/1), which counts whole seconds; here time is exact.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from beamish.errors import StartError
from beamish.supervisor.child_spec import as_term
from beamish.term import atom

DEFAULT_RESTARTS: Final = 3
DEFAULT_SECONDS: Final = 5.0


class BadOption(StartError, ValueError):
    """An option of a supervisor that makes no sense; `reason` is the term of Erlang's ``{error, Reason}``."""


class Intensity:
    """The restarts of the last `max_seconds` seconds; at most ``max_restarts + 1`` are remembered."""

    __slots__ = ("max_restarts", "max_seconds", "times")

    def __init__(self, max_restarts: int = DEFAULT_RESTARTS, max_seconds: float = DEFAULT_SECONDS) -> None:
        """Raises BadOption."""
        if not isinstance(max_restarts, int) or isinstance(max_restarts, bool) or max_restarts < 0:
            raise BadOption(
                f"max_restarts must be a number of restarts, 0 or more, not {max_restarts!r}",
                (atom.invalid_intensity, as_term(max_restarts)),
            )
        if not isinstance(max_seconds, int | float) or isinstance(max_seconds, bool) or not max_seconds > 0:
            raise BadOption(
                f"max_seconds must be a number of seconds above 0, not {max_seconds!r}",
                (atom.invalid_period, as_term(max_seconds)),
            )
        self.max_restarts = max_restarts
        self.max_seconds = float(max_seconds)
        self.times: deque[float] = deque(maxlen=max_restarts + 1)

    def add(self, now: float) -> bool:
        """Count a restart; False if it is one too many."""
        self.times.append(now)
        while self.times[0] < now - self.max_seconds:
            self.times.popleft()
        return len(self.times) <= self.max_restarts

    def changed(self, to: Intensity) -> Intensity:
        """Other limits, with the restarts that were counted so far."""
        made = Intensity(to.max_restarts, to.max_seconds)
        made.times.extend(self.times)
        return made

    def __str__(self) -> str:
        times = "restart" if self.max_restarts == 1 else "restarts"
        return f"{self.max_restarts} {times} in {self.max_seconds:g} s"
