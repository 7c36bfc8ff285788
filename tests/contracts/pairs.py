"""Two connected nodes, over each kind of route there is: what the route contract is tested on."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from beamish.dist.listener import open_listeners
from beamish.dist.net_kernel import NetKernel, Options
from beamish.node.runtime import Runtime
from beamish.process import receive, self, send, trap_exit
from beamish.term import Atom, Pid, atom
from beamish.testing import CuttingProxy, MemoryCluster, VirtualClockLoop
from loops import REAL_LOOPS, LoopFactory

PATIENCE = 10.0
"""Seconds after which something that should come will not come."""


@dataclass
class Pair:
    """Runtimes a and b, which know how to reach each other and are not connected yet."""

    a: Runtime
    b: Runtime
    cut: Callable[[], Any]
    """Break the connection; it can be made again."""
    proxies: tuple[CuttingProxy, ...] = ()
    """What stands before each listener, over TCP."""

    async def connect(self) -> None:
        assert self.a.net is not None
        assert await self.a.net.connect(self.b.node)

    @property
    def routes(self) -> tuple[Any, Any]:
        """a's route to b and b's route to a."""
        return self.a.routes[self.b.node], self.b.routes[self.a.node]

    def tables(self) -> list[dict[Any, Any]]:
        """What the routes remember about links, monitors and requests; all empty when nothing is left."""
        found = []
        for route in self.routes:
            found += [route.links, route.out_monitors, route.in_monitors, route.requests]
        return found


async def echo() -> None:
    """Sends back what it gets, as ``(sender, message)`` pairs."""
    while True:
        sender, message = await receive()
        send(sender, message)


async def idle() -> None:
    while True:
        await receive()


async def news() -> Any:
    return await receive(timeout=PATIENCE)


async def trapping(to: Pid) -> None:
    trap_exit()
    send(to, "ready")
    while True:
        send(to, await receive())


async def settled(peer: Pid) -> None:
    """Everything sent to the node of `peer` (an `echo`) before has arrived there, and what it caused has arrived here."""
    for _ in range(2):
        mark = object_like(self())
        send(peer, (self(), mark))
        assert await receive(lambda message: message == mark, timeout=PATIENCE) == mark


_marks = iter(range(1, 10**9))


def object_like(pid: Pid) -> tuple[Atom, Pid, int]:
    """A message nobody else sends."""
    return (atom.mark, pid, next(_marks))


@asynccontextmanager
async def memory_pair() -> AsyncIterator[Pair]:
    async with MemoryCluster("a", "b", seed=1) as cluster:
        yield Pair(cluster["a"], cluster["b"], functools.partial(_cut_and_heal, cluster))


def _cut_and_heal(cluster: MemoryCluster) -> None:
    cluster.cut("a", "b")
    cluster.heal()


@asynccontextmanager
async def tcp_pair() -> AsyncIterator[Pair]:
    """Over real sockets, with a proxy that can cut before each listener."""
    ports: dict[Atom, int] = {}

    async def find_port(node: Atom) -> tuple[str, int]:
        if node not in ports:
            raise OSError(f"{node} is not running")
        return "127.0.0.1", ports[node]

    runtimes: list[Runtime] = []
    proxies: list[CuttingProxy] = []
    for creation, name in enumerate(("a@127.0.0.1", "b@127.0.0.1"), 1):
        runtime = Runtime(atom(name), creation)
        net = NetKernel(runtime, Options("secret"), find_port)
        listeners = open_listeners(["127.0.0.1"])
        net.accept(listeners)
        proxy = CuttingProxy("127.0.0.1", listeners[0].getsockname()[1])
        await proxy.__aenter__()
        ports[runtime.node] = proxy.port
        runtimes.append(runtime)
        proxies.append(proxy)

    async def cut() -> None:
        for proxy in proxies:
            await proxy.cut()

    try:
        yield Pair(*runtimes, cut, tuple(proxies))
    finally:
        for runtime in runtimes:
            await runtime.stop()
        for proxy in proxies:
            await proxy.__aexit__(None, None, None)


Maker = Callable[[], AbstractAsyncContextManager[Pair]]
IMPLEMENTATIONS: dict[str, tuple[Maker, LoopFactory]] = {
    "memory": (memory_pair, VirtualClockLoop),
    **{f"tcp-{name}": (tcp_pair, factory) for name, factory in REAL_LOOPS.items()},
}


def over_tcp(test: Callable[..., Any]) -> Any:
    """`contract` for what only a socket has."""
    return contract(test, [name for name in IMPLEMENTATIONS if name.startswith("tcp")])


def contract(test: Callable[..., Any], names: Iterable[str] = IMPLEMENTATIONS) -> Any:
    """Run ``async def test(pair)`` on every implementation, connected; with ``connected=False`` in its defaults, not yet."""
    connected = inspect.signature(test).parameters.get("connected")

    @functools.wraps(test)
    def run(implementation: str) -> None:
        maker, loop_factory = IMPLEMENTATIONS[implementation]

        async def main() -> None:
            async with asyncio.timeout(60), maker() as pair:
                if connected is None:
                    await pair.connect()
                await test(pair)

        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(main())

    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter("implementation", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    )
    return pytest.mark.parametrize("implementation", list(names))(run)
