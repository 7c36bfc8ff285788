"""The wire, against itself and against a peer that plays by no rules."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from beamish import etf
from beamish.dist import limits
from beamish.errors import BeamishError, ConnectionBusy
from beamish.process import Process, link, monitor, receive, self, send, trap_exit, unlink
from beamish.term import ImproperList, Pid, Ref, atom
from dist.wires import PLAIN_FLAGS, Side, node, pair, raw_peer

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(params=sorted(LOOPS))
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs a coroutine on both kinds of loop."""

    def runner(main: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as loop:
            return loop.run(asyncio.wait_for(main, 30))

    return runner


async def echo() -> None:
    while True:
        sender, message = await receive()
        send(sender, message)


TERMS: list[Any] = [
    1, -1, 2**70, 1.5, True, None, atom.ok, "text", b"bytes", [], [1, 2, 3], ["é", b"\xff"], (), (1, (2, (3,))),
    {atom.a: 1, b"k": [2]}, ImproperList((1,), 2), Ref(node("x"), 3, (1, 2, 3)), Pid(node("x"), 4, 5, 6), b"x" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("flags", [None, PLAIN_FLAGS], ids=["header", "pass-through"])
def test_terms_arrive_as_they_were_sent(run: Any, flags: int | None) -> None:
    async def main() -> None:
        async with pair(**({} if flags is None else {"flags": flags})) as (a, b):
            b.runtime.spawn(echo, name="echo")

            async def client() -> list[Any]:
                got = []
                for term in TERMS:
                    send((atom.echo, node("b")), (self(), term))
                    got.append(await receive(timeout=5))
                return got

            assert await a.runtime.run(client) == TERMS

    run(main())


@pytest.mark.parametrize("size", [limits.FRAGMENT_ABOVE - 200, limits.FRAGMENT_ABOVE + 1, 5 << 20])
def test_large_messages_travel_whole_or_in_fragments(run: Any, size: int) -> None:
    payload = random.Random(1).randbytes(size)

    async def main() -> None:
        async with pair() as (a, b):
            b.runtime.spawn(echo, name="echo")

            async def client() -> Any:
                send((atom.echo, node("b")), (self(), payload))
                send((atom.echo, node("b")), (self(), atom.small))
                return [await receive(timeout=20), await receive(timeout=20)]

            got = await a.runtime.run(client)
            assert got[0] == payload
            assert got[1] is atom.small
            fragments = a.wire.statistics()["packets_out"]
            assert (fragments > 2) == (size > limits.FRAGMENT_ABOVE)

    run(main())


def test_links_monitors_exits_across(run: Any) -> None:
    async def main() -> None:
        async with pair() as (a, b):

            async def victim() -> None:
                await receive()

            first = b.runtime.spawn(victim)
            second = b.runtime.spawn(victim)
            third = b.runtime.spawn(victim)

            async def client() -> list[Any]:
                trap_exit()
                ref = monitor(first)
                link(second)
                link(third)
                unlink(third)
                Process.exit(first, atom.boom)
                Process.exit(second, atom.kill)
                Process.exit(third, atom.later)
                gone = monitor((atom.nobody, node("b")))
                got = [await receive(timeout=5) for _ in range(3)]
                assert (atom.DOWN, ref, atom.process, first, atom.boom) in got
                assert (atom.EXIT, second, atom.killed) in got
                assert (atom.DOWN, gone, atom.process, (atom.nobody, node("b")), atom.noproc) in got
                with pytest.raises(TimeoutError):
                    await receive(timeout=0.05)
                return got

            await a.runtime.run(client)
            assert not a.wire.out_monitors
            assert not b.wire.in_monitors
            assert not a.wire.links
            assert not b.wire.links

    run(main())


def test_a_lost_connection_is_noconnection_on_both_sides(run: Any) -> None:
    async def main() -> None:
        async with pair() as (a, b):

            async def victim() -> None:
                await receive()

            target = b.runtime.spawn(victim)

            async def client() -> list[Any]:
                trap_exit()
                ref = monitor(target)
                link(target)
                while not b.wire.links:
                    await asyncio.sleep(0)
                b.wire.close("cut")
                got = [await receive(timeout=5) for _ in range(2)]
                assert (atom.DOWN, ref, atom.process, target, atom.noconnection) in got
                assert (atom.EXIT, target, atom.noconnection) in got
                return got

            await a.runtime.run(client)
            await asyncio.sleep(0)
            assert b.runtime.process_of(target) is None or b.runtime.process_of(target).status == "exiting"

    run(main())


def test_ticks_flow_while_python_computes(run: Any) -> None:
    """Twice the tick time without a turn of the loop, and the peer still hears from us."""

    async def main() -> None:
        async with raw_peer(ticktime=0.4) as (a, peer):
            end = time.monotonic() + 0.8
            while time.monotonic() < end:
                sum(range(1000))
            data = peer.recv(4096)
            assert len(data) >= 4 * 4, "at least a tick every quarter of the tick time"
            assert data == bytes(len(data))
            assert a.wire.statistics()["ticks_out"] >= 4

    run(main())


def test_a_silent_peer_is_dropped_and_a_talking_one_is_not(run: Any) -> None:
    async def main() -> None:
        async with raw_peer(ticktime=0.2) as (a, peer):
            for _ in range(10):
                peer.send(bytes(4))
                await asyncio.sleep(0.05)
            assert not a.lost
            started = time.monotonic()
            while not a.lost:
                await asyncio.sleep(0.01)
                assert time.monotonic() - started < 5
            assert "net_tick_timeout" in str(a.lost[0])

    run(main())


def test_being_busy_ourselves_is_not_taken_for_silence_of_the_peer(run: Any) -> None:
    async def main() -> None:
        async with raw_peer(ticktime=0.2) as (a, peer):
            for _ in range(5):
                peer.send(bytes(4))
                time.sleep(0.3)
                await asyncio.sleep(0.001)
            assert not a.lost

    run(main())


def test_a_slow_reader_suspends_senders_and_bounds_memory(run: Any) -> None:
    async def main() -> None:
        async with raw_peer() as (a, peer):
            target = Pid(node("b"), 1, 0, 1)
            sent = 0

            async def flood() -> None:
                nonlocal sent
                while True:
                    send(target, b"x" * 10_000)
                    sent += 1
                    try:
                        await receive(timeout=0)
                    except TimeoutError:
                        pass

            async def bystander() -> str:
                await asyncio.sleep(0.05)
                return "alive"

            a.runtime.spawn(flood)
            assert await a.runtime.run(bystander) == "alive"
            before = sent
            assert a.wire.pending_bytes < 3 << 20
            await asyncio.sleep(0.05)
            assert sent == before, "the sender rests"
            drained = 0
            while drained < before * 10_000:
                try:
                    drained += len(peer.recv(1 << 20))
                except BlockingIOError:
                    await asyncio.sleep(0.001)
            await asyncio.sleep(0.05)
            assert sent > before, "and goes on when the peer reads again"

    run(main())


def test_a_sender_that_never_waits_is_refused(run: Any) -> None:
    async def main() -> None:
        async with raw_peer() as (a, _peer):

            async def flood() -> None:
                while True:
                    send(Pid(node("b"), 1, 0, 1), b"x" * (1 << 20))

            with pytest.raises(ConnectionBusy, match="bytes already wait"):
                await a.runtime.run(flood)
            assert a.wire.pending_bytes < limits.REFUSE_BYTES + (3 << 20)

    run(main())


def test_a_message_that_is_no_term_sends_nothing(run: Any) -> None:
    async def main() -> None:
        async with pair() as (a, b):
            b.runtime.spawn(echo, name="echo")

            async def client() -> Any:
                with pytest.raises(ValueError):
                    send((atom.echo, node("b")), (self(), object()))
                with pytest.raises(ValueError):
                    send((atom.echo, node("b")), (self(), [1, float("nan")]))
                send((atom.echo, node("b")), (self(), atom.fine))
                return await receive(timeout=5)

            assert await a.runtime.run(client) is atom.fine

    run(main())


def packet(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


def frame(control: Any, payload: Any = ...) -> bytes:
    body = b"\x83\x44\x00" + etf.encode(control)[1:]
    return packet(body if payload is ... else body + etf.encode(payload)[1:])


REMOTE = Pid(node("b"), 9, 0, 1)
BAD = {
    "unknown operation": frame((99, REMOTE, REMOTE)),
    "no operation": frame((atom.a, REMOTE, REMOTE)),
    "not a tuple": frame([1, 2, 3]),
    "empty tuple": frame(()),
    "short tuple": frame((2,)),
    "no payload": frame((2, atom(""), REMOTE)),
    "bytes too many": frame((19, REMOTE, atom.x, Ref(node("b"), 1, (1, 2, 3)))) [:0] + packet(
        b"\x83\x44\x00" + etf.encode((1, REMOTE, REMOTE))[1:] + b"\x61\x01"),
    "link to a name": frame((1, REMOTE, atom.x)),
    "monitor with a bad reference": frame((19, REMOTE, atom.x, 5)),
    "unlink with a bad id": frame((35, -1, REMOTE, REMOTE)),
    "spawn request without arguments": frame((29, Ref(node("b"), 1, (1, 2, 3)), REMOTE, REMOTE, (atom.m, atom.f, 0), [])),
    "huge packet": struct.pack(">I", 0x7FFFFFFF),
    "empty header": packet(b"\x83\x44"),
    "header cut short": packet(b"\x83\x44\xff\x00\x00"),
    "unfilled cache entry": packet(b"\x83\x44\x01\x00\x05" + b"\x52\x00"),
    "unknown form": packet(b"\x83\x99\x00\x00"),
    "not the protocol": packet(b"GET / HTTP/1.1"),
    "fragment out of order": packet(b"\x83\x46" + bytes(16) + b"x"),
    "fragment zero": packet(b"\x83\x45" + bytes(16) + b"\x00"),
    "compressed term": packet(b"\x83\x44\x00\x50\x00\x00\x00\x01"),
}  # fmt: skip


@pytest.mark.parametrize("what", sorted(BAD))
def test_a_bad_peer_loses_its_connection_and_nobody_else_notices(run: Any, what: str) -> None:
    async def main() -> None:
        async with raw_peer() as (a, peer):
            peer.send(BAD[what])
            started = time.monotonic()
            while not a.lost:
                await asyncio.sleep(0.001)
                assert time.monotonic() - started < 5, "the connection should have been closed"
            assert isinstance(a.lost[0], (BeamishError, ValueError))
            assert a.wire.is_closed

            async def still_works() -> int:
                send(self(), 1)
                return await receive(timeout=1)

            assert await a.runtime.run(still_works) == 1

    run(main())


def real_traffic() -> bytes:
    """Bytes that a wire of ours really writes: every kind of signal."""
    local, ref = REMOTE, Ref(node("b"), 1, (1, 2, 3))
    target = Pid(node("a"), 1, 0, 7)
    frames = [frame((op, local, target)) for op in (1, 7)]
    frames += [
        frame((22, local, target), (atom.hello, [1, 2, {atom.a: b"x" * 50}])), frame((6, local, atom(""), atom.user), atom.hi),
        frame((19, local, target, ref)), frame((20, local, target, ref)), frame((24, local, target), atom.bye),
        frame((26, local, target), atom.normal), frame((28, local, target, ref), atom.gone), frame((35, 5, local, target)),
        frame((36, 5, local, target)), frame((33, local, ref), (ref, atom.reply)), frame((31, ref, target, 2, local)),
        frame((29, ref, local, local, (atom.m, atom.f, 1), [atom.monitor]), [1]), bytes(4),
        packet(b"\x83\x44\x02\x08\x08\x01\x02ok\x02\x02no" + etf.encode((22, local, target))[1:] + b"\x52\x00"),
        packet(b"\x83\x45" + struct.pack(">QQ", 1, 2) + b"\x00" + etf.encode((22, local, target))[1:] + b"\x6d\x00\x00\x00\x04ab"),
        packet(b"\x83\x46" + struct.pack(">QQ", 1, 1) + b"cd"),
    ]  # fmt: skip
    return b"".join(frames)


@pytest.mark.parametrize("seed", range(8))
def test_mutated_traffic_never_crashes_hangs_or_grows(seed: int) -> None:
    chance = random.Random(seed)
    traffic = real_traffic()

    async def one(data: bytes) -> None:
        async with raw_peer() as (a, peer):
            before = a.runtime.process_count
            sent = 0
            while sent < len(data) and not a.lost:
                try:
                    sent += peer.send(data[sent : sent + chance.randrange(1, 4096)])
                except (BrokenPipeError, ConnectionResetError):
                    break
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert a.runtime.process_count <= before
            if not a.lost:
                assert a.wire.statistics()["fragmented"] <= limits.MAX_FRAGMENTED_MESSAGES

    async def main() -> None:
        for _ in range(60):
            data = bytearray(traffic)
            for _ in range(chance.choice((0, 1, 1, 2, 8, 50))):
                match chance.randrange(4):
                    case 0:
                        data[chance.randrange(len(data))] = chance.randrange(256)
                    case 1:
                        del data[chance.randrange(len(data))]
                    case 2:
                        data.insert(chance.randrange(len(data)), chance.randrange(256))
                    case 3:
                        at = chance.randrange(len(data))
                        data[at:at] = data[at : at + chance.randrange(64)]
            await asyncio.wait_for(one(bytes(data)), 10)
        for _ in range(20):
            await asyncio.wait_for(one(packet(chance.randbytes(chance.randrange(1, 200)))), 10)

    with asyncio.Runner() as runner:
        runner.run(main())


def test_one_byte_at_a_time(run: Any) -> None:
    async def main() -> None:
        async with raw_peer() as (a, peer):
            got: list[Any] = []

            async def sink() -> None:
                while True:
                    got.append(await receive())

            pid = a.runtime.spawn(sink)
            for byte in frame((22, REMOTE, pid), (atom.hello, b"x" * 100)) * 3:
                peer.send(bytes([byte]))
                await asyncio.sleep(0)
            await asyncio.sleep(0.01)
            assert got == [(atom.hello, b"x" * 100)] * 3

    run(main())


def test_a_flood_leaves_local_processes_their_turn(run: Any) -> None:
    async def main() -> None:
        async with raw_peer() as (a, peer):
            pid = a.runtime.spawn(_count)
            flood = frame((22, REMOTE, pid), (atom.hello, 1)) * 2000
            stop = False

            async def pump() -> None:
                data = memoryview(flood)
                at = 0
                while not stop:
                    try:
                        at = (at + peer.send(data[at:])) % len(flood)
                    except BlockingIOError:
                        pass
                    await asyncio.sleep(0)

            async def bystander() -> float:
                worst = 0.0
                for _ in range(50):
                    started = time.monotonic()
                    await asyncio.sleep(0)
                    worst = max(worst, time.monotonic() - started)
                return worst

            task = asyncio.ensure_future(pump())
            await asyncio.sleep(0.02)
            worst = await asyncio.wait_for(a.runtime.run(bystander), 20)
            stop = True
            await task
            assert worst < 5

    run(main())


async def _count() -> None:
    while True:
        await receive()


def test_statistics_count(run: Any) -> None:
    async def main() -> None:
        async with pair() as (a, b):
            b.runtime.spawn(echo, name="echo")

            async def client() -> None:
                for _ in range(10):
                    send((atom.echo, node("b")), (self(), 1))
                    await receive(timeout=5)

            await a.runtime.run(client)
            ours, theirs = a.wire.statistics(), b.wire.statistics()
            assert ours["messages_out"] == theirs["messages_in"] == 10
            assert ours["messages_in"] == theirs["messages_out"] == 10
            assert ours["bytes_out"] == theirs["bytes_in"] > 0

    run(main())


def test_a_reset_is_noticed_at_once(run: Any) -> None:
    """libuv stops watching a socket that reports an error; the wire must hear of it all the same."""

    async def main() -> None:
        from dist.wires import side

        with socket.create_server(("127.0.0.1", 0)) as listener:
            peer = socket.create_connection(listener.getsockname())
            accepted, _ = listener.accept()
        a = side("a", "b", accepted)
        await asyncio.sleep(0.01)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        started = time.monotonic()
        while not a.lost:
            await asyncio.sleep(0.001)
            assert time.monotonic() - started < 5, "nobody noticed the reset"
        a.runtime.shut()

    run(main())


def test_closing_twice_and_from_the_other_side(run: Any) -> None:
    async def main() -> None:
        left, right = socket.socketpair()
        from dist.wires import side

        a = side("a", "b", left)
        right.close()
        while not a.lost:
            await asyncio.sleep(0.001)
        a.wire.close()
        assert a.lost == ["connection closed by the peer"]
        a.runtime.shut()

    run(main())


__all__ = ["Side"]
