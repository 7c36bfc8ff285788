"""``python -m beamish.epmd``: a port mapper as a process of its own.

With ``--daemon`` it listens first and only then leaves the terminal, so that its caller can go on as soon as the
command has ended. Kept free of the rest of beamish: it should start fast and stay small.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import os
import signal
import socket
import sys
from collections.abc import Sequence

from beamish.epmd.client import LOCAL, configured_port, names
from beamish.epmd.server import EpmdServer, bind
from beamish.errors import EpmdError


async def serve(
    port: int | None = None,
    addresses: Sequence[str] = (),
    *,
    relaxed: bool = False,
    exit_when_idle: float | None = None,
    sockets: Sequence[socket.socket] | None = None,
) -> None:
    """Run a port mapper until it is told to end (SIGINT, SIGTERM, a request), or for want of names.

    Raises  EpmdError
    """
    server = EpmdServer(port=port, addresses=addresses, relaxed=relaxed, exit_when_idle=exit_when_idle, sockets=sockets)
    await server.start()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, server.stop)
    try:
        await server.wait_stopped()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m beamish.epmd", description="a port mapper for Erlang nodes")
    parser.add_argument("--port", type=int, help="default: ERL_EPMD_PORT, else 4369")
    parser.add_argument("--address", action="append", default=[], help="listen there too, beside loopback")
    parser.add_argument("--relaxed", action="store_true", help="may be told to end while nodes are registered")
    parser.add_argument("--daemon", action="store_true", help="leave the terminal once it listens")
    parser.add_argument("--exit-when-idle", type=float, metavar="SECONDS", help="end after so long without a name")
    options = parser.parse_args(argv)
    try:
        port = configured_port(options.port)
        sockets = bind(port, options.address)
    except EpmdError as error:
        if options.daemon and error.errno == errno.EADDRINUSE and _answers(port):
            return 0  # somebody else was faster: what the caller wants is there
        print(error.strerror or error, file=sys.stderr)
        return 1
    if options.daemon:
        _leave_terminal()
    asyncio.run(serve(relaxed=options.relaxed, exit_when_idle=options.exit_when_idle, sockets=sockets))
    return 0


def _answers(port: int) -> bool:
    try:
        asyncio.run(names(LOCAL, epmd_port=port))
    except EpmdError:
        return False
    return True


def _leave_terminal() -> None:
    if os.fork():
        os._exit(0)
    os.setsid()
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.close(null)


if __name__ == "__main__":
    sys.exit(main())
