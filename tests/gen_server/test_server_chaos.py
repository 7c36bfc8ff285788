"""Random interleavings of calls, casts, crashes, kills and time limits: every caller hears exactly once, and of its own call."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from beamish.errors import BeamishError, CallTimeout
from beamish.gen_server import NO_REPLY, CallFailed, GenServer, call, cast
from beamish.node.runtime import current_runtime
from beamish.process import Process, monitor, receive, self, send, spawn
from beamish.term import atom
from loops import on_real_loops, virtual


class Ledger(GenServer):
    """Answers in every way it can, keeps what it acknowledged, fails when told to."""

    def init(self, book: list[Any], chance: random.Random) -> None:
        self.book, self.chance = book, chance
        self.waiting: list[Any] = []

    @call(timeout=1)
    def write(self, entry: int) -> int:
        self.book.append(entry)
        return entry

    @call(timeout=1)
    async def write_slowly(self, entry: int) -> int:
        await asyncio.sleep(self.chance.choice([0, 0.001, 0.01]))
        self.book.append(entry)
        return entry

    @call(timeout=0.02)
    async def write_too_slowly(self, entry: int) -> int:
        await asyncio.sleep(self.chance.choice([0.01, 0.03]))
        return entry

    @call(timeout=0.05)
    def write_later(self, entry: int) -> Any:
        self.waiting.append((self.caller, entry))
        return NO_REPLY

    @cast
    def release(self) -> None:
        self.chance.shuffle(self.waiting)
        for caller, entry in self.waiting:
            GenServer.reply(caller, entry)
        self.waiting.clear()

    @call(timeout=1)
    def crash(self, entry: int) -> int:
        raise ValueError(entry)

    @call(timeout=1, raises=(KeyError,))
    def refuse(self, entry: int) -> int:
        raise KeyError(str(entry))

    def handle_info(self, message: Any) -> None:
        pass


WAYS = ["write", "write", "write_slowly", "write_too_slowly", "write_later", "refuse", "raw", "noise"]


class Crowd:
    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.book: list[Any] = []
        self.said: list[Any] = []
        self.acknowledged: set[int] = set()
        self.number = 0
        self.ledger: Any = None

    async def server(self) -> Ledger:
        return await Ledger.start(self.book, self.chance)

    async def client(self) -> None:
        """Calls and checks that each answer belongs to its call."""
        for _ in range(20):
            self.number += 1
            entry = self.number
            server = self.ledger
            what = self.chance.choice(WAYS)
            if self.chance.random() < 0.03:
                what = "crash"
            try:
                match what:
                    case "noise":
                        send(server.pid, self.number)
                        server.release()
                        await asyncio.sleep(0)
                        continue
                    case "raw":
                        assert await GenServer.call(server.pid, (atom.write, entry), 1) == entry
                        self.acknowledged.add(entry)
                    case "refuse":
                        with pytest.raises(KeyError, match=str(entry)):
                            await server.refuse(entry)
                    case _:
                        if self.chance.random() < 0.2:
                            async with asyncio.timeout(0.005):
                                assert await getattr(server, what)(entry) == entry
                        else:
                            assert await getattr(server, what)(entry) == entry
                        if what in ("write", "write_slowly"):
                            self.acknowledged.add(entry)
            except (CallTimeout, CallFailed, TimeoutError):
                pass
            if self.chance.random() < 0.02:
                Process.exit(server.pid, self.chance.choice([atom.kill, atom.shutdown, atom.normal]))
            if not Process.alive(self.ledger.pid):
                self.ledger = await self.server()
            assert Process.info(Process.self(), "message_queue_len") == 0
        self.said.append(Process.self())


async def run_crowd(seed: int, clients: int) -> None:
    crowd = Crowd(seed)
    crowd.ledger = await crowd.server()
    watched = {monitor(spawn(crowd.client)) for _ in range(clients)}
    victims = [spawn(crowd.client) for _ in range(3)]
    for victim in victims:
        await asyncio.sleep(0.002)
        Process.exit(victim, atom.kill)
    while watched:
        _, ref, _, _, reason = await receive((atom.DOWN, ..., ..., ..., ...), timeout=60)
        assert reason is atom.normal
        watched.remove(ref)
    assert crowd.acknowledged <= set(crowd.book), "what was acknowledged was done"
    runtime = current_runtime()
    ledger = crowd.ledger
    assert runtime.aliases == {}
    assert Process.info(ledger.pid, "monitored_by") == []
    await GenServer.stop(ledger)


@pytest.mark.parametrize("seed", range(30))
def test_every_caller_hears_of_its_own_call_once(seed: int, crashes: Any) -> None:
    @virtual
    async def test() -> None:
        await run_crowd(seed, 12)

    test()


@on_real_loops
async def test_in_real_time_too(crashes: Any) -> None:
    await run_crowd(99, 8)


@virtual
async def test_a_late_reply_is_never_taken_for_another(crashes: Any) -> None:
    book: list[Any] = []
    server = await Ledger.start(book, random.Random(1))
    for entry in range(50):
        with pytest.raises(BeamishError):
            await server.write_later(entry)
        server.release()
        assert await server.write(entry + 1000) == entry + 1000
    assert Process.info(self(), "message_queue_len") == 0
