"""Calls, casts and messages through a tree of every kind of supervisor, while workers and whole supervisors die at random.

The ledger, which nobody kills, keeps what was written. A worker acknowledges a write only when the ledger has it. So:

 - what was acknowledged is in the ledger, and nothing is there that nobody wrote, and nothing twice;
 - every call comes back, with an answer or an error, and the answer is the one to that call;
 - in the end everybody who should run does, and when the tree is stopped nothing of it is left.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from typing import Any

import pytest

from beamish.errors import CallTimeout, NoProcess
from beamish.gen_server import CallFailed, GenServer, call, cast
from beamish.process import Process, receive, send, spawn_monitor, trap_exit, whereis
from beamish.supervisor import ChildSpec, DynamicSupervisor, PartitionSupervisor, Supervisor
from beamish.term import Pid, atom
from beamish.testing import capture_log, run_virtual

FOREVER = {"max_restarts": 10**6, "max_seconds": 1}
PARTITIONS = 3
CRASH = 0.01
MESSAGES = int(os.environ.get("BEAMISH_STORM", "50000"))
"""Messages of the first run; set the environment variable for a longer one."""


class Ledger(GenServer):
    """What was written."""

    def init(self) -> None:
        self.written: Counter[Any] = Counter()

    @call
    def note(self, entry: Any) -> Any:
        """Keep it."""
        self.written[entry] += 1
        return entry

    @call
    def all(self) -> Any:
        """Everything."""
        return self.written


class Crash(Exception):
    """What workers fail with."""


class Worker(GenServer):
    """Writes into the ledger, unless it dies before, meanwhile or afterwards."""

    def init(self, seed: Any = 0) -> None:
        self.dice = random.Random(f"{seed}-{self.pid}")
        trap_exit(self.dice.random() < 0.5)
        self.count = 0

    def may_fail(self) -> None:
        if self.dice.random() < CRASH:
            raise Crash("at random")

    @call
    async def write(self, entry: Any) -> Any:
        """Write, then acknowledge."""
        self.may_fail()
        answer = await GenServer.call("ledger", (atom.note, entry))
        self.may_fail()
        return answer

    @cast
    def poke(self) -> None:
        """A cast."""
        self.may_fail()
        self.count += 1

    def handle_info(self, message: Any) -> None:
        self.may_fail()
        self.count += 1


class Storm:
    """One run."""

    def __init__(self, seed: int, messages: int, clients: int = 20) -> None:
        self.seed, self.messages, self.clients = seed, messages, clients
        self.acknowledged: Counter[Any] = Counter()
        self.asked: set[Any] = set()
        self.outcomes: Counter[str] = Counter()

    async def run(self) -> None:
        trap_exit(True)
        before = len(Process.list())
        team = Supervisor.child_spec(
            [Worker.child_spec(self.seed, id=each, name=f"team_{each}") for each in range(4)],
            strategy="rest_for_one", name="team", **FOREVER,
        )  # fmt: skip
        choir = Supervisor.child_spec(
            [Worker.child_spec(self.seed, id=each, name=f"choir_{each}") for each in range(3)],
            strategy="one_for_all", name="choir", **FOREVER,
        )  # fmt: skip
        parts = PartitionSupervisor.child_spec((Worker, self.seed), partitions=PARTITIONS, name="parts", **FOREVER)
        pool = DynamicSupervisor.child_spec(name="pool", **FOREVER)
        filler = ChildSpec("filler", self.fill, restart="transient")
        workers = Supervisor.child_spec([team, choir, parts, pool, filler], strategy="one_for_one", name="workers", **FOREVER)
        top = await Supervisor.start_link([Ledger.child_spec(name="ledger"), workers], strategy="rest_for_one", **FOREVER)
        ends = [spawn_monitor(self.client, number)[1] for number in range(self.clients)]
        killer = spawn_monitor(self.kill_some)[0]
        for ref in ends:
            assert (await receive(ref))[4] is atom.normal
        Process.exit(killer, atom.kill)
        await asyncio.sleep(1)
        await self.check()
        await top.stop()
        await asyncio.sleep(1)
        assert len(Process.list()) == before

    async def fill(self) -> Any:
        """The start function that gives a pool its children; itself it does not run."""
        for _ in range(5):
            await DynamicSupervisor.start_child("pool", (Worker, self.seed))
        return atom.ignore

    async def client(self, number: int) -> None:
        dice = random.Random(f"{self.seed}-client-{number}")
        for turn in range(self.messages // self.clients):
            target = await self.someone(dice)
            kind = dice.random()
            if target is None:
                self.outcomes["nobody"] += 1
            elif kind < 0.5:
                await self.write(target, (number, turn))
            elif kind < 0.75:
                GenServer.cast(target, atom.poke)
            else:
                try:
                    send(target, "hello")
                except NoProcess:
                    self.outcomes["nobody"] += 1
            if dice.random() < 0.05:
                await asyncio.sleep(0)

    async def write(self, target: Any, entry: Any) -> None:
        self.asked.add(entry)
        try:
            async with asyncio.timeout(60):
                answer = await GenServer.call(target, (atom.write, entry), 5.0)
        except (CallFailed, CallTimeout) as error:
            self.outcomes[type(error).__name__] += 1
        else:
            assert answer == entry
            self.acknowledged[entry] += 1

    async def someone(self, dice: random.Random) -> Any:
        kind = dice.randrange(4)
        try:
            if kind == 0:
                return f"team_{dice.randrange(4)}"
            if kind == 1:
                return f"choir_{dice.randrange(3)}"
            if kind == 2:
                return PartitionSupervisor.whereis("parts", dice.randrange(100))
            children = await DynamicSupervisor.which_children("pool") if dice.random() < 0.1 or not self.known else self.known
        except (NoProcess, CallFailed):
            return None
        self.known = children
        pid = dice.choice(children).pid if children else None
        return pid if isinstance(pid, Pid) else None

    known: Any = ()

    async def kill_some(self) -> None:
        """Whole supervisors, and workers from outside."""
        dice = random.Random(f"{self.seed}-killer")
        names = ["team", "choir", "parts", "pool", "workers"] + [f"team_{each}" for each in range(4)] * 4
        while True:
            await asyncio.sleep(0)
            if dice.random() < 0.5:
                pid = whereis(dice.choice(names))
                if pid is not None:
                    self.outcomes["killed"] += 1
                    Process.exit(pid, dice.choice([atom.kill, atom.kill, atom.boom]))

    async def check(self) -> None:
        written = await GenServer.call("ledger", atom.all)
        assert self.acknowledged.keys() <= written.keys() <= self.asked
        assert set(self.acknowledged.values()) | set(written.values()) == {1}
        assert sum(self.acknowledged.values()) + self.outcomes["CallFailed"] + self.outcomes["CallTimeout"] == len(self.asked)
        for name, count in (("team", 4), ("choir", 3), ("parts", PARTITIONS), ("workers", 4)):
            assert (await Supervisor.count_children(name)).active == count, name
        for child in await Supervisor.which_children("workers"):
            assert child.pid is atom.undefined or Process.alive(child.pid)


@pytest.mark.parametrize(("seed", "messages"), [(1, MESSAGES), (2, 8_000), (3, 8_000), (4, 8_000)])
def test_nothing_that_was_acknowledged_is_lost(seed: int, messages: int) -> None:
    storm = Storm(seed, messages)
    with capture_log() as log:
        run_virtual(storm.run)
    assert sum(storm.acknowledged.values()) > messages / 4
    assert storm.outcomes["CallFailed"] > messages / 1000
    assert storm.outcomes["killed"] > 3, storm.outcomes
    crashed = [line for line in log.messages if "Crash: at random" in line and line.startswith("supervisor")]
    assert len(crashed) > messages / 1000
