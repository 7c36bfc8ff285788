"""A global name as the name of a server, on two nodes in memory."""

from __future__ import annotations

import pytest

from beamish.errors import AlreadyStarted, NoProcess
from beamish.gen_server import GenServer, call
from beamish.names import Global
from beamish.term import atom
from beamish.testing import MemoryCluster, clustered


class Counter(GenServer):
    def init(self, start: int = 0) -> None:
        self.count = start

    @call
    def value(self) -> int:
        return self.count


@clustered("a", "b")
async def test_a_server_under_a_global_name(cluster: MemoryCluster) -> None:
    async def on_a() -> None:
        counter = await Counter.start(5, name=Global.via((atom.shop, 1)))
        assert Global.whereis_name((atom.shop, 1)) == counter.pid
        assert repr(Global.via("x")) == "Global.via('x')"

    async def on_b() -> None:
        there = Counter.at(Global.via((atom.shop, 1)))
        assert await there.value() == 5
        assert there.pid.node is atom("a@memory")
        assert await GenServer.call(("global", (atom.shop, 1)), atom.value) == 5
        with pytest.raises(AlreadyStarted) as taken:
            await Counter.start(name=("global", (atom.shop, 1)))
        assert taken.value.pid == there.pid
        await GenServer.stop(there)
        assert Global.via((atom.shop, 1)).whereis() is None
        with pytest.raises(NoProcess):
            Global.via((atom.shop, 1)).send(1)
        assert await (await Counter.start(7, name=("global", (atom.shop, 1)))).value() == 7

    await cluster.run("a", Global.sync)
    await cluster.run("a", on_a)
    await cluster.run("b", on_b)
