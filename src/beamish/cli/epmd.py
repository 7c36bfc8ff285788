"""`beamish epmd`: the port mapper in the foreground, until it is interrupted."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from beamish.cli.flags import Flag, UsageError
from beamish.cli.node_flags import NODE_FLAGS
from beamish.cli.one_shot import read_command
from beamish.epmd.__main__ import serve
from beamish.epmd.client import configured_port
from beamish.epmd.server import bind

USAGE = """usage: beamish epmd

Serve as the port mapper of this machine, for beamish's nodes and Erlang's alike, until Ctrl-C. Nodes start one by
themselves where none runs; that one ends when the last node has left, this one stays.
"""
FLAGS = (
    *(flag for flag in NODE_FLAGS if flag.name == "--epmd-port"),
    Flag("--address", "listen on this address too, beside loopback; 0.0.0.0 for all", "ADDRESS", many=True),
    Flag("--relaxed", "end when asked to (epmd -kill) even while nodes are registered"),
)


def run(arguments: Sequence[str]) -> int:
    """The command; its exit status."""
    line = read_command(arguments, USAGE, FLAGS, command="beamish epmd")
    if line is None:
        return 0
    if line.words:
        raise UsageError(f"beamish epmd takes no argument {line.words[0]!r}; see: beamish epmd --help")
    port = configured_port(line.get("epmd_port"))
    sockets = bind(port, line.get("address", []))
    print(f"port mapper on port {port}; Ctrl-C ends it", file=sys.stderr)
    asyncio.run(serve(relaxed=line.get("relaxed", False), sockets=sockets))
    return 0
