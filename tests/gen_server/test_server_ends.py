"""How servers end: when terminate is called, what watchers are told, what is logged; nobody is left waiting."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from beamish.errors import CallTimeout, Exit
from beamish.gen_server import NO_REPLY, CallFailed, GenServer, Stop, call, cast
from beamish.process import Process, exit, monitor, receive, self, send, spawn, spawn_link, trap_exit
from beamish.process.exits import is_exception_reason
from beamish.term import Pid, atom
from beamish.testing import assert_receive, flush
from loops import now, on_every_loop, virtual


class Mortal(GenServer):
    """Tells of its terminate."""

    def init(self, tester: Pid, trap: bool = False, how: str = "") -> None:
        self.tester, self.how = tester, how
        trap_exit(trap)

    @call
    def boom(self) -> None:
        raise ValueError("boom")

    @call
    def leave(self, reason: Any) -> None:
        exit(reason)

    @call
    def stop_now(self, reason: Any) -> Stop:
        return Stop(reason)

    @call
    async def hang(self) -> None:
        await asyncio.sleep(1000)

    @call
    async def swallow(self) -> None:
        while True:
            try:
                await receive((atom.never,))
            except (Exit, asyncio.CancelledError):
                send(self.tester, atom.swallowed)

    @call
    async def cancelled(self) -> None:
        raise asyncio.CancelledError

    @call
    async def group(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
            raise KeyError("in a group")

    async def terminate(self, reason: Any) -> None:
        send(self.tester, (atom.terminate, reason))
        match self.how:
            case "raise":
                raise KeyError("in terminate")
            case "exit":
                exit(atom.other)
            case "hang":
                await asyncio.sleep(1000)


async def start(**options: Any) -> Mortal:
    """A server that the test watches."""
    server = await Mortal.start(self(), **options)
    monitor(server.pid)
    return server


async def down() -> Any:
    """The reason the watched server ended with."""
    return (await receive((atom.DOWN, ..., ..., ..., ...), timeout=100))[4]


@on_every_loop
async def test_an_exception_calls_terminate_and_becomes_the_reason(crashes: Any) -> None:
    server = await start()
    with pytest.raises(CallFailed) as failure:
        await server.boom()
    reason = await down()
    assert failure.value.reason == reason
    assert is_exception_reason(reason)
    assert await flush() == [(atom.terminate, reason)]
    (text,) = crashes.texts
    assert "GenServer Mortal" in text
    assert f"last message: call atom.boom from {self()}" in text
    assert "ValueError: boom" in text


@virtual
async def test_a_crash_names_class_name_message_and_state_once(crashes: Any) -> None:
    class Stateful(GenServer):
        def init(self) -> None:
            self.items = ["x" * 10_000]

        @cast
        def boom(self) -> None:
            raise ValueError("boom")

    server = await Stateful.start(name="stateful")
    monitor(server.pid)
    server.boom()
    await down()
    (text,) = crashes.texts
    for part in ("stateful", str(server.pid), "Stateful", "last message: cast atom.boom", "atom.items", "ValueError: boom"):
        assert part in text
    assert len(text) < 8000


@pytest.mark.parametrize("reason", [atom.normal, atom.shutdown, (atom.shutdown, 1), atom.bad])
@pytest.mark.parametrize("how", ["stop_now", "leave"])
def test_an_end_on_purpose_calls_terminate(how: str, reason: Any, crashes: Any) -> None:
    @virtual
    async def body() -> None:
        server = await start()
        with pytest.raises(CallFailed) as failure:
            await getattr(server, how)(reason)
        assert failure.value.reason == reason
        assert await down() == reason
        assert await flush() == [(atom.terminate, reason)]
        assert len(crashes.texts) == (reason is atom.bad)

    body()


@virtual
async def test_an_exit_signal_that_is_not_trapped_does_not_call_terminate() -> None:
    server = await start()
    Process.exit(server.pid, atom.enough)
    assert await down() is atom.enough
    assert await flush() == []


@virtual
async def test_kill_does_not_call_terminate() -> None:
    server = await start(trap=True)
    Process.exit(server.pid, atom.kill)
    assert await down() is atom.killed
    assert await flush() == []


@virtual
async def test_a_trapped_exit_of_a_stranger_is_a_message() -> None:
    class Trapping(GenServer):
        def init(self, tester: Pid) -> None:
            self.tester = tester
            trap_exit()

        def handle_info(self, message: Any) -> None:
            send(self.tester, message)

    server = await Trapping.start(self())
    Process.exit(server.pid, atom.enough)
    assert await receive() == (atom.EXIT, self(), atom.enough)


@pytest.mark.parametrize("trap", [True, False])
def test_the_parent_s_end_reaches_a_linked_server(trap: bool) -> None:
    @virtual
    async def body() -> None:
        async def parent() -> None:
            server = await Mortal.start_link(tester, trap=trap)
            send(tester, (atom.started, server.pid))
            await receive()
            exit(atom.shutdown)

        tester = self()
        pid = spawn(parent)
        (_, child) = await receive()
        monitor(child)
        send(pid, 1)
        assert await down() is atom.shutdown
        assert await flush() == ([(atom.terminate, atom.shutdown)] if trap else [])

    body()


@pytest.mark.parametrize("how", ["raise", "exit"])
def test_a_terminate_that_fails_decides_the_reason(how: str, crashes: Any) -> None:
    @virtual
    async def body() -> None:
        server = await start(how=how)
        with pytest.raises(CallFailed):
            await server.stop_now(atom.normal)
        reason = await down()
        if how == "exit":
            assert reason is atom.other
        else:
            assert "in terminate" in str(reason)
        assert len(crashes.texts) == 1

    body()


@virtual
async def test_a_terminate_that_hangs_is_ended_by_kill() -> None:
    server = await start(how="hang")
    with pytest.raises(CallTimeout, match="did not stop within 2 s"):
        await GenServer.stop(server, timeout=2)
    assert now() == pytest.approx(2)
    Process.exit(server.pid, atom.kill)
    assert await down() is atom.killed


@virtual
async def test_stop_waits_until_the_server_is_gone() -> None:
    server = await start()
    await GenServer.stop(server, atom.shutdown)
    assert not Process.alive(server.pid)
    assert await down() is atom.shutdown
    assert await flush() == [(atom.terminate, atom.shutdown)]
    with pytest.raises(CallFailed) as failure:
        await GenServer.stop(server)
    assert failure.value.reason is atom.noproc


@virtual
async def test_stop_says_so_when_the_server_ends_otherwise(crashes: Any) -> None:
    server = await start(how="exit")
    with pytest.raises(CallFailed, match=r"ended with other, not with normal"):
        await GenServer.stop(server)


@virtual
async def test_a_server_that_dies_leaves_no_caller_waiting() -> None:
    class Silent(GenServer):
        @call(timeout=None)
        def wait(self) -> Any:
            return NO_REPLY

    server = await Silent.start()
    failures: list[Any] = []

    async def caller() -> None:
        try:
            await server.wait()
        except CallFailed as failure:
            failures.append(failure.reason)

    for _ in range(100):
        spawn(caller)
    await asyncio.sleep(1)
    assert failures == []
    Process.exit(server.pid, atom.kill)
    await asyncio.sleep(0)
    assert failures == [atom.killed] * 100


@virtual
async def test_killed_while_handling() -> None:
    server = await start()

    async def killer() -> None:
        await asyncio.sleep(1)
        Process.exit(server.pid, atom.kill)

    spawn(killer)
    with pytest.raises(CallFailed) as failure:
        await server.hang()
    assert failure.value.reason is atom.killed
    assert now() == pytest.approx(1)


@virtual
async def test_an_exit_signal_while_handling_ends_the_handler() -> None:
    server = await start()

    async def killer() -> None:
        await asyncio.sleep(1)
        Process.exit(server.pid, atom.enough)

    spawn(killer)
    with pytest.raises(CallFailed) as failure:
        await server.hang()
    assert failure.value.reason is atom.enough
    assert [each for each in await flush() if each[0] is atom.terminate] == []


@virtual
async def test_a_handler_that_swallows_its_exit_is_ended_all_the_same() -> None:
    server = await start()

    async def killer() -> None:
        await asyncio.sleep(1)
        Process.exit(server.pid, atom.enough)

    spawn(killer)
    with pytest.raises(CallFailed) as failure:
        await server.swallow()
    assert failure.value.reason is atom.enough
    assert not Process.alive(server.pid)


@virtual
async def test_a_cancellation_that_leaves_a_handler_is_a_crash(crashes: Any) -> None:
    server = await start()
    with pytest.raises(CallFailed) as failure:
        await server.cancelled()
    assert "CancelledError" in str(failure.value.reason)
    assert len(crashes.texts) == 1


@virtual
async def test_an_exception_group_is_a_crash_with_all_its_parts(crashes: Any) -> None:
    server = await start()
    with pytest.raises(CallFailed):
        await server.group()
    assert "in a group" in crashes.texts[0]


@virtual
async def test_links_are_told_and_linked_servers_go_with_it(crashes: Any) -> None:
    class Outer(GenServer):
        async def init(self, tester: Pid) -> None:
            self.inner = await Mortal.start_link(tester)
            send(tester, (atom.inner, self.inner.pid))

        @call
        async def pass_on(self) -> Any:
            return await self.inner.boom()

    outer = await Outer.start(self())
    (_, inner) = await receive()
    with pytest.raises(CallFailed) as failure:
        await outer.pass_on()
    assert is_exception_reason(failure.value.reason)
    assert not Process.alive(inner)
    assert not Process.alive(outer.pid)


@virtual
async def test_exit_inside_a_callback_is_not_an_exception_to_be_caught() -> None:
    class Catching(GenServer):
        @call
        def leave(self) -> Any:
            try:
                exit(atom.shutdown)
            except Exception:
                return "caught"

    server = await Catching.start()
    with pytest.raises(CallFailed) as failure:
        await server.leave()
    assert failure.value.reason is atom.shutdown


@virtual
async def test_a_parent_that_is_killed_takes_its_servers_along() -> None:
    async def parent() -> None:
        for _ in range(5):
            send(tester, (await Mortal.start_link(tester)).pid)
        await receive()

    trap_exit()
    tester = self()
    pid = spawn_link(parent)
    children = [await receive() for _ in range(5)]
    Process.exit(pid, atom.kill)
    await assert_receive((atom.EXIT, pid, atom.killed))
    assert not any(Process.alive(child) for child in children)
