"""Our port mapper: used by our client, by Erlang and Elixir, and by whoever means it no good."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from beam import HAVE_ELIXIR, HAVE_ERLANG, ElixirNode, ErlNode, eventually, free_port
from beamish.epmd import server as server_module
from beamish.epmd.client import EpmdUnreachable, NodeNameTaken, kill, names, port_please, register
from beamish.epmd.packets import REQUEST_MAX, AliveRequest, encode_request
from beamish.epmd.server import EpmdServer, bind, configured_addresses
from beamish.errors import EpmdError

Run = Callable[[Any], Any]


def serving(body: Callable[[EpmdServer], Awaitable[None]], **settings: Any) -> Any:
    async def go() -> None:
        async with asyncio.timeout(60), EpmdServer(port=0, **settings) as server:
            await body(server)

    return go()


async def gone(server: EpmdServer, count: int = 0) -> None:
    """Wait until so many names are left."""
    await eventually(lambda: len(server.directory) == count)


def test_our_client_and_our_server(run: Run) -> None:
    async def body(server: EpmdServer) -> None:
        first = await register("barry", 5000, epmd_port=server.port)
        assert first.creation == 77
        info = await port_please("barry", epmd_port=server.port)
        assert info is not None
        assert (info.port, info.compatible) == (5000, True)
        assert await port_please("robin", epmd_port=server.port) is None
        with pytest.raises(NodeNameTaken):
            await register("barry", 5001, epmd_port=server.port)
        await first.wait_closed()
        await gone(server)
        second = await register("barry", 5001, epmd_port=server.port)
        assert second.creation == 78
        assert await names(epmd_port=server.port) == [("barry", 5001)]
        await second.wait_closed()

    run(serving(body, creation=77))


@pytest.mark.interop
@pytest.mark.skipif(not HAVE_ERLANG, reason="Erlang is not installed")
def test_erlang_uses_ours() -> None:
    async def body(server: EpmdServer) -> None:
        one = await asyncio.to_thread(ErlNode, epmd=server.port)
        two = await asyncio.to_thread(ErlNode, epmd=server.port, hidden=True)
        try:
            assert await one.atext(f"net_adm:ping('{two.name}')") == "pong"
            assert one.name.split("@")[0] in await one.atext("net_adm:names()")
            info = await port_please(two.name.split("@")[0], epmd_port=server.port)
            assert info is not None
            assert info.compatible
            assert not info.hidden, "Erlang registers hidden nodes as ordinary ones; their flags tell"
            creations = [int(await node.atext("erlang:system_info(creation)")) for node in (one, two)]
            assert creations == [1000, 1001]
            listed = await asyncio.to_thread(
                subprocess.run,
                ["epmd", "-port", str(server.port), "-names"],
                capture_output=True,
                check=True,
                text=True,
            )
            assert f"name {one.name.split('@')[0]} at port" in listed.stdout
            await asyncio.to_thread(two.kill)
            await gone(server, 1)
        finally:
            await asyncio.to_thread(one.stop)
            await asyncio.to_thread(two.kill)
        await gone(server)

    asyncio.run(serving(body, creation=1000))


@pytest.mark.interop
@pytest.mark.skipif(not HAVE_ELIXIR, reason="Elixir is not installed")
def test_elixir_uses_ours() -> None:
    async def body(server: EpmdServer) -> None:
        node = await asyncio.to_thread(ElixirNode, epmd=server.port)
        try:
            assert [name for name, _ in await names(epmd_port=server.port)] == [node.name.split("@")[0]]
            assert node.name.split("@")[0] in await node.atext(":net_adm.names()")
        finally:
            await asyncio.to_thread(node.stop)
        await gone(server)

    asyncio.run(serving(body))


@pytest.mark.interop
@pytest.mark.skipif(not HAVE_ERLANG, reason="Erlang is not installed")
def test_erlang_registers_again_with_ours() -> None:
    """A node keeps its name over a restart of the port mapper (it tries every two seconds)."""

    async def go() -> None:
        first = EpmdServer(port=0)
        await first.start()
        node = await asyncio.to_thread(ErlNode, epmd=first.port)
        first.stop()
        async with EpmdServer(port=first.port) as second:
            try:
                await eventually(lambda: len(second.directory) == 1)
                assert [name for name, _ in await names(epmd_port=first.port)] == [node.name.split("@")[0]]
            finally:
                await asyncio.to_thread(node.stop)

    asyncio.run(asyncio.wait_for(go(), 30))


def test_end_on_request(run: Run) -> None:
    async def body(server: EpmdServer) -> None:
        registration = await register("barry", 5000, epmd_port=server.port)
        assert await kill(epmd_port=server.port) is False
        await registration.wait_closed()
        await gone(server)
        assert await kill(epmd_port=server.port) is True
        await server.wait_stopped()
        with pytest.raises(EpmdUnreachable):
            await names(epmd_port=server.port)

    run(serving(body))


def test_end_for_want_of_names(run: Run) -> None:
    async def body(server: EpmdServer) -> None:
        registration = await register("barry", 5000, epmd_port=server.port)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(server.wait_stopped(), 0.5)
        await registration.wait_closed()
        await server.wait_stopped()

    run(serving(body, exit_when_idle=0.1))


async def raw(server: EpmdServer, data: bytes) -> bytes:
    """What the server says to these bytes before it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(data)
        return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x00",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff\xff",
        b"\x00\x01\xff",
        b"\x00\x03x\x00\x00",
        b"\x00\x02\x78\x00" * 9,
    ],
)
def test_broken_requests_close_the_socket_and_nothing_else(run: Run, data: bytes) -> None:
    async def body(server: EpmdServer) -> None:
        registration = await register("barry", 5000, epmd_port=server.port)
        assert await raw(server, data) == b""
        assert await names(epmd_port=server.port) == [("barry", 5000)]
        await registration.wait_closed()

    run(serving(body))


def test_requests_may_come_byte_by_byte_and_nodes_may_babble(run: Run) -> None:
    async def body(server: EpmdServer) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for byte in encode_request(AliveRequest("slow", 5000)):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        assert (await reader.readexactly(6))[:2] == b"\x76\x00"
        writer.write(bytes(1_000_000))
        await writer.drain()
        assert await names(epmd_port=server.port) == [("slow", 5000)]
        [connection] = [open for open in server.open if open._name == "slow"]
        assert connection._data == b""
        writer.close()
        await gone(server)

    run(serving(body))


def test_strangers_have_little_time(run: Run) -> None:
    async def body(server: EpmdServer) -> None:
        assert await raw(server, b"") == b""
        assert await raw(server, b"\x00\x09x") == b""

    run(serving(body, request_timeout=0.1))


def test_strangers_are_bounded_in_number_and_nodes_are_not_strangers(run: Run) -> None:
    async def body(server: EpmdServer) -> None:
        registrations = [await register(f"n{i}", 5000 + i, epmd_port=server.port) for i in range(5)]
        strangers = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(3)]
        await eventually(lambda: len(server.open) == 8)
        assert await raw(server, b"\x00\x01n") == b""
        for _, writer in strangers:
            writer.close()
        await eventually(lambda: len(server.open) == 5)
        assert len(await names(epmd_port=server.port)) == 5
        for registration in registrations:
            await registration.wait_closed()

    run(serving(body, connections_max=3))


def test_requests_are_bounded(run: Run) -> None:
    async def body(server: EpmdServer) -> None:
        size = REQUEST_MAX + 1
        assert await raw(server, size.to_bytes(2, "big") + bytes(size)) == b""

    run(serving(body))


def test_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ERL_EPMD_ADDRESS", raising=False)
    assert configured_addresses() == ("127.0.0.1", "::1")
    monkeypatch.setenv("ERL_EPMD_ADDRESS", "10.0.0.7, 127.0.0.1")
    assert configured_addresses(["10.0.0.8"]) == ("127.0.0.1", "::1", "10.0.0.7", "10.0.0.8")
    monkeypatch.setenv("ERL_EPMD_ADDRESS", "myhost")
    with pytest.raises(EpmdError, match="'myhost' is not an IP address"):
        configured_addresses()


def test_listens_on_loopback_only(run: Run) -> None:
    async def body(server: EpmdServer) -> None:
        for listening in server._servers:
            for sock in listening.sockets:
                assert sock.getsockname()[0] in ("127.0.0.1", "::1")

    run(serving(body))


def test_port_in_use_is_explained() -> None:
    first = bind(0)
    port = first[0].getsockname()[1]
    try:
        with pytest.raises(EpmdError, match=rf"port {port} of 127\.0\.0\.1 is in use.*ERL_EPMD_PORT"):
            bind(port)
        with pytest.raises(EpmdError, match=r"203\.0\.113\.1 is not an address of this machine"):
            bind(free_port(), ["203.0.113.1"])
    finally:
        for listener in first:
            listener.close()


def test_names_are_taken_from_this_machine_only(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_is_local", lambda transport: False)

    async def body(server: EpmdServer) -> None:
        assert await raw(server, encode_request(AliveRequest("far", 5000))) == b""
        assert await names(epmd_port=server.port) == []

    run(serving(body))
