"""What happens between a process's exit signal and its end: models.md, rules 1 and 3."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest

from beamish.errors import ReceiveTimeout
from beamish.process import (
    Process,
    alias,
    current_process,
    current_scheduler,
    exit,
    link,
    monitor,
    receive,
    register,
    self,
    send,
    send_after,
    set_group_leader,
    spawn,
    spawn_monitor,
    trap_exit,
    whereis,
)
from beamish.process._scheduler import UNWIND_GRACE
from beamish.term import Pid, atom
from beamish.testing import flush
from loops import now, on_every_loop, virtual

IGNORED_CLOSE = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""Python itself complains about a coroutine that ignores its closing."""


async def settled() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


@on_every_loop
async def test_finally_blocks_run_before_the_watchers_hear_of_the_end() -> None:
    order: list[str] = []

    async def body() -> None:
        try:
            await receive()
        finally:
            order.append("cleaned")

    pid, ref = spawn_monitor(body)
    await settled()
    Process.exit(pid, "why")
    await receive(ref)
    order.append("told")
    assert order == ["cleaned", "told"]


@virtual
async def test_after_a_kill_they_run_too_but_nobody_waits_for_them() -> None:
    order: list[str] = []

    async def body() -> None:
        try:
            await receive()
        finally:
            order.append("cleaned")

    pid, ref = spawn_monitor(body)
    await settled()
    Process.exit(pid, atom.kill)
    assert Process.info(pid) is None
    assert order == ["cleaned"]
    assert (await receive(ref, timeout=0))[4] is atom.killed


@virtual
async def test_names_are_released_before_the_watchers_are_told_and_after_the_clean_up() -> None:
    seen: list[Any] = []

    async def body() -> None:
        try:
            await receive()
        finally:
            seen.append(whereis("worker"))

    pid, ref = spawn(body, name="worker", monitor=True)
    await settled()
    Process.exit(pid, "why")
    await receive(ref)
    assert seen == [pid]
    assert whereis("worker") is None


@virtual
async def test_asynchronous_clean_up_takes_its_time() -> None:
    order: list[Any] = []

    async def body(to: Pid) -> None:
        try:
            await receive()
        finally:
            await asyncio.sleep(UNWIND_GRACE / 2)
            send(to, "last words")
            await asyncio.sleep(0)
            order.append(now())

    pid, ref = spawn_monitor(body, self())
    await settled()
    Process.exit(pid, "why")
    assert Process.alive(pid) is False
    assert Process.info(pid, "status") == "exiting"
    assert await receive() == "last words"
    assert (await receive(ref))[4] == "why"
    assert order == [UNWIND_GRACE / 2]


@virtual
async def test_a_clean_up_that_takes_too_long_is_cut_short() -> None:
    async def body() -> None:
        try:
            await receive()
        finally:
            await asyncio.sleep(1000)

    pid, ref = spawn_monitor(body)
    await settled()
    Process.exit(pid, "why")
    assert (await receive(ref))[4] == "why"
    assert now() == UNWIND_GRACE


@virtual
async def test_receiving_while_going_raises_again() -> None:
    seen: list[Any] = []

    async def body() -> None:
        try:
            await receive()
        except BaseException as error:
            seen.append(error)
            try:
                await receive()
            except BaseException as again:
                seen.append(again)

    pid, ref = spawn_monitor(body)
    await settled()
    send(pid, "a message that is not received")
    Process.exit(pid, "why")
    send(pid, "another")
    await receive(ref)
    assert [getattr(error, "reason", None) for error in seen] == ["why", "why"]


async def swallow_receiving() -> None:
    while True:
        try:
            await receive()
        except BaseException:
            pass


async def swallow_with_timeout() -> None:
    while True:
        try:
            await receive(timeout=1)
        except BaseException:
            pass


async def swallow_sleeping() -> None:
    while True:
        try:
            await asyncio.sleep(0.5)
        except BaseException:
            pass


async def swallow_yielding() -> None:
    while True:
        try:
            await asyncio.sleep(0)
        except BaseException:
            pass


async def swallow_on_one_future() -> None:
    future = asyncio.get_running_loop().create_future()
    while True:
        try:
            await asyncio.shield(future)
        except BaseException:
            pass


SWALLOWERS = [swallow_receiving, swallow_with_timeout, swallow_sleeping, swallow_on_one_future]


@IGNORED_CLOSE
@pytest.mark.parametrize("body", SWALLOWERS)
@pytest.mark.parametrize("reason", [atom.kill, "why"], ids=str)
def test_a_process_that_swallows_everything_is_removed(body: Any, reason: Any) -> None:
    @virtual
    async def test() -> None:
        pid, ref = spawn_monitor(body)
        await settled()
        await asyncio.sleep(1)
        before = now()
        Process.exit(pid, reason)
        assert (await receive(ref))[4] is (atom.killed if reason is atom.kill else reason)
        assert now() - before <= (0 if reason is atom.kill else UNWIND_GRACE)
        assert Process.info(pid) is None

    test()


@IGNORED_CLOSE
def test_one_that_yields_for_ever_is_removed_where_time_passes() -> None:
    from beamish.process import _scheduler
    from loops import REAL_LOOPS, run_on

    async def test() -> None:
        pid, ref = spawn_monitor(swallow_yielding)
        await settled()
        Process.exit(pid, atom.kill)
        assert (await receive(ref))[4] is atom.killed
        await settled()

    assert _scheduler.UNWIND_GRACE == UNWIND_GRACE
    for factory in REAL_LOOPS.values():
        run_on(factory, test, limit=20)


@IGNORED_CLOSE
@virtual
async def test_one_that_swallows_an_exit_it_sent_itself_is_removed() -> None:
    async def body() -> None:
        try:
            Process.exit(self(), "why")
        except BaseException:
            pass
        await swallow_sleeping()

    pid, ref = spawn_monitor(body)
    assert (await receive(ref))[4] == "why"
    assert now() <= UNWIND_GRACE


@IGNORED_CLOSE
@virtual
async def test_whoever_raises_exit_and_swallows_it_just_goes_on() -> None:
    async def body() -> None:
        try:
            exit("changed my mind")
        except BaseException:
            pass
        send(parent, await receive())

    parent = self()
    pid = spawn(body)
    send(pid, "still there")
    assert await receive() == "still there"


def attempts(me: Pid, leader: Pid) -> dict[str, Any]:
    """Everything a process can do to others."""
    return {
        "send": lambda: send(me, "from the dead"),
        "send by name": lambda: send("tester", "from the dead"),
        "Process.send": lambda: Process.send(me, "from the dead"),
        "runtime.send": lambda: current_scheduler().send(me, "from the dead"),  # type: ignore[union-attr]
        "exit": lambda: Process.exit(me, "from the dead"),
        "kill": lambda: Process.exit(leader, atom.kill),
        "spawn": lambda: spawn(lambda: send(me, "from a child of the dead")),
        "link": lambda: link(me),
        "monitor": lambda: monitor(me),
        "alias": alias,
        "register": lambda: register("stolen", me),
        "send_after": lambda: send_after(1, me, "from the dead"),
        "group leader": lambda: set_group_leader(me, leader),
    }


@pytest.mark.parametrize("attempt", list(attempts(None, None)))  # type: ignore[arg-type]
@pytest.mark.parametrize("parked", ["receive", "sleep"])
def test_once_killed_a_process_can_do_nothing_to_others(attempt: str, parked: str) -> None:
    @virtual
    async def test() -> None:
        home = current_scheduler()
        block = current_process()
        assert home is not None
        assert block is not None
        register("tester", self())
        trap_exit()
        bystander = spawn(receive)
        leader = block.leader
        act = attempts(self(), bystander)[attempt]
        ran = []

        async def body() -> None:
            try:
                await (receive() if parked == "receive" else asyncio.sleep(1000))
            finally:
                ran.append(1)
                act()

        pid = spawn(body)
        await settled()
        Process.exit(pid, atom.kill)
        await asyncio.sleep(5)
        assert ran == [1]
        assert await flush() == []
        assert Process.alive(bystander)
        assert set(Process.list()) == {self(), bystander}
        assert home.aliases == {}
        assert list(home.names) == [atom.tester]
        assert block.leader == leader
        assert Process.info(self(), "links") == []
        assert Process.info(self(), "monitored_by") == []

    test()


@IGNORED_CLOSE
@virtual
async def test_not_even_while_its_coroutine_is_thrown_away() -> None:
    async def immortal(to: Pid) -> None:
        while True:
            try:
                await asyncio.sleep(1000)
            except BaseException:
                send(to, ("alive, as", self()))

    pid = spawn(immortal, self())
    await settled()
    Process.exit(pid, atom.kill)
    assert await flush() == []
    await settled()
    assert await flush() == []


@virtual
async def test_a_kill_cancels_the_future_the_process_waits_for() -> None:
    future = asyncio.get_running_loop().create_future()

    async def body() -> None:
        await future

    for reason in (atom.kill, "why"):
        future = asyncio.get_running_loop().create_future()
        pid, ref = spawn_monitor(body)
        await settled()
        Process.exit(pid, reason)
        assert future.cancelled()
        await receive(ref)


@virtual
async def test_a_killed_process_unwinds_in_its_own_context() -> None:
    setting: contextvars.ContextVar[str] = contextvars.ContextVar("setting", default="outside")
    seen: list[Any] = []

    async def body() -> None:
        token = setting.set("inside")
        try:
            await receive()
        finally:
            seen.append((setting.get(), self(), asyncio.current_task() is current_process()))
            setting.reset(token)
            seen.append("done")

    pid = spawn(body)
    await settled()
    mine = asyncio.current_task()
    Process.exit(pid, atom.kill)
    assert seen == [("inside", pid, True), "done"]
    assert setting.get() == "outside"
    assert asyncio.current_task() is mine


@virtual
async def test_killing_oneself_while_linked_and_monitored() -> None:
    async def body() -> None:
        try:
            Process.exit(self(), atom.kill)
        finally:
            send(parent, "from the dead")
            with pytest.raises(ReceiveTimeout):
                await receive(timeout=1)

    parent = self()
    pid, ref = spawn_monitor(body)
    assert (await receive())[4] is atom.killed
    await settled()
    assert await flush() == []


@virtual
async def test_a_process_killed_by_its_own_child_at_once() -> None:
    async def body() -> None:
        me = self()
        spawn(lambda: Process.exit(me, atom.kill))
        await receive()

    _, ref = spawn_monitor(body)
    assert (await receive(ref))[4] is atom.killed
