from __future__ import annotations

import asyncio
from typing import Any

import pytest

from beamish.process import (
    Process,
    alias,
    current_scheduler,
    demonitor,
    monitor,
    receive,
    self,
    send,
    spawn,
    spawn_monitor,
    unalias,
)
from beamish.process._signals import kill_process
from beamish.term import Pid, Ref, atom
from beamish.testing import flush
from loops import on_every_loop, virtual


async def idle() -> None:
    while True:
        await receive()


def home_aliases() -> dict[Ref, Any]:
    home = current_scheduler()
    assert home is not None
    return home.aliases


@on_every_loop
async def test_an_alias_stands_for_its_process_until_it_is_taken_back() -> None:
    ref = alias()
    send(ref, 1)
    send(ref, 2)
    assert Process.info(self(), "aliases") == [ref]
    assert unalias(ref) is True
    send(ref, 3)
    assert unalias(ref) is False
    assert await flush() == [1, 2]
    assert home_aliases() == {}


@virtual
async def test_only_the_owner_takes_an_alias_back() -> None:
    ref = alias()

    async def other(to: Pid) -> None:
        send(to, unalias(ref))

    spawn(other, self())
    assert await receive() is False
    send(ref, "still here")
    assert await receive(timeout=0) == "still here"


@virtual
async def test_aliases_end_with_their_process() -> None:
    async def body(to: Pid) -> None:
        send(to, alias())
        await idle()

    pid = spawn(body, self())
    ref = await receive()
    assert list(home_aliases()) == [ref]
    Process.exit(pid, atom.kill)
    assert home_aliases() == {}
    send(ref, "lost")


@virtual
async def test_explicit_with_a_monitor_outlives_it() -> None:
    pid = spawn(idle)
    ref = monitor(pid, alias=True)
    demonitor(ref)
    send(ref, 1)
    assert await flush() == [1]
    ref = monitor(pid, alias="explicit")
    Process.exit(pid, atom.kill)
    await receive(ref)
    send(ref, 2)
    assert await flush() == [2]
    assert unalias(ref) is True


@pytest.mark.parametrize("mode", ["demonitor", "reply_demonitor"])
def test_the_other_modes_end_with_demonitor_or_the_news(mode: str) -> None:
    @virtual
    async def test() -> None:
        pid = spawn(idle)
        ref = monitor(pid, alias=mode)
        demonitor(ref)
        send(ref, "late")
        assert await flush() == []
        ref = monitor(pid, alias=mode)
        Process.exit(pid, atom.kill)
        send(ref, "late")
        assert await flush() == [(atom.DOWN, ref, atom.process, pid, atom.killed)]
        assert home_aliases() == {}
        assert Process.info(self(), "aliases") == []

    test()


@virtual
async def test_demonitor_mode_takes_any_number_of_replies() -> None:
    pid = spawn(idle)
    ref = monitor(pid, alias="demonitor")
    send(ref, 1)
    send(ref, 2)
    assert await flush() == [1, 2]
    assert demonitor(ref) is True


@virtual
async def test_reply_demonitor_takes_one_reply_and_ends_the_monitor() -> None:
    pid = spawn(idle)
    ref = monitor(pid, alias="reply_demonitor")
    send(ref, 1)
    send(ref, 2)
    assert await flush() == [1]
    assert Process.info(pid, "monitored_by") == []
    Process.exit(pid, atom.kill)
    assert await flush() == []
    assert demonitor(ref) is False


@virtual
async def test_a_monitor_of_nobody_ends_its_alias_at_once() -> None:
    pid, gone = spawn_monitor(idle)
    Process.exit(pid, atom.kill)
    await receive(gone)
    ref = monitor(pid, alias="reply_demonitor")
    send(ref, "late")
    assert await flush() == [(atom.DOWN, ref, atom.process, pid, atom.noproc)]


@virtual
async def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="'reply_demonitor', not 'once'"):
        monitor(spawn(idle), alias="once")


@virtual
async def test_a_killed_process_makes_no_alias_any_more() -> None:
    made: list[Any] = []

    async def body() -> None:
        try:
            await receive()
        finally:
            made.append(alias())

    pid = spawn(body)
    await asyncio.sleep(0)
    home = current_scheduler()
    assert home is not None
    block = home.process_of(pid)
    assert block is not None
    kill_process(block)
    assert made == []
    assert home.aliases == {}
