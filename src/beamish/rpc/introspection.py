"""What a node can say about itself: memory and system information, for Python and (in Erlang's shapes) for peers.

The operating system knows one process, whatever runs in it: `total` is its resident memory, and two runtimes in one
interpreter both report it. CPython does not tell where its memory went, so only what beamish itself holds is told
apart from `system`.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from typing import Any, Final

from beamish.node.runtime import Runtime, current_runtime
from beamish.process.info import memory_of
from beamish.term import Atom, Charlist, atom, charlist
from beamish.term._atom import live_atoms

ATOM_BYTES: Final = 120
"""A cell of the atom table, its str and its entry in the table, on average."""

OTP_RELEASE: Final = "25"
"""The release whose protocol and library shapes beamish speaks."""

ATOM_LIMIT: Final = 1 << 20
PORT_LIMIT: Final = 65536
STATM: Final = "/proc/self/statm"
_MEMORY_KEYS: Final = ("total", "processes", "system", "atom", "binary", "code", "ets")
_started = time.monotonic()


def _statm() -> tuple[int, int]:
    """Bytes resident in memory, and bytes of them that are the program itself."""
    page = os.sysconf("SC_PAGE_SIZE")
    try:
        with open(STATM) as file:
            fields = file.read().split()
        return int(fields[1]) * page, int(fields[3]) * page
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024, 0


def memory(runtime: Runtime | None = None) -> dict[str, int]:
    """Memory in bytes: total, processes, system, atom, binary, code, ets.

    total: resident memory of the operating system's process. processes: control blocks, coroutines and mailbox rings,
    not what their variables refer to. binary: what waits to be sent. system: all but processes. ets: there are none.
    """
    runtime = runtime or current_runtime()
    total, code = _statm()
    processes = runtime.slot_bytes
    for pid in runtime.pids():
        process = runtime.process_of(pid)
        if process is not None:
            processes += memory_of(process)
    waiting = sum(getattr(route, "pending_bytes", 0) for route in runtime.routes.values())
    values = (total, processes, max(0, total - processes), live_atoms() * ATOM_BYTES, waiting, code, 0)
    return dict(zip(_MEMORY_KEYS, values, strict=True))


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("beamish")
    except metadata.PackageNotFoundError:
        return "0"


def _system_version() -> str:
    return f"beamish {_version()} [CPython {platform.python_version()}] [{8 * word_size()}-bit]\n"


def word_size() -> int:
    """Bytes of a machine word."""
    return 8 if sys.maxsize > 1 << 32 else 4


def system_info(key: str | Atom, runtime: Runtime | None = None) -> Any:
    """One fact about the node: process_count, process_limit, otp_release, version, schedulers, wordsize, … Raises
    ValueError."""
    runtime = runtime or current_runtime()
    match str(key):
        case "process_count":
            return runtime.process_count
        case "process_limit":
            return runtime.process_limit
        case "run_queue":
            return runtime.ready_count
        case "otp_release":
            return OTP_RELEASE
        case "version":
            return _version()
        case "system_version":
            return _system_version()
        case "system_architecture":
            return f"{platform.machine()}-{sys.platform}"
        case "machine":
            return platform.python_implementation()
        case "schedulers" | "schedulers_online" | "schedulers_total":
            return 1
        case "logical_processors" | "logical_processors_online" | "logical_processors_available":
            return os.cpu_count() or 1
        case "dirty_cpu_schedulers" | "dirty_cpu_schedulers_online" | "dirty_io_schedulers" | "ets_count" | "ets_limit":
            return 0
        case "wordsize":
            return word_size()
        case "atom_count":
            return live_atoms()
        case "atom_limit":
            return ATOM_LIMIT
        case "port_count":
            return len(runtime.peers)
        case "port_limit":
            return PORT_LIMIT
        case "creation":
            return runtime.creation
        case "dist_buf_busy_limit":
            return 1 << 20
        case "uptime":
            return time.monotonic() - _started
        case "threads" | "smp_support" | "kernel_poll":
            return True
        case "thread_pool_size":
            return 0
    raise ValueError(f"system_info() knows no {key!s}; it knows {', '.join(KNOWN)}")


KNOWN: Final = (
    "process_count", "process_limit", "run_queue", "otp_release", "version", "system_version",
    "system_architecture", "machine", "schedulers", "schedulers_online", "logical_processors",
    "dirty_cpu_schedulers", "wordsize", "atom_count", "atom_limit", "port_count", "port_limit", "ets_count",
    "ets_limit", "creation", "dist_buf_busy_limit", "uptime", "threads", "smp_support", "kernel_poll",
    "thread_pool_size",
)  # fmt: skip


def erlang_memory(runtime: Runtime) -> list[tuple[Atom, int]]:
    """`erlang:memory/0`: the same numbers under Erlang's keys, in its order."""
    found = memory(runtime)
    found["processes_used"] = found["processes"]
    found["atom_used"] = found["atom"]
    order = ("total", "processes", "processes_used", "system", "atom", "atom_used", "binary", "code", "ets")
    return [(atom(key), found[key]) for key in order]


def erlang_system_info(runtime: Runtime, key: Any) -> Any:
    """`erlang:system_info/1`: text as charlists. Raises ValueError for what it does not know."""
    match key:
        case (atom.wordsize, atom.internal | atom.external):
            return word_size()
        case Atom():
            found = system_info(key, runtime)
            return charlist(found) if isinstance(found, str) and not isinstance(found, Charlist) else found
    raise ValueError(f"system_info of {key!r}")
