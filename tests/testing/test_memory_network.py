from __future__ import annotations

import asyncio
from typing import Any

import pytest

from beamish.names.server import start_global
from beamish.node import Node
from beamish.node.runtime import Runtime
from beamish.process import exit, link, monitor, receive, register, self, send, trap_exit
from beamish.rpc import start_services
from beamish.term import Atom, Pid, atom
from beamish.testing import MemoryCluster, MemoryNetwork, VirtualClockLoop, run_cluster
from loops import REAL_LOOPS

A, B, C = atom("a@memory"), atom("b@memory"), atom("c@memory")


def clustered(test: Any) -> Any:
    """An async test on the virtual clock that is no process itself."""

    def run() -> None:
        run_cluster(test)

    run.__name__ = test.__name__
    return run


async def idle() -> None:
    while True:
        await receive()


async def echo() -> None:
    while True:
        sender, message = await receive()
        send(sender, message)


# ---- time and chance


async def stamp(count: int, to: Pid) -> None:
    for number in range(count):
        send(to, (self(), number))
        await asyncio.sleep(0.001)


async def record(count: int, into: list[Any]) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(count):
        into.append((round(loop.time(), 9), await receive()))


async def chatter(seed: int) -> tuple[list[Any], Any]:
    """Two nodes send to a third one; when and in which order their messages come."""
    into: list[Any] = []
    async with MemoryCluster("a", "b", "c", seed=seed, keep_log=True) as cluster:
        await cluster.connect_all()
        collector = cluster.spawn("c", record, 200, into)
        cluster.spawn("a", stamp, 100, collector)
        cluster.spawn("b", stamp, 100, collector)
        await asyncio.sleep(5)
        return into, cluster.network.log


def test_pairs_keep_their_order_and_different_pairs_do_not() -> None:
    into, _ = run_cluster(chatter, 3)
    assert len(into) == 200
    for node in (A, B):
        assert [number for _, (sender, number) in into if sender.node is node] == list(range(100))
    order = [sender.node for _, (sender, _) in into]
    assert order != [A, B] * 100
    assert order.count(A) == 100


def test_a_seed_is_a_run() -> None:
    runs = [run_cluster(chatter, seed) for seed in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


async def storm(seed: int) -> Any:
    """Cuts, kills, links and monitors at random; what all of it looked like."""
    import random

    choose = random.Random(seed)
    events: list[Any] = []

    async def restless(others: list[str]) -> None:
        trap_exit()
        loop = asyncio.get_running_loop()
        while True:
            target = ("restless", f"{choose.choice(others)}@memory")
            monitor(target)
            send(target, (atom.hello, self()))
            end = loop.time() + choose.random()
            while (left := end - loop.time()) > 0:
                try:
                    message = await receive(timeout=left)
                except TimeoutError:
                    break
                events.append((loop.time(), self(), message))
                if message[0] is atom.hello and choose.random() < 0.3:
                    link(message[1])

    names = ["a", "b", "c", "d"]
    async with MemoryCluster(*names, seed=seed) as cluster:
        for name in names:
            cluster.spawn(name, restless, [other for other in names if other != name], name="restless")
        for _ in range(60):
            await asyncio.sleep(choose.random())
            one, two = choose.sample(names, 2)
            match choose.choice(["cut", "heal", "heal all", "partition", "restart"]):
                case "cut":
                    cluster.cut(one, two)
                case "heal":
                    cluster.heal(one, two)
                case "heal all":
                    cluster.heal()
                case "partition":
                    cluster.partition({one, two}, set(names) - {one, two})
                case _:
                    cluster.kill(one)
                    await cluster.start(one)
                    cluster.spawn(one, restless, [other for other in names if other != one], name="restless")
        cluster.heal()
        await asyncio.sleep(30)
        for node in cluster.nodes.values():
            assert len(node.peers) == 3, "everybody finds everybody again"
    return events


def test_a_storm_can_be_replayed() -> None:
    first = run_cluster(storm, 11)
    assert len(first) > 200
    assert first == run_cluster(storm, 11)


@clustered
async def test_signals_take_the_time_they_are_given() -> None:
    async with MemoryCluster("a", "b", delay=(1.0, 2.0)) as cluster:
        await cluster.connect("a", "b")

        async def body() -> float:
            loop = asyncio.get_running_loop()
            start = loop.time()
            send(peer, (self(), 1))
            await receive()
            return loop.time() - start

        peer = cluster.spawn("b", echo)
        for _ in range(20):
            assert 2.0 <= await cluster.run("a", body) <= 4.0
        assert cluster.network.in_flight == 0


# ---- trouble


@clustered
async def test_a_cut_is_noticed_by_each_side_in_its_own_time() -> None:
    async with MemoryCluster("a", "b", notice=(1.0, 60.0), seed=5) as cluster:
        noticed: dict[Atom, float] = {}
        loop = asyncio.get_running_loop()
        for runtime in cluster.nodes.values():
            runtime.on_nodedown.append(lambda peer, why, replaced: noticed.setdefault(peer.node, loop.time()))
        await cluster.connect("a", "b")
        cluster.cut("a", "b")
        assert cluster["a"].peers
        assert cluster["b"].peers
        await asyncio.sleep(100)
        assert set(noticed) == {A, B}
        assert abs(noticed[A] - noticed[B]) > 1


@clustered
async def test_what_is_under_way_when_the_cable_breaks_is_lost() -> None:
    into: list[Any] = []
    async with MemoryCluster("a", "b", delay=(1.0, 1.0)) as cluster:
        await cluster.connect("a", "b")
        collector = cluster.spawn("b", record, 100, into)

        async def body() -> None:
            send(collector, "arrives")
            await asyncio.sleep(0.5)
            send(collector, "is lost")

        await cluster.run("a", body)
        await asyncio.sleep(0.6)
        cluster.cut("a", "b")
        await asyncio.sleep(10)
        assert [message for _, message in into] == ["arrives"]


@clustered
async def test_a_stale_side_learns_of_its_successor() -> None:
    async with MemoryCluster("a", "b", notice=(0.0, 0.0)) as cluster:
        downs: list[tuple[Atom, bool]] = []
        cluster["b"].on_nodedown.append(lambda peer, why, replaced: downs.append((peer.node, replaced)))
        await cluster.connect("a", "b")
        cluster.network.notice = (0.0, 0.0)
        b_net = cluster["b"].net
        assert b_net is not None
        # Only a notices.
        cluster.cut("a", "b")
        cluster.heal()
        end = b_net.ends[A]  # type: ignore[attr-defined]
        a_net = cluster["a"].net
        a_net.down(a_net.ends[B], "noticed first")  # type: ignore[union-attr, attr-defined]
        a_net._connect_to(b_net)  # type: ignore[union-attr, attr-defined]
        assert downs == [(A, True)]
        assert b_net.ends[A] is not end  # type: ignore[attr-defined]
        await asyncio.sleep(1)
        assert downs == [(A, True)]
        assert set(cluster["a"].peers) == {B}
        assert set(cluster["b"].peers) == {A}


@clustered
async def test_partitions_and_healing() -> None:
    async with MemoryCluster("a", "b", "c") as cluster:
        await cluster.connect_all()
        cluster.partition({"a"}, {"b", "c"})
        await asyncio.sleep(1)
        assert set(cluster["a"].peers) == set()
        assert set(cluster["b"].peers) == {C}
        assert await cluster.connect("a", "c") is False
        net = cluster["a"].net
        assert net is not None
        assert "the network is cut" in net.failure_text(C)  # type: ignore[attr-defined]
        cluster.heal("a", "c")
        assert await cluster.connect("a", "c") is True
        assert await cluster.connect("a", "b") is False
        cluster.heal()
        assert await cluster.connect("a", "b") is True


@clustered
async def test_a_killed_node_says_nothing_and_its_successor_is_another() -> None:
    async with MemoryCluster("a", "b") as cluster:
        heard: list[Any] = []

        async def watcher(target: Pid) -> None:
            trap_exit()
            link(target)
            monitor(target)
            while True:
                heard.append(await receive())

        victim = cluster.spawn("b", idle, name="service")
        cluster.spawn("a", watcher, victim)
        await asyncio.sleep(1)
        cluster.kill("b")
        with pytest.raises(KeyError, match="no node b@memory is running"):
            cluster["b"]
        await asyncio.sleep(1)
        assert {message[0] for message in heard} == {atom.EXIT, atom.DOWN}
        assert {message[-1] for message in heard} == {atom.noconnection}
        reborn = await cluster.start("b")
        assert reborn.creation > victim.creation
        second = cluster.spawn("b", idle)
        assert (second.id, second.serial) == (victim.id, victim.serial)
        assert second != victim

        async def reaches_the_dead() -> Any:
            ref = monitor(victim)
            return (await receive(ref))[-1]

        assert await cluster.run("a", reaches_the_dead) is atom.noproc
        assert reborn.process_of(second) is not None


@clustered
async def test_cookies_and_hidden_nodes() -> None:
    async with MemoryCluster("a", "b") as cluster:
        net = cluster["a"].net
        assert net is not None
        net.set_cookie(None, "other")
        assert await cluster.connect("a", "b") is False
        assert "another cookie" in net.failure_text(B)  # type: ignore[attr-defined]
        net.set_cookie(B, "memory")
        assert net.get_cookie(B) == "memory"
        assert net.get_cookie() == "other"
        assert await cluster.connect("a", "b") is True
        await cluster.start("h", hidden=True)
        net.set_cookie(None, "memory")
        assert await cluster.connect("h", "a") is True
        lists = await cluster.run("a", lambda: (Node.list(), Node.list("hidden")))
        assert lists == ([B], [atom("h@memory")])


@clustered
async def test_many_connect_to_one_another_at_once() -> None:
    names = [f"n{number}" for number in range(8)]
    async with MemoryCluster(*names, seed=9) as cluster:
        ups: list[Any] = []
        for runtime in cluster.nodes.values():
            runtime.on_nodeup.append(lambda peer, me=runtime.node: ups.append((me, peer.node)))
        pairs = [(one, two) for one in names for two in names if one != two]
        assert all(await asyncio.gather(*(cluster.connect(*pair) for pair in pairs)))
        assert len(ups) == len(set(ups)) == len(pairs)


@clustered
async def test_mistakes_are_explained() -> None:
    with pytest.raises(RuntimeError, match="async with MemoryCluster"):
        _ = MemoryCluster("a").network
    async with MemoryCluster("a") as cluster:
        with pytest.raises(ValueError, match="already on this network"):
            await cluster.start("a")
        with pytest.raises(KeyError, match="no node x@memory is running; there are a@memory"):
            cluster["x"]
        network = cluster.network
        other = VirtualClockLoop()
        with pytest.raises(ValueError, match="another loop"):
            network.attach(Runtime(atom("x@memory"), 1, other))
        other.close()


@pytest.mark.parametrize("factory", REAL_LOOPS.values(), ids=REAL_LOOPS)
def test_it_works_in_real_time_too(factory: Any) -> None:
    async def main() -> None:
        async with MemoryCluster("a", "b", delay=(0, 0.001), notice=(0, 0.001)) as cluster:
            peer = cluster.spawn("b", echo)

            async def body() -> None:
                for number in range(50):
                    send(peer, (self(), number))
                    assert await receive(timeout=5) == number

            await cluster.run("a", body)
            cluster.cut("a", "b")
            cluster.heal()
            await asyncio.sleep(0.05)
            await cluster.run("a", body)

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())


@clustered
async def test_a_network_of_its_own() -> None:
    network = MemoryNetwork()
    one, two = Runtime(atom("one@host")), Runtime(atom("two@host"), 2)
    network.attach(one)
    network.attach(two)

    async def body() -> Any:
        send(("echo", "two@host"), (self(), "hello"))
        return await receive()

    two.spawn(echo, name="echo")
    assert await one.run(body) == "hello"
    await one.stop()
    await two.stop()
    assert network.in_flight == 0


# ---- with the real services on top


async def whole_node(runtime: Runtime) -> None:
    await start_services(runtime)
    await start_global(runtime)


@clustered
async def test_the_services_run_on_it() -> None:
    async with MemoryCluster("a", "b", "c", services=whole_node) as cluster:

        async def body() -> None:
            assert await Node.ping("b@memory") is atom.pong
            assert await Node.connect("c@memory") is True
            for _ in range(100):
                if len(cluster["b"].peers) == 2:
                    break
                await asyncio.sleep(0.1)
            assert set(cluster["b"].peers) == {A, C}, "global closes the mesh by itself"

        await cluster.run("a", body)


@clustered
async def test_registered_names_are_local_to_each_node() -> None:
    async with MemoryCluster("a", "b") as cluster:

        async def named() -> None:
            register("same", self())
            await receive()

        cluster.spawn("a", named)
        cluster.spawn("b", named)
        await asyncio.sleep(1)
        assert [str(name) for name in cluster["a"].names] == ["same"]
        assert [str(name) for name in cluster["b"].names] == ["same"]

        async def ender() -> Any:
            ref = monitor(("same", "b@memory"))
            send(("same", "b@memory"), 1)
            return await receive(ref)

        assert (await cluster.run("a", ender))[3:] == ((atom.same, B), atom.normal)
        assert cluster["a"].names
        spawn_ = cluster.spawn("a", exit, atom.why)
        assert spawn_.node is A
