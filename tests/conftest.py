"""Fixtures for everybody: real nodes, a private epmd, and an event loop of either kind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from beam import HAVE_ELIXIR, HAVE_ERLANG, ElixirNode, ErlNode, RealEpmd

T = TypeVar("T")


@pytest.fixture(scope="session")
def real_epmd() -> Iterator[RealEpmd]:
    """Erlang's epmd on a port of its own; the nodes of this session register there."""
    if not HAVE_ERLANG:
        pytest.skip("Erlang is not installed")
    with RealEpmd() as epmd:
        yield epmd


@pytest.fixture(scope="session")
def erl_node(real_epmd: RealEpmd) -> Iterator[ErlNode]:
    """One Erlang node for the whole session. Leave it as you found it."""
    with ErlNode(epmd=real_epmd) as node:
        yield node


@pytest.fixture(scope="session")
def elixir_node(real_epmd: RealEpmd) -> Iterator[ElixirNode]:
    """One Elixir node for the whole session. Leave it as you found it."""
    if not HAVE_ELIXIR:
        pytest.skip("Elixir is not installed")
    with ElixirNode(epmd=real_epmd) as node:
        yield node


@pytest.fixture
def start_erl(real_epmd: RealEpmd) -> Iterator[Callable[..., ErlNode]]:
    """Starts Erlang nodes (arguments as ErlNode's) that end with the test."""
    nodes: list[ErlNode] = []

    def start(name: str | None = None, *options: str, **settings: Any) -> ErlNode:
        node = ErlNode(name, *options, **{"epmd": real_epmd, **settings})
        nodes.append(node)
        return node

    yield start
    for node in nodes:
        node.stop()


@pytest.fixture
def start_elixir(real_epmd: RealEpmd) -> Iterator[Callable[..., ElixirNode]]:
    """Starts Elixir nodes (arguments as ElixirNode's) that end with the test."""
    if not HAVE_ELIXIR:
        pytest.skip("Elixir is not installed")
    nodes: list[ElixirNode] = []

    def start(name: str | None = None, *options: str, **settings: Any) -> ElixirNode:
        node = ElixirNode(name, *options, **{"epmd": real_epmd, **settings})
        nodes.append(node)
        return node

    yield start
    for node in nodes:
        node.stop()


def _uvloop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()


LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop, "uvloop": _uvloop}


@pytest.fixture(params=list(LOOPS))
def event_loop_factory(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    """Makes event loops; a test that asks for it runs on plain asyncio and on uvloop."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    return LOOPS[request.param]


@pytest.fixture
def run(
    event_loop_factory: Callable[[], asyncio.AbstractEventLoop],
) -> Callable[[Coroutine[Any, Any, T]], T]:
    """Runs a coroutine to its end, once on each kind of event loop."""

    def run_to_end(coroutine: Coroutine[Any, Any, T]) -> T:
        with asyncio.Runner(loop_factory=event_loop_factory) as runner:
            return runner.run(coroutine)

    return run_to_end
