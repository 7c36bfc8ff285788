"""Scripts for a state machine, played by Erlang's gen_statem and by our core.

A script says what the callbacks give, one result after the other, whatever they are called with; a trace says how they were
called. Scripts are in gen_statem's own terms.
"""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from beam import ErlNode
from beamish.etf import encode
from beamish.gen_state_machine import actions as our
from beamish.gen_state_machine.core import CancelTimer, Core, Effect, Event, StartTimer
from beamish.term import Atom, atom

SOURCE = Path(__file__).with_name("statem_oracle.erl")
NEVER = 3_600_000
STATES = (atom.a, atom.b, atom.c)


def load_oracle(node: ErlNode, folder: Path) -> None:
    """Compile statem_oracle.erl and load it into a node."""
    subprocess.run(["erlc", "-o", str(folder), str(SOURCE)], check=True)
    assert node.eval(f'code:load_abs("{folder}/statem_oracle")') == (atom.module, atom.statem_oracle)


def played_by_erlang(node: ErlNode, script: Any) -> Any:
    """The trace of a script: per step ``(calls, state, postponed, timers)``."""
    data = base64.b64encode(encode([script])).decode()
    return node.eval(f'hd(statem_oracle:play(binary_to_term(base64:decode("{data}"))))')


# ---- the same in terms of our core


def kind_of(term: Any) -> Any:
    """An event type of gen_statem as ours."""
    return ("timeout", term[1]) if isinstance(term, tuple) else str(term)


def term_of(kind: Any) -> Any:
    """The reverse."""
    return (atom.timeout, kind[1]) if isinstance(kind, tuple) else atom(kind)


def action_of(term: Any) -> our.Action:
    """An action of gen_statem as ours."""
    match term:
        case atom.postpone:
            return our.POSTPONE
        case (atom.next_event, kind, content):
            return our.NextEvent(kind_of(kind), content)
        case (kind, atom.cancel):
            return our.TimeoutAction(kind_of(kind), None, None)
        case (kind, atom.update, content):
            return our.TimeoutAction(kind_of(kind), None, content, True)
        case (kind, milliseconds, content):
            return our.TimeoutAction(kind_of(kind), milliseconds / 1000, content)
    raise AssertionError(term)


def transition_of(term: Any, *, entering: bool) -> our.Transition[Any]:
    """A result of the script as the callback gives it; an enter call gives only what it may."""
    actions = tuple(action_of(each) for each in term[-1])
    if entering:
        actions = tuple(each for each in actions if isinstance(each, our.TimeoutAction))
    match term[0]:
        case atom.next:
            return our.Keep(*actions) if entering else our.Next(term[1], *actions)
        case atom.repeat:
            return our.Repeat(*actions)
    return our.Keep(*actions)


class Played:
    """A script played by our core, on a clock of milliseconds."""

    def __init__(self, script: Any) -> None:
        enter_calls, state, actions, results, self.steps = script
        self.core = Core(state, enter_calls=enter_calls)
        self.results = list(results)
        self.now = 0.0
        self.due: dict[int, tuple[float, Any]] = {}
        self.calls: list[Any] = []
        self.answers: list[tuple[Event, our.Transition[Any]]] = []
        self.carry_out(self.core.begin(tuple(map(action_of, actions))))

    def carry_out(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case StartTimer(kind, number, seconds):
                    self.due[number] = (self.now + seconds, kind)
                case CancelTimer(number):
                    del self.due[number]

    def run(self) -> None:
        while (asked := self.core.pending()) is not None:
            self.calls.append((term_of(asked.type), asked.content, self.core.state))
            given = self.results.pop(0) if self.results else (atom.keep, [])
            transition = transition_of(given, entering=asked.type == "enter")
            self.answers.append((asked, transition))
            self.carry_out(self.core.answer(transition))

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while self.due:
            number, (when, kind) = min(self.due.items(), key=lambda item: (item[1][0], item[0]))
            if when > end:
                break
            self.now = when
            del self.due[number]
            assert self.core.fired(kind, number)
            self.run()
        self.now = end

    def look(self) -> Any:
        calls, self.calls = self.calls, []
        timers = [(term_of(kind), timer.content) for kind, timer in self.core.timers.items()]
        postponed = [(term_of(event.type), event.content) for event in reversed(self.core.postponed)]
        return calls, self.core.state, postponed, timers

    def trace(self) -> list[Any]:
        self.run()
        seen = [self.look()]
        for what, value in self.steps:
            if what is atom.wait:
                self.wait(value / 1000)
            else:
                self.core.receive(str(what), value)
                self.run()
            seen.append(self.look())
        return seen


def played_by_us(script: Any) -> list[Any]:
    """The trace of a script."""
    return Played(script).trace()


def comparable(trace: Any) -> Any:
    """A trace without what the two show in an order of their own."""
    return [(calls, state, postponed, sorted(map(repr, timers))) for calls, state, postponed, timers in trace]


# ---- made-up scripts

contents = st.integers(0, 9)
timeout_kinds = st.sampled_from([atom.state_timeout, atom.timeout, (atom.timeout, atom.x), (atom.timeout, atom.y)])
timeouts = st.one_of(
    st.tuples(timeout_kinds, st.sampled_from([0, 0, NEVER]), contents),
    st.tuples(timeout_kinds, st.just(atom.update), contents),
    st.tuples(timeout_kinds, st.just(atom.cancel)),
)
event_types = st.one_of(st.sampled_from([atom.internal, atom.cast, atom.info]), timeout_kinds)
event_actions = st.one_of(
    timeouts, timeouts, st.just(atom.postpone), st.just(atom.postpone), st.tuples(st.just(atom.next_event), event_types, contents)
)
action_lists = st.lists(event_actions, max_size=4)
results = st.one_of(
    st.tuples(st.just(atom.next), st.sampled_from(STATES), action_lists),
    st.tuples(st.just(atom.keep), action_lists),
    st.tuples(st.just(atom.repeat), action_lists),
)
external = st.tuples(st.sampled_from([atom.cast, atom.info]), contents)
scripts: st.SearchStrategy[Any] = st.tuples(
    st.booleans(),
    st.sampled_from(STATES),
    st.lists(st.one_of(timeouts, st.tuples(st.just(atom.next_event), event_types, contents)), max_size=3),
    st.lists(results, max_size=14),
    st.lists(external, max_size=6),
)

__all__ = ["Atom", "comparable", "load_oracle", "played_by_erlang", "played_by_us", "scripts"]
