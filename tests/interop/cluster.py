"""Clusters of nodes of every kind, spoken to in the same words.

    async with Cluster(epmd) as cluster:
        barry, robin = await cluster.start("here", "erl")        # a runtime in this interpreter, a real Erlang node
        assert await barry.connect(robin) is True
        await mesh(barry, robin)                                 # until each lists exactly the others

Kinds: "here" (a runtime in this interpreter), "python" (ours as an OS process of its own), "erl", "elixir". Every node
of a cluster is fresh, so that nothing of one test is left for the next.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import itertools
import json
import re
import sys
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Self

import pytest
from py_node import evaluate, fresh_namespace

from beam import COOKIE, HAVE_ELIXIR, BeamNode, ElixirNode, ErlNode, RealEpmd, eventually, unique_name
from beamish import etf
from beamish.boot import new_event_loop, start_node
from beamish.node.runtime import Runtime
from beamish.term import Atom

LIMIT = 60.0
"""Seconds for one test."""

COMPLAINT = re.compile(r"=(ERROR|CRASH) REPORT|\[error\]|Invalid distribution message|incompatible erlang|unexpected")
"""What a node of Erlang prints when we broke a rule, or a process of it died of us."""

SYNC = 15.0
"""Seconds in which nodes that were connected must have told each other of all others."""


def on_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run an async test with a limit, on the event loop that nodes use by default or on the fixture event_loop_factory's."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        async def limited() -> None:
            async with asyncio.timeout(LIMIT):
                await test(*args, **kwargs)

        with asyncio.Runner(loop_factory=kwargs.get("event_loop_factory", new_event_loop)) as runner:
            runner.run(limited())

    return run


class PyNode(BeamNode):
    """A node of ours as an OS process of its own; expressions are Python, see `py_node`. ``options`` are start_node's."""

    def __init__(self, name: str | None = None, *, epmd: RealEpmd | int, cookie: str = COOKIE, **options: Any) -> None:
        name = name or unique_name("python")
        port = epmd if isinstance(epmd, int) else epmd.port
        script = str(Path(__file__).with_name("py_node.py"))
        super().__init__(name, [sys.executable, script, name, cookie, str(port), json.dumps(options)], port)


class Here:
    """A runtime in this interpreter, with BeamNode's `aeval`."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.name = str(runtime.node)
        self.namespace = fresh_namespace(runtime)

    async def aeval(self, source: str, *, timeout: float = LIMIT) -> Any:
        """The value of a Python expression in a process of the node."""
        async with asyncio.timeout(timeout):
            return await self.runtime.run(evaluate, source, self.namespace)


QUOTE: dict[str, Callable[[Any], str]] = {
    "here": lambda word: f"atom({str(word)!r})",
    "python": lambda word: f"atom({str(word)!r})",
    "erl": lambda word: f"'{word}'",
    "elixir": lambda word: f':"{word}"',
}
PYTHON_WORDS = {
    "connect": "await Node.connect({0})",
    "disconnect": "Node.disconnect({0})",
    "list": "Node.list({0})",
    "ping": "await Node.ping({0})",
    "self": "Node.self()",
    "creation": "self().creation",
    "names": "[text(name) for name, _ in (await net_adm.names())[1]]",
    "whereis_global": "runtime.services['global'].core.whereis({0})",
    "flush_global": "await gen_call('global_name_server', atom.get_known)",
    "watch": """
async def watch(starter):
    Node.monitor_nodes(node_type="all", nodedown_reason=True)
    send(starter, "watching")
    events = []
    while True:
        match await receive():
            case ("take", asker):
                send(asker, ("events", events))
                events = []
            case event:
                events.append(event)
register("watch", spawn(watch, self()))
assert await receive("watching".__eq__, timeout=5)
""",
    "events": "[send('watch', ('take', self())), await receive(('events', ...), timeout=5)][1][1]",
}
WORDS: dict[str, dict[str, str]] = {
    "here": PYTHON_WORDS,
    "python": PYTHON_WORDS,
    "erl": {
        "connect": "net_kernel:connect_node({0})",
        "disconnect": "erlang:disconnect_node({0})",
        "list": "nodes({0})",
        "ping": "net_adm:ping({0})",
        "self": "node()",
        "creation": "erlang:system_info(creation)",
        "names": "begin {{ok, Names}} = net_adm:names(), [list_to_binary(N) || {{N, _}} <- Names] end",
        "whereis_global": "global:whereis_name({0})",
        "flush_global": "gen_server:call(global_name_server, get_known)",
        "watch": "begin Me = self(), register(watch, spawn(fun() -> "
        "net_kernel:monitor_nodes(true, [{{node_type, all}}, nodedown_reason]), Me ! watching, "
        "(fun F(Es) -> receive {{take, A}} -> A ! {{events, lists:reverse(Es)}}, F([]); E -> F([E | Es]) end end)([]) end)), "
        "receive watching -> ok end end",
        "events": "begin watch ! {{take, self()}}, receive {{events, Es}} -> Es after 5000 -> exit(silent) end end",
    },
    "elixir": {
        "connect": "Node.connect({0})",
        "disconnect": "Node.disconnect({0})",
        "list": "Node.list({0})",
        "ping": "Node.ping({0})",
        "self": "Node.self()",
        "creation": ":erlang.system_info(:creation)",
        "names": "{{:ok, names}} = :net_adm.names(); for {{n, _}} <- names, do: List.to_string(n)",
        "whereis_global": ":global.whereis_name({0})",
        "flush_global": "GenServer.call(:global_name_server, :get_known)",
        "watch": """
me = self()
watch = fn watch, es ->
  receive do
    {{:take, a}} -> send(a, {{:events, Enum.reverse(es)}}); watch.(watch, [])
    e -> watch.(watch, [e | es])
  end
end
pid = spawn(fn ->
  :net_kernel.monitor_nodes(true, [{{:node_type, :all}}, :nodedown_reason])
  send(me, :watching)
  watch.(watch, [])
end)
Process.register(pid, :watch)
receive do :watching -> :ok end
""",
        "events": "send(:watch, {{:take, self()}}); receive do {{:events, es}} -> es after 5000 -> exit(:silent) end",
    },
}


class Member:
    """A node of any kind. Answers are terms; lists of nodes are sorted lists of str."""

    def __init__(self, kind: str, node: BeamNode | Here) -> None:
        self.kind = kind
        self.node = node
        self.name = node.name

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}>"

    @property
    def ours(self) -> bool:
        """Whether it runs Python."""
        return self.kind in ("here", "python")

    @property
    def runtime(self) -> Runtime:
        """The runtime of a node in this interpreter."""
        assert isinstance(self.node, Here)
        return self.node.runtime

    @property
    def beam(self) -> BeamNode:
        """The child process of a node that is not in this interpreter."""
        assert isinstance(self.node, BeamNode)
        return self.node

    async def eval(self, expression: str) -> Any:
        """The value of an expression in the node's own language."""
        return await self.node.aeval(expression)

    async def each(self, *, python: str, erl: str, elixir: str | None = None) -> Any:
        """The value of whichever is written in the node's language; Elixir's is made of Erlang's if it is not given."""
        if self.ours:
            return await self.eval(python)
        if self.kind == "erl":
            return await self.eval(erl)
        assert elixir is not None
        return await self.eval(elixir)

    async def say(self, word: str, *args: Any) -> Any:
        """One of WORDS, in the node's own language."""
        quoted = [QUOTE[self.kind](arg.name if isinstance(arg, Member) else arg) for arg in args]
        return await self.eval(WORDS[self.kind][word].format(*quoted))

    async def connect(self, other: Member | str) -> Any:
        """True, False or the atom ignored."""
        return await self.say("connect", other)

    async def disconnect(self, other: Member | str) -> Any:
        """True, False or the atom ignored."""
        return await self.say("disconnect", other)

    async def ping(self, other: Member | str) -> str:
        """pong or pang."""
        return str(await self.say("ping", other))

    async def nodes(self, kind: str = "visible") -> list[str]:
        """Node.list of a kind, sorted."""
        return sorted(str(node) for node in await self.say("list", kind) if str(node) != "nonode@nohost")

    async def watch(self) -> None:
        """Begin to collect the nodeup and nodedown messages of this node."""
        await self.say("watch")

    async def events(self) -> list[tuple[str, str, dict[str, Any]]]:
        """What came since the last time: (nodeup or nodedown, node, facts)."""
        return [(str(what), str(node), {str(key): value for key, value in facts}) for what, node, facts in await self.say("events")]

    async def global_pid(self, name: str) -> Any:
        """The pid behind a global name, None without one."""
        found = await self.say("whereis_global", name)
        return None if isinstance(found, Atom) else found

    def literal(self, term: Any) -> str:
        """A term (a pid, say) in an expression of the node's language."""
        text = base64.b64encode(etf.encode(term)).decode()
        if self.ours:
            return f'etf.decode(base64.b64decode("{text}"))'
        if self.kind == "erl":
            return f'binary_to_term(base64:decode("{text}"))'
        assert self.kind == "elixir"
        return f':erlang.binary_to_term(Base.decode64!("{text}"))'


class Cluster:
    """Fresh nodes that end together. Connecting them is left to the test."""

    def __init__(self, epmd: RealEpmd | int, cookie: str = COOKIE, *, may_complain: bool = False) -> None:
        """may_complain: the test makes Erlang nodes print errors; otherwise they must not."""
        self.may_complain = may_complain
        self.epmd = epmd
        self.cookie = cookie
        self.members: list[Member] = []

    @property
    def port(self) -> int:
        """Where the port mapper listens."""
        return self.epmd if isinstance(self.epmd, int) else self.epmd.port

    async def start(self, *kinds: str, **options: Any) -> list[Member]:
        """Start nodes, all at once, with the same options."""
        return list(await asyncio.gather(*(self.start_one(kind, **options) for kind in kinds)))

    async def start_one(self, kind: str, name: str | None = None, *flags: str, cookie: str | None = None, **options: Any) -> Member:
        """Start a node. flags: those of `erl`; options: those of `start_node`, `hidden` for every kind."""
        cookie = cookie or self.cookie
        name = name or unique_name(kind)
        node: BeamNode | Here
        if kind == "here":
            runtime = await start_node(name, cookie=cookie, epmd_port=self.port, **options)
            runtime.services["epmd_port"] = self.port
            node = Here(runtime)
        elif kind == "python":
            node = await asyncio.to_thread(PyNode, name, epmd=self.port, cookie=cookie, **options)
        elif kind == "erl":
            node = await asyncio.to_thread(ErlNode, name, *flags, epmd=self.port, cookie=cookie, **options)
        else:
            if not HAVE_ELIXIR:
                pytest.skip("Elixir is not installed")
            node = await asyncio.to_thread(ElixirNode, name, *flags, epmd=self.port, cookie=cookie, **options)
        member = Member(kind, node)
        self.members.append(member)
        return member

    async def stop_one(self, member: Member) -> None:
        """End a node in order."""
        self.members.remove(member)
        if isinstance(member.node, Here):
            await member.node.runtime.stop()
        else:
            await asyncio.to_thread(member.node.stop)

    async def kill_one(self, member: Member) -> None:
        """End the OS process of a node with SIGKILL."""
        self.members.remove(member)
        await asyncio.to_thread(member.beam.kill)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        everyone = list(self.members)
        await asyncio.gather(*(self.stop_one(member) for member in everyone))
        if kind is None and not self.may_complain:
            for member in everyone:
                if not member.ours:
                    assert [line for line in member.beam.lines if COMPLAINT.search(line)] == [], member.beam.lines


async def lists(member: Member, wanted: Iterable[Member | str], kind: str = "visible", timeout: float = SYNC) -> None:
    """Wait until a node lists exactly these others."""
    names = sorted(other.name if isinstance(other, Member) else other for other in wanted)
    found: list[str] = []

    async def holds() -> bool:
        found[:] = await member.nodes(kind)
        return found == names

    try:
        await eventually(holds, timeout)
    except TimeoutError:
        raise AssertionError(f"{member} lists {found} as {kind}, and not {names}") from None


async def mesh(*members: Member, timeout: float = SYNC) -> None:
    """Wait until each of these lists exactly the others."""
    await asyncio.gather(*(lists(one, [other for other in members if other is not one], timeout=timeout) for one in members))


async def one_by_one(*members: Member) -> list[list[str]]:
    """What each lists, once its name server has handled everything that had come."""
    for member in members:
        await member.say("flush_global")
    return [await member.nodes() for member in members]


async def connect_all(*members: Member) -> None:
    """Connect each to the next, and wait until each lists exactly the others."""
    for one, other in itertools.pairwise(members):
        assert await one.connect(other) is True
    await mesh(*members)
