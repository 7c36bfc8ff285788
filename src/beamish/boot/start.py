"""Starting a node: name, sockets, port mapper, services, in an order in which nothing is announced before it works."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import socket
import threading
from collections.abc import Iterable

from beamish.dist.listener import find_port, open_listeners
from beamish.dist.net_kernel import NetKernel
from beamish.dist.peer import Options
from beamish.epmd import client as epmd
from beamish.epmd.start import ensure_epmd
from beamish.io.group_leader import start_user
from beamish.io.requests import Device
from beamish.names.server import start_global
from beamish.node.cookie import find_cookie
from beamish.node.host import addresses, full_hostname, is_loopback_address, listen_addresses, short_hostname
from beamish.node.names import complete, split
from beamish.node.runtime import Runtime
from beamish.rpc import start_services
from beamish.term import Atom, atom

log = logging.getLogger("beamish.node")


async def start_local(*, exports: Iterable[str] | None = None, device: Device | None = None, preempt: bool = True) -> Runtime:
    """A node without a name: processes and services, no distribution."""
    _tune_collector()
    runtime = Runtime()
    if preempt:
        _preempt(runtime)
    await start_user(runtime, device)
    await start_services(runtime, exports=exports)
    return runtime


async def start_node(
    name: str,
    *,
    long: bool | None = None,
    cookie: str | None = None,
    hidden: bool = False,
    port_range: tuple[int, int] = (0, 0),
    connect_all: bool = True,
    auto_connect: bool = True,
    net_ticktime: float = 60.0,
    listen_address: str | None = None,
    epmd_port: int | None = None,
    start_epmd: bool = True,
    exports: Iterable[str] | None = None,
    allowed: Iterable[Atom | str] | None = None,
    device: Device | None = None,
    preempt: bool = True,
) -> Runtime:
    """Start a distributed node on the running loop.

    name: ``barry``, ``barry@host`` or ``barry@host.domain``; long: whether it is a long name (None: judged by its host part).
    cookie: None reads the environment or ~/.erlang.cookie. port_range: distribution ports, (0, 0) for any; listen_address:
    instead of the addresses of the name's host. start_epmd: start a port mapper where none runs. net_ticktime: seconds.
    exports: modules that peers may call, None for all. allowed: the only nodes let in, None for all.
    device: what the node's processes print on and read from, None for the standard streams. preempt: interrupt processes that
    compute for too long (only in the main thread).
    Raises NodeError (EpmdError) with what to do about it.
    """
    if long is None:
        long = "." in name.partition("@")[2] or ":" in name.partition("@")[2]
    full = complete(name, long=long, hostname=full_hostname() if long else short_hostname())
    alive, host = split(full)
    secret = find_cookie(cookie).text
    loop = asyncio.get_running_loop()
    where = [listen_address] if listen_address else [each for each in listen_addresses(host) if ":" not in each] or addresses(host)
    listeners = open_listeners(where, port_range)
    try:
        if start_epmd:
            await ensure_epmd(host, epmd_port=epmd_port)
        port: int = listeners[0].getsockname()[1]
        registration = await epmd.register(alive, port, hidden=hidden, epmd_port=epmd_port)
    except BaseException:
        _close(listeners)
        raise
    _tune_collector()
    runtime = Runtime(full, registration.creation, loop)
    if preempt:
        _preempt(runtime)
    runtime.services["epmd_port"] = epmd_port
    options = Options(
        secret, hidden=hidden, ticktime=net_ticktime, auto_connect=auto_connect,
        allowed=None if allowed is None else frozenset(atom(str(node)) for node in allowed),
    )  # fmt: skip
    net = NetKernel(runtime, options, functools.partial(find_port, epmd_port=epmd_port))

    async def give_name_back() -> None:
        registration.close()
        await registration.wait_closed()

    runtime.stopping.append(give_name_back)
    await start_user(runtime, device)
    await start_services(runtime, exports=exports)
    await start_global(runtime, connect_all=connect_all and not hidden)
    net.accept(listeners)
    log.info("node %s listens on %s port %d", full, ", ".join(where), port)
    if not all(is_loopback_address(address) for address in where):
        log.warning("node %s is reachable from other machines and does not use TLS: keep port %d behind a firewall", full, port)
    return runtime


PYTHONS_THRESHOLDS = (700, 10, 10)
THRESHOLDS = (10_000, 10, 10)
"""A node makes many small objects that live on (processes, messages); Python's own threshold has the collector look at them again
and again. Measured: 10 to 30 % more processes started per second."""


def _tune_collector() -> None:
    """Collect garbage less often, unless the program has chosen for itself."""
    if gc.isenabled() and gc.get_threshold() == PYTHONS_THRESHOLDS:
        gc.set_threshold(*THRESHOLDS)


def _preempt(runtime: Runtime) -> None:
    """Where it cannot be, the node runs without; in other threads than the main one that is no news."""
    if threading.current_thread() is threading.main_thread():
        try:
            runtime.start_preempting()
        except RuntimeError as error:
            log.warning("%s", error)


def _close(listeners: list[socket.socket]) -> None:
    for sock in listeners:
        sock.close()
