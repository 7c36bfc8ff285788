"""`DynamicSupervisor` on the virtual clock."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from children import HangsAtTheEnd, Telling, down, telling, up

from beamish.errors import StartError
from beamish.gen_server import GenServer
from beamish.process import Process, monitor, receive, self, spawn_link, trap_exit
from beamish.supervisor import BadOption, ChildSpec, DynamicSupervisor, NoChild
from beamish.term import Pid, atom
from beamish.testing import advance, capture_log, now, virtual


class Quiet(GenServer):
    """A child of which there may be many."""

    def init(self, number: int = 0) -> None:
        self.number = number


@virtual
async def test_children_come_and_go() -> None:
    pool = await DynamicSupervisor.start_link(name="pool")
    first = await pool.start_child(telling("a"))
    second = await DynamicSupervisor.start_child("pool", telling("b", restart="temporary"))
    await up("a", "b")
    assert await pool.count_children() == (2, 2, 0, 2)
    assert [(child.id, child.pid) for child in await pool.which_children()] == [(atom.undefined, first), (atom.undefined, second)]
    await pool.terminate_child(first)
    assert await down("a") == [atom.shutdown]
    with pytest.raises(NoChild):
        await pool.terminate_child(first)
    Telling.at(second).end(atom.normal)
    await down("b")
    while (await pool.count_children()).specs:
        await asyncio.sleep(0)


@pytest.mark.parametrize(("restart", "reason", "comes_back"), [
    ("permanent", atom.normal, True), ("permanent", atom.boom, True), ("transient", atom.normal, False),
    ("transient", (atom.shutdown, 1), False), ("transient", atom.boom, True), ("temporary", atom.boom, False),
])  # fmt: skip
@virtual
async def test_each_child_has_its_own_restart_type(restart: Any, reason: Any, comes_back: bool) -> None:
    pool = await DynamicSupervisor.start_link()
    with capture_log():
        pid = await pool.start_child(telling("a", restart=restart))
        await up("a")
        Telling.at(pid).end(reason)
        await down("a")
        await advance(1)
    assert (await pool.count_children()).active == comes_back
    if comes_back:
        await up("a")


@virtual
async def test_too_many_children() -> None:
    pool = await DynamicSupervisor.start_link(max_children=2)
    pids = [await pool.start_child(Quiet) for _ in range(2)]
    with pytest.raises(StartError, match="as many children as its max_children allows") as caught:
        await pool.start_child(Quiet)
    assert caught.value.reason is atom.max_children
    await pool.terminate_child(pids[0])
    await pool.start_child(Quiet)


@virtual
async def test_extra_arguments_come_first() -> None:
    test = self()
    pool = await DynamicSupervisor.start_link(extra_arguments=[test])
    await pool.start_child(Telling.child_spec("a"))
    await pool.start_child(ChildSpec("b", (Telling.start_link, ("b",))))
    await pool.start_child(ChildSpec("c", (Telling.start_link, ("c",), {"traps": False})))

    async def start(given: Pid) -> Any:
        return await Telling.start_link(given, "d")

    await pool.start_child(ChildSpec("d", start))
    pids = await up("a", "b", "c", "d")
    Process.exit(pids[0], atom.kill)
    with capture_log():
        await up("a")


@virtual
async def test_a_module_based_one() -> None:
    class Sessions(DynamicSupervisor):
        max_restarts = 0

        def init(self, test: Pid) -> dict[str, Any]:
            return {"extra_arguments": [test]}

    trap_exit(True)
    pool = await Sessions.start_link(self(), name="sessions")
    await pool.start_child(Telling.child_spec("a"))
    await pool.start_child(Telling.child_spec("b"))
    pid, _ = await up("a", "b")
    with capture_log(logger="beamish.supervisor") as log:
        Telling.at(pid).end(atom.boom)
        await down("a", "b")
        assert (await receive((atom.EXIT, ..., ...)))[1:] == (pool.pid, atom.shutdown)
    assert "supervisor sessions (" in log.messages[0]
    assert "Sessions <" in log.messages[0]
    assert "more than 0 restarts in 5 s" in log.messages[1]


@virtual
async def test_mistakes() -> None:
    trap_exit(True)
    for options, words in (
        ({"max_children": -1}, "max_children must be"), ({"strategy": "one_for_all"}, "the strategy of a dynamic supervisor"),
        ({"extra_arguments": 3}, "extra_arguments must be a list"), ({"max_child": 3}, "has no option max_child"),
    ):  # fmt: skip
        with pytest.raises(BadOption, match=words):
            await DynamicSupervisor.start_link(**options)
    pool = await DynamicSupervisor.start_link()
    with capture_log(), pytest.raises(StartError, match="ZeroDivisionError"):
        await pool.start_child(ChildSpec(1, lambda: 1 / 0))
    assert await pool.start_child(ChildSpec(1, lambda: atom.ignore)) is None
    assert await pool.count_children() == (0, 0, 0, 0)


@virtual
async def test_a_child_that_cannot_be_started_again_waits_its_turn() -> None:
    works = True

    async def start() -> Any:
        if not works:
            await asyncio.sleep(1)
            raise StartError("no money", atom.no_money)
        return await Quiet.start_link()

    pool = await DynamicSupervisor.start_link(max_restarts=10)
    pid = await pool.start_child(ChildSpec(1, start))
    works = False
    with capture_log(logger="beamish.supervisor") as log:
        Process.exit(pid, atom.kill)
        await advance(2.5)
        (child,) = await pool.which_children()
        assert child.pid is atom.restarting
        assert await pool.count_children() == (1, 0, 0, 1)
        works = True
        await advance(2)
        assert (await pool.count_children()).active == 1
    assert "no money" in log.messages[1]


@virtual
async def test_children_written_as_a_class_share_its_specification() -> None:
    class Short(Quiet):
        restart = "transient"

    class Own(Quiet):
        @classmethod
        def child_spec(cls, *args: Any, **kwargs: Any) -> ChildSpec:  # type: ignore[override]
            return super().child_spec(*args, restart="temporary", **kwargs)

    pool = await DynamicSupervisor.start_link()
    for child in (Quiet, (Quiet, 1), Short, (Short, 2), Own, (Own, 3)):
        await pool.start_child(child)
    server = await GenServer.call(pool, atom.which_children)
    kinds = (Quiet, Quiet, Short, Short, Own, Own)
    assert [each[3][0] for each in server] == [atom(f"{__name__}.{kind.__qualname__}") for kind in kinds]
    with capture_log(logger="beamish.supervisor") as log:
        for child in await pool.which_children():
            Process.exit(child.pid, atom.kill)
            await advance(2)
        assert (await pool.count_children()).active == 4
    assert "child Quiet <" in log.messages[0]
    Short.restart = "temporary"
    await pool.start_child(Short)
    pid = (await pool.which_children())[-1].pid
    with capture_log():
        Process.exit(pid, atom.kill)
        await advance(1)
    assert (await pool.count_children()).specs == 4


@virtual
async def test_it_stops_its_children_at_the_same_time() -> None:
    pool = await DynamicSupervisor.start_link()
    for number, seconds in enumerate([1.0, 2.0, 3.0, 2.0]):
        await pool.start_child(HangsAtTheEnd.child_spec(self(), number, shutdown=seconds))
    pids = await up(0, 1, 2, 3)
    refs = [monitor(pid) for pid in pids]
    with capture_log(logger="beamish.supervisor") as log:
        before = now()
        await pool.stop()
    assert now() - before == pytest.approx(3, abs=0.05)
    for ref in refs:
        await receive(ref, timeout=0)
    assert len(log.messages) == 4


@virtual
async def test_it_stops_very_many() -> None:
    pool = await DynamicSupervisor.start_link()
    for number in range(5000):
        await pool.start_child((Quiet, number))
    before = len(Process.list())
    dead = [child.pid for child in await pool.which_children()][:100]
    with capture_log():
        for pid in dead:
            Process.exit(pid, atom.shutdown)
        await pool.stop()
    assert len(Process.list()) == before - 5001


@virtual
async def test_killed_with_all_its_children() -> None:
    trap_exit(True)
    pool = await DynamicSupervisor.start_link()
    pids = [await pool.start_child(Quiet) for _ in range(100)]
    Process.exit(pool.pid, atom.kill)
    await receive((atom.EXIT, pool.pid, atom.killed))
    await advance(0)
    assert not any(Process.alive(pid) for pid in pids)


@virtual
async def test_elixirs_own_requests() -> None:
    pool = await DynamicSupervisor.start_link()

    def ask(request: Any) -> Any:
        return GenServer.call(pool, request)

    assert await ask((atom.start_child, (7, 8))) == (atom.error, (atom.invalid_child_spec, (7, 8)))
    refused = await ask((atom.start_child, ((atom.os, atom.getpid, []), atom.temporary, 5000, atom.worker, [atom.os])))
    assert refused[0] is atom.error  # nobody said what may be called by name here
    pid = await pool.start_child(Quiet)
    assert await ask(atom.which_children) == [(atom.undefined, pid, atom.worker, [atom(f"{__name__}.Quiet")])]
    assert await ask(atom.count_children) == [(atom.specs, 1), (atom.active, 1), (atom.supervisors, 0), (atom.workers, 1)]
    assert await ask((atom.terminate_child, pid)) is atom.ok
    assert await ask((atom.terminate_child, pid)) == (atom.error, atom.not_found)
    assert await ask((atom.terminate_child, 7)) == (atom.error, atom.not_found)
    starter = spawn_link(receive)
    assert await ask((atom.terminate_child, starter)) == (atom.error, atom.not_found)
