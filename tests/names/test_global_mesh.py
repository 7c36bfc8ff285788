"""Name servers that join, leave, crash and lose links, over a simulated network."""

from __future__ import annotations

import random

import pytest
from global_simulator import Net, healthy_mesh

from beamish.names import messages as m
from beamish.term import atom


@pytest.mark.parametrize("seed", range(10))
def test_two_nodes_that_both_could_wait_do_not(seed: int) -> None:
    net = Net(seed)
    one, two = net.start("a@x"), net.start("b@x")
    net.connect(one, two)
    assert net.run() < 2.0
    net.check()
    assert [*one.core.state.known] == [two.name]


@pytest.mark.parametrize("seed", range(20))
def test_five_nodes_that_join_one_after_the_other(seed: int) -> None:
    net = Net(seed)
    healthy_mesh(net, ["a@x", "e@x", "c@y", "d@y", "b@x"])


@pytest.mark.parametrize("seed", range(30))
def test_five_nodes_that_join_at_once(seed: int) -> None:
    net = Net(seed)
    nodes = [net.start(f"{letter}@{host}") for letter, host in zip("abcde", "xxyyz", strict=True)]
    for index, node in enumerate(nodes[1:]):
        net.connect(node, nodes[net.rng.randrange(index + 1)])
    tags = [(node, node.register(("job", node.name))) for node in nodes]
    took = net.run()
    net.check()
    assert took < 60
    assert all(node.replies[tag] is m.YES for node, tag in tags)
    assert len(nodes[0].core.registered_names()) == 5
