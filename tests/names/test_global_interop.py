"""`global` between our nodes and real Erlang and Elixir nodes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from beam import COOKIE, ElixirNode, ErlNode, RealEpmd, eventually, unique_name
from beamish.boot import start_node
from beamish.names import Global
from beamish.node import Node, Runtime
from beamish.process import Process, monitor, receive, self, spawn
from beamish.term import Pid, atom

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]
Runs = Callable[[Coroutine[Any, Any, Any]], Any]

PARTITIONS = "overlapping partitions"
ECHO = "spawn(fun() -> (fun F() -> receive {P, M} -> P ! M, F() end end)() end)"


@asynccontextmanager
async def our_node(epmd: RealEpmd, name: str | None = None) -> AsyncIterator[Runtime]:
    runtime = await start_node(name or unique_name("ours"), cookie=COOKIE, epmd_port=epmd.port)
    try:
        yield runtime
    finally:
        await runtime.stop()


async def join(runtime: Runtime, *peers: Any) -> None:
    """Connect to a peer and agree with it."""

    async def connect() -> None:
        for peer in peers:
            assert await Node.connect(str(getattr(peer, "name", peer))) is True
        await Global.sync()

    await runtime.run(connect)


async def sync_answers(node: ErlNode) -> bool:
    """global:sync() comes back."""
    ask = (
        "S = self(), spawn(fun() -> S ! {synced, global:sync()} end), receive {synced, R} -> R after 8000 -> hangs end"
    )
    return await node.aeval(f"begin {ask} end") is atom.ok


def core_of(runtime: Runtime) -> Any:
    return runtime.services["global"].core


async def echo() -> None:
    while True:
        sender, message = await receive()
        Process.send(sender, message)


def pair(start_erl: Callable[..., ErlNode], *options: str) -> tuple[ErlNode, ErlNode]:
    """Two Erlang nodes that agree."""
    one, two = start_erl(None, *options), start_erl(None, *options)
    assert one.eval(f"net_kernel:connect_node('{two.name}')") is True
    one.eval("global:sync()")
    two.eval("global:sync()")
    return one, two


def test_the_mesh_closes_by_itself(run: Runs, real_epmd: RealEpmd, start_erl: Callable[..., ErlNode]) -> None:
    one, two = pair(start_erl)

    async def main() -> None:
        async with our_node(real_epmd) as ours, our_node(real_epmd) as theirs:
            await join(ours, one)
            await join(theirs, two)
            everybody = {one.name, two.name, str(ours.node), str(theirs.node)}
            for runtime in (ours, theirs):
                await eventually(lambda r=runtime: {*map(str, r.peers)} == everybody - {str(r.node)})
            for node in (one, two):
                await eventually(lambda n=node: connected(n, everybody - {n.name}))
                assert await sync_answers(node)
        for node, other in ((one, two), (two, one)):
            await eventually(lambda n=node, o=other: connected(n, {o.name}))
            assert await sync_answers(node)
            assert_never_split(node, other)

    run(main())


def assert_never_split(node: ErlNode, other: ErlNode) -> None:
    """It never let go of the other Erlang node; that it says so of ours, which left, does no harm."""
    assert not any(PARTITIONS in line and other.name in line for line in node.lines)


async def connected(node: ErlNode, expected: set[str]) -> bool:
    return {str(peer) for peer in await node.aeval("nodes()")} == expected


def test_an_erlang_node_that_connects_to_us(run: Runs, real_epmd: RealEpmd, start_erl: Callable[..., ErlNode]) -> None:
    node = start_erl()

    async def main() -> None:
        async with our_node(real_epmd) as ours:
            assert await node.aeval(f"net_kernel:connect_node('{ours.node}')") is True
            assert await sync_answers(node)
            assert await node.aeval("gen_server:call(global_name_server, get_synced)") == [ours.node]
            await eventually(lambda: core_of(ours).busy() == [])
            assert list(core_of(ours).state.known) == [atom(node.name)]

    run(main())


def test_names_both_ways(run: Runs, real_epmd: RealEpmd, start_erl: Callable[..., ErlNode]) -> None:
    one, two = pair(start_erl)

    async def main() -> None:
        async with our_node(real_epmd) as ours:
            await join(ours, one)
            pid = ours.spawn(echo)

            async def register() -> Any:
                return await Global.register_name("ours", pid), await Global.register_name(["any", 1.5], self())

            assert await ours.run(register) == (True, True)
            for node in (one, two):
                await eventually(lambda n=node: whereis(n, '<<"ours">>', pid))
            await eventually(lambda: whereis(one, '[<<"any">>, 1.5]', atom.undefined))  # its process ended
            assert (
                await one.aeval(
                    'begin global:send(<<"ours">>, {self(), hi}), receive M -> M after 5000 -> none end end'
                )
                is atom.hi
            )

            his: Pid = await two.aeval(f"begin P = {ECHO}, yes = global:register_name(theirs, P), P end")
            await eventually(lambda: core_of(ours).whereis(atom.theirs) == his)

            async def use() -> Any:
                Global.send(atom.theirs, (self(), "hello"))
                answer = await receive(timeout=5)
                taken = await Global.register_name(atom.theirs, self())
                await Global.unregister_name(atom.theirs)
                return answer, taken

            assert await ours.run(use) == (b"hello", False)
            assert await one.aeval("global:whereis_name(theirs)") is atom.undefined
            assert await two.aeval('global:unregister_name(<<"ours">>)') is atom.ok
            assert core_of(ours).registered_names() == []
            # Processes that die take their names along, on either side.
            await one.aeval(f"begin P = {ECHO}, yes = global:register_name(dies, P), exit(P, kill) end")
            await ours.run(lambda: Global.register_name("dies too", spawn(lambda: None)))
            await eventually(lambda: core_of(ours).registered_names() == [])
            await eventually(lambda: nothing(two, "global:registered_names()"))
            assert await two.aeval("ets:tab2list(global_locks)") == []

    run(main())


async def whereis(node: ErlNode, name: str, expected: Any) -> bool:
    return await node.aeval(f"global:whereis_name({name})") == expected  # type: ignore[no-any-return]


async def nothing(node: ErlNode, expression: str) -> bool:
    return await node.aeval(expression) == []  # type: ignore[no-any-return]


@pytest.mark.parametrize("ours_is", ["smaller", "greater"])
def test_a_dispute_is_decided_by_the_smaller_node(
    run: Runs, real_epmd: RealEpmd, start_erl: Callable[..., ErlNode], ours_is: str
) -> None:
    node = start_erl(unique_name("m"))

    async def main() -> None:
        async with our_node(real_epmd, unique_name("a" if ours_is == "smaller" else "z")) as ours:
            his: Pid = await node.aeval(f'begin P = {ECHO}, yes = global:register_name(<<"db">>, P), P end')
            mine = ours.spawn(echo)
            await ours.run(lambda: Global.register_name("db", mine))
            keeps, dies = (mine, his) if ours_is == "smaller" else (his, mine)
            await join(ours, node)
            await eventually(lambda: core_of(ours).whereis("db") == keeps)
            await eventually(lambda: whereis(node, '<<"db">>', keeps))
            if dies is mine:
                await eventually(lambda: ours.process_of(mine) is None)
            else:
                assert await ours.run(is_dead, his)
            assert await sync_answers(node)

    run(main())


async def is_dead(pid: Pid) -> bool:
    ref = monitor(pid)
    return (await receive((atom.DOWN, ref, ..., ..., ...), timeout=5))[4] is atom.noproc


def test_erlang_asks_us_to_decide(run: Runs, real_epmd: RealEpmd, start_erl: Callable[..., ErlNode]) -> None:
    """Erlang is the smaller node, its name stands for one of our processes: our Python function is called."""
    one = start_erl(unique_name("a"))
    other = start_erl(unique_name("m"))

    async def main() -> None:
        async with our_node(real_epmd, unique_name("z")) as ours:
            await join(ours, one)
            asked: list[Any] = []

            def choose(name: Any, pid: Pid, pid2: Pid) -> Pid:
                asked.append((name, pid, pid2))
                return pid

            mine = ours.spawn(echo)
            assert await ours.run(lambda: Global.register_name("db", mine, choose))
            his: Pid = await other.aeval(f'begin P = {ECHO}, yes = global:register_name(<<"db">>, P), P end')
            assert await one.aeval(f"net_kernel:connect_node('{other.name}')") is True
            assert await sync_answers(one)
            await eventually(lambda: core_of(ours).whereis("db") == his)
            assert asked == [(b"db", his, mine)]

    run(main())


def test_locks_exclude_across_languages(run: Runs, real_epmd: RealEpmd, start_erl: Callable[..., ErlNode]) -> None:
    one, two = pair(start_erl)

    async def main() -> None:
        async with our_node(real_epmd) as ours:
            await join(ours, one)
            await eventually(lambda: len(core_of(ours).state.known) == 2)

            async def work() -> Any:
                inside = await one.aeval('global:set_lock({<<"r">>, self()}, [node() | nodes()], 0)')
                return inside

            assert await ours.run(lambda: Global.trans("r", work)) is False
            assert await two.aeval('global:set_lock({<<"r">>, me}, [node() | nodes()], 0)') is True
            assert await ours.run(lambda: Global.set_lock("r", retries=0)) is False
            assert await two.aeval('global:del_lock({<<"r">>, me})') is True
            assert await ours.run(lambda: Global.trans("r", lambda: "mine")) == "mine"
            assert await two.aeval('global:trans({<<"r">>, self()}, fun() -> done end)') is atom.done
            await eventually(lambda: nothing(two, "ets:tab2list(global_locks)"))
            await eventually(lambda: len(core_of(ours).locks) == 0)

    run(main())


def test_a_single_lost_link_expels_us_and_splits_nobody(
    run: Runs, real_epmd: RealEpmd, start_erl: Callable[..., ErlNode]
) -> None:
    one, two = pair(start_erl)

    async def main() -> None:
        async with our_node(real_epmd) as ours, our_node(real_epmd) as stays:
            await join(ours, one)
            await join(stays, one)
            for runtime in (ours, stays):
                await eventually(lambda r=runtime: len(r.peers) == 3)
                await eventually(lambda r=runtime: core_of(r).busy() == [])
            # two loses us: it is two that Erlang's own rules and ours then keep with the rest or expel, never halfway.
            await two.aeval(f"erlang:disconnect_node('{ours.node}')")
            await eventually(lambda: not ours.peers)
            await eventually(lambda: whole({str(node) for node in stays.peers}, one, stays))
            await eventually(lambda: core_of(stays).busy() == [])
            assert await sync_answers(one)
            await join(ours, one)
            assert atom(one.name) in ours.peers

    run(main())


async def whole(peers: set[str], one: ErlNode, stays: Runtime) -> bool:
    """one and our other node see the same mesh."""
    return {str(node) for node in await one.aeval("nodes()")} | {one.name} == peers | {str(stays.node)}


def test_what_erlang_sees_of_our_name_server(run: Runs, real_epmd: RealEpmd, start_erl: Callable[..., ErlNode]) -> None:
    node = start_erl()

    async def main() -> None:
        async with our_node(real_epmd) as ours:
            await join(ours, node)
            server = f"{{global_name_server, '{ours.node}'}}"
            assert await node.aeval(f"gen_server:call({server}, get_known)") == [atom(node.name)]
            assert await node.aeval(f"gen_server:call({server}, get_protocol_version)") == 8
            assert await node.aeval(f"gen_server:call({server}, get_names_ext)") == []
            assert await node.aeval(f"element(1, sys:get_state({server}))") is atom.state
            assert await node.aeval(f"rpc:call('{ours.node}', global, sync, [])") is atom.ok
            called = f"rpc:call('{ours.node}', global, register_name, [n, self()])"
            assert await node.aeval(called) is atom.yes
            assert await node.aeval("global:whereis_name(n) =:= self()") is True

    run(main())


def test_elixirs_global(run: Runs, real_epmd: RealEpmd, start_elixir: Callable[..., ElixirNode]) -> None:
    node = start_elixir()

    async def main() -> None:
        async with our_node(real_epmd) as ours:
            await join(ours, node)
            pid = ours.spawn(echo)
            await ours.run(lambda: Global.register_name("echo", pid))
            assert await node.aeval(':global.whereis_name("echo")') == pid
            answer = await node.aeval('(:global.send("echo", {self(), :hi}); receive do m -> m after 5000 -> nil end)')
            assert answer is atom.hi
            assert await node.aeval(":global.sync()") is atom.ok

    run(main())


def test_joins_and_leaves_at_random_moments_split_nobody(
    run: Runs, real_epmd: RealEpmd, start_erl: Callable[..., ErlNode]
) -> None:
    one, two = pair(start_erl)

    async def main() -> None:
        for number in range(12):
            async with our_node(real_epmd, unique_name("zz" if number % 2 else "aa")) as ours:
                await ours.run(lambda: Node.connect(one.name))
                await asyncio.sleep([0.0, 0.05, 0.21, 0.25, 0.5][number % 5])
        for node, other in ((one, two), (two, one)):
            await eventually(lambda n=node, o=other: connected(n, {o.name}))
            assert await sync_answers(node)
            await eventually(lambda n=node: nothing(n, "ets:tab2list(global_locks)"))
            assert_never_split(node, other)

    run(main())
