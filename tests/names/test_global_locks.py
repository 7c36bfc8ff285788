"""Locks on one node, and how a lock is taken on several."""

from __future__ import annotations

import random
from typing import Any

import pytest
from global_simulator import Net, healthy_mesh

from beamish.names import messages as m
from beamish.names.actions import Demonitor, Monitor
from beamish.names.locks import LockTable, del_lock_boss_last, random_pause, set_lock, set_lock_on_nodes
from beamish.names.state import State
from beamish.names.strand import CallNodes, Sleep
from beamish.term import Pid, atom, charlist

US, A, B, Z = atom("us@x"), atom("a@x"), atom("b@x"), atom("z@x")
ME, HIM, HER = Pid(US, 1, 0, 1), Pid(A, 1, 0, 1), Pid(B, 1, 0, 1)


def table() -> LockTable:
    return LockTable(State(US, ME, 1, random.Random(1)))


def test_a_lock_is_granted_once_and_shared_by_one_requester() -> None:
    locks = table()
    assert locks.set(("r", 1), HIM)
    assert locks.set(("r", 1), HER)
    assert locks.set(("r", 1), HIM)
    assert not locks.set(("r", 2), HER)
    assert locks.can_set(("r", 1))
    assert not locks.can_set(("r", 2))
    assert locks.can_set(("other", 2))
    locks.delete(("r", 2), HIM)  # not theirs
    locks.delete(("r", 1), HIM)
    assert not locks.set(("r", 2), HER)
    locks.delete(("r", 1), HER)
    assert locks.set(("r", 2), HER)
    assert len(locks) == 1


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, 1.0, False),
        (1, True, False),
        ("a", b"a", True),
        (charlist("ab"), [97, 98], True),
        ([1, {"k": [2]}], [1, {b"k": [2]}], True),
        ((1, 2), [1, 2], False),
    ],
)
def test_resources_are_the_same_as_in_erlang(one: Any, other: Any, same: bool) -> None:
    locks = table()
    assert locks.set((one, 1), HIM)
    assert locks.set((other, 2), HER) is not same


def test_a_lock_goes_with_its_holder() -> None:
    locks = table()
    state = locks._state
    locks.set((m.GLOBAL, 1), HIM)
    locks.set((m.GLOBAL, 1), HER)
    his, her = (action.key for action in state.flush() if isinstance(action, Monitor))
    state.monitors.pop(his)()
    assert not locks.global_lock_down
    assert len(locks) == 1
    state.monitors.pop(her)()
    assert len(locks) == 0
    assert locks.global_lock_down
    locks.set((m.GLOBAL, 2), HIM)
    locks.delete((m.GLOBAL, 2), HIM)
    assert not locks.global_lock_down
    assert not state.monitors


def test_letting_go_ends_the_watch_and_ourselves_are_not_watched() -> None:
    locks = table()
    locks.set(("r", 1), HIM)
    locks.set(("r", 1), ME)
    locks.delete(("r", 1), HIM)
    kinds = [type(action) for action in locks._state.flush()]
    assert kinds == [Monitor, Demonitor]
    locks.delete(("r", 1), ME)
    assert len(locks) == 0


def test_an_attempt_on_no_node_succeeds() -> None:
    assert steps(set_lock_on_nodes(("r", 1), [], US, lambda _: True), []) == ([], True)


def test_a_hopeless_attempt_costs_no_traffic() -> None:
    assert steps(set_lock_on_nodes(("r", 1), [A, US], US, lambda _: False), []) == ([], False)
    # On one node, or not on ours, we cannot know.
    assert steps(set_lock_on_nodes(("r", 1), [US], US, lambda _: False), [{US: False}])[1] is False
    assert steps(set_lock_on_nodes(("r", 1), [A, B], US, lambda _: False), [{A: True, B: True}])[1] is True


def test_a_refusal_gives_back_what_was_granted() -> None:
    seen, outcome = steps(
        set_lock_on_nodes(("r", 1), [A, B, US], US, lambda _: True),
        [{A: True, B: False, US: True}, {A: True, US: True}],
    )
    assert outcome is False
    assert seen == [
        CallNodes((A, B, US), (m.SET_LOCK, ("r", 1))),
        CallNodes((A, US), (m.DEL_LOCK, ("r", 1))),
    ]


def test_nodes_that_do_not_answer_do_not_count() -> None:
    assert steps(set_lock_on_nodes(("r", 1), [A, B], US, lambda _: True), [{A: True}])[1] is True


def test_the_boss_is_released_last() -> None:
    state = State(US, ME, 1, random.Random(1))
    seen, _ = steps(del_lock_boss_last(state, ("r", 1), [Z, A, US]), [{}, {}])
    assert [step.nodes for step in seen] == [(A, US), (Z,)]


@pytest.mark.parametrize(("retries", "attempts"), [(0, 1), (1, 2), (4, 5)])
def test_retries_are_counted_and_pauses_grow(retries: int, attempts: int) -> None:
    refuse: list[Any] = [{A: False} if number % 2 == 0 else None for number in range(2 * attempts - 1)]
    seen, outcome = steps(set_lock(("r", 1), [A], US, lambda _: True, retries, AlmostOne()), refuse)
    assert outcome is False
    pauses = [step.seconds for step in seen if isinstance(step, Sleep)]
    assert pauses == pytest.approx([2**times / 8 for times in range(1, attempts)], rel=0.01)


def test_without_a_count_it_tries_for_ever() -> None:
    answers: list[Any] = [{A: False}, None] * 50 + [{A: True}]
    seen, outcome = steps(set_lock(("r", 1), [A], US, lambda _: True, None, random.Random(1)), answers)
    assert outcome is True
    assert max(step.seconds for step in seen if isinstance(step, Sleep)) <= 8.0


def test_pauses_stay_between_a_millisecond_and_eight_seconds() -> None:
    assert random_pause(0, Zero()) == 0.001
    assert random_pause(0, AlmostOne()) <= 0.125
    assert random_pause(5, AlmostOne()) <= 4.0
    assert 7.9 < random_pause(6, AlmostOne()) <= 8.0
    assert random_pause(10_000, AlmostOne()) <= 8.0


def test_a_users_lock_on_all_nodes_excludes_the_others() -> None:
    net = Net(1)
    one, two, three = healthy_mesh(net, ["a@x", "b@x", "c@x"])
    lock_one, lock_two = ("resource", one.spawn()), ("resource", two.spawn())
    everywhere = [one.name, two.name, three.name]
    outcomes: dict[str, bool] = {}

    def locker(node: Any, lock_id: Any, retries: int | None) -> Any:
        core = node.core
        outcomes[node.name.text] = yield from set_lock(
            lock_id, everywhere, node.name, core.locks.can_set, retries, core.state.rng
        )

    def start(node: Any, lock_id: Any, retries: int | None) -> None:
        node.core._strands.spawn("user", locker(node, lock_id, retries))
        node.act(node.core.handle_timer(0, net.now))

    start(one, lock_one, None)
    net.run()
    start(two, lock_two, 1)
    net.run()
    assert outcomes == {"a@x": True, "b@x": False}
    assert [len(node.core.locks) for node in (one, two, three)] == [1, 1, 1]
    net.crash(one)  # the locks of a dead node are free
    net.run()
    start(two, lock_two, None)
    net.run()
    assert outcomes["b@x"] is True


class AlmostOne:
    def random(self) -> float:
        return 0.9999


class Zero:
    def random(self) -> float:
        return 0.0


def steps(activity: Any, answers: list[Any]) -> tuple[list[Any], Any]:
    """Run an activity with these outcomes; gives its steps and its result."""
    seen: list[Any] = []
    answers = [None, *answers]
    try:
        for answer in answers:
            seen += [activity.send(answer)]
    except StopIteration as stop:
        return seen, stop.value
    raise AssertionError(f"wants more than {len(answers) - 1} outcomes: {seen}")
