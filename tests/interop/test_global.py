"""Global names and locks among nodes of every kind, spoken to in their own languages."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import Any

import pytest
from cluster import Cluster, Member, connect_all, mesh, on_loop

from beam import RealEpmd, eventually, unique_name
from beamish.term import Pid, atom

pytestmark = pytest.mark.interop

EVERY_KIND = ("here", "python", "erl", "elixir")

PYTHON_HELP = """
async def server():
    plain = []
    while True:
        match await receive():
            case (call_, sender, request) if call_ is atom("$gen_call"):
                gen_reply(sender, (Node.self(), plain) if request is atom.seen else (Node.self(), request))
            case message:
                plain.append(message)

async def trying_to_register(name):
    return await Global.register_name(name, spawn(server))

async def count(counter, times):
    async def add():
        _, value = await gen_call(Global.whereis_name(counter), atom.read)
        await Process.sleep(0.003)
        await gen_call(Global.whereis_name(counter), (atom.write, value + 1))
        return atom.added
    return [await Global.trans((atom.counting, self()), add) for _ in range(times)]
"""
COUNTER = """
async def counter():
    value = 0
    while True:
        _, sender, request = await receive()
        if request is not atom.read:
            value = request[1]
        gen_reply(sender, (atom.ok, value))
"""
WORDS: dict[str, dict[str, str]] = {
    "here": {
        "serve": "spawn(server)",
        "register": "await Global.register_name({}, {})",
        "unregister": "await Global.unregister_name({})",
        "send": "Global.send({}, {})",
        "call": "await gen_call(Global.whereis_name({}), {})",
        "registered": "Global.registered_names()",
        "sync": "await Global.sync()",
        "compete": "await trying_to_register({})",
        "count": "await count({}, {})",
        "locks": "list(runtime.services['global'].core.locks.holders())",
        "kill": "Process.exit({}, atom.kill)",
        "alive": "Process.alive({})",
    },
    "erl": {
        "serve": "spawn(fun() -> (fun F(Seen) -> receive {{'$gen_call', From, seen}} -> "
        "gen_server:reply(From, {{node(), lists:reverse(Seen)}}), F(Seen); {{'$gen_call', From, Request}} -> "
        "gen_server:reply(From, {{node(), Request}}), F(Seen); M -> F([M | Seen]) end end)([]) end)",
        "register": "global:register_name({}, {}) =:= yes",
        "unregister": "global:unregister_name({})",
        "send": "global:send({}, {})",
        "call": "gen_server:call({{global, {}}}, {})",
        "registered": "global:registered_names()",
        "sync": "global:sync()",
        "compete": "global:register_name({}, spawn(fun() -> receive stop -> ok end end)) =:= yes",
        "count": "(fun(Counter, Times) -> [global:trans({{counting, self()}}, fun() -> "
        "{{ok, N}} = gen_server:call({{global, Counter}}, read), timer:sleep(3), "
        "gen_server:call({{global, Counter}}, {{write, N + 1}}), added end) || _ <- lists:seq(1, Times)] end)({}, {})",
        "locks": "ets:tab2list(global_locks)",
        "kill": "exit({}, kill)",
        "alive": "is_process_alive({})",
    },
    "elixir": {
        "serve": 'f = fn f, seen -> receive do {{:"$gen_call", from, :seen}} -> '
        'GenServer.reply(from, {{node(), Enum.reverse(seen)}}); f.(f, seen); {{:"$gen_call", from, request}} -> '
        "GenServer.reply(from, {{node(), request}}); f.(f, seen); m -> f.(f, [m | seen]) end end; spawn(fn -> f.(f, []) end)",
        "register": ":global.register_name({}, {}) == :yes",
        "unregister": ":global.unregister_name({})",
        "send": ":global.send({}, {})",
        "call": "GenServer.call({{:global, {}}}, {})",
        "registered": ":global.registered_names()",
        "sync": ":global.sync()",
        "compete": ":global.register_name({}, spawn(fn -> receive do :stop -> :ok end end)) == :yes",
        "count": "counter = {}; for _ <- 1..{}, do: :global.trans({{:counting, self()}}, fn -> "
        "{{:ok, n}} = GenServer.call({{:global, counter}}, :read); Process.sleep(3); "
        "GenServer.call({{:global, counter}}, {{:write, n + 1}}); :added end)",
        "locks": ":ets.tab2list(:global_locks)",
        "kill": "Process.exit({}, :kill)",
        "alive": "Process.alive?({})",
    },
}
WORDS["python"] = WORDS["here"]


async def do(member: Member, word: str, *terms: Any) -> Any:
    """One of WORDS in the member's language."""
    return await member.eval(WORDS[member.kind][word].format(*(member.literal(term) for term in terms)))


async def prepare(*members: Member) -> None:
    """Give our nodes the functions that WORDS use."""
    for member in members:
        if member.ours:
            await member.eval(PYTHON_HELP)


async def everywhere(members: list[Member], name: Any, pid: Pid | None) -> None:
    """Wait until all know that pid, or nobody, under the name."""
    for member in members:

        async def agrees(member: Member = member) -> bool:
            found: bool = await member.global_pid(name) == pid
            return found

        try:
            await eventually(agrees, 10)
        except TimeoutError:
            raise AssertionError(f"{member} has {await member.global_pid(name)} for {name}, not {pid}") from None


@on_loop
async def test_a_name_of_anybody_is_everybodys(real_epmd: RealEpmd) -> None:
    """Registered on each in turn; found, called, sent to and unregistered from all; gone with its process and its node."""
    async with Cluster(real_epmd) as cluster:
        members = await cluster.start(*EVERY_KIND)
        await prepare(*members)
        await connect_all(*members)
        for member in members:
            await do(member, "sync")
        for owner, other in zip(members, [*members[1:], members[0]], strict=True):
            name = atom(f"server_of_{owner.kind}")
            pid = await do(owner, "serve")
            assert await do(owner, "register", name, pid) is True
            await everywhere(members, name, pid)
            for member in members:
                request = (atom.hello, atom(member.kind))
                assert await do(member, "call", name, request) == (atom(owner.name), request)
                assert await do(member, "send", name, (atom.by, atom(member.name))) == pid
                assert await do(member, "register", name, await do(member, "serve")) is False
                node, seen = await do(member, "call", name, atom.seen)
                assert (node, seen[-1]) == (atom(owner.name), (atom.by, atom(member.name)))
            await do(other, "unregister", name)
            await everywhere(members, name, None)
            assert await do(owner, "alive", pid) is True
            assert await do(other, "register", name, pid) is True, "anybody may register anybody"
            await everywhere(members, name, pid)
            await do(other, "kill", pid)
            await everywhere(members, name, None)
        for member in members:
            assert await do(member, "registered") == await do(member, "locks") == []
        pids = {}
        for owner in members:
            pids[owner.kind] = await do(owner, "serve")
            assert await do(owner, "register", atom(owner.kind), pids[owner.kind]) is True
        for leaving in [members[1], members[2]]:
            await cluster.stop_one(leaving)
            members.remove(leaving)
            await everywhere(members, atom(leaving.kind), None)
            for owner in members:
                await everywhere(members, atom(owner.kind), pids[owner.kind])


@pytest.mark.parametrize(
    ("smaller", "greater", "connector"),
    [
        ("here", "erl", 0), ("here", "erl", 1), ("erl", "here", 0), ("erl", "here", 1), ("here", "elixir", 1),
        ("elixir", "here", 1), ("here", "python", 0), ("python", "here", 0), ("erl", "erl", 0),
    ],
)  # fmt: skip
@on_loop
async def test_a_name_in_dispute_stays_with_the_smaller_node(
    real_epmd: RealEpmd, smaller: str, greater: str, connector: int
) -> None:
    """Two nodes that both have the name meet: as among Erlang nodes the process on the greater one is killed."""
    async with Cluster(real_epmd) as cluster:
        one, other = await asyncio.gather(
            cluster.start_one(smaller, unique_name("a")), cluster.start_one(greater, unique_name("z"))
        )
        await prepare(one, other)
        kept, lost = await do(one, "serve"), await do(other, "serve")
        assert await do(one, "register", atom.disputed, kept) is True
        assert await do(other, "register", atom.disputed, lost) is True
        assert await ((one, other)[connector]).connect((other, one)[connector]) is True
        await mesh(one, other)
        await asyncio.gather(do(one, "sync"), do(other, "sync"))
        await everywhere([one, other], atom.disputed, kept)

        async def dead() -> bool:
            return await do(other, "alive", lost) is False

        await eventually(dead, 5)
        assert await do(one, "alive", kept) is True
        assert await do(other, "call", atom.disputed, atom.hello) == (atom(one.name), atom.hello)


@on_loop
async def test_locks_exclude_everybody(real_epmd: RealEpmd) -> None:
    """Read, wait, write, from all nodes at the same time in transactions: nothing is lost."""
    times = 3
    async with Cluster(real_epmd) as cluster:
        members = await cluster.start(*EVERY_KIND)
        await prepare(*members)
        await connect_all(*members)
        for member in members:
            await do(member, "sync")
        home = members[0]
        await home.eval(COUNTER)
        assert await home.eval("await Global.register_name(atom.counter, spawn(counter))") is True
        await everywhere(members, atom.counter, await home.global_pid("counter"))
        done = await asyncio.gather(*(do(member, "count", atom.counter, times) for member in members))
        assert done == [[atom.added] * times] * len(members)
        assert await do(home, "call", atom.counter, atom.read) == (atom.ok, times * len(members))
        for member in members:
            assert await do(member, "locks") == []


@on_loop
async def test_one_of_many_gets_the_name(real_epmd: RealEpmd) -> None:
    async with Cluster(real_epmd) as cluster:
        members = await cluster.start("here", "here", "erl", "elixir")
        await prepare(*members)
        await connect_all(*members)
        for member in members:
            await do(member, "sync")
        for attempt in range(3):
            name = atom(f"prize{attempt}")
            got = await asyncio.gather(*(do(member, "compete", name) for member in members))
            assert sorted(got) == [False, False, False, True]
            await everywhere(members, name, await members[got.index(True)].global_pid(name))


@on_loop
async def test_sync_answers_soon(real_epmd: RealEpmd) -> None:
    """`global:sync` right after connecting, on everybody, and with a hidden node connected to them."""
    async with Cluster(real_epmd) as cluster:
        members = await cluster.start(*EVERY_KIND)
        hidden = await cluster.start_one("here", hidden=True)
        for member in members:
            assert await hidden.connect(member) is True
        for one, other in itertools.pairwise(members):
            assert await one.connect(other) is True
        for limit in (10, 2):
            started = time.monotonic()
            await asyncio.gather(*(do(member, "sync") for member in [*members, hidden]))
            assert time.monotonic() - started < limit
            await mesh(*members)
