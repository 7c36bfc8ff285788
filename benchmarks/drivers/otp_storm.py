"""Messages of every kind through a supervision tree whose workers crash and are killed at random: is anything lost that was
acknowledged?

    otp_storm.py [--messages N] [--seed N] [--clients N] [--crash-every N] [--busy-every N]
        prints a report; exit code 1 when a rule is broken
    otp_storm.py serve
        speaks the lines of harness.Child: "storm N SEED"

The tree: a ledger, and three teams of workers (one_for_one, rest_for_one, one_for_all). Clients send the workers calls,
calls that the ledger answers for the worker, casts and plain messages, each numbered. A worker records what it is sent by
a cast to the ledger, then acknowledges it. About one message in `crash_every` makes its worker fail: before it records,
before it acknowledges, or after; half as often a worker is killed, and now and then a whole team. With `busy_every` some
messages keep their worker computing for so long that it is preempted, and perhaps killed while it is. What must hold:

 1. What was acknowledged is in the ledger.
 2. Nothing is in the ledger twice, and what one client sent to one worker is there in the order in which it was sent.
 3. Every call returns or fails; an answer belongs to its request; none comes after its call has failed.
 4. In the end every worker is alive again, and when the tree has stopped nothing of it is left.

erlang/bench_storm.erl is the same program.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import beamish
from beamish import Process, atom, receive, send, spawn_monitor, whereis
from beamish import self as me
from beamish.errors import NoProcess
from beamish.gen_server import NO_REPLY, GenServer, Stop, call, cast
from beamish.process.gen import CallFailed
from beamish.supervisor import Supervisor
from beamish.term import Atom

TEAMS = {"one_for_one": 8, "rest_for_one": 8, "one_for_all": 4}
WORKERS = [atom(f"worker_{index}") for index in range(sum(TEAMS.values()))]
LEDGER = atom.ledger
BURST = 32
"""Messages that a client sends to one worker before it waits until the worker has read them."""
PATIENCE = 30.0
"""Seconds within which the tree must be whole again."""
BUSY_SECONDS = 0.004
ENDLESS = 1_000_000_000  # restarts that a supervisor forgives

FINE, BUSY, BEFORE, AFTER, LATE = atom.fine, atom.busy, atom.before, atom.after, atom.late
FATES = (BEFORE, AFTER, LATE)  # before the worker records, before it acknowledges, after it has acknowledged
ACKNOWLEDGED, NOTE, FINISH = atom.acknowledged, atom.note, atom.finish


class Crash(Exception):
    """What workers fail with."""


class Ledger(GenServer):
    """Remembers what was recorded, and notices what is recorded twice or out of order."""

    def init(self, clients: int, each: int) -> None:
        self.recorded = [bytearray(each) for _ in range(clients)]
        self.last: dict[tuple[int, int], int] = {}
        self.violations: list[str] = []
        self.starts = 0
        self.crashes = 0

    def handle_cast(self, request: Any) -> None:
        match request:
            case (atom.record, client, number, worker):
                self.record(client, number, worker)
            case (atom.record_and_reply, client, number, worker, from_):
                self.record(client, number, worker)
                GenServer.reply(from_, number)
            case atom.started:
                self.starts += 1
            case atom.crashing:
                self.crashes += 1

    def record(self, client: int, number: int, worker: int) -> None:
        """Write one message down."""
        if self.recorded[client][number]:
            self.violations.append(f"message {number} of client {client} was handled twice (worker {worker})")
        elif number <= self.last.get((client, worker), -1):
            self.violations.append(f"message {number} of client {client} came to worker {worker} out of order")
        self.recorded[client][number] = 1
        self.last[client, worker] = number

    @call
    def summary(self) -> Any:
        """By reference, as everything on one node."""
        return self.recorded, self.violations, self.starts, self.crashes


class Worker(GenServer):
    """Records, then acknowledges; fails as the message asks."""

    def init(self, index: int) -> None:
        self.index = index
        GenServer.cast(LEDGER, atom.started)

    @call
    def record(self, client: int, number: int, fate: Atom) -> Any:
        """An ordinary call."""
        self.take(client, number, fate)
        return Stop(atom.storm, reply=number) if self.crashing(fate) else number

    def handle_call(self, request: Any, from_: Any) -> Any:
        match request:
            case (atom.record_later, client, number, fate):  # the ledger answers
                if fate is BEFORE:
                    self.crash()
                if fate is BUSY:
                    compute(BUSY_SECONDS)
                GenServer.cast(LEDGER, (atom.record_and_reply, client, number, self.index, from_))
                if fate is AFTER or fate is LATE:
                    self.crash()
                return NO_REPLY
            case atom.sync:
                return atom.ok

    @cast
    def record_soon(self, sender: Any, client: int, number: int, fate: Atom) -> None:
        """A cast, acknowledged by a message."""
        self.note(sender, client, number, fate)

    def handle_info(self, message: Any) -> None:
        match message:
            case (atom.note, sender, client, number, fate):
                self.note(sender, client, number, fate)

    def note(self, sender: Any, client: int, number: int, fate: Atom) -> None:
        """Record, acknowledge by a message."""
        self.take(client, number, fate)
        send(sender, (ACKNOWLEDGED, number))
        if self.crashing(fate):
            raise Crash("after it acknowledged")

    def take(self, client: int, number: int, fate: Atom) -> None:
        """Record, and fail before or after if asked to."""
        if fate is BEFORE:
            self.crash()
        GenServer.cast(LEDGER, (atom.record, client, number, self.index))
        if fate is BUSY:
            compute(BUSY_SECONDS)
        if fate is AFTER:
            self.crash()

    def crashing(self, fate: Atom) -> bool:
        """Whether to fail now that the message is acknowledged; tells the ledger."""
        if fate is LATE:
            GenServer.cast(LEDGER, atom.crashing)
        return fate is LATE

    def crash(self) -> None:
        """Fail."""
        GenServer.cast(LEDGER, atom.crashing)
        raise Crash("as asked")


def compute(seconds: float) -> None:
    """Work in pure Python."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for i in range(100):
            i * i % 7


@dataclass
class Client:
    """One client: sends `each` numbered messages and remembers which were acknowledged."""

    index: int
    each: int
    crash_every: int
    busy_every: int
    seed: int
    acknowledged: bytearray = field(init=False)
    violations: list[str] = field(default_factory=list)
    kills: int = 0

    def __post_init__(self) -> None:
        self.acknowledged = bytearray(self.each)
        self.random = random.Random(self.seed * 1009 + self.index)

    async def run(self, parent: Any) -> None:
        """Be the client's process."""
        number = 0
        while number < self.each:
            worker = self.random.randrange(len(WORKERS))
            alive = True
            last = min(number + BURST, self.each)
            while alive and number < last:
                alive = await self.send_one(worker, number)
                number += 1
            if not (await self.drain(worker) and alive):
                await asyncio.sleep(0)  # let the supervisor start it again, as Erlang's scheduler would
        send(parent, (FINISH, self.index))
        await receive(FINISH)
        await self.drain(None)

    async def send_one(self, worker: int, number: int) -> bool:
        """Send one message of a random kind, which is to have a random effect. False when the worker was seen to be gone."""
        chance = self.random.random
        fate = FATES[int(chance() * 3)] if chance() * self.crash_every < 1 else FINE
        if self.busy_every and fate is FINE and chance() * self.busy_every < 1:
            fate = BUSY
        if chance() * self.crash_every < 0.5:
            self.kill(WORKERS[worker])
        if chance() * self.crash_every < 0.025:
            self.kill(atom([*TEAMS][int(chance() * len(TEAMS))]))
        kind, name = chance(), WORKERS[worker]
        try:
            if kind < 0.4:
                self.answered(number, await Worker.at(name).record(self.index, number, fate))
            elif kind < 0.55:
                self.answered(number, await GenServer.call(name, (atom.record_later, self.index, number, fate)))
            elif kind < 0.8:
                Worker.at(name).record_soon(me(), self.index, number, fate)
            else:
                send(name, (NOTE, me(), self.index, number, fate))
        except (CallFailed, NoProcess):
            return False  # not acknowledged
        return True

    def kill(self, name: Atom) -> None:
        """Kill whoever has that name, if anybody has."""
        pid = whereis(name)
        if pid is not None:
            self.kills += 1
            Process.exit(pid, atom.kill)

    def answered(self, number: int, answer: Any) -> None:
        """A call returned."""
        if answer != number:
            self.violations.append(f"client {self.index} asked {number} and was answered {answer!r}")
        else:
            self.acknowledged[number] = 1

    async def drain(self, worker: int | None) -> bool:
        """Read the acknowledgements. When the worker has answered, or is gone (False), all that will ever come are here."""
        alive = True
        if worker is not None:
            try:
                await GenServer.call(WORKERS[worker], atom.sync)
            except CallFailed:
                alive = False
        while True:
            try:
                message = await receive(timeout=0)
            except TimeoutError:
                return alive
            match message:
                case (atom.acknowledged, int(number)):
                    self.acknowledged[number] = 1
                case _:
                    self.violations.append(f"client {self.index} was sent {message!r}, which nobody owed it")


@dataclass
class Report:
    """What happened. The storm has held when there are no violations."""

    messages: int
    seed: int
    seconds: float
    acknowledged: int
    recorded: int
    crashes: int
    kills: int
    restarts: int
    preemptions: int
    violations: list[str]

    def __str__(self) -> str:
        lines = [
            f"{self.messages:,} messages in {self.seconds:.1f} s ({self.messages / self.seconds:,.0f}/s), seed {self.seed}",
            f"{self.acknowledged:,} acknowledged, {self.recorded:,} recorded",
            f"{self.crashes:,} crashes, {self.kills:,} kills, {self.restarts:,} restarts, {self.preemptions:,} preemptions",
        ]
        shown = self.violations[:20]
        hidden = len(self.violations) - len(shown)
        lines += [f"BROKEN: {violation}" for violation in shown] + ([f"and {hidden:,} more"] if hidden else [])
        return "\n".join(lines)


def tree(clients: int, each: int, worker: type[Worker], ledger: type[Ledger]) -> list[Any]:
    """The children of the root supervisor."""
    children: list[Any] = [ledger.child_spec(clients, each, name=LEDGER)]
    index = 0
    for strategy, size in TEAMS.items():
        members = [worker.child_spec(i, name=WORKERS[i], id=i) for i in range(index, index + size)]
        index += size
        options = {"strategy": strategy, "max_restarts": ENDLESS, "max_seconds": 1, "name": atom(strategy)}
        children.append(Supervisor.child_spec(members, id=strategy, **options))
    return children


async def storm(
    messages: int, seed: int, clients: int = 16, crash_every: int = 1000, busy_every: int = 0,
    worker: type[Worker] = Worker, ledger: type[Ledger] = Ledger,
) -> Report:  # fmt: skip
    """Run one storm inside a node and say what happened."""
    each = messages // clients
    alive_before = set(Process.list())
    preempted_before = beamish.current_runtime().preemptions
    children = tree(clients, each, worker, ledger)
    root = await Supervisor.start_link(children, strategy="one_for_one", max_restarts=ENDLESS, max_seconds=1)
    start = time.perf_counter()
    party = [Client(i, each, crash_every, busy_every, seed) for i in range(clients)]
    watched = [spawn_monitor(client.run, me()) for client in party]
    monitors = {ref: index for index, (_, ref) in enumerate(watched)}
    violations: list[str] = []
    for _ in party:
        match await receive(lambda message: isinstance(message, tuple) and message[0] in (FINISH, atom.DOWN)):
            case (atom.DOWN, ref, _, _, reason):
                violations.append(f"client {monitors.pop(ref)} ended before it was done: {reason}")
    recorded, noticed, starts, crashes = await Ledger.at(LEDGER).summary()
    seconds = time.perf_counter() - start
    for pid, _ in watched:
        send(pid, FINISH)
    for ref in monitors:
        _, _, _, _, reason = await receive((atom.DOWN, ref, ..., ..., ...))
        if reason is not atom.normal:
            violations.append(f"client {monitors[ref]} failed: {reason}")
    violations += noticed + [violation for client in party for violation in client.violations]
    for client in party:
        lost = [n for n in range(each) if client.acknowledged[n] and not recorded[client.index][n]]
        violations += [f"message {n} of client {client.index} was acknowledged and is lost" for n in lost]
    violations += await ruins(root, alive_before)
    return Report(
        messages=each * clients,
        seed=seed,
        seconds=seconds,
        acknowledged=sum(sum(client.acknowledged) for client in party),
        recorded=sum(map(sum, recorded)),
        crashes=crashes,
        kills=sum(client.kills for client in party),
        restarts=starts - len(WORKERS),
        preemptions=beamish.current_runtime().preemptions - preempted_before,
        violations=violations,
    )


async def ruins(root: Any, alive_before: set[Any]) -> list[str]:
    """Wait until all workers answer, then stop the tree: what is missing before, what is left after."""
    deadline = time.monotonic() + PATIENCE
    missing = list(WORKERS)
    while missing and time.monotonic() < deadline:
        try:
            await GenServer.call(missing[-1], atom.sync)
            missing.pop()
        except CallFailed:
            await Process.sleep(0.001)
    found = [f"{name} did not come back within {PATIENCE:g} s" for name in missing]
    for strategy, size in TEAMS.items():
        counts = await Supervisor.count_children(atom(strategy))
        if counts.active != size:
            found.append(f"team {strategy} has {counts} instead of {size} children")
    await GenServer.stop(root)
    left = set(Process.list()) - alive_before
    return found + [f"{pid} is left over: {Process.info(pid)}" for pid in left]


def main() -> int:
    """0 when every rule held, else 1."""
    logging.getLogger("beamish").setLevel(logging.CRITICAL + 1)  # crashes are what we came for
    if sys.argv[1:] == ["serve"]:
        return serve()
    parser = argparse.ArgumentParser(description="Messages through a tree whose workers crash at random.")
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--crash-every", type=int, default=1000, metavar="N", help="one message in N is fatal")
    parser.add_argument("--busy-every", type=int, default=0, metavar="N", help="one message in N keeps its worker busy")
    options = parser.parse_args()
    report = beamish.run(storm, options.messages, options.seed, options.clients, options.crash_every, options.busy_every)
    print(report)
    return 1 if report.violations else 0


def serve() -> int:
    """Answer lines "storm MESSAGES SEED" with messages/s, crashes and kills together, and restarts."""
    print("ready", flush=True)
    for line in sys.stdin:
        _, messages, seed = line.split()
        report = beamish.run(storm, int(messages), int(seed))
        if report.violations:
            print(report, file=sys.stderr, flush=True)
            return 1
        print(report.messages / report.seconds, report.crashes + report.kills, report.restarts, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
