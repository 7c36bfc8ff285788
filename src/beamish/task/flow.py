"""What is under way in a stream: which items have tasks, whose results may be read, and when there is room for more. Pure."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from beamish.task.results import NO_INPUT, Exited, Outcome

MOST_WAITING: Final = 1000
"""Results of an ordered stream that may wait for an earlier one; no further items are taken meanwhile."""


class Flow:
    """The items of one stream, by position."""

    def __init__(self, most: int, *, ordered: bool = True, keep_input: bool = True) -> None:
        """most: tasks at a time. keep_input: have each `Exited` carry its item."""
        self.most = most
        self.ordered = ordered
        self.keep_input = keep_input
        self.no_more = False
        """The source has no more items."""
        self.error: Exception | None = None
        """Why the stream cannot go on; the first reason counts."""
        self.started = 0
        self.running = 0
        self.read = 0
        self._inputs: dict[int, Any] = {}
        self._early: dict[int, Outcome[Any]] = {}
        self._ready: deque[Outcome[Any]] = deque()

    @property
    def has_room(self) -> bool:
        """Whether another task may be started. Results that could be read count like running tasks, so that a slow reader is never
        more than `most` items behind."""
        return self.running + len(self._ready) < self.most and len(self._early) < MOST_WAITING

    @property
    def finished(self) -> bool:
        """Whether every result was read, and no more are to come."""
        return self.no_more and self.read == self.started

    def start(self, item: Any) -> int:
        """A task is started for an item; its position."""
        position = self.started
        if self.keep_input:
            self._inputs[position] = item
        self.started += 1
        self.running += 1
        return position

    def deliver(self, position: int, outcome: Outcome[Any]) -> bool:
        """The task at a position is over. True if the reader, should it be waiting, has something to do now."""
        had_room = self.has_room
        self.running -= 1
        item = self._inputs.pop(position, NO_INPUT)
        if isinstance(outcome, Exited):
            outcome = Exited(outcome.reason, item, outcome.error)
        if not self.ordered:
            self._ready.append(outcome)
            return True
        self._early[position] = outcome
        following = self.read + len(self._ready)
        while following in self._early:
            self._ready.append(self._early.pop(following))
            following += 1
        return bool(self._ready) or (not had_room and self.has_room)

    def next(self) -> Outcome[Any] | None:
        """The next result to be read, if it is known."""
        if not self._ready:
            return None
        self.read += 1
        return self._ready.popleft()

    def fail(self, error: Exception) -> None:
        """The stream cannot go on."""
        if self.error is None:
            self.error = error


__all__ = ["MOST_WAITING", "Flow"]
