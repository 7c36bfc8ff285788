"""A process that forks beamish nodes on command, so that a test can start hundreds and kill them with signal 9.

Lines on standard input: ``start NAME [SECONDS]`` forks a node that answers ``up NAME OSPID`` and leaves in order after that many
seconds; ``leave all`` ends those that still live. One line out for each event: ``up``, ``left``, ``failed NAME reason``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys

from beamish.boot import new_event_loop, start_node

EPMD_PORT, COOKIE, PEERS = int(sys.argv[1]), sys.argv[2], sys.argv[3:]


def say(line: str) -> None:
    os.write(1, (line + "\n").encode())


async def life(name: str, seconds: float) -> None:
    from beamish import Node

    runtime = await start_node(name, cookie=COOKIE, epmd_port=EPMD_PORT)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    try:

        async def join() -> bool:
            return any([await Node.connect(peer) is True for peer in PEERS[:1]])

        joined = await runtime.run(join)
        say(f"up {name} {os.getpid()} {'joined' if joined else 'alone'}")
        try:
            await asyncio.wait_for(stop.wait(), seconds or None)
        except TimeoutError:
            pass
    finally:
        await runtime.stop()


def child(name: str, seconds: float) -> None:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(life(name, seconds))
        say(f"left {name}")
    except BaseException as error:
        say(f"failed {name} {type(error).__name__}: {error}")
    os._exit(0)


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    children: list[int] = []
    say("ready")
    for line in sys.stdin:
        verb, name, *rest = line.split()
        if verb == "leave":
            for pid in children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
        elif (pid := os.fork()) == 0:
            child(name, float(rest[0]) if rest else 0.0)
        else:
            children.append(pid)


if __name__ == "__main__":
    main()
