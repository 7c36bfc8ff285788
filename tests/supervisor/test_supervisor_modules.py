"""Module-based supervisors, their options, new code, handles, and what `sys` sees."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import pytest
from children import Telling, down, telling, up

from beamish.errors import StartError, StartIgnored
from beamish.gen_server import IGNORE, GenServer, Stop
from beamish.process import receive, register, self, spawn, spawn_link, trap_exit, whereis
from beamish.supervisor import BadChildSpec, BadOption, ChildSpec, DynamicSupervisor, Supervisor
from beamish.term import Pid, atom
from beamish.testing import capture_log, virtual


@virtual
async def test_module_based() -> None:
    class Shop(Supervisor):
        strategy = "one_for_all"
        max_restarts = 1

        def init(self, test: Pid, count: int = 1) -> list[Any]:
            self.count = count
            return [Telling.child_spec(test, number, id=number) for number in range(count)]

    trap_exit(True)
    shop = await Shop.start_link(self(), count=2)
    first, _ = await up(0, 1)
    Telling.at(first).end(atom.boom)
    await down(0, 1)
    first, _ = await up(0, 1)
    with capture_log():
        Telling.at(first).end(atom.boom)
        assert (await receive((atom.EXIT, ..., ...)))[1:] == (shop.pid, atom.shutdown)
    spec = Shop.child_spec(self(), count=1, name="shop")
    assert (spec.id, spec.type) == (atom.shop, "supervisor")


@virtual
async def test_init_may_give_options_as_well() -> None:
    class Shop(Supervisor):
        async def init(self, test: Pid) -> Any:
            await asyncio.sleep(1)
            return [Telling.child_spec(test, "a")], {"strategy": "rest_for_one", "max_seconds": 60}

    shop = await Shop.start_link(self())
    state = await GenServer.call(shop, atom.count_children)
    assert state[0] == (atom.specs, 1)
    trap_exit(True)

    class Nothing(Supervisor):
        def init(self) -> Any:
            return IGNORE

    class Refuses(Supervisor):
        def init(self) -> Any:
            return Stop(atom.no_licence)

    class Wrong(Supervisor):
        def init(self) -> Any:
            return 7

    class Fails(Supervisor):
        def init(self) -> Any:
            raise KeyError("DATABASE_URL")

    with pytest.raises(StartIgnored):
        await Nothing.start_link()
    with pytest.raises(StartError) as caught:
        await Refuses.start_link()
    assert caught.value.reason is atom.no_licence
    with pytest.raises(BadChildSpec, match="Wrong supervises a list of children, not 7"):
        await Wrong.start_link()
    with pytest.raises(StartError, match="DATABASE_URL"):
        await Fails.start_link()


@virtual
async def test_mistakes_are_told_to_whoever_starts_it() -> None:
    trap_exit(True)
    with pytest.raises(BadChildSpec, match="child 'a': restart must be"):
        await Supervisor.start_link([{"id": "a", "start": print, "restart": "always"}])
    with pytest.raises(BadChildSpec, match="two children have the id 'a'"):
        await Supervisor.start_link([telling("a"), telling("a")])
    with pytest.raises(BadOption, match="strategy must be one_for_one, one_for_all or rest_for_one, not 'all'") as caught:
        await Supervisor.start_link([], strategy="all")
    assert caught.value.reason == (atom.supervisor_data, (atom.invalid_strategy, atom.all))
    with pytest.raises(BadOption, match="such a supervisor has no option max_restart; its options are auto_shutdown, max_restarts"):
        await Supervisor.start_link([], max_restart=1)
    with pytest.raises(BadOption, match="no option max_children"):
        await Supervisor.start_link([], max_children=1)
    with pytest.raises(BadOption, match="max_seconds must be"):
        await Supervisor.start_link([], max_seconds=0)


@virtual
async def test_sys_sees_a_supervisor() -> None:
    from beamish.gen_server import sys_client as sys

    await Supervisor.start_link([telling("a")], name="top", strategy="rest_for_one")
    await DynamicSupervisor.start_link(name="pool", max_children=7)
    await up("a")
    state = await sys.get_state("top")
    assert (state[atom.strategy], state[atom.intensity], state[atom.auto_shutdown]) == (atom.rest_for_one, 3, atom.never)
    assert [child[0] for child in state[atom.children]] == ["a"]
    assert (await sys.get_state("pool"))[atom.max_children] == 7
    status = await sys.get_status("top")
    assert status.state == "running"
    assert "rest_for_one" in repr(status.misc)
    await sys.suspend("top")
    await sys.resume("top")
    assert (await Supervisor.count_children("top")).active == 1


@virtual
async def test_new_code() -> None:
    from beamish.gen_server import sys_client as sys

    class Shop(Supervisor):
        labels: ClassVar[list[str]] = ["a", "b"]
        max_restarts: ClassVar[int] = 0

        def init(self, test: Pid) -> list[Any]:
            return [Telling.child_spec(test, label, id=label, restart=self.kinds) for label in self.labels]

        kinds: ClassVar[Any] = "transient"

    class Pool(DynamicSupervisor):
        max_children: ClassVar[int] = 1

    shop = await Shop.start_link(self())
    pool = await Pool.start_link()
    first, _ = await up("a", "b")
    await pool.start_child(ChildSpec(1, lambda: spawn_link(receive)))
    Shop.labels, Shop.max_restarts, Shop.kinds, Pool.max_children = ["c", "a"], 5, "permanent", 2
    for server in (shop, pool):
        await sys.suspend(server.pid)
        await sys.change_code(server.pid, atom.shop, 1, atom.extra)
        await sys.resume(server.pid)
    listed = await shop.which_children()
    assert [(child.id, child.pid is atom.undefined) for child in listed] == [("b", False), ("a", False), ("c", True)]
    with capture_log():
        Telling.at(first).end(atom.normal)  # permanent by now
        await down("a")
        await up("a")
    await shop.restart_child("c")
    await up("c")
    await pool.start_child(ChildSpec(1, lambda: spawn_link(receive)))
    with pytest.raises(StartError):
        await pool.start_child(ChildSpec(1, lambda: spawn_link(receive)))
    assert (await sys.get_state(shop.pid))[atom.intensity] == 5


@virtual
async def test_handles_are_equal_when_they_stand_for_the_same() -> None:
    top = await Supervisor.start_link([], name="top")
    assert Supervisor.at(top.pid) == top != Supervisor.at("top")
    assert Supervisor.at("top").pid == top.pid
    assert len({top, Supervisor.at(top.pid)}) == 1
    assert "Supervisor" in repr(top)
    register("alias", spawn(receive))
    assert Supervisor.at("alias").pid == whereis("alias")
