from __future__ import annotations

import asyncio
from typing import Any

import pytest

from beamish.errors import Exit
from beamish.process import (
    Process,
    exit,
    monitor,
    receive,
    self,
    send,
    spawn,
    spawn_link,
    spawn_monitor,
    trap_exit,
)
from beamish.term import Pid, atom
from beamish.testing import flush
from loops import now, on_every_loop, virtual


async def idle() -> None:
    while True:
        await receive()


async def trapping(to: Pid) -> None:
    trap_exit()
    while True:
        send(to, await receive())


async def settled() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


REASONS = [atom.shutdown, (atom.shutdown, 1), atom.killed, atom.noproc, "text", 1.5, {"a": []}, None]


@pytest.mark.parametrize("reason", REASONS, ids=repr)
def test_any_reason_ends_a_process_and_is_told(reason: Any) -> None:
    @virtual
    async def test() -> None:
        pid, ref = spawn_monitor(idle)
        await settled()
        Process.exit(pid, reason)
        assert Process.alive(pid) is False
        assert (await receive(ref))[4] == reason
        listener = spawn(trapping, self())
        await settled()
        Process.exit(listener, reason)
        assert await receive() == (atom.EXIT, self(), reason)

    test()


@on_every_loop
async def test_normal_from_another_is_ignored_unless_trapped() -> None:
    pid = spawn(idle)
    listener = spawn(trapping, self())
    await settled()
    Process.exit(pid, atom.normal)
    Process.exit(listener, atom.normal)
    await settled()
    assert Process.alive(pid)
    assert await receive() == (atom.EXIT, self(), atom.normal)


@on_every_loop
async def test_kill_cannot_be_trapped_and_is_told_as_killed() -> None:
    listener = spawn(trapping, self())
    ref = monitor(listener)
    await settled()
    Process.exit(listener, atom.kill)
    assert await flush() == [(atom.DOWN, ref, atom.process, listener, atom.killed)]


@virtual
async def test_an_exit_before_the_first_step() -> None:
    ran = []

    async def body() -> None:
        ran.append(1)

    pid, ref = spawn_monitor(body)
    Process.exit(pid, "early")
    assert (await receive(ref))[4] == "early"
    pid, ref = spawn_monitor(body)
    Process.exit(pid, atom.kill)
    assert (await receive(ref))[4] is atom.killed
    assert ran == []


@virtual
async def test_exit_to_oneself() -> None:
    async def ends(how: Any, trap: bool, to: Pid) -> None:
        trap_exit(trap)
        Process.exit(self(), how)
        send(to, ("went on", await receive(timeout=0)))

    for how, reason in [(atom.normal, atom.normal), ("why", "why"), (atom.kill, atom.killed)]:
        _, ref = spawn_monitor(ends, how, False, self())
        assert (await receive())[4] == reason
    pid, ref = spawn_monitor(ends, "why", True, self())
    assert await receive() == ("went on", (atom.EXIT, pid, "why"))
    await receive(ref)
    pid, ref = spawn_monitor(ends, atom.normal, True, self())
    assert await receive() == ("went on", (atom.EXIT, pid, atom.normal))
    await receive(ref)
    _, ref = spawn_monitor(ends, atom.kill, True, self())
    assert (await receive(ref))[4] is atom.killed


@virtual
async def test_the_first_signal_counts() -> None:
    pid, ref = spawn_monitor(idle)
    await settled()
    Process.exit(pid, "first")
    Process.exit(pid, "second")
    Process.exit(pid, atom.kill)
    assert (await receive(ref))[4] == "first"


@virtual
async def test_signals_to_the_dead_change_nothing() -> None:
    pid, ref = spawn_monitor(idle)
    Process.exit(pid, atom.kill)
    Process.exit(pid, atom.kill)
    Process.exit(pid, "why")
    assert await flush() == [(atom.DOWN, ref, atom.process, pid, atom.killed)]


@on_every_loop
async def test_exit_is_not_eaten_by_except_exception() -> None:
    async def careless() -> None:
        while True:
            try:
                await receive()
            except Exception:
                pass

    pid, ref = spawn_monitor(careless)
    await settled()
    Process.exit(pid, "why")
    assert (await receive(ref))[4] == "why"

    async def ends_itself() -> None:
        try:
            exit("itself")
        except Exception:
            pass
        send(pid, "not reached")

    _, ref = spawn_monitor(ends_itself)
    assert (await receive(ref))[4] == "itself"


@virtual
async def test_messages_in_the_mailbox_do_not_delay_the_end() -> None:
    pid, ref = spawn_monitor(idle)
    await settled()
    for number in range(100):
        send(pid, number)
    Process.exit(pid, "why")
    assert (await receive(ref))[4] == "why"


@virtual
async def test_an_exit_signal_reaches_a_process_that_computes_at_its_next_wait() -> None:
    async def signalled(to: Pid) -> None:
        me = self()
        spawn(lambda: Process.exit(me, "why"))
        await asyncio.sleep(0)  # the other one runs here
        send(to, "not reached")

    _, ref = spawn_monitor(signalled, self())
    assert (await receive())[4] == "why"


@virtual
async def test_returning_normally_after_swallowing_the_exit_changes_no_reason() -> None:
    async def stubborn() -> None:
        try:
            await receive()
        except BaseException:
            return

    _, ref = pid_ref = spawn_monitor(stubborn)
    await settled()
    Process.exit(pid_ref[0], "why")
    assert (await receive(ref))[4] == "why"


@virtual
async def test_raising_something_else_while_going_changes_no_reason_but_is_logged(crashes: Any) -> None:
    async def clumsy() -> None:
        try:
            await receive()
        finally:
            raise ValueError("in the clean-up")

    pid, ref = spawn_monitor(clumsy)
    await settled()
    Process.exit(pid, "why")
    assert (await receive(ref))[4] == "why"
    (text,) = crashes.texts
    assert "ValueError: in the clean-up" in text


@virtual
async def test_a_crash_is_logged_once_with_name_label_and_function(crashes: Any) -> None:
    async def worker() -> None:
        Process.set_label("shard 7")
        raise RuntimeError("no disk")

    pid, ref = spawn(worker, name="writer", monitor=True)
    await receive(ref)
    (text,) = crashes.texts
    for part in (str(pid), "writer", "shard 7", "worker", "RuntimeError: no disk", __name__):
        assert part in text


@virtual
async def test_the_log_handler_may_send_while_it_reports_a_crash(crashes: Any) -> None:
    import logging

    me = self()

    class ToProcess(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            send(me, (atom.log, record.levelname))

    async def fails() -> None:
        raise ValueError

    handler = ToProcess()
    logging.getLogger("beamish.process").addHandler(handler)
    try:
        pid, ref = spawn_monitor(fails)
        assert await receive() == (atom.log, "ERROR")
        await receive(ref)
    finally:
        logging.getLogger("beamish.process").removeHandler(handler)


@virtual
async def test_a_report_that_fails_does_not_keep_the_dead_alive(crashes: Any) -> None:
    from beamish.process import current_scheduler

    home = current_scheduler()
    assert home is not None

    def broken(*_: Any) -> None:
        raise OSError("disk full")

    home.report = broken

    async def fails() -> None:
        raise ValueError

    pid, ref = spawn_monitor(fails)
    assert (await receive(ref))[4][0].kind == "builtins.ValueError"
    assert "disk full" in crashes.texts[0]


@virtual
async def test_exits_and_deliberate_ends_are_not_logged() -> None:
    async def leaves(how: BaseException) -> None:
        raise how

    trap_exit()
    for how in (Exit(atom.normal), Exit("why"), Exit((atom.badarg, []))):
        pid = spawn_link(leaves, how)
        assert await receive() == (atom.EXIT, pid, how.reason)


@virtual
async def test_a_cancelled_future_is_a_crash_like_any_other(crashes: Any) -> None:
    async def waits(future: asyncio.Future[None]) -> None:
        await future

    future = asyncio.get_running_loop().create_future()
    _, ref = spawn_monitor(waits, future)
    await settled()
    future.cancel()
    assert (await receive(ref))[4][0].kind == "asyncio.exceptions.CancelledError"
    assert len(crashes.texts) == 1


@virtual
async def test_exceptions_with_broken_texts_become_reasons(crashes: Any) -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    async def fails() -> None:
        raise Broken

    _, ref = spawn_monitor(fails)
    reason = (await receive(ref))[4]
    assert reason[0].detail == "<no message: RuntimeError in __str__>"


@virtual
async def test_long_messages_and_deep_stacks_are_cut(crashes: Any) -> None:
    from beamish.process.exits import MAX_FRAMES, MAX_MESSAGE, MAX_TRACEBACK

    def deep(n: int) -> None:
        if n:
            deep(n - 1)
        raise ValueError("x" * 100_000)

    async def fails() -> None:
        deep(100)

    _, ref = spawn_monitor(fails)
    (head, stack) = (await receive(ref))[4]
    assert len(head.detail) == MAX_MESSAGE
    assert len(head.traceback) <= MAX_TRACEBACK
    assert len(stack) == MAX_FRAMES
    assert str(stack[0][1]).endswith("deep")


@virtual
async def test_exit_outside_a_process() -> None:
    async def body() -> None:
        with pytest.raises(RuntimeError, match=r"exit\(\) needs a process"):
            exit("why")
        with pytest.raises(RuntimeError, match=r"Process.exit\(\) needs a running node"):
            Process.exit(target, "why")

    target = spawn(idle)
    await asyncio.create_task(body())
    assert now() == 0
