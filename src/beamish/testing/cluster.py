"""Nodes in memory, started and stopped together.

    async def test_failover():
        async with MemoryCluster("a", "b", "c", seed=7) as cluster:
            await cluster.connect_all()
            await cluster.run("a", start_work)          # a process on a
            cluster.partition({"a"}, {"b", "c"})
            ...

Run such a test with `run_cluster(test_failover)`: on the virtual clock, without an event loop of its own.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, Final

from beamish.node.names import split
from beamish.node.runtime import Runtime
from beamish.term import Atom, Pid, atom
from beamish.testing.clock import VirtualClockLoop
from beamish.testing.network import DELAY, NOTICE, MemoryNetwork
from beamish.testing.running import LIMIT, slice_for

HOST: Final = "memory"

Services = Callable[[Runtime], Awaitable[object]]
"""Starts what a node shall offer, before it is connected: for instance `beamish.rpc.start_services`."""


class MemoryCluster:
    """Nodes on one network. A node is called by its full name (``a@memory``) or by the part before the @.

    services: awaited with each new runtime. The other options are those of `MemoryNetwork`.
    """

    def __init__(
        self, *names: str, seed: int = 0, services: Services | None = None, delay: tuple[float, float] = DELAY,
        notice: tuple[float, float] = NOTICE, keep_log: bool = False,
    ) -> None:  # fmt: skip
        self.names = names
        self.nodes: dict[Atom, Runtime] = {}
        self._services = services
        self._options: dict[str, Any] = {"seed": seed, "delay": delay, "notice": notice, "keep_log": keep_log}
        self._network: MemoryNetwork | None = None
        self._creations = itertools.count(1)

    async def __aenter__(self) -> MemoryCluster:
        self._network = MemoryNetwork(**self._options)
        for name in self.names:
            await self.start(name)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for runtime in list(self.nodes.values()):
            await runtime.stop()
        self.nodes.clear()

    @property
    def network(self) -> MemoryNetwork:
        """The network between the nodes."""
        if self._network is None:
            raise RuntimeError("the cluster is not running: use it as `async with MemoryCluster(...) as cluster`")
        return self._network

    def name(self, node: str | Atom) -> Atom:
        """The full name of a node."""
        full = atom(node if "@" in str(node) else f"{node}@{HOST}")
        split(full)
        return full

    def __getitem__(self, node: str | Atom) -> Runtime:
        name = self.name(node)
        if name not in self.nodes:
            raise KeyError(f"no node {name} is running; there are {', '.join(map(str, self.nodes)) or 'none'}")
        return self.nodes[name]

    async def start(self, node: str | Atom, *, hidden: bool = False) -> Runtime:
        """Start a node, or one that was stopped or killed again: then with a new creation and nothing of its old life."""
        runtime = Runtime(self.name(node), next(self._creations), slice=slice_for(self.network.loop))
        self.network.attach(runtime, hidden=hidden)
        self.nodes[runtime.node] = runtime
        if self._services is not None:
            await self._services(runtime)
        return runtime

    async def stop(self, node: str | Atom) -> None:
        """Stop a node in order."""
        await self.nodes.pop(self.name(node)).stop()

    def kill(self, node: str | Atom) -> None:
        """End a node without a farewell, as `kill -9` does."""
        name = self.name(node)
        del self.nodes[name]
        self.network.kill(name)

    async def connect(self, one: str | Atom, two: str | Atom) -> bool:
        """Connect two nodes from the first one's side."""
        net = self[one].net
        assert net is not None
        return await net.connect(self.name(two))

    async def connect_all(self) -> None:
        """Connect everybody with everybody. Raises RuntimeError for a pair that cannot be connected."""
        for one, two in itertools.combinations(list(self.nodes), 2):
            if not await self.connect(one, two):
                raise RuntimeError(f"{one} and {two} cannot be connected")

    async def run(self, node: str | Atom, function: Callable[..., Any], *args: Any) -> Any:
        """Run a function as a process on a node and give its result."""
        return await self[node].run(function, *args)

    def spawn(self, node: str | Atom, function: Callable[..., Any], *args: Any, name: str | None = None) -> Pid:
        """Start a process on a node."""
        return self[node].spawn(function, *args, name=name)

    def cut(self, one: str | Atom, two: str | Atom) -> None:
        """See `MemoryNetwork.cut`."""
        self.network.cut(self.name(one), self.name(two))

    def heal(self, one: str | Atom | None = None, two: str | Atom | None = None) -> None:
        """See `MemoryNetwork.heal`."""
        self.network.heal(*(None if node is None else self.name(node) for node in (one, two)))

    def partition(self, *groups: Iterable[str | Atom]) -> None:
        """See `MemoryNetwork.partition`."""
        self.network.partition(*([self.name(node) for node in group] for group in groups))


def run_cluster(test: Callable[..., Awaitable[Any]], *args: Any, limit: float = LIMIT) -> Any:
    """Run an async function that makes its own clusters on the virtual clock; it is no process itself.

    limit: virtual seconds, after which it has failed with TimeoutError.
    """

    async def main() -> Any:
        async with asyncio.timeout(limit):
            return await test(*args)

    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        return runner.run(main())


__all__ = ["HOST", "MemoryCluster", "run_cluster"]
