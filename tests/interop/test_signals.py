"""Links, monitors and exits between our processes and those of real Erlang and Elixir nodes.

Each test body is a process of a fresh node of ours; the other end is the evaluator process of the peer, which traps exits.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest
from cluster import Cluster, Member, on_loop
from evaluator import SECONDS, do, mail, nothing_came, nothing_reached, their_mail

from beam import RealEpmd, eventually
from beamish.node import Node
from beamish.node.runtime import current_runtime
from beamish.process import Process, demonitor, exit, link, monitor, receive, register, self, send, spawn, trap_exit, unlink
from beamish.process.gen import CallFailed
from beamish.process.gen import call as gen_call
from beamish.term import Pid, atom

pytestmark = pytest.mark.interop

Inside = Callable[..., None]
REASONS = [
    atom.normal, atom.shutdown, (atom.shutdown, b"deploy"), atom.bye, atom.kill, (atom.error, [1, 2.5, {atom.a: None}]),
]  # fmt: skip


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
        for part in ("ValueError: ", "out of cheese", "Traceback (most recent call last)", "mortal"):
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
