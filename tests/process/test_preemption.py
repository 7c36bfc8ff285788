"""Preemption on the real clock: a process that computes is interrupted, and nothing it does is lost or done twice."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beamish.errors import Exit, ReceiveTimeout
from beamish.node import Node, Runtime
from beamish.process import Process, current_process, exit, link, monitor, receive, self, send, spawn, spawn_monitor, trap_exit
from beamish.process.gen import call
from beamish.process.preemption import no_preempt
from beamish.term import atom
from loops import REAL_LOOPS

FAST = 0.0005


def preempting(function: Callable[..., Any], *args: Any, loop: Callable[[], asyncio.AbstractEventLoop] | None = None) -> Any:
    """Run as a process of a node that preempts early; gives (result, runtime)."""

    async def main() -> Any:
        runtime = Runtime()
        runtime.start_preempting(FAST)
        try:
            async with asyncio.timeout(60):
                return await runtime.run(function, *args), runtime
        finally:
            await runtime.stop()

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(main())


def compute(steps: int) -> int:
    total = 0
    for number in range(steps):
        total += number * number
    return total


def spin(seconds: float) -> int:
    end = time.perf_counter() + seconds
    rounds = 0
    while time.perf_counter() < end:
        rounds += 1
    return rounds


async def hog_for_ever() -> None:
    while True:
        pass


@pytest.fixture(params=list(REAL_LOOPS), ids=str)
def loop(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    return REAL_LOOPS[request.param]


def test_others_run_while_a_process_computes(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> int:
        hog = spawn(hog_for_ever)
        for _ in range(20):
            await asyncio.sleep(0.001)  # the loop's timers
        assert Process.alive(hog)
        Process.exit(hog, atom.kill)
        return len(Process.info(hog) or ())

    left, runtime = preempting(main, loop=loop)
    assert left == 0
    assert runtime.preemptions > 5


def test_sockets_and_threads_are_served_while_a_process_computes(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()
        await writer.wait_closed()

    async def main() -> list[bytes]:
        hog = spawn(hog_for_ever)
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        lines = []
        for number in range(5):
            writer.write(b"%d\n" % number)
            lines.append(await reader.readline())
        lines.append(await asyncio.to_thread(lambda: b"thread"))
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0.005)
        Process.exit(hog, atom.kill)
        return lines

    lines, _ = preempting(main, loop=loop)
    assert lines == [b"0\n", b"1\n", b"2\n", b"3\n", b"4\n", b"thread"]


def test_a_preempted_process_goes_on_where_it_was() -> None:
    async def worker(parent: Any, steps: int) -> None:
        send(parent, (self(), compute(steps)))

    async def main() -> list[int]:
        sizes = [200_000, 300_000, 400_000, 100]
        pids = [spawn(worker, self(), size) for size in sizes]
        return [(await receive((pid, ...)))[1] for pid in pids]

    results, runtime = preempting(main)
    assert results == [compute(size) for size in (200_000, 300_000, 400_000, 100)]
    assert runtime.preemptions > 3


def test_hogs_share_the_time() -> None:
    async def main() -> list[int]:
        counts = [0, 0, 0]

        async def hog(which: int) -> None:
            while True:
                counts[which] += 1

        pids = [spawn(hog, which) for which in range(3)]
        await asyncio.sleep(0.3)
        for pid in pids:
            Process.exit(pid, atom.kill)
        return counts

    counts, _ = preempting(main)
    assert min(counts) * 4 > max(counts)


def test_a_hog_gets_its_share_beside_two_that_never_rest() -> None:
    async def ping(count: list[int]) -> None:
        while True:
            sender = await receive()
            count[0] += 1
            send(sender, self())

    async def main() -> tuple[int, int]:
        done, talked = [0], [0]

        async def hog() -> None:
            while True:
                done[0] += 1

        one, two, three = spawn(ping, talked), spawn(ping, talked), spawn(hog)
        send(one, two)
        await asyncio.sleep(0.2)
        for pid in (one, two, three):
            Process.exit(pid, atom.kill)
        return done[0], talked[0]

    (worked, talked), _ = preempting(main)
    assert worked > 1000
    assert talked > 1000


@pytest.mark.parametrize("reason", [atom.kill, atom.shutdown])
def test_an_exit_ends_a_process_in_the_middle_of_computing(reason: Any) -> None:
    cleaned: list[str] = []

    async def hog() -> None:
        try:
            while True:
                pass
        finally:
            cleaned.append("finally")

    async def main() -> Any:
        pid = spawn(hog)
        ref = monitor(pid)
        await asyncio.sleep(0.005)
        Process.exit(pid, reason)
        down = await receive(ref, timeout=5)
        while not cleaned:
            await asyncio.sleep(0.001)
        return down[4]

    ended, _ = preempting(main)
    assert ended is (atom.killed if reason is atom.kill else reason)
    assert cleaned == ["finally"]


def test_a_killed_process_sends_nothing_while_it_unwinds() -> None:
    async def hog(parent: Any) -> None:
        try:
            while True:
                pass
        finally:
            send(parent, "from the grave")

    async def main() -> Any:
        pid = spawn(hog, self())
        await asyncio.sleep(0.005)
        Process.exit(pid, atom.kill)
        for _ in range(5):
            await asyncio.sleep(0.002)
        try:
            return await receive(timeout=0)
        except ReceiveTimeout:
            return None

    assert preempting(main)[0] is None


def test_what_swallows_its_end_for_ever_is_left_aside(caplog: pytest.LogCaptureFixture) -> None:
    async def immortal() -> None:
        while True:
            try:
                while True:
                    pass
            except BaseException:
                pass

    async def main() -> None:
        pid = spawn(immortal)
        ref = monitor(pid)
        await asyncio.sleep(0.005)
        Process.exit(pid, atom.kill)
        await receive(ref, timeout=5)
        for _ in range(200):
            await asyncio.sleep(0.002)
            if "does not end" in caplog.text:
                return

    with caplog.at_level(logging.ERROR):
        preempting(main)
    assert "does not end" in caplog.text


def test_nothing_is_interrupted_inside_no_preempt() -> None:
    async def main() -> list[str]:
        seen: list[str] = []

        async def careful() -> None:
            with no_preempt():
                seen.append("begin")
                spin(0.02)
                seen.append("end")

        async def other() -> None:
            for _ in range(50):
                seen.append("other")
                await asyncio.sleep(0)

        one, two = spawn_monitor(careful)[1], spawn_monitor(other)[1]
        await receive(one)
        await receive(two)
        return seen

    seen, _ = preempting(main)
    assert seen[seen.index("begin") + 1] == "end"


@no_preempt()
def marked(seen: list[str]) -> None:
    seen.append("begin")
    spin(0.01)
    seen.append("end")


def test_no_preempt_marks_functions_too() -> None:
    async def main() -> list[str]:
        seen: list[str] = []

        async def other() -> None:
            for _ in range(20):
                seen.append("other")
                await asyncio.sleep(0)

        async def careful() -> None:
            marked(seen)

        refs = [spawn_monitor(careful)[1], spawn_monitor(other)[1]]
        for ref in refs:
            await receive(ref)
        return seen

    seen, _ = preempting(main)
    assert seen[seen.index("begin") + 1] == "end"


def spin_until_refused() -> None:
    """Compute until the watchdog has asked, in vain, for an interruption; for some seconds if it never does."""
    home = current_process().home
    end, before = time.perf_counter() + 5, home.refusals
    while home.refusals == before and time.perf_counter() < end:
        pass


@contextlib.contextmanager
def behind(lock: Any) -> Iterator[None]:
    with lock:
        yield


LOCKS: dict[str, Callable[[], Any]] = {
    "Lock": threading.Lock,
    "RLock": threading.RLock,
    "Condition": threading.Condition,
    "Semaphore": threading.Semaphore,
}


@pytest.mark.parametrize("kind", LOCKS)
@pytest.mark.parametrize("how", ["with", "call", "manager", "acquire", "attribute", "container", "stack", "caller"])
def test_nothing_is_interrupted_while_it_holds_a_lock(kind: str, how: str) -> None:
    lock = LOCKS[kind]()

    class Holder:
        def __init__(self) -> None:
            self.lock = lock

    async def hold(inside: list[bool], broken: list[bool]) -> None:
        def work() -> None:
            inside[0] = True
            spin_until_refused()
            inside[0] = False

        holder, locks = Holder(), {"it": lock}
        match how:
            case "with":
                with lock:
                    inside[0] = True
                    spin_until_refused()
                    inside[0] = False
            case "call":
                with locks["it"]:
                    work()
            case "manager":
                with behind(lock):
                    work()
            case "acquire":
                lock.acquire()
                try:
                    work()
                finally:
                    lock.release()
            case "attribute":
                holder.lock.acquire()
                work()
                holder.lock.release()
            case "container":
                locks["it"].acquire()
                work()
                locks["it"].release()
            case "stack":
                with contextlib.ExitStack() as stack:
                    stack.enter_context(lock)
                    work()
            case "caller":
                with lock:
                    [work() for _ in [1]]

    async def main() -> list[bool]:
        inside, broken = [False], [False]

        async def holds() -> None:
            for _ in range(3):
                await hold(inside, broken)

        async def looks() -> None:
            for _ in range(400):
                broken[0] = broken[0] or inside[0]
                await asyncio.sleep(0)

        refs = [spawn_monitor(holds)[1], spawn_monitor(looks)[1]]
        for ref in refs:
            assert (await receive(ref))[4] is atom.normal
        return broken

    broken, runtime = preempting(main)
    assert broken == [False]
    assert runtime.refusals > 0


def test_the_standard_library_is_not_interrupted(caplog: pytest.LogCaptureFixture) -> None:
    class Slow:
        def __lt__(self, other: object) -> bool:
            spin(0.07)
            return False

    async def main() -> Any:
        Node.system_monitor(long_schedule=0.05)

        async def sorts() -> None:
            functools.reduce(max, [Slow(), Slow()])  # in C: may be interrupted
            import heapq

            heapq.merge([1])
            list(heapq.merge([Slow(), Slow()], [Slow()]))  # in Python of the standard library: may not

        spawn(sorts)
        return await receive((atom.monitor, ..., atom.long_schedule, ...), timeout=5)

    event, runtime = preempting(main)
    info = event[3]
    assert info["timeout"] >= 50
    assert info["file"] == __file__
    assert info["function"].endswith("spin")
    assert "has run for" in caplog.text
    assert "heapq" in caplog.text or "lock" in caplog.text


def test_a_preempted_process_shows_where_it_is() -> None:
    async def main() -> Any:
        async def outer() -> None:
            await inner()

        async def inner() -> None:
            spin(10)

        pid = spawn(outer)
        await asyncio.sleep(0.01)
        found = Process.info(pid, "current_stacktrace"), Process.info(pid, "status"), Process.info(pid, "preemptions")
        Process.exit(pid, atom.kill)
        return found

    (stack, status, times), _ = preempting(main)
    assert [frame[1].rpartition(".")[2] for frame in stack] == ["spin", "inner", "outer"]
    assert status == "runnable"
    assert times > 0


def test_stopping_the_node_unwinds_what_was_preempted() -> None:
    cleaned: list[int] = []

    async def hog(number: int) -> None:
        try:
            while True:
                pass
        finally:
            cleaned.append(number)

    async def main() -> None:
        for number in range(3):
            spawn(hog, number)
        await asyncio.sleep(0.01)

    preempting(main)
    assert sorted(cleaned) == [0, 1, 2]


def test_context_variables_and_the_current_task_survive() -> None:
    import contextvars

    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable")

    async def worker(number: int, wrong: list[Any]) -> None:
        variable.set(number)
        for _ in range(5):
            me, task = self(), asyncio.current_task()
            spin(0.002)
            if variable.get() != number or self() != me or asyncio.current_task() is not task:
                wrong.append(number)
            await asyncio.sleep(0)

    async def main() -> list[Any]:
        wrong: list[Any] = []
        refs = [spawn_monitor(worker, number, wrong)[1] for number in range(4)]
        for ref in refs:
            await receive(ref)
        return wrong

    wrong, runtime = preempting(main)
    assert wrong == []
    assert runtime.preemptions > 3


def test_exceptions_in_flight_survive() -> None:
    import sys

    async def worker(number: int, wrong: list[Any]) -> None:
        try:
            raise ValueError(number)
        except ValueError:
            for _ in range(5):
                spin(0.002)
                found = sys.exc_info()[1]
                if not isinstance(found, ValueError) or found.args != (number,):
                    wrong.append(found)
                await asyncio.sleep(0)

    async def main() -> list[Any]:
        wrong: list[Any] = []
        refs = [spawn_monitor(worker, number, wrong)[1] for number in range(4)]
        for ref in refs:
            await receive(ref)
        return wrong

    wrong, runtime = preempting(main)
    assert wrong == []
    assert runtime.preemptions > 3


def numbers(count: int) -> Iterator[int]:
    for number in range(count):
        compute(30)
        yield number


ACTIONS = ["spin", "send", "generator", "raise", "finally", "timeout", "sleep", "receive", "nested", "collect", "comprehension"]
PLANS = st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=6)


class Planned(Exception):
    """What a plan raises and catches."""


def fail_late(number: int) -> None:
    try:
        spin(0.001)
        raise Planned(number)
    finally:
        compute(5_000)


async def act(plan: list[str], collector: Any, worker: int) -> None:
    """Do the plan; each step sends exactly one numbered message, in order."""
    depth = 0
    for number, what in enumerate(plan):
        match what:
            case "spin":
                spin(0.0015)
            case "generator":
                assert sum(numbers(300)) == 300 * 299 // 2
            case "comprehension":
                assert len([compute(40) for _ in range(200)]) == 200
            case "raise":
                with pytest.raises(Planned, match=str(number)):
                    fail_late(number)
            case "finally":
                try:
                    compute(20_000)
                finally:
                    spin(0.001)
                    depth += 1
            case "timeout":
                try:
                    await receive((atom.nothing, ...), timeout=0.001)
                except ReceiveTimeout:
                    pass
            case "sleep":
                await asyncio.sleep(0)
            case "receive":
                send(self(), ("mine", number))
                assert await receive(("mine", ...)) == ("mine", number)
            case "nested":
                assert list(map(compute, [1000, 2000, 3000]))[2] == compute(3000)
            case "collect":
                gc.collect(0)
        send(collector, (worker, number))
    send(collector, (worker, "done"))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plans=st.lists(PLANS, min_size=2, max_size=6), victims=st.sets(st.integers(0, 5), max_size=3), seed=st.integers(0, 2**16))
def test_nothing_is_lost_and_nothing_is_done_twice(plans: list[list[str]], victims: set[int], seed: int) -> None:
    chance = random.Random(seed)

    async def main() -> dict[int, list[Any]]:
        trap_exit(True)
        got: dict[int, list[Any]] = {number: [] for number in range(len(plans))}
        pids = [spawn(act, plan, self(), number) for number, plan in enumerate(plans)]
        refs = {monitor(pid): number for number, pid in enumerate(pids)}
        doomed = {number for number in victims if number < len(plans)}
        down = 0
        while down < len(plans):
            match await receive():
                case (atom.DOWN, ref, _, _, reason):
                    down += 1
                    assert reason in (atom.normal, atom.killed, atom.shutdown), reason
                    assert reason is atom.normal or refs[ref] in doomed
                case (int() as worker, item):
                    got[worker].append(item)
                    if worker + 1 in doomed or chance.random() < 0.1:
                        for number in doomed:
                            Process.exit(pids[number], chance.choice([atom.kill, atom.shutdown]))
        return got

    got, runtime = preempting(main)
    for number, plan in enumerate(plans):
        whole = [*range(len(plan)), "done"]
        assert got[number] == whole[: len(got[number])]
        if number not in victims:
            assert got[number] == whole
    assert runtime.process_count == 0


def test_exits_raised_inside_a_preempted_link_partner_are_seen_once() -> None:
    async def main() -> list[Any]:
        trap_exit(True)

        async def hog() -> None:
            link(parent)
            spin(0.01)
            exit(atom.finished)

        parent = self()
        spawn(hog)
        found = [await receive(timeout=5)]
        with contextlib.suppress(ReceiveTimeout):
            found.append(await receive(timeout=0.02))
        return [message[2] for message in found]

    assert preempting(main)[0] == [atom.finished]


def test_a_node_outside_the_main_thread_says_that_it_cannot() -> None:
    found: list[BaseException] = []

    def elsewhere() -> None:
        try:
            preempting(lambda: None)
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert isinstance(found[0], RuntimeError)
    assert "main thread" in str(found[0])


def test_an_exit_that_is_caught_does_not_come_back() -> None:
    async def main() -> list[str]:
        told: list[str] = []

        async def stubborn() -> None:
            try:
                while True:
                    pass
            except Exit:
                told.append("first")
            compute(100_000)
            told.append("went on")

        pid = spawn(stubborn)
        ref = monitor(pid)
        await asyncio.sleep(0.005)
        Process.exit(pid, atom.shutdown)
        down = await receive(ref, timeout=5)
        told.append(str(down[4]))
        return told

    assert preempting(main)[0] == ["first", "went on", "shutdown"]


def test_nothing_is_interrupted_inside_a_call_into_c() -> None:
    async def main() -> tuple[int, float]:
        async def sleeps() -> None:
            time.sleep(0.05)  # notices signals

        async def multiplies() -> None:
            for _ in range(3):
                3**400_000 % 1_000_003  # notices signals too

        waited = time.perf_counter()
        one, ref = spawn_monitor(sleeps)
        process = current_process().home.process_of(one)
        await asyncio.sleep(0)
        waited = time.perf_counter() - waited
        await receive(ref)
        two, ref = spawn_monitor(multiplies)
        await receive(ref)
        return process.rare_parts.preemptions, waited

    (times, waited), _ = preempting(main)
    assert waited >= 0.05, "others ran while it was inside time.sleep"
    assert times <= 1  # between the call and its end


def test_loops_of_calls_into_c_are_interrupted_between_them() -> None:
    import hashlib

    data = bytes(1 << 20)

    async def digests() -> None:
        while True:
            hashlib.sha256(data).digest()

    async def main() -> int:
        pid = spawn(digests)
        for _ in range(10):
            await asyncio.sleep(0.001)
        times: int = Process.info(pid, "preemptions")
        Process.exit(pid, atom.kill)
        return times

    assert preempting(main)[0] > 2


def test_a_loop_that_is_specialised_is_interrupted_too() -> None:
    for _ in range(100):
        spin(0.0002)  # by now the interpreter compares and jumps in one instruction, and looks for signals after the call only

    async def hog() -> None:
        spin(60)

    async def main() -> int:
        pid = spawn(hog)
        for _ in range(5):
            await asyncio.sleep(0.001)
        times: int = Process.info(pid, "preemptions")
        Process.exit(pid, atom.kill)
        return times

    assert preempting(main)[0] > 2


def test_a_lock_held_unseen_does_not_stop_the_node_for_ever() -> None:
    lock = threading.Lock()

    def take() -> None:
        lock.acquire()

    def give() -> None:
        lock.release()

    async def holder() -> None:
        for _ in range(2):
            take()
            spin(0.02)  # may be interrupted here: nothing in this frame says that a lock is held
            give()

    async def main() -> list[Any]:
        refs = [spawn_monitor(holder)[1] for _ in range(3)]
        return [(await receive(ref, timeout=20))[4] for ref in refs]

    assert preempting(main)[0] == [atom.normal] * 3


def test_what_cannot_be_interrupted_gives_way_at_its_next_receive() -> None:
    async def main() -> int:
        calls = most = 0

        async def busy() -> None:
            nonlocal calls
            while calls < 10_000:
                with contextlib.suppress(LookupError):
                    await call("nobody", "hello")
                calls += 1

        pid = spawn(busy)
        while Process.alive(pid):
            before = calls
            await asyncio.sleep(0)
            most = max(most, calls - before)
        return most

    most, _ = preempting(main)
    assert 0 < most < 1900, "it gave way only when its 2,000 receives of one turn were used up"


def test_code_of_beamish_may_stand_at_the_bottom_but_not_in_the_middle() -> None:
    from beamish.testing import asserts  # any function of ours that calls what it is given will do

    def called_by_us(action: Callable[[], Any]) -> Any:
        return action()

    ours: Any = type(called_by_us)(called_by_us.__code__.replace(co_filename=asserts.__file__), called_by_us.__globals__)

    async def main() -> tuple[int, int]:
        async def between() -> None:
            ours(lambda: spin(0.03))

        bottom = spawn(ours, lambda: spin(60))
        await asyncio.sleep(0.01)
        times = Process.info(bottom, "preemptions")
        Process.exit(bottom, atom.kill)
        middle, ref = spawn_monitor(between)
        process = current_process().home.process_of(middle)
        assert (await receive(ref, timeout=20))[4] is atom.normal
        return times, process.rare_parts.preemptions

    (times, late), _ = preempting(main)
    assert times > 0
    assert late == 0
