"""What every kind of route promises: connections that come and go."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from beamish.errors import NodeError
from beamish.node import Node
from beamish.node.remote_spawn import spawn_request
from beamish.node.runtime import current_runtime
from beamish.process import (
    Process,
    link,
    monitor,
    receive,
    register,
    self,
    send,
    spawn,
    trap_exit,
)
from beamish.process.gen import CallFailed, call
from beamish.term import Pid, atom
from contracts.pairs import PATIENCE, Pair, contract, echo, idle, news, settled


@contract
async def test_a_cut_is_noconnection_for_everything_across(pair: Pair) -> None:
    heard: list[Any] = []

    async def there(peer: Pid, watched: Pid) -> None:
        trap_exit()
        link(peer)
        monitor(watched)
        send(peer, "ready")
        heard.extend([await receive(), await receive()])

    async def body() -> None:
        trap_exit()
        Node.monitor_nodes()
        watched = spawn(idle)
        remote = pair.b.spawn(there, self(), watched)
        assert await news() == "ready"
        link(remote)
        by_pid = monitor(remote)
        by_name = monitor(("nobody else", pair.b.node), alias="demonitor")
        await receive(by_name, timeout=PATIENCE)
        pair.b.spawn(idle, name="service")
        by_name = monitor(("service", pair.b.node))
        await settled(pair.b.spawn(echo))
        cutting = pair.cut()
        if cutting is not None:
            await cutting
        found = sorted([await news() for _ in range(4)], key=lambda m: (str(m[0]), len(repr(m))))
        assert (atom.EXIT, remote, atom.noconnection) in found
        assert (atom.DOWN, by_pid, atom.process, remote, atom.noconnection) in found
        assert (atom.DOWN, by_name, atom.process, (atom.service, pair.b.node), atom.noconnection) in found
        assert (atom.nodedown, pair.b.node) in found
        assert Process.info(self(), "links") == []
        assert Process.info(self(), "monitors") == []
        async with asyncio.timeout(PATIENCE):
            while len(heard) < 2 or pair.a.node in pair.b.routes:
                await asyncio.sleep(0.01)
        assert (atom.EXIT, self(), atom.noconnection) in heard
        assert heard[0][-1] is heard[1][-1] is atom.noconnection
        assert pair.b.node not in pair.a.routes
        assert Process.info(watched, "monitored_by") == []

    await pair.a.run(body)


@contract
async def test_a_cut_fails_a_spawn_request_that_is_under_way(pair: Pair) -> None:
    pair.b.services["spawn_requested"] = lambda *_: None  # never answers

    async def body() -> None:
        ref = spawn_request(current_runtime(), pair.b.node, (atom.jobs, atom.idle, []))
        await settled(pair.b.spawn(echo))
        cutting = pair.cut()
        if cutting is not None:
            await cutting
        assert await news() == (atom.spawn_reply, ref, atom.error, atom.noconnection)

    await pair.a.run(body)


@contract
async def test_after_a_cut_the_next_signal_connects_again(pair: Pair) -> None:
    async def body() -> None:
        Node.monitor_nodes()
        peer = pair.b.spawn(echo)
        await settled(peer)
        for _ in range(3):
            cutting = pair.cut()
            if cutting is not None:
                await cutting
            assert await news() == (atom.nodedown, pair.b.node)
            async with asyncio.timeout(PATIENCE):
                while pair.a.node in pair.b.peers:
                    await asyncio.sleep(0.01)
            send(peer, (self(), "again"))
            assert {await news(), await news()} == {(atom.nodeup, pair.b.node), "again"}

    await pair.a.run(body)


@contract
async def test_signals_wait_for_the_connection_in_their_order(pair: Pair, connected: bool = False) -> None:
    async def body() -> None:
        peer = pair.b.spawn(echo, name="echo")
        assert Node.list() == []
        trap_exit()
        for number in range(100):
            send(peer, (self(), number))
        gone = Pid(pair.b.node, 4000, 1, pair.b.creation)
        ref = monitor(gone)
        link(gone)
        send(("echo", pair.b.node), (self(), "last"))
        replies = [await receive(lambda m: not isinstance(m, tuple), timeout=PATIENCE) for _ in range(101)]
        assert replies == [*range(100), "last"]
        assert {await news(), await news()} == {
            (atom.DOWN, ref, atom.process, gone, atom.noproc), (atom.EXIT, gone, atom.noproc),
        }  # fmt: skip
        assert Node.list() == [pair.b.node]
        assert pair.tables() == [{}] * 8

    await pair.a.run(body)


@contract
async def test_what_is_no_term_fails_at_the_sender_even_before_there_is_a_connection(
    pair: Pair, connected: bool = False
) -> None:
    async def body() -> None:
        peer = pair.b.spawn(echo)
        send(peer, (self(), "first"))
        with pytest.raises(ValueError, match=r"."):
            send(peer, (self(), object()))
        send(peer, (self(), "second"))
        assert [await news(), await news()] == ["first", "second"]

    await pair.a.run(body)


@contract
async def test_both_sides_send_at_once_without_a_connection(pair: Pair, connected: bool = False) -> None:
    for _ in range(5):
        here, there = pair.a.spawn(echo), pair.b.spawn(echo)

        async def talks(peer: Pid) -> list[Any]:
            for number in range(50):
                send(peer, (self(), number))
            return [await news() for _ in range(50)]

        one = asyncio.create_task(pair.a.run(talks, there))
        two = asyncio.create_task(pair.b.run(talks, here))
        assert await one == list(range(50))
        assert await two == list(range(50))
        assert len(pair.a.peers) == len(pair.b.peers) == 1
        cutting = pair.cut()
        if cutting is not None:
            await cutting
        async with asyncio.timeout(PATIENCE):
            while pair.a.peers or pair.b.peers:
                await asyncio.sleep(0.01)


@contract
async def test_a_node_that_is_not_there(pair: Pair) -> None:
    nowhere = atom(f"nowhere@{str(pair.a.node).partition('@')[2]}")

    async def body() -> None:
        trap_exit()
        assert await Node.connect(nowhere) is False
        ghost = Pid(nowhere, 1, 0, 1)
        send(ghost, "lost")
        ref = monitor(ghost)
        link(ghost)
        assert {await news(), await news()} == {
            (atom.DOWN, ref, atom.process, ghost, atom.noconnection), (atom.EXIT, ghost, atom.noconnection),
        }  # fmt: skip
        with pytest.raises(NodeError, match="not reachable"):
            await Node.spawn(nowhere, "jobs", "idle", [])
        with pytest.raises(CallFailed) as failed:
            await call(("name", nowhere), "question", PATIENCE)
        assert failed.value.reason is atom.noconnection
        assert nowhere not in pair.a.routes

    await pair.a.run(body)


@contract
async def test_disconnecting_delivers_what_was_sent_before(pair: Pair) -> None:
    got: list[Any] = []

    async def collector() -> None:
        while True:
            got.append(await receive())

    async def body() -> None:
        Node.monitor_nodes()
        remote = pair.b.spawn(collector)
        for number in range(200):
            send(remote, number)
        assert Node.disconnect(pair.b.node) is True
        assert Node.disconnect(pair.b.node) is False
        assert await news() == (atom.nodedown, pair.b.node)
        assert Node.list() == []
        async with asyncio.timeout(PATIENCE):
            while len(got) < 200:
                await asyncio.sleep(0.01)
        assert got == list(range(200))

    await pair.a.run(body)


@contract
async def test_stopping_a_node_tells_the_other(pair: Pair) -> None:
    async def body() -> None:
        Node.monitor_nodes()
        remote = pair.b.spawn(idle)
        ref = monitor(remote)
        await settled(pair.b.spawn(echo))
        await pair.b.stop()
        found = [await news(), await news()]
        assert (atom.nodedown, pair.b.node) in found
        assert (atom.DOWN, ref, atom.process, remote, atom.noconnection) in found

    await pair.a.run(body)


@contract
async def test_a_node_s_own_name_is_no_peer(pair: Pair) -> None:
    async def body() -> None:
        assert await Node.connect(pair.a.node) is True
        register("me", self())
        send(("me", pair.a.node), "local")
        assert await receive(timeout=0) == "local"
        assert Node.list() == [pair.b.node]

    await pair.a.run(body)
