"""The body of a process that is started from something other than an async function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


async def apply(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Call the function, and wait for what it gives if that can be awaited."""
    result = function(*args, **kwargs)
    if hasattr(result, "__await__"):
        await result
