"""A route that does not lead anywhere yet."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from beamish.errors import ConnectionBusy
from beamish.node import route as routes
from beamish.node.route import PendingRoute, fail_route
from beamish.process import (
    Process,
    Route,
    current_scheduler,
    demonitor,
    exit,
    link,
    monitor,
    receive,
    self,
    send,
    spawn_monitor,
    trap_exit,
    unlink,
)
from beamish.term import Atom, Pid, Ref, atom
from beamish.testing import flush
from loops import virtual

THERE = atom("there@host")
REMOTE = Pid(THERE, 1, 0, 1)
VERBS = (
    "send", "link", "unlink", "unlink_ack", "exit_linked", "exit_signal", "monitor", "demonitor", "monitor_down",
    "spawn_request", "spawn_reply", "group_leader",
)  # fmt: skip


class RecordingRoute(Route):
    """Writes down what it is asked to send."""

    def __init__(self, node: Atom = THERE) -> None:
        super().__init__(node)
        self.calls: list[tuple[Any, ...]] = []


def _recording(verb: str) -> Any:
    def record(self: RecordingRoute, *args: Any) -> None:
        self.calls.append((verb, *args))

    return record


for _verb in VERBS:
    setattr(RecordingRoute, _verb, _recording(_verb))


def pending_connector() -> PendingRoute:
    """A runtime whose every node is being connected."""
    home = current_scheduler()
    assert home is not None
    waiting = PendingRoute(THERE)

    def connector(node: Atom) -> Route:
        home.routes[node] = waiting
        return waiting

    home.connector = connector
    return waiting


@virtual
async def test_signals_go_out_in_the_order_in_which_they_came() -> None:
    waiting = pending_connector()
    me = self()
    send(REMOTE, 1)
    link(REMOTE)
    ref = monitor(REMOTE)
    send(("name", THERE), 2)
    named = monitor(("name", THERE))
    demonitor(ref)
    unlink(REMOTE)
    Process.exit(REMOTE, "why")
    real = RecordingRoute()
    waiting.flush_into(real)
    unlink_id = real.calls[6][3]
    assert unlink_id > 0
    assert real.calls == [
        ("send", me, REMOTE, 1),
        ("link", me, REMOTE),
        ("monitor", me, REMOTE, ref),
        ("send", me, atom.name, 2),
        ("monitor", me, atom.name, named),
        ("demonitor", me, REMOTE, ref),
        ("unlink", me, REMOTE, unlink_id),
        ("exit_signal", me, REMOTE, "why"),
    ]
    assert real.out_monitors == {named: me}
    assert real.links == {REMOTE: {me: None}}
    assert waiting.waiting == []


@virtual
async def test_a_failed_connection_is_noconnection_for_all_of_it() -> None:
    waiting = pending_connector()
    home = current_scheduler()
    assert home is not None
    trap_exit()
    send(REMOTE, "lost")
    link(REMOTE)
    ref = monitor(REMOTE)
    request = home.new_ref()
    waiting.requests[request] = (self(), False, False, None)
    fail_route(home, waiting)
    assert await flush() == [
        (atom.spawn_reply, request, atom.error, atom.noconnection),
        (atom.EXIT, REMOTE, atom.noconnection),
        (atom.DOWN, ref, atom.process, REMOTE, atom.noconnection),
    ]
    assert Process.info(self(), "links") == []
    assert Process.info(self(), "monitors") == []


@virtual
async def test_too_many_or_too_large_signals_are_refused_at_their_sender(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = pending_connector()
    monkeypatch.setattr(routes, "MAX_WAITING_BYTES", 10_000)
    send(REMOTE, b"x" * 6000)
    with pytest.raises(ConnectionBusy, match=r"1 signals \(6\d\d\d bytes\) already wait for the connection to there@host"):
        send(REMOTE, b"x" * 6000)
    monkeypatch.setattr(routes, "MAX_WAITING_SIGNALS", 10)
    for number in range(9):
        send(REMOTE, number)
    for verb in (lambda: send(REMOTE, 1), lambda: link(REMOTE), lambda: monitor(REMOTE, alias=True)):
        with pytest.raises(ConnectionBusy):
            verb()
    home = current_scheduler()
    assert home is not None
    assert home.aliases == {}
    assert Process.info(self(), "links") == []
    assert Process.info(self(), "monitors") == []
    assert waiting.links == waiting.out_monitors == {}


@virtual
async def test_a_death_is_always_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """However full the route is, a process that dies can tell those who watch it, here and there."""
    waiting = pending_connector()

    async def linked() -> None:
        link(REMOTE)
        monitor(REMOTE)
        monkeypatch.setattr(routes, "MAX_WAITING_SIGNALS", 0)
        exit("why")

    pid, ref = spawn_monitor(linked)
    assert (await receive(ref))[4] == "why"
    assert [call[0] for call in waiting.waiting] == ["link", "monitor", "demonitor", "exit_linked"]
    assert waiting.waiting[3][1] == (pid, REMOTE, "why")


@virtual
async def test_what_is_no_term_is_refused_before_it_waits() -> None:
    waiting = pending_connector()
    with pytest.raises(ValueError, match=r"."):
        send(REMOTE, object())
    assert waiting.waiting == []


@virtual
async def test_what_changes_afterwards_does_not_change_the_message() -> None:
    waiting = pending_connector()
    message = [1, [2]]
    send(REMOTE, message)
    message.append(3)
    real = RecordingRoute()
    waiting.flush_into(real)
    assert real.calls == [("send", self(), REMOTE, [1, [2]])]


@virtual
async def test_a_signal_that_fails_at_last_takes_no_other_along(caplog: pytest.LogCaptureFixture) -> None:
    waiting = pending_connector()
    for number in range(3):
        send(REMOTE, number)

    class Picky(RecordingRoute):
        def send(self, sender: Any, to: Any, message: Any) -> None:
            if message == 1:
                raise ConnectionBusy("full")
            self.calls.append(("send", message))

    real = Picky()
    with caplog.at_level(logging.ERROR):
        waiting.flush_into(real)
    assert real.calls == [("send", 0), ("send", 2)]
    assert "a signal that waited for the connection to there@host was dropped: send: full" in caplog.text


@virtual
async def test_a_route_that_fails_does_not_keep_others_from_hearing_of_a_death(caplog: pytest.LogCaptureFixture) -> None:
    home = current_scheduler()
    assert home is not None

    class Broken(RecordingRoute):
        def exit_linked(self, local: Pid, remote: Pid, reason: Any) -> None:
            raise OSError("no way")

        def demonitor(self, local: Pid, target: Any, ref: Ref) -> None:
            raise OSError("no way")

    broken = Broken()
    home.routes[THERE] = broken

    async def linked() -> None:
        link(REMOTE)
        monitor(REMOTE)
        await receive()

    pid, ref = spawn_monitor(linked)
    send(pid, 1)
    assert (await receive(ref))[4] is atom.normal
    assert caplog.text.count("could not be told") == 2
    assert home.process_of(pid) is None
