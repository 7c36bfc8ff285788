"""The registries of a node, by name."""

from __future__ import annotations

from typing import Any, Final

from beamish.errors import NoProcess, NoRuntime
from beamish.node import current_runtime
from beamish.process import current_scheduler
from beamish.registry.table import Table
from beamish.term import Atom

SERVICE: Final = "registries"
"""Where a runtime keeps them: its service of this name maps each registry's name, as Atom and as str, to its table."""


def find(registry: Atom | str) -> Table:
    """The table of a registry of this node. Raises NoProcess if none of that name is running."""
    try:
        table: Table = current_scheduler().services[SERVICE][registry]  # type: ignore[union-attr]
    except (KeyError, TypeError, AttributeError):
        raise _unknown(registry) from None
    return table


def _unknown(registry: Any) -> Exception:
    home: Any = current_scheduler()
    if home is None:
        return NoRuntime("a registry belongs to a node: use it inside a process (spawn(), beamish.run(), the shell)")
    if not isinstance(registry, Atom | str):
        return TypeError(f"a registry is called by its name, a str or an atom, not {registry!r}")
    running = sorted({str(name) for name in home.services.get(SERVICE, ())})
    return NoProcess(
        f"unknown registry: {registry} is not running on {home.node}; start it with Registry.start_link(name=…), or in a "
        f"supervisor before those that use it (running: {', '.join(running) or 'none'})"
    )


def publish(table: Table) -> None:
    """Let the processes of the current runtime find a table."""
    names = current_runtime().services.setdefault(SERVICE, {})
    names[table.name] = names[table.name.text] = table


def withdraw(table: Table) -> None:
    """Its registry has ended."""
    names = getattr(table.home, "services", {}).get(SERVICE, {})
    if names.get(table.name) is table:
        del names[table.name], names[table.name.text]


__all__ = ["SERVICE", "find", "publish", "withdraw"]
