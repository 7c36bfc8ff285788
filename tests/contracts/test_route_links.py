"""What every kind of route promises: links and exit signals."""

from __future__ import annotations

from typing import Any

from beamish.process import (
    Process,
    current_process,
    demonitor,
    exit,
    link,
    monitor,
    receive,
    self,
    send,
    spawn,
    trap_exit,
    unlink,
)
from beamish.process._signals import kill_process
from beamish.term import Pid, atom
from beamish.testing import flush
from contracts.pairs import PATIENCE, Pair, contract, echo, idle, news, settled, trapping

# ---- links


@contract
async def test_links_carry_the_end_in_both_directions(pair: Pair) -> None:
    async def body() -> None:
        trap_exit()
        peer = pair.b.spawn(echo)

        async def ends_when_told(how: Any) -> None:
            await receive()
            if how is not None:
                exit(how)

        for how, reason in [(None, atom.normal), ("why", "why"), ((atom.shutdown, [1]), (atom.shutdown, [1]))]:
            remote = pair.b.spawn(ends_when_told, how)
            link(remote)
            link(remote)
            send(remote, "now")
            assert await news() == (atom.EXIT, remote, reason)
        listener = pair.b.spawn(trapping, self())
        assert await news() == "ready"

        async def linked() -> None:
            link(listener)
            await receive()
            exit("here")

        local = spawn(linked)
        send(local, "now")
        assert await news() == (atom.EXIT, local, "here")
        await settled(peer)
        assert await flush() == []
        assert pair.tables()[0::4] == [{}, {}]

    await pair.a.run(body)


@contract
async def test_a_process_that_does_not_trap_dies_of_a_link_across(pair: Pair) -> None:
    async def body() -> None:
        remote = pair.b.spawn(idle)

        async def linked() -> None:
            link(remote)
            await receive()

        local, ref = spawn(linked, monitor=True)
        second = monitor(remote)
        await settled(pair.b.spawn(echo))
        Process.exit(local, "why")
        assert (await receive(ref, timeout=PATIENCE))[4] == "why"
        assert (await receive(second, timeout=PATIENCE))[4] == "why"

    await pair.a.run(body)


@contract
async def test_linking_to_the_dead_is_noproc(pair: Pair) -> None:
    async def body() -> None:
        trap_exit()
        peer = pair.b.spawn(echo)
        gone = Pid(pair.b.node, 4000, 1, pair.b.creation)
        link(gone)
        assert await news() == (atom.EXIT, gone, atom.noproc)
        await settled(peer)
        assert pair.tables() == [{}] * 8
        assert Process.info(self(), "links") == []

    await pair.a.run(body)


@contract
async def test_after_unlink_nothing_comes_and_nothing_is_left(pair: Pair) -> None:
    async def body() -> None:
        trap_exit()
        peer = pair.b.spawn(echo)
        remote = pair.b.spawn(idle)
        link(remote)
        await settled(peer)
        assert pair.b.process_of(remote).rare_parts.links == {self(): 0}  # type: ignore[union-attr]
        unlink(remote)
        Process.exit(remote, "why")
        await settled(peer)
        assert await flush() == []
        assert pair.tables() == [{}] * 8
        assert not current_process().rare_parts.links  # type: ignore[union-attr]

    await pair.a.run(body)


@contract
async def test_unlink_and_link_again_at_once_is_a_link(pair: Pair) -> None:
    async def body() -> None:
        trap_exit()
        peer = pair.b.spawn(echo)
        remote = pair.b.spawn(idle)
        for _ in range(3):
            link(remote)
            unlink(remote)
        link(remote)
        await settled(peer)
        assert Process.info(self(), "links") == [remote]
        Process.exit(remote, "why")
        assert await news() == (atom.EXIT, remote, "why")
        await settled(peer)
        assert pair.tables() == [{}] * 8

    await pair.a.run(body)


@contract
async def test_both_sides_unlink_at_the_same_time(pair: Pair) -> None:
    async def other(to: Pid) -> None:
        trap_exit()
        link(to)
        send(to, self())
        await receive()
        unlink(to)
        send(to, "unlinked")
        send(to, await receive())

    async def body() -> None:
        trap_exit()
        peer = pair.b.spawn(echo)
        remote = pair.b.spawn(other, self())
        await news()
        send(remote, "unlink")
        unlink(remote)
        assert await news() == "unlinked"
        await settled(peer)
        assert pair.tables() == [{}] * 8
        Process.exit(remote, atom.kill)
        await settled(peer)
        assert await flush() == []

    await pair.a.run(body)


@contract
async def test_an_exit_that_crosses_an_unlink_is_not_heard(pair: Pair) -> None:
    """The other process dies before it hears of our unlink: the news is under way while we untie."""

    async def body() -> None:
        trap_exit()
        peer = pair.b.spawn(echo)
        remote = pair.b.spawn(idle)
        link(remote)
        await settled(peer)
        kill_process(pair.b.process_of(remote), "why")  # type: ignore[arg-type]
        unlink(remote)
        await settled(peer)
        assert await flush() == []
        assert pair.tables() == [{}] * 8

    await pair.a.run(body)


# ---- exit signals


@contract
async def test_exit_signals(pair: Pair) -> None:
    async def body() -> None:
        listener = pair.b.spawn(trapping, self())
        assert await news() == "ready"
        for reason in (atom.normal, "why", (atom.shutdown, 1), {"map": [1]}):
            Process.exit(listener, reason)
            assert await news() == (atom.EXIT, self(), reason)
        ref = monitor(listener)
        Process.exit(listener, atom.kill)
        assert (await news()) == (atom.DOWN, ref, atom.process, listener, atom.killed)
        quiet = pair.b.spawn(idle)
        ref = monitor(quiet)
        Process.exit(quiet, atom.normal)
        await settled(pair.b.spawn(echo))
        assert await flush() == []
        Process.exit(quiet, "why")
        assert (await news())[4] == "why"

    await pair.a.run(body)


@contract
async def test_messages_exits_and_monitors_of_a_pair_keep_their_order(pair: Pair) -> None:
    async def body() -> None:
        listener = pair.b.spawn(trapping, self())
        assert await news() == "ready"
        expected: list[Any] = []
        for number in range(300):
            if number % 3 == 0:
                Process.exit(listener, (atom.number, number))
                expected.append((atom.EXIT, self(), (atom.number, number)))
            else:
                send(listener, number)
                expected.append(number)
            if number % 50 == 0:
                demonitor(monitor(listener))
        assert [await news() for _ in expected] == expected

    await pair.a.run(body)
