"""What every kind of route promises to the kernel."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from beamish.errors import CallTimeout, NodeError, RemoteError
from beamish.node import Node
from beamish.node.remote_spawn import spawn_request
from beamish.node.runtime import current_runtime
from beamish.process import (
    Process,
    Route,
    alias,
    current_process,
    demonitor,
    exit,
    link,
    monitor,
    receive,
    register,
    self,
    send,
    send_after,
    set_group_leader,
    spawn,
    trap_exit,
    unalias,
    unlink,
)
from beamish.process._signals import in_link, in_monitor, kill_process
from beamish.process.gen import GEN_CALL, CallFailed, call, reply
from beamish.term import BitString, ExportFun, ImproperList, Pid, Port, Ref, atom
from beamish.testing import flush
from contracts.pairs import PATIENCE, Pair, contract, echo, settled


async def idle() -> None:
    while True:
        await receive()


async def news() -> Any:
    return await receive(timeout=PATIENCE)


async def trapping(to: Pid) -> None:
    trap_exit()
    send(to, "ready")
    while True:
        send(to, await receive())


# ---- messages


@contract
async def test_messages_of_a_pair_keep_their_order_on_every_way(pair: Pair) -> None:
    async def collector(count: int, to: Pid) -> None:
        register("collector", self())
        send(to, alias())
        send(to, [await receive() for _ in range(count)])

    async def body() -> None:
        count = 900
        dest = pair.b.spawn(collector, count, self())
        alias_there = await news()
        for number in range(count):
            send([dest, ("collector", pair.b.node), alias_there][number % 3], number)
        assert await news() == list(range(count))

    await pair.a.run(body)


TERMS: list[Any] = [
    *(0, -1, 2**62, -(2**70), 1.5, True, False, None, atom("an atom"), atom(""), "text ☃", b"bytes", b"", ""),
    *([], [1, 2], (), (1, (2,)), {}, {"key": [1, {2: 3}]}, {atom.a: None}, list(range(500))),
    *(ImproperList((1,), 2), BitString(b"\xa0", 3), ExportFun(atom.m, atom.f, 1)),
    *(Pid(atom("x@y"), 1, 2, 3), Port(atom("x@y"), 2**40, 3), Ref(atom("x@y"), 1, (1, 2, 3))),
]


@contract
async def test_every_kind_of_term_comes_back_as_it_was(pair: Pair) -> None:
    async def body() -> None:
        peer = pair.b.spawn(echo)
        for term in TERMS:
            send(peer, (self(), term))
            back = await news()
            assert back == term
            assert type(back) is type(term)

    await pair.a.run(body)


@contract
async def test_nothing_is_shared(pair: Pair) -> None:
    async def body() -> None:
        peer = pair.b.spawn(echo)
        message = [1, [2]]
        send(peer, (self(), message))
        message[1].append(3)  # type: ignore[attr-defined]
        back = await news()
        assert back == [1, [2]]
        me = (await _round(peer, self()))[0]
        assert me == self()

    async def _round(peer: Pid, term: Any) -> list[Any]:
        send(peer, (self(), [term]))
        back: list[Any] = await news()
        return back

    await pair.a.run(body)


@contract
async def test_a_pid_that_has_been_abroad_still_reaches_its_process(pair: Pair) -> None:
    async def body() -> None:
        peer = pair.b.spawn(echo)
        send(peer, (self(), self()))
        me = await news()
        assert me == self()
        send(me, "local")
        assert await receive(timeout=0) == "local"
        assert demonitor(monitor(me)) in (True, False)
        link(me)

    await pair.a.run(body)


@contract
async def test_absent_destinations_take_messages_silently(pair: Pair) -> None:
    async def body() -> None:
        peer = pair.b.spawn(echo)
        gone = pair.b.spawn(idle)
        kill_process(pair.b.process_of(gone))  # type: ignore[arg-type]
        send(("nobody", pair.b.node), 1)
        send(gone, 1)
        send(Ref(pair.b.node, pair.b.creation, (9, 9, 9)), 1)
        send(Pid(pair.b.node, peer.id, peer.serial, peer.creation + 1), (self(), "to an old life"))
        await settled(peer)
        assert await flush() == []

    await pair.a.run(body)


@contract
async def test_what_is_no_term_fails_at_the_sender_and_harms_nobody(pair: Pair) -> None:
    async def body() -> None:
        peer = pair.b.spawn(echo)
        for bad in (object(), float("nan"), [1, (2, {3: object()})], lambda: 1):
            with pytest.raises(ValueError, match=r"."):
                send(peer, (self(), bad))
        send(peer, (self(), "fine"))
        assert await news() == "fine"
        assert pair.a.peers

    await pair.a.run(body)


@contract
async def test_large_messages_and_small_ones_of_one_sender_stay_in_order(pair: Pair) -> None:
    async def body() -> None:
        peer = pair.b.spawn(echo)
        large = [bytes(range(256)) * 4 * size for size in (1, 1024, 3 * 1024)]
        for data in large:
            send(peer, (self(), data))
            send(peer, (self(), len(data)))
        for data in large:
            assert await news() == data
            assert await news() == len(data)

    await pair.a.run(body)


@contract
async def test_threads_send_abroad(pair: Pair) -> None:
    async def body() -> None:
        me = self()
        peer = pair.b.spawn(echo)
        await asyncio.to_thread(lambda: [pair.a.send(peer, (me, number)) for number in range(200)])
        assert [await news() for _ in range(200)] == list(range(200))

    await pair.a.run(body)


@contract
async def test_timers_send_abroad(pair: Pair) -> None:
    async def body() -> None:
        peer = pair.b.spawn(echo, name="echo")
        send_after(0.01, ("echo", pair.b.node), (self(), "by name"))
        assert await news() == "by name"
        send_after(0.01, peer, (self(), "by pid"))
        assert await news() == "by pid"

    await pair.a.run(body)


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


# ---- processes that others ask for


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


# ---- connections


@contract
async def test_a_cut_is_noconnection_for_everything_across(pair: Pair) -> None:
    heard: list[Any] = []

    async def there(peer: Pid, watched: Pid) -> None:
        trap_exit()
        link(peer)
        monitor(watched)
        send(peer, "ready")
        heard.extend([await receive(), await receive()])

    async def body() -> None:
        trap_exit()
        Node.monitor_nodes()
        watched = spawn(idle)
        remote = pair.b.spawn(there, self(), watched)
        assert await news() == "ready"
        link(remote)
        by_pid = monitor(remote)
        by_name = monitor(("nobody else", pair.b.node), alias="demonitor")
        await receive(by_name, timeout=PATIENCE)
        pair.b.spawn(idle, name="service")
        by_name = monitor(("service", pair.b.node))
        await settled(pair.b.spawn(echo))
        cutting = pair.cut()
        if cutting is not None:
            await cutting
        found = sorted([await news() for _ in range(4)], key=lambda m: (str(m[0]), len(repr(m))))
        assert (atom.EXIT, remote, atom.noconnection) in found
        assert (atom.DOWN, by_pid, atom.process, remote, atom.noconnection) in found
        assert (atom.DOWN, by_name, atom.process, (atom.service, pair.b.node), atom.noconnection) in found
        assert (atom.nodedown, pair.b.node) in found
        assert Process.info(self(), "links") == []
        assert Process.info(self(), "monitors") == []
        async with asyncio.timeout(PATIENCE):
            while len(heard) < 2 or pair.a.node in pair.b.routes:
                await asyncio.sleep(0.01)
        assert (atom.EXIT, self(), atom.noconnection) in heard
        assert heard[0][-1] is heard[1][-1] is atom.noconnection
        assert pair.b.node not in pair.a.routes
        assert Process.info(watched, "monitored_by") == []

    await pair.a.run(body)


@contract
async def test_a_cut_fails_a_spawn_request_that_is_under_way(pair: Pair) -> None:
    pair.b.services["spawn_requested"] = lambda *_: None  # never answers

    async def body() -> None:
        ref = spawn_request(current_runtime(), pair.b.node, (atom.jobs, atom.idle, []))
        await settled(pair.b.spawn(echo))
        cutting = pair.cut()
        if cutting is not None:
            await cutting
        assert await news() == (atom.spawn_reply, ref, atom.error, atom.noconnection)

    await pair.a.run(body)


@contract
async def test_after_a_cut_the_next_signal_connects_again(pair: Pair) -> None:
    async def body() -> None:
        Node.monitor_nodes()
        peer = pair.b.spawn(echo)
        await settled(peer)
        for _ in range(3):
            cutting = pair.cut()
            if cutting is not None:
                await cutting
            assert await news() == (atom.nodedown, pair.b.node)
            async with asyncio.timeout(PATIENCE):
                while pair.a.node in pair.b.peers:
                    await asyncio.sleep(0.01)
            send(peer, (self(), "again"))
            assert {await news(), await news()} == {(atom.nodeup, pair.b.node), "again"}

    await pair.a.run(body)


@contract
async def test_signals_wait_for_the_connection_in_their_order(pair: Pair, connected: bool = False) -> None:
    async def body() -> None:
        peer = pair.b.spawn(echo, name="echo")
        assert Node.list() == []
        trap_exit()
        for number in range(100):
            send(peer, (self(), number))
        gone = Pid(pair.b.node, 4000, 1, pair.b.creation)
        ref = monitor(gone)
        link(gone)
        send(("echo", pair.b.node), (self(), "last"))
        replies = [await receive(lambda m: not isinstance(m, tuple), timeout=PATIENCE) for _ in range(101)]
        assert replies == [*range(100), "last"]
        assert {await news(), await news()} == {
            (atom.DOWN, ref, atom.process, gone, atom.noproc), (atom.EXIT, gone, atom.noproc),
        }  # fmt: skip
        assert Node.list() == [pair.b.node]
        assert pair.tables() == [{}] * 8

    await pair.a.run(body)


@contract
async def test_what_is_no_term_fails_at_the_sender_even_before_there_is_a_connection(
    pair: Pair, connected: bool = False
) -> None:
    async def body() -> None:
        peer = pair.b.spawn(echo)
        send(peer, (self(), "first"))
        with pytest.raises(ValueError, match=r"."):
            send(peer, (self(), object()))
        send(peer, (self(), "second"))
        assert [await news(), await news()] == ["first", "second"]

    await pair.a.run(body)


@contract
async def test_both_sides_send_at_once_without_a_connection(pair: Pair, connected: bool = False) -> None:
    for _ in range(5):
        here, there = pair.a.spawn(echo), pair.b.spawn(echo)

        async def talks(peer: Pid) -> list[Any]:
            for number in range(50):
                send(peer, (self(), number))
            return [await news() for _ in range(50)]

        one = asyncio.create_task(pair.a.run(talks, there))
        two = asyncio.create_task(pair.b.run(talks, here))
        assert await one == list(range(50))
        assert await two == list(range(50))
        assert len(pair.a.peers) == len(pair.b.peers) == 1
        cutting = pair.cut()
        if cutting is not None:
            await cutting
        async with asyncio.timeout(PATIENCE):
            while pair.a.peers or pair.b.peers:
                await asyncio.sleep(0.01)


@contract
async def test_a_node_that_is_not_there(pair: Pair) -> None:
    nowhere = atom(f"nowhere@{str(pair.a.node).partition('@')[2]}")

    async def body() -> None:
        trap_exit()
        assert await Node.connect(nowhere) is False
        ghost = Pid(nowhere, 1, 0, 1)
        send(ghost, "lost")
        ref = monitor(ghost)
        link(ghost)
        assert {await news(), await news()} == {
            (atom.DOWN, ref, atom.process, ghost, atom.noconnection), (atom.EXIT, ghost, atom.noconnection),
        }  # fmt: skip
        with pytest.raises(NodeError, match="not reachable"):
            await Node.spawn(nowhere, "jobs", "idle", [])
        with pytest.raises(CallFailed) as failed:
            await call(("name", nowhere), "question", PATIENCE)
        assert failed.value.reason is atom.noconnection
        assert nowhere not in pair.a.routes

    await pair.a.run(body)


@contract
async def test_disconnecting_delivers_what_was_sent_before(pair: Pair) -> None:
    got: list[Any] = []

    async def collector() -> None:
        while True:
            got.append(await receive())

    async def body() -> None:
        Node.monitor_nodes()
        remote = pair.b.spawn(collector)
        for number in range(200):
            send(remote, number)
        assert Node.disconnect(pair.b.node) is True
        assert Node.disconnect(pair.b.node) is False
        assert await news() == (atom.nodedown, pair.b.node)
        assert Node.list() == []
        async with asyncio.timeout(PATIENCE):
            while len(got) < 200:
                await asyncio.sleep(0.01)
        assert got == list(range(200))

    await pair.a.run(body)


@contract
async def test_stopping_a_node_tells_the_other(pair: Pair) -> None:
    async def body() -> None:
        Node.monitor_nodes()
        remote = pair.b.spawn(idle)
        ref = monitor(remote)
        await settled(pair.b.spawn(echo))
        await pair.b.stop()
        found = [await news(), await news()]
        assert (atom.nodedown, pair.b.node) in found
        assert (atom.DOWN, ref, atom.process, remote, atom.noconnection) in found

    await pair.a.run(body)


@contract
async def test_a_node_s_own_name_is_no_peer(pair: Pair) -> None:
    async def body() -> None:
        assert await Node.connect(pair.a.node) is True
        register("me", self())
        send(("me", pair.a.node), "local")
        assert await receive(timeout=0) == "local"
        assert Node.list() == [pair.b.node]

    await pair.a.run(body)
