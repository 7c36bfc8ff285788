"""Threads and an HTTP client inside processes."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import httpx
import pytest

from beamish.process import (
    Process,
    receive,
    self,
    send,
    spawn,
)
from beamish.term import Pid
from loops import on_every_loop, on_real_loops


@on_every_loop
async def test_work_in_a_thread() -> None:
    def work(number: int) -> tuple[int, str]:
        time.sleep(0.01)
        return number * 2, threading.current_thread().name

    result, name = await asyncio.to_thread(work, 21)
    assert result == 42
    assert name != threading.current_thread().name
    with pytest.raises(ZeroDivisionError):
        await asyncio.to_thread(lambda: 1 // 0)


class Server:
    """A local HTTP server whose connections are all closed when it is."""

    def __init__(self_, handler: Any) -> None:
        self_.handler = handler
        self_.handlers: set[asyncio.Task[None]] = set()

    def _accept(self_, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self_.handlers.add(asyncio.ensure_future(self_.handler(reader, writer)))

    async def __aenter__(self_) -> int:
        self_.server = await asyncio.start_server(self_._accept, "127.0.0.1", 0)
        return int(self_.server.sockets[0].getsockname()[1])

    async def __aexit__(self_, *_: object) -> None:
        self_.server.close()
        for handler in self_.handlers:
            handler.cancel()
        await asyncio.gather(*self_.handlers, return_exceptions=True)
        await self_.server.wait_closed()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One HTTP answer for each request, until the client goes."""
    try:
        while request := await reader.readuntil(b"\r\n\r\n"):
            path = request.split(b" ")[1]
            if path == b"/slow":
                await asyncio.sleep(30)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(path), path))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()
        await writer.wait_closed()


@on_every_loop
async def test_an_http_client() -> None:
    async def client(number: int, port: int, to: Pid) -> None:
        async with httpx.AsyncClient(trust_env=False) as http:
            for _ in range(2):
                response = await http.get(f"http://127.0.0.1:{port}/{number}", timeout=10)
                send(to, (number, response.text))

    async with Server(answer) as port:
        for number in range(5):
            spawn(client, number, port, self())
        answers = sorted([await receive(timeout=15) for _ in range(10)])
        assert answers == sorted([(number, f"/{number}") for number in range(5)] * 2)
        async with httpx.AsyncClient(trust_env=False) as http:
            with pytest.raises(httpx.ReadTimeout):
                await http.get(f"http://127.0.0.1:{port}/slow", timeout=0.2)


@on_real_loops
async def test_a_process_killed_in_the_middle_of_a_request_closes_its_connection() -> None:
    gone: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        send(me, "asked")
        gone.set_result(await reader.read())
        writer.close()
        await writer.wait_closed()

    async def client(port: int) -> None:
        async with httpx.AsyncClient(trust_env=False) as http:
            await http.get(f"http://127.0.0.1:{port}/", timeout=60)

    me = self()
    async with Server(silent) as port:
        pid = spawn(client, port)
        assert await receive(timeout=10) == "asked"
        Process.exit(pid, "enough")
        assert await asyncio.wait_for(gone, 10) == b""
