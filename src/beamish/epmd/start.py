"""Making sure that a port mapper runs.

``ensure_epmd`` is what a node calls before it registers. If nobody answers it starts beamish's own port mapper as a
process of its own, because nodes of other programs will register there and must not lose their names when our node
leaves. It is beamish's and not an installed ``epmd`` so that a machine behaves the same with and without Erlang; a real
``epmd`` that runs already is used, and real nodes use ours. One that was started this way ends by itself when no name
has been registered for a while; ``beamish epmd`` runs one that stays.
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from beamish.epmd.client import LOCAL, EpmdUnreachable, configured_port, names
from beamish.errors import EpmdError
from beamish.node.host import addresses, is_loopback_address

EXIT_WHEN_IDLE: Final = 10.0
"""Seconds without a registered name after which a port mapper that was started for a node ends."""

START_TIMEOUT: Final = 20.0

log = logging.getLogger("beamish.epmd")


async def ensure_epmd(
    host: str = LOCAL, *, epmd_port: int | None = None, exit_when_idle: float = EXIT_WHEN_IDLE
) -> bool:
    """Start a port mapper unless one answers on this machine; whether one was started.

    host: the host part of our node's name. Beside loopback, where we register, its addresses are where peers will look;
    a running port mapper that does not listen there is reported in the log. epmd_port: default ERL_EPMD_PORT or 4369.
    Raises  NotEpmd if something else holds the port; EpmdError if it does not start; NodeError if host does not resolve
    """
    port = configured_port(epmd_port)
    found = await asyncio.to_thread(addresses, host)
    outside = [address for address in found if not is_loopback_address(address)]
    started = False
    try:
        await names(LOCAL, epmd_port=port)
    except EpmdUnreachable:
        await asyncio.to_thread(_start, port, outside, exit_when_idle)
        await names(LOCAL, epmd_port=port)
        started = True
    for address in outside:
        await _check_reachable(address, port)
    return started


async def _check_reachable(address: str, port: int) -> None:
    try:
        await names(address, epmd_port=port)
    except EpmdError as error:
        log.warning(
            "the port mapper of this machine does not answer on %s, so nodes on other machines will not find this one"
            " (%s); end it (`epmd -kill`) and start the nodes again, or run `beamish epmd --address %s`",
            address,
            error,
            address,
        )


def _start(port: int, outside: Sequence[str], exit_when_idle: float) -> None:
    """Run the launcher, which ends as soon as its child listens, or a competitor's does."""
    command = [sys.executable, "-S", "-m", "beamish.epmd", "--daemon", "--port", str(port)]
    command += ["--exit-when-idle", str(exit_when_idle)]
    for address in outside:
        command += ["--address", address]
    # Without site (-S) it starts in a third of the time; all it needs beside the standard library is this package.
    root = str(Path(__file__).resolve().parents[2])
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": root},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            timeout=START_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EpmdError(
            f"could not start a port mapper ({error}); start one by hand with `beamish epmd` or `epmd -daemon`"
        ) from error
    if done.returncode != 0:
        what = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise EpmdError(what[-1] if what else f"the port mapper ended with status {done.returncode} at its start")
