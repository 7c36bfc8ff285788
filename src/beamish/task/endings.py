"""Being called when a process of this node has died."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from beamish.process import ControlBlock


def at_exit(process: ControlBlock, function: Callable[[Any], object]) -> None:
    """Call a function with the exit reason when a process has died, also by a kill. Its watchers have been told by then, but none
    of them has run."""
    rare = process.rare_parts
    before = rare.on_exit

    def ended(dead: ControlBlock, reason: Any) -> None:
        if before is not None:
            before(dead, reason)
        function(reason)

    rare.on_exit = ended


__all__ = ["at_exit"]
