"""`strict_messages`: each message between processes of one node is checked as if it went to another.

Between local processes messages go by reference, so a set, an open file or an object of one's own arrives there and fails
only on the day its receiver lives elsewhere. With the check it fails at once, at the sender, with the path to the value.
Let through are functions and classes (a local `Agent` or `Task` takes any; which of them travel is told when they do), and what
beamish itself sends to local processes only, such as child specifications.
"""

from __future__ import annotations

import types
from functools import partial
from typing import Any, Final

from beamish.errors import EncodeError
from beamish.etf import encode
from beamish.node.runtime import Runtime

SETTING: Final = "strict_messages"
MAX_DEPTH: Final = 50
_CODE: Final = (types.FunctionType, types.MethodType, types.BuiltinFunctionType, partial, type)


def make_strict(runtime: Runtime) -> None:
    """Check every local message of this node from now on."""
    runtime.strict_check = check
    runtime.strict = True


def make_lax(runtime: Runtime) -> None:
    """Check no longer."""
    runtime.strict = False
    runtime.strict_check = None


def check(message: Any) -> None:
    """Raise EncodeError if a message could not go to another node."""
    problem = _problem_of(message)
    if problem is None:
        return
    plain = _without_ours(message, 0)
    if plain is not message:
        problem = _problem_of(plain)
        if problem is None:
            return
    raise EncodeError(
        f"this message could not be sent to another node: {problem}. Its receiver is on this one, but {SETTING} is on, as in dev "
        "and test"
    )


def _problem_of(value: Any) -> str | None:
    try:
        encode(value)
    except EncodeError as error:
        return str(error)
    return None


def _without_ours(value: Any, depth: int) -> Any:
    """The value with None in the place of code and of beamish's own objects; the value itself if it holds none."""
    if isinstance(value, _CODE):
        return None
    kind = type(value)
    if kind in (tuple, list) and depth < MAX_DEPTH:
        items = [_without_ours(item, depth + 1) for item in value]
        return kind(items) if any(new is not old for new, old in zip(items, value, strict=True)) else value
    if kind is dict and depth < MAX_DEPTH:
        pairs = {key: _without_ours(item, depth + 1) for key, item in value.items()}
        return pairs if any(pairs[key] is not item for key, item in value.items()) else value
    if kind.__module__.startswith("beamish.") and _problem_of(value) is not None:
        return None
    return value
