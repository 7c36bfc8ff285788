"""`GenStateMachine`: states, and what each does with which event. Erlang's gen_statem, as one class.

A door with a code lock, which locks itself again:

    class Door(GenStateMachine):
        initial = "locked"

        def init(self, code: str) -> None:
            self.code = code
            self.typed = ""

        @on.cast(state="locked")
        def press(self, digit: str) -> Next | Keep:
            self.typed = (self.typed + digit)[-len(self.code):]
            if self.typed == self.code:
                return Next("open")
            return Keep(StateTimeout(5.0))                   # who hesitates starts from the beginning

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
            return Keep(POSTPONE)                            # handled when the door is locked again

        @on.call
        def is_open(self) -> bool:
            return self.state == "open"

    door = await Door.start_link("1234", name="door")
    for digit in "1234":
        door.press(digit)
    await door.is_open()                                     # True, for ten seconds
    await GenStateMachine.call("door", atom.is_open)         # what Erlang's gen_statem:call(door, is_open) sends

Without decorators: `handle_event(kind, content, state)` takes everything (gen_statem's handle_event_function), `@state("open")`
methods what happens in a state, and with ``callback_mode = "state_functions"`` the methods named as the states are.
"""

from __future__ import annotations

import enum
import logging
from typing import Any, Final, Literal, Self

from beamish.gen_server import client
from beamish.gen_server.child_spec import ChildSpec, Restart, Shutdown
from beamish.gen_server.handle import Handle, handle_class
from beamish.gen_server.start import enter
from beamish.gen_server.target import shown
from beamish.gen_server.unhandled import NoClause
from beamish.gen_state_machine.actions import CALL, CAST, ENTER, INFO, EventType
from beamish.gen_state_machine.machine import Machine, serve, table_of
from beamish.term import Atom, Pid, atom
from beamish.term.convert import shown_value

log = logging.getLogger("beamish.gen_state_machine")

_UNSET: Final = -1.0


class GenStateMachine:
    """Base of state machines. The data are the instance's attributes; callbacks may be plain or async.

    A callback gives None (nothing changes) or one of Next, Keep, Repeat, Stop, StopAndReply; for calls see `on.call`.
    initial: the first state, if `init` does not give it. state_enter: make enter calls to `handle_event` or state functions;
    with `@on.enter` methods they are made anyway. restart: for supervisors.
    """

    __slots__ = ("_machine",)

    _machine: Machine
    initial: Any = None
    callback_mode: Literal["handle_event_function", "state_functions"] = "handle_event_function"
    state_enter: bool = False
    restart: Restart = "permanent"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.callback_mode not in ("handle_event_function", "state_functions"):
            modes = "handle_event_function or state_functions"
            raise TypeError(f"{cls.__qualname__}.callback_mode is {modes}, not {cls.callback_mode!r}")
        table_of(cls)

    # ---- inside the machine

    @property
    def pid(self) -> Pid:
        """The machine's pid."""
        return self._machine.pid

    @property
    def state(self) -> object:
        """The current state; in an enter call the one that was entered."""
        return self._machine.core.state

    @property
    def caller(self) -> client.From:
        """While a call is handled: who waits. Keep it, give Keep(), and answer with `GenStateMachine.reply` or ReplyTo."""
        caller = self._machine.caller
        if caller is None:
            raise LookupError("self.caller is only known while a call is handled")
        return caller  # type: ignore[no-any-return]

    def init(self, *args: Any, **kwargs: Any) -> Any:
        """Prepare the data and give the first state, plain or as Next(state, *actions); None: `initial`. Or Stop, IGNORE."""

    def handle_event(self, kind: EventType, content: Any, state: Any) -> Any:
        """Every event that no decorated method takes. kind: ("call", from_), "cast", "info", "internal", "timeout",
        "state_timeout", ("timeout", name), or "enter" with the state before as its content."""
        if kind == ENTER:
            return None
        if kind == INFO:
            log.warning("%s %s received an unexpected message in state %s: %s", type(self).__qualname__, self._machine.name,
                        shown_value(state), shown_value(content))  # fmt: skip
            return None
        raise NoClause(f"{type(self).__qualname__} {self._machine.name} in state {state!r} has nothing that takes "
                       f"{_shown_event(kind, content)}{self._offered(kind)}")  # fmt: skip

    def _offered(self, kind: EventType) -> str:
        wanted = CALL if isinstance(kind, tuple) and kind[0] == CALL else CAST if kind == CAST else None
        requests = table_of(type(self)).requests
        names = sorted({str(tag) for what, tag in requests if what == wanted})
        return f"; its {wanted}s are {', '.join(names)}" if names else ""

    def function_of(self, state: Any) -> Any:
        """The method named as a state, for callback_mode "state_functions"."""
        name = state.name.lower() if isinstance(state, enum.Enum) else str(state)
        found = getattr(self, name, None)
        if not callable(found) or hasattr(GenStateMachine, name):
            raise NoClause(f"{type(self).__qualname__} has no method {name}(kind, content) for state {state!r}")
        return found

    def terminate(self, reason: Any) -> Any:
        """The machine ends in an orderly way; `self.state` is its last state. What it gives is ignored."""

    def code_change(self, old_version: Any, state: Any, extra: Any) -> Any:
        """The class has new code: bring the data into its form, and give the state in the new form (None: as it is)."""

    def get_state(self) -> Any:
        """The data as `sys:get_state` shows them beside the state: here the attributes, under atoms."""
        return {atom(name): value for name, value in vars(self).items()}

    def set_state(self, data: Any) -> None:
        """Take data as `get_state` gives them; `sys:replace_state` comes here."""
        if not isinstance(data, dict):
            raise TypeError(f"the data of {type(self).__qualname__} are a map of its attributes, not {data!r}")
        attributes = {name.text if isinstance(name, Atom) else str(name): value for name, value in data.items()}
        vars(self).clear()
        vars(self).update(attributes)

    def format_status(self) -> Any:
        """The data as `sys:get_status` and crash reports show them; override it to leave out what is secret or long."""
        return self.get_state()

    # ---- starting

    @classmethod
    async def start_link(cls, *args: Any, name: Any = None, timeout: float | None = None, **kwargs: Any) -> Self:
        """Start a machine linked to the current process and wait until `init` has returned. As for GenServer."""
        return await cls._start(True, args, kwargs, name, timeout)

    @classmethod
    async def start(cls, *args: Any, name: Any = None, timeout: float | None = None, **kwargs: Any) -> Self:
        """`start_link` without the link."""
        return await cls._start(False, args, kwargs, name, timeout)

    @classmethod
    async def _start(cls, link: bool, args: tuple[Any, ...], kwargs: dict[str, Any], name: Any, timeout: float | None) -> Self:
        what = cls.__qualname__ if name is None else f"{cls.__qualname__} ({shown(name)})"
        started = await enter(serve, cls, args, kwargs, link=link, name=name, timeout=timeout, what=what)
        return cls.at(started.pid)

    @classmethod
    def at(cls, target: Any, *, timeout: float | None = _UNSET) -> Self:
        """A handle of a machine that runs already. timeout: seconds for each call, instead of the methods' own."""
        table_of(cls)
        return handle_class(cls)(target, timeout)  # type: ignore[return-value]

    @classmethod
    def child_spec(
        cls, *args: Any, name: Any = None, id: Any = None, restart: Restart | None = None, shutdown: Shutdown | None = None,
        significant: bool = False, start_timeout: float | None = None, **kwargs: Any,
    ) -> ChildSpec:  # fmt: skip
        """How a supervisor runs this machine: `start_link` with these arguments. id: the class's name unless given."""
        return ChildSpec(
            id=id if id is not None else atom(cls.__name__),
            start=_Start(cls, args, kwargs, name),
            restart=restart or cls.restart,
            shutdown=5.0 if shutdown is None else shutdown,
            type="worker",
            significant=significant,
            modules=(cls,),
            start_timeout=start_timeout,
        )

    @classmethod
    def __from_term__(cls, value: Any) -> Any:
        """For parameters annotated with the class: a pid, a name or a handle becomes a handle."""
        if isinstance(value, Handle):
            return value
        return cls.at(value) if isinstance(value, Pid | Atom | tuple) else NotImplemented

    # ---- clients' verbs

    call = staticmethod(client.call)
    cast = staticmethod(client.cast)
    reply = staticmethod(client.reply)
    stop = staticmethod(client.stop)
    whereis = staticmethod(client.whereis)


def _shown_event(kind: EventType, content: Any) -> str:
    if isinstance(kind, tuple):
        named = f"the call {shown_value(content)}" if kind[0] == CALL else f"the timeout {kind[1]!r} ({shown_value(content)})"
        return named
    return f"the {kind.replace('_', ' ')} {shown_value(content)}"


class _Start:
    """The start function of a child spec; its repr names the call that it makes."""

    __slots__ = ("args", "cls", "kwargs", "name")

    def __init__(self, cls: type[GenStateMachine], args: tuple[Any, ...], kwargs: dict[str, Any], name: Any) -> None:
        self.cls, self.args, self.kwargs, self.name = cls, args, kwargs, name

    async def __call__(self) -> Any:
        return await self.cls.start_link(*self.args, name=self.name, **self.kwargs)

    def __repr__(self) -> str:
        given = [repr(each) for each in self.args] + [f"{key}={value!r}" for key, value in self.kwargs.items()]
        if self.name is not None:
            given.append(f"name={self.name!r}")
        return f"{self.cls.__qualname__}.start_link({', '.join(given)})"


__all__ = ["GenStateMachine"]
