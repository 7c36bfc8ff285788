"""A key of a unique registry as the name of a server: Elixir's ``{:via, Registry, {registry, key}}``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from beamish.errors import NoProcess
from beamish.process import self as _me
from beamish.process import send
from beamish.registry.access import find
from beamish.registry.keys import key_of
from beamish.registry.table import AlreadyRegistered, Table
from beamish.term import Atom, Pid


@dataclass(frozen=True, slots=True)
class Via:
    """Give it where a server or a name is wanted. The value goes into the registry with the key; it does not matter for
    finding the server again."""

    registry: Atom | str
    key: Any
    value: Any = field(default=None, compare=False)

    def _table(self) -> Table:
        table = find(self.registry)
        if not table.unique:
            raise ValueError(f"{table.name} has duplicate keys: only the keys of a unique registry can be names")
        return table

    def register(self, pid: Pid) -> bool:
        """Give the name to the current process, `pid`; False if a living process has it."""
        if pid != _me():
            raise ValueError(f"a process registers itself under {self!r}; {pid} is not the current process")
        try:
            self._table().add(pid, self.key, self.value)
        except AlreadyRegistered:
            return False
        return True

    def unregister(self) -> None:
        """Take the name from the current process."""
        self._table().remove(_me(), self.key)

    def whereis(self) -> Pid | None:
        """Who has the name."""
        pair = self._table().owner(key_of(self.key))
        return None if pair is None else pair[0]

    def send(self, message: Any) -> None:
        """Send to whoever has the name. Raises NoProcess."""
        pid = self.whereis()
        if pid is None:
            raise NoProcess(f"no process is registered under the key {self.key!r} of the registry {self.registry}")
        send(pid, message)

    def __repr__(self) -> str:
        value = "" if self.value is None else f", {self.value!r}"
        return f"Registry.via({str(self.registry)!r}, {self.key!r}{value})"


__all__ = ["Via"]
