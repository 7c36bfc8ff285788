from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from beamish.process import (
    Process,
    alias,
    cancel_timer,
    current_scheduler,
    read_timer,
    receive,
    register,
    self,
    send_after,
    spawn,
    unalias,
)
from beamish.process._scheduler import Kernel
from beamish.term import atom
from beamish.testing import flush
from loops import now, on_every_loop, on_real_loops, virtual


def kernel() -> Kernel:
    home = current_scheduler()
    assert home is not None
    return home


@on_every_loop
async def test_a_timer_sends_when_its_time_has_come() -> None:
    start = now()
    send_after(0.05, self(), "due")
    send_after(0.02, self(), "earlier")
    assert [await receive(), await receive()] == ["earlier", "due"]
    assert now() - start >= 0.048


@virtual
async def test_virtual_time_is_exact() -> None:
    for seconds in (0.001, 0.1, 1.5, 3000.0):
        start = now()
        send_after(seconds, self(), "due")
        await receive()
        assert now() == pytest.approx(start + seconds, abs=1e-9)


@virtual
async def test_timers_of_the_same_time_fire_in_the_order_they_were_set() -> None:
    for number in range(200):
        send_after(1, self(), number)
    assert [await receive() for _ in range(200)] == list(range(200))


@virtual
async def test_many_timers_fire_in_the_order_of_their_times() -> None:
    choose = random.Random(3)
    times = [round(choose.uniform(0, 100), 2) for _ in range(1000)]
    refs = {send_after(seconds, self(), number): number for number, seconds in enumerate(times)}
    cancelled = set(choose.sample(list(refs), 400))
    for ref in cancelled:
        assert cancel_timer(ref) is not None
    kept = [(times[number], number) for ref, number in refs.items() if ref not in cancelled]
    assert [(times[m := await receive()], m) for _ in kept] == sorted(kept)
    await asyncio.sleep(200)
    assert await flush() == []


@virtual
async def test_cancelling_gives_the_time_that_was_left_once() -> None:
    ref = send_after(10, self(), "never")
    await asyncio.sleep(4)
    assert read_timer(ref) == 6
    assert cancel_timer(ref) == 6
    assert read_timer(ref) is None
    assert cancel_timer(ref) is None
    await asyncio.sleep(10)
    assert await flush() == []


@virtual
async def test_after_it_fired_there_is_nothing_to_cancel() -> None:
    ref = send_after(1, self(), "due")
    await receive()
    assert cancel_timer(ref) is None
    assert cancel_timer(kernel().new_ref()) is None
    assert kernel().timers_by_ref == {}


@virtual
async def test_zero_and_less_are_due_at_once_but_not_before_we_wait() -> None:
    send_after(0, self(), "zero")
    send_after(-1, self(), "less")
    assert await flush() == []
    assert [await receive(), await receive()] == ["zero", "less"]
    assert now() == 0


@virtual
async def test_every_kind_of_destination() -> None:
    register("me", self())
    ways: list[Any] = [self(), "me", atom.me, ("me", self().node), (atom.me, str(self().node)), alias()]
    for number, dest in enumerate(ways):
        send_after(1, dest, number)
    assert [await receive() for _ in ways] == list(range(len(ways)))


@virtual
async def test_a_destination_that_is_gone_by_then() -> None:
    pid = spawn(receive, name="worker")
    ended = alias()
    for dest in (pid, "worker", ("worker", self().node), ended, ("name", "nowhere@host")):
        send_after(1, dest, "lost")
    Process.exit(pid, atom.kill)
    unalias(ended)
    await asyncio.sleep(2)
    assert await flush() == []


@pytest.mark.parametrize("dest", [7, None, ("a", "b", "c"), b"name", (7, "node@host")])
def test_what_is_no_destination_is_refused_at_once(dest: Any) -> None:
    @virtual
    async def test() -> None:
        with pytest.raises(TypeError):
            send_after(1, dest, "message")
        assert kernel().timer_count == 0

    test()


@virtual
async def test_elixir_s_order_of_arguments() -> None:
    ref = Process.send_after(self(), "due", 2)
    assert Process.read_timer(ref) == 2
    assert await receive() == "due"
    assert Process.cancel_timer(ref) is None


@virtual
async def test_timers_that_were_cancelled_do_not_pile_up() -> None:
    keep = [send_after(500_000 + number, self(), number) for number in range(100)]
    for _ in range(20_000):
        cancel_timer(send_after(1_000_000, self(), "never"))
    assert kernel().timer_count < 500
    assert [read_timer(ref) for ref in keep] == [500_000.0 + number for number in range(100)]
    cancel_timer(keep[0])
    assert len(kernel().timers_by_ref) == 99


@virtual
async def test_timeouts_of_the_dead_do_not_pile_up() -> None:
    async def body() -> None:
        await receive(timeout=1_000_000)

    for _ in range(100):
        pids = [spawn(body) for _ in range(50)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for pid in pids:
            Process.exit(pid, atom.kill)
    assert kernel().timer_count < 500


@virtual
async def test_exits_leave_no_timers() -> None:
    for _ in range(20):
        pids = [spawn(receive) for _ in range(50)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for pid in pids:
            Process.exit(pid, "why")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert kernel().timer_count == 0


@virtual
async def test_sweeping_keeps_what_is_live() -> None:
    """Receive timeouts, timers and callbacks survive the sweeps that others cause."""
    woken: list[Any] = []

    async def sleeper(seconds: float) -> None:
        try:
            await receive(timeout=seconds)
        except TimeoutError:
            woken.append((now(), seconds))

    for number in range(100):
        spawn(sleeper, 100.0 + number)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    kernel().call_later(150.5, woken.append, "called")
    send_after(160.5, self(), "due")
    for _ in range(5000):
        cancel_timer(send_after(1000, self(), "never"))
    assert await receive() == "due"
    await asyncio.sleep(100)
    expected: list[Any] = [(100.0 + number, 100.0 + number) for number in range(100)]
    expected.insert(51, "called")
    assert woken == expected


@virtual
async def test_a_callback_that_fails_takes_no_other_timer_along() -> None:
    def broken() -> None:
        raise ValueError("in a callback")

    seen: list[Any] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: seen.append(context["exception"]))
    kernel().call_later(1, broken)
    send_after(1, self(), "same time")
    send_after(2, self(), "later")
    assert [await receive(timeout=5), await receive(timeout=5)] == ["same time", "later"]
    assert [type(error) for error in seen] == [ValueError]


@virtual
async def test_a_callback_that_sets_itself_again_does_not_stop_time() -> None:
    calls: list[float] = []

    def again() -> None:
        calls.append(now())
        if len(calls) < 1000:
            kernel_.call_later(0, again)

    kernel_ = kernel()
    kernel_.call_later(0, again)
    send_after(1, self(), "due")
    assert await receive() == "due"
    assert len(calls) == 1000


@virtual
async def test_an_internal_timer_can_be_cancelled() -> None:
    seen: list[int] = []
    timer = kernel().call_later(1, seen.append, 1)
    kernel().call_later(2, seen.append, 2)
    timer.cancel()
    await asyncio.sleep(5)
    assert seen == [2]


@on_real_loops
async def test_a_timer_set_earlier_than_the_first_one_moves_the_alarm() -> None:
    send_after(5, self(), "late")
    await asyncio.sleep(0.01)
    send_after(0.02, self(), "soon")
    assert await receive(timeout=2) == "soon"
