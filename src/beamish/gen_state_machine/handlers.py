"""`on` and `state`: which method of a state machine takes which event in which state.

    @on.cast(state="locked")              a request, typed as GenServer's; the name is the method's, or the first argument
    def press(self, digit: str) -> Next | None: ...

    @on.call                              in every state
    def is_open(self) -> bool: ...

    @on.enter("open")                     the state was entered; may take the state before
    @on.state_timeout("open")             may take the timeout's content
    @on.event_timeout()                   likewise
    @on.timeout("blink")                  the timer of this name
    @on.internal("load")                  NextEvent("internal", "load") or ("load", argument, …)
    @on.info((atom.DOWN, ...), state=…)   any other message that fits the pattern

    @state("open", "ajar")                everything else in these states: (self, kind, content)

`state=` is one state, or a list or set of them.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar, overload

from beamish.gen_server.methods import Method
from beamish.gen_server.results import NoReply, Stop
from beamish.gen_state_machine.actions import (
    CALL,
    CAST,
    ENTER,
    INFO,
    INTERNAL,
    STATE_TIMEOUT,
    TIMEOUT,
    StopAndReply,
    Transition,
)
from beamish.process.gen import CALL_TIMEOUT
from beamish.term import Atom, atom

P = ParamSpec("P")
S = TypeVar("S")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

H = TypeVar("H", "EventMethod", "EventHandler")

ANY: Final = object()
"""Stands for every state."""

Ends = NoReply | Stop | StopAndReply


class EventMethod(Method):
    """A typed method for calls or casts, in some states or in all."""

    def __init__(
        self, function: Callable[..., Any], *, is_call: bool, timeout: float | None = CALL_TIMEOUT,
        raises: tuple[type[Exception], ...] = (), event: str | None = None, states: tuple[Any, ...] = (ANY,),
    ) -> None:  # fmt: skip
        self.event = event
        self.states = states
        super().__init__(function, is_call=is_call, timeout=timeout, raises=raises)

    def read_signature(self) -> None:
        """As for any method; the request may have another name."""
        super().read_signature()
        if self.event is not None:
            tag = atom(self.event)
            if not isinstance(tag, Atom):
                raise TypeError(f"{self.event!r} cannot be the name of an event")
            self.tag = tag

    def for_clients(self) -> Method:
        """As handles have it: under the name of its request."""
        named = copy.copy(self)
        named.name = self.tag.text
        return named


class EventHandler:
    """A method for events that are no requests. tag: which of its kind, None for all; `fits` says whether a content is one."""

    def __init__(
        self, function: Callable[..., Any], kind: str, states: tuple[Any, ...], tag: Any = None, pattern: Any = None,
    ) -> None:  # fmt: skip
        self.function = function
        self.kind = kind
        self.states = states
        self.tag = tag
        self.pattern = pattern
        self.name = function.__name__
        self.__doc__ = function.__doc__
        parameters = list(inspect.signature(function).parameters.values())[1:]
        self.takes_content = bool(parameters)
        self.owner: type | None = None

    def __set_name__(self, owner: type, name: str) -> None:
        self.owner, self.name = owner, name

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else self.function.__get__(instance, owner)

    @property
    def described(self) -> str:
        """`Door.relock`."""
        return f"{self.owner.__qualname__}.{self.name}" if self.owner is not None else self.name

    def fits(self, content: Any) -> bool:
        """Whether this handler takes an event of its kind with this content."""
        if self.kind == INTERNAL:
            head = content[0] if isinstance(content, tuple) and content else content
            return self.tag is None or (isinstance(head, str | Atom) and str(head) == self.tag)
        return self.pattern is None or matches(self.pattern, content)

    def invoke(self, instance: Any, content: Any) -> Any:
        """Call it; a method without parameters gets no content, one for internal events what stands behind the name."""
        if self.kind == INTERNAL and self.tag is not None:
            return self.function(instance, *(content[1:] if isinstance(content, tuple) else ()))
        return self.function(instance, content) if self.takes_content else self.function(instance)


class StateFunction:
    """A method that takes whatever else happens in its states."""

    def __init__(self, function: Callable[..., Any], states: tuple[Any, ...]) -> None:
        self.function = function
        self.states = states
        self.name = function.__name__
        self.__doc__ = function.__doc__

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else self.function.__get__(instance, owner)


def matches(pattern: Any, value: Any) -> bool:
    """As `receive`'s patterns: ``...`` fits anything, a type its instances, a tuple its parts, the rest what is equal."""
    if pattern is ... or pattern is value:
        return True
    if type(pattern) is tuple:
        return type(value) is tuple and len(value) == len(pattern) and all(map(matches, pattern, value))
    if isinstance(pattern, type):
        return isinstance(value, pattern)
    return type(pattern) is type(value) and bool(pattern == value)


def states_of(given: Any) -> tuple[Any, ...]:
    """The states of a `state=`."""
    if isinstance(given, list | set | frozenset):
        if not given:
            raise TypeError("state=[] is no state at all; leave it out for every state")
        return tuple(given)
    return (given,)


class CallDecorator(Protocol):
    """`@on.call(...)`: what callers get is what the method gives, less what only says what follows."""

    @overload
    def __call__(
        self, function: Callable[Concatenate[S, P], Coroutine[Any, Any, Transition[R] | Ends]], /
    ) -> Callable[Concatenate[S, P], Awaitable[R]]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[S, P], Coroutine[Any, Any, Transition[R] | Ends | R]], /
    ) -> Callable[Concatenate[S, P], Awaitable[R]]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[S, P], Transition[R] | Ends], /
    ) -> Callable[Concatenate[S, P], Awaitable[R]]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[S, P], Transition[R] | Ends | R], /
    ) -> Callable[Concatenate[S, P], Awaitable[R]]: ...


class CastDecorator(Protocol):
    """`@on.cast(...)`."""

    def __call__(self, function: Callable[Concatenate[S, P], Any], /) -> Callable[Concatenate[S, P], None]: ...


class On:
    """The decorators; see the module."""

    @property
    def call(self) -> Call:
        """A call. Plain results are the reply; Next, Keep and Repeat answer with `reply=`, or leave the caller waiting."""
        return Call()

    @property
    def cast(self) -> Cast:
        """A cast."""
        return Cast()

    def enter(self, state: Any = ANY) -> Callable[[F], F]:
        """The state was entered."""
        return _handler(ENTER, state)

    def state_timeout(self, state: Any = ANY) -> Callable[[F], F]:
        """The state's timer fired."""
        return _handler(STATE_TIMEOUT, state)

    def event_timeout(self, state: Any = ANY) -> Callable[[F], F]:
        """No event came within the time of an EventTimeout."""
        return _handler(TIMEOUT, state)

    def timeout(self, name: Any, state: Any = ANY) -> Callable[[F], F]:
        """The timer of this name fired."""
        return _handler((TIMEOUT, name), state)

    def internal(self, name: str | None = None, state: Any = ANY) -> Callable[[F], F]:
        """An event of one's own; without a name, any."""
        return _handler(INTERNAL, state, tag=name)

    def info(self, pattern: Any = None, state: Any = ANY) -> Callable[[F], F]:
        """A message that is no request and fits the pattern; without one, any."""
        return _handler(INFO, state, pattern=pattern)


class Call:
    """`on.call`, with or without arguments."""

    @overload
    def __call__(
        self, function: Callable[Concatenate[S, P], Coroutine[Any, Any, Transition[R] | Ends]], /
    ) -> Callable[Concatenate[S, P], Awaitable[R]]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[S, P], Coroutine[Any, Any, Transition[R] | Ends | R]], /
    ) -> Callable[Concatenate[S, P], Awaitable[R]]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[S, P], Transition[R] | Ends], /
    ) -> Callable[Concatenate[S, P], Awaitable[R]]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[S, P], Transition[R] | Ends | R], /
    ) -> Callable[Concatenate[S, P], Awaitable[R]]: ...
    @overload
    def __call__(
        self, name: str | None = None, /, *, state: Any = ANY, timeout: float | None = CALL_TIMEOUT,
        raises: tuple[type[Exception], ...] = (),
    ) -> CallDecorator: ...  # fmt: skip
    def __call__(
        self, function: Any = None, /, *, state: Any = ANY, timeout: float | None = CALL_TIMEOUT,
        raises: tuple[type[Exception], ...] = (),
    ) -> Any:  # fmt: skip
        """name: of the request, if not the method's. timeout: seconds callers wait. raises: exceptions that are an answer."""
        if callable(function):
            return EventMethod(function, is_call=True)
        states = states_of(state)
        return lambda given: EventMethod(given, is_call=True, timeout=timeout, raises=raises, event=function, states=states)


class Cast:
    """`on.cast`, with or without arguments."""

    @overload
    def __call__(self, function: Callable[Concatenate[S, P], Any], /) -> Callable[Concatenate[S, P], None]: ...
    @overload
    def __call__(self, name: str | None = None, /, *, state: Any = ANY) -> CastDecorator: ...
    def __call__(self, function: Any = None, /, *, state: Any = ANY) -> Any:
        """name: of the request, if not the method's."""
        if callable(function):
            return EventMethod(function, is_call=False)
        states = states_of(state)
        return lambda given: EventMethod(given, is_call=False, event=function, states=states)


on: Final = On()


def state(*states: Any) -> Callable[[F], F]:
    """Make a method take whatever no more special one does in these states: ``(self, kind, content)``."""
    if not states or (len(states) == 1 and callable(states[0])):
        raise TypeError('@state takes the states: @state("locked")')
    return lambda function: StateFunction(function, states)  # type: ignore[return-value]


def _handler(kind: Any, given: Any, *, tag: Any = None, pattern: Any = None) -> Callable[[F], F]:
    if callable(given) and not isinstance(given, type) and getattr(given, "__code__", None) is not None:
        raise TypeError(f"@on.{kind} needs parentheses: @on.{kind}() above {given.__qualname__}")
    states = states_of(given)
    return lambda function: EventHandler(function, kind, states, tag, pattern)  # type: ignore[return-value]


class Table:
    """Which method takes what, for one class."""

    def __init__(self, cls: type) -> None:
        self.requests: dict[tuple[str, Atom], list[EventMethod]] = {}
        self.handlers: dict[Any, list[EventHandler]] = {}
        self.functions: dict[Any, StateFunction] = {}
        self.enters = False
        found: list[Any] = [inspect.getattr_static(cls, name, None) for name in dir(cls)]
        for each in found:
            if isinstance(each, Method) and not isinstance(each, EventMethod):
                made = EventMethod(each.function, is_call=each.is_call, timeout=each.timeout, raises=each.raises)
                made.__set_name__(each.owner or cls, each.name)
                each = made
            if isinstance(each, EventMethod):
                self._add(self.requests.setdefault((CALL if each.is_call else CAST, each.tag), []), each, cls)
            elif isinstance(each, EventHandler):
                self.enters = self.enters or each.kind == ENTER
                others = self.handlers.setdefault(each.kind, [])
                self._add([other for other in others if (other.tag, other.pattern) == (each.tag, each.pattern)], each, cls)
                others.append(each)
            elif isinstance(each, StateFunction):
                for one in each.states:
                    other = self.functions.setdefault(one, each)
                    if other is not each:
                        raise TypeError(f"{cls.__qualname__}: {each.name} and {other.name} are both for state {one!r}")
        for kind in self.handlers:
            # Special ones first: those with a pattern or a name before those for everything.
            self.handlers[kind].sort(key=lambda each: each.pattern is None and each.tag is None)
        self.clients = self._client_methods()

    @staticmethod
    def _add(among: list[Any], new: Any, cls: type) -> None:
        for other in among:
            if set(map(id_of, other.states)) & set(map(id_of, new.states)):
                raise TypeError(f"{cls.__qualname__}: {other.name} and {new.name} take the same event in the same state")
        among.append(new)

    def request(self, kind: str, request: Any, state: Any) -> EventMethod | None:
        """The method for a call or cast in a state: one for this state before one for all."""
        if type(request) is tuple:
            count = len(request) - 1
            tag = request[0] if request else None
        else:
            count, tag = 0, request
        if type(tag) is not Atom:
            return None
        among = self.requests.get((kind, tag))
        if among is None:
            return None
        if len(among) == 1:
            only = among[0]
            return only if only.fits(count) and takes(only, state) else None
        return self._of_state([each for each in among if each.fits(count)], state)

    def handler(self, kind: Any, content: Any, state: Any) -> EventHandler | None:
        """The method for any other event."""
        fitting = [each for each in self.handlers.get(kind, ()) if each.fits(content)]
        return self._of_state(fitting, state)

    @staticmethod
    def _of_state(among: Iterable[H], state: Any) -> H | None:
        general = None
        for each in among:
            if each.states[0] is ANY:
                general = general or each
            elif takes(each, state):
                return each
        return general

    def _client_methods(self) -> dict[Atom, Method]:
        """What a handle has: each request once, with the signature of the method that bears its name, or of the first."""
        made: dict[Atom, Method] = {}
        for (_, tag), methods in self.requests.items():
            best = next((each for each in methods if each.name == tag.text), methods[0])
            made.setdefault(tag, best.for_clients())
        return made


def takes(method: Any, state: Any) -> bool:
    """Whether a method is for a state."""
    states = method.states
    return states[0] is ANY or any(type(one) is type(state) and one == state for one in states)


def id_of(state: Any) -> Any:
    """States are told apart by type and value."""
    return (type(state), state)


__all__ = ["ANY", "EventHandler", "EventMethod", "StateFunction", "Table", "matches", "on", "state"]
