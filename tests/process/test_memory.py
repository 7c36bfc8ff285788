"""What ended leaves nothing, and what idles costs little."""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref
from typing import Any

import pytest

from beamish.node.runtime import Runtime
from beamish.process import (
    Process,
    alias,
    current_process,
    current_scheduler,
    link,
    monitor,
    receive,
    self,
    send,
    spawn,
    spawn_link,
    spawn_monitor,
)
from beamish.process.gen import call, reply
from beamish.term import Pid, atom
from beamish.testing import VirtualClockLoop, flush
from loops import virtual


def objects() -> int:
    gc.collect()
    return len(gc.get_objects())


def tables() -> dict[str, Any]:
    home = current_scheduler()
    me = current_process()
    assert home is not None
    assert me is not None
    rare = me.rare_parts
    return {
        "processes": home.process_count,
        "ready": home.ready_count,
        "names": len(home.names),
        "aliases": len(home.aliases),
        "timers": len(home.timers_by_ref),
        "links": len(rare.links or ()),
        "monitors": len(rare.monitors or ()),
        "watchers": len(rare.watchers or ()),
        "my aliases": len(rare.aliases or ()),
    }


async def nothing() -> None: ...


async def with_everything(peer: Pid) -> None:
    link(peer)
    monitor(peer)
    alias()
    Process.put("key", object())
    Process.set_label("label")
    try:
        await receive(timeout=0.001)
    except TimeoutError:
        pass


@virtual
async def test_ten_thousand_processes_leave_nothing() -> None:
    async def rounds(count: int) -> None:
        for _ in range(count):
            for _ in range(50):
                spawn(nothing)
                spawn(with_everything, me)
                spawn_link(nothing)
                spawn_monitor(nothing)
            for number in range(10):
                send(spawn(nothing, name=f"name{number}"), number)
            await asyncio.sleep(0.01)
            await flush()

    me = self()
    await rounds(5)
    before, table = objects(), tables()
    await rounds(50)
    assert tables() == table
    home = current_scheduler()
    assert home is not None
    assert home.timer_count < 500
    assert abs(objects() - before) < 200


@virtual
async def test_killed_ones_leave_nothing_either() -> None:
    async def one_round() -> None:
        pids = [spawn(with_everything_and_wait, me) for _ in range(200)]
        await asyncio.sleep(0.01)
        for pid in pids[::2]:
            Process.exit(pid, atom.kill)
        for pid in pids[1::2]:
            Process.exit(pid, (atom.shutdown, pid))
        await asyncio.sleep(0.01)

    async def with_everything_and_wait(peer: Pid) -> None:
        link(peer)
        monitor(peer)
        alias()
        await asyncio.sleep(1000)

    from beamish.process import trap_exit

    trap_exit()
    me = self()
    await one_round()
    await flush()
    before, table = objects(), tables()
    for _ in range(20):
        await one_round()
        await flush()
    assert tables() == table
    assert abs(objects() - before) < 200


@virtual
async def test_crashes_leave_nothing(crashes: Any) -> None:
    class Held:
        pass

    async def fails(held: Held) -> None:
        raise ValueError(held)

    held = Held()
    gone = weakref.ref(held)
    _, ref = spawn_monitor(fails, held)
    del held
    await receive(ref)
    crashes._caplog.clear()
    gc.collect()
    assert gone() is None


@virtual
async def test_calls_leave_nothing() -> None:
    async def server() -> None:
        while True:
            _, sender, request = await receive()
            reply(sender, request)

    pid = spawn(server)
    for _ in range(100):
        await call(pid, 1)
    before, table = objects(), tables()
    for _ in range(3000):
        await call(pid, 1)
    assert tables() == table
    home = current_scheduler()
    assert home is not None
    assert home.timer_count < 200
    assert abs(objects() - before) < 100
    assert Process.info(pid, "monitored_by") == []


@virtual
async def test_the_control_block_is_freed_with_the_process_though_its_pid_lives() -> None:
    home = current_scheduler()
    assert home is not None
    pid, ref = spawn_monitor(nothing)
    block = weakref.ref(home.process_of(pid))
    assert block() is not None
    await receive(ref)
    await asyncio.sleep(0.01)
    assert block() is None
    assert str(pid)


@pytest.mark.parametrize("pending", ["nothing", "messages", "timers", "parked", "crowd"])
def test_a_stopped_runtime_is_freed(pending: str) -> None:
    async def body() -> None:
        if pending == "parked":
            await asyncio.sleep(1000)
        await receive(lambda m: m == "never", timeout=500)

    async def main() -> weakref.ref[Runtime]:
        runtime = Runtime(atom("short@lived"))
        pids = [runtime.spawn(body) for _ in range(100 if pending == "crowd" else 1)]
        if pending != "nothing":
            await asyncio.sleep(0.01)
        match pending:
            case "messages":
                for _ in range(100):
                    runtime.send(pids[0], object())
            case "timers":
                runtime.send_later(100, pids[0], "late")
                runtime.call_later(100, runtime.pids)
        await runtime.stop()
        await asyncio.sleep(0.01)
        return weakref.ref(runtime)

    loop = VirtualClockLoop()
    gone = loop.run_until_complete(main())
    loop.run_until_complete(asyncio.sleep(10_000))
    loop.close()
    gc.collect()
    assert gone() is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_an_idle_process_costs_little() -> None:
    def resident() -> int:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * 4096

    async def idle() -> None:
        while True:
            await receive()

    async def main() -> float:
        runtime = Runtime()
        for _ in range(1000):
            runtime.spawn(idle)
        await asyncio.sleep(0.01)
        gc.collect()
        before, count = resident(), 50_000
        for _ in range(count):
            runtime.spawn(idle)
        await asyncio.sleep(0.01)
        cost = (resident() - before) / count
        await runtime.stop()
        return cost

    loop = VirtualClockLoop()
    cost = loop.run_until_complete(main())
    loop.close()
    assert cost <= 1000, f"{cost:.0f} bytes; 700 is the aim, the rest is slack for allocators"
