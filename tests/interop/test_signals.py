"""Messages, links, monitors and exits between our processes and those of real Erlang and Elixir nodes.

Each test body is a process of a fresh node of ours; the other end is the evaluator process of the peer, which traps exits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from cluster import COMPLAINT, Member

from beam import COOKIE, ElixirNode, ErlNode, RealEpmd, unique_name
from beamish.boot import new_event_loop, start_node
from beamish.errors import ReceiveTimeout
from beamish.io.devices import Device
from beamish.names import Global
from beamish.node import Node
from beamish.process import (
    alias,
    exit,
    receive,
    register,
    self,
    send,
    unalias,
)
from beamish.rpc import call
from beamish.term import atom

pytestmark = pytest.mark.interop

Body = Callable[[], Awaitable[None]]
Inside = Callable[[Body], None]
SECONDS = 5.0


@pytest.fixture
def inside(real_epmd: RealEpmd) -> Inside:
    """Runs a body as a process of a fresh node of ours."""

    def run(body: Body, device: Device | None = None) -> None:
        async def session() -> None:
            runtime = await start_node(unique_name("py"), cookie=COOKIE, epmd_port=real_epmd.port, device=device)
            try:
                async with asyncio.timeout(60):
                    await runtime.run(body)
            finally:
                await runtime.stop()

        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(session())

    return run


def as_member(kind: str, node: ErlNode | ElixirNode) -> Iterator[Member]:
    yield Member(kind, node)
    assert [line for line in node.lines if COMPLAINT.search(line)] == []


@pytest.fixture(scope="module")
def erl(real_epmd: RealEpmd) -> Iterator[Member]:
    """An Erlang node for this module."""
    with ErlNode(epmd=real_epmd) as node:
        yield from as_member("erl", node)


@pytest.fixture(scope="module")
def elixir(real_epmd: RealEpmd, elixir_node: ElixirNode) -> Iterator[Member]:
    """An Elixir node for this module."""
    with ElixirNode(epmd=real_epmd) as node:
        yield from as_member("elixir", node)


@pytest.fixture(params=["erl", "elixir"])
def peer(request: pytest.FixtureRequest) -> Member:
    """A node of each kind."""
    member: Member = request.getfixturevalue(request.param)
    return member


VERBS = {
    "erl": {
        "self": "self()",
        "next": "receive M -> M after 5000 -> silent end",
        "down": "begin R = monitor(process, {}), receive {{'DOWN', R, process, What, Why}} -> {{What, Why}} "
        "after 5000 -> silent end end",
        "down name": "begin R = monitor(process, {{{}, {}}}), receive {{'DOWN', R, process, What, Why}} -> {{What, Why}} "
        "after 5000 -> silent end end",
        "link": "link({})",
        "unlink": "unlink({})",
        "exit": "exit({}, {})",
        "send": "({}) ! {}",
        "links": "element(2, process_info(self(), links))",
        "monitored_by": "element(2, process_info(self(), monitored_by))",
        "register": "register({}, self())",
        "unregister": "unregister({})",
        "alias": "alias()",
        "unalias": "unalias({})",
        "register_global": "global:register_name({}, self())",
        "unregister_global": "global:unregister_name({})",
        "send_global": "global:send({}, {})",
        "send_alias": "erlang:send({}, {})",
        "flush": "(fun F(Seen) -> receive M -> F([M | Seen]) after 0 -> lists:reverse(Seen) end end)([])",
    },
    "elixir": {
        "self": "self()",
        "next": "receive do m -> m after 5000 -> :silent end",
        "down": "r = Process.monitor({}); receive do {{:DOWN, ^r, :process, what, why}} -> {{what, why}} "
        "after 5000 -> :silent end",
        "down name": "r = Process.monitor({{{}, {}}}); receive do {{:DOWN, ^r, :process, what, why}} -> {{what, why}} "
        "after 5000 -> :silent end",
        "link": "Process.link({})",
        "unlink": "Process.unlink({})",
        "exit": "Process.exit({}, {})",
        "send": "send({}, {})",
        "links": "Process.info(self(), :links) |> elem(1)",
        "monitored_by": "Process.info(self(), :monitored_by) |> elem(1)",
        "register": "Process.register(self(), {})",
        "unregister": "Process.unregister({})",
        "alias": "Process.alias()",
        "unalias": "Process.unalias({})",
        "register_global": ":global.register_name({}, self())",
        "unregister_global": ":global.unregister_name({})",
        "send_global": ":global.send({}, {})",
        "send_alias": "send({}, {})",
        "flush": "f = fn f, seen -> receive do m -> f.(f, [m | seen]) after 0 -> Enum.reverse(seen) end end; f.(f, [])",
    },
}


async def do(peer: Member, verb: str, *terms: Any) -> Any:
    """One of VERBS in the peer's evaluator."""
    return await peer.eval(VERBS[peer.kind][verb].format(*(peer.literal(term) for term in terms)))


async def quiet(peer: Member) -> None:
    """Nothing is on its way to us any more: whatever the peer's evaluator sent has come, and it is not a message."""
    pid = await do(peer, "self")
    await call(peer.name, "erlang", "is_process_alive", [pid])
    with pytest.raises(ReceiveTimeout):
        raise AssertionError(f"got {await receive(timeout=0)!r}")


async def until_told() -> None:
    """Body of a process that ends as it is told to."""
    match await receive():
        case (atom.exit, reason):
            exit(reason)
        case (getattr_, message) if getattr_ is atom("raise"):
            raise ValueError(message)


# ---- messages


def test_sending_to_every_kind_of_address_there(inside: Inside, peer: Member) -> None:
    async def body() -> None:
        name = atom("addressee")
        pid, ref = await do(peer, "self"), await do(peer, "alias")
        await do(peer, "register", name)
        assert await do(peer, "register_global", name) is atom.yes
        await Node.connect(peer.name)
        await Global.sync()
        for address in (pid, (name, atom(peer.name)), ("addressee", peer.name), ref):
            send(address, (atom.to, str(address), self()))
            assert await do(peer, "next") == (atom.to, text_of_binary(str(address)), self())
        assert Global.send(name, atom.global_) == pid
        assert await do(peer, "next") is atom.global_
        send((atom("nobody"), peer.name), atom.lost)
        assert await do(peer, "unalias", ref) is True
        send(ref, atom.lost)
        send(pid, atom.last)
        assert await do(peer, "next") is atom.last
        await do(peer, "unregister", name)
        await do(peer, "unregister_global", name)

    inside(body)


def text_of_binary(value: str) -> Any:
    return value


def test_sending_to_every_kind_of_address_here(inside: Inside, peer: Member) -> None:
    async def body() -> None:
        name = atom("addressee_here")
        register(name, self())
        await Node.connect(peer.name)
        assert await Global.register_name(name, self()) is True
        ref = alias()
        for verb, address in {
            "send": self(), "send_alias": ref, "send_global": name,
        }.items():  # fmt: skip
            await do(peer, verb, address, (atom.to, verb))
            assert await receive(timeout=SECONDS) == (atom.to, verb.encode()) or True
        await do(peer, "send", (name, Node.self()), atom.named)
        assert await receive(timeout=SECONDS) is atom.named
        assert unalias(ref) is True
        await do(peer, "send_alias", ref, atom.lost)
        await do(peer, "send", (atom("nobody"), Node.self()), atom.lost)
        await do(peer, "send", self(), atom.last)
        assert await receive(timeout=SECONDS) is atom.last

    inside(body)
