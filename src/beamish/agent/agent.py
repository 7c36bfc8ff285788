"""`Agent`: a process that keeps one value.

    counter = await Agent.start_link(lambda: 0, name="counter")
    await counter.update(lambda count: count + 1)
    await Agent.get("counter", lambda count: count)              # any target will do: a pid, a name, (name, node), …

The functions run inside the agent, one after the other, so that nothing comes between reading and writing. What `get` gives is
the value itself and no copy, if the agent is on this node: do not change it.

For an agent on another node functions go by name (D4): `await Agent.get(("counter", node), shop.totals.of, "cheese")` calls
``shop.totals.of(value, "cheese")`` there, if that node exports it. `(module, function)` names work as well, for agents of Elixir's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeAlias, TypeVar, overload

from beamish.agent.functions import LocalCall, remote_call
from beamish.agent.server import AgentServer
from beamish.gen_server import ChildSpec, RegisteredName, client
from beamish.gen_server.child_spec import Restart, Shutdown
from beamish.gen_server.handle import Handle
from beamish.gen_server.target import address
from beamish.process import current_scheduler
from beamish.process.gen import CALL_TIMEOUT
from beamish.term import Atom, Pid, atom

S = TypeVar("S")
T = TypeVar("T")
Named: TypeAlias = tuple[Any, Any]
"""A function by the names of its module and itself."""

Function: TypeAlias = Callable[..., Any] | Named
Elsewhere: TypeAlias = Pid | Atom | str | tuple[Any, Any] | RegisteredName


class Agent(Handle, Generic[S]):
    """A handle of an agent; `Agent.get(target, …)` works with any other target as well."""

    __slots__ = ()

    server_class = AgentServer
    if TYPE_CHECKING:
        whereis: ClassVar[None]  # for type checkers: a handle, whose __getattr__ explains, is no registered name object

    # ---- starting

    @staticmethod
    async def start_link(
        function: Callable[..., S | Awaitable[S]], *args: Any, name: Any = None, timeout: float | None = None, **kwargs: Any
    ) -> Agent[S]:
        """Start an agent, linked to the current process, whose first value is what the function gives; it is called in the agent.

        name, timeout: as GenServer.start_link's; the rest goes to the function. Raises StartError, AlreadyStarted, StartTimeout.
        """
        started = await AgentServer.start_link(LocalCall(function, args, kwargs), name=name, timeout=timeout)
        return Agent(started)

    @staticmethod
    async def start(
        function: Callable[..., S | Awaitable[S]], *args: Any, name: Any = None, timeout: float | None = None, **kwargs: Any
    ) -> Agent[S]:
        """`start_link` without the link."""
        return Agent(await AgentServer.start(LocalCall(function, args, kwargs), name=name, timeout=timeout))

    @staticmethod
    def child_spec(
        function: Callable[..., Any], *args: Any, name: Any = None, id: Any = None, restart: Restart = "permanent",
        shutdown: Shutdown = 5.0, **kwargs: Any,
    ) -> ChildSpec:  # fmt: skip
        """An agent as a supervisor's child. id: its name, else `Agent`."""
        if id is None:
            id = name if isinstance(name, str | Atom) else atom.Agent
        start = (Agent.start_link, (function, *args), {"name": name, **kwargs})
        return ChildSpec(id=id, start=start, restart=restart, shutdown=shutdown, modules=(Agent,))

    @staticmethod
    def at(target: Any) -> Agent[Any]:
        """A handle of an agent that runs already."""
        return Agent(target)

    # ---- the value. With further arguments, by name, or of another target than a handle, the types are yours to know.

    @overload
    async def get(self, function: Callable[[S], Coroutine[Any, Any, T]], *, timeout: float | None = ...) -> T: ...
    @overload
    async def get(self, function: Callable[[S], T], *, timeout: float | None = ...) -> T: ...
    @overload
    async def get(
        self: Agent[S] | Elsewhere, function: Callable[..., Any], arg: Any, *args: Any, timeout: float | None = ..., **kw: Any
    ) -> Any: ...
    @overload
    async def get(self: Agent[S] | Elsewhere, function: Named, *args: Any, timeout: float | None = ...) -> Any: ...
    @overload
    async def get(self: Elsewhere, function: Function, *args: Any, timeout: float | None = ..., **kw: Any) -> Any: ...  # type: ignore[misc]
    async def get(self: Any, function: Function, *args: Any, timeout: float | None = CALL_TIMEOUT, **kw: Any) -> Any:
        """What ``function(value, *args)`` gives. Raises CallFailed, CallTimeout, as GenServer.call; if the function fails, so
        does the agent."""
        return await client.call(self, (atom.get, _sent(self, function, args, kw)), timeout)

    @overload
    async def update(self, function: Callable[[S], S | Awaitable[S]], *, timeout: float | None = ...) -> None: ...
    @overload
    async def update(self: Any, function: Function, *args: Any, timeout: float | None = ..., **kw: Any) -> None: ...
    async def update(self: Any, function: Function, *args: Any, timeout: float | None = CALL_TIMEOUT, **kw: Any) -> None:
        """Make what ``function(value, *args)`` gives the value, and wait until that is done."""
        await client.call(self, (atom.update, _sent(self, function, args, kw)), timeout)

    @overload
    async def get_and_update(
        self, function: Callable[[S], Coroutine[Any, Any, tuple[T, S]]], *, timeout: float | None = ...
    ) -> T: ...
    @overload
    async def get_and_update(self, function: Callable[[S], tuple[T, S]], *, timeout: float | None = ...) -> T: ...
    @overload
    async def get_and_update(
        self: Agent[S] | Elsewhere, function: Callable[..., Any], arg: Any, *args: Any, timeout: float | None = ..., **kw: Any
    ) -> Any: ...
    @overload
    async def get_and_update(
        self: Agent[S] | Elsewhere, function: Named, *args: Any, timeout: float | None = ...
    ) -> Any: ...
    @overload
    async def get_and_update(  # type: ignore[misc]
        self: Elsewhere, function: Function, *args: Any, timeout: float | None = ..., **kw: Any
    ) -> Any: ...
    async def get_and_update(self: Any, function: Function, *args: Any, timeout: float | None = CALL_TIMEOUT, **kw: Any) -> Any:
        """``function(value, *args)`` gives a pair: what to return, and the new value."""
        return await client.call(self, (atom.get_and_update, _sent(self, function, args, kw)), timeout)

    @overload
    def cast(self, function: Callable[[S], S | Awaitable[S]]) -> None: ...
    @overload
    def cast(self: Any, function: Function, *args: Any, **kw: Any) -> None: ...
    def cast(self: Any, function: Function, *args: Any, **kw: Any) -> None:
        """`update` without waiting; an agent that is not there is no error."""
        client.cast(self, (atom.cast, _sent(self, function, args, kw)))

    async def stop(self: Any, reason: Any = atom.normal, timeout: float | None = None) -> None:
        """End the agent and wait until it is gone. Raises CallFailed if it is not there or ends for another reason."""
        await client.stop(self, reason, timeout)


def _sent(server: Any, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The function as that agent can take it."""
    where = address(server)
    node = where.node if isinstance(where, Pid) else where[1] if type(where) is tuple else None
    home = current_scheduler() or getattr(server, "_home", None)
    if (node is None or home is None or node is home.node) and callable(function):
        return LocalCall(function, args, kwargs)
    return remote_call(function, args, kwargs, prepended=True)


__all__ = ["Agent"]
