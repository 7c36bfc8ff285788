"""Nodes in memory, started and stopped together.

    async def test_failover():
        async with MemoryCluster("a", "b", "c", seed=7) as cluster:
            await cluster.connect_all()
            await cluster.run("a", start_work)          # a process on a
            cluster.partition({"a"}, {"b", "c"})
            ...

Run such a test with `run_cluster(test_failover)`: on the virtual clock, without an event loop of its own. `@clustered` does both.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, Final

from beamish.names.server import start_global
from beamish.node.names import split
from beamish.node.runtime import ProcessFailed, Runtime
from beamish.rpc import start_services
from beamish.term import Atom, Pid, atom
from beamish.testing.case import Case
from beamish.testing.clock import VirtualClockLoop
from beamish.testing.network import DELAY, NOTICE, MemoryNetwork
from beamish.testing.running import LIMIT, settle_in, slice_for, within

HOST: Final = "memory"

Services = Callable[[Runtime], Awaitable[object]]
"""Starts what a node shall offer, before it is connected: for instance `services_of_a_node`."""


async def services_of_a_node(runtime: Runtime) -> None:
    """What every real node has: calls from other nodes (rpc, erpc, remote spawn) and global names."""
    await start_services(runtime)
    network = getattr(runtime.net, "network", None)
    # Its pauses are random; within a memory cluster the cluster's seed decides about them too.
    await start_global(runtime, seed=None if network is None else network.seed * 1009 + runtime.creation)


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
        if error is not None:
            error.add_note(f"The cluster {', '.join(self.names)} ran with seed {self._options['seed']}")
        failures: list[Exception] = []
        for runtime in list(self.nodes.values()):
            case = Case.within(runtime)
            try:
                if case is not None:
                    await case.close()
            except Exception as failure:
                failures.append(failure)
                assert case is not None
                case.closed = True
            await runtime.stop()
        self.nodes.clear()
        if error is not None:
            for each in failures:
                error.add_note(f"Moreover, the clean-up failed: {type(each).__name__}: {each}")
        elif failures:
            raise failures[0] if len(failures) == 1 else ExceptionGroup("the clean-up of several nodes failed", failures)

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
        Case(runtime)
        settle_in(runtime)
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
        """Run a function as a process on a node and give its result; its exception is raised here.

        Raises LinkedProcessFailed when a linked process crashed, ProcessFailed when another exit signal ended it.
        """
        runtime = self[node]
        try:
            return await runtime.run(function, *args)
        except ProcessFailed as failure:
            told = Case.of(runtime).failure(failure.reason)
            raise told from told.__cause__

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

    def delay(
        self, seconds: float | tuple[float, float] | None, *, between: tuple[str | Atom, str | Atom] | None = None
    ) -> None:
        """Let signals take so long from now on: everywhere, or between two nodes only.

        seconds: exactly, or (at least, at most); None is what the cluster was made with.
        """
        self.network.set_delay(seconds, *(map(self.name, between) if between is not None else ()))


def run_cluster(test: Callable[..., Awaitable[Any]], *args: Any, limit: float = LIMIT) -> Any:
    """Run an async function that makes its own clusters on the virtual clock; it is no process itself.

    limit: virtual seconds, after which it has failed with TimeoutError.
    """

    async def main() -> Any:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualClockLoop)
        return await within(limit, test, test(*args), loop.listings)

    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        return runner.run(main())


__all__ = ["HOST", "MemoryCluster", "run_cluster"]
