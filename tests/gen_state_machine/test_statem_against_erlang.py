"""Our core and Erlang's gen_statem play the same scripts, and are called in the same way, step by step."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from statem_oracle import (
    action_of,
    comparable,
    load_oracle,
    played_by_erlang,
    played_by_us,
    scripts,
    term_of,
    transition_of,
)

from beam import ErlNode
from beamish.gen_state_machine import GenStateMachine, Next
from beamish.process import Process, send
from beamish.process.gen import call
from beamish.term import atom
from beamish.testing import run_virtual

NEVER = 3_600_000
a, b = atom.a, atom.b


@pytest.fixture(scope="module")
def oracle(erl_node: ErlNode, tmp_path_factory: pytest.TempPathFactory) -> ErlNode:
    load_oracle(erl_node, tmp_path_factory.mktemp("statem"))
    return erl_node


@pytest.mark.interop
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(script=scripts)
def test_made_up_scripts(oracle: ErlNode, script: Any) -> None:
    assert comparable(played_by_us(script)) == comparable(played_by_erlang(oracle, script))


REAL_TIME = {
    "state timeouts end with the state": (
        False, a, [(atom.state_timeout, 30, 1)], [(atom.next, b, [(atom.state_timeout, 60, 2)]), (atom.keep, [])],
        [(atom.cast, 0), (atom.wait, 200)],
    ),
    "named timeouts outlive it, and fire in the order of their times": (
        False, a, [((atom.timeout, atom.x), 120, 1), ((atom.timeout, atom.y), 40, 2)], [(atom.next, b, [])],
        [(atom.cast, 0), (atom.wait, 300)],
    ),
    "started anew, a timer starts anew": (
        False, a, [(atom.state_timeout, 40, 1), ((atom.timeout, atom.x), 160, 2)],
        [(atom.keep, [(atom.state_timeout, 300, 3)]), (atom.keep, [])], [(atom.cast, 0), (atom.wait, 600)],
    ),
    "an update keeps the time": (
        True, a, [(atom.state_timeout, 120, 1)],
        [(atom.keep, [((atom.timeout, atom.x), 240, 2)]), (atom.keep, [(atom.state_timeout, atom.update, 3)])],
        [(atom.cast, 0), (atom.wait, 500)],
    ),
    "any event cancels an event timeout": (
        False, a, [(atom.timeout, 60, 1)], [(atom.keep, []), (atom.keep, [(atom.timeout, 40, 2)])],
        [(atom.cast, 0), (atom.wait, 150), (atom.cast, 1), (atom.wait, 150)],
    ),
    "a timeout that is postponed": (
        False, a, [(atom.state_timeout, 40, 1)], [(atom.keep, [atom.postpone]), (atom.next, b, [])],
        [(atom.wait, 150), (atom.cast, 1)],
    ),
}  # fmt: skip


@pytest.mark.interop
@pytest.mark.parametrize("name", REAL_TIME)
def test_timers_of_real_time(oracle: ErlNode, name: str) -> None:
    script = REAL_TIME[name]
    assert comparable(played_by_us(script)) == comparable(played_by_erlang(oracle, script))


# ---- and the process around the core does what the core says


class Player(GenStateMachine):
    """Gives what a script says, one result after the other, and remembers how it was called."""

    def init(self, script: Any) -> Any:
        _, state, actions, results, _ = script
        self.results = list(results)
        self.calls: list[Any] = []
        return Next(state, *map(action_of, actions))

    def handle_event(self, kind: Any, content: Any, state: Any) -> Any:
        self.calls.append((term_of(kind), content, state))
        given = self.results.pop(0) if self.results else (atom.keep, [])
        return transition_of(given, entering=kind == "enter")


class EnteringPlayer(Player):
    """The same, with enter calls."""

    state_enter = True


async def played_by_a_process(script: Any) -> list[Any]:
    """The trace of a script."""
    player = await (EnteringPlayer if script[0] else Player).start_link(script)

    async def look() -> Any:
        status = await call(player.pid, atom.get_status, label=atom.system)
        (_, _, (_, facts), (_, [(_, (state, data))])) = status[3][4]
        calls, data[atom.calls][:] = list(data[atom.calls]), []
        _, timers = dict(facts)["Time-outs"]
        return calls, state, dict(facts)["Postponed"], timers

    trace = [await look()]
    for what, value in script[-1]:
        if what is atom.wait:
            await Process.sleep(value / 1000)
        elif what is atom.cast:
            GenStateMachine.cast(player, value)
        else:
            send(player.pid, value)
        trace.append(await look())
    return trace


@settings(max_examples=100, deadline=None)
@given(script=scripts)
def test_processes_play_made_up_scripts(script: Any) -> None:
    assert comparable(run_virtual(played_by_a_process, script)) == comparable(played_by_us(script))


@pytest.mark.parametrize("name", REAL_TIME)
def test_processes_play_timers(name: str) -> None:
    assert comparable(run_virtual(played_by_a_process, REAL_TIME[name])) == comparable(played_by_us(REAL_TIME[name]))
