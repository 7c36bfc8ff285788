from __future__ import annotations

import asyncio
from typing import Any

import pytest

from beamish.process import (
    Process,
    current_scheduler,
    demonitor,
    exit,
    monitor,
    receive,
    register,
    self,
    send,
    spawn,
    spawn_monitor,
    unregister,
)
from beamish.term import Pid, Ref, atom
from beamish.testing import flush
from loops import on_every_loop, virtual


async def idle() -> None:
    while True:
        await receive()


def down(ref: Ref, target: Any, reason: Any) -> tuple[Any, ...]:
    return (atom.DOWN, ref, atom.process, target, reason)


@on_every_loop
async def test_every_kind_of_end_has_its_reason() -> None:
    async def ends(how: Any) -> None:
        if how is not ...:
            exit(how)

    for how, reason in [(..., atom.normal), (atom.shutdown, atom.shutdown), ({"a": 1}, {"a": 1}), (atom.kill, atom.kill)]:
        pid, ref = spawn_monitor(ends, how)
        assert await receive() == down(ref, pid, reason)


@virtual
async def test_an_exception_is_a_reason_with_its_stack(crashes: Any) -> None:
    async def fails() -> None:
        inner()

    def inner() -> None:
        raise KeyError("k")

    pid, ref = spawn_monitor(fails)
    (head, stack) = (await receive())[4]
    assert (head.kind, head.detail) == ("builtins.KeyError", "'k'")
    assert head.traceback.startswith("Traceback (most recent call last)")
    assert head.traceback.endswith("KeyError: 'k'")
    innermost = stack[0]
    assert innermost[0] is atom(__name__)
    assert str(innermost[1]).endswith("inner")
    assert innermost[3][0][1] == [ord(c) for c in __file__]
    (logged,) = crashes.texts
    assert str(pid) in logged
    assert head.traceback in logged


@virtual
async def test_the_dead_and_the_never_born_give_noproc_at_once() -> None:
    pid, ref = spawn_monitor(asyncio.sleep, 0)
    await receive(ref)
    again = monitor(pid)
    assert await receive(timeout=0) == down(again, pid, atom.noproc)
    here = self().node
    never = Pid(here, 12345, 9, self().creation)
    ref = monitor(never)
    assert await receive(timeout=0) == down(ref, never, atom.noproc)
    old = Pid(here, self().id, self().serial, self().creation + 1)
    ref = monitor(old)
    assert await receive(timeout=0) == down(ref, old, atom.noproc)


@virtual
async def test_by_name_the_news_show_name_and_node() -> None:
    here = self().node
    pid = spawn(idle, name="worker")
    for target in ("worker", atom.worker, ("worker", here), (atom.worker, str(here))):
        ref = monitor(target)
        assert demonitor(ref) is True
    ref = monitor("worker")
    Process.exit(pid, atom.kill)
    assert await receive() == down(ref, (atom.worker, here), atom.killed)
    ref = monitor("worker")
    assert await receive() == down(ref, (atom.worker, here), atom.noproc)


@virtual
async def test_a_monitor_by_name_follows_the_process_and_not_the_name() -> None:
    pid = spawn(idle, name="worker")
    ref = monitor("worker")
    unregister("worker")
    successor = spawn(idle, name="worker")
    Process.exit(successor, atom.kill)
    assert await flush() == []
    Process.exit(pid, atom.kill)
    assert await flush() == [down(ref, (atom.worker, self().node), atom.killed)]


@virtual
async def test_each_monitor_reports_once() -> None:
    pid = spawn(idle)
    refs = [monitor(pid) for _ in range(5)]
    assert len(set(refs)) == 5
    Process.exit(pid, atom.kill)
    assert await flush() == [down(ref, pid, atom.killed) for ref in refs]
    await asyncio.sleep(1)
    assert await flush() == []


@virtual
async def test_demonitor() -> None:
    pid = spawn(idle)
    ref = monitor(pid)
    assert Process.info(self(), "monitors") == [pid]
    assert Process.info(pid, "monitored_by") == [self()]
    assert demonitor(ref) is True
    assert demonitor(ref) is False
    assert Process.info(self(), "monitors") == []
    assert Process.info(pid, "monitored_by") == []
    Process.exit(pid, atom.kill)
    assert await flush() == []


@virtual
async def test_demonitor_too_late_can_flush_the_news() -> None:
    pid = spawn(idle)
    kept, flushed = monitor(pid), monitor(pid)
    Process.exit(pid, atom.kill)
    send(self(), "other")
    assert demonitor(flushed, flush=True) is False
    assert demonitor(kept) is False
    assert await flush() == [down(kept, pid, atom.killed), "other"]


@virtual
async def test_flush_takes_only_the_news_of_that_reference() -> None:
    pid = spawn(idle)
    ref = monitor(pid)
    lookalikes = [(atom.DOWN, ref), (atom.DOWN, 1, 2, 3, 4), ("DOWN", ref, 1, 2, 3), [atom.DOWN, ref, 1, 2, 3]]
    for message in lookalikes:
        send(self(), message)
    Process.exit(pid, atom.kill)
    demonitor(ref, flush=True)
    assert await flush() == lookalikes


@virtual
async def test_monitoring_oneself_is_never_answered() -> None:
    ref = monitor(self())
    await asyncio.sleep(1)
    assert await flush() == []
    demonitor(ref)


@virtual
async def test_a_watcher_that_dies_leaves_nothing_at_the_target() -> None:
    target = spawn(idle, name="target")

    async def watcher() -> None:
        for _ in range(10):
            monitor(target)
            monitor("target")
        await receive()

    pid = spawn(watcher)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert Process.info(target, "monitored_by") == [pid] * 20
    Process.exit(pid, atom.kill)
    assert Process.info(target, "monitored_by") == []


@virtual
async def test_a_node_without_a_way_to_it_is_noconnection() -> None:
    remote = Pid(atom("nowhere@host"), 1, 0, 1)
    ref = monitor(remote)
    assert await receive(timeout=0) == down(ref, remote, atom.noconnection)
    ref = monitor(("name", "nowhere@host"))
    assert await receive(timeout=0) == down(ref, (atom.name, atom("nowhere@host")), atom.noconnection)


@pytest.mark.parametrize("target", [7, None, ("a", "b", "c"), ()])
def test_what_cannot_be_monitored_is_refused_and_leaves_nothing(target: Any) -> None:
    @virtual
    async def test() -> None:
        home = current_scheduler()
        assert home is not None
        with pytest.raises(TypeError):
            monitor(target, alias=True)
        assert home.aliases == {}
        assert await flush() == []

    test()


@virtual
async def test_a_name_of_a_dead_process_is_free_when_the_news_arrive() -> None:
    """A restart must not meet its predecessor."""

    async def restarts(times: int) -> None:
        for _ in range(times):
            pid, ref = spawn(idle, monitor=True, name="service")
            await asyncio.sleep(0)
            Process.exit(pid, atom.shutdown)
            await receive(ref)

    pid, ref = spawn_monitor(restarts, 50)
    assert (await receive(ref))[4] is atom.normal
    register("service", self())
