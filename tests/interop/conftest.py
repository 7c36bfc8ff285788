"""Fixtures of tests whose body is a process of ours that talks to the evaluator process of a real node."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest
from cluster import COMPLAINT, Member
from oracle import oracle  # noqa: F401  a fixture

from beam import COOKIE, ElixirNode, ErlNode, RealEpmd, unique_name
from beamish.boot import new_event_loop, start_node
from beamish.io.requests import Device

Body = Callable[[], Awaitable[None]]
Inside = Callable[..., None]


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
