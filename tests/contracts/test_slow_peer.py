"""A peer that does not read: its senders rest, nobody else does, and what was sent arrives."""

from __future__ import annotations

import asyncio
from typing import Any

from beamish.process import Process, current_process, receive, self, send, spawn, spawn_monitor
from beamish.term import Pid, atom
from contracts.pairs import PATIENCE, Pair, echo, over_tcp

PIECE = bytes(64 << 10)


async def counter(to: Pid) -> None:
    """Counts bytes until it is asked."""
    total = 0
    while True:
        message = await receive()
        if message is atom.total:
            send(to, total)
        else:
            total += len(message)


def fill(peer: Pid) -> int:
    """Send until the connection has had enough and this process is to rest. Gives the bytes sent."""
    sent = 0
    process = current_process()
    assert process is not None
    while not process.details["bits"] & 8192:
        send(peer, PIECE)
        sent += len(PIECE)
        assert sent < 60 << 20, "it takes everything"
    return sent


@over_tcp
async def test_a_sender_rests_at_its_next_receive_until_the_peer_reads_again(pair: Pair) -> None:
    async def body() -> None:
        peer = pair.b.spawn(counter, self())
        others = pair.a.spawn(echo)
        for proxy in pair.proxies:
            proxy.stall()
        sent = fill(peer)
        send(self(), "waits in the mailbox")
        order: list[str] = []

        async def meanwhile() -> None:
            send(others, (self(), "alive"))
            assert await receive(timeout=PATIENCE) == "alive"
            order.append("others live")
            for proxy in pair.proxies:
                proxy.resume()

        spawn(meanwhile)
        assert await receive() == "waits in the mailbox"
        order.append("rested")
        assert order == ["others live", "rested"]
        send(peer, atom.total)
        assert await receive(timeout=PATIENCE) == sent

    await pair.a.run(body)


@over_tcp
async def test_a_resting_process_can_be_ended(pair: Pair) -> None:
    async def body() -> None:
        peer = pair.b.spawn(counter, self())
        for proxy in pair.proxies:
            proxy.stall()

        async def sender() -> None:
            fill(peer)
            await receive()

        for reason in (atom.kill, "why"):
            pid, ref = spawn_monitor(sender)
            await asyncio.sleep(0.01)
            Process.exit(pid, reason)
            assert (await receive(ref, timeout=PATIENCE))[4] in (atom.killed, "why")
        for proxy in pair.proxies:
            proxy.resume()

    await pair.a.run(body)


@over_tcp
async def test_one_that_awaits_a_future_meanwhile_is_not_disturbed(pair: Pair) -> None:
    """Whoever is told to rest may still be waiting for something else when the connection drains."""

    async def body() -> Any:
        peer = pair.b.spawn(counter, self())
        for proxy in pair.proxies:
            proxy.stall()
        sent = fill(peer)
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        class Waits:
            """Like a future written in Python, which may be stepped only once."""

            def __await__(self) -> Any:
                steps = 0
                while not future.done():
                    steps += 1
                    assert steps == 1, "stepped although nothing is ready"
                    future._asyncio_future_blocking = True
                    yield future
                return future.result()

        async def meanwhile() -> None:
            for proxy in pair.proxies:
                proxy.resume()
            route = pair.routes[0]
            while route.pending_bytes:
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.02)
            future.set_result("ready")

        spawn(meanwhile)
        assert await Waits() == "ready"
        send(peer, atom.total)
        assert await receive(timeout=PATIENCE) == sent

    await pair.a.run(body)


@over_tcp
async def test_a_cut_lets_the_resting_go_on(pair: Pair) -> None:
    async def body() -> None:
        peer = pair.b.spawn(counter, self())
        for proxy in pair.proxies:
            proxy.stall()
        fill(peer)
        send(self(), "mail")
        cutting = asyncio.create_task(pair.cut())
        assert await receive() == "mail"
        await cutting

    await pair.a.run(body)


@over_tcp
async def test_a_loop_that_never_awaits_rests_in_the_middle_where_the_node_preempts(pair: Pair) -> None:
    pieces = 3200  # 200 MiB: far beyond what a connection takes before it refuses

    async def body() -> None:
        peer = pair.b.spawn(counter, self())
        for proxy in pair.proxies:
            proxy.stall()

        async def sender() -> None:
            for _ in range(pieces):
                send(peer, PIECE)

        pid, ref = spawn_monitor(sender)
        process = pair.a.process_of(pid)
        assert process is not None
        while not process.details["bits"] & 8192:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.02)
        assert process.details["bits"] & 8192, "it rests"
        for proxy in pair.proxies:
            proxy.resume()
        down = await receive(ref, timeout=PATIENCE)
        assert down[4] is atom.normal
        send(peer, atom.total)
        assert await receive(timeout=PATIENCE) == pieces * len(PIECE)

    pair.a.start_preempting()
    await pair.a.run(body)


@over_tcp
async def test_one_that_rests_in_the_middle_can_be_ended(pair: Pair) -> None:
    async def body() -> None:
        peer = pair.b.spawn(counter, self())
        for proxy in pair.proxies:
            proxy.stall()
        cleaned: list[int] = []

        async def sender() -> None:
            try:
                while True:
                    send(peer, PIECE)
            finally:
                cleaned.append(1)

        for number, reason in enumerate((atom.kill, "why"), 1):
            pid, ref = spawn_monitor(sender)
            process = pair.a.process_of(pid)
            assert process is not None
            while not process.details["bits"] & 8192:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.005)
            Process.exit(pid, reason)
            down = await receive(ref, timeout=PATIENCE)
            assert down[4] == (atom.killed if reason is atom.kill else reason)
            while len(cleaned) < number:
                await asyncio.sleep(0.001)
        for proxy in pair.proxies:
            proxy.resume()

    pair.a.start_preempting()
    await pair.a.run(body)
