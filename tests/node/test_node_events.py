"""Node.list, monitor_nodes and the rest of the face, between nodes in memory."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from beamish.errors import NodeError, NoRuntime
from beamish.node import Node, node
from beamish.node.runtime import NO_NODE
from beamish.process import receive, self
from beamish.term import Atom, atom
from beamish.testing import MemoryCluster, flush, run_cluster
from loops import virtual

A, B, H = atom("a@memory"), atom("b@memory"), atom("h@memory")


def on_a(test: Any) -> Any:
    """Run ``async def test(cluster)`` as a process on node a of a cluster with b and the hidden node h."""

    def run() -> None:
        async def main() -> None:
            async with MemoryCluster("a", "b") as cluster:
                await cluster.start("h", hidden=True)
                await cluster.run("a", test, cluster)

        run_cluster(main)

    run.__name__ = test.__name__
    return run


@virtual
async def test_a_node_without_a_name() -> None:
    assert node() is Node.self() is NO_NODE
    assert Node.alive() is False
    assert Node.list() == []
    assert Node.list("known") == [NO_NODE]
    assert await Node.connect("b@memory") is atom.ignored
    assert Node.disconnect("b@memory") is atom.ignored
    assert await Node.ping("b@memory") is atom.pang
    assert Node.get_cookie() == "nocookie"
    with pytest.raises(NodeError, match="has no cookie"):
        Node.set_cookie("secret")


def test_outside_a_process() -> None:
    with pytest.raises(NoRuntime, match="needs a running node"):
        Node.self()
    with pytest.raises(TypeError, match="Node is a namespace"):
        Node()


@on_a
async def test_lists(cluster: MemoryCluster) -> None:
    assert Node.alive() is True
    assert await Node.connect(B) is True
    assert await Node.connect("h@memory") is True
    assert Node.list() == [B]
    assert Node.list("hidden") == [H]
    assert Node.list("connected") == [B, H]
    assert Node.list(atom.this) == [A]
    assert sorted(Node.list("known")) == [A, B, H]
    assert Node.disconnect(B) is True
    assert Node.list() == []
    assert sorted(Node.list("known")) == [A, B, H]
    with pytest.raises(ValueError, match="not nearby"):
        Node.list("nearby")


@on_a
async def test_a_name_without_a_host_means_our_host(cluster: MemoryCluster) -> None:
    assert await Node.connect("b") is True
    assert Node.list() == [B]


@on_a
async def test_monitor_nodes(cluster: MemoryCluster) -> None:
    Node.monitor_nodes()
    await Node.connect(B)
    await Node.connect(H)
    assert await receive(timeout=1) == (atom.nodeup, B)
    Node.disconnect(B)
    assert await flush() == [(atom.nodedown, B)]
    Node.monitor_nodes(False)
    await Node.connect(B)
    assert await flush() == []


@on_a
async def test_monitor_nodes_with_types_and_reasons(cluster: MemoryCluster) -> None:
    Node.monitor_nodes(node_type="all", nodedown_reason=True)
    await Node.connect(H)
    await Node.connect(B)
    Node.disconnect(H)
    messages = await flush()
    assert [(m[0], m[1]) for m in messages] == [(atom.nodeup, H), (atom.nodeup, B), (atom.nodedown, H)]
    types = [dict(m[2])[atom.node_type] for m in messages]
    assert types == [atom.hidden, atom.visible, atom.hidden]
    assert dict(messages[2][2])[atom.nodedown_reason] == "disconnected"
    assert atom.nodedown_reason not in dict(messages[0][2])
    Node.monitor_nodes(node_type="hidden")
    await Node.connect(H)
    Node.disconnect(B)
    assert [(m[0], m[1]) for m in await flush()] == [(atom.nodeup, H)]


@on_a
async def test_monitoring_one_node(cluster: MemoryCluster) -> None:
    await Node.connect(B)
    Node.monitor(B)
    Node.monitor(B)
    Node.monitor(B)
    Node.monitor(B, False)
    Node.disconnect(B)
    assert await flush() == [(atom.nodedown, B)] * 2
    Node.monitor("nowhere@memory")
    assert await receive(timeout=5) == (atom.nodedown, atom("nowhere@memory"))


@on_a
async def test_watchers_of_nodes_that_died_are_forgotten(cluster: MemoryCluster) -> None:
    runtime = cluster["a"]
    await Node.connect(B)

    async def watcher() -> None:
        Node.monitor(B)
        Node.monitor_nodes()

    for _ in range(300):
        runtime.spawn(watcher)
    await asyncio.sleep(1)
    Node.monitor(B)
    assert len(runtime.one_node_monitors[B]) < 150
    assert len(runtime.node_monitors) < 150
    Node.disconnect(B)
    assert await flush() == [(atom.nodedown, B)]
    assert runtime.one_node_monitors == {}
    assert runtime.node_monitors == {}


@on_a
async def test_hooks_come_before_messages_and_hear_of_replacements(cluster: MemoryCluster) -> None:
    seen: list[Any] = []
    runtime = cluster["a"]
    runtime.on_nodeup.append(lambda peer: seen.append(("up", peer.node, B in runtime.routes, B in runtime.peers)))
    runtime.on_nodedown.append(lambda peer, why, replaced: seen.append(("down", peer.node, why, replaced)))
    await Node.connect(B)
    assert runtime.peers[B].creation == cluster["b"].creation
    Node.disconnect(B)
    assert seen == [("up", B, True, True), ("down", B, "disconnected", False)]


@on_a
async def test_cookies(cluster: MemoryCluster) -> None:
    assert Node.get_cookie() == "memory"
    Node.set_cookie("other")
    assert Node.get_cookie() == "other"
    Node.set_cookie("for b", "b")
    net = cluster["a"].net
    assert net is not None
    assert net.get_cookie(B) == "for b"
    assert await Node.connect(B) is False


@on_a
async def test_ping_without_net_kernel_on_the_other_side_is_pang(cluster: MemoryCluster) -> None:
    assert await Node.ping(A) is atom.pong
    assert await Node.ping(B) is atom.pang
    assert await Node.ping("nowhere@memory") is atom.pang
    names: list[Atom] = Node.list()
    assert names == [B]
    assert self().node is A
