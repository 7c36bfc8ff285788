"""Processes that do anything to one another, and what must hold however they behaved."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from typing import Any

from beamish.errors import BeamishError
from beamish.node.runtime import Runtime
from beamish.process import (
    Process,
    alias,
    cancel_timer,
    demonitor,
    exit,
    link,
    monitor,
    receive,
    register,
    registered,
    send,
    send_after,
    spawn,
    trap_exit,
    unalias,
    unlink,
    unregister,
)
from beamish.process.gen import call
from beamish.term import Pid, Ref, atom

STEPS = 60
MOST_BORN = 400


class Chaos:
    """A crowd of processes over one source of chance."""

    def __init__(self, seed: int, *, stay: bool = False) -> None:
        """stay: whoever has lived its life stays until it is killed, so that there is somebody to look at."""
        self.stay = stay
        self.chance = random.Random(seed)
        self.pids: list[Pid] = []
        self.refs: list[Ref] = []
        self.done = 0
        self.born = 0

    def somebody(self) -> Pid:
        return self.chance.choice(self.pids)

    def anything(self) -> Any:
        return self.chance.choice([1, "text", (atom.a, 1), None, self.somebody(), [1] * 100])

    def newborn(self, pid: Any) -> None:
        self.born += 1
        self.pids.append(pid[0] if isinstance(pid, tuple) else pid)
        del self.pids[:-200]

    async def act(self) -> None:
        """One random deed of the current process."""
        chance = self.chance
        match chance.randrange(24):
            case 0 | 1 | 2 | 3:
                for _ in range(chance.randrange(20)):
                    send(self.somebody(), self.anything())
            case 4 | 5:
                await receive(timeout=chance.choice([0, 0.001, 0.01]))
            case 6:
                await receive(lambda m: m == 1, timeout=0.005)
            case 7:
                await receive((atom.a, ...), timeout=0.005)
            case 8:
                link(self.somebody())
            case 9:
                linked = Process.info(Process.self(), "links") or [self.somebody()]
                unlink(chance.choice(linked))
                if chance.random() < 0.4:
                    link(chance.choice(linked))
            case 10:
                self.refs.append(monitor(self.somebody(), alias=chance.choice([False, True, "demonitor"])))
            case 11 if self.refs:
                demonitor(chance.choice(self.refs), flush=chance.random() < 0.5)
            case 12:
                self.refs.append(alias())
            case 13 if self.refs:
                send(chance.choice(self.refs), "to an alias")
                unalias(chance.choice(self.refs))
            case 14:
                Process.exit(self.somebody(), chance.choice([atom.normal, atom.kill, "why", atom.shutdown]))
            case 15 if self.born < MOST_BORN:
                self.newborn(spawn(self.life, link=chance.random() < 0.3, monitor=chance.random() < 0.3))
            case 16:
                trap_exit(chance.random() < 0.7)
            case 17:
                register(f"name{chance.randrange(10)}", self.somebody())
            case 18 if registered():
                unregister(chance.choice(registered()))
            case 19:
                self.refs.append(send_after(chance.random() / 100, self.somebody(), "later"))
                cancel_timer(chance.choice(self.refs))
            case 20:
                await asyncio.sleep(chance.choice([0, 0.001]))
            case 21:
                async with asyncio.timeout(0.002):
                    await receive(lambda m: m == "never")
            case 22:
                await call(self.somebody(), "question", 0.002)
            case 23 if chance.random() < 0.2:
                exit("enough")

    async def life(self) -> None:
        """Live for a while; some do not want to go."""
        stubborn = self.chance.randrange(6)
        for _ in range(STEPS):
            try:
                await self.act()
            except (TimeoutError, BeamishError):
                pass
            except BaseException:
                if stubborn:
                    raise
                stubborn += 1
            finally:
                if self.chance.random() < 0.1:
                    await asyncio.sleep(0)
        self.done += 1
        if self.stay:
            await receive(lambda m: False)


def check(runtimes: Iterable[Runtime]) -> None:
    """Links and monitors are known on both sides; names and aliases belong to the living.

    Between nodes this holds when no signal is under way.
    """
    nodes = {runtime.node: runtime for runtime in runtimes}
    living = {pid: runtime.process_of(pid) for runtime in nodes.values() for pid in runtime.pids()}
    assert len(living) == sum(runtime.process_count for runtime in nodes.values())
    for pid, process in living.items():
        assert process is not None
        assert process.pid == pid
        rare = process.details["rare"]
        if rare is None:
            continue
        for partner, unlinking in (rare.links or {}).items():
            assert unlinking == 0, "an unlink that was never acknowledged"
            assert pid in (living[partner].rare_parts.links or {}), "a link has two ends"
        for ref, target in (rare.monitors or {}).items():
            watchers = living[target].rare_parts.watchers or {}
            assert ref in watchers
            assert (watchers[ref][0] if isinstance(watchers[ref], tuple) else watchers[ref]) == pid
        for ref, watcher in (rare.watchers or {}).items():
            holder = watcher[0] if isinstance(watcher, tuple) else watcher
            assert ref in (living[holder].rare_parts.monitors or {})
        for ref in rare.aliases or ():
            assert nodes[pid.node].aliases[ref][0] is process
        for name in rare.names or ():
            assert nodes[pid.node].names[name] is process
    for runtime in nodes.values():
        for process in runtime.names.values():
            assert living[process.pid] is process
        for ref, (process, _) in runtime.aliases.items():
            assert living[process.pid] is process
            assert ref in (process.rare_parts.aliases or ())
        for route in runtime.routes.values():
            for remote, locals_ in route.links.items():
                for local in locals_:
                    assert remote in (living[local].rare_parts.links or {})
            for ref, local in route.out_monitors.items():
                assert ref in (living[local].rare_parts.monitors or {})
            for ref, local in route.in_monitors.items():
                assert ref in (living[local].rare_parts.watchers or {})
