"""Nodes that come and go beside two real Erlang nodes with partition prevention on: nobody healthy is ever split off."""

from __future__ import annotations

import os
import queue
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from beam import COOKIE, ErlNode, RealEpmd

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.timeout(600)]
JOINS = 300
AT_ONCE = 4
RESIDENT = "resident@localhost"


class Factory:
    """The forking process, its lines in a queue."""

    def __init__(self, epmd: RealEpmd, peers: list[str]) -> None:
        script = Path(__file__).with_name("node_factory.py")
        self.process = subprocess.Popen(
            [sys.executable, str(script), str(epmd.port), COOKIE, *peers],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip
        self.lines: queue.Queue[str] = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        assert self.next() == "ready"

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line.strip())

    def next(self, timeout: float = 30) -> str:
        return self.lines.get(timeout=timeout)

    def start(self, name: str, seconds: float = 0.0) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"start {name} {seconds}\n")

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("leave all\n")
        self.process.stdin.close()
        self.process.wait(10)
        self.reader.join(10)
        self.process.stdout.close()


@pytest.fixture
def pair(start_erl: Callable[..., ErlNode]) -> tuple[ErlNode, ErlNode]:
    one, two = start_erl(), start_erl()
    assert one.eval(f"net_kernel:connect_node('{two.name}')") is True
    one.eval("global:sync()")
    one.eval("register(split_watch, spawn(fun() -> net_kernel:monitor_nodes(true), "
             "L = fun F(Lost) -> receive {nodedown, N} -> F([N|Lost]); {ask, P} -> P ! {lost, Lost}, F(Lost); "
             "_ -> F(Lost) end end, "
             "L([]) end))")  # fmt: skip
    return one, two


@pytest.fixture
def factory(real_epmd: RealEpmd, pair: tuple[ErlNode, ErlNode]) -> Iterator[Factory]:
    made = Factory(real_epmd, [pair[0].name])
    yield made
    made.close()


def assert_healthy(one: ErlNode, two: ErlNode) -> None:
    """The two Erlang nodes never lost each other, and `global` answers on both."""
    lost = one.eval("begin split_watch ! {ask, self()}, receive {lost, L} -> L after 5000 -> timeout end end")
    assert two.name not in [str(node) for node in lost]
    assert two.name in [str(node) for node in one.eval("nodes()")]
    for node in (one, two):
        synced = node.text("begin S = self(), spawn(fun() -> S ! {synced, global:sync()} end), "
                           "receive {synced, R} -> R after 15000 -> hangs end end", timeout=30)  # fmt: skip
        assert synced == "ok"


def leftovers(one: ErlNode, two: ErlNode) -> None:
    """Nothing of the guests is left: connections, monitors, names, locks."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        guests = [str(node) for node in one.eval("nodes(connected)") if str(node) not in (two.name, RESIDENT)]
        locks = one.text("ets:tab2list(global_locks)")
        if not guests and locks == "[]":
            return
        time.sleep(0.1)
    raise AssertionError(f"left behind: {guests} {locks}")


def resident_facts(one: ErlNode) -> dict[str, int]:
    """What the beamish node that stays all the time holds, in numbers, asked from Erlang."""

    def ask(module: str, function: str, arguments: str) -> int:
        value = one.eval(f"rpc:call('{RESIDENT}', {module}, {function}, {arguments})")
        assert isinstance(value, int), value
        return value

    return {
        "processes": ask("erlang", "system_info", "[process_count]"),
        "nodes": ask("builtins", "len", f"[rpc:call('{RESIDENT}', erlang, nodes, [connected])]"),
        "monitors": ask("builtins", "len", f"[element(2, rpc:call('{RESIDENT}', erlang, process_info, "
                                           f"[rpc:call('{RESIDENT}', erlang, whereis, [global_name_server]), monitors]))]"),
        "bytes": ask("erlang", "memory", "[total]"),
    }  # fmt: skip


def settled_facts(one: ErlNode) -> dict[str, int]:
    """The same once it sees the two Erlang nodes and nobody else, and no session is under way."""
    deadline = time.monotonic() + 20
    before: dict[str, int] = {}
    while time.monotonic() < deadline:
        facts = resident_facts(one)
        if facts["nodes"] == 2 and facts["processes"] == before.get("processes"):
            return facts
        before = facts
        time.sleep(0.2)
    raise AssertionError(f"the resident node does not come to rest: {before}")


def churn(factory: Factory, rng: random.Random, prefix: str, kill: bool) -> int:
    """Run JOINS lives, AT_ONCE at a time; how many joined."""
    started = running = joined = 0
    while started < JOINS or running:
        while started < JOINS and running < AT_ONCE:
            factory.start(f"{prefix}{started}@localhost", 0.0 if kill else rng.uniform(0.0, 0.3))
            started += 1
            running += 1
            time.sleep(rng.uniform(0.0, 0.03))
        line = factory.next()
        verb, _name, *rest = line.split()
        if verb == "up":
            joined += rest[1] == "joined"
            if kill:
                time.sleep(rng.uniform(0.0, 0.1))
                os.kill(int(rest[0]), signal.SIGKILL)
                running -= 1
        elif verb == "left":
            running -= 1
        else:
            raise AssertionError(line)
    return joined


@pytest.mark.parametrize("kill", [False, True], ids=["leaving", "killed"])
def test_many_joins_and_leaves_split_nobody(pair: tuple[ErlNode, ErlNode], factory: Factory, kill: bool) -> None:
    one, two = pair
    factory.start(RESIDENT)
    assert factory.next().startswith(f"up {RESIDENT} ")
    before = settled_facts(one)
    joined = churn(factory, random.Random(5 + kill), "k" if kill else "l", kill)
    assert joined == JOINS
    assert_healthy(one, two)
    leftovers(one, two)
    after = settled_facts(one)
    assert (after["processes"], after["monitors"]) == (before["processes"], before["monitors"])
    assert after["bytes"] < before["bytes"] + (16 << 20), "memory grew"
    processes = one.eval("erlang:system_info(process_count)")
    assert processes < 120, "no process of a session is left"
