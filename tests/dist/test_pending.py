"""The promises of ``beamish.dist.pending``: examples of each rule, and any schedule over two nodes and a network."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beamish.dist.pending import (
    INCOMING_MAX,
    AbortAttempt,
    Acknowledge,
    Answer,
    AnswerAlive,
    CloseConnection,
    Down,
    DropIncoming,
    GaveUp,
    PeerState,
    Ready,
    StartAttempt,
    Up,
    Verdict,
)
from beamish.errors import LocalProtocolError
from beamish.term import atom
from dist.cluster_model import Model

SMALL = atom("barry@host")
GREAT = atom("robin@host")

schedules = st.lists(st.integers(0, 10_000), min_size=30, max_size=120)


def small() -> PeerState:
    return PeerState(SMALL, GREAT, itertools.count(1))


def great() -> PeerState:
    return PeerState(GREAT, SMALL, itertools.count(1))


def connected(state: PeerState) -> PeerState:
    [start] = state.want()
    assert state.attempt_succeeded(start.link) == [Up(start.link), Ready()]
    return state


class TestAttempt:
    def test_first_wish_starts_it_and_later_ones_wait_for_it(self) -> None:
        state = small()
        assert state.want() == [StartAttempt(1)]
        assert state.want() == []
        assert state.attempt_succeeded(1) == [Up(1), Ready()]
        assert state.connected
        assert state.want() == [Ready()]

    def test_failure_is_told_to_those_who_wait(self) -> None:
        state = small()
        state.want()
        assert state.attempt_failed(1, "no such host") == [GaveUp("no such host")]
        assert state.idle

    def test_news_of_an_aborted_attempt_is_ignored(self) -> None:
        state = small()
        state.want()
        assert state.disconnect() == [AbortAttempt(1), GaveUp("disconnected")]
        assert state.attempt_failed(1, "closed") == []
        assert state.attempt_succeeded(1) == [AbortAttempt(1)]
        assert state.attempt_nok(1) == []
        assert state.idle

    def test_stale_attempt_denies_to_be_alive(self) -> None:
        state = small()
        state.want()
        state.incoming()
        assert state.attempt is None
        assert state.attempt_alive(1) == [AnswerAlive(1, False)]

    def test_current_attempt_affirms_to_be_alive(self) -> None:
        state = small()
        state.want()
        assert state.attempt_alive(1) == [AnswerAlive(1, True)]

    def test_no_connection_to_oneself(self) -> None:
        with pytest.raises(LocalProtocolError, match="itself"):
            PeerState(SMALL, SMALL, itertools.count())


class TestSimultaneous:
    def test_smaller_name_yields_whatever_its_attempt_was_doing(self) -> None:
        state = small()
        state.want()
        link, actions = state.incoming()
        assert actions == [AbortAttempt(1), Answer(link, Verdict.OK_SIMULTANEOUS)]
        assert state.authenticated(link) == [Acknowledge(link), Up(link), Ready()]

    def test_greater_name_goes_on(self) -> None:
        state = great()
        state.want()
        link, actions = state.incoming()
        assert actions == [Answer(link, Verdict.NOK)]
        assert state.attempt_succeeded(1) == [Up(1), Ready()]

    def test_greater_name_that_was_told_to_wait_takes_what_comes(self) -> None:
        state = great()
        state.want()
        state.attempt_nok(1)
        link, actions = state.incoming()
        assert actions == [AbortAttempt(1), Answer(link, Verdict.OK_SIMULTANEOUS)]

    def test_peer_that_was_sent_away_is_owed_one_more_attempt(self) -> None:
        state = great()
        state.want()
        state.incoming()
        assert state.attempt_failed(1, "closed") == [StartAttempt(3)]
        state.incoming()
        assert state.attempt_failed(3, "closed") == [GaveUp("closed")], "only one"

    def test_nobody_connects_while_the_peer_does(self) -> None:
        state = great()
        link, _ = state.incoming()
        assert state.want() == []
        assert state.incoming_failed(link) == [StartAttempt(2)]


class TestIncoming:
    def test_free_peer_is_welcome(self) -> None:
        state = small()
        link, actions = state.incoming()
        assert actions == [Answer(link, Verdict.OK)]
        assert state.authenticated(link) == [Acknowledge(link), Up(link)]

    def test_connected_peer_is_asked_and_a_stale_one_leaves_the_connection_alone(self) -> None:
        state = connected(small())
        link, actions = state.incoming()
        assert actions == [Answer(link, Verdict.ALIVE)]
        assert state.alive_answered(link, False) == []
        assert state.connection == 1

    def test_replacement_waits_until_the_old_connection_is_fully_down(self) -> None:
        state = connected(small())
        link, _ = state.incoming()
        assert state.alive_answered(link, True) == []
        assert state.authenticated(link) == [CloseConnection(1)]
        assert not state.connected
        assert state.connection_down(1) == [Down(1, replaced=True), Acknowledge(link), Up(link)]

    def test_replacement_that_fails_leaves_a_real_loss(self) -> None:
        state = connected(small())
        link, _ = state.incoming()
        state.alive_answered(link, True)
        state.authenticated(link)
        assert state.incoming_failed(link) == []
        assert state.connection_down(1) == [Down(1, replaced=False)]
        assert state.idle

    def test_unproved_replacement_does_not_touch_the_connection(self) -> None:
        state = connected(small())
        link, _ = state.incoming()
        state.alive_answered(link, True)
        assert state.incoming_failed(link) == []
        assert state.connected

    def test_the_newest_of_several_counts(self) -> None:
        state = small()
        old, _ = state.incoming()
        new, _ = state.incoming()
        assert state.authenticated(new) == [DropIncoming(old), Acknowledge(new), Up(new)]
        assert state.authenticated(old) == [DropIncoming(old)]
        assert state.connection == new

    def test_unproved_ones_are_bounded(self) -> None:
        state = small()
        links = [state.incoming()[0] for _ in range(INCOMING_MAX)]
        link, actions = state.incoming()
        assert actions == [DropIncoming(links[0]), Answer(link, Verdict.OK)]

    def test_reports_about_forgotten_links_are_ignored(self) -> None:
        state = small()
        assert state.incoming_failed(99) == []
        assert state.connection_down(99) == []
        assert state.authenticated(99) == [DropIncoming(99)]
        assert state.alive_answered(99, True) == [DropIncoming(99)]


class TestConnection:
    def test_wish_during_the_teardown_is_served_after_it(self) -> None:
        state = connected(small())
        assert state.disconnect() == [CloseConnection(1)]
        assert state.disconnect() == []
        assert state.want() == []
        assert state.connection_down(1) == [Down(1, replaced=False), StartAttempt(2)]

    def test_loss(self) -> None:
        state = connected(small())
        assert state.connection_down(1) == [Down(1, replaced=False)]
        assert state.idle

    def test_disconnect_drops_what_might_become_a_connection(self) -> None:
        state = small()
        link, _ = state.incoming()
        state.want()
        assert state.disconnect("bye") == [DropIncoming(link), GaveUp("bye")]
        assert state.idle


class Chooser:
    """Hands out a schedule's numbers as choices, and the first choice when they are used up."""

    def __init__(self, numbers: list[int]) -> None:
        self.numbers = iter(numbers)

    def __call__(self, options: int) -> int:
        return next(self.numbers, 0) % options


@given(schedules, st.integers(1, 3))
@settings(max_examples=300, deadline=None)
def test_nodes_that_want_each_other_meet_without_waiting_for_a_time_limit(numbers: list[int], who: int) -> None:
    model = Model(SMALL, GREAT)
    choose = Chooser(numbers)
    for bit, node in enumerate(model.nodes):
        if who >> bit & 1:
            node.want()
    model.settle(choose, timeouts=False)
    model.agreement()
    assert all(node.state.connected for node in model.nodes)


@given(schedules)
@settings(max_examples=400, deadline=None)
def test_wishes_and_cuts_at_any_time_end_in_agreement(numbers: list[int]) -> None:
    model = Model(SMALL, GREAT)
    choose = Chooser(numbers)
    for _ in range(len(numbers) * 2 // 3):
        moves = model.progress() * 3 + model.wishes()
        moves[choose(len(moves))][1]()
    model.settle(choose, timeouts=True)
    model.agreement()


@given(schedules)
@settings(max_examples=400, deadline=None)
def test_mishaps_at_any_time_end_in_agreement(numbers: list[int]) -> None:
    model = Model(SMALL, GREAT)
    choose = Chooser(numbers)
    for _ in range(len(numbers) * 2 // 3):
        moves = model.progress() * 3 + model.wishes() + model.mishaps()
        moves[choose(len(moves))][1]()
    model.settle(choose, timeouts=True)
    model.agreement()
    for node in model.nodes:
        node.want()
    model.settle(choose, timeouts=True)
    model.agreement()
    assert all(node.state.connected for node in model.nodes), "they can still connect"


def test_exhaustively_both_connect_at_once() -> None:
    """Every order of every step, when both want each other at the same time."""
    seen = 0
    stack: list[list[int]] = [[]]
    while stack:
        path = stack.pop()
        model = Model(SMALL, GREAT)
        for node in model.nodes:
            node.want()
        for index in path:
            model.progress()[index][1]()
        options = len(model.progress())
        if options:
            stack.extend([*path, index] for index in range(options))
            continue
        seen += 1
        model.agreement()
        assert all(node.state.connected for node in model.nodes)
    assert seen >= 18
