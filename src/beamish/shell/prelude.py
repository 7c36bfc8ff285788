"""The names that every shell starts with."""

from __future__ import annotations

from functools import cache
from typing import Any

_NOT_NEEDED = ("run", "start_local", "start_node")


@cache
def prelude() -> dict[str, Any]:
    """beamish's own names, for looking only: copy it."""
    import asyncio

    import beamish
    from beamish import io

    names = {name: getattr(beamish, name) for name in beamish.__all__ if name not in _NOT_NEEDED and hasattr(beamish, name)}
    names.update(io=io, asyncio=asyncio)
    return names
