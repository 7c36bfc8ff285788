"""Nodes under pressure: Python code that never yields, peers that do not read, peers that do not stop sending."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from cluster import COMPLAINT, Cluster, Member, connect_all, lists, on_loop

from beam import RealEpmd, eventually
from beamish.dist.limits import BUSY_BYTES, REFUSE_BYTES
from beamish.process import Process, receive, self, send, spawn
from beamish.term import Pid, atom

pytestmark = pytest.mark.interop

TICK = 4
"""Seconds; Erlang's granularity is a quarter of it."""

HOG = """
import time
def hog(seconds):
    # One call into C that keeps the interpreter lock, as long as asked on this machine.
    begun = time.monotonic()
    sum(range(10_000_000))
    speed = 10_000_000 / (time.monotonic() - begun)
    begun = time.monotonic()
    while (left := begun + seconds - time.monotonic()) > 0:
        sum(range(int(speed * (left + 0.2))))
    return time.monotonic() - begun
"""


@contextmanager
def suspended(member: Member) -> Iterator[None]:
    """The node's OS process does not run."""
    os.kill(member.beam.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(member.beam.pid, signal.SIGCONT)


def resident(pid: int) -> int:
    """Bytes of memory that an OS process uses."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@on_loop
async def test_a_process_that_never_yields_does_not_get_its_node_expelled(real_epmd: RealEpmd) -> None:
    """For twice the tick time; a node whose ticks really stop is expelled meanwhile by both kinds of peer."""
    async with Cluster(real_epmd, may_complain=True) as cluster:
        busy, still = await cluster.start("python", "python", net_ticktime=TICK)
        us = await cluster.start_one("here", net_ticktime=TICK)
        erl = await cluster.start_one("erl", None, "-kernel", "net_ticktime", str(TICK))
        await connect_all(busy, us, erl, still)
        await asyncio.gather(busy.watch(), us.watch(), erl.watch())
        await busy.eval(HOG)
        with suspended(still):
            hogged = asyncio.create_task(busy.eval(f"hog({2 * TICK})"))
            await asyncio.gather(lists(us, [busy, erl]), lists(erl, [busy, us]))
            assert not hogged.done()
            for peer in (us, erl):
                (event,) = await peer.events()
                assert event[:2] == ("nodedown", still.name)
                assert event[2]["nodedown_reason"] is atom.net_tick_timeout
            assert await hogged > 2 * TICK
        await lists(busy, [us, erl])
        assert [event[:2] for event in await busy.events()] == [("nodedown", still.name)]
        for peer in (us, erl):
            assert await peer.ping(busy) == "pong"
            assert await peer.events() == []
        complaints = [line for line in erl.beam.lines if COMPLAINT.search(line) or "not responding" in line]
        assert len(complaints) == 2
        assert still.name in complaints[1], "nobody else"


@on_loop
async def test_a_peer_that_does_not_read_bounds_its_senders(real_epmd: RealEpmd) -> None:
    """A sender that rests between its sends is held back; when the peer reads again everything arrives, in order."""
    async with Cluster(real_epmd) as cluster:
        us, other, erl = await cluster.start("here", "python", "erl")
        await connect_all(us, other, erl)
        block = bytes(range(256)) * 1024
        count = 100
        collector: Pid = await erl.eval(
            "spawn(fun() -> (fun F(N, Context) -> receive {N, B} -> F(N + 1, erlang:md5_update(Context, B)); "
            "{over, P} -> P ! {N, erlang:md5_final(Context)} end end)(0, erlang:md5_init()) end)"
        )
        wire: Any = us.runtime.routes[atom(erl.name)]
        sent = 0

        async def sender(asker: Pid) -> None:
            nonlocal sent
            for number in range(count):
                send(collector, (number, block))
                sent += 1
                await Process.sleep(0)
            send(collector, (atom.over, asker))

        async def body() -> None:
            with suspended(erl):
                spawn(sender, self())
                await eventually(lambda: wire.pending_bytes > BUSY_BYTES)
                begun = sent
                for _ in range(20):
                    # Round trips to a healthy node: time passes, and that connection is not held up.
                    assert await other.ping(us) == "pong"
                assert sent == begun < count, "the sender rests"
                assert wire.pending_bytes < BUSY_BYTES + 2 * len(block)
            digest = hashlib.md5(block * count).digest()
            assert await receive(timeout=20) == (count, digest)
            assert wire.pending_bytes == 0

        await us.runtime.run(body)
        assert await erl.ping(us) == "pong"


@on_loop
async def test_a_sender_that_never_rests_is_refused(real_epmd: RealEpmd) -> None:
    """send() raises before memory grows without bound; nothing that was taken is lost, and traffic resumes.

    On a node that does not preempt: elsewhere such a loop rests in the middle (contracts/test_slow_peer.py).
    """
    async with Cluster(real_epmd) as cluster:
        us = await cluster.start_one("python", preempt=False)
        erl = await cluster.start_one("erl")
        await connect_all(us, erl)
        collector = await erl.eval(
            "spawn(fun() -> (fun F(N) -> receive {N, _} -> F(N + 1); {over, A} -> A ! {seen, N} end end)(0) end)"
        )
        await us.eval(FLOOD)
        before = resident(us.beam.pid)
        with suspended(erl):
            sent, refused = await us.eval(f"await flood({us.literal(collector)})")
            grown = resident(us.beam.pid) - before
        assert b"already wait to be sent" in refused
        assert sent * 262144 < REFUSE_BYTES + 32 * 1024 * 1024
        assert grown < 2 * REFUSE_BYTES
        assert await us.eval(f"await over({us.literal(collector)})") == (atom.seen, sent)
        assert await erl.ping(us) == "pong"

        async def small() -> bool:
            return resident(us.beam.pid) - before < REFUSE_BYTES // 2

        await eventually(small, 10)


FLOOD = """
async def flood(to):
    block = bytes(262144)
    sent = 0
    try:
        while True:
            send(to, (sent, block))
            sent += 1
    except ConnectionBusy as error:
        return sent, str(error).encode()
async def over(to):
    while True:
        try:
            send(to, (atom.over, self()))
            return await receive((atom.seen, ...), timeout=15)
        except ConnectionBusy:
            await Process.sleep(0.01)
"""


@on_loop
async def test_a_peer_that_never_stops_sending_starves_nobody(real_epmd: RealEpmd) -> None:
    async with Cluster(real_epmd) as cluster:
        us, erl = await cluster.start("here", "erl")
        await connect_all(us, erl)
        got = 0

        async def sink() -> None:
            nonlocal got
            while True:
                await receive()
                got += 1

        async def echo() -> None:
            while True:
                sender, message = await receive()
                send(sender, message)

        async def body() -> None:
            pid, partner = spawn(sink), spawn(echo)
            forms = [
                "-module(flood).", "-export([run/1]).",
                "run(P) -> receive stop -> ok after 0 -> [P ! {number, N} || N <- lists:seq(1, 100)], run(P) end.",
            ]  # fmt: skip
            quoted = ", ".join(f'"{form}"' for form in forms)
            flooder = await erl.eval(
                "begin Forms = [begin {ok, Ts, _} = erl_scan:string(T), {ok, F} = erl_parse:parse_form(Ts), F end "
                f'|| T <- [{quoted}]], {{ok, M, C}} = compile:forms(Forms), {{module, M}} = code:load_binary(M, "f", C), '
                f"spawn(flood, run, [{erl.literal(pid)}]) end"
            )
            await eventually(lambda: got > 10_000)
            loop = us.runtime.loop
            longest = 0.0
            end = loop.time() + 1.0
            rounds = 0
            while (begun := loop.time()) < end:
                send(partner, (self(), rounds))
                assert await receive(timeout=5) == rounds
                await asyncio.sleep(0)
                longest = max(longest, loop.time() - begun)
                rounds += 1
            before = got
            send(flooder, atom.stop)
            assert rounds > 20
            assert longest < 0.5
            assert before > 20_000, "it was a flood"
            await eventually(lambda: us.runtime.routes[atom(erl.name)].pending_bytes == 0)

        await us.runtime.run(body)
