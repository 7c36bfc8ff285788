"""`GenServer`: a server's code and its state in one class.

    class Counter(GenServer):
        def init(self, start: int = 0) -> None:
            self.count = start

        @call
        def increment(self, by: int = 1) -> int:
            self.count += by
            return self.count

    counter = await Counter.start_link(10, name="counter")
    await counter.increment(5)                                      # 15
    await GenServer.call("counter", (atom.increment, 5))            # 20: what Elixir's GenServer.call sends

The instance lives inside its process; handles are what everybody else holds. Table of callbacks: docs/internals.md.
"""

from __future__ import annotations

from typing import Any, Self

from beamish.gen_server import client
from beamish.gen_server.child_spec import ChildSpec, Restart, Shutdown
from beamish.gen_server.handle import UNSET, Handle, handle_class
from beamish.gen_server.loop import Server, serve
from beamish.gen_server.methods import Method
from beamish.gen_server.start import enter
from beamish.gen_server.target import shown
from beamish.gen_server.unhandled import no_clause, unexpected_message
from beamish.term import Atom, Pid, atom


class GenServer:
    """Base of servers. Override what you need; callbacks may be plain or async."""

    __slots__ = ("_server",)

    _server: Server
    restart: str = "permanent"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, value in cls.__dict__.items():
            if isinstance(value, Method) or not callable(value):
                continue
            for base in cls.__mro__[1:]:
                above = base.__dict__.get(name)
                if above is not None:
                    if isinstance(above, Method):
                        raise TypeError(
                            f"{cls.__qualname__}.{name} overrides a @{'call' if above.is_call else 'cast'} method of "
                            f"{base.__qualname__}: mark it with the same decorator")  # fmt: skip
                    break

    # ---- inside the server

    @property
    def pid(self) -> Pid:
        """The server's pid."""
        return self._server.pid

    @property
    def caller(self) -> client.From:
        """Inside a @call method: who waits for the answer. Keep it, return NO_REPLY, and answer with `GenServer.reply`."""
        caller = self._server.caller
        if caller is None:
            raise LookupError("self.caller is only known while a call is handled")
        return caller  # type: ignore[no-any-return]

    def init(self, *args: Any, **kwargs: Any) -> Any:
        """Prepare the state. Gives None, Continue(x), Timeout(seconds), Stop(reason) or IGNORE."""

    def handle_call(self, request: Any, from_: client.From) -> Any:
        """A call that no @call method takes. Gives the reply, or Reply, NO_REPLY, NoReply, Stop."""
        raise no_clause(self, self._server.name, "call", request)

    def handle_cast(self, request: Any) -> Any:
        """A cast that no @cast method takes. Gives None, NoReply, Continue, Timeout or Stop."""
        raise no_clause(self, self._server.name, "cast", request)

    def handle_info(self, message: Any) -> Any:
        """Any other message; `atom.timeout` after a Timeout. Gives the same as handle_cast."""
        unexpected_message(self, self._server.name, message)

    def handle_continue(self, argument: Any) -> Any:
        """What Continue(argument) asked for. Gives the same as handle_cast."""
        raise no_clause(self, self._server.name, "continue", argument)

    def terminate(self, reason: Any) -> Any:
        """The server ends in an orderly way. What it gives is ignored."""

    def code_change(self, old_version: Any, extra: Any) -> Any:
        """The class has new code; bring the state into its form."""

    def get_state(self) -> Any:
        """The state as `sys:get_state` shows it: here the attributes, under atoms."""
        return {atom(name): value for name, value in vars(self).items()}

    def set_state(self, state: Any) -> None:
        """Take a state as `get_state` gives it; `sys:replace_state` comes here."""
        if not isinstance(state, dict):
            raise TypeError(f"the state of {type(self).__qualname__} is a map of its attributes, not {state!r}")
        attributes = {name.text if isinstance(name, Atom) else str(name): value for name, value in state.items()}
        vars(self).clear()
        vars(self).update(attributes)

    def format_status(self) -> Any:
        """The state as `sys:get_status` and crash reports show it; override it to leave out what is secret or long."""
        return self.get_state()

    # ---- starting

    @classmethod
    async def start_link(cls, *args: Any, name: Any = None, timeout: float | None = None, **kwargs: Any) -> Self:
        """Start a server linked to the current process and wait until `init` has returned.

        name: a local name (str or Atom), ``("global", x)``, or a registered name object. timeout: seconds for `init`, after
        which it is killed. The rest goes to `init`. Gives a handle. Raises StartError, AlreadyStarted, StartIgnored, StartTimeout.
        """
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
    def at(cls, target: Any, *, timeout: float | None = UNSET) -> Self:
        """A handle of a server that runs already. timeout: seconds for each call, instead of the methods' own."""
        return handle_class(cls)(target, timeout)  # type: ignore[return-value]

    @classmethod
    def child_spec(
        cls, *args: Any, name: Any = None, id: Any = None, restart: Restart | None = None, shutdown: Shutdown | None = None,
        significant: bool = False, start_timeout: float | None = None, **kwargs: Any,
    ) -> ChildSpec:  # fmt: skip
        """How a supervisor runs this server: `start_link` with these arguments. id: the class's name unless given."""
        return ChildSpec(
            id=id if id is not None else atom(cls.__name__),
            start=_Start(cls, args, kwargs, name),
            restart=restart or cls.restart,  # type: ignore[arg-type]
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

    # ---- clients' verbs, under Elixir's names

    call = staticmethod(client.call)
    cast = staticmethod(client.cast)
    reply = staticmethod(client.reply)
    stop = staticmethod(client.stop)
    multi_call = staticmethod(client.multi_call)
    abcast = staticmethod(client.abcast)
    whereis = staticmethod(client.whereis)


class _Start:
    """The start function of a child spec; its repr names the call that it makes."""

    __slots__ = ("args", "cls", "kwargs", "name")

    def __init__(self, cls: type[GenServer], args: tuple[Any, ...], kwargs: dict[str, Any], name: Any) -> None:
        self.cls, self.args, self.kwargs, self.name = cls, args, kwargs, name

    async def __call__(self) -> Any:
        return await self.cls.start_link(*self.args, name=self.name, **self.kwargs)

    def __repr__(self) -> str:
        given = [repr(each) for each in self.args] + [f"{key}={value!r}" for key, value in self.kwargs.items()]
        if self.name is not None:
            given.append(f"name={self.name!r}")
        return f"{self.cls.__qualname__}.start_link({', '.join(given)})"


__all__ = ["GenServer"]
