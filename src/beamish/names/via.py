"""A global name as the name of a server: ``("global", name)``, Elixir's ``{:global, name}``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from beamish.names.face import Global
from beamish.term import Pid


@dataclass(frozen=True, slots=True)
class GlobalName:
    """Give it where a server or a name is wanted; made by `Global.via(name)`."""

    name: Any

    async def register(self, pid: Pid) -> bool:
        """Give the process the name on all nodes; False if another has it."""
        return await Global.register_name(self.name, pid)

    async def unregister(self) -> None:
        """Take the name from all nodes."""
        await Global.unregister_name(self.name)

    def whereis(self) -> Pid | None:
        """Who has the name, as this node knows it."""
        return Global.whereis_name(self.name)

    def send(self, message: Any) -> None:
        """Send to whoever has the name. Raises NoProcess."""
        Global.send(self.name, message)

    def __repr__(self) -> str:
        return f"Global.via({self.name!r})"


__all__ = ["GlobalName"]
