"""What every kind of route promises: messages."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from beamish.process import (
    alias,
    demonitor,
    link,
    monitor,
    receive,
    register,
    self,
    send,
    send_after,
)
from beamish.process._signals import kill_process
from beamish.term import BitString, ExportFun, ImproperList, Pid, Port, Ref, atom
from beamish.testing import flush
from contracts.pairs import Pair, contract, echo, idle, news, settled


@contract
async def test_messages_of_a_pair_keep_their_order_on_every_way(pair: Pair) -> None:
    async def collector(count: int, to: Pid) -> None:
        register("collector", self())
        send(to, alias())
        send(to, [await receive() for _ in range(count)])

    async def body() -> None:
        count = 900
        dest = pair.b.spawn(collector, count, self())
        alias_there = await news()
        for number in range(count):
            send([dest, ("collector", pair.b.node), alias_there][number % 3], number)
        assert await news() == list(range(count))

    await pair.a.run(body)


TERMS: list[Any] = [
    *(0, -1, 2**62, -(2**70), 1.5, True, False, None, atom("an atom"), atom(""), "text ☃", b"bytes", b"", ""),
    *([], [1, 2], (), (1, (2,)), {}, {"key": [1, {2: 3}]}, {atom.a: None}, list(range(500))),
    *(ImproperList((1,), 2), BitString(b"\xa0", 3), ExportFun(atom.m, atom.f, 1)),
    *(Pid(atom("x@y"), 1, 2, 3), Port(atom("x@y"), 2**40, 3), Ref(atom("x@y"), 1, (1, 2, 3))),
]


@contract
async def test_every_kind_of_term_comes_back_as_it_was(pair: Pair) -> None:
    async def body() -> None:
        peer = pair.b.spawn(echo)
        for term in TERMS:
            send(peer, (self(), term))
            back = await news()
            assert back == term
            assert type(back) is type(term)

    await pair.a.run(body)


@contract
async def test_nothing_is_shared(pair: Pair) -> None:
    async def body() -> None:
        peer = pair.b.spawn(echo)
        message = [1, [2]]
        send(peer, (self(), message))
        message[1].append(3)  # type: ignore[attr-defined]
        back = await news()
        assert back == [1, [2]]
        me = (await _round(peer, self()))[0]
        assert me == self()

    async def _round(peer: Pid, term: Any) -> list[Any]:
        send(peer, (self(), [term]))
        back: list[Any] = await news()
        return back

    await pair.a.run(body)


@contract
async def test_a_pid_that_has_been_abroad_still_reaches_its_process(pair: Pair) -> None:
    async def body() -> None:
        peer = pair.b.spawn(echo)
        send(peer, (self(), self()))
        me = await news()
        assert me == self()
        send(me, "local")
        assert await receive(timeout=0) == "local"
        assert demonitor(monitor(me)) in (True, False)
        link(me)

    await pair.a.run(body)


@contract
async def test_absent_destinations_take_messages_silently(pair: Pair) -> None:
    async def body() -> None:
        peer = pair.b.spawn(echo)
        gone = pair.b.spawn(idle)
        kill_process(pair.b.process_of(gone))  # type: ignore[arg-type]
        send(("nobody", pair.b.node), 1)
        send(gone, 1)
        send(Ref(pair.b.node, pair.b.creation, (9, 9, 9)), 1)
        send(Pid(pair.b.node, peer.id, peer.serial, peer.creation + 1), (self(), "to an old life"))
        await settled(peer)
        assert await flush() == []

    await pair.a.run(body)


@contract
async def test_what_is_no_term_fails_at_the_sender_and_harms_nobody(pair: Pair) -> None:
    async def body() -> None:
        peer = pair.b.spawn(echo)
        for bad in (object(), float("nan"), [1, (2, {3: object()})], lambda: 1):
            with pytest.raises(ValueError, match=r"."):
                send(peer, (self(), bad))
        send(peer, (self(), "fine"))
        assert await news() == "fine"
        assert pair.a.peers

    await pair.a.run(body)


@contract
async def test_large_messages_and_small_ones_of_one_sender_stay_in_order(pair: Pair) -> None:
    async def body() -> None:
        peer = pair.b.spawn(echo)
        large = [bytes(range(256)) * 4 * size for size in (1, 1024, 3 * 1024)]
        for data in large:
            send(peer, (self(), data))
            send(peer, (self(), len(data)))
        for data in large:
            assert await news() == data
            assert await news() == len(data)

    await pair.a.run(body)


@contract
async def test_threads_send_abroad(pair: Pair) -> None:
    async def body() -> None:
        me = self()
        peer = pair.b.spawn(echo)
        await asyncio.to_thread(lambda: [pair.a.send(peer, (me, number)) for number in range(200)])
        assert [await news() for _ in range(200)] == list(range(200))

    await pair.a.run(body)


@contract
async def test_timers_send_abroad(pair: Pair) -> None:
    async def body() -> None:
        peer = pair.b.spawn(echo, name="echo")
        send_after(0.01, ("echo", pair.b.node), (self(), "by name"))
        assert await news() == "by name"
        send_after(0.01, peer, (self(), "by pid"))
        assert await news() == "by pid"

    await pair.a.run(body)
