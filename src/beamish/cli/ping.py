"""`beamish ping NODE`: does a node answer, and how fast."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from beamish.cli.flags import UsageError
from beamish.cli.one_shot import DEFAULT_TIMEOUT, ONE_SHOT_FLAGS, ask_node, json_text, read_command

USAGE = """usage: beamish ping NODE

Prints pong and the time of a round trip, or pang (and why, exit status 1). NODE without a host is on this machine.
"""


def run(arguments: Sequence[str]) -> int:
    """The command; its exit status."""
    line = read_command(arguments, USAGE, ONE_SHOT_FLAGS, command="beamish ping")
    if line is None:
        return 0
    if len(line.words) != 1:
        raise UsageError("beamish ping takes the name of one node, for example: beamish ping barry")
    seconds = line.get("timeout", DEFAULT_TIMEOUT)

    async def question(target: Any) -> tuple[str, float]:
        import asyncio

        from beamish.cli.reach import connect_or_say_why
        from beamish.node import Node
        from beamish.term import atom

        async with asyncio.timeout(seconds):
            problem = await connect_or_say_why(target, line.get("epmd_port"))
        if problem is not None:
            return problem, 0.0
        started = time.perf_counter()
        async with asyncio.timeout(seconds):
            answer = await Node.ping(target)
        taken = time.perf_counter() - started
        return ("" if answer is atom.pong else f"{target} is connected but does not answer"), taken

    try:
        problem, taken = ask_node(line, line.words[0], question)
    except TimeoutError:
        problem, taken = f"no answer within {seconds:g} s", 0.0
    if line.get("json"):
        print(json_text({"node": line.words[0], "pong": not problem, "seconds": taken, "problem": problem or None}))
    elif problem:
        print(f"pang: {problem}")
    else:
        print(f"pong ({taken * 1000:.2f} ms)")
    return 1 if problem else 0
