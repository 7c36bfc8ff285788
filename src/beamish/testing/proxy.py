"""A TCP proxy that makes trouble: it cuts, delays and throttles what passes, in real time over real sockets.

    async with CuttingProxy("127.0.0.1", port_of_the_server) as proxy:
        connect_to("127.0.0.1", proxy.port)
        proxy.delay = 0.05
        await proxy.cut()
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Final

CHUNK: Final = 16 << 10


class CuttingProxy:
    """Stands before one server. The attributes may be changed while connections are open.

    delay: seconds that every piece waits. rate: bytes per second in each direction, None for as fast as it goes.
    """

    def __init__(self, host: str, port: int, *, delay: float = 0.0, rate: float | None = None) -> None:
        self.target = (host, port)
        self.delay = delay
        self.rate = rate
        self.passed = {"in": 0, "out": 0}
        """Bytes from clients to the server ("in") and back ("out")."""
        self.accepted = 0
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._refusing = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._serving: set[asyncio.Task[Any]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """Where clients connect to, on 127.0.0.1."""
        if self._server is None:
            raise RuntimeError("the proxy is not running: use it as `async with CuttingProxy(...) as proxy`")
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aenter__(self) -> CuttingProxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        await self.cut()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def stall(self) -> None:
        """Pass nothing on, but keep every connection open: the other side has fallen silent."""
        self._flowing.clear()

    def resume(self) -> None:
        """Pass on again, including what came meanwhile."""
        self._flowing.set()

    def refuse(self, on: bool = True) -> None:
        """Close new connections at once."""
        self._refusing = on

    async def cut(self) -> None:
        """Break every connection; what is under way is lost and both sides get a reset. New ones are let in."""
        for writer in list(self._writers):
            writer.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._writers.add(writer)
        task = asyncio.current_task()
        if task is not None:
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        try:
            if self._refusing:
                return
            try:
                there_reader, there = await asyncio.open_connection(*self.target)
            except OSError:
                return
            self._writers.add(there)
            both = [
                asyncio.ensure_future(self._pass(reader, there, "in")),
                asyncio.ensure_future(self._pass(there_reader, writer, "out")),
            ]
            for task in both:
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            await asyncio.wait(both)
            self._writers.discard(there)
            there.close()
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str) -> None:
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(64)
        pulling = asyncio.ensure_future(self._pull(reader, pieces))
        try:
            while True:
                came, piece = await pieces.get()
                wait = came + self.delay - loop.time()
                if wait > 0:
                    await asyncio.sleep(wait)
                if self.rate is not None:
                    await asyncio.sleep(len(piece) / self.rate)
                await self._flowing.wait()
                if not piece:
                    writer.write_eof()
                    return
                writer.write(piece)
                await writer.drain()
                self.passed[way] += len(piece)
        except (ConnectionError, OSError):
            writer.transport.abort()
        finally:
            pulling.cancel()

    async def _pull(self, reader: asyncio.StreamReader, pieces: asyncio.Queue[tuple[float, bytes]]) -> None:
        """Read ahead, so that a delay is one of time and not of rate. An empty piece is the end."""
        piece = b"start"
        while piece:
            try:
                piece = await reader.read(CHUNK)
            except (ConnectionError, OSError):
                piece = b""
            await pieces.put((asyncio.get_running_loop().time(), piece))


__all__ = ["CuttingProxy"]
