"""The order and the bounds of a stream, as a state machine."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from beamish.task.flow import MOST_WAITING, Flow
from beamish.task.results import Exited, Ok
from beamish.term import atom


@settings(deadline=None)
@given(st.integers(1, 5), st.booleans(), st.lists(st.integers(0, 9), max_size=60))
def test_every_result_comes_once_and_in_order(most: int, ordered: bool, choices: list[int]) -> None:
    flow = Flow(most, ordered=ordered)
    running: list[int] = []
    ended: list[int] = []
    got: list[Any] = []
    for choice in choices:
        if choice < 5 and flow.has_room:
            running.append(flow.start(f"item {flow.started}"))
        elif choice < 8 and running:
            position = running.pop(choice % len(running))
            ended.append(position)
            told = flow.deliver(position, Ok(position))
            assert told or flow.next() is None
        else:
            outcome = flow.next()
            if outcome is not None:
                got.append(outcome.value)
        assert flow.running == len(running) <= most
        assert got == (sorted(ended) if ordered else ended)[: len(got)]
    flow.no_more = True
    for position in running:
        assert not flow.finished
        flow.deliver(position, Ok(position))
        ended.append(position)
    while (outcome := flow.next()) is not None:
        got.append(outcome.value)
    assert got == (sorted(ended) if ordered else ended)
    assert len(got) == flow.started
    assert flow.finished
    assert not flow._inputs
    assert not flow._early


def test_an_end_without_result_carries_its_item() -> None:
    for keep, item in ((True, "cheese"), (False, ...)):
        flow = Flow(1, keep_input=keep)
        error = ValueError()
        flow.deliver(flow.start("cheese"), Exited(atom.oops, error=error))
        assert flow.next() == Exited(atom.oops, item, error)


def test_results_that_wait_for_an_earlier_one_are_bounded() -> None:
    flow = Flow(2)
    slow = flow.start("slow")
    done = 0
    while flow.has_room:
        assert not flow.deliver(flow.start("fast"), Ok(done)) or flow.has_room
        done += 1
    assert flow.running == 1
    assert done == MOST_WAITING
    assert flow.next() is None
    assert flow.deliver(slow, Ok("slow"))
    for _ in range(MOST_WAITING):
        assert not flow.has_room
        assert flow.next() is not None
    assert flow.has_room


def test_unread_results_are_not_run_ahead_of() -> None:
    flow = Flow(2, ordered=False)
    for position in (flow.start("a"), flow.start("b")):
        assert flow.deliver(position, Ok(position))
    assert not flow.has_room
    flow.next()
    assert flow.has_room


def test_the_first_failure_counts() -> None:
    flow = Flow(1)
    first = ValueError()
    flow.fail(first)
    flow.fail(KeyError())
    assert flow.error is first
