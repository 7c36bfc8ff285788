"""Global names and locks: Erlang's `global`, and the full mesh that it keeps.

The face is loaded on first use: what decides is pure and must not draw in what acts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from beamish.names.face import Global as Global
    from beamish.names.server import start_global as start_global

__all__ = ["Global", "start_global"]


def __getattr__(name: str) -> Any:
    if name == "Global":
        from beamish.names.face import Global

        return Global
    if name == "start_global":
        from beamish.names.server import start_global

        return start_global
    raise AttributeError(f"module 'beamish.names' has no attribute {name!r}")
