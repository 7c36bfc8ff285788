"""Who listens on TCP ports of this machine, as far as the system tells us."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Final

LISTENING: Final = "0A"  # Linux, include/net/tcp_states.h


def port_holders(low: int, high: int, proc: Path = Path("/proc")) -> dict[int, str]:
    """Ports of a range that somebody listens on, each with "PID name", or "another user's process". Linux only; empty
    elsewhere."""
    listening = chain(_listeners(proc / "net/tcp"), _listeners(proc / "net/tcp6"))
    sockets = {inode: port for port, inode in listening if low <= port <= high}
    found = dict.fromkeys(sorted(sockets.values()), "another user's process")
    if not sockets:
        return found
    for inode, holder in _owners(proc):
        if inode in sockets:
            found[sockets[inode]] = holder
    return found


def _listeners(table: Path) -> Iterator[tuple[int, str]]:
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return
    for line in lines:
        fields = line.split()
        if len(fields) > 9 and fields[3] == LISTENING:
            yield int(fields[1].rpartition(":")[2], 16), fields[9]


def _owners(proc: Path) -> Iterator[tuple[str, str]]:
    """Sockets of processes that we may look into: inode, "PID name"."""
    for entry in proc.iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            links = [_target(handle) for handle in (entry / "fd").iterdir()]
            name = (entry / "comm").read_text().strip()
        except OSError:
            continue
        yield from ((link[8:-1], f"{entry.name} {name}") for link in links if link.startswith("socket:["))


def _target(handle: Path) -> str:
    try:
        return os.readlink(handle)
    except OSError:  # closed since it was listed
        return ""


def held_ports_note(low: int, high: int) -> str:
    """A sentence for an error message, or nothing."""
    holders = port_holders(low, high)
    if not holders:
        return ""
    shown = [f"{port} by {holder}" for port, holder in list(holders.items())[:8]]
    rest = f" and {len(holders) - 8} more" if len(holders) > 8 else ""
    return f"\nheld: {', '.join(shown)}{rest}"
