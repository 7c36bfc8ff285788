"""State machines for tests."""

from __future__ import annotations

from typing import Any

from beamish.gen_state_machine import POSTPONE, GenStateMachine, Keep, Next, StateTimeout, on


class Door(GenStateMachine):
    """A code lock that locks itself again: the example of the docstring."""

    initial = "locked"

    def init(self, code: str) -> None:
        self.code = code
        self.typed = ""

    @on.cast(state="locked")
    def press(self, digit: str) -> Next | Keep:
        self.typed = (self.typed + digit)[-len(self.code) :]
        if self.typed == self.code:
            return Next("open")
        return Keep(StateTimeout(5.0))

    @on.state_timeout("locked")
    def forget(self) -> None:
        self.typed = ""

    @on.enter("open")
    def opened(self) -> Keep:
        self.typed = ""
        return Keep(StateTimeout(10.0))

    @on.state_timeout("open")
    def relock(self) -> Next:
        return Next("locked")

    @on.cast("press", state="open")
    def press_later(self, digit: str) -> Keep:
        return Keep(POSTPONE)

    @on.call
    def is_open(self) -> bool:
        return self.state == "open"


class Scripted(GenStateMachine):
    """Answers each event with what a function says, and remembers all of them."""

    def init(self, answers: Any, first: Any = "a", *actions: Any, enter: bool = False, remember: list[Any] | None = None) -> Any:
        self.answers = answers
        self.seen: list[Any] = [] if remember is None else remember
        return Next(first, *actions)

    def handle_event(self, kind: Any, content: Any, state: Any) -> Any:
        self.seen.append((kind if not isinstance(kind, tuple) or kind[0] != "call" else "call", content, state))
        return self.answers(self, kind, content, state)


class Entering(Scripted):
    """The same, with enter calls."""

    state_enter = True


__all__ = ["Door", "Entering", "Scripted"]
