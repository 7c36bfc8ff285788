"""How tasks end, as values and as errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, NoReturn, TypeVar

from beamish.errors import BeamishError
from beamish.process.exits import text_of
from beamish.term import Atom, Pid, atom

if TYPE_CHECKING:
    from beamish.task.task import Task

T = TypeVar("T")
NO_INPUT: Final = ...


class TaskFailed(BeamishError):
    """The awaited task ended without a result.

    reason: its exit reason, a term; ``{nodedown, Node}`` when the connection to it broke. task: whose it was. The cause is the
    exception that ended the task, where it ran on this node.
    """

    def __init__(self, message: str, reason: Any, task: Task[Any] | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.task = task


class TaskTimeout(BeamishError, TimeoutError):
    """A task, or one of several, was not ready in time; `task` is the first of them."""

    def __init__(self, message: str, task: Task[Any] | None = None) -> None:
        super().__init__(message)
        self.task = task


class MaxChildren(BeamishError):
    """A task supervisor runs as many tasks as it may."""


@dataclass(frozen=True, slots=True)
class Ok(Generic[T]):
    """A task's result: Elixir's ``{:ok, value}``."""

    value: T


@dataclass(frozen=True, slots=True)
class Exited:
    """A task ended without a result: Elixir's ``{:exit, reason}``.

    input: what it was to work on, in a stream with zip_input_on_exit. error: the exception, where it is known here.
    """

    reason: Any
    input: Any = NO_INPUT
    error: BaseException | None = None

    @property
    def value(self) -> NoReturn:
        """There is none: raises TaskFailed, so that a loop over `result.value` does not overlook failures."""
        error = self.error
        said = text_of(self.reason) if error is None else f"{type(error).__name__}: {error}"
        raise TaskFailed(f"the task failed: {said}", self.reason) from error


Outcome = Ok[T] | Exited


def reason_for(reason: Any, proc: Any) -> Any:
    """The exit reason in a DOWN message, as those who wait for the task see it."""
    if reason is not atom.noconnection:
        return reason
    node: Atom = proc.node if isinstance(proc, Pid) else proc[1]
    return (atom.nodedown, node)


__all__ = ["Exited", "MaxChildren", "Ok", "Outcome", "TaskFailed", "TaskTimeout", "reason_for"]
