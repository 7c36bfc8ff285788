"""The rest of `erlang`: memory, system information, time, and terms as binaries.

Source  ERTS, erlang module (shapes compared with OTP 25).
"""

from __future__ import annotations

import sys
import time
from typing import Any

from beamish import etf
from beamish.errors import DecodeError, EncodeError
from beamish.io.format import format as erlang_format
from beamish.node.runtime import current_runtime
from beamish.rpc.apply import exports_of
from beamish.rpc.introspection import erlang_memory, erlang_system_info
from beamish.rpc.outcome import ErlangError, badarg
from beamish.term import Atom, atom, charlist, text

__all__ = [
    "atom_to_list",
    "binary_to_term",
    "date",
    "display",
    "function_exported",
    "list_to_atom",
    "localtime",
    "memory",
    "module_loaded",
    "monotonic_time",
    "statistics",
    "system_info",
    "system_time",
    "term_to_binary",
    "time_offset",
    "timestamp",
    "universaltime",
]

UNITS = {
    atom.second: 1,
    atom.seconds: 1,
    atom.millisecond: 1000,
    atom.milli_seconds: 1000,
    atom.microsecond: 1_000_000,
    atom.micro_seconds: 1_000_000,
    atom.nanosecond: 1_000_000_000,
    atom.nano_seconds: 1_000_000_000,
    atom.native: 1_000_000_000,
    atom.perf_counter: 1_000_000_000,
}
NANO = 1_000_000_000


# ---- the system


def memory(kinds: Any = ...) -> Any:
    """Bytes by kind; of one kind, or of a list of kinds."""
    found = erlang_memory(current_runtime())
    if kinds is ...:
        return found
    table = dict(found)
    try:
        return [(kind, table[kind]) for kind in kinds] if isinstance(kinds, list) else table[kinds]
    except (KeyError, TypeError):
        raise badarg() from None


def system_info(key: Any) -> Any:
    """A fact about the node."""
    try:
        return erlang_system_info(current_runtime(), key)
    except ValueError:
        raise badarg() from None


def statistics(what: Any) -> Any:
    """run_queue, wall_clock, runtime, reductions."""
    runtime = current_runtime()
    match what:
        case atom.run_queue | atom.total_run_queue_lengths:
            return runtime.ready_count
        case atom.wall_clock:
            return (time.monotonic_ns() // 1_000_000, 0)
        case atom.runtime:
            return (time.process_time_ns() // 1_000_000, 0)
        case atom.reductions:
            return (runtime.step_number, 0)
    raise badarg()


def module_loaded(module: Any) -> bool:
    """Whether a module is loaded."""
    return str(module) in sys.modules or str(module) in exports_of(current_runtime()).builtin


def function_exported(module: Any, function: Any, arity: Any) -> bool:
    """Whether the function can be called by peers."""
    try:
        exports_of(current_runtime()).resolve(module, function, arity)
    except ErlangError:
        return False
    return True


def display(term: Any) -> bool:
    """Print a term where the node prints."""
    sys.stderr.write(erlang_format("~p~n", [term]))
    return True


# ---- time


def _per_second(unit: Any) -> int:
    if isinstance(unit, int) and not isinstance(unit, bool) and unit > 0:
        return unit
    try:
        return UNITS[unit]
    except (KeyError, TypeError):
        raise badarg() from None


def monotonic_time(unit: Any = atom.native) -> int:
    """Time that never goes back."""
    return time.monotonic_ns() * _per_second(unit) // NANO


def system_time(unit: Any = atom.native) -> int:
    """Time since 1970."""
    return time.time_ns() * _per_second(unit) // NANO


def time_offset(unit: Any = atom.native) -> int:
    """system_time minus monotonic_time."""
    return (time.time_ns() - time.monotonic_ns()) * _per_second(unit) // NANO


def timestamp() -> tuple[int, int, int]:
    """``{MegaSeconds, Seconds, MicroSeconds}``."""
    micro = time.time_ns() // 1000
    return micro // 10**12, micro // 10**6 % 10**6, micro % 10**6


def _clock(now: time.struct_time) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    return (now.tm_year, now.tm_mon, now.tm_mday), (now.tm_hour, now.tm_min, now.tm_sec)


def localtime() -> tuple[Any, Any]:
    """``{{Year, Month, Day}, {Hour, Minute, Second}}``."""
    return _clock(time.localtime())


def universaltime() -> tuple[Any, Any]:
    """The same in UTC."""
    return _clock(time.gmtime())


def date() -> tuple[int, int, int]:
    """Today."""
    return localtime()[0]  # type: ignore[no-any-return]


# ---- terms


def term_to_binary(term: Any, options: Any = None) -> bytes:
    """The external format."""
    try:
        return etf.encode(term)
    except EncodeError:
        raise badarg() from None


def binary_to_term(data: Any, options: Any = None) -> Any:
    """A term from the external format."""
    if isinstance(data, str):
        data = data.encode()
    try:
        return etf.decode(data)
    except (DecodeError, TypeError):
        raise badarg() from None


def atom_to_list(name: Any) -> Any:
    """An atom's text as a charlist."""
    if not (isinstance(name, Atom | bool) or name is None):
        raise badarg()
    return charlist(name.text if isinstance(name, Atom) else "nil" if name is None else str(name).lower())


def list_to_atom(chars: Any) -> Any:
    """An atom from a charlist."""
    try:
        return atom(text(chars))
    except ValueError:
        raise badarg() from None
