"""Children that fail and hang at every point of their lives: what the supervisor does, and what its log says."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from children import FailsAtTheStart, HangsAtTheEnd, HangsAtTheStart, Telling, down, start_stubborn, telling, up

from beamish.errors import StartError
from beamish.process import Process, link, monitor, receive, self, send, spawn_link, trap_exit
from beamish.supervisor import ChildSpec, DynamicSupervisor, Supervisor
from beamish.supervisor.stopping import stop_all, stop_child
from beamish.term import Pid, atom
from beamish.testing import CapturedLog, advance, capture_log, now, virtual


def one_line(log: CapturedLog) -> str:
    """The only line."""
    (line,) = log.messages
    return line


@virtual
async def test_a_child_fails_in_init_when_it_is_started_again() -> None:
    trap_exit(True)
    tries = iter([Telling, FailsAtTheStart, FailsAtTheStart, Telling])

    async def start(test: Pid) -> Any:
        return await next(tries).start_link(test, "a")

    top = await Supervisor.start_link([ChildSpec("a", (start, (self(),)))], name="top")
    (pid,) = await up("a")
    with capture_log(logger="beamish.supervisor") as log:
        Process.exit(pid, atom.kill)
        (again,) = await up("a")
        assert [child.pid for child in await top.which_children()] == [again]
    ended, *failed = log.messages
    assert f"child 'a' {pid} ended (killed); the supervisor starts it again" in ended
    assert len(failed) == 2
    for line in failed:
        assert "supervisor top (Supervisor" in line
        assert "child 'a' could not be started; the supervisor tries again" in line
        assert "Traceback" in line
        assert "RuntimeError: a has no database" in line


@virtual
async def test_a_child_hangs_in_init() -> None:
    trap_exit(True)
    with capture_log(logger="beamish.supervisor") as log, pytest.raises(StartError, match="not up within 12 s"):
        await Supervisor.start_link([telling("a"), HangsAtTheStart.child_spec(self(), "b", id="b", start_timeout=12)], name="top")
    assert now() == pytest.approx(12, abs=0.01)
    hung = (await receive(("hangs", ..., ...)))[2]
    assert not Process.alive(hung)
    slow = [line for line in log.messages if "has been starting for" in line]
    assert len(slow) == 2
    assert "supervisor top (Supervisor" in slow[0]
    assert "child 'b' has been starting for 5 s (children:HangsAtTheStart.start_link)" in slow[0]
    assert "for 10 s" in slow[1]
    assert "child 'b' could not be started (not up within 12 s); the supervisor does not start" in log.messages[-1]
    await up("a")
    assert await down("a") == [atom.shutdown]


@virtual
async def test_a_child_hangs_in_init_when_it_is_started_again() -> None:
    trap_exit(True)
    kinds = iter([Telling, HangsAtTheStart, Telling])

    async def start(test: Pid) -> Any:
        return await next(kinds).start_link(test, "a")

    with capture_log(logger="beamish.supervisor") as log:
        top = await Supervisor.start_link([ChildSpec("a", (start, (self(),)), start_timeout=3)])
        (pid,) = await up("a")
        Process.exit(pid, atom.kill)
        hung = (await receive(("hangs", ..., ...)))[2]
        (again,) = await up("a")
        assert [child.pid for child in await top.which_children()] == [again]
    assert not Process.alive(hung)
    assert "not up within 3 s" in log.messages[1]
    assert sorted(Process.info(top.pid, "links")) == sorted([self(), again])


@virtual
async def test_a_start_function_that_is_given_up_leaves_nothing() -> None:
    made: list[Any] = []

    async def start(test: Pid) -> Any:
        made.append(spawn_link(receive))
        made.append(await Telling.start_link(test, "half"))
        send(stranger, "now")
        await asyncio.sleep(100)

    async def links_itself(top: Pid) -> None:
        await receive()
        link(top)
        await receive()

    top = await Supervisor.start_link([])
    stranger = spawn_link(links_itself, top.pid)
    with capture_log(), pytest.raises(StartError, match="timeout"):
        await top.start_child(ChildSpec(1, (start, (self(),)), start_timeout=1))
    await advance(0)
    assert not Process.alive(made[0])
    assert not Process.alive(made[1].pid)
    assert Process.alive(stranger)
    assert sorted(Process.info(top.pid, "links")) == sorted([self(), stranger])


@virtual
async def test_a_start_function_whose_wait_is_cancelled() -> None:
    async def start() -> Any:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(1, future.cancel)
        await future

    top = await Supervisor.start_link([])
    with capture_log(), pytest.raises(StartError, match="CancelledError"):
        await top.start_child(ChildSpec(1, start))
    assert await top.count_children() == (0, 0, 0, 0)


@virtual
async def test_without_a_limit_the_log_goes_on_naming_the_child() -> None:
    trap_exit(True)
    inner = Supervisor.child_spec([HangsAtTheStart.child_spec(self(), "b", id="b")], id="inner", start_timeout=17)
    with capture_log(logger="beamish.supervisor") as log, pytest.raises(StartError):
        await Supervisor.start_link([inner], name="top")
    slow = [line for line in log.messages if "has been starting for" in line]
    assert len([line for line in slow if "child 'b'" in line]) == 3
    assert len([line for line in slow if "child 'inner'" in line]) == 3


@virtual
async def test_a_child_hangs_in_terminate() -> None:
    top = await Supervisor.start_link([HangsAtTheEnd.child_spec(self(), "a", id="a", shutdown=2.5), telling("b")], name="top")
    pid, _ = await up("a", "b")
    with capture_log(logger="beamish.supervisor") as log:
        before = now()
        await top.terminate_child("a")
    assert now() - before == pytest.approx(2.5, abs=0.01)
    assert not Process.alive(pid)
    line = one_line(log)
    assert line.startswith("supervisor top (Supervisor ")
    assert line.endswith(f"child 'a' {pid} did not stop within its 2.5 s; it was killed")


@pytest.mark.parametrize(("shutdown", "words"), [
    (1.0, "did not stop within its 1 s; it was killed"), (5.0, "did not stop within its 5 s; it was killed"),
    (9.0, "did not stop within its 9 s; it was killed"),
])  # fmt: skip
@pytest.mark.parametrize("kind", [Supervisor, DynamicSupervisor])
@virtual
async def test_a_child_that_swallows_cancellation(kind: Any, shutdown: float, words: str) -> None:
    top = await kind.start_link()
    await top.start_child(ChildSpec("s", (start_stubborn, (self(),)), shutdown=shutdown))
    pid = (await receive(("stubborn", ...)))[1]
    ref = monitor(pid)
    with capture_log(logger="beamish.supervisor") as log:
        before = now()
        await top.stop()
    assert now() - before == pytest.approx(shutdown, abs=0.01)
    await receive(ref, timeout=1)
    assert f"child 's' {pid} {words}" in one_line(log)


@virtual
async def test_time_without_end_is_without_end() -> None:
    top = await Supervisor.start_link([HangsAtTheEnd.child_spec(self(), "a", id="a", shutdown=math.inf)])
    (pid,) = await up("a")
    asked = self()
    stopper = spawn_link(lambda: top.terminate_child("a"))
    ref = monitor(stopper)
    await advance(1000)
    assert Process.alive(pid)
    Process.exit(pid, atom.kill)
    with capture_log():
        assert (await receive(ref))[4] is atom.normal
    del asked


@virtual
async def test_a_child_that_is_to_be_killed_is_not_asked() -> None:
    top = await Supervisor.start_link([HangsAtTheEnd.child_spec(self(), "a", id="a", shutdown="brutal_kill")])
    (pid,) = await up("a")
    with capture_log(logger="beamish.supervisor") as log:
        before = now()
        await top.terminate_child("a")
    assert now() == before
    assert not Process.alive(pid)
    assert log.messages == []


@virtual
async def test_a_child_that_dies_badly_when_asked_to_stop() -> None:
    class Sore(Telling):
        def terminate(self, reason: Any) -> Any:
            raise OSError("cannot write the last file")

    top = await Supervisor.start_link([Sore.child_spec(self(), "a", id="a")])
    (pid,) = await up("a")
    with capture_log(logger="beamish.supervisor") as log:
        await top.terminate_child("a")
    line = one_line(log)
    assert f"child 'a' {pid} was asked to stop and ended" in line
    assert "OSError: cannot write the last file" in line


@virtual
async def test_a_child_that_died_before_it_was_watched_is_known_by_its_own_reason() -> None:
    trap_exit(True)

    async def ends() -> None:
        Process.exit(self(), atom.kill)

    spec = ChildSpec("x", print)
    for stop in ("one", "all"):
        pid = spawn_link(ends)
        while Process.alive(pid):
            await asyncio.sleep(0)
        if stop == "one":
            ending = await stop_child(pid, spec)
        else:
            (ending,) = await stop_all([(pid, spec)])
        assert (ending.reason, ending.late) == (atom.killed, 0)
        with pytest.raises(TimeoutError):
            await receive(timeout=0)  # nothing of it is left in the mailbox


@virtual
async def test_a_child_that_ends_while_the_supervisor_stops_another() -> None:
    top = await Supervisor.start_link([telling("a"), HangsAtTheEnd.child_spec(self(), "slow", id="slow", shutdown=3)])
    pid, _ = await up("a", "slow")
    with capture_log(logger="beamish.supervisor") as log:
        spawn_link(lambda: top.terminate_child("slow"))
        await advance(1)
        Telling.at(pid).end(atom.boom)
        await down("a")
        (again,) = await up("a")
    assert now() == pytest.approx(3, abs=0.01)
    assert [child.pid for child in await top.which_children() if child.id == "a"] == [again]
    assert "did not stop within" in log.messages[0]
    assert "child 'a'" in log.messages[1]


@virtual
async def test_a_supervisor_that_is_stopped_while_a_child_cannot_be_started_again() -> None:
    fails = False

    async def start(test: Pid) -> Any:
        if fails:
            await asyncio.sleep(1)
            raise StartError("no money", atom.no_money)
        return await Telling.start_link(test, "a")

    top = await Supervisor.start_link([ChildSpec("a", (start, (self(),))), telling("b")], max_restarts=100)
    pid, _ = await up("a", "b")
    fails = True
    with capture_log(logger="beamish.supervisor") as log:
        Process.exit(pid, atom.kill)
        await advance(4.5)
        listed = await top.which_children()
        await top.stop()
    assert [child.pid for child in listed][1] is atom.restarting
    assert await down("b") == [atom.shutdown]
    assert 5 <= len(log.messages) <= 7


@virtual
async def test_callers_of_a_supervisor_that_ends_do_not_hang() -> None:
    top = await Supervisor.start_link([HangsAtTheEnd.child_spec(self(), "slow", id="slow", shutdown=3)])
    await up("slow")
    results = []

    async def asks() -> None:
        try:
            results.append(await top.which_children())
        except Exception as error:
            results.append(error)

    with capture_log():
        stopper = spawn_link(lambda: top.stop())
        await advance(0.5)
        askers = [monitor(spawn_link(asks)) for _ in range(10)]
        for ref in [*askers, monitor(stopper)]:
            await receive(ref, timeout=10)
    assert [type(each).__name__ for each in results] == ["CallFailed"] * 10


@virtual
async def test_a_dynamic_childs_failures_are_logged_by_its_start_function() -> None:
    pool = await DynamicSupervisor.start_link(name="pool")
    pid = await pool.start_child(telling("a", restart="temporary"))
    late = await pool.start_child(HangsAtTheEnd.child_spec(self(), "b", shutdown=1))
    await up("a", "b")
    with capture_log(logger="beamish.supervisor") as log:
        Telling.at(pid).crash()
        await down("a")
        await pool.stop()
    crashed, killed = log.messages
    assert f"supervisor pool (DynamicSupervisor {pool.pid}): child children:Telling.start_link {pid} crashed" in crashed
    assert "; it is temporary and is not started again\nTraceback" in crashed
    assert f"{late} did not stop within its 1 s; it was killed" in killed


@virtual
async def test_a_late_child_of_another_node_is_killed() -> None:
    top = await Supervisor.start_link([], name="top")

    async def comes_late() -> None:
        await receive()

    pid = spawn_link(comes_late)
    trap_exit(True)
    with capture_log(logger="beamish.supervisor") as log:
        send(top.pid, (atom.spawn_reply, 1, atom.ok, pid))
        assert (await receive((atom.EXIT, pid, ...)))[2] is atom.killed
    assert "came up after its start was given up" in one_line(log)
