"""Real traffic with pieces exchanged, and garbage: no exception, and afterwards the name server still works."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

from global_simulator import Net
from hypothesis import given, settings
from hypothesis import strategies as st

from beamish.names import messages as m
from beamish.names.actions import Call, Cast, Reply, Send
from beamish.names.core import GlobalCore
from beamish.names.partitions import Gone
from beamish.term import Pid, atom

US, PEER = atom("b@x"), atom("a@x")
GARBAGE: list[Any] = [
    0, -1, 1.5, True, None, "", b"x", [], {}, (), [1, 2], (1, 2), {"k": []}, atom.undefined, atom("global"), PEER, US,
    Pid(PEER, 1, 0, 1), Pid(US, 2, 0, 1), (atom("global"), 1), [(atom.insert, 1)], [(PEER, 8)], (8, 1), [[]],
]  # fmt: skip


@cache
def traffic() -> list[tuple[str, Any]]:
    """What three nodes say to each other while they meet, fall out and part."""
    net = Net(4)
    seen: list[tuple[str, Any]] = []
    nodes = [net.start(f"{letter}@x") for letter in "abc"]
    for node in nodes:
        node.register("dispute")
        carry_out = node.carry_out

        def record(action: Any, carry_out: Any = carry_out) -> None:
            match action:
                case Cast(_, message):
                    seen.append(("cast", message))
                case Send(_, message):
                    seen.append(("message", message))
                case Call(_, request, _):
                    seen.append(("call", request))
            carry_out(action)

        node.carry_out = record  # type: ignore[method-assign]
    net.connect(nodes[0], nodes[1])
    net.connect(nodes[1], nodes[2])
    net.run()
    nodes[0].register(("n", [1]))
    net.run()
    net.cut(nodes[0], nodes[1], within=0.0)
    net.run()
    assert {kind for kind, _ in seen} == {"cast", "message", "call"}
    return seen


def mutated(term: Any, rng: random.Random) -> Any:
    """The term with something exchanged, removed or added."""
    if isinstance(term, tuple | list) and term and rng.random() < 0.8:
        parts = list(term)
        place = rng.randrange(len(parts))
        dice = rng.random()
        if dice < 0.7:
            parts[place] = mutated(parts[place], rng)
        elif dice < 0.85:
            del parts[place]
        else:
            parts.insert(place, rng.choice(GARBAGE))
        return tuple(parts) if isinstance(term, tuple) else parts
    return rng.choice(GARBAGE)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 1 << 32))
def test_mutated_traffic_does_no_harm(seed: int) -> None:
    rng = random.Random(seed)
    core = GlobalCore(US, Pid(US, 1, 0, 1), 1, rng)
    caller = (Pid(PEER, 3, 0, 1), 5)
    keys = list(range(30))
    now = 0.0
    for _ in range(150):
        now += rng.choice([0.0, 0.1, 4.0])
        dice = rng.random()
        if dice < 0.1:
            core.handle_nodeup(PEER, rng.random(), rng.random() < 0.9, now)
        elif dice < 0.15:
            core.handle_nodedown(PEER, rng.choice(list(Gone)), now)
        elif dice < 0.3:
            core.handle_timer(rng.choice(keys), now)
        elif dice < 0.4:
            core.handle_result(rng.choice(keys), rng.random() < 0.5, rng.choice(GARBAGE), now)
        elif dice < 0.45:
            core.handle_down(rng.choice(keys), now)
        else:
            kind, message = rng.choice(traffic())
            message = mutated(message, rng) if rng.random() < 0.7 else message
            if kind == "call":
                core.handle_call(caller, message, now)
            elif kind == "cast":
                core.handle_cast(message, now)
            else:
                core.handle_message(message, now)
        keys = [*core.state.timers, *core.state.outcomes, *core.state.monitors] or [0]
    assert Reply(caller, m.VERSION) in core.handle_call(caller, m.GET_PROTOCOL_VERSION, now)
