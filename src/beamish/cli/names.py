"""`beamish names [HOST]`: what the port mapper of a machine knows, as `epmd -names` shows it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from beamish.cli.flags import UsageError
from beamish.cli.node_flags import NODE_FLAGS
from beamish.cli.one_shot import JSON, json_text, read_command
from beamish.epmd.client import LOCAL, configured_port, names

USAGE = """usage: beamish names [HOST]

The nodes registered with the port mapper of a machine (default: this one), each with its port.
"""
FLAGS = (JSON, *(flag for flag in NODE_FLAGS if flag.name == "--epmd-port"))


def run(arguments: Sequence[str]) -> int:
    """The command; its exit status."""
    line = read_command(arguments, USAGE, FLAGS, command="beamish names")
    if line is None:
        return 0
    if len(line.words) > 1:
        raise UsageError(f"one host at a time, not {len(line.words)}")
    host = line.words[0] if line.words else LOCAL
    port = configured_port(line.get("epmd_port"))
    found = asyncio.run(names(host, epmd_port=port))
    if line.get("json"):
        print(json_text([{"name": name, "port": number} for name, number in found]))
        return 0
    print(f"port mapper on {host} port {port}: {len(found)} node{'' if len(found) == 1 else 's'}")
    width = max((len(name) for name, _ in found), default=0)
    for name, number in sorted(found):
        print(f"  {name:<{width}}  port {number}")
    return 0
