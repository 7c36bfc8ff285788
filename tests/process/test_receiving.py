from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from beamish.errors import ReceiveTimeout
from beamish.process import (
    Process,
    current_process,
    demonitor,
    mailbox_mark,
    monitor,
    receive,
    self,
    send,
    send_after,
    spawn,
)
from beamish.term import ImproperList, Pid, atom
from beamish.testing import flush
from loops import now, on_every_loop, on_real_loops, virtual


@on_every_loop
async def test_receive_waits_for_what_is_sent_later() -> None:
    async def later(to: Pid) -> None:
        await asyncio.sleep(0.01)
        send(to, "late")

    spawn(later, self())
    assert await receive() == "late"


@virtual
async def test_any_value_is_a_message() -> None:
    values: list[Any] = [None, False, 0, "", (), [], {}, StopIteration(3), ValueError, ...]
    for value in values:
        send(self(), value)
    assert await flush() == values


@on_every_loop
async def test_a_predicate_takes_the_oldest_that_fits() -> None:
    for number in range(6):
        send(self(), number)
    assert await receive(lambda n: n % 2 == 1) == 1
    assert await receive(lambda n: n > 2) == 3
    assert await flush() == [0, 2, 4, 5]


@virtual
async def test_a_predicate_also_sees_what_comes_later() -> None:
    send(self(), "old")

    async def later(to: Pid) -> None:
        for number in range(5):
            send(to, number)
            await asyncio.sleep(1)

    spawn(later, self())
    assert await receive(lambda m: m == 3) == 3
    assert now() == 3
    assert await flush() == ["old", 0, 1, 2]


@virtual
async def test_each_message_is_looked_at_once_per_receive() -> None:
    looked: list[Any] = []

    def wanted(message: Any) -> bool:
        looked.append(message)
        return bool(message == "last")

    async def later(to: Pid) -> None:
        for number in range(3):
            await asyncio.sleep(1)
            send(to, number)
        send(to, "last")

    send(self(), "first")
    spawn(later, self())
    await receive(wanted)
    assert looked == ["first", 0, 1, 2, "last"]


A, B = atom.a, atom.b


@pytest.mark.parametrize(
    ("pattern", "fitting", "others"),
    [
        (int, [1, True], ["1", 1.0, None]),
        (A, [A], [B, "a", None]),
        ((A, ...), [(A, 1), (A, None)], [(A,), (A, 1, 2), [A, 1], (B, 1)]),
        ((A, int), [(A, 1)], [(A, "1")]),
        ((A, (B, ...)), [(A, (B, 0))], [(A, B), (A, (B,))]),
        ((1, "x", b"y"), [(1, "x", b"y")], [(True, "x", b"y"), (1.0, "x", b"y"), (1, "x", "y")]),
        ((), [()], [(1,), None]),
        ((None, True), [(None, True)], [(None, 1), (False, True)]),
        (([1, 2],), [([1, 2],)], [([1],), ((1, 2),)]),
        (tuple, [(), (1,)], [[]]),
        ((Pid, ...), [], [(1, 2)]),
    ],
)
def test_patterns(pattern: Any, fitting: list[Any], others: list[Any]) -> None:
    @virtual
    async def test() -> None:
        for message in others:
            send(self(), message)
        for message in fitting:
            send(self(), message)
        for message in fitting:
            assert await receive(pattern, timeout=0) == message
        with pytest.raises(ReceiveTimeout):
            await receive(pattern, timeout=0)
        assert await flush() == others

    test()


@virtual
async def test_a_pid_and_a_reference_in_a_pattern_stand_for_themselves() -> None:
    home = current_process()
    assert home is not None
    one, two = home.home.new_ref(), home.home.new_ref()
    send(self(), (two, self()))
    send(self(), (one, self()))
    assert await receive((one, self())) == (one, self())


@virtual
async def test_a_reference_takes_its_reply_its_down_and_its_tagged_reply() -> None:
    home = current_process()
    assert home is not None
    ref, other = home.home.new_ref(), home.home.new_ref()
    tagged = (ImproperList((atom.alias,), ref), "tagged")
    noise = [ref, (ref,), (other, 1), [ref, 1], (1, ref), (atom.DOWN, other, atom.process, self(), 1), (1, 2, ref, 4)]
    for message in noise:
        send(self(), message)
    wanted = [(ref, "reply"), (atom.DOWN, ref, atom.process, self(), atom.normal), tagged]
    for message in wanted:
        send(self(), message)
    for message in wanted:
        assert await receive(ref, timeout=0) is message
    assert await flush() == noise


@virtual
async def test_a_message_with_a_tail_of_its_own_is_no_tagged_reply() -> None:
    class Tailed:
        @property
        def tail(self) -> Any:
            raise RuntimeError("asked")

    home = current_process()
    assert home is not None
    send(self(), (Tailed(), 1))
    with pytest.raises(ReceiveTimeout):
        await receive(home.home.new_ref(), timeout=0)


def test_what_is_neither_predicate_nor_pattern_is_refused() -> None:
    with pytest.raises(TypeError, match="a predicate or a pattern, not 'text'"):
        receive("text")


@virtual
async def test_receive_outside_a_process() -> None:
    async def body() -> None:
        with pytest.raises(RuntimeError, match="needs a process"):
            await receive()
        with pytest.raises(RuntimeError, match="needs a process"):
            await receive(timeout=1)

    await asyncio.create_task(body())


# ---- time


@virtual
async def test_a_timeout_takes_exactly_its_time() -> None:
    for seconds in (0.001, 0.25, 1.0, 3000.0):
        start = now()
        with pytest.raises(ReceiveTimeout) as caught:
            await receive(timeout=seconds)
        assert now() == pytest.approx(start + seconds, abs=1e-9)
        assert isinstance(caught.value, TimeoutError)
        assert f"within {seconds:g} s" in str(caught.value)


@on_real_loops
async def test_a_timeout_on_a_real_clock() -> None:
    start = now()
    with pytest.raises(ReceiveTimeout):
        await receive(timeout=0.05)
    assert 0.048 <= now() - start < 1.0


@on_real_loops
async def test_a_timeout_counts_from_the_receive_and_not_from_the_turn_of_the_loop() -> None:
    import time

    await asyncio.sleep(0)
    time.sleep(0.1)
    start = time.monotonic()
    with pytest.raises(ReceiveTimeout):
        await receive(timeout=0.05)
    assert time.monotonic() - start >= 0.045


@virtual
async def test_timeout_zero_looks_once() -> None:
    with pytest.raises(ReceiveTimeout, match=r"within 0 s \(0 others"):
        await receive(timeout=0)
    send(self(), 1)
    assert await receive(timeout=0) == 1
    with pytest.raises(ReceiveTimeout):
        await receive(timeout=-5)
    assert now() == 0


@virtual
async def test_none_and_infinity_wait_for_ever() -> None:
    for timeout in (None, math.inf):
        send_after(1000, self(), timeout)
        assert await receive(timeout=timeout) == timeout
    assert now() == 2000


@virtual
async def test_not_a_number_is_no_timeout() -> None:
    with pytest.raises(ValueError, match="nan"):
        await receive(timeout=math.nan)


@virtual
async def test_a_message_in_time_ends_the_wait() -> None:
    send_after(0.999, self(), "in time")
    assert await receive(timeout=1) == "in time"
    assert now() == 0.999
    with pytest.raises(ReceiveTimeout):
        await receive(timeout=1)
    assert now() == 1.999


@virtual
async def test_messages_that_do_not_fit_do_not_prolong_the_wait() -> None:
    for tenth in range(1, 10):
        send_after(tenth / 10, self(), tenth)
    with pytest.raises(ReceiveTimeout, match="9 others"):
        await receive(lambda m: m == "never", timeout=1)
    assert now() == 1
    assert await flush() == list(range(1, 10))


@virtual
async def test_an_old_timeout_does_not_end_a_later_receive() -> None:
    send(self(), 1)
    await receive(timeout=1)
    send_after(5, self(), "later")
    assert await receive() == "later"
    with pytest.raises(ReceiveTimeout):
        await receive(timeout=7)
    assert now() == 12
    send(self(), 2)
    await receive(timeout=2)
    with pytest.raises(ReceiveTimeout):
        await receive(timeout=9)
    assert now() == 21


@virtual
async def test_short_and_long_timeouts_by_turns() -> None:
    start = now()
    for _ in range(200):
        send(self(), 1)
        await receive(timeout=100)
        with pytest.raises(ReceiveTimeout):
            await receive(timeout=0.01)
    assert now() - start == pytest.approx(2)
    with pytest.raises(ReceiveTimeout):
        await receive(timeout=500)
    assert now() - start == pytest.approx(502)


@virtual
async def test_timeouts_leave_nothing_behind() -> None:
    home = current_process()
    assert home is not None
    for _ in range(3000):
        send(self(), 1)
        await receive(timeout=3600)
        with pytest.raises(ReceiveTimeout):
            await receive(timeout=0.001)
    assert home.home.timer_count < 100


@virtual
async def test_ever_earlier_timeouts_leave_nothing_behind_either() -> None:
    home = current_process()
    assert home is not None
    for number in range(3000):
        send(self(), 1)
        await receive(timeout=3600 - number)
    assert home.home.timer_count < 100
    with pytest.raises(ReceiveTimeout):
        await receive(timeout=5)
    assert now() == 5


@virtual
async def test_a_receive_that_was_interrupted_leaves_messages_and_later_receives_alone() -> None:
    send(self(), "kept")
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await receive(lambda m: m == "never", timeout=10)
    assert now() == 3
    with pytest.raises(ReceiveTimeout):
        await receive(lambda m: m == "never", timeout=20)
    assert now() == 23
    assert await flush() == ["kept"]


@virtual
async def test_an_awaitable_can_be_awaited_again() -> None:
    one = receive(int, timeout=1)
    send(self(), "noise")
    send(self(), 1)
    assert await one == 1
    with pytest.raises(ReceiveTimeout):
        await one
    send(self(), 2)
    assert await one == 2
    assert now() == 1


# ---- what a predicate does on the way


@virtual
async def test_an_exception_in_a_predicate_comes_out_of_the_receive() -> None:
    for message in (1, 0, 2):
        send(self(), message)
    with pytest.raises(ZeroDivisionError):
        await receive(lambda n: 1 / n > 1)
    assert await flush() == [1, 0, 2]


@virtual
async def test_a_predicate_that_sends() -> None:
    send(self(), 0)

    def wanted(message: int) -> bool:
        if message < 100:
            send(self(), message + 1)
        return message == 100

    assert await receive(wanted) == 100
    assert await flush() == list(range(100))


@virtual
async def test_a_predicate_that_takes_the_message_out_of_the_mailbox() -> None:
    async def short() -> None: ...

    ref = monitor(spawn(short))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    send(self(), "next")

    def wanted(message: Any) -> bool:
        demonitor(ref, flush=True)
        return True

    assert await receive(wanted) == "next"
    assert await flush() == []


@virtual
async def test_a_predicate_that_kills_its_own_process() -> None:
    seen: list[Any] = []

    async def body() -> None:
        send(self(), 1)

        def wanted(message: Any) -> bool:
            try:
                Process.exit(self(), atom.kill)
            except BaseException as error:
                seen.append(error)
            return True

        seen.append(await receive(wanted))

    pid = spawn(body)
    ref = monitor(pid)
    assert (await receive(ref))[4] is atom.killed
    assert 1 not in seen


@virtual
async def test_a_mark_leaves_older_messages_out() -> None:
    send(self(), ("x", 1))
    mark = mailbox_mark()
    send(self(), ("x", 2))
    assert await receive(("x", ...), since=mark) == ("x", 2)
    assert await flush() == [("x", 1)]


@virtual
async def test_a_mark_outside_a_process() -> None:
    async def body() -> None:
        with pytest.raises(RuntimeError, match="mailbox_mark"):
            mailbox_mark()

    await asyncio.create_task(body())
