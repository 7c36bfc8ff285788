"""Sequential activities: mailboxes, selective receive, calls to several nodes."""

from __future__ import annotations

import random
from typing import Any

from beamish.names.actions import Call, CancelTimer, StartTimer
from beamish.names.state import State
from beamish.names.strand import Activity, Await, CallNodes, Receive, Sleep, Strand, Strands
from beamish.term import Pid, atom

US, A, B = atom("us@x"), atom("a@x"), atom("b@x")


class Host:
    def __init__(self) -> None:
        self.state = State(US, Pid(US, 1, 0, 1), 1, random.Random(1))
        self.state.connections = {A: 1, B: 2}
        self.strands = Strands(self.state, lambda request: ("served", request))
        self.seen: list[Any] = []

    def run(self, *steps: Any) -> Strand:
        """A strand that takes those steps and notes every outcome."""

        def activity() -> Activity[None]:
            for step in steps:
                self.seen.append((yield step))

        strand = self.strands.spawn("test", activity())
        self.strands.run()
        return strand

    def post(self, strand: Strand, *messages: Any) -> None:
        for message in messages:
            self.strands.post(strand, message)
        self.strands.run()

    def fire(self) -> None:
        (timer,) = [action for action in self.state.flush() if isinstance(action, StartTimer)]
        self.state.timers.pop(timer.key)()
        self.strands.run()


def test_receive_is_selective_and_keeps_the_rest_in_order() -> None:
    host = Host()
    strand = host.run(Receive(lambda message: message > 10), Receive(), Receive(), Receive(timeout=0))
    host.post(strand, 1, 2)
    assert host.seen == []
    host.post(strand, 11)
    assert host.seen == [11, 1, 2, None]
    assert not strand.alive


def test_a_message_that_came_earlier_is_found() -> None:
    host = Host()
    strand = host.run(Sleep(1.0), Receive())
    host.post(strand, "kept")
    assert host.seen == []
    host.fire()
    assert host.seen == [None, "kept"]


def test_receive_gives_up_after_its_time() -> None:
    host = Host()
    host.run(Receive(timeout=2.5))
    host.fire()
    assert host.seen == [None]


def test_a_message_cancels_the_timer() -> None:
    host = Host()
    strand = host.run(Receive(timeout=2.5), Receive())
    host.post(strand, 1)
    kinds = [type(action) for action in host.state.flush()]
    assert kinds == [StartTimer, CancelTimer]
    assert not host.state.timers


def test_calls_go_out_together_and_are_gathered() -> None:
    host = Host()
    host.run(CallNodes((A, US, B, A, atom("unknown@x")), "request"))
    calls = {action.node: action.key for action in host.state.flush() if isinstance(action, Call)}
    assert set(calls) == {A, B}
    host.state.settle(calls[B], True, "b")
    host.strands.run()
    assert host.seen == []
    host.state.settle(calls[A], False, atom.nodedown)
    host.strands.run()
    assert host.seen == [{US: ("served", "request"), B: "b"}]


def test_calls_to_ourselves_alone_do_not_wait() -> None:
    host = Host()
    host.run(CallNodes((US,), 1), CallNodes((), 2))
    assert host.seen == [{US: ("served", 1)}, {}]


def test_await_takes_an_outcome_at_once_or_later() -> None:
    host = Host()
    later: list[Any] = []
    host.run(Await(lambda then: then(True, "now")), Await(later.append))
    assert host.seen == [(True, "now")]
    later[0](False, "late")
    host.strands.run()
    assert host.seen == [(True, "now"), (False, "late")]


def test_a_killed_strand_hears_nothing_more() -> None:
    host = Host()
    strand = host.run(CallNodes((A,), 1), Receive())
    (call,) = host.state.flush()
    host.strands.kill(strand)
    host.state.settle(call.key, True, "late")  # type: ignore[union-attr]
    host.post(strand, "message")
    assert host.seen == []


def test_outcomes_come_once() -> None:
    host = Host()
    host.run(CallNodes((A,), 1), Sleep(1))
    (call,) = host.state.flush()
    for _ in range(2):
        host.state.settle(call.key, True, "a")  # type: ignore[union-attr]
    host.strands.run()
    assert host.seen == [{A: "a"}]


def test_a_node_that_goes_down_fails_the_calls_to_it() -> None:
    host = Host()
    host.run(CallNodes((A, B), 1))
    host.state.flush()
    host.state.fail_calls_to(A, atom.nodedown)
    host.state.fail_calls_to(B, atom.nodedown)
    host.strands.run()
    assert host.seen == [{}]
