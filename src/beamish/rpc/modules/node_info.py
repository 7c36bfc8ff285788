"""`beamish`, the module that only our nodes have: ``rpc:call(Node, beamish, memory, [])``."""

from __future__ import annotations

from typing import Any

from beamish.node.runtime import current_runtime
from beamish.rpc import introspection
from beamish.rpc.modules.starting import start, start_link
from beamish.rpc.outcome import badarg
from beamish.term import Atom, atom

__all__ = ["memory", "start", "start_link", "system_info", "version"]


def memory() -> dict[Atom, int]:
    """`beamish.memory()` as a map."""
    return {atom(key): value for key, value in introspection.memory(current_runtime()).items()}


def system_info(key: Any) -> Any:
    """`beamish.system_info(key)`; text as binaries."""
    try:
        return introspection.system_info(key.decode() if isinstance(key, bytes) else key, current_runtime())
    except ValueError:
        raise badarg() from None


def version() -> Any:
    """This beamish's version."""
    return introspection.system_info("version", current_runtime())
