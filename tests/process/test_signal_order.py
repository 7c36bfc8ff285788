"""Erlang's promise: signals between a pair of processes arrive in the order in which they were sent."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from beamish.errors import Exit
from beamish.process import (
    Process,
    demonitor,
    link,
    monitor,
    receive,
    self,
    send,
    spawn,
    trap_exit,
    unlink,
)
from beamish.term import Pid, atom
from beamish.testing import flush, run_virtual
from loops import virtual

SIGNALS = st.lists(st.sampled_from(["message", "exit", "link", "unlink", "normal", "yield"]), max_size=30)


@settings(max_examples=60, deadline=None)
@given(SIGNALS, st.sampled_from(["return", "exit", "crash-like", "killed"]))
def test_a_trapping_process_sees_a_pair_s_signals_in_order(signals: list[str], ending: str) -> None:
    async def sender(to: Pid) -> None:
        linked = False
        for number, what in enumerate(signals):
            match what:
                case "message":
                    send(to, number)
                case "exit":
                    Process.exit(to, (atom.reason, number))
                case "normal":
                    Process.exit(to, atom.normal)
                case "link":
                    link(to)
                    linked = True
                case "unlink":
                    unlink(to)
                    linked = False
                case "yield":
                    await asyncio.sleep(0)
        send(to, (atom.ending, linked))
        match ending:
            case "exit":
                raise Exit(atom.done)
            case "crash-like":
                raise Exit((atom.badarg, []))
            case "killed":
                Process.exit(self(), atom.kill)

    reasons = {"return": atom.normal, "exit": atom.done, "crash-like": (atom.badarg, []), "killed": atom.killed}

    async def body() -> None:
        trap_exit()
        pid = spawn(sender, self())
        ref = monitor(pid)
        expected: list[Any] = []
        for number, what in enumerate(signals):
            match what:
                case "message":
                    expected.append(number)
                case "exit":
                    expected.append((atom.EXIT, pid, (atom.reason, number)))
                case "normal":
                    expected.append((atom.EXIT, pid, atom.normal))
        got: list[Any] = []
        while not (isinstance(got[-1:] and got[-1], tuple) and got[-1][0] is atom.ending):
            got.append(await receive())
        linked = got.pop()[1]
        assert got == expected
        end = [await receive()]
        if linked:
            end.append(await receive())
        news = [(atom.EXIT, pid, reasons[ending])] if linked else []
        news.append((atom.DOWN, ref, atom.process, pid, reasons[ending]))
        assert sorted(end, key=len) == sorted(news, key=len)
        assert await flush() == []

    run_virtual(body)



@virtual
async def test_what_a_process_sent_before_it_died_comes_before_the_news_of_its_death() -> None:
    async def short(to: Pid) -> None:
        for number in range(50):
            send(to, number)

    pid = spawn(short, self())
    ref = monitor(pid)
    assert await flush() == []
    await receive(ref)
    assert await flush() == list(range(50))


@virtual
async def test_a_monitor_made_after_a_kill_finds_nobody() -> None:
    pid = spawn(receive)
    Process.exit(pid, atom.kill)
    ref = monitor(pid)
    assert await receive(timeout=0) == (atom.DOWN, ref, atom.process, pid, atom.noproc)


@virtual
async def test_monitor_demonitor_and_death_in_one_turn() -> None:
    pid = spawn(receive)
    first = monitor(pid)
    second = monitor(pid)
    demonitor(first)
    Process.exit(pid, atom.kill)
    assert await flush() == [(atom.DOWN, second, atom.process, pid, atom.killed)]
