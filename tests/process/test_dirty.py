"""Dirty processes: plain functions on threads, with mailboxes."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from beamish.errors import NotAProcess, ReceiveTimeout
from beamish.process import Process, link, monitor, receive, register, self, send, spawn, spawn_link, trap_exit, whereis
from beamish.process.dirty import blocking
from beamish.process.gen import call, reply
from beamish.term import atom
from beamish.testing import run_on
from loops import REAL_LOOPS


@pytest.fixture(params=list(REAL_LOOPS), ids=str)
def run(request: pytest.FixtureRequest) -> Callable[..., Any]:
    def on_real_loop(function: Callable[..., Any]) -> Any:
        return run_on(REAL_LOOPS[request.param], function, limit=20)

    return on_real_loop


def test_it_runs_on_a_thread_and_answers(run: Callable[..., Any]) -> None:
    def doubles(parent: Any) -> None:
        while True:
            match receive():
                case (sender, int() as number):
                    send(sender, (self(), number * 2, threading.current_thread() is threading.main_thread()))
                case atom.stop:
                    send(parent, "stopped")
                    return

    async def main() -> None:
        pid = spawn(doubles, self(), dirty=True)
        ref = monitor(pid)
        for number in range(50):
            send(pid, (self(), number))
            assert await receive((pid, ...,...), timeout=5) == (pid, number * 2, False)
        send(pid, atom.stop)
        assert await receive("stopped".__eq__, timeout=5) == "stopped"
        assert (await receive(ref, timeout=5))[4] is atom.normal

    run(main)


def test_the_others_run_while_it_blocks(run: Callable[..., Any]) -> None:
    async def main() -> float:
        release = threading.Event()
        pid = spawn(release.wait, 10, dirty=True)
        ref = monitor(pid)
        started = asyncio.get_running_loop().time()
        await asyncio.sleep(0.02)
        waited = asyncio.get_running_loop().time() - started
        assert Process.alive(pid)
        release.set()
        assert (await receive(ref, timeout=5))[4] is atom.normal
        return waited

    assert run(main) < 5


def test_selective_receive_and_timeouts(run: Callable[..., Any]) -> None:
    def picky(parent: Any) -> None:
        send(parent, receive((atom.wanted, ...)))
        send(parent, receive())
        try:
            receive(timeout=0.01)
        except ReceiveTimeout:
            send(parent, "timeout")
        try:
            receive(timeout=0)
        except ReceiveTimeout:
            send(parent, "nothing")

    async def main() -> list[Any]:
        pid = spawn(picky, self(), dirty=True)
        send(pid, "first")
        send(pid, (atom.wanted, 1))
        return [await receive(timeout=5) for _ in range(4)]

    assert run(main) == [(atom.wanted, 1), "first", "timeout", "nothing"]


def test_a_crash_is_an_exit_reason(run: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    def crashes() -> None:
        raise ValueError("in the thread")

    async def main() -> Any:
        trap_exit(True)
        pid = spawn(crashes, dirty=True, link=True)
        return await receive((atom.EXIT, pid, ...), timeout=5)

    assert "in the thread" in str(run(main)[2])
    assert caplog.text.count("Traceback") == 1


@pytest.mark.parametrize("reason", [atom.kill, atom.shutdown])
@pytest.mark.parametrize("what", ["computes", "receives"])
def test_an_exit_ends_it(run: Callable[..., Any], reason: Any, what: str) -> None:
    over = threading.Event()

    def body() -> None:
        try:
            while True:
                if what == "receives":
                    receive()
                else:
                    sum(range(1000))
        finally:
            over.set()

    async def main() -> Any:
        pid = spawn(body, dirty=True)
        ref = monitor(pid)
        await asyncio.sleep(0.005)
        Process.exit(pid, reason)
        down = await receive(ref, timeout=5)
        assert await asyncio.to_thread(over.wait, 5)
        return down[4]

    assert run(main) is (atom.killed if reason is atom.kill else reason)


def test_a_killed_one_sends_nothing_any_more(run: Callable[..., Any]) -> None:
    over = threading.Event()

    def body(parent: Any) -> None:
        try:
            while True:
                sum(range(1000))
        finally:
            send(parent, "from the grave")
            over.set()

    async def main() -> Any:
        pid = spawn(body, self(), dirty=True)
        ref = monitor(pid)
        await asyncio.sleep(0.005)
        Process.exit(pid, atom.kill)
        await receive(ref, timeout=5)
        assert await asyncio.to_thread(over.wait, 5)
        try:
            return await receive(timeout=0.01)
        except ReceiveTimeout:
            return None

    assert run(main) is None


def test_it_has_a_name_links_and_children(run: Callable[..., Any]) -> None:
    def body(parent: Any) -> None:
        register("worker", self())
        link(parent)

        async def child() -> None:
            send(parent, "child")

        spawn_link(child)
        send(parent, "ready")
        receive(atom.stop)

    async def main() -> Any:
        trap_exit(True)
        pid = spawn(body, self(), dirty=True)
        assert {await receive(timeout=5), await receive(timeout=5)} == {"ready", "child"}
        assert whereis("worker") == pid
        send("worker", atom.stop)
        found = await receive((atom.EXIT, pid, ...), timeout=5)
        assert whereis("worker") is None
        return found[2]

    assert run(main) is atom.normal


def test_it_calls_servers(run: Callable[..., Any]) -> None:
    async def server() -> None:
        while True:
            _, sender, request = await receive()
            reply(sender, request + 1)

    def body(parent: Any, pid: Any) -> None:
        send(parent, [blocking(call(pid, number)) for number in range(5)])

    async def main() -> Any:
        spawn(body, self(), spawn(server), dirty=True)
        return await receive(timeout=5)

    assert run(main) == [1, 2, 3, 4, 5]


def test_what_belongs_to_the_loop_cannot_be_waited_for(run: Callable[..., Any]) -> None:
    def body(parent: Any) -> None:
        try:
            blocking(asyncio.sleep(1))
        except RuntimeError as error:
            send(parent, str(error))

    async def main() -> Any:
        spawn(body, self(), dirty=True)
        return await receive(timeout=5)

    assert "loop" in run(main)


def test_blocking_is_for_dirty_processes(run: Callable[..., Any]) -> None:
    async def main() -> None:
        with pytest.raises(NotAProcess, match="await"):
            blocking(asyncio.sleep(0))
        with pytest.raises(TypeError, match="plain function"):
            spawn(main, dirty=True)

    run(main)


def test_many_at_once_lose_nothing(run: Callable[..., Any]) -> None:
    def body(parent: Any, number: int) -> None:
        for count in range(20):
            assert receive((atom.go, ...)) == (atom.go, count)
            send(parent, (number, count))

    async def main() -> None:
        pids = [spawn(body, self(), number, dirty=True) for number in range(10)]
        for count in range(20):
            for pid in pids:
                send(pid, (atom.go, count))
        got: dict[int, list[int]] = {}
        for _ in range(200):
            number, count = await receive(timeout=10)
            got.setdefault(number, []).append(count)
        assert got == {number: list(range(20)) for number in range(10)}

    run(main)


def test_the_node_stops_although_a_thread_does_not(run: Callable[..., Any]) -> None:
    release = threading.Event()

    async def main() -> None:
        spawn(release.wait, 30, dirty=True)
        await asyncio.sleep(0.005)

    started = time.monotonic()
    run(main)
    assert time.monotonic() - started < 10
    release.set()
