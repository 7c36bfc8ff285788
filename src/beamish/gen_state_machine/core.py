"""The rules of a state machine, as gen_statem has them. Pure: it calls nobody, knows no clock and sends nothing.

    core = Core(state, enter_calls=True)
    effects = core.begin(actions)
    while (asked := core.pending()) is not None:        # an event or an enter call, for the callback to answer
        effects += core.answer(transition)
    core.receive("cast", content)                       # an event from outside
    core.fired(kind, number)                            # a timer that an effect StartTimer asked for

What waits is kept in this order: inserted events (NextEvent), then postponed ones after a change of state, then what came from
outside; timeouts of zero seconds come last of all, in the order in which they were set.

Source  OTP 25, stdlib: gen_statem, "Transition options" and the order in which they are carried out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from beamish.gen_state_machine.actions import (
    ENTER,
    STATE_TIMEOUT,
    TIMEOUT,
    Action,
    EventType,
    Keep,
    Next,
    NextEvent,
    Postpone,
    Repeat,
    ReplyTo,
    TimeoutAction,
    Transition,
)


class Event(NamedTuple):
    """An event, or an enter call (type "enter", the state before as its content)."""

    type: EventType
    content: Any


class Answer(NamedTuple):
    """Effect: send a reply."""

    from_: Any
    value: Any


class StartTimer(NamedTuple):
    """Effect: call `fired(kind, number)` after so many seconds."""

    kind: EventType
    number: int
    seconds: float


class CancelTimer(NamedTuple):
    """Effect: the timer with this number shall not fire; if it does, nothing comes of it."""

    number: int


Effect = Answer | StartTimer | CancelTimer


@dataclass(slots=True)
class Timer:
    """A timer that runs; number 0: of zero seconds, and in the queue already."""

    number: int
    content: Any


class BadTransition(Exception):
    """A callback gave what cannot be done; `reason` is gen_statem's term for it, with the value in words."""

    def __init__(self, text: str, reason: str, value: Any) -> None:
        super().__init__(text)
        self.reason = reason
        self.value = value


class Core:
    """One machine."""

    __slots__ = (
        "_asked", "_before", "_event", "_next_events", "_postpone", "_timeouts", "enter_calls", "events", "numbers", "postponed",
        "state", "timers", "zero_timers",
    )  # fmt: skip

    def __init__(self, state: Any, *, enter_calls: bool = False) -> None:
        self.state = state
        self.enter_calls = enter_calls
        self.events: deque[Event] = deque()
        self.postponed: list[Event] = []
        self.timers: dict[EventType, Timer] = {}
        self.zero_timers: list[EventType] = []
        self.numbers = 0
        self._asked: Event | None = None
        # What the transitions of one event, enter calls included, have asked for so far.
        self._event: Event | None = None
        self._before: Any = state
        self._postpone = False
        self._next_events: list[Event] | None = None
        self._timeouts: list[TimeoutAction] | None = None

    # ---- what comes in

    def begin(self, actions: tuple[Action, ...] = ()) -> list[Effect]:
        """The machine starts in its first state, with the actions that `init` gave."""
        effects: list[Effect] = []
        self._collect(actions, effects, entering=False)
        if self.enter_calls:
            self._asked = Event(ENTER, self.state)
        else:
            self._settle(effects)
        return effects

    def receive(self, kind: EventType, content: Any) -> None:
        """An event from outside."""
        self.events.append(Event(kind, content))

    def fired(self, kind: EventType, number: int) -> bool:
        """A timer's time has come. False if it was cancelled or started anew meanwhile."""
        timer = self.timers.get(kind)
        if timer is None or timer.number != number:
            return False
        del self.timers[kind]
        self.events.append(Event(kind, timer.content))
        return True

    # ---- what comes out

    def pending(self) -> Event | None:
        """The event or enter call that the callback must answer now; None when nothing waits."""
        if self._asked is not None:
            return self._asked
        if self.events:
            event = self.events.popleft()
        elif self.zero_timers:
            kind = self.zero_timers.pop(0)
            event = Event(kind, self.timers.pop(kind).content)
        else:
            return None
        self._asked = self._event = event
        self._before = self.state
        return event

    def answer(self, transition: Transition[Any]) -> Sequence[Effect]:
        """What the callback gave for what `pending` asked. Raises BadTransition."""
        asked = self._asked
        if asked is None:
            raise RuntimeError("nothing was asked: call pending() first")
        entering = asked.type == ENTER
        kind = type(transition)
        if kind is Keep and not transition.actions and not entering and TIMEOUT not in self.timers:
            self._asked = self._event = None  # by far the most frequent case
            return ()
        effects: list[Effect] = []
        before = self.state
        if isinstance(transition, Next):
            if not same(transition.state, before):
                if entering:
                    raise BadTransition(
                        f"an enter call cannot change the state: {transition!r} in state {before!r}; use StateTimeout(0), or "
                        "NextEvent in the event that leads here",
                        "bad_state_enter_return_from_state_function", transition)  # fmt: skip
                self.state = transition.state
        elif kind is not Keep and kind is not Repeat:
            raise BadTransition(
                f"{transition!r} is no transition: give Next, Keep, Repeat, Stop or None (Keep(reply=...) answers a call)",
                "bad_return_from_state_function", transition)  # fmt: skip
        if transition.actions:
            self._collect(transition.actions, effects, entering=entering)
        if self.enter_calls and (kind is Repeat or self.state is not before):
            self._asked = asked if entering else Event(ENTER, before)
            return effects
        self._settle(effects)
        return effects

    # ---- the rules

    def _collect(self, actions: tuple[Action, ...], effects: list[Effect], *, entering: bool) -> None:
        """Replies are sent as they come; the rest is done when no more enter calls follow."""
        for action in actions:
            if isinstance(action, ReplyTo):
                effects.append(Answer(action.from_, action.value))
            elif isinstance(action, TimeoutAction):
                if self._timeouts is None:
                    self._timeouts = []
                self._timeouts.append(action)
            elif entering:
                raise BadTransition(
                    f"an enter call takes replies and timeouts, not {action!r}: there is no event to postpone, and none may be "
                    "inserted", "bad_state_enter_action_from_state_function", action)  # fmt: skip
            elif isinstance(action, NextEvent):
                if self._next_events is None:
                    self._next_events = []
                self._next_events.append(Event(action.type, action.content))
            elif isinstance(action, Postpone):
                self._postpone = True

    def _settle(self, effects: list[Effect]) -> None:
        """The transition is complete: postponed and inserted events, then timers."""
        event, next_events, timeouts = self._event, self._next_events, self._timeouts
        if TIMEOUT in self.timers:
            self._drop(TIMEOUT, effects)
        if self._postpone and event is not None:
            self.postponed.append(event)
        if self.state is not self._before:
            self.events.extendleft(reversed(self.postponed))
            self.postponed.clear()
            self._drop(STATE_TIMEOUT, effects)
        if next_events:
            self.events.extendleft(reversed(next_events))
        self._asked = self._event = self._next_events = self._timeouts = None
        self._postpone = False
        if timeouts:
            self._set_timers(timeouts, effects)

    def _set_timers(self, timeouts: list[TimeoutAction], effects: list[Effect]) -> None:
        """The last action of each kind counts; they are carried out in the order of these."""
        if len(timeouts) == 1:
            self._set_timer(timeouts[0], effects)
            return
        last = {action.kind: place for place, action in enumerate(timeouts)}
        for place, action in enumerate(timeouts):
            if last[action.kind] == place:
                self._set_timer(action, effects)

    def _set_timer(self, action: TimeoutAction, effects: list[Effect]) -> None:
        kind = action.kind
        running = self.timers.get(kind)
        if action.is_update and running is not None:
            running.content = action.content
            return
        self._drop(kind, effects)
        if action.seconds is None and not action.is_update:
            return
        if action.is_update or action.seconds == 0:
            self.timers[kind] = Timer(0, action.content)
            self.zero_timers.append(kind)
            return
        self.numbers += 1
        self.timers[kind] = Timer(self.numbers, action.content)
        assert action.seconds is not None
        effects.append(StartTimer(kind, self.numbers, action.seconds))

    def _drop(self, kind: EventType, effects: list[Effect]) -> None:
        timer = self.timers.pop(kind, None)
        if timer is None:
            return
        if timer.number:
            effects.append(CancelTimer(timer.number))
        else:
            self.zero_timers.remove(kind)

    @property
    def waiting(self) -> bool:
        """Whether an event or an enter call waits to be handled."""
        return self._asked is not None or bool(self.events) or bool(self.zero_timers)


def same(one: Any, other: Any) -> bool:
    """Whether two states are one: equal, and of one type, as Erlang's =:= would have it."""
    return one is other or (type(one) is type(other) and bool(one == other))


__all__ = ["Answer", "BadTransition", "CancelTimer", "Core", "Effect", "Event", "StartTimer", "Timer", "same"]
