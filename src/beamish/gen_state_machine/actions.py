"""What a state machine's callbacks give: a transition, with actions to go with it. Pure.

    return Next("open", StateTimeout(10.0, "relock"), reply=True)

| gen_statem | here |
|---|---|
| {next_state, S, Data, Actions} | Next(S, *actions) |
| {keep_state, Data, Actions}, keep_state_and_data | Keep(*actions), None |
| {repeat_state, Data, Actions} | Repeat(*actions) |
| {stop, Reason}, {stop_and_reply, Reason, Replies} | Stop(reason, reply=…), StopAndReply(reason, *replies) |
| {reply, From, Reply} | ReplyTo(from_, value), or reply=value for the event's own caller |
| postpone | POSTPONE |
| {next_event, Type, Content} | NextEvent(type, content) |
| {state_timeout, Time, Content} | StateTimeout(seconds, content) |
| {timeout, Time, Content} | EventTimeout(seconds, content) |
| {{timeout, Name}, Time, Content} | NamedTimeout(name, seconds, content) |
| {…timeout, cancel}, {…timeout, update, Content} | StateTimeout.cancel(), StateTimeout.update(content) and so on |

Source  OTP 25, stdlib: gen_statem, "Data types".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, Literal, Never, final, overload

from beamish.gen_server.results import NOTHING

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    R_co = TypeVar("R_co", covariant=True, default=Never)
else:
    from typing import TypeVar

    R_co = TypeVar("R_co", covariant=True)

INTERNAL: Final = "internal"
CAST: Final = "cast"
INFO: Final = "info"
CALL: Final = "call"
ENTER: Final = "enter"
TIMEOUT: Final = "timeout"
STATE_TIMEOUT: Final = "state_timeout"

EventType = Any
"""("call", from_), "cast", "info", "internal", "enter", "timeout", "state_timeout" or ("timeout", name)."""


class Action:
    """Something to be done with a transition."""

    __slots__ = ()


@final
class ReplyTo(Action):
    """Answer a call: `from_` is that of its event type ``("call", from_)``, or `self.caller`."""

    __slots__ = ("from_", "value")

    def __init__(self, from_: Any, value: Any) -> None:
        self.from_ = from_
        self.value = value

    def __repr__(self) -> str:
        return f"ReplyTo({self.from_!r}, {self.value!r})"


@final
class Postpone(Action):
    """Keep the event and handle it again after the next change of state; see `POSTPONE`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "POSTPONE"


POSTPONE: Final = Postpone()
"""Keep the event and handle it again after the next change of state."""


@final
class NextEvent(Action):
    """Handle this event before any that waits. type: "internal" (for events of one's own), or any other event type."""

    __slots__ = ("content", "type")

    def __init__(self, type: EventType, content: Any = None) -> None:
        if not is_event_type(type):
            raise ValueError(
                f"an event's type is 'internal', 'cast', 'info', 'timeout', 'state_timeout', ('call', from_) or ('timeout', name), "
                f"not {type!r}")  # fmt: skip
        self.type = type
        self.content = content

    def __repr__(self) -> str:
        return f"NextEvent({self.type!r}, {self.content!r})"


class TimeoutAction(Action):
    """Start, update or cancel the timer of one kind. seconds: None cancels it; update: only its content changes."""

    __slots__ = ("content", "is_update", "kind", "seconds")

    def __init__(self, kind: EventType, seconds: float | None, content: Any, update: bool = False) -> None:
        if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0):
            raise ValueError(f"a timeout is a number of seconds from 0 on, or None to cancel it, not {seconds!r}")
        self.kind = kind
        self.seconds = seconds
        self.content = content
        self.is_update = update

    def __repr__(self) -> str:
        how = "update" if self.is_update else "cancel" if self.seconds is None else f"{self.seconds:g} s"
        return f"<{self.kind!r} {how}, {self.content!r}>"


class StateTimeout(TimeoutAction):
    """The event "state_timeout" after so many seconds in this state (or the one entered). A change of state cancels it."""

    __slots__ = ()

    def __init__(self, seconds: float | None, content: Any = None) -> None:
        super().__init__(STATE_TIMEOUT, seconds, content)

    @staticmethod
    def cancel() -> TimeoutAction:
        """Stop the timer."""
        return TimeoutAction(STATE_TIMEOUT, None, None)

    @staticmethod
    def update(content: Any) -> TimeoutAction:
        """Give the running timer other content; one that does not run fires at once."""
        return TimeoutAction(STATE_TIMEOUT, None, content, True)


class EventTimeout(TimeoutAction):
    """The event "timeout" if no other event comes within so many seconds."""

    __slots__ = ()

    def __init__(self, seconds: float | None, content: Any = None) -> None:
        super().__init__(TIMEOUT, seconds, content)

    @staticmethod
    def cancel() -> TimeoutAction:
        """Stop the timer."""
        return TimeoutAction(TIMEOUT, None, None)

    @staticmethod
    def update(content: Any) -> TimeoutAction:
        """The event, with this content, at once: whatever event runs has stopped the timer."""
        return TimeoutAction(TIMEOUT, None, content, True)


class NamedTimeout(TimeoutAction):
    """The event ``("timeout", name)`` after so many seconds, whatever the state. Started again, it starts anew."""

    __slots__ = ()

    def __init__(self, name: Any, seconds: float | None, content: Any = None) -> None:
        super().__init__((TIMEOUT, name), seconds, content)

    @staticmethod
    def cancel(name: Any) -> TimeoutAction:
        """Stop the timer of this name."""
        return TimeoutAction((TIMEOUT, name), None, None)

    @staticmethod
    def update(name: Any, content: Any) -> TimeoutAction:
        """Give the running timer other content; one that does not run fires at once."""
        return TimeoutAction((TIMEOUT, name), None, content, True)


class Transition(Generic[R_co]):
    """What follows an event. `reply` answers the event's own caller, before the actions."""

    __slots__ = ("actions", "reply")

    def __init__(self, actions: tuple[Action, ...], reply: Any = NOTHING) -> None:
        for each in actions:
            if not isinstance(each, Action):
                raise TypeError(f"{each!r} is no action: these are ReplyTo, POSTPONE, NextEvent and the timeouts")
        self.actions = actions
        self.reply = reply

    def _rest(self) -> str:
        parts = [repr(each) for each in self.actions]
        if self.reply is not NOTHING:
            parts.append(f"reply={self.reply!r}")
        return ", ".join(parts)


@final
class Next(Transition[R_co]):
    """Go to a state; the same state is none to go to, and keeps everything as `Keep` does."""

    __slots__ = ("state",)

    @overload
    def __init__(self: Next[Never], state: Any, *actions: Action) -> None: ...
    @overload
    def __init__(self, state: Any, *actions: Action, reply: R_co) -> None: ...
    def __init__(self, state: Any, *actions: Action, reply: Any = NOTHING) -> None:
        super().__init__(actions, reply)
        self.state = state

    def __repr__(self) -> str:
        return f"Next({', '.join(filter(None, (repr(self.state), self._rest())))})"


@final
class Keep(Transition[R_co]):
    """Stay in the state."""

    __slots__ = ()

    @overload
    def __init__(self: Keep[Never], *actions: Action) -> None: ...
    @overload
    def __init__(self, *actions: Action, reply: R_co) -> None: ...
    def __init__(self, *actions: Action, reply: Any = NOTHING) -> None:
        super().__init__(actions, reply)

    def __repr__(self) -> str:
        return f"Keep({self._rest()})"


@final
class Repeat(Transition[R_co]):
    """Stay in the state, and make its enter call again."""

    __slots__ = ()

    @overload
    def __init__(self: Repeat[Never], *actions: Action) -> None: ...
    @overload
    def __init__(self, *actions: Action, reply: R_co) -> None: ...
    def __init__(self, *actions: Action, reply: Any = NOTHING) -> None:
        super().__init__(actions, reply)

    def __repr__(self) -> str:
        return f"Repeat({self._rest()})"


@final
class StopAndReply:
    """End the machine: the replies are sent, `terminate(reason)` is called, then it exits with `reason`."""

    __slots__ = ("reason", "replies")

    def __init__(self, reason: Any, *replies: ReplyTo) -> None:
        for each in replies:
            if not isinstance(each, ReplyTo):
                raise TypeError(f"StopAndReply takes ReplyTo(from_, value), not {each!r}")
        self.reason = reason
        self.replies = replies

    def __repr__(self) -> str:
        return f"StopAndReply({', '.join(map(repr, (self.reason, *self.replies)))})"


KEEP: Final[Keep[Never]] = Keep()


def is_event_type(kind: Any) -> bool:
    """Whether an event may have this type."""
    if isinstance(kind, tuple):
        return len(kind) == 2 and kind[0] in (CALL, TIMEOUT)
    return isinstance(kind, str) and kind in (CAST, INFO, INTERNAL, TIMEOUT, STATE_TIMEOUT)


Kind = Literal["call", "cast", "info", "internal", "enter", "timeout", "state_timeout"]

__all__ = [
    "CALL", "CAST", "ENTER", "INFO", "INTERNAL", "KEEP", "POSTPONE", "STATE_TIMEOUT", "TIMEOUT", "Action", "EventTimeout",
    "EventType", "Keep", "Kind", "NamedTimeout", "Next", "NextEvent", "Postpone", "Repeat", "ReplyTo", "StateTimeout",
    "StopAndReply", "TimeoutAction", "Transition", "is_event_type",
]  # fmt: skip
