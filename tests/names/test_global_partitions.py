"""Links that break, connections that are replaced, and who is told."""

from __future__ import annotations

import random
from typing import Any

import pytest
from global_simulator import Net, healthy_mesh

from beamish.names import messages as m
from beamish.names.actions import Action, Disconnect, Send
from beamish.names.core import GlobalCore
from beamish.names.partitions import Gone
from beamish.term import Pid, atom

FIVE = ["a@x", "b@x", "c@y", "d@y", "e@y"]
US, A, B, C = atom("us@x"), atom("a@x"), atom("b@x"), atom("c@x")


def core_that_knows(*nodes: Any, **options: Any) -> GlobalCore:
    core = GlobalCore(US, Pid(US, 1, 0, 9), 9, random.Random(1), **options)
    for number, node in enumerate(nodes):
        core.handle_nodeup(node, number, True, 0.0)
        core.sessions.drop(node)
        core.state.known[node] = m.VERSION
    core.state.flush()
    core._strands.run()
    return core


def sends(actions: list[Action]) -> list[tuple[Any, Any]]:
    return [(action.node, action.message) for action in actions if isinstance(action, Send)]


@pytest.mark.parametrize("seed", range(30))
def test_both_ends_of_a_cut_link_are_expelled(seed: int) -> None:
    net = Net(seed)
    nodes = healthy_mesh(net, FIVE)
    one, two = net.rng.sample(nodes, 2)
    net.cut(one, two, within=0.0)
    net.run()
    net.check()
    rest = {node for node in nodes if node not in (one, two)}
    assert {frozenset(group) for group in net.groups()} == {frozenset({one}), frozenset({two}), frozenset(rest)}


@pytest.mark.parametrize("seed", range(30))
def test_an_end_that_notices_late_may_stay_with_the_rest(seed: int) -> None:
    """Whoever noticed first had the other one expelled; that is all, and nobody is half connected."""
    net = Net(seed)
    nodes = healthy_mesh(net, FIVE)
    one, two = net.rng.sample(nodes, 2)
    net.cut(one, two)
    net.run()
    net.check()
    assert sorted(map(len, net.groups())) in ([1, 4], [1, 1, 3])
    assert all(not {one, two} <= group for group in net.groups())


@pytest.mark.parametrize("seed", range(20))
def test_expelled_nodes_can_come_back(seed: int) -> None:
    net = Net(seed)
    nodes = healthy_mesh(net, FIVE)
    one, two = net.rng.sample(nodes, 2)
    net.cut(one, two)
    net.run()
    net.heal(one, two)
    leader = next(node for node in nodes if node not in (one, two))
    for node in (one, two):
        if leader.name not in node.connections:
            net.connect(node, leader)
            net.run()
    net.check()
    assert len(net.groups()) == 1


@pytest.mark.parametrize("seed", range(30))
def test_replaced_connections_change_nothing(seed: int) -> None:
    net = Net(seed)
    nodes = healthy_mesh(net, FIVE)
    for node in nodes:
        node.register(("name", node.name))
    net.run()
    for _ in range(3):
        net.replace(*net.rng.sample(nodes, 2))
        net.run()
        net.check()
    assert len(net.groups()) == 1
    assert len(nodes[0].core.registered_names()) == 5
    assert not any("overlapping" in log.text for node in nodes for log in node.logs)


def test_without_the_prevention_a_cut_link_stays_a_cut_link() -> None:
    net = Net(1)
    nodes = [net.start(name, prevent_overlapping_partitions=False) for name in FIVE[:3]]
    for node in nodes[1:]:
        net.connect(node, nodes[0])
        net.run()
    net.cut(nodes[1], nodes[2])
    net.run()
    assert [len(node.connections) for node in nodes] == [2, 1, 1]


def test_a_lost_connection_is_announced_to_the_others() -> None:
    core = core_that_knows(A, B, C)
    core.state.known[C] = 6  # would not understand
    actions = core.handle_nodedown(A, Gone.LOST, 1.0)
    ((node, (tag, us, incarnation, number, lost)),) = sends(actions)
    assert (node, tag, us, number, lost) == (B, m.LOST_CONNECTION, US, 1, A)
    assert incarnation & 0xFFFFFFFF == 9
    ((_, again),) = sends(core.handle_nodedown(B, Gone.LOST, 2.0)) or [(None, None)]
    assert again is None  # nobody is left who understands


@pytest.mark.parametrize("why", [Gone.REPLACED, Gone.SHUTDOWN])
def test_what_was_not_lost_is_not_announced(why: Gone) -> None:
    core = core_that_knows(A, B)
    assert sends(core.handle_nodedown(A, why, 1.0)) == []
    assert list(core.state.known) == [B]


def test_nothing_is_announced_while_we_stop() -> None:
    core = core_that_knows(A, B, C)
    core.prepare_shutdown(1.0)
    assert sends(core.handle_nodedown(A, Gone.LOST, 2.0)) == []
    assert sends(core.handle_message((m.LOST_CONNECTION, B, 5, 1, C), 2.0)) == []


def test_prepare_shutdown_by_message() -> None:
    core = core_that_knows(A, B)
    asker = Pid(US, 7, 0, 9)
    (answer,) = core.handle_message((m.PREPARE_SHUTDOWN, asker, "ref"), 1.0)
    assert (answer.pid, answer.message) == (asker, ("ref", m.OK))  # type: ignore[union-attr]
    assert sends(core.handle_nodedown(A, Gone.LOST, 2.0)) == []


def test_a_second_nodeup_without_nodedown_is_a_replaced_connection() -> None:
    core = core_that_knows(A, B)
    actions = core.handle_nodeup(A, "newer", True, 1.0)
    assert sends(actions) == []
    assert A in core.sessions.by_node
    assert A not in core.state.known


def test_a_nodedown_for_a_node_that_was_not_up_is_ignored() -> None:
    core = core_that_knows(A)
    assert core.handle_nodedown(B, Gone.LOST, 1.0) == []


def test_lost_connection_is_passed_on_once_and_the_lost_one_asked_to_go() -> None:
    core = core_that_knows(A, B, C)
    message = (m.LOST_CONNECTION, A, 77, 3, B)
    actions = core.handle_message(message, 1.0)
    assert sends(actions) == [(B, message), (C, message), (B, (m.REMOVE_CONNECTION, US))]
    assert B not in core.state.known
    assert core.handle_message(message, 2.0) == []
    assert core.handle_message((m.LOST_CONNECTION, A, 77, 2, B), 2.0) == []
    # A later one, and one of another incarnation, are news; B is not known any more.
    assert sends(core.handle_message((m.LOST_CONNECTION, A, 77, 4, B), 3.0)) == [(C, (m.LOST_CONNECTION, A, 77, 4, B))]
    assert sends(core.handle_message((m.LOST_CONNECTION, A, 78, 1, B), 3.0)) == [(C, (m.LOST_CONNECTION, A, 78, 1, B))]
    # Its nodedown is no news then.
    assert sends(core.handle_nodedown(B, Gone.LOST, 4.0)) == []
    assert not core.state.removing


def test_lost_connection_is_remembered_for_an_hour() -> None:
    core = core_that_knows(A, C)
    message = (m.LOST_CONNECTION, A, 77, 3, B)
    assert sends(core.handle_message(message, 0.0)) == [(C, message)]
    assert sends(core.handle_message(message, 3599.0)) == []
    assert sends(core.handle_message(message, 3601.0)) == [(C, message)]
    assert len(core.partitions.heard) == 1


def test_the_memory_of_announcements_is_bounded() -> None:
    core = core_that_knows(A)
    for number in range(10_050):
        core.handle_message((m.LOST_CONNECTION, A, 1, number, atom(f"n{number}@x")), float(number) / 100)
    assert len(core.partitions.heard) == 10_000


def test_who_lost_us_is_let_go_itself() -> None:
    core = core_that_knows(A, B)
    actions = core.handle_message((m.LOST_CONNECTION, A, 77, 3, US), 1.0)
    assert sends(actions) == [(B, (m.LOST_CONNECTION, A, 77, 3, US)), (A, (m.REMOVE_CONNECTION, US))]
    assert list(core.state.known) == [B]


def test_an_old_version_is_disconnected_at_once() -> None:
    core = core_that_knows(A, B)
    core.state.known[B] = 6
    actions = core.handle_message((m.LOST_CONNECTION, A, 77, 3, B), 1.0)
    assert sends(actions) == []
    assert Disconnect(B) in actions


def test_remove_connection_disconnects_quietly() -> None:
    core = core_that_knows(A, B)
    actions = core.handle_message((m.REMOVE_CONNECTION, A), 1.0)
    assert Disconnect(A) in actions
    assert sends(actions) == []
    assert sends(core.handle_nodedown(A, Gone.LOST, 2.0)) == []
    assert core.handle_message((m.REMOVE_CONNECTION, C), 3.0) == []
    # After a new connection a loss is news again.
    core.handle_nodeup(A, 9, True, 4.0)
    core.state.known[A] = m.VERSION
    assert [node for node, _ in sends(core.handle_nodedown(A, Gone.LOST, 5.0))] == [B]


def test_pending_nodes_are_told_too() -> None:
    core = core_that_knows(A)
    core.handle_nodeup(B, 1, True, 0.0)
    core.handle_cast(m.init_connect(4, B, {}, Pid(B, 1, 0, 1)), 0.1)
    assert [node for node, _ in sends(core.handle_nodedown(A, Gone.LOST, 1.0))] == [B]


def test_a_known_node_that_cannot_be_reached_counts_as_lost() -> None:
    net = Net(4)
    one, two = healthy_mesh(net, ["a@x", "b@x"])
    three = net.start("c@x")
    net.connect(two, three)
    net.cuts.add(frozenset((one.name, three.name)))
    net.run()
    net.check()
    assert sorted(map(len, net.groups())) in ([1, 2], [1, 1, 1])


def test_disconnect_leaves_the_mesh_without_a_word() -> None:
    net = Net(9)
    one, two, three = healthy_mesh(net, ["a@x", "b@x", "c@x"])
    tag = one.ask(m.DISCONNECT)
    assert set(one.replies[tag]) == {two.name, three.name}
    net.run()
    assert not one.core.state.known
    assert not one.connections
    assert not any("overlapping" in log.text for log in one.logs)
