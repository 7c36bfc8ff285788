"""`Supervisor` as a process, on the virtual clock."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from children import Telling, down, telling, up

from beamish.errors import AlreadyStarted, StartError
from beamish.gen_server import IGNORE, CallFailed, GenServer
from beamish.process import Process, exit, link, monitor, receive, self, send, spawn, spawn_link, trap_exit, whereis
from beamish.supervisor import BadChildSpec, ChildBusy, ChildSpec, NoChild, Supervisor
from beamish.term import Pid, atom
from beamish.testing import capture_log, refute_receive, virtual


@virtual
async def test_children_start_in_order_and_stop_in_reverse() -> None:
    supervisor = await Supervisor.start_link([telling("a"), telling("b"), telling("c")], name="top")
    pids = await up("a", "b", "c")
    assert [(child.id, child.pid) for child in await supervisor.which_children()] == list(zip("cba", reversed(pids), strict=True))
    assert await Supervisor.count_children("top") == (3, 3, 0, 3)
    assert whereis("top") == supervisor.pid
    await supervisor.stop()
    assert await down("c", "b", "a") == [atom.shutdown] * 3
    assert whereis("top") is None


@virtual
async def test_a_crashed_child_is_started_again_and_the_log_says_all_about_it() -> None:
    with capture_log(logger="beamish") as log:
        supervisor = await Supervisor.start_link([telling("a"), telling("b")], name="top")
        first, other = await up("a", "b")
        Telling.at(first).crash("the disk is full")
        await down("a")
        (second,) = await up("a")
        assert second != first
        assert [child.pid for child in await supervisor.which_children()] == [other, second]
    (line,) = [record.getMessage() for record in log.records if record.name == "beamish.supervisor"]
    assert line.startswith(f"supervisor top (Supervisor {supervisor.pid}): child 'a' {first} crashed; the supervisor starts it")
    assert "one_for_one, restart 1 of at most 3 restarts in 5 s" in line
    assert "Traceback" in line
    assert "in crash" in line
    assert "ValueError: the disk is full" in line
    report = next(record.report for record in log.records if record.name == "beamish.supervisor")  # type: ignore[attr-defined]
    assert report["child"] == "a"
    assert report["pid"] == first
    assert len([record for record in log.records if record.name == "beamish.process"]) == 1


@virtual
async def test_ordinary_ends_are_not_logged() -> None:
    with capture_log(logger="beamish") as log:
        await Supervisor.start_link([telling("a", restart="transient"), telling("t", restart="temporary")])
        for pid in await up("a", "t"):
            Telling.at(pid).end((atom.shutdown, "enough"))
        await down("a", "t")
        await asyncio.sleep(0.1)
    assert log.records == []


@virtual
async def test_the_supervisor_does_not_start_when_a_child_does_not() -> None:
    trap_exit(True)
    words = "its child 'b' could not be started"
    with capture_log(logger="beamish.supervisor") as log, pytest.raises(StartError, match=words) as caught:
        await Supervisor.start_link([telling("a"), ChildSpec("b", lambda: 1 // 0), telling("c")], name="top")
    assert caught.value.reason[:1] == (atom.shutdown,)
    assert caught.value.reason[1][:2] == (atom.failed_to_start_child, "b")
    assert "ZeroDivisionError" in str(caught.value)
    await up("a")
    assert await down("a") == [atom.shutdown]
    assert whereis("top") is None
    (line,) = log.messages
    assert "child 'b' could not be started; the supervisor does not start and stops the 1 it had started" in line
    assert "ZeroDivisionError" in line


@virtual
async def test_started_twice_under_a_name() -> None:
    trap_exit(True)
    supervisor = await Supervisor.start_link([telling("a", name="worker")], name="top")
    (pid,) = await up("a")
    with pytest.raises(AlreadyStarted) as caught:
        await Supervisor.start_link([], name="top")
    assert caught.value.pid == supervisor.pid
    with pytest.raises(AlreadyStarted, match="runs already") as caught:
        await supervisor.start_child(telling("b", name="worker"))
    assert caught.value.pid == pid
    with pytest.raises(AlreadyStarted) as caught:
        await supervisor.start_child(telling("a"))
    assert caught.value.pid == pid
    with capture_log(logger="beamish.supervisor") as log, pytest.raises(StartError):
        await Supervisor.start_link([telling("b", name="worker")])
    assert "worker" in log.messages[0]
    assert "already" in log.messages[0]


@virtual
async def test_requests() -> None:
    top = await Supervisor.start_link([telling("a", restart="transient")], name="top")
    pid = await top.start_child(telling("b"))
    await up("a", "b")
    assert await top.start_child(ChildSpec("i", lambda: (atom.ok, spawn(receive), "some facts")))
    with pytest.raises(ChildBusy, match="child 'b' is running"):
        await top.restart_child("b")
    with pytest.raises(ChildBusy):
        await top.delete_child("b")
    await top.terminate_child(b"b")
    assert await down("b") == [atom.shutdown]
    with pytest.raises(StartError, match="restart_child, or delete_child it first"):
        await top.start_child(telling("b"))
    again = await top.restart_child("b")
    assert again != pid
    await Supervisor.terminate_child("top", "b")
    await Supervisor.delete_child("top", "b")
    for verb in (top.delete_child, top.terminate_child, top.restart_child, top.get_childspec):
        with pytest.raises(NoChild, match="has no child 'b'"):
            await verb("b")
    spec = await top.get_childspec("a")
    assert (spec.id, spec.restart, spec.shutdown) == ("a", "transient", 5.0)
    with pytest.raises(StartError, match="child 'n' could not be started: no_licence"):
        await top.start_child(ChildSpec("n", fails_with_words))
    with pytest.raises(BadChildSpec):
        await top.start_child({"id": "x"})
    with pytest.raises(CallFailed):
        await Supervisor.which_children("nobody")


def fails_with_words() -> Any:
    raise StartError("there is no licence", atom.no_licence)


STARTS: list[tuple[Any, str]] = [
    (lambda: spawn_link(receive), "up"),
    (lambda: (atom.ok, spawn_link(receive)), "up"),
    (lambda: (atom.ok, spawn_link(receive), atom.info), "up"),
    (lambda: atom.ignore, "ignored"),
    (lambda: IGNORE, "ignored"),
    (lambda: (atom.error, atom.no_money), "no_money"),
    (lambda: exit(atom.enough), "enough"),
    (lambda: 1 / 0, "ZeroDivisionError"),
    (lambda: None, "gave None, and not a pid or a handle"),
    (lambda: (atom.ok, 7), "gave 7, and not a pid"),
    (lambda: asyncio.sleep(1, (atom.error, atom.late)), "late"),
]  # fmt: skip


@pytest.mark.parametrize(("start", "outcome"), STARTS)
@virtual
async def test_what_a_start_function_may_give(start: Any, outcome: str) -> None:
    top = await Supervisor.start_link([])
    with capture_log():
        if outcome == "up":
            made = await top.start_child(ChildSpec(1, start))
            assert Process.alive(made if isinstance(made, Pid) else made[0])
        elif outcome == "ignored":
            assert await top.start_child(ChildSpec(1, start)) is None
            assert await top.count_children() == (1, 0, 0, 1)
        else:
            with pytest.raises(StartError, match=outcome):
                await top.start_child(ChildSpec(1, start))
            assert await top.count_children() == (0, 0, 0, 0)


@virtual
async def test_a_child_that_the_start_function_did_not_link_is_linked() -> None:
    top = await Supervisor.start_link([ChildSpec("a", lambda: spawn(receive))])
    (child,) = await top.which_children()
    send(child.pid, "end")
    while True:  # it ends normally, and is permanent
        (again,) = await top.which_children()
        if again.pid != child.pid:
            break
    assert again.pid in Process.info(top.pid, "links")


@virtual
async def test_intensity_is_exceeded_up_the_tree() -> None:
    trap_exit(True)
    inner = Supervisor.child_spec([telling("a")], id="inner", max_restarts=1, name="inner")
    top = await Supervisor.start_link([telling("b"), inner], max_restarts=1, name="top")
    await up("b")
    with capture_log(logger="beamish.supervisor") as log:
        for _ in range(4):
            (pid,) = await up("a")
            Telling.at(pid).end(atom.boom)
            await down("a")
        assert await down("b") == [atom.shutdown]
        assert (await receive((atom.EXIT, ..., ...)))[1:] == (top.pid, atom.shutdown)
    told = [message.split(":")[0].split(" (")[0] + " / " + message.rpartition("; ")[2][:40] for message in log.messages]
    assert [line.split(" / ")[0] for line in told] == [
        "supervisor inner", "supervisor inner", "supervisor inner", "supervisor top",
        "supervisor inner", "supervisor inner", "supervisor inner", "supervisor top", "supervisor top",
    ]  # fmt: skip
    assert "is restarted too often; that is more than 1 restart in 5 s: the supervisor stops its children" in log.messages[-1]
    assert "child 'inner'" in log.messages[3]
    assert "starts it again" in log.messages[3]


@virtual
async def test_a_killed_supervisor_takes_its_children_along() -> None:
    trap_exit(True)
    inner = Supervisor.child_spec([telling("deep"), telling("deaf", traps=False)], id="inner")
    top = await Supervisor.start_link([telling("a"), inner])
    pids = await up("a", "deep", "deaf")
    refs = [monitor(pid) for pid in pids]
    Process.exit(top.pid, atom.kill)
    reasons = [(await receive(ref))[4] for ref in refs]
    assert reasons == [atom.killed, atom.shutdown, atom.shutdown]  # the inner one still stops its own in order
    assert (await receive((atom.EXIT, top.pid, ...)))[2] is atom.killed


@virtual
async def test_the_log_says_why_a_supervisor_shut_itself_down() -> None:
    trap_exit(True)
    spec = telling("s", restart="transient", significant=True)
    top = await Supervisor.start_link([spec, telling("b")], auto_shutdown="any_significant")
    pid, _ = await up("s", "b")
    with capture_log(logger="beamish.supervisor") as log:
        Telling.at(pid).end(atom.normal)
        assert (await receive((atom.EXIT, ..., ...)))[1:] == (top.pid, atom.shutdown)
    (record,) = log.records
    assert record.levelname == "INFO"
    assert record.getMessage().endswith(
        f"child 's' {pid} ended (normal); auto_shutdown is any_significant, so the supervisor stops"
    )


@virtual
async def test_its_parents_end_is_its_own() -> None:
    test = self()

    async def parent() -> None:
        await Supervisor.start_link([Telling.child_spec(test, "a")], name="top")
        await receive()

    pid = spawn(parent)
    await up("a")
    ref = monitor("top")
    send(pid, "end")
    assert await down("a") == [atom.shutdown]
    assert (await receive(ref))[4] is atom.normal
    assert whereis("top") is None


@virtual
async def test_an_unlinked_child_that_is_dead_holds_nobody_up() -> None:
    top = await Supervisor.start_link([])
    started = self()

    async def naughty() -> None:
        from beamish.process import unlink

        unlink(top.pid)
        send(started, "unlinked")
        await receive()

    pid = await top.start_child(ChildSpec("n", lambda: spawn_link(naughty)))
    assert await receive() == "unlinked"
    ref = monitor(pid)
    Process.exit(pid, atom.kill)
    await receive(ref)
    with capture_log(logger="beamish.supervisor") as log:
        await top.terminate_child("n")
    assert "child 'n'" in log.messages[0]
    assert "noproc" in log.messages[0]


@virtual
async def test_what_is_unexpected_is_logged_and_does_no_harm() -> None:
    top = await Supervisor.start_link([telling("a")], name="top")
    await up("a")
    with capture_log(logger="beamish.supervisor") as log:
        send("top", "hello")
        GenServer.cast("top", "hello")
        assert await GenServer.call("top", (atom.make, "coffee")) == (atom.error, (atom.unknown_request, atom.Supervisor))
        send("top", (atom.EXIT, self(), atom.boom, 1))
    assert ["top" in message for message in log.messages] == [True] * len(log.messages)
    assert len(log.messages) >= 3
    link(top.pid)
    await refute_receive(("down", ..., ...), timeout=1)
    assert (await top.count_children()).active == 1
