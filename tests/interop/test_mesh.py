"""Nodes that find each other: runtimes of ours in this interpreter and in processes of their own, real Erlang and Elixir."""

from __future__ import annotations

import asyncio
import functools
import itertools
import logging
import socket
from typing import Any

import pytest
from cluster import SYNC, Cluster, Here, Member, connect_all, lists, mesh, on_loop, one_by_one

from beam import COOKIE, ElixirNode, RealEpmd, eventually, free_port, unique_name
from beamish.boot import start_local
from beamish.epmd import client as epmd
from beamish.epmd.client import NodeNameTaken
from beamish.errors import NodeError
from beamish.node.names import InvalidNodeName
from beamish.term import atom

pytestmark = pytest.mark.interop

STORIES = [
    ("here", "here", "here"), ("python", "python", "python"), ("erl", "here", "here"), ("here", "erl", "here"),
    ("here", "here", "erl"), ("elixir", "here", "python"), ("here", "elixir", "erl"),
]  # fmt: skip


@pytest.mark.parametrize("kinds", STORIES, ids="-".join)
@on_loop
async def test_the_story(real_epmd: RealEpmd, kinds: tuple[str, ...]) -> None:
    """barry connects robin, robin connects maurice: all three list the other two."""
    async with Cluster(real_epmd) as cluster:
        barry, robin, maurice = everyone = await cluster.start(*kinds)
        for one in everyone:
            assert await one.nodes() == []
        assert await barry.connect(robin) is True
        await mesh(barry, robin)
        assert await maurice.nodes() == []
        assert await robin.connect(maurice) is True
        await mesh(*everyone)
        for one, other in itertools.permutations(everyone, 2):
            assert await one.connect(other) is True
            assert await one.ping(other) == "pong"


@pytest.mark.parametrize("kinds", list(itertools.permutations(("here", "erl", "elixir"))), ids="-".join)
@on_loop
async def test_every_starting_order(real_epmd: RealEpmd, kinds: tuple[str, ...]) -> None:
    """Each newcomer connects to the one that started before it."""
    async with Cluster(real_epmd) as cluster:
        (last,) = await cluster.start(kinds[0])
        for kind in kinds[1:]:
            (newcomer,) = await cluster.start(kind)
            assert await newcomer.connect(last) is True
            last = newcomer
        await mesh(*cluster.members)


@on_loop
async def test_two_pairs_become_one_cluster(real_epmd: RealEpmd, event_loop_factory: Any) -> None:
    async with Cluster(real_epmd) as cluster:
        barry, robin, maurice, eliza = everyone = await cluster.start("here", "python", "erl", "elixir")
        assert await asyncio.gather(barry.connect(robin), maurice.connect(eliza)) == [True, True]
        await asyncio.gather(mesh(barry, robin), mesh(maurice, eliza))
        assert await robin.connect(maurice) is True
        await mesh(*everyone)
        for one in everyone:
            assert await one.nodes("connected") == sorted(other.name for other in everyone if other is not one)
            assert await one.nodes("this") == [one.name]
            assert await one.nodes("known") == sorted(other.name for other in everyone)
            assert await one.nodes("hidden") == []
            await lists(one, [other for other in everyone if other is not one], "connected")


@pytest.mark.parametrize("kinds", [("here", "erl"), ("here", "elixir"), ("python", "here")], ids="-".join)
@on_loop
async def test_disconnecting_and_coming_back(real_epmd: RealEpmd, kinds: tuple[str, str]) -> None:
    """Whoever disconnects, both sides are told once, in order, and either side can connect again."""
    async with Cluster(real_epmd) as cluster:
        one, other = await cluster.start(*kinds)
        await asyncio.gather(one.watch(), other.watch())
        for first, second in ((one, other), (other, one)):
            assert await first.connect(second) is True
            await mesh(one, other)
            assert await first.disconnect(second) is True
            await asyncio.gather(lists(one, [], "connected"), lists(other, [], "connected"))
            assert await first.disconnect(second) is False
        for member, peer in ((one, other), (other, one)):
            told: list[tuple[str, str, dict[str, Any]]] = []

            async def all_told(member: Member = member, told: list[Any] = told) -> bool:
                told.extend(await member.events())
                return len(told) >= 4

            await eventually(all_told, 5)
            assert [event[:2] for event in told] == [("nodeup", peer.name), ("nodedown", peer.name)] * 2
            assert {str(event[2]["node_type"]) for event in told} == {"visible"}
            reasons = [str(event[2]["nodedown_reason"]) for event in told if event[0] == "nodedown"]
            assert sorted(reasons) == ["connection_closed", "disconnect"], member


@on_loop
async def test_plain_monitors_of_nodes(real_epmd: RealEpmd) -> None:
    """net_kernel:monitor_nodes(true) and monitor_node/2, on both sides."""
    async with Cluster(real_epmd) as cluster:
        us, erl, elixir = await cluster.start("here", "erl", "elixir")
        await us.eval(PLAIN_WATCHER)
        await erl.eval("net_kernel:monitor_nodes(true)")
        await elixir.eval(":net_kernel.monitor_nodes(true)")
        for beam in (erl, elixir):
            assert await us.connect(beam) is True
        await mesh(us, erl, elixir)
        await us.eval(f"send('plain', ('watch', {erl.name!r}))")
        await erl.eval(f"erlang:monitor_node('{us.name}', true)")
        await elixir.eval(f'Node.monitor(:"{us.name}", true)')
        await cluster.stop_one(erl)
        down = await us.eval("await told(4)")
        assert sorted(down[:2], key=str) == sorted([(atom.nodeup, atom(erl.name)), (atom.nodeup, atom(elixir.name))], key=str)
        assert down[2:] == [(atom.nodedown, atom(erl.name))] * 2
        await cluster.stop_one(us)
        seen = await elixir.eval(f'for _ <- 1..2, do: (receive do {{:nodedown, :"{us.name}"}} = m -> m after 5000 -> :silent end)')
        assert seen == [(atom.nodedown, atom(us.name))] * 2
        assert await elixir.nodes("connected") == []


PLAIN_WATCHER = """
async def plain(asker):
    Node.monitor_nodes()
    while True:
        match await receive():
            case ("watch", node):
                Node.monitor(node)
            case event:
                send(asker, event)
async def gather():
    inbox = []
    waiting = None
    while True:
        match await receive():
            case ("take", count, asker):
                waiting = (count, asker)
            case event:
                inbox.append(event)
        if waiting is not None and len(inbox) >= waiting[0]:
            send(waiting[1], ("taken", inbox))
            inbox, waiting = [], None
async def told(count):
    send("gather", ("take", count, self()))
    return (await receive(("taken", ...), timeout=5))[1]
register("gather", spawn(gather))
register("plain", spawn(plain, whereis("gather")))
"""


@pytest.mark.parametrize("kinds", [("here", "erl"), ("erl", "here"), ("here", "python")], ids="-".join)
@on_loop
async def test_connecting_at_the_same_time(real_epmd: RealEpmd, kinds: tuple[str, str]) -> None:
    """Both ends connect at once, again and again: both get True, and there is one connection, which stays."""
    async with Cluster(real_epmd) as cluster:
        one, other = await asyncio.gather(
            cluster.start_one(kinds[0], unique_name("a")), cluster.start_one(kinds[1], unique_name("z"))
        )
        await asyncio.gather(one.watch(), other.watch())
        rounds = 16

        async def connect(first: Member, second: Member, delay: float) -> Any:
            await asyncio.sleep(delay)
            return await first.connect(second)

        for number in range(rounds):
            # The attempts meet in every phase: the look-up, the connection, the handshake.
            ahead = (number // 2 - 2) / 2000
            both = connect(one, other, max(ahead, 0)), connect(other, one, max(-ahead, 0))
            assert await asyncio.gather(*both) == [True, True]
            await mesh(one, other)
            assert await one.ping(other) == await other.ping(one) == "pong"
            assert await (one, other)[number % 2].disconnect((other, one)[number % 2]) is True
            await asyncio.gather(lists(one, [], "connected"), lists(other, [], "connected"))
        for member, peer in ((one, other), (other, one)):
            ups = [event[:2] for event in await member.events()].count(("nodeup", peer.name))
            assert ups == rounds, "no connection was replaced"


# ---- connecting that does not work


@on_loop
async def test_what_connect_and_ping_answer(real_epmd: RealEpmd) -> None:
    async with Cluster(real_epmd) as cluster:
        us, python, erl, elixir = everyone = await cluster.start("here", "python", "erl", "elixir")
        nobody = unique_name("nobody")
        for one in everyone:
            assert await one.connect(nobody) is False
            assert await one.ping(nobody) == "pang"
            assert await one.connect(one) is True
            assert await one.ping(one) == "pong"
            assert await one.nodes("connected") == []
        nowhere = atom("nobody@nowhere")
        assert await us.connect(str(nowhere)) is False
        assert "the host nowhere does not resolve" in us.runtime.net.failure_text(nowhere)  # type: ignore[union-attr]
        assert "is registered with epmd on localhost" in us.runtime.net.failure_text(atom(nobody))  # type: ignore[union-attr]
        for one, other in ((elixir, us), (python, elixir), (us, erl), (erl, python)):
            assert await one.ping(other) == "pong", "pinging connects"
        await mesh(*everyone)


@on_loop
async def test_a_node_without_a_name_is_ignored(real_epmd: RealEpmd, elixir_node: ElixirNode) -> None:
    """The same answers as those of an Erlang node without a name."""
    runtime = await start_local()
    try:
        alone = Member("here", Here(runtime))
        assert await alone.connect(elixir_node.name) is atom.ignored
        assert await alone.disconnect(elixir_node.name) is atom.ignored
        assert await alone.ping(elixir_node.name) == "pang"
        assert await alone.nodes() == []
        assert await alone.eval("(Node.self(), Node.alive())") == (atom("nonode@nohost"), False)
    finally:
        await runtime.stop()


@pytest.mark.parametrize("kind", ["erl", "elixir", "python"])
@on_loop
async def test_wrong_cookie(real_epmd: RealEpmd, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    """False on both sides, and one line of our log says what and what to do, whoever called."""
    async with Cluster(real_epmd, may_complain=True) as cluster:
        us = await cluster.start_one("here")
        other = await cluster.start_one(kind, cookie="another")
        for one, peer in ((us, other), (other, us)):
            caplog.clear()
            assert await one.connect(peer) is False
            await eventually(lambda: any("cookie" in record.getMessage() for record in caplog.records), 5)
            (line,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
            for word in ("wrong cookie", us.name, other.name, "--cookie", ".erlang.cookie"):
                assert word in line
            assert COOKIE not in line
            assert await us.nodes("connected") == await other.nodes("connected") == []
        await us.eval(f"Node.set_cookie('another', {other.name!r})")
        assert await us.connect(other) is True, "a cookie for this peer alone"
        await mesh(us, other)


@on_loop
async def test_short_and_long_names_never_mix(real_epmd: RealEpmd, caplog: pytest.LogCaptureFixture) -> None:
    async with Cluster(real_epmd, may_complain=True) as cluster:
        short = await cluster.start_one("here")
        long = await cluster.start_one("here", unique_name("long", "127.0.0.1"))
        erl = await cluster.start_one("erl", unique_name("erl", "127.0.0.1"))
        with pytest.raises(InvalidNodeName, match="is a long name and .* a short one: such nodes cannot connect"):
            await short.connect(erl)
        with pytest.raises(InvalidNodeName, match="is a short name and .* a long one"):
            await long.connect(short)
        await short.eval(f"send(('anybody', {erl.name!r}), 'hello')")
        assert "cannot connect" in caplog.text
        assert await erl.connect(short) is False
        assert await erl.connect(long) is True
        await mesh(long, erl)
        assert await short.nodes("connected") == []


@on_loop
async def test_a_taken_name(real_epmd: RealEpmd) -> None:
    async with Cluster(real_epmd) as cluster:
        for one in await cluster.start("here", "erl"):
            with pytest.raises(NodeNameTaken, match=r"is taken on this machine by a node that listens on port \d+; choose"):
                await cluster.start_one("here", one.name)
        us = cluster.members[0]
        await cluster.stop_one(us)
        await cluster.start_one("here", us.name)


@on_loop
async def test_an_exhausted_port_range(real_epmd: RealEpmd) -> None:
    async with Cluster(real_epmd) as cluster:
        first = free_port()
        us = await cluster.start_one("here", port_range=(first, first))
        assert us.runtime.net.port == first  # type: ignore[union-attr]
        with pytest.raises(NodeError, match=rf"port {first} on .*127.0.0.1.* is in use .*--dist-port"):
            await cluster.start_one("here", port_range=(first, first))
        with socket.create_server(("127.0.0.1", 0)) as taken:
            second = taken.getsockname()[1]
            low, high = sorted((first, second))
            if high - low == 1:
                with pytest.raises(NodeError, match=f"all distribution ports {low}-{high} on .* are in use .*--dist-ports"):
                    await cluster.start_one("here", port_range=(low, high))
        assert us.name.partition("@")[0] in await us.say("names"), "nobody was registered in its place"


# ---- the port mapper


@on_loop
async def test_names_are_listed_by_everybody(real_epmd: RealEpmd) -> None:
    async with Cluster(real_epmd) as cluster:
        everyone = await cluster.start("here", "python", "erl", "elixir")
        for one in everyone:
            listed = [str(name, "utf-8") if isinstance(name, bytes) else name for name in await one.say("names")]
            for other in everyone:
                assert other.name.partition("@")[0] in listed, one


@pytest.mark.parametrize("kinds", [("here", "erl", "elixir"), ("python", "here", "erl")], ids="-".join)
@on_loop
async def test_our_port_mapper_serves_real_nodes(kinds: tuple[str, ...]) -> None:
    """The first node is ours and starts the port mapper; it outlives that node."""
    port = free_port()
    try:
        async with Cluster(port) as cluster:
            first = await cluster.start_one(kinds[0])
            everyone = [first, *await cluster.start(*kinds[1:])]
            await connect_all(*everyone)
            for one in everyone[1:]:
                assert first.name.partition("@")[0] in {
                    name if isinstance(name, str) else name.decode() for name in await one.say("names")
                }
            await cluster.stop_one(first)
            newcomer = await cluster.start_one("here")
            assert await everyone[1].connect(newcomer) is True
            await mesh(newcomer, *everyone[1:])
    finally:
        await eventually(functools.partial(epmd_ended, port), 10)


@on_loop
async def test_a_port_mapper_that_comes_back(real_epmd: RealEpmd) -> None:
    """Its death disturbs no connection, and everybody registers with its successor."""
    mapper = await asyncio.to_thread(RealEpmd)
    try:
        async with Cluster(mapper.port) as cluster:
            everyone = await cluster.start("here", "erl")
            await connect_all(*everyone)
            creation = await everyone[0].say("creation")
            mapper.kill()
            mapper = await asyncio.to_thread(RealEpmd, mapper.port)
            wanted = {one.name.partition("@")[0] for one in everyone}

            async def listed() -> bool:
                return wanted <= {name for name, _ in await epmd.names(epmd_port=mapper.port)}

            await eventually(listed, 10)
            await mesh(*everyone)
            assert await everyone[0].say("creation") == creation
            newcomer = await cluster.start_one("here")
            assert await newcomer.connect(everyone[0]) is True
            await mesh(newcomer, *everyone)
    finally:
        mapper.kill()


async def epmd_ended(port: int) -> bool:
    try:
        return await epmd.kill(epmd_port=port)
    except epmd.EpmdUnreachable:
        return True


# ---- hidden nodes, and those that do not want everybody


@pytest.mark.parametrize("kinds", [("here", "erl", "here"), ("python", "here", "elixir"), ("erl", "here", "python")], ids="-".join)
@on_loop
async def test_a_hidden_node_joins_nobody_to_anybody(real_epmd: RealEpmd, kinds: tuple[str, str, str]) -> None:
    async with Cluster(real_epmd) as cluster:
        hidden = await cluster.start_one(kinds[0], hidden=True)
        left, right = await cluster.start(*kinds[1:])
        assert await hidden.connect(left) is True
        assert await right.connect(hidden) is True
        for visible in (left, right):
            assert await visible.nodes() == []
            assert await visible.nodes("hidden") == await visible.nodes("connected") == [hidden.name]
            assert await visible.nodes("known") == sorted([visible.name, hidden.name])
            assert await hidden.ping(visible) == await visible.ping(hidden) == "pong"
        assert await hidden.nodes() == []
        await lists(hidden, [left, right], "hidden")
        # A session that wrongly began would have joined the two by now: connecting them takes as long.
        third = await cluster.start_one("here")
        assert await third.connect(left) is True
        await mesh(third, left)
        assert await right.nodes() == []
        assert await third.nodes("connected") == [left.name]
        assert await left.connect(right) is True
        await mesh(left, right, third)
        assert await hidden.nodes("connected") == sorted([left.name, right.name])


@pytest.mark.parametrize("opting", ["here", "erl"])
@on_loop
async def test_connect_all_false_keeps_to_itself(real_epmd: RealEpmd, opting: str) -> None:
    async with Cluster(real_epmd) as cluster:
        if opting == "here":
            loner = await cluster.start_one("here", connect_all=False)
        else:
            loner = await cluster.start_one("erl", None, "-connect_all", "false")
        one, other = await cluster.start("here", "erl")
        assert await one.connect(other) is True
        await mesh(one, other)
        assert await loner.connect(one) is True
        late = await cluster.start_one("here")
        assert await late.connect(one) is True
        await lists(late, [one, other])
        await lists(loner, [one])
        await lists(one, [loner, other, late])
        await lists(other, [one, late])


# ---- restarts


@pytest.mark.parametrize("restarting", ["here", "python", "erl"])
@on_loop
async def test_a_restarted_node_is_another_node(real_epmd: RealEpmd, restarting: str) -> None:
    """A pid of the old incarnation reaches nobody in the new one, though the numbers in it are in use again."""
    async with Cluster(real_epmd) as cluster:
        watcher, observer = await cluster.start("erl" if restarting != "erl" else "python", "here")
        old = await cluster.start_one(restarting)
        await connect_all(watcher, old, observer)
        old_creation = await old.say("creation")
        stale = await old.each(**WELL_KNOWN)
        await cluster.stop_one(old)
        await asyncio.gather(lists(watcher, [observer]), lists(observer, [watcher]))
        new = await cluster.start_one(restarting, old.name)
        assert await new.connect(observer) is True
        await mesh(watcher, new, observer)
        assert await new.say("creation") != old_creation
        alive = await new.each(**WELL_KNOWN)
        assert (alive.id, alive.serial) == (stale.id, stale.serial), "this test needs a pid that is used again"
        assert alive != stale
        for one in (watcher, observer):
            if one.ours:
                await one.eval(STALE)
                told = await one.eval(f"await ask_the_dead({one.literal(stale)})")
            else:
                pid = one.literal(stale)
                told = await one.eval(
                    f"begin P = {pid}, P ! dropped, exit(P, kill), R = monitor(process, P), link(P), "
                    "[receive {'DOWN', R, process, P, Why} -> Why after 5000 -> silent end, "
                    "receive {'EXIT', P, Why2} -> Why2 after 5000 -> silent end] end"
                )
            assert told == [atom.noproc, atom.noproc], one
        assert await new.each(**WELL_KNOWN) == alive, "not even kill reached it"
        assert "dropped" not in str(await new.each(python=MESSAGES, erl="process_info(whereis(rex), messages)"))


WELL_KNOWN = {"python": "whereis('rex')", "erl": "whereis(rex)"}
MESSAGES = "Process.info(whereis('rex'), 'messages')"
STALE = """
async def ask_the_dead(pid):
    trap_exit()
    send(pid, atom("dropped"))
    Process.exit(pid, atom("kill"))
    ref = monitor(pid)
    link(pid)
    down = await receive((atom("DOWN"), ref, ...,  pid, ...), timeout=5)
    exit_ = await receive((atom("EXIT"), pid, ...), timeout=5)
    return [down[4], exit_[2]]
"""


# ---- a link that breaks


@pytest.mark.parametrize("cutter", [0, 1], ids=["one end cuts", "the other cuts"])
@pytest.mark.parametrize(
    "kinds", [("erl", "erl", "erl"), ("here", "erl", "erl"), ("erl", "erl", "here"), ("here", "python", "erl")], ids="-".join
)
@on_loop
async def test_one_cut_link_leaves_nobody_half_connected(real_epmd: RealEpmd, kinds: tuple[str, ...], cutter: int) -> None:
    """The link between two nodes of a cluster is cut: nobody stays connected to one half only, as among Erlang nodes.

    Whether the second end hears of the cut before it is asked to leave is a matter of luck, among Erlang nodes too: the
    first end may stay with the others.
    """
    async with Cluster(real_epmd) as cluster:
        one, other, third = await cluster.start(*kinds)
        witness = await cluster.start_one("erl")
        await connect_all(one, other, third, witness)
        first, second = (one, other) if cutter == 0 else (other, one)
        assert await first.disconnect(second) is True
        rest = sorted([third.name, witness.name])

        groups: dict[str, list[str]] = {}

        async def settled() -> bool:
            seen = await one_by_one(one, other, third, witness)
            for member, listed in zip((one, other, third, witness), seen, strict=True):
                groups[member.name] = sorted([member.name, *listed])
            # Everybody in a group lists the same group, and no group has both ends of the cut link.
            return (
                all(groups[name] == group for group in groups.values() for name in group)
                and set(rest) <= set(groups[third.name])
                and other.name not in groups[one.name]
            )

        for _ in range(2):
            try:
                await eventually(settled, SYNC)
            except TimeoutError:
                raise AssertionError(f"{one} and {other} were cut, and the groups are {groups}") from None
        assert [] in (await one.nodes(), await other.nodes())
        for end in (one, other):
            assert await end.connect(witness) is True
        await mesh(one, other, third, witness)
