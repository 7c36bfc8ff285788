"""Items of `erlang:process_info/2`. What Python has no counterpart of (heaps, collections, traces) has Erlang's value
for none.

Source  ERTS, erlang:process_info/2 (shapes compared with OTP 25); facts section 19.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from beamish.process import ControlBlock
from beamish.process.info import info_of
from beamish.rpc.introspection import word_size
from beamish.term import Atom, atom, charlist

DEFAULT_NAMES: Final = (
    "registered_name", "current_function", "initial_call", "status", "message_queue_len", "links", "dictionary",
    "trap_exit", "error_handler", "priority", "group_leader", "total_heap_size", "heap_size", "stack_size",
    "reductions", "garbage_collection", "suspending",
)  # fmt: skip
DEFAULT_FACTS: Final = tuple(atom(name) for name in DEFAULT_NAMES)
"""What `process_info/1` tells, in its order."""

GARBAGE_COLLECTION: Final = [
    (atom.max_heap_size, {atom.error_logger: True, atom.kill: True, atom.size: 0}),
    (atom.min_bin_vheap_size, 0),
    (atom.min_heap_size, 0),
    (atom.fullsweep_after, 65535),
    (atom.minor_gcs, 0),
]

CONSTANT: Final[dict[str, Any]] = {
    "backtrace": "",
    "binary": [],
    "catchlevel": 0,
    "error_handler": atom.error_handler,
    "garbage_collection": GARBAGE_COLLECTION,
    "garbage_collection_info": [],
    "last_calls": False,
    "magic_ref": [],
    "message_queue_data": atom.on_heap,
    "min_bin_vheap_size": 0,
    "min_heap_size": 0,
    "priority": atom.normal,
    "sequential_trace_token": [],
    "stack_size": 0,
    "suspending": [],
    "trace": 0,
}


def _mfa(value: tuple[str, str, int]) -> tuple[Atom, Atom, int]:
    module, function, arity = value
    return atom(module[:255]), atom(function[:255]), arity


def _or_undefined(value: Any) -> Any:
    return atom.undefined if value is None else value


def _stack(frames: list[tuple[str, str, int, str, int]]) -> list[Any]:
    return [
        (*_mfa((module, function, arity)), [(atom.file, charlist(file)), (atom.line, line)])
        for module, function, arity, file, line in frames
    ]


SHAPES: Final[dict[str, Callable[[Any], Any]]] = {
    "current_function": _mfa,
    "initial_call": _mfa,
    "current_stacktrace": _stack,
    "registered_name": lambda name: [] if name is None else name,
    "status": atom,
    "monitors": lambda targets: [(atom.process, target) for target in targets],
    "dictionary": lambda items: list(items.items()),
    "parent": _or_undefined,
    "label": _or_undefined,
    "group_leader": _or_undefined,
}
"""From the values of `Process.info` to Erlang's; the others are the same."""


def fact_of(process: ControlBlock, item: Any) -> tuple[Any, Any]:
    """``{Item, Value}``. Raises ValueError for an unknown item."""
    if isinstance(item, tuple) and len(item) == 2 and item[0] is atom.dictionary:
        return item, info_of(process, ("dictionary",))["dictionary"].get(item[1], atom.undefined)
    if not isinstance(item, Atom):
        raise ValueError(f"no item of process_info: {item!r}")
    name = item.text
    if name in CONSTANT:
        return item, CONSTANT[name]
    if name in ("heap_size", "total_heap_size"):
        return item, info_of(process, ("memory",))["memory"] // word_size()
    if name == "current_location":
        stack = _stack(info_of(process, ("current_stacktrace",))["current_stacktrace"])
        return item, stack[0] if stack else (*_mfa(info_of(process, ("initial_call",))["initial_call"]), [])
    value = info_of(process, (name,))[name]
    return item, SHAPES[name](value) if name in SHAPES else value
