"""The process of an agent: a GenServer whose state is one value, and whose requests are functions of it.

Requests are Elixir's: ``{get, F}``, ``{update, F}``, ``{get_and_update, F}``, and the cast ``{cast, F}``; F is a function of this
node (`LocalCall`), ``{Module, Function, Args}``, or ``fun M:F/A``. What comes by name goes through the node's policy.

Source  Elixir 1.14: agent/server.ex.
"""

from __future__ import annotations

from typing import Any

from beamish.agent.functions import LocalCall, resolved, settled
from beamish.gen_server import GenServer, Reply, Stop
from beamish.term import ExportFun, Fun, atom


class AgentServer(GenServer):
    """See `Agent`."""

    __qualname__ = "Agent"  # what logs and errors call it

    value: Any

    async def init(self, start: LocalCall) -> None:
        """Make the first state."""
        self.value = await settled(start())

    async def handle_call(self, request: Any, from_: Any) -> Any:
        """`get`, `update` and `get_and_update`."""
        match request:
            case (atom.get, function):
                return Reply(await self.apply(function))
            case (atom.update, function):
                self.value = await self.apply(function)
                return Reply(atom.ok)
            case (atom.get_and_update, function):
                result = await self.apply(function)
                if type(result) is not tuple or len(result) != 2:
                    return Stop((atom.bad_return_value, result))
                answer, self.value = result
                return Reply(answer)
        return super().handle_call(request, from_)

    async def handle_cast(self, request: Any) -> Any:
        """`cast`."""
        match request:
            case (atom.cast, function):
                self.value = await self.apply(function)
                return None
        return super().handle_cast(request)

    async def code_change(self, old_version: Any, extra: Any) -> None:
        """`sys:change_code` with a function: it makes the new state."""
        self.value = await self.apply(extra)

    def get_state(self) -> Any:
        """The value."""
        return self.value

    def set_state(self, state: Any) -> None:
        """Another value."""
        self.value = state

    async def apply(self, function: Any) -> Any:
        """What a function of a request makes of the state."""
        match function:
            case LocalCall():
                return await settled(function(self.value))
            case (module, name, [*args]):
                called = [self.value, *args]
                return await settled(resolved(module, name, called)(*called))
            case ExportFun() | Fun():
                called = [function, [self.value]]
                return await settled(resolved(atom.erlang, atom.apply, called)(*called))
            case _:
                raise TypeError(f"an agent is sent functions, not {function!r}")


__all__ = ["AgentServer"]
