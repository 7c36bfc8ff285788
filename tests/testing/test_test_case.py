"""How a test's process ends, and what is told when it fails."""

from __future__ import annotations

import asyncio
import traceback
from typing import Any

import pytest

from beamish.node.runtime import ProcessFailed
from beamish.process import Process, exit, link, receive, register, self, send, send_after, spawn, spawn_link, trap_exit
from beamish.term import atom
from beamish.testing import (
    LinkedProcessFailed,
    Stuck,
    VirtualClockLoop,
    advance,
    assert_receive,
    now,
    run_on,
    run_virtual,
    settle,
    virtual,
)
from beamish.testing.clock import PATIENCE


async def crashes() -> None:
    boom = "boom"
    raise ValueError(boom)


async def links_and_waits() -> None:
    spawn_link(crashes)
    await receive()


def test_a_linked_crash_fails_the_test_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(LinkedProcessFailed) as failure:
        run_virtual(links_and_waits)
    assert str(failure.value).startswith("a process linked to the test crashed: <")
    assert "(started as test_test_case:crashes): ValueError: boom" in str(failure.value)
    cause = failure.value.__cause__
    assert isinstance(cause, ValueError)
    assert [frame.name for frame in traceback.extract_tb(cause.__traceback__)] == ["crashes"]
    assert "boom" in caplog.text


def test_a_crash_far_along_the_links() -> None:
    async def middle() -> None:
        spawn_link(crashes)
        await receive()

    async def test() -> None:
        spawn_link(middle)
        await receive()

    with pytest.raises(LinkedProcessFailed, match="started as test_test_case:crashes"):
        run_virtual(test)


def test_an_assertion_in_a_linked_process() -> None:
    async def asserts() -> None:
        assert 1 == 2, "no"

    async def test() -> None:
        spawn_link(asserts)
        await receive()

    with pytest.raises(ProcessFailed) as failure:
        run_virtual(test)
    assert isinstance(failure.value.__cause__, AssertionError)


def test_other_ends() -> None:
    async def killed() -> None:
        Process.exit(self(), atom.kill)
        await receive()

    async def exits() -> None:
        exit((atom.because, 1))

    async def normal() -> None:
        exit(atom.normal)

    for test, reason in ((killed, "killed"), (exits, r"\(atom\('?because'?\)|\(atom.because, 1\)"), (normal, "normal")):
        with pytest.raises(ProcessFailed, match=reason) as failure:
            run_virtual(test)
        assert failure.value.__cause__ is None


def test_who_traps_exits_lives_on() -> None:
    async def test() -> int:
        trap_exit()
        pid = spawn_link(crashes)
        assert (await assert_receive((atom.EXIT, pid, ...)))[2][0].kind == "builtins.ValueError"
        return 7

    assert run_virtual(test) == 7


def test_what_is_linked_ends_with_the_test_in_order() -> None:
    ended: list[Any] = []

    async def server() -> None:
        trap_exit()
        ended.append((await receive())[2])

    async def test() -> None:
        for _ in range(3):
            spawn_link(server)
        spawn(server)
        await settle()

    run_virtual(test)
    assert ended == [atom.shutdown] * 3


@pytest.mark.parametrize("factory", [VirtualClockLoop, asyncio.SelectorEventLoop])
def test_a_test_that_hangs_shows_who_waits_where(factory: Any) -> None:
    async def server() -> None:
        register("the_server", self())
        while True:
            await receive(atom.never)

    async def test() -> None:
        send(spawn(server), "unread")
        await receive()

    started = now_outside()
    with pytest.raises((Stuck, TimeoutError)) as failure:
        if factory is VirtualClockLoop:
            run_on(lambda: VirtualClockLoop(patience=0.1), test)
        else:
            run_on(factory, test, limit=0.2)
    text = "".join(traceback.format_exception(failure.value))
    assert "the_server <" in text
    assert "is waiting, at" in text
    assert "in server, 1 message unread" in text
    assert "in test\n" in text
    assert now_outside() - started < PATIENCE


def now_outside() -> float:
    import time

    return time.monotonic()


# ---- time


@virtual
async def test_settle_waits_for_everybody_and_takes_no_time() -> None:
    done: list[Any] = []

    async def relay(to: Any) -> None:
        message = await receive()
        done.append(message)
        if to is not None:
            send(to, message + 1)

    last = spawn(relay, None)
    for _ in range(50):
        last = spawn(relay, last)
    send(last, 0)
    send_after(0.001, self(), "later")
    await settle()
    assert done == list(range(51))
    assert now() == 0
    assert await asyncio.gather(settle(), settle()) == [None, None]
    assert now() == 0


@virtual
async def test_settle_waits_for_threads() -> None:
    import time

    work = asyncio.ensure_future(asyncio.to_thread(time.sleep, 0.05))
    await asyncio.sleep(0)
    await settle()
    assert work.done()


@virtual
async def test_advance() -> None:
    seen: list[tuple[float, Any]] = []

    async def ticking() -> None:
        while True:
            await receive(timeout=100)
            seen.append((now(), "tick"))
            send_after(1, self(), "again")

    pid = spawn(ticking)
    send(pid, "start")
    await advance(3)
    assert seen == [(0, "tick"), (1, "tick"), (2, "tick"), (3, "tick")]
    assert now() == 3
    await advance(0)
    assert now() == 3
    with pytest.raises(ValueError, match="backwards"):
        await advance(-1)
    link(pid)


def test_they_need_the_virtual_clock() -> None:
    for verb in (settle, lambda: advance(1)):
        with pytest.raises(RuntimeError, match="needs the virtual clock"):
            run_on(asyncio.SelectorEventLoop, verb, limit=10)


@virtual
async def test_time_stands_still_while_a_dirty_process_works() -> None:
    import time

    def works(asker: Any) -> None:
        for _ in range(2):
            message = receive()
            time.sleep(0.02)
            send(asker, message)

    pid = spawn(works, self(), dirty=True)
    for number in (1, 2):
        await asyncio.sleep(10)  # it waits for a message meanwhile, and time passes
        send(pid, number)
        assert await receive(timeout=0.001) == number
    assert now() == 20
