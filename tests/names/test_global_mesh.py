"""Name servers that join, leave and crash over a simulated network."""

from __future__ import annotations

import pytest
from global_simulator import Net, healthy_mesh
from hypothesis import given, settings
from hypothesis import strategies as st

from beamish.names import messages as m
from beamish.names.actions import Action, Cast
from beamish.term import atom

NAMES = [f"{letter}@{host}" for letter, host in zip("abcdefgh", "xyzxyzxy", strict=True)]


@pytest.mark.parametrize("seed", range(20))
def test_two_nodes_that_could_both_wait_do_not(seed: int) -> None:
    net = Net(seed)
    one, two = net.start("a@x"), net.start("b@x")
    net.connect(one, two)
    assert net.run() < 1.5
    net.check()
    assert [*one.core.state.known] == [two.name]


@pytest.mark.parametrize("seed", range(10))
def test_nodes_that_join_one_after_the_other(seed: int) -> None:
    nodes = healthy_mesh(Net(seed), ["a@x", "e@x", "c@y", "d@y", "b@x"])
    assert len(nodes[0].core.state.known) == 4


@pytest.mark.parametrize("count", [3, 5, 8])
@pytest.mark.parametrize("seed", range(15))
def test_nodes_that_join_at_once(seed: int, count: int) -> None:
    net = Net(seed)
    nodes = [net.start(name) for name in NAMES[:count]]
    for index, node in enumerate(nodes[1:]):
        net.connect(node, nodes[net.rng.randrange(index + 1)])
    tags = [(node, node.register(("job", node.name))) for node in nodes]
    assert net.run() < 30
    net.check()
    assert len(net.groups()) == 1
    assert all(node.replies[tag] is m.YES for node, tag in tags)
    assert len(nodes[0].core.registered_names()) == count


def test_two_clusters_that_meet_become_one() -> None:
    net = Net(3)
    left = healthy_mesh(net, ["a@x", "d@x", "e@x"])
    right = healthy_mesh(net, ["b@y", "c@y"])
    left[0].register("left")
    right[0].register("right")
    net.run()
    net.connect(left[1], right[1])
    net.run()
    net.check()
    assert [set(group) for group in net.groups()] == [{*left, *right}]
    assert net.names(left[2]).keys() == {"'left'", "'right'"}


def test_sync_answers_when_all_agree() -> None:
    net = Net(5)
    one, two, three = (net.start(name) for name in ("a@x", "b@x", "c@x"))
    net.connect(one, two)
    net.connect(two, three)
    net.run_for(0.15)
    tag = two.sync()
    assert tag not in two.replies
    net.run()
    assert two.replies[tag] is m.OK
    again = two.sync()
    assert two.replies[again] is m.OK


def test_sync_does_not_wait_for_a_node_that_dies() -> None:
    net = Net(6)
    one, two = net.start("a@x"), net.start("b@x")
    net.connect(one, two)
    net.run_for(0.1)
    tag = one.sync()
    net.crash(two)
    net.run()
    assert one.replies[tag] is m.OK
    net.check()


def test_sync_with_a_node_that_cannot_be_reached() -> None:
    net = Net(6)
    one = net.start("a@x")
    tag = one.ask((m.SYNC, [atom("nobody@x")]))
    assert tag not in one.replies
    net.run()
    assert one.replies[tag] is m.OK


def test_without_connect_all_there_is_no_session() -> None:
    net = Net(7)
    one, two = net.start("a@x", connect_all=False), net.start("b@x", connect_all=False)
    net.connect(one, two)
    net.run()
    assert one.connections
    assert not one.core.state.known
    tags = one.sync(), one.register("alone")
    net.run()
    assert [one.replies[tag] for tag in tags] == [m.OK, m.YES]
    assert one.core.whereis("alone") is not None
    assert two.core.whereis("alone") is None


def test_a_hidden_node_is_left_alone() -> None:
    one = Net(8).start("a@x")
    assert one.core.handle_nodeup(one.name, 1, False, 0.0) == []
    assert not one.core.state.connections


@pytest.mark.parametrize("orderly", [True, False])
@pytest.mark.parametrize("seed", range(20))
def test_a_node_that_goes_leaves_the_others_together(seed: int, orderly: bool) -> None:
    net = Net(seed)
    nodes = healthy_mesh(net, ["a@x", "b@x", "c@y", "d@y"])
    gone = nodes.pop(net.rng.randrange(4))
    gone.register("gone")
    net.run()
    (net.stop if orderly else net.crash)(gone)
    net.run()
    net.check()
    assert net.groups() == [set(nodes)]
    assert nodes[0].core.registered_names() == []


def random_story(net: Net, steps: int) -> None:
    """Nodes come, go and crash, names come and go, at random moments."""
    rng = net.rng
    down, not_before, pids = list(NAMES[:6]), dict.fromkeys(NAMES, 0.0), []
    for _ in range(steps):
        alive, dice = net.alive(), rng.random()
        ready = [name for name in down if not_before[name] <= net.now]
        if dice < 0.45 and ready:
            name = rng.choice(ready)
            down.remove(name)
            node = net.start(name)
            if alive:
                net.connect(node, rng.choice(alive))
        elif dice < 0.6 and alive:
            node = rng.choice(alive)
            pids.append((node, node.spawn()))
            method = rng.choice([None, "random_notify_name", "notify_all_name", "none"])
            node.register(rng.choice(["n1", "n2", (1, 2.0), [3], {"k": 1}]), pids[-1][1], method)
        elif dice < 0.7 and alive:
            rng.choice(alive).unregister(rng.choice(["n1", "n2", [3]]))
        elif dice < 0.8 and pids:
            node, pid = rng.choice(pids)
            if node.alive:
                node.kill(pid)
        elif len(alive) > 1:
            node = rng.choice(alive)
            rng.choice([net.crash, net.stop])(node)
            down.append(node.name.text)
            not_before[node.name.text] = net.now + 3  # a name comes back when all know that it went
        net.run_for(rng.choice([0.001, 0.01, 0.1, 0.3, 1, 3]))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 1 << 32))
def test_whatever_comes_and_goes_the_rest_agrees(seed: int) -> None:
    net = Net(seed)
    random_story(net, 25)
    net.run()
    net.check()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1 << 32))
def test_nothing_is_left_behind_by_many_joins_and_leaves(seed: int) -> None:
    net = Net(seed)
    (stays,) = healthy_mesh(net, ["m@x"])
    for round_ in range(20):
        guest = net.start(net.rng.choice(["a@x", "z@y"]))
        net.connect(guest, stays)
        guest.register("guest")
        net.run_for(net.rng.choice([0.0, 0.05, 0.21, 0.3, 2.0]))
        (net.crash if round_ % 2 else net.stop)(guest)
        net.run()
    net.check()
    state, core = stays.core.state, stays.core
    left = [state.known, state.synced, state.connections, state.connected_at, state.reaching, state.monitors]
    left += [state.timers, state.outcomes, core.sessions.parked, core.sessions.restarts, core.sessions.doubted]
    left += [core.sessions.unconfirmed, stays.monitors, core.registered_names()]
    assert not any(left)


def test_nodes_whose_introducer_died_half_way_agree_in_the_end() -> None:
    """b agreed with a and so knows c; a dies before it tells c that b joined. OTP leaves it at that."""
    net = Net(1)
    middle, there = healthy_mesh(net, ["a@x", "c@x"])
    there.register("there")
    net.run()
    newcomer = net.start("b@x")
    newcomer.register("new")
    carry_out = middle.carry_out

    def dies_before_telling(action: Action) -> None:
        if isinstance(action, Cast) and action.message[0] is m.NEW_NODES:
            net.crash(middle)
        else:
            carry_out(action)

    middle.carry_out = dies_before_telling  # type: ignore[method-assign]
    net.connect(newcomer, middle)
    net.run_for(4.0)
    assert not middle.alive
    assert there.name in newcomer.core.state.known
    assert newcomer.name not in there.core.state.known
    net.run()
    net.check()
    assert [set(group) for group in net.groups()] == [{there, newcomer}]
    assert net.names(there).keys() == {"'there'", "'new'"}
