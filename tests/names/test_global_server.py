"""The name server's process and the `Global` face, on nodes in memory and the virtual clock."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from beamish.errors import NoProcess
from beamish.names import Global
from beamish.names.server import GlobalServer, start_global
from beamish.node import Node, Runtime
from beamish.process import Process, monitor, receive, self, send, spawn
from beamish.process.gen import call
from beamish.rpc import call as rpc_call
from beamish.rpc import start_services
from beamish.term import ExportFun, Pid, atom
from beamish.testing import MemoryCluster, run_cluster, run_virtual

SEEDS = [1, 2, 3]


async def services(runtime: Runtime) -> None:
    await start_services(runtime)
    await start_global(runtime, seed=runtime.creation)


def on_cluster(*names: str, **options: Any) -> Callable[[Callable[..., Awaitable[None]]], Callable[[int], None]]:
    """Run a test with those nodes, connected in a row and in sync, for several seeds."""

    def decorate(test: Callable[..., Awaitable[None]]) -> Callable[[int], None]:
        @pytest.mark.parametrize("seed", SEEDS)
        def run(seed: int) -> None:
            async def main() -> None:
                async with MemoryCluster(*names, seed=seed, services=services, **options) as cluster:
                    for one, two in itertools.pairwise(names):
                        assert await cluster.connect(one, two)
                    for name in names:
                        await until(lambda name=name: settled(cluster, name, len(names) - 1))
                    await test(cluster)

            run_cluster(main)

        return run

    return decorate


def settled(cluster: MemoryCluster, name: str, peers: int) -> bool:
    """In sync with that many peers, and nothing under way."""
    server = core(cluster, name)
    return len(server.state.synced) == peers and server.busy() == []


def core(cluster: MemoryCluster, name: str) -> Any:
    server = cluster[name].services["global"]
    assert isinstance(server, GlobalServer)
    return server.core


async def until(condition: Callable[[], Any]) -> None:
    """Let virtual time pass until something holds; `run_cluster` limits it."""
    while not condition():
        await asyncio.sleep(0.01)


async def echo() -> None:
    while True:
        sender, message = await receive()
        send(sender, message)


def agreed(cluster: MemoryCluster, name: Any) -> Pid | None:
    """What all nodes say."""
    found = {core(cluster, str(node)).whereis(name) for node in cluster.nodes}
    assert len(found) == 1, found
    return found.pop()


@on_cluster("a", "b", "c")
async def test_nodes_in_a_row_become_a_mesh(cluster: MemoryCluster) -> None:
    for runtime in cluster.nodes.values():
        assert len(runtime.peers) == 2


@on_cluster("a", "b", "c")
async def test_a_name_is_registered_used_and_taken_back(cluster: MemoryCluster) -> None:
    pid = cluster.spawn("a", echo)

    async def register() -> Any:
        return await Global.register_name("echo", pid), await Global.register_name("echo", self())

    assert await cluster.run("a", register) == (True, False)

    async def use() -> Any:
        assert Global.send("echo", (self(), "hello")) == pid
        return await receive(timeout=5), Global.registered_names()

    assert await cluster.run("c", use) == ("hello", ["echo"])

    async def take_back() -> Any:
        await Global.unregister_name("echo")
        await Global.unregister_name("echo")
        with pytest.raises(NoProcess, match="echo"):
            Global.send("echo", 1)
        return Global.whereis_name("echo")

    assert await cluster.run("b", take_back) is None
    assert agreed(cluster, "echo") is None


@on_cluster("a", "b", "c")
async def test_names_go_with_processes_and_nodes(cluster: MemoryCluster) -> None:
    on_a, on_c = cluster.spawn("a", echo), cluster.spawn("c", echo)

    async def register() -> None:
        assert await Global.register_name("on a", on_a)
        assert await Global.register_name("on c", on_c)
        Process.exit(on_a, atom.kill)

    await cluster.run("b", register)
    await until(lambda: agreed_or_not(cluster, "on a"))
    assert agreed(cluster, "on c") == on_c
    cluster.kill("c")
    await until(lambda: agreed_or_not(cluster, "on c"))
    assert len(cluster["a"].peers) == 1


def agreed_or_not(cluster: MemoryCluster, name: Any) -> bool:
    return all(core(cluster, str(node)).whereis(name) is None for node in cluster.nodes)


@on_cluster("a", "b")
async def test_re_registering_and_observers(cluster: MemoryCluster) -> None:
    seen: list[Any] = []
    cluster["b"].services["global"].observers.append(lambda *change: seen.append(change))
    old, new = cluster.spawn("a", echo), cluster.spawn("a", echo)

    async def change() -> None:
        await Global.re_register_name(("n", 1.0), old)
        await Global.re_register_name(("n", 1.0), new)

    await cluster.run("a", change)
    assert agreed(cluster, ("n", 1.0)) == new
    assert seen == [(("n", 1.0), None, old), (("n", 1.0), old, new)]


@on_cluster("a", "b", "c")
async def test_a_transaction_runs_alone(cluster: MemoryCluster) -> None:
    inside: list[str] = []

    async def work() -> str:
        inside.append("in")
        assert inside == ["in"]
        await Process.sleep(0.3)
        inside.remove("in")
        return str(Node.self())

    async def run() -> Any:
        return await Global.trans("resource", work)

    results = await asyncio.gather(*(cluster.run(name, run) for name in "abc"))
    assert results == ["a@memory", "b@memory", "c@memory"]
    assert all(len(core(cluster, name).locks) == 0 for name in "abc")


@on_cluster("a", "b")
async def test_a_lock_that_cannot_be_had(cluster: MemoryCluster) -> None:
    async def hold() -> None:
        assert await Global.set_lock(("r", 1))
        assert await Global.set_lock(("r", 1))
        await receive(atom.stop)
        await Global.del_lock(("r", 1))
        await receive()

    holder = cluster.spawn("a", hold)
    await until(lambda: len(core(cluster, "b").locks) == 1)

    async def try_it() -> Any:
        refused = await Global.set_lock(("r", 2), retries=1)
        elsewhere = await Global.set_lock(("r", 2), nodes=[], retries=0)
        aborted = await Global.trans(("r", 2), lambda: 1, retries=0)
        return refused, elsewhere, aborted

    assert await cluster.run("b", try_it) == (False, True, atom.aborted)
    cluster["a"].deliver_pid(holder, atom.stop)
    await until(lambda: len(core(cluster, "b").locks) == 0)
    assert await cluster.run("b", lambda: Global.trans(("r", 2), lambda: 1)) == 1


@on_cluster("a", "b")
async def test_a_lock_goes_with_its_process(cluster: MemoryCluster) -> None:
    async def hold() -> None:
        await Global.set_lock("r")

    assert await cluster.run("a", hold) is None
    await until(lambda: not any(len(core(cluster, name).locks) for name in "ab"))


@on_cluster("a", "b")
async def test_a_failing_transaction_lets_go(cluster: MemoryCluster) -> None:
    def fail() -> None:
        raise KeyError("inside")

    with pytest.raises(KeyError):
        await cluster.run("a", lambda: Global.trans("r", fail))
    assert not any(len(core(cluster, name).locks) for name in "ab")


@on_cluster("a", "b", "c")
async def test_an_orderly_stop_splits_nobody(cluster: MemoryCluster) -> None:
    await cluster.stop("b")
    await until(lambda: all(len(cluster[name].peers) == 1 for name in "ac"))
    await asyncio.sleep(20)
    assert all(len(cluster[name].peers) == 1 for name in "ac")


@on_cluster("a", "b", "c", "d")
async def test_a_cut_link_expels_its_ends(cluster: MemoryCluster) -> None:
    cluster.cut("a", "b")
    await asyncio.sleep(20)
    meshes = {frozenset([runtime.node, *runtime.peers]) for runtime in cluster.nodes.values()}
    assert sum(map(len, meshes)) == 4, "every node is in one full mesh"
    assert not any({cluster.name("a"), cluster.name("b")} <= mesh for mesh in meshes)
    for runtime in cluster.nodes.values():
        assert runtime.services["global"].core.busy() == []


@on_cluster("a", "b")
async def test_leaving_the_mesh(cluster: MemoryCluster) -> None:
    assert await cluster.run("a", Global.disconnect) == [cluster.name("b")]
    await until(lambda: not cluster["a"].peers and not cluster["b"].peers)


@on_cluster("a", "b")
async def test_names_in_dispute_when_nodes_meet(cluster: MemoryCluster) -> None:
    """c comes with a name that is taken; the process on the smaller node keeps it."""
    keeps = cluster.spawn("a", echo)
    await cluster.run("a", lambda: Global.register_name("db", keeps))
    runtime = await cluster.start("c")
    loses = cluster.spawn("c", echo)
    assert await cluster.run("c", lambda: Global.register_name("db", loses))
    await cluster.connect("c", "b")
    await until(lambda: len(runtime.services["global"].core.state.synced) == 2)
    assert agreed(cluster, "db") == keeps
    await until(lambda: runtime.process_of(loses) is None)


@on_cluster("a", "b")
async def test_a_python_function_decides_a_dispute(cluster: MemoryCluster) -> None:
    async def keep_his(name: Any, pid: Pid, pid2: Pid) -> Pid:
        await Process.sleep(0.1)
        return pid

    ours = cluster.spawn("b", echo)
    await cluster.run("b", lambda: Global.register_name("db", ours, keep_his))
    runtime = await cluster.start("c")
    his = cluster.spawn("c", echo)
    await cluster.run("c", lambda: Global.register_name("db", his))
    await cluster.connect("c", "a")  # a decides and asks b, where the process lives
    await until(lambda: len(runtime.services["global"].core.state.synced) == 2)
    assert agreed(cluster, "db") == his
    assert cluster["b"].process_of(ours) is not None


@on_cluster("a", "b")
async def test_a_name_server_that_is_killed_comes_back(cluster: MemoryCluster) -> None:
    server = cluster["a"].services["global"]
    await cluster.run("a", lambda: Global.register_name("lost", cluster.spawn("a", echo)))
    before = server.pid
    await cluster.run("b", lambda: Process.exit(before, atom.kill))
    await until(lambda: server.pid != before)
    await until(lambda: not cluster["a"].peers and not cluster["b"].peers)
    assert await cluster.run("a", Global.registered_names) == []
    assert await cluster.connect("b", "a")
    await until(lambda: settled(cluster, "a", 1) and settled(cluster, "b", 1))


@on_cluster("a", "b")
async def test_bad_messages_do_no_harm(cluster: MemoryCluster) -> None:
    async def disturb() -> Any:
        there = (atom.global_name_server, cluster.name("b"))
        for bad in [
            1,
            (),
            ("$gen_call", 1),
            (atom("$gen_cast"), atom.nonsense),
            (atom.DOWN, 1, 2, 3, 4),
            [1, 2],
            (1, 2),
        ]:
            send(there, bad)
        send(there, (atom("$gen_call"), (self(), "tag"), (atom.set_lock, (atom("global"), []), 1)))
        state = await call(there, atom.info)
        return state[0]

    assert await cluster.run("a", disturb) is atom.state
    assert await cluster.run("a", lambda: Global.register_name("still works", cluster.spawn("a", echo)))
    assert agreed(cluster, "still works") is not None


@on_cluster("a", "b")
async def test_sys_get_state(cluster: MemoryCluster) -> None:
    async def ask(what: Any) -> Any:
        there = (atom.global_name_server, cluster.name("b"))
        return await call(there, what, label=atom.system)

    assert (await cluster.run("a", ask, atom.get_state))[0] is atom.state
    assert (await cluster.run("a", ask, atom.get_status))[0] is atom.error


@on_cluster("a", "b")
async def test_erlangs_module_global(cluster: MemoryCluster) -> None:
    """What a peer gets that calls `global` on us, in Erlang's shapes."""
    pid = cluster.spawn("b", echo)
    method = ExportFun(atom("global"), atom.random_notify_name, 3)

    async def on_b(function: str, *args: Any) -> Any:
        return await rpc_call("b@memory", "global", function, list(args))

    async def calls() -> None:
        lock = ("r", self())
        assert await on_b("whereis_name", "n") is atom.undefined
        assert await on_b("register_name", "n", pid) is atom.yes
        assert await on_b("register_name", "n", pid) is atom.no
        assert await on_b("whereis_name", "n") == pid
        assert await on_b("registered_names") == ["n"]
        assert await on_b("re_register_name", "n", pid, method) is atom.yes
        assert await on_b("re_register_name", "n", pid, (atom("global"), atom.notify_all_name)) is atom.yes
        assert await on_b("send", "n", (self(), "hi")) == pid
        assert await receive(timeout=5) == "hi"
        assert await on_b("unregister_name", "n") is atom.ok
        assert await on_b("sync") is atom.ok
        assert await on_b("sync", [cluster.name("a")]) is atom.ok
        assert await on_b("set_lock", lock, [cluster.name("b")], 0) is True
        assert await on_b("del_lock", lock) is True
        now = ExportFun(atom.erlang, atom.node, 0)
        assert await on_b("trans", lock, now) is cluster.name("b")
        assert (await on_b("info"))[0] is atom.state

    await cluster.run("a", calls)


@on_cluster("a", "b")
async def test_erlangs_methods_called_by_name(cluster: MemoryCluster) -> None:
    low, high = cluster.spawn("a", collect), cluster.spawn("b", collect)

    async def on_b(function: str, *args: Any) -> Any:
        return await rpc_call("b@memory", "global", function, list(args))

    async def calls() -> None:
        assert await on_b("random_notify_name", "n", high, low) == low
        assert await on_b("notify_all_name", "n", low, high) is atom.none
        unknown = await on_b("resolve_it", ExportFun(atom.erlang, atom.element, 3), "n", low, high)
        assert unknown[0] is atom.EXIT
        assert unknown[1][0] is atom.undef
        send(high, (self(), atom.got))
        assert await receive(timeout=5) == [
            (atom.global_name_conflict, "n"),
            (atom.global_name_conflict, "n", low),
        ]
        ref = monitor(high)
        assert await on_b("random_exit_name", "n", high, low) == low
        assert (await receive((atom.DOWN, ref, ..., ..., ...), timeout=5))[4] is atom.killed

    await cluster.run("a", calls)


async def collect() -> None:
    got: list[Any] = []
    while True:
        match await receive():
            case (Pid() as sender, atom.got):
                send(sender, got)
            case message:
                got.append(message)


@pytest.mark.parametrize(
    ("function", "args"),
    [
        ("register_name", ["n", 1]),
        ("register_name", ["n", Pid(atom("a@memory"), 1, 0, 1), 5]),
        ("set_lock", ["no pair"]),
        ("set_lock", [("r", 1), atom.no_list]),
        ("set_lock", [("r", 1), [], -1]),
    ],
)
def test_bad_arguments_are_badarg(function: str, args: list[Any]) -> None:
    from beamish.errors import RemoteError

    async def test() -> None:
        async with MemoryCluster("a", "b", services=services) as cluster:
            await cluster.connect("a", "b")
            with pytest.raises(RemoteError) as caught:
                await cluster.run("a", lambda: rpc_call("b@memory", "global", function, args))
            assert caught.value.reason is atom.badarg

    run_cluster(test)


def test_a_node_without_peers_has_names_and_locks_too() -> None:
    async def test() -> None:
        pid = spawn(echo)
        assert await Global.register_name("echo", pid)
        assert Global.whereis_name("echo") == pid
        assert await Global.trans("r", lambda: "ran") == "ran"
        assert await Global.sync() is None
        with pytest.raises(TypeError, match="Pid"):
            await Global.register_name("echo", "not a pid")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="not a term"):
            await Global.register_name(object(), pid)
        with pytest.raises(ValueError, match="random_exit_name"):
            await Global.register_name("other", pid, "loudest")
        with pytest.raises(TypeError, match="namespace"):
            Global()

    run_virtual(test)


@on_cluster("a", "b")
async def test_a_full_connection_delays_but_loses_nothing(cluster: MemoryCluster) -> None:
    """Whatever a peer cannot be told now is told later, in the same order."""
    from beamish.errors import ConnectionBusy
    from beamish.names import server

    refused = 0

    def busy(dest: Any, message: Any) -> None:
        nonlocal refused
        if dest == (atom.global_name_server, cluster.name("c")) and refused < 40:
            refused += 1
            raise ConnectionBusy("full")
        send(dest, message)

    pid = cluster.spawn("a", echo)
    await cluster.run("a", lambda: Global.register_name("n", pid))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "send", busy)
        runtime = await cluster.start("c")
        await cluster.connect("c", "a")
        await until(lambda: all(settled(cluster, name, 2) for name in "abc"))
    assert refused == 40
    assert runtime.services["global"].core.whereis("n") == pid
