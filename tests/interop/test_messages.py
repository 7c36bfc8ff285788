"""Messages and output between our processes and those of real Erlang and Elixir nodes."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from cluster import Member
from evaluator import SECONDS, do, nothing_came, nothing_reached

from beamish.names import Global
from beamish.node import Node
from beamish.process import (
    Process,
    alias,
    group_leader,
    link,
    receive,
    register,
    self,
    send,
    set_group_leader,
    spawn,
    trap_exit,
    unalias,
)
from beamish.term import Pid, atom

pytestmark = pytest.mark.interop

Inside = Callable[..., None]


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
