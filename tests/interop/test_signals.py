"""Messages, links, monitors and exits between our processes and those of real Erlang and Elixir nodes.

Each test body is a process of a fresh node of ours; the other end is the evaluator process of the peer, which traps exits.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from cluster import COMPLAINT, Cluster, Member, on_loop

from beam import COOKIE, ElixirNode, ErlNode, RealEpmd, eventually, unique_name
from beamish.boot import new_event_loop, start_node
from beamish.io.requests import Device
from beamish.names import Global
from beamish.node import Node
from beamish.node.runtime import current_runtime
from beamish.process import (
    Process,
    alias,
    demonitor,
    exit,
    group_leader,
    link,
    monitor,
    receive,
    register,
    self,
    send,
    set_group_leader,
    spawn,
    trap_exit,
    unalias,
    unlink,
)
from beamish.process.gen import CallFailed
from beamish.process.gen import call as gen_call
from beamish.term import Pid, atom

pytestmark = pytest.mark.interop

Body = Callable[[], Awaitable[None]]
Inside = Callable[[Body], None]
SECONDS = 5.0


@pytest.fixture
def inside(real_epmd: RealEpmd) -> Inside:
    """Runs a body as a process of a fresh node of ours."""

    def run(body: Body, device: Device | None = None) -> None:
        async def session() -> None:
            runtime = await start_node(unique_name("py"), cookie=COOKIE, epmd_port=real_epmd.port, device=device)
            try:
                async with asyncio.timeout(60):
                    await runtime.run(body)
            finally:
                await runtime.stop()

        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(session())

    return run


def as_member(kind: str, node: ErlNode | ElixirNode) -> Iterator[Member]:
    yield Member(kind, node)
    assert [line for line in node.lines if COMPLAINT.search(line)] == []


@pytest.fixture(scope="module")
def erl(real_epmd: RealEpmd) -> Iterator[Member]:
    """An Erlang node for this module."""
    with ErlNode(epmd=real_epmd) as node:
        yield from as_member("erl", node)


@pytest.fixture(scope="module")
def elixir(real_epmd: RealEpmd, elixir_node: ElixirNode) -> Iterator[Member]:
    """An Elixir node for this module."""
    with ElixirNode(epmd=real_epmd) as node:
        yield from as_member("elixir", node)


@pytest.fixture(params=["erl", "elixir"])
def peer(request: pytest.FixtureRequest) -> Member:
    """A node of each kind."""
    member: Member = request.getfixturevalue(request.param)
    return member


VERBS = {
    "erl": {
        "self": "self()",
        "next": "receive M -> M after 5000 -> silent end",
        "monitor": "monitor(process, {})",
        "demonitor": "demonitor({}, [flush])",
        "link": "link({})",
        "unlink": "unlink({})",
        "exit": "exit({}, {})",
        "send": "({}) ! {}",
        "links": "element(2, process_info(self(), links))",
        "monitored_by": "element(2, process_info({}, monitored_by))",
        "register": "register({}, {})",
        "unregister": "unregister({})",
        "alias": "alias()",
        "unalias": "unalias({})",
        "register_global": "global:register_name({}, self())",
        "unregister_global": "global:unregister_name({})",
        "send_global": "global:send({}, {})",
        "mortal_call": "spawn(fun() -> receive _ -> exit(no) end end)",
        "mortal": "spawn(fun() -> receive {{die, R}} -> exit(R) end end)",
        "spawn_link": "begin P = spawn_link({}, erlang, exit, [bye]), "
        "receive {{'EXIT', P, Why}} -> Why after 5000 -> silent end end",
        "crash seen": 'begin P = {}, R = monitor(process, P), P ! {{raise, <<"out of cheese">>}}, '
        "receive {{'DOWN', R, process, P, Why}} -> unicode:characters_to_binary(io_lib:format(\"~tp\", [Why])) end end",
    },
    "elixir": {
        "self": "self()",
        "next": "receive do m -> m after 5000 -> :silent end",
        "monitor": "Process.monitor({})",
        "demonitor": "Process.demonitor({}, [:flush])",
        "link": "Process.link({})",
        "unlink": "Process.unlink({})",
        "exit": "Process.exit({}, {})",
        "send": "send({}, {})",
        "links": "Process.info(self(), :links) |> elem(1)",
        "monitored_by": "Process.info({}, :monitored_by) |> elem(1)",
        "register": "Process.register({1}, {0})",
        "unregister": "Process.unregister({})",
        "alias": ":erlang.alias()",
        "unalias": ":erlang.unalias({})",
        "register_global": ":global.register_name({}, self())",
        "unregister_global": ":global.unregister_name({})",
        "send_global": ":global.send({}, {})",
        "mortal": "spawn(fn -> receive do {{:die, r}} -> exit(r) end end)",
        "spawn_link": "p = Node.spawn_link({}, :erlang, :exit, [:bye]); "
        "receive do {{:EXIT, ^p, why}} -> why after 5000 -> :silent end",
        "crash seen": 'p = {}; r = Process.monitor(p); send(p, {{:raise, "out of cheese"}}); '
        "receive do {{:DOWN, ^r, :process, ^p, why}} -> Exception.format_exit(why) end",
    },
}
REASONS = [
    atom.normal, atom.shutdown, (atom.shutdown, b"deploy"), atom.bye, atom.kill, (atom.error, [1, 2.5, {atom.a: None}]),
]  # fmt: skip


async def do(peer: Member, verb: str, *terms: Any) -> Any:
    """One of VERBS in the peer's evaluator."""
    return await peer.eval(VERBS[peer.kind][verb].format(*(peer.literal(term) for term in terms)))


async def mail(count: int) -> list[Any]:
    """The next messages, sorted, for where no order is promised."""
    return sorted([await receive(timeout=SECONDS) for _ in range(count)], key=repr)


async def their_mail(peer: Member, count: int) -> list[Any]:
    """The same of the peer's evaluator."""
    return sorted([await do(peer, "next") for _ in range(count)], key=repr)


async def nothing_came(peer: Member) -> None:
    """Whatever the peer's processes sent has come, and it is no message."""
    await do(peer, "send", self(), atom.last)
    assert await receive(timeout=SECONDS) is atom.last


async def nothing_reached(peer: Member) -> None:
    """Whatever we sent to the peer's evaluator has come, and it is no message."""
    send(await do(peer, "self"), atom.last)
    assert await do(peer, "next") is atom.last


async def mortal() -> None:
    """Body of a process that ends as it is told to."""
    match await receive():
        case (atom.die, reason):
            exit(reason)
        case (_, message):
            raise ValueError(message)


async def immortal() -> None:
    """Body of a process that traps exits and counts them."""
    trap_exit()
    count = 0
    while True:
        match await receive():
            case (atom.EXIT, _, _):
                count += 1
            case (atom.count, asker):
                send(asker, count)


# ---- messages


def test_every_kind_of_address_there(inside: Inside, peer: Member) -> None:
    async def body() -> None:
        name = atom("addressee")
        pid, ref = await do(peer, "self"), await do(peer, "alias")
        await do(peer, "register", name, pid)
        assert await do(peer, "register_global", name) is atom.yes
        await Node.connect(peer.name)
        await Global.sync()
        for address in (pid, (name, atom(peer.name)), ("addressee", peer.name), ref):
            send(address, (atom.to, str(address), self()))
            assert await do(peer, "next") == (atom.to, str(address).encode(), self())
        assert Global.send(name, atom("by global")) == pid
        assert await do(peer, "next") is atom("by global")
        send(("nobody", peer.name), atom.lost)
        assert await do(peer, "unalias", ref) is True
        send(ref, atom.lost)
        await nothing_reached(peer)
        await do(peer, "unregister", name)
        await do(peer, "unregister_global", name)

    inside(body)


def test_every_kind_of_address_here(inside: Inside, peer: Member) -> None:
    async def body() -> None:
        name = atom("addressee_here")
        register(name, self())
        await Node.connect(peer.name)
        await Global.sync()
        assert await Global.register_name(name, self()) is True
        ref = alias()
        for address in (self(), (name, Node.self()), ref):
            await do(peer, "send", address, (atom.to, str(address)))
            assert await receive(timeout=SECONDS) == (atom.to, str(address).encode())
        assert await do(peer, "send_global", name, atom("by global")) == self()
        assert await receive(timeout=SECONDS) is atom("by global")
        assert unalias(ref) is True
        await do(peer, "send", ref, atom.lost)
        await do(peer, "send", (atom.nobody, Node.self()), atom.lost)
        await nothing_came(peer)

    inside(body)


LOAD = [
    "-module(load).",
    "-export([collect/0, produce/0]).",
    "collect() -> receive {watch, P, Asker} -> R = monitor(process, P), Asker ! watching, Asker ! collect(0, P, R) end.",
    "collect(N, P, R) -> receive N -> collect(N + 1, P, R); {'DOWN', R, process, P, normal} -> {all, N}; "
    "Other -> {out_of_order, N, Other} after 10000 -> {silent, N} end.",
    "produce() -> receive {go, To, Count} -> produce(To, 0, Count) end.",
    "produce(_, N, N) -> ok; produce(To, N, Count) -> To ! N, produce(To, N + 1, Count).",
]
"""A module, for what would be slow when it is evaluated."""


def test_order_under_load(inside: Inside, erl: Member) -> None:
    """100,000 numbered messages each way at the same time, and the news of the sender's death behind the last one."""
    count = 100_000

    async def produce(to: Pid) -> None:
        assert await receive() is atom.go
        for number in range(count):
            send(to, number)
            if number % 1000 == 0:
                await Process.sleep(0)

    async def body() -> None:
        trap_exit()
        forms = ", ".join(f'"{form}"' for form in LOAD)
        await erl.eval(
            "begin Forms = [begin {ok, Ts, _} = erl_scan:string(T), {ok, F} = erl_parse:parse_form(Ts), F end "
            f'|| T <- [{forms}]], {{ok, M, Code}} = compile:forms(Forms), code:load_binary(M, "load.erl", Code) end'
        )
        collector, theirs = await erl.eval("{spawn(load, collect, []), spawn(load, produce, [])}")
        mine = spawn(produce, collector)
        send(collector, (atom.watch, mine, self()))
        assert await receive(timeout=SECONDS) is atom.watching
        link(theirs)
        send(mine, atom.go)
        send(theirs, (atom.go, self(), count))
        collected: list[Any] = []
        async with asyncio.timeout(30):
            for number in range(count):
                message = await receive()
                while type(message) is tuple and message[0] is atom.all:
                    collected.append(message)
                    message = await receive()
                assert message == number
            assert await receive() == (atom.EXIT, theirs, atom.normal)
            assert (collected or [await receive()]) == [(atom.all, count)]

    inside(body)


def test_big_messages_and_small_ones_beside_them(inside: Inside, erl: Member) -> None:
    """20 MB each way at the same time, from a process beside which another one sends small ones."""
    size = 20_000_000
    block = bytes(range(256)) * (size // 256)

    async def chatter(to: Pid) -> None:
        for number in range(200):
            send(to, (atom.small, number))
            await Process.sleep(0)

    async def body() -> None:
        me = erl.literal(self())
        pid = await do(erl, "self")
        spawn(chatter, pid)
        await erl.eval(
            f"begin Me = {me}, B = binary:copy(list_to_binary(lists:seq(0, 255)), {size // 256}), "
            "spawn(fun() -> Me ! {big, B} end), [Me ! {small, N} || N <- lists:seq(0, 199)], ok end"
        )
        send(pid, (atom.big, block))
        small: list[int] = []
        big: list[bytes] = []
        async with asyncio.timeout(30):
            while len(small) < 200 or not big:
                match await receive():
                    case (atom.small, number):
                        small.append(number)
                    case (atom.big, data):
                        big.append(data)
            assert small == list(range(200))
            assert big == [block]
            seen = await erl.eval(
                "{(fun F(200) -> ok; F(N) -> receive {small, N} -> F(N + 1) after 10000 -> {silent_after, N} end end)(0), "
                "receive {big, B} -> {byte_size(B), erlang:md5(B)} after 10000 -> silent end}"
            )
        assert seen == (atom.ok, (len(block), hashlib.md5(block).digest()))

    inside(body)


# ---- links, monitors, exits


def test_their_deaths_are_seen_here(inside: Inside, peer: Member) -> None:
    async def body() -> None:
        trap_exit()
        for reason in REASONS:
            pid = await do(peer, "mortal")
            link(pid)
            ref = monitor(pid)
            send(pid, (atom.die, reason))
            assert await mail(2) == [(atom.DOWN, ref, atom.process, pid, reason), (atom.EXIT, pid, reason)]
        assert Process.info(self(), "links", "monitors") == {"links": [], "monitors": []}

    inside(body)


def test_our_deaths_are_seen_there(inside: Inside, peer: Member) -> None:
    async def body() -> None:
        for reason in REASONS:
            pid = spawn(mortal)
            await do(peer, "link", pid)
            ref = await do(peer, "monitor", pid)
            await nothing_came(peer)
            send(pid, (atom.die, reason))
            assert await their_mail(peer, 2) == [(atom.DOWN, ref, atom.process, pid, reason), (atom.EXIT, pid, reason)]

    inside(body)


def test_a_python_exception_reads_well_there(inside: Inside, peer: Member) -> None:
    async def body() -> None:
        shown = await do(peer, "crash seen", spawn(mortal))
        shown = shown if isinstance(shown, str) else shown.decode()
        for part in ("exception", "builtins.ValueError", "out of cheese", "Traceback (most recent call last)", "mortal"):
            assert part in shown

    inside(body)


def test_our_exit_signals_there(inside: Inside, peer: Member) -> None:
    async def body() -> None:
        pid = await do(peer, "mortal")
        ref = monitor(pid)
        Process.exit(pid, atom.normal)
        Process.exit(pid, atom.enough)
        assert await receive(timeout=SECONDS) == (atom.DOWN, ref, atom.process, pid, atom.enough)
        pid = await do(peer, "mortal")
        ref = monitor(pid)
        Process.exit(pid, atom.kill)
        assert await receive(timeout=SECONDS) == (atom.DOWN, ref, atom.process, pid, atom.killed)
        trapping = await do(peer, "self")
        for reason in (atom.normal, atom.enough):
            Process.exit(trapping, reason)
            assert await do(peer, "next") == (atom.EXIT, self(), reason)

    inside(body)


def test_their_exit_signals_here(inside: Inside, peer: Member) -> None:
    async def body() -> None:
        evaluator = await do(peer, "self")
        pid = spawn(mortal)
        ref = monitor(pid)
        await do(peer, "exit", pid, atom.normal)
        await nothing_came(peer)
        await do(peer, "exit", pid, atom.enough)
        assert await receive(timeout=SECONDS) == (atom.DOWN, ref, atom.process, pid, atom.enough)
        pid = spawn(immortal)
        ref = monitor(pid)
        await do(peer, "exit", pid, atom.enough)
        await nothing_came(peer)
        send(pid, (atom.count, self()))
        assert await receive(timeout=SECONDS) == 1
        await do(peer, "link", pid)
        await do(peer, "exit", pid, atom.kill)
        assert await receive(timeout=SECONDS) == (atom.DOWN, ref, atom.process, pid, atom.killed)
        assert await do(peer, "next") == (atom.EXIT, pid, atom.killed)
        trap_exit()
        await do(peer, "exit", self(), atom.normal)
        assert await receive(timeout=SECONDS) == (atom.EXIT, evaluator, atom.normal)

    inside(body)


def test_a_link_carries_death_both_ways(inside: Inside, peer: Member) -> None:
    """Neither end traps: what ends one ends the other, with the same reason; normal does not."""

    async def linked(to: Pid, parent: Pid) -> None:
        link(to)
        send(parent, atom.linked)
        await mortal()

    async def body() -> None:
        for dying in ("ours", "theirs"):
            theirs = await do(peer, "mortal")
            ours = spawn(linked, theirs, self())
            assert await receive(timeout=SECONDS) is atom.linked
            refs = {ours: monitor(ours), theirs: monitor(theirs)}
            first, second = (ours, theirs) if dying == "ours" else (theirs, ours)
            send(first, (atom.die, atom.together))
            assert await mail(2) == sorted(
                [(atom.DOWN, refs[pid], atom.process, pid, atom.together) for pid in (first, second)], key=repr
            )
            theirs = await do(peer, "mortal")
            ours = spawn(linked, theirs, self())
            assert await receive(timeout=SECONDS) is atom.linked
            refs = {ours: monitor(ours), theirs: monitor(theirs)}
            first, second = (ours, theirs) if dying == "ours" else (theirs, ours)
            send(first, (atom.die, atom.normal))
            assert await receive(timeout=SECONDS) == (atom.DOWN, refs[first], atom.process, first, atom.normal)
            await nothing_came(peer)
            send(second, (atom.die, atom.late))
            assert await receive(timeout=SECONDS) == (atom.DOWN, refs[second], atom.process, second, atom.late)

    inside(body)


def test_spawn_link_from_there(inside: Inside, peer: Member) -> None:
    async def body() -> None:
        assert await do(peer, "spawn_link", Node.self()) is atom.bye
        trap_exit()
        pid = await Node.spawn_link(peer.name, "erlang", "exit", [atom.bye])
        assert await receive(timeout=SECONDS) == (atom.EXIT, pid, atom.bye)

    inside(body)


def test_nobody_is_noproc(inside: Inside, peer: Member) -> None:
    async def body() -> None:
        trap_exit()
        dead = await do(peer, "mortal")
        ref = monitor(dead)
        Process.exit(dead, atom.kill)
        await receive(ref, timeout=SECONDS)
        link(dead)
        assert await receive(timeout=SECONDS) == (atom.EXIT, dead, atom.noproc)
        for target in (dead, (atom.nobody, atom(peer.name))):
            ref = monitor(target)
            assert await receive(timeout=SECONDS) == (atom.DOWN, ref, atom.process, target, atom.noproc)
        dead = spawn(mortal)
        Process.exit(dead, atom.kill)
        await do(peer, "link", dead)
        assert await do(peer, "next") == (atom.EXIT, dead, atom.noproc)
        for target in (dead, (atom.nobody, Node.self())):
            ref = await do(peer, "monitor", target)
            assert await do(peer, "next") == (atom.DOWN, ref, atom.process, target, atom.noproc)

    inside(body)


def test_monitors_by_name(inside: Inside, peer: Member) -> None:
    async def body() -> None:
        name = atom("to_be_watched")
        pid = await do(peer, "mortal")
        await do(peer, "register", name, pid)
        ref = monitor((name, peer.name))
        Process.exit(pid, atom.bye)
        assert await receive(timeout=SECONDS) == (atom.DOWN, ref, atom.process, (name, atom(peer.name)), atom.bye)
        pid = spawn(mortal)
        register(name, pid)
        ref = await do(peer, "monitor", (name, Node.self()))
        await nothing_came(peer)
        Process.exit(pid, atom.bye)
        assert await do(peer, "next") == (atom.DOWN, ref, atom.process, (name, Node.self()), atom.bye)

    inside(body)


@pytest.mark.parametrize("dying", ["python", "erl"])
@on_loop
async def test_a_killed_node_is_noconnection(real_epmd: RealEpmd, dying: str) -> None:
    """kill -9 of the OS process, seen from a node of ours and from Erlang."""
    async with Cluster(real_epmd) as cluster:
        victim, erl, us = await cluster.start(dying, "erl", "here")
        await us.connect(victim)
        await erl.connect(victim)
        if dying == "python":
            pid = await victim.eval("self()")
        else:
            pid = await do(victim, "self")
        seen_there = asyncio.create_task(
            erl.eval(
                f"begin P = {erl.literal(pid)}, R = monitor(process, P), R2 = monitor(process, {{nobody_yet, node(P)}}), "
                "link(P), receive {'DOWN', R2, process, _, noproc} -> ok end, io:format(user, \"watching~n\", []), "
                "[receive {'DOWN', R, process, P, Why} -> Why after 9000 -> silent end, "
                "receive {'EXIT', P, Why2} -> Why2 after 9000 -> silent end] end"
            )
        )

        async def watcher() -> list[Any]:
            trap_exit()
            ref = monitor(pid)
            link(pid)
            request = monitor(("rex", pid.node))
            await erl.beam.await_line("watching")
            await cluster.kill_one(victim)
            return [(await receive(wanted, timeout=9))[-1] for wanted in (ref, (atom.EXIT, pid, ...), request)]

        assert await us.runtime.run(watcher) == [atom.noconnection] * 3
        assert await seen_there == [atom.noconnection] * 2


def test_demonitor_leaves_nothing(inside: Inside, erl: Member) -> None:
    async def body() -> None:
        await Node.connect(erl.name)
        pid = await do(erl, "self")
        before = sorted(await do(erl, "monitored_by", pid), key=repr)
        refs = [monitor(pid) for _ in range(100)]
        await nothing_reached(erl)
        assert len(await do(erl, "monitored_by", pid)) == len(before) + 100
        for ref in refs:
            assert demonitor(ref) is True
            assert demonitor(ref) is False
        for _ in range(5):
            spawn(monitor_and_end, pid)
        with pytest.raises(CallFailed):
            await gen_call(await do(erl, "mortal_call"), atom.ask)
        await nothing_reached(erl)
        assert sorted(await do(erl, "monitored_by", pid), key=repr) == before

        me = erl.literal(self())
        wire: Any = current_runtime().routes[atom(erl.name)]
        await erl.eval(f"[demonitor(R) || R <- [monitor(process, {me}) || _ <- lists:seq(1, 100)]]")
        await erl.eval(f"[erlang:demonitor(monitor(process, {me}), [flush]) || _ <- lists:seq(1, 100)]")
        await erl.eval(f"[begin {{Pid, Ref}} = spawn_monitor(fun() -> monitor(process, {me}) end), "
                       "receive {'DOWN', Ref, process, Pid, normal} -> ok end end || _ <- lists:seq(1, 5)]")  # fmt: skip
        await eventually(lambda: Process.info(self(), "monitored_by") == [])
        assert Process.info(self(), "monitors", "links") == {"monitors": [], "links": []}
        assert {str(watcher) for watcher in wire.in_monitors.values()} <= {str(current_runtime().services["global"].pid)}
        assert wire.links == {}
        held = [pid for pid in wire.out_monitors.values() if pid == self()]
        assert held == []

    inside(body)


async def monitor_and_end(pid: Pid) -> None:
    monitor(pid)


# ---- links that are made and unmade while things happen


def test_unlink_silences_a_death_that_is_under_way(inside: Inside, erl: Member) -> None:
    """After unlink() no exit may arrive, even if the other process is already dead."""

    async def body() -> None:
        trap_exit()
        for _ in range(100):
            pid = await do(erl, "mortal") if _ % 10 == 0 else await Node.spawn(erl.name, "timer", "sleep", [atom.infinity])
            link(pid)
            Process.exit(pid, atom.kill)
            unlink(pid)
            ref = monitor(pid)
            assert (await receive(timeout=SECONDS))[:2] == (atom.DOWN, ref)
        await nothing_came(erl)
        for _ in range(30):
            pid = spawn(mortal)
            told = await erl.eval(
                f"begin P = {erl.literal(pid)}, link(P), exit(P, kill), unlink(P), R = monitor(process, P), "
                "receive M -> element(2, M) =:= R after 5000 -> silent end end"
            )
            assert told is True
        await nothing_reached(erl)

    inside(body)


def test_relinking_gives_one_exit(inside: Inside, peer: Member) -> None:
    async def body() -> None:
        trap_exit()
        pid = await do(peer, "mortal")
        for _ in range(100):
            link(pid)
            unlink(pid)
        link(pid)
        link(pid)
        await nothing_came(peer)
        send(pid, (atom.die, atom.bye))
        assert await receive(timeout=SECONDS) == (atom.EXIT, pid, atom.bye)
        await nothing_came(peer)
        pid = spawn(mortal)
        for _ in range(20):
            await do(peer, "link", pid)
            await do(peer, "unlink", pid)
        await do(peer, "link", pid)
        await nothing_came(peer)
        send(pid, (atom.die, atom.bye))
        assert await do(peer, "next") == (atom.EXIT, pid, atom.bye)
        await nothing_reached(peer)

    inside(body)


@pytest.mark.parametrize("seed", range(8))
def test_both_ends_agree_about_a_link(inside: Inside, erl: Member, seed: int) -> None:
    """Both link and unlink at random at the same time: in the end both say the same, and death says it too."""
    rng = random.Random(seed)

    async def body() -> None:
        trap_exit()
        me = erl.literal(self())
        script = "".join(rng.choice("lu") for _ in range(300))
        pid = await erl.eval(
            f"begin Me = {me}, spawn(fun() -> process_flag(trap_exit, true), "
            f'receive go -> [case C of $l -> link(Me); $u -> unlink(Me) end || C <- "{script}"], Me ! done end, '
            "(fun F() -> receive {links, P} -> P ! {links, element(2, process_info(self(), links))}, F() end end)() end) end"
        )
        send(pid, atom.go)
        for _ in range(300):
            if rng.random() < 0.5:
                link(pid)
            else:
                unlink(pid)
            if rng.random() < 0.3:
                await Process.sleep(0)
        assert await receive(timeout=SECONDS) is atom.done
        for _ in range(2):
            send(pid, (atom.links, self()))
            theirs = (await receive((atom.links, ...), timeout=SECONDS))[1]
        linked = pid in Process.info(self(), "links")
        assert (self() in theirs) is linked
        ref = monitor(pid)
        Process.exit(pid, atom.kill)
        wanted = [(atom.DOWN, ref, atom.process, pid, atom.killed)] + [(atom.EXIT, pid, atom.killed)] * linked
        assert await mail(len(wanted)) == wanted
        await nothing_came(erl)
        wire: Any = current_runtime().routes[atom(erl.name)]
        assert wire.links == {}

    inside(body)


# ---- group leaders


class Paper:
    """A device that keeps what is written."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text

    async def read_line(self, prompt: str) -> str | None:
        return None

    def geometry(self) -> tuple[int, int] | None:
        return None


def test_output_follows_the_group_leader(inside: Callable[..., None], erl: Member) -> None:
    paper = Paper()

    async def speaker() -> None:
        while True:
            print("heard", await receive())

    async def body() -> None:
        pid = await erl.eval('spawn(fun() -> receive {go, P} -> io:format("told ~p~n", [node()]), P ! done end end)')
        leader = group_leader()
        assert leader is not None
        set_group_leader(pid, leader)
        send(pid, (atom.go, self()))
        assert await receive(timeout=SECONDS) is atom.done
        assert paper.text == f"told {erl.name}\n"

        pid = spawn(speaker)
        start = len(erl.beam.lines)
        theirs = await erl.eval(f"begin P = {erl.literal(pid)}, group_leader(group_leader(), P), P ! hello, group_leader() end")
        await erl.beam.await_line("heard hello", start=start)
        assert Process.info(pid, "group_leader") == theirs
        assert "heard" not in paper.text

    inside(body, device=paper)
