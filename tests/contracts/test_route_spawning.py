"""What every kind of route promises: processes that others ask for."""

from __future__ import annotations

from typing import Any

import pytest

from beamish.errors import RemoteError
from beamish.node import Node
from beamish.node.remote_spawn import spawn_request
from beamish.node.runtime import current_runtime
from beamish.process import (
    Process,
    Route,
    exit,
    receive,
    self,
    send,
    set_group_leader,
    spawn,
    trap_exit,
)
from beamish.process._signals import in_link, in_monitor
from beamish.term import Pid, Ref, atom
from beamish.testing import flush
from contracts.pairs import PATIENCE, Pair, contract, echo, idle, news, settled


def spawn_service(runtime: Any) -> Any:
    """A small `spawn_requested`: knows ``jobs:idle/0``, ``jobs:tell/1`` and ``jobs:exit/1``."""
    import beamish.process as kernel

    async def tell(to: Pid) -> None:
        send(to, (self(), kernel.group_leader()))
        await receive()

    async def ends(reason: Any) -> None:
        exit(reason)

    jobs = {atom.idle: idle, atom.tell: tell, atom.exit: ends}

    def handle(route: Route, ref: Ref, remote: Pid, leader: Pid, mfa: Any, args: list[Any], opts: list[Any]) -> None:
        if mfa[0] is not atom.jobs or mfa[1] not in jobs:
            route.spawn_reply(ref, remote, 0, atom.badarg)
            return
        pid = runtime.spawn(jobs[mfa[1]], *args, leader=leader, parent=remote)
        flags = 0
        if atom.monitor in opts:
            in_monitor(runtime, route, remote, pid, ref)
            flags |= 2
        if atom.link in opts:
            in_link(runtime, route, remote, pid)
            flags |= 1
        route.spawn_reply(ref, remote, flags, pid)

    return handle


@contract
async def test_spawn_requests(pair: Pair) -> None:
    pair.b.services["spawn_requested"] = spawn_service(pair.b)

    async def body() -> None:
        trap_exit()
        peer = pair.b.spawn(echo)
        set_group_leader(self(), self())
        pid = await Node.spawn(pair.b.node, "jobs", "tell", [self()])
        assert pid.node is pair.b.node
        assert await news() == (pid, self())
        pid, ref = await Node.spawn(pair.b.node, "jobs", "exit", ["why"], monitor=True)
        assert await news() == (atom.DOWN, ref, atom.process, pid, "why")
        pid = await Node.spawn_link(pair.b.node, "jobs", "idle", [])
        assert Process.info(self(), "links") == [pid]
        Process.exit(pid, "linked")
        assert await news() == (atom.EXIT, pid, "linked")
        pid, ref = await Node.spawn(pair.b.node, "jobs", "exit", ["both"], monitor=True, link=True)
        assert {str(m[0]) for m in [await news(), await news()]} == {"EXIT", "DOWN"}
        with pytest.raises(RemoteError, match="badarg"):
            await Node.spawn(pair.b.node, "jobs", "unknown", [])
        with pytest.raises(ValueError, match=r"."):
            await Node.spawn(pair.b.node, "jobs", "exit", [object()])
        await settled(peer)
        assert await flush() == []
        assert pair.tables() == [{}] * 8

    await pair.a.run(body)


@contract
async def test_without_the_service_spawn_requests_are_refused(pair: Pair) -> None:
    async def body() -> None:
        with pytest.raises(RemoteError, match="notsup"):
            await Node.spawn(pair.b.node, "jobs", "idle", [])
        assert pair.tables() == [{}] * 8

    await pair.a.run(body)


@contract
async def test_whoever_asks_and_dies_leaves_no_linked_process_behind(pair: Pair) -> None:
    pair.b.services["spawn_requested"] = spawn_service(pair.b)

    async def body() -> None:
        peer = pair.b.spawn(echo)

        async def asks() -> None:
            spawn_request(current_runtime(), pair.b.node, (atom.jobs, atom.idle, []), link=True)
            exit("gone")

        before = pair.b.process_count
        _, ref = spawn(asks, monitor=True)
        await receive(ref, timeout=PATIENCE)
        await settled(peer)
        await settled(peer)
        assert pair.b.process_count == before
        assert pair.tables() == [{}] * 8

    await pair.a.run(body)


@contract
async def test_group_leaders_can_be_set_across(pair: Pair) -> None:
    async def body() -> None:
        peer = pair.b.spawn(echo)
        remote = pair.b.spawn(idle)
        set_group_leader(remote, self())
        await settled(peer)
        block = pair.b.process_of(remote)
        assert block is not None
        assert block.leader == self()

    await pair.a.run(body)
