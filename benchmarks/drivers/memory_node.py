"""A named node with 100 supervised servers that waits: what does it weigh? Speaks the first line of harness.Child.

    memory_node.py NAME
"""

from __future__ import annotations

import asyncio
import os
import sys

import beamish
from beamish.gen_server import GenServer, call
from beamish.supervisor import Supervisor


class Counter(GenServer):
    """One integer."""

    def init(self, count: int) -> None:
        self.count = count

    @call
    def increment(self, by: int = 1) -> int:
        self.count += by
        return self.count


async def main() -> None:
    """Start the tree; stay until standard input ends."""
    await Supervisor.start_link([Counter.child_spec(i, id=i) for i in range(100)], strategy="one_for_one")
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    beamish.run(main, name=sys.argv[1], cookie=os.environ["BENCH_COOKIE"])
