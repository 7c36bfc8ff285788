from __future__ import annotations

import asyncio
from typing import Any

import pytest

from beamish.process import (
    Process,
    exit,
    link,
    monitor,
    receive,
    self,
    send,
    spawn,
    spawn_link,
    spawn_monitor,
    trap_exit,
    unlink,
)
from beamish.term import Pid, atom
from beamish.testing import flush
from loops import on_every_loop, virtual


async def idle() -> None:
    while True:
        await receive()


async def linked_to(pid: Pid) -> None:
    link(pid)
    await idle()


async def settled() -> None:
    """Let every process take what waits for it."""
    for _ in range(3):
        await asyncio.sleep(0)


@on_every_loop
async def test_a_linked_process_dies_with_the_same_reason() -> None:
    first = spawn(idle)
    second, ref = spawn_monitor(linked_to, first)
    await settled()
    Process.exit(first, (atom.because, 1))
    assert await receive(ref) == (atom.DOWN, ref, atom.process, second, (atom.because, 1))


@virtual
async def test_it_works_in_both_directions() -> None:
    first, ref = spawn_monitor(idle)
    second = spawn(linked_to, first)
    await settled()
    Process.exit(second, "why")
    assert (await receive(ref))[4] == "why"


@virtual
async def test_a_chain_breaks_from_end_to_end() -> None:
    async def chain(length: int, to: Pid) -> None:
        if length:
            spawn_link(chain, length - 1, to)
        else:
            send(to, self())
        await idle()

    start, ref = spawn_monitor(chain, 200, self())
    last = await receive()
    alive = len(Process.list())
    Process.exit(last, atom.gone)
    assert (await receive(ref))[4] is atom.gone
    await settled()
    assert alive - len(Process.list()) == 201


@virtual
async def test_a_ring_of_links_ends_too() -> None:
    async def member(peer: Pid | None) -> None:
        if peer is not None:
            link(peer)
        link(await receive())
        await idle()

    members: list[Pid] = []
    for _ in range(10):
        members.append(spawn(member, members[-1] if members else None))
    for pid in members:
        send(pid, members[0] if pid is members[-1] else members[-1])
    await settled()
    Process.exit(members[4], "why")
    await settled()
    assert [pid for pid in members if Process.alive(pid)] == []


@virtual
async def test_normal_ends_nobody_who_does_not_trap() -> None:
    async def short(to: Pid) -> None:
        link(to)

    spawn(short, self())
    pid = spawn_link(short, self())
    await settled()
    assert not Process.alive(pid)
    assert Process.info(self(), "links") == []
    assert await flush() == []


@virtual
async def test_trapped_exits_are_messages() -> None:
    assert trap_exit() is False
    assert trap_exit(True) is True

    async def short(reason: Any) -> None:
        if reason is not atom.normal:
            exit(reason)

    for reason in (atom.normal, atom.shutdown, atom.kill, atom.killed, {"any": "term"}):
        pid = spawn_link(short, reason)
        assert await receive() == (atom.EXIT, pid, reason)
    assert trap_exit(False) is True


@virtual
async def test_kill_through_a_link_is_killed_and_can_be_trapped() -> None:
    trap_exit()
    pid = spawn_link(idle)
    Process.exit(pid, atom.kill)
    assert await receive() == (atom.EXIT, pid, atom.killed)


@virtual
async def test_the_reason_kill_through_a_link_is_a_reason_like_any_other() -> None:
    async def ends() -> None:
        await receive()
        exit(atom.kill)

    async def trapping(peer: Pid, to: Pid) -> None:
        trap_exit()
        link(peer)
        send(to, await receive())

    pid = spawn(ends)
    spawn(trapping, pid, self())
    untrapping, ref = spawn_monitor(linked_to, pid)
    await settled()
    send(pid, None)
    assert await receive((atom.EXIT, ..., ...)) == (atom.EXIT, pid, atom.kill)
    assert (await receive(ref))[4] is atom.kill


@virtual
async def test_linking_to_the_dead_gives_noproc() -> None:
    pid, ref = spawn_monitor(asyncio.sleep, 0)
    await receive(ref)
    _, second = spawn_monitor(linked_to, pid)
    assert (await receive(second))[4] is atom.noproc
    trap_exit()
    link(pid)
    assert await receive(timeout=0) == (atom.EXIT, pid, atom.noproc)
    assert Process.info(self(), "links") == []


@virtual
async def test_linking_to_oneself_and_linking_twice_change_nothing() -> None:
    link(self())
    pid = spawn(idle)
    link(pid)
    link(pid)
    assert Process.info(self(), "links") == [pid]
    unlink(pid)
    assert Process.info(self(), "links") == []
    assert Process.info(pid, "links") == []


@virtual
async def test_after_unlink_nothing_comes() -> None:
    trap_exit()
    pid = spawn_link(idle)
    unlink(pid)
    Process.exit(pid, "why")
    await settled()
    assert await flush() == []
    unlink(pid)
    unlink(self())


@virtual
async def test_unlink_races_with_the_death_it_shall_not_hear_of() -> None:
    """The other process has its exit signal but has not run yet when we untie."""
    pid, ref = spawn_monitor(idle)
    await settled()
    link(pid)
    Process.exit(pid, "why")
    unlink(pid)
    assert (await receive(ref))[4] == "why"
    assert await flush() == []


@virtual
async def test_a_link_from_the_far_side_can_be_undone_on_this_one() -> None:
    trap_exit()
    pid = spawn(linked_to, self())
    await settled()
    unlink(pid)
    Process.exit(pid, "why")
    await settled()
    assert await flush() == []


@virtual
async def test_an_exception_takes_the_linked_along_and_is_logged_once(crashes: Any) -> None:
    async def fails() -> None:
        raise ValueError("broken")

    async def starter() -> None:
        spawn_link(fails)
        await idle()

    _, ref = spawn_monitor(starter)
    reason = (await receive(ref))[4]
    assert (reason[0].kind, reason[0].detail) == ("builtins.ValueError", "broken")
    assert len(crashes.texts) == 1


@virtual
async def test_a_spawner_that_dies_before_its_child_runs_takes_it_along() -> None:
    ran = []

    async def child() -> None:
        ran.append(1)

    async def starter() -> None:
        spawn_link(child)
        exit("why")

    _, ref = spawn_monitor(starter)
    await receive(ref)
    await settled()
    assert ran == []


@pytest.mark.parametrize("verb", [link, unlink])
def test_a_pid_is_needed(verb: Any) -> None:
    @virtual
    async def test() -> None:
        with pytest.raises(TypeError):
            verb(None)
        with pytest.raises(TypeError):
            verb("name")

    test()


@virtual
async def test_links_and_monitors_to_one_process_are_separate() -> None:
    trap_exit()
    pid = spawn_link(idle)
    ref = monitor(pid)
    unlink(pid)
    Process.exit(pid, "why")
    assert await receive() == (atom.DOWN, ref, atom.process, pid, "why")
    await settled()
    assert await flush() == []
