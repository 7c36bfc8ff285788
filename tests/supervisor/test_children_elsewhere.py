"""Supervisors and children of different nodes, in memory."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from children import Telling, down, up

from beamish.errors import StartError
from beamish.gen_server import GenServer
from beamish.node.runtime import Runtime
from beamish.process import Process, monitor, receive, register, self, send, spawn_link, trap_exit
from beamish.rpc import start_services
from beamish.supervisor import BadChildSpec, ChildSpec, DynamicSupervisor, Supervisor, remote_child
from beamish.term import Atom, Pid, atom
from beamish.testing import MemoryCluster, advance, capture_log, clustered, run_cluster

HERE = __name__
B = "b@memory"


async def start(test: Pid, label: Any) -> Any:
    """A start function that does not link, as `GenServer.start`."""
    return (atom.ok, (await Telling.start(test, label)).pid)


async def body(test: Pid, label: Any) -> None:
    """A process whose whole life is a function."""
    send(test, ("up", label, self()))
    if await receive() == "crash":
        raise ValueError("far away")


@clustered("a", "b")
async def test_a_child_on_another_node(cluster: MemoryCluster) -> None:
    async def test() -> None:
        top = await Supervisor.start_link([remote_child(B, HERE, "body", [self(), "r"], restart="transient")], name="top")
        (pid,) = await up("r")
        assert pid.node is atom(B)
        assert [(child.id, child.pid) for child in await top.which_children()] == [((atom(HERE), atom.body, atom(B)), pid)]
        with capture_log(logger="beamish") as log:
            send(pid, "crash")
            (again,) = await up("r")
        assert again != pid
        line = next(record.getMessage() for record in log.records if record.name == "beamish.supervisor")
        assert f"{pid} crashed; the supervisor starts it again" in line
        assert "ValueError: far away" in line
        id = (atom(HERE), atom.body, atom(B))
        ref = monitor(again)
        await top.terminate_child(id)
        assert (await receive(ref))[4] is atom.shutdown
        await top.restart_child(id)
        (pid,) = await up("r")
        ref = monitor(pid)
        await top.stop()
        assert (await receive(ref))[4] is atom.shutdown

    await cluster.run("a", test)


@clustered("a", "b")
async def test_the_supervisor_is_killed(cluster: MemoryCluster) -> None:
    async def test() -> None:
        trap_exit(True)
        top = await Supervisor.start_link([remote_child(B, HERE, "body", [self(), "r"])])
        (pid,) = await up("r")
        ref = monitor(pid)
        Process.exit(top.pid, atom.kill)
        assert (await receive(ref))[4] is atom.killed

    await cluster.run("a", test)


@clustered("a", "b")
async def test_the_connection_breaks(cluster: MemoryCluster) -> None:
    async def test() -> None:
        trap_exit(True)
        spec = remote_child(B, HERE, "body", [self(), "r"], id="r", wait=0.5)
        top = await Supervisor.start_link([spec, Telling.child_spec(self(), "l", id="l")], name="top", max_restarts=2)
        pid, _ = await up("r", "l")
        with capture_log(logger="beamish.supervisor") as log:
            cluster.cut("a", "b")
            assert (await receive((atom.EXIT, ..., ...)))[1:] == (top.pid, atom.shutdown)
            assert await down("l") == [atom.shutdown]
        assert f"child 'r' {pid} ended (noconnection)" in log.messages[0]
        assert "could not be started" in log.messages[1]
        assert "is restarted too often" in log.messages[-1]
        cluster.heal("a", "b")
        with capture_log():
            while True:
                try:
                    await Supervisor.start_link([spec], name="top")
                    break
                except StartError:
                    await asyncio.sleep(1)

    await cluster.run("a", test)


@clustered("a", "b")
async def test_a_child_that_cannot_be_started_there(cluster: MemoryCluster) -> None:
    async def test() -> None:
        trap_exit(True)
        with capture_log(), pytest.raises(StartError, match="c@memory could not be reached within 2 s"):
            await Supervisor.start_link([remote_child("c@memory", HERE, "body", [self(), 1], wait=2.0)])
        with capture_log() as log:
            top = await Supervisor.start_link([remote_child(B, HERE, "absent", [self()])])
            assert (await receive((atom.EXIT, top.pid, ...)))[2] is atom.shutdown
        assert "undef" in log
        with pytest.raises(BadChildSpec, match="args must be a list"):
            remote_child(B, HERE, "start", 7)  # type: ignore[arg-type]

    await cluster.run("a", test)


@clustered("a", "b")
async def test_a_supervisor_on_another_node(cluster: MemoryCluster) -> None:
    async def there() -> None:
        await Supervisor.start_link([], name="top")
        await DynamicSupervisor.start_link(name="pool")
        await receive()

    cluster.spawn("b", there)

    async def test() -> None:
        top, pool = Supervisor.at(("top", B)), DynamicSupervisor.at(("pool", B))
        pid = await top.start_child(Telling.child_spec(self(), "k", id="k", name="k"))
        await up("k")
        assert pid.node is atom(B)
        assert (await top.count_children()).active == 1
        assert (await top.get_childspec("k")).modules == (atom("children.Telling"),)
        await top.terminate_child("k")
        await top.delete_child("k")
        pid = await pool.start_child(Telling.child_spec(self(), "d", traps=True))
        await up("d")
        await pool.terminate_child(pid)
        pid = await pool.start_child(ChildSpec("f", (start, (self(), "f")), restart="temporary"))
        await up("f")
        for target in (top, pool):
            with pytest.raises(BadChildSpec, match="at the top level of a module that both nodes have"):
                await target.start_child(ChildSpec("x", lambda: spawn_link(receive)))

    await cluster.run("a", test)


def test_what_peers_may_start_is_a_setting() -> None:
    async def services(runtime: Runtime) -> None:
        await start_services(runtime, ["math"] if runtime.node is atom(B) else None)

    async def run() -> None:
        async with MemoryCluster("a", "b", services=services) as cluster:
            await cluster.connect_all()

            async def there() -> None:
                await Supervisor.start_link([], name="top")
                await receive()

            cluster.spawn("b", there)

            async def test() -> None:
                spec = {atom.id: 1, atom.start: (atom(HERE), atom.start, [self(), 1])}
                with pytest.raises(StartError, match=f"{HERE} is not exported on b@memory: add '{HERE}'.*setting `exports`"):
                    await Supervisor.start_child(("top", B), spec)
                answer = await GenServer.call(("top", B), (atom.start_child, spec))
                assert answer[0] is atom.error
                assert answer[1][1][:3] == (atom.child, atom.undefined, 1)

            await cluster.run("a", test)

    run_cluster(run)


@clustered("a", "b")
async def test_a_name_of_this_node_given_by_a_peer(cluster: MemoryCluster) -> None:
    async def test() -> None:
        register("test", self())
        top = await Supervisor.start_link([ChildSpec(1, (atom(HERE), atom.start, [self(), "m"]))])
        (pid,) = await up("m")
        assert pid.node is atom("a@memory")
        spec = await top.get_childspec(1)
        assert isinstance(spec.start, tuple)
        assert isinstance(spec.start[0], Atom)
        await advance(0)

    await cluster.run("a", test)
