"""What every kind of route promises: monitors, aliases and calls."""

from __future__ import annotations

import pytest

from beamish.errors import CallTimeout
from beamish.process import (
    Process,
    alias,
    demonitor,
    exit,
    link,
    monitor,
    receive,
    self,
    send,
    spawn,
    trap_exit,
    unalias,
    unlink,
)
from beamish.process.gen import GEN_CALL, CallFailed, call, reply
from beamish.term import Pid, atom
from beamish.testing import flush
from contracts.pairs import PATIENCE, Pair, contract, echo, idle, news, settled

# ---- monitors


@contract
async def test_monitors_by_pid_and_by_name(pair: Pair) -> None:
    async def body() -> None:
        peer = pair.b.spawn(echo)
        remote = pair.b.spawn(idle, name="service")
        by_pid = monitor(remote)
        by_name = monitor(("service", pair.b.node))
        again = monitor(remote)
        await settled(peer)
        assert Process.info(self(), "monitors") == [remote, (atom.service, pair.b.node), remote]
        Process.exit(remote, "why")
        found = {message[1]: message for message in [await news(), await news(), await news()]}
        assert found == {
            by_pid: (atom.DOWN, by_pid, atom.process, remote, "why"),
            by_name: (atom.DOWN, by_name, atom.process, (atom.service, pair.b.node), "why"),
            again: (atom.DOWN, again, atom.process, remote, "why"),
        }
        await settled(peer)
        assert await flush() == []
        assert pair.tables() == [{}] * 8

    await pair.a.run(body)


@contract
async def test_monitors_of_the_absent_are_noproc(pair: Pair) -> None:
    async def body() -> None:
        gone = Pid(pair.b.node, 4000, 1, pair.b.creation)
        for target, shown in [(gone, gone), (("nobody", pair.b.node), (atom.nobody, pair.b.node))]:
            ref = monitor(target)
            assert await news() == (atom.DOWN, ref, atom.process, shown, atom.noproc)
        assert pair.tables() == [{}] * 8

    await pair.a.run(body)


@contract
async def test_demonitor_leaves_nothing_on_either_side(pair: Pair) -> None:
    async def body() -> None:
        peer = pair.b.spawn(echo)
        remote = pair.b.spawn(idle, name="service")
        refs = [monitor(remote), monitor(("service", pair.b.node))]
        await settled(peer)
        assert Process.info(self(), "monitors") != []
        assert len(pair.b.process_of(remote).rare_parts.watchers) == 2  # type: ignore[union-attr, arg-type]
        for ref in refs:
            assert demonitor(ref) is True
        Process.exit(remote, "why")
        await settled(peer)
        assert await flush() == []
        assert pair.tables() == [{}] * 8

    await pair.a.run(body)


@contract
async def test_a_watcher_that_dies_is_forgotten_on_the_other_side(pair: Pair) -> None:
    async def body() -> None:
        peer = pair.b.spawn(echo)
        remote = pair.b.spawn(idle)

        async def watcher() -> None:
            monitor(remote)
            link(remote)
            unlink(remote)
            await receive()

        pid = spawn(watcher)
        await settled(peer)
        Process.exit(pid, atom.kill)
        await settled(peer)
        assert pair.tables() == [{}] * 8
        block = pair.b.process_of(remote)
        assert block is not None
        assert not block.rare_parts.watchers
        assert not block.rare_parts.links

    await pair.a.run(body)


@contract
async def test_a_reason_that_is_no_term_still_tells_of_the_death(pair: Pair) -> None:
    async def dies() -> None:
        await receive()
        exit(object())

    async def body() -> None:
        trap_exit()
        remote = pair.b.spawn(dies)
        link(remote)
        ref = monitor(remote)
        send(remote, "now")
        messages = [await news(), await news()]
        assert [message[0] for message in messages] == [atom.EXIT, atom.DOWN]
        for message in messages:
            assert message[-1][0] is atom.unsendable_reason
            assert "object object" in message[-1][1]
        assert messages[1][1] == ref

    await pair.a.run(body)


# ---- aliases and calls


@contract
async def test_aliases_from_abroad(pair: Pair) -> None:
    async def body() -> None:
        peer = pair.b.spawn(echo)
        mine = alias()
        send(peer, (mine, 1))
        assert await news() == 1
        unalias(mine)
        send(peer, (mine, 2))
        await settled(peer)
        once = monitor(peer, alias="reply_demonitor")
        send(peer, (once, 3))
        send(peer, (once, 4))
        assert await news() == 3
        await settled(peer)
        assert await flush() == []
        assert pair.tables() == [{}] * 8
        assert demonitor(once) is False

    await pair.a.run(body)


async def answering() -> None:
    """Answers with the request, but stays silent, or ends, if asked to."""
    while True:
        tag, sender, request = await receive()
        assert tag is GEN_CALL
        match request:
            case what if what is atom.silence:
                continue
            case (what, reason) if what is atom.stop:
                exit(reason)
        reply(sender, (atom.ok, request))


@contract
async def test_calls_across(pair: Pair) -> None:
    async def body() -> None:
        peer = pair.b.spawn(echo)
        server = pair.b.spawn(answering, name="server")
        for target in (server, ("server", pair.b.node)):
            assert await call(target, "question", PATIENCE) == (atom.ok, "question")
        with pytest.raises(CallFailed) as failed:
            await call(("nobody", pair.b.node), "question", PATIENCE)
        assert failed.value.reason is atom.noproc
        with pytest.raises(CallTimeout):
            await call(server, atom.silence, 0.05)
        with pytest.raises(CallFailed) as failed:
            await call(server, (atom.stop, "why"), PATIENCE)
        assert failed.value.reason == "why"
        await settled(peer)
        assert pair.tables() == [{}] * 8
        assert pair.a.aliases == {}
        assert await flush() == []

    await pair.a.run(body)
