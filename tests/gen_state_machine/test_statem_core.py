"""The rules of state machines, as tables and properties."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statem_oracle import Played, scripts

from beamish.gen_state_machine import POSTPONE, EventTimeout, Keep, NamedTimeout, Next, NextEvent, Repeat, ReplyTo, StateTimeout
from beamish.gen_state_machine.core import Answer, BadTransition, CancelTimer, Core, StartTimer


def run(core: Core, answers: dict[Any, Any]) -> list[Any]:
    """Answer everything that waits; the events in order, each with its state."""
    seen = []
    while (asked := core.pending()) is not None:
        seen.append((asked.type, asked.content, core.state))
        core.answer(answers.get((asked.content, core.state), Keep()))
    return seen


def test_events_come_in_their_order() -> None:
    core = Core("a")
    core.begin()
    for number in range(3):
        core.receive("cast", number)
    assert run(core, {(1, "a"): Next("b")}) == [("cast", 0, "a"), ("cast", 1, "a"), ("cast", 2, "b")]
    assert core.pending() is None


def test_a_postponed_event_comes_again_after_the_state_has_changed() -> None:
    core = Core("a")
    core.begin()
    for number in range(3):
        core.receive("info", number)
    assert run(core, {(0, "a"): Keep(POSTPONE), (1, "a"): Keep(POSTPONE), (2, "a"): Keep()}) == [("info", n, "a") for n in range(3)]
    core.receive("info", 9)
    assert run(core, {(9, "a"): Next("b")}) == [("info", 9, "a"), ("info", 0, "b"), ("info", 1, "b")]


def test_inserted_events_come_before_postponed_ones_and_those_before_what_waits() -> None:
    core = Core("a")
    core.begin()
    for number in (0, 1, 2):
        core.receive("cast", number)
    answers = {(0, "a"): Keep(POSTPONE), (1, "a"): Next("b", NextEvent("internal", "x"), NextEvent("internal", "y"))}
    assert run(core, answers) == [
        ("cast", 0, "a"), ("cast", 1, "a"), ("internal", "x", "b"), ("internal", "y", "b"), ("cast", 0, "b"), ("cast", 2, "b"),
    ]  # fmt: skip


def test_an_event_that_is_postponed_with_a_change_of_state_comes_at_once() -> None:
    core = Core("a")
    core.begin()
    core.receive("cast", 0)
    core.receive("cast", 1)
    assert run(core, {(0, "a"): Next("b", POSTPONE)}) == [("cast", 0, "a"), ("cast", 0, "b"), ("cast", 1, "b")]


def test_enter_calls() -> None:
    core = Core("a", enter_calls=True)
    core.begin()
    assert run(core, {}) == [("enter", "a", "a")]
    core.receive("cast", 0)
    assert run(core, {(0, "a"): Next("b")}) == [("cast", 0, "a"), ("enter", "a", "b")]
    core.receive("cast", 1)
    assert run(core, {(1, "b"): Repeat()}) == [("cast", 1, "b"), ("enter", "b", "b")]
    core.receive("cast", 2)
    assert run(core, {(2, "b"): Next("b")}) == [("cast", 2, "b")]


def test_replies_are_given_in_order_and_at_once() -> None:
    core = Core("a", enter_calls=True)
    assert core.begin((ReplyTo("x", 0),)) == [Answer("x", 0)]
    core.pending()
    assert core.answer(Keep(ReplyTo("x", 1), ReplyTo("y", 2))) == [Answer("x", 1), Answer("y", 2)]


def timers_of(core: Core) -> dict[Any, Any]:
    return {kind: timer.content for kind, timer in core.timers.items()}


def test_timers() -> None:
    core = Core("a")
    effects = core.begin((StateTimeout(5.0, "s"), EventTimeout(6.0, "e"), NamedTimeout("n", 7.0, "n")))
    assert effects == [
        StartTimer("state_timeout", 1, 5.0), StartTimer("timeout", 2, 6.0), StartTimer(("timeout", "n"), 3, 7.0),
    ]  # fmt: skip
    core.receive("cast", 0)
    core.pending()
    assert core.answer(Keep()) == [CancelTimer(2)]
    assert timers_of(core) == {"state_timeout": "s", ("timeout", "n"): "n"}
    core.receive("cast", 1)
    core.pending()
    assert core.answer(Next("b", StateTimeout(1.0, "t"))) == [CancelTimer(1), StartTimer("state_timeout", 4, 1.0)]
    assert not core.fired("state_timeout", 1)  # it was under way when it was cancelled
    assert core.fired("state_timeout", 4)
    assert core.fired(("timeout", "n"), 3)
    assert run(core, {}) == [("state_timeout", "t", "b"), (("timeout", "n"), "n", "b")]
    assert timers_of(core) == {}


def test_updates_and_cancels() -> None:
    core = Core("a")
    core.begin((StateTimeout(5.0, 1), NamedTimeout("n", 5.0, 2)))
    core.receive("cast", 0)
    core.pending()
    assert core.answer(Keep(StateTimeout.update(7), NamedTimeout.cancel("n"), NamedTimeout.update("m", 8))) == [CancelTimer(2)]
    assert run(core, {}) == [(("timeout", "m"), 8, "a")]  # one that does not run fires at once
    assert timers_of(core) == {"state_timeout": 7}
    core.receive("cast", 1)
    core.pending()
    assert core.answer(Keep(StateTimeout(None))) == [CancelTimer(1)]


def test_zero_timeouts_come_after_all_that_waits_and_before_what_comes() -> None:
    core = Core("a")
    core.begin()
    core.receive("cast", 0)
    core.receive("cast", 1)
    answers = {(0, "a"): Keep(NamedTimeout("n", 0, "n"), StateTimeout(0, "s"), EventTimeout(0, "e"))}
    assert run(core, answers) == [
        ("cast", 0, "a"), ("cast", 1, "a"), (("timeout", "n"), "n", "a"), ("state_timeout", "s", "a"),
    ]  # fmt: skip


def test_the_last_of_several_actions_for_one_timer_counts() -> None:
    core = Core("a")
    assert core.begin((StateTimeout(5.0, 1), StateTimeout(6.0, 2), StateTimeout.cancel(), StateTimeout(7.0, 3))) == [
        StartTimer("state_timeout", 1, 7.0)
    ]


@pytest.mark.parametrize(
    ("transition", "reason"),
    [
        (Next("b"), "bad_state_enter_return_from_state_function"),
        (Keep(POSTPONE), "bad_state_enter_action_from_state_function"),
        (Keep(NextEvent("internal", 1)), "bad_state_enter_action_from_state_function"),
        ("nonsense", "bad_return_from_state_function"),
    ],
)
def test_what_an_enter_call_must_not_give(transition: Any, reason: str) -> None:
    core = Core("a", enter_calls=True)
    core.begin()
    core.pending()
    with pytest.raises(BadTransition) as caught:
        core.answer(transition)
    assert caught.value.reason == reason


def test_states_are_told_apart_by_type() -> None:
    core = Core(1, enter_calls=True)
    core.begin()
    run(core, {})
    core.receive("cast", 0)
    assert run(core, {(0, 1): Next(True)}) == [("cast", 0, 1), ("enter", 1, True)]


def test_an_answer_without_a_question_is_our_mistake() -> None:
    core = Core("a")
    core.begin()
    with pytest.raises(RuntimeError, match="call pending"):
        core.answer(Keep())


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: StateTimeout(-1.0), "from 0 on, or None"),
        (lambda: EventTimeout(True), "from 0 on, or None"),
        (lambda: NamedTimeout("x", "soon"), "from 0 on, or None"),  # type: ignore[arg-type]
        (lambda: NextEvent("enter", 1), "an event's type is"),
        (lambda: NextEvent(("when", 1), 1), "an event's type is"),
        (lambda: Keep("postpone"), "'postpone' is no action"),  # type: ignore[call-overload]
        (lambda: Next("b", 5.0), "5.0 is no action"),  # type: ignore[call-overload]
    ],
)
def test_actions_that_make_no_sense(make: Any, said: str) -> None:
    with pytest.raises((ValueError, TypeError), match=said):
        make()


@settings(max_examples=300, deadline=None)
@given(script=scripts)
def test_nothing_is_lost_and_nothing_comes_twice(script: Any) -> None:
    """Every event that came from outside is handled or still postponed when all is quiet; no timer is left without one."""
    played = Played(script)
    trace = played.trace()
    handled = [asked for asked, transition in played.answers if POSTPONE not in transition.actions]
    core = played.core
    assert core.pending() is None
    assert not core.events
    assert not core.zero_timers
    came = [content for what, content in played.steps]
    ours = [event for event in handled if event.type in ("cast", "info")]
    inserted = sum(event.type in ("cast", "info") for event in [*ours, *core.postponed]) - len(came)
    assert inserted >= 0  # beside them only what NextEvent made
    assert set(played.due) == {timer.number for timer in core.timers.values()}
    assert len(trace) == len(played.steps) + 1


@given(st.lists(st.sampled_from(["a", "b"]), max_size=8))
def test_a_state_timeout_never_outlives_its_state(states: list[str]) -> None:
    core = Core("a")
    core.begin((StateTimeout(1.0, "a"),))
    for state in states:
        core.receive("cast", state)
        core.pending()
        changes = state != core.state
        core.answer(Next(state, StateTimeout(1.0, state)) if changes else Keep())
        assert timers_of(core) == {"state_timeout": core.state}
