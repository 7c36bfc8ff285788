"""`beamish nodes NODE`: whom a node is connected to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from beamish.cli.flags import Flag, UsageError
from beamish.cli.one_shot import ONE_SHOT_FLAGS, json_text, read_command

USAGE = """usage: beamish nodes NODE

The name of a node and of all nodes it is connected to, one on a line, ready to copy.
"""
HIDDEN = Flag("--all", "hidden nodes too")


def run(arguments: Sequence[str]) -> int:
    """The command; its exit status."""
    from beamish.cli.call import ask_call
    from beamish.term import atom

    line = read_command(arguments, USAGE, (HIDDEN, *ONE_SHOT_FLAGS), command="beamish nodes")
    if line is None:
        return 0
    if len(line.words) != 1:
        raise UsageError("beamish nodes takes the name of one node, for example: beamish nodes barry")
    kinds = [atom.this, atom.connected if line.get("all") else atom.visible]
    names: list[Any] = ask_call(line, line.words[0], "erlang", "nodes", [kinds])
    asked = line.words[0] if "@" in line.words[0] else line.words[0] + "@"
    others = (str(name) for name in names if not str(name).startswith("beamish-"))  # we are one of the hidden ones
    shown = sorted(others, key=lambda name: (not name.startswith(asked), name))
    print(json_text(shown) if line.get("json") else "\n".join(shown))
    return 0
