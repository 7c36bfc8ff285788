"""Under a tracer (debugger, coverage) `await receive()` goes through `__next__`; nothing else may change."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
import test_asyncio_inside
import test_exit_signals
import test_receiving
import test_signal_order
import test_unwinding

from loops import on_every_loop


@pytest.fixture
def _traced() -> Iterator[None]:
    def trace(frame: Any, event: str, arg: Any) -> Any:
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    yield
    sys.settrace(before)


AGAIN = [
    test_receiving.test_any_value_is_a_message,
    test_receiving.test_a_predicate_takes_the_oldest_that_fits,
    test_receiving.test_a_timeout_takes_exactly_its_time,
    test_receiving.test_timeout_zero_looks_once,
    test_receiving.test_an_exception_in_a_predicate_comes_out_of_the_receive,
    test_receiving.test_a_receive_that_was_interrupted_leaves_messages_and_later_receives_alone,
    test_receiving.test_receive_outside_a_process,
    test_signal_order.test_what_a_process_sent_before_it_died_comes_before_the_news_of_its_death,
    test_asyncio_inside.test_a_message_and_a_timeout_in_the_same_moment,
    test_exit_signals.test_kill_cannot_be_trapped_and_is_told_as_killed,
    test_unwinding.test_receiving_while_going_raises_again,
    test_unwinding.test_a_clean_up_that_takes_too_long_is_cut_short,
]


@pytest.mark.usefixtures("_traced")
@pytest.mark.parametrize("test", AGAIN, ids=lambda test: test.__name__)
def test_the_same_under_a_tracer(test: Any) -> None:
    parameters = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
    if not parameters:
        test()
        return
    for factory in parameters[0].args[1]:
        test(loop_factory=factory)


@pytest.mark.usefixtures("_traced")
@on_every_loop
async def test_ping_pong_under_a_tracer() -> None:
    from beamish.process import receive, self, send, spawn

    async def pong() -> None:
        while True:
            sender, number = await receive()
            send(sender, number)

    pid = spawn(pong)
    for number in range(300):
        send(pid, (self(), number))
        assert await receive(timeout=5) == number
