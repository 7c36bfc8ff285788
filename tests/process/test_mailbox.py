"""The mailbox ring against a plain list."""

from __future__ import annotations

import gc
import random
import sys
import weakref
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from beamish.errors import ReceiveTimeout
from beamish.node.runtime import Runtime
from beamish.process import current_process, receive, self, send, spawn
from beamish.testing import VirtualClockLoop, flush
from loops import virtual


class MailboxMachine(RuleBasedStateMachine):
    """Sends and all kinds of receives on one process; the model is a list."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualClockLoop()
        self.runtime = self.loop.run_until_complete(self._start())
        self.model: list[int] = []
        self.sent = 0

    async def _start(self) -> Runtime:
        return Runtime()

    def teardown(self) -> None:
        self.loop.run_until_complete(self.runtime.stop())
        self.loop.close()

    def inside(self, body: Any) -> Any:
        """Run in a process whose mailbox is the model's; the mailbox is handed from one to the next."""

        async def process() -> Any:
            for message in self.model:
                send(_me(), message)
            result = await body()
            left = current_process()
            assert left is not None
            return result, left.peek_messages()

        result, left = self.loop.run_until_complete(self.runtime.run(process))
        assert left == self.model
        return result

    @rule(count=st.integers(1, 70))
    def send(self, count: int) -> None:
        self.model += range(self.sent, self.sent + count)
        self.sent += count

    @precondition(lambda self: self.model)
    @rule(places=st.lists(st.integers(0, 10**6), min_size=1, max_size=60), sends=st.lists(st.integers(0, 5), max_size=60))
    def take_and_send(self, places: list[int], sends: list[int]) -> None:
        """Take messages from anywhere, and send others in between, so that the ring turns and grows."""

        async def body() -> None:
            for step, place in enumerate(places):
                if self.model:
                    wanted = self.model[place % len(self.model)]
                    self.model.remove(wanted)
                    assert await receive(lambda m, wanted=wanted: m == wanted) == wanted
                for _ in range(sends[step] if step < len(sends) else 0):
                    send(_me(), self.sent)
                    self.model.append(self.sent)
                    self.sent += 1

        self.inside(body)

    @precondition(lambda self: self.model)
    @rule(count=st.integers(1, 300))
    def take_the_oldest(self, count: int) -> None:
        async def body() -> list[int]:
            return [await receive() for _ in range(min(count, len(expected)))]

        expected = self.model
        taken, self.model = expected[:count], expected[count:]
        model, self.model = self.model, expected

        async def checked() -> list[int]:
            got = await body()
            self.model = model
            return got

        assert self.inside(checked) == taken

    @rule(remainder=st.integers(0, 6))
    def take_what_fits_a_predicate(self, remainder: int) -> None:
        taken = [m for m in self.model if m % 7 == remainder]

        async def body() -> list[int]:
            got = []
            try:
                while True:
                    got.append(await receive(lambda m: m % 7 == remainder, timeout=0))
            except ReceiveTimeout:
                self.model = [m for m in self.model if m % 7 != remainder]
                return got

        assert self.inside(body) == taken

    @invariant()
    def sane(self) -> None:
        assert self.runtime.process_count == 0


def _me() -> Any:
    return self()


MailboxMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
TestMailbox = MailboxMachine.TestCase


@virtual
async def test_a_huge_mailbox_keeps_its_order_and_gives_its_memory_back() -> None:
    block = current_process()
    assert block is not None
    count = 200_000
    for number in range(count):
        send(self(), number)
    assert block.details["queue"] == count
    assert block.details["ring"] >= count
    for number in range(count):
        assert await receive() == number
    assert block.details["queue"] == 0
    assert block.details["ring"] <= 64


@virtual
async def test_a_mailbox_that_is_never_quite_empty_shrinks_too() -> None:
    block = current_process()
    assert block is not None
    for number in range(100_000):
        send(self(), number)
    for number in range(99_990):
        assert await receive() == number
    assert block.details["ring"] <= 2048
    send(self(), "last")
    assert await flush() == [*range(99_990, 100_000), "last"]


@virtual
async def test_taking_from_anywhere_in_a_large_mailbox() -> None:
    choose = random.Random(7)
    model = list(range(3000))
    for number in model:
        send(self(), number)
    for _ in range(2900):
        wanted = choose.choice(model)
        model.remove(wanted)
        assert await receive(lambda m, wanted=wanted: m == wanted) == wanted
    assert await flush() == model


@virtual
async def test_messages_are_released_when_taken_and_when_the_process_dies() -> None:
    class Message:
        pass

    async def hoard() -> None:
        await receive(lambda m: m == "never")

    message = Message()
    gone = weakref.ref(message)
    send(self(), message)
    del message
    assert gone() is not None
    await receive()
    gc.collect()
    assert gone() is None

    pid = spawn(hoard)
    kept = [Message() for _ in range(100)]
    refs = [weakref.ref(m) for m in kept]
    for one in kept:
        send(pid, one)
    del kept, one
    block = current_process()
    assert block is not None
    victim = block.home.process_of(pid)
    assert victim is not None
    assert victim.details["queue"] == 100
    from beamish.process._signals import kill_process

    kill_process(victim)
    assert [r() for r in refs] == [None] * 100


@virtual
async def test_reference_counts_stay_right() -> None:
    message = object()
    before = sys.getrefcount(message)
    for _ in range(100):
        send(self(), message)
        send(self(), "noise")
    for _ in range(50):
        await receive(lambda m: m is message)
    for _ in range(50):
        await receive(object)
    await flush()
    assert sys.getrefcount(message) == before
