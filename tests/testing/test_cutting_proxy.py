from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from beamish.testing import CuttingProxy


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write(b"bye")
    except ConnectionError:
        pass
    finally:
        writer.close()
        try:
            await writer.wait_closed()
        except ConnectionError:
            pass


@asynccontextmanager
async def proxied() -> AsyncIterator[CuttingProxy]:
    handlers: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.add(asyncio.ensure_future(serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with CuttingProxy("127.0.0.1", server.sockets[0].getsockname()[1]) as proxy:
        yield proxy
    await asyncio.gather(*handlers)
    server.close()
    await server.wait_closed()


async def connect(proxy: CuttingProxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", proxy.port)


def run(test: object) -> None:
    async def main() -> None:
        async with asyncio.timeout(20), proxied() as proxy:
            await test(proxy)  # type: ignore[operator]

    asyncio.run(main())


def test_it_passes_everything_on_in_both_directions_and_the_end_too() -> None:
    async def test(proxy: CuttingProxy) -> None:
        reader, writer = await connect(proxy)
        data = bytes(range(256)) * 2000
        writer.write(data)
        assert await reader.readexactly(len(data)) == data
        writer.write_eof()
        assert await reader.read() == b"bye"
        assert proxy.passed == {"in": len(data), "out": len(data) + 3}
        assert proxy.accepted == 1
        writer.close()

    run(test)


def test_cutting_breaks_open_connections_and_lets_new_ones_in() -> None:
    async def test(proxy: CuttingProxy) -> None:
        reader, writer = await connect(proxy)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        await proxy.cut()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            writer.write(b"lost")
            await reader.readexactly(1)
        writer.close()
        reader, writer = await connect(proxy)
        writer.write(b"again")
        assert await reader.readexactly(5) == b"again"
        writer.close()

    run(test)


def test_a_delay_holds_everything_back_for_its_time() -> None:
    async def test(proxy: CuttingProxy) -> None:
        proxy.delay = 0.05
        reader, writer = await connect(proxy)
        loop = asyncio.get_running_loop()
        start = loop.time()
        for _ in range(20):
            writer.write(b"x")
            await asyncio.sleep(0)
        assert await reader.readexactly(20) == b"x" * 20
        assert 0.1 <= loop.time() - start < 1.0, "both ways, but not once for every piece"
        writer.close()

    run(test)


def test_a_rate_throttles() -> None:
    async def test(proxy: CuttingProxy) -> None:
        proxy.rate = 1 << 20
        reader, writer = await connect(proxy)
        loop = asyncio.get_running_loop()
        start = loop.time()
        writer.write(bytes(200 << 10))
        await reader.readexactly(200 << 10)
        assert loop.time() - start >= 0.19
        writer.close()

    run(test)


def test_stalling_keeps_connections_open_and_silent() -> None:
    async def test(proxy: CuttingProxy) -> None:
        reader, writer = await connect(proxy)
        proxy.stall()
        writer.write(b"later")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readexactly(5), 0.1)
        proxy.resume()
        assert await reader.readexactly(5) == b"later"
        writer.close()

    run(test)


def test_refusing() -> None:
    async def test(proxy: CuttingProxy) -> None:
        proxy.refuse()
        reader, writer = await connect(proxy)
        assert await reader.read() == b""
        writer.close()
        proxy.refuse(False)
        reader, writer = await connect(proxy)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        writer.close()

    run(test)


def test_a_server_that_is_not_there_closes_the_connection() -> None:
    async def main() -> None:
        async with CuttingProxy("127.0.0.1", 1) as proxy:
            reader, writer = await connect(proxy)
            assert await reader.read() == b""
            writer.close()

    asyncio.run(main())


def test_before_it_runs_it_has_no_port() -> None:
    with pytest.raises(RuntimeError, match="async with CuttingProxy"):
        _ = CuttingProxy("127.0.0.1", 1).port
