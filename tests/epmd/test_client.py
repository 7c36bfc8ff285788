"""Our client against Erlang's epmd, and against everything else that may listen there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from beam import RealEpmd, eventually, free_port
from beamish.epmd import client
from beamish.epmd.client import (
    EpmdUnreachable,
    NodeNameTaken,
    NotEpmd,
    configured_port,
    kill,
    names,
    port_please,
    register,
)
from beamish.epmd.packets import PortInfo
from beamish.epmd.server import EpmdServer
from beamish.errors import EpmdError

Run = Callable[[Any], Any]
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


@asynccontextmanager
async def something_else(handle: Handler) -> AsyncIterator[int]:
    """A server that is no port mapper; its port."""
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.mark.interop
class TestWithErlangsEpmd:
    def test_register_look_up_list_and_give_back(self, real_epmd: RealEpmd, run: Run) -> None:
        async def go() -> None:
            port = real_epmd.port
            registration = await register("cl_barry", 5001, hidden=True, epmd_port=port)
            assert registration.creation > 3
            info = await port_please("cl_barry", epmd_port=port)
            assert info == PortInfo("cl_barry", 5001, True, 6, 6)
            assert ("cl_barry", 5001) in await names(epmd_port=port)
            await registration.wait_closed()

        run(go())
        real_epmd.wait_line("unregistering 'cl_barry")

    def test_unknown_name(self, real_epmd: RealEpmd, run: Run) -> None:
        assert run(port_please("cl_nobody", epmd_port=real_epmd.port)) is None

    def test_taken_name_says_by_whom(self, real_epmd: RealEpmd, run: Run) -> None:
        async def go() -> None:
            first = await register("cl_twice", 5002, epmd_port=real_epmd.port)
            with pytest.raises(NodeNameTaken, match=r"'cl_twice' is taken .*port 5002.*choose another name"):
                await register("cl_twice", 5003, epmd_port=real_epmd.port)
            await first.wait_closed()

        run(go())

    def test_each_registration_is_another_incarnation(self, real_epmd: RealEpmd, run: Run) -> None:
        async def go() -> list[int]:
            seen = []
            for _ in range(2):
                start = len(real_epmd.lines)
                registration = await register("cl_again", 5004, epmd_port=real_epmd.port)
                seen.append(registration.creation)
                await registration.wait_closed()
                await real_epmd.await_line("unregistering 'cl_again", start=start)
            return seen

        first, second = run(go())
        assert first != second

    def test_kill_is_refused_while_names_are_registered(self, run: Run) -> None:
        async def go(port: int) -> None:
            registration = await register("cl_kill", 5005, epmd_port=port)
            assert await kill(epmd_port=port) is False
            await registration.wait_closed()

        with RealEpmd() as epmd:
            run(go(epmd.port))
            epmd.wait_line("unregistering 'cl_kill")
            assert run(kill(epmd_port=epmd.port)) is True
            epmd.process.wait(10)

    def test_registers_again_when_the_port_mapper_comes_back(self, run: Run, caplog: pytest.LogCaptureFixture) -> None:
        async def go(first: RealEpmd) -> None:
            registration = await register("cl_lasting", 5006, epmd_port=first.port, retry=0.05)
            creation = registration.creation
            await asyncio.to_thread(first.kill)
            second = await asyncio.to_thread(RealEpmd, first.port)
            with second:
                await second.await_line("registering 'cl_lasting")
                assert ("cl_lasting", 5006) in await names(epmd_port=first.port)
                assert registration.creation == creation
                await registration.wait_closed()

        with caplog.at_level(logging.WARNING, "beamish.epmd"):
            run(go(RealEpmd()))
        assert [record.getMessage() for record in caplog.records if "went away" in record.getMessage()] != []
        assert len(caplog.records) == 1, "one line however many attempts it takes"


def test_nobody_listens(run: Run) -> None:
    port = free_port()
    for ask in (names(epmd_port=port), port_please("x", epmd_port=port), register("x", 1, epmd_port=port)):
        with pytest.raises(EpmdUnreachable, match=rf"127\.0\.0\.1:{port}.*`beamish epmd` starts one"):
            run(ask)


def test_unknown_host(run: Run) -> None:
    with pytest.raises(EpmdUnreachable, match=r"does-not-exist\.invalid:1 cannot be reached"):
        run(names("does-not-exist.invalid", epmd_port=1))


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-x\r\n", b"\x00"])
def test_held_by_someone_else(run: Run, answer: bytes) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)
        writer.close()

    async def go() -> None:
        async with something_else(handle) as port:
            with pytest.raises(NotEpmd, match=rf"127\.0\.0\.1:{port} is not a port mapper.*ERL_EPMD_PORT"):
                await names(epmd_port=port)
            with pytest.raises(NotEpmd, match="is not a port mapper"):
                await port_please("x", epmd_port=port)
            with pytest.raises(NotEpmd, match="is not a port mapper"):
                await register("x", 1, epmd_port=port)

    run(go())


def test_silent_and_talkative_listeners_are_bounded(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "TIMEOUT", 0.2)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(bytes(1 << 16))
                await writer.drain()
        except OSError:
            writer.close()

    async def go() -> None:
        async with something_else(silent) as port:
            with pytest.raises(NotEpmd, match="stays silent"):
                await names(epmd_port=port)
        async with something_else(endless) as port:
            with pytest.raises(NotEpmd, match="more than"):
                await names(epmd_port=port)
            with pytest.raises(NotEpmd, match="not a port mapper"):
                await register("x", 1, epmd_port=port)

    run(go())


def test_taken_again_meanwhile_is_said_once(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def go() -> None:
        server = EpmdServer(port=0)
        await server.start()
        registration = await register("cl_lost", 5007, epmd_port=server.port, retry=0.01)
        port = server.port
        server.stop()
        again = EpmdServer(port=port)
        # Our own server shares the loop, so the thief is there before the registration can try again.
        await again.start()
        thief = await register("cl_lost", 5008, epmd_port=port)
        await eventually(lambda: any("cannot register again" in record.getMessage() for record in caplog.records))
        await thief.wait_closed()

        async def regained() -> bool:
            return await names(epmd_port=port) == [("cl_lost", 5007)]

        await eventually(regained)
        await registration.wait_closed()
        again.stop()
        await asyncio.sleep(0)

    with caplog.at_level(logging.WARNING, "beamish.epmd"):
        run(asyncio.wait_for(go(), 20))
    assert sum("cannot register again" in record.getMessage() for record in caplog.records) == 1


def test_port_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ERL_EPMD_PORT", raising=False)
    assert configured_port() == 4369
    monkeypatch.setenv("ERL_EPMD_PORT", "12345")
    assert configured_port() == 12345
    assert configured_port(1) == 1
    for bad in ("x", "0", "65536", "-1", "٣"):
        monkeypatch.setenv("ERL_EPMD_PORT", bad)
        with pytest.raises(EpmdError, match=r"is not a port number; use 1 to 65535"):
            configured_port()
