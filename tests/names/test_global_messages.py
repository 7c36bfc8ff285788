"""The shape of every message, on one core driven by hand.

Shapes are written out as terms, not with the builders of `messages`: they are what OTP 25 sends and expects.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from beamish.etf import decode, encode
from beamish.names.actions import (
    Action,
    Call,
    CancelTimer,
    Cast,
    ConnectTo,
    Demonitor,
    Disconnect,
    Log,
    Monitor,
    NameEvent,
    Reply,
    Send,
    SendPid,
    StartTimer,
)
from beamish.names.core import GlobalCore
from beamish.names.partitions import Gone
from beamish.names.table import Author
from beamish.term import ExportFun, Fun, Pid, atom

PEER, OTHER, THIRD = atom("peer@x"), atom("another@x"), atom("third@y")
US = atom("us@x")
OUR_LOCKER = Pid(US, 10, 0, 3)
HIS_LOCKER = Pid(PEER, 5, 0, 77)
LOCK_ID = (atom("global"), [HIS_LOCKER, OUR_LOCKER])  # sorted: id before node
DEFAULT = ExportFun(atom("global"), atom("random_exit_name"), 3)
CLOSURE = Fun(atom("global"), 3, bytes(16), 4, 4, 99, Pid(PEER, 1, 0, 77), ())


class Driver:
    """One core; keeps what it wants done. Calls, timers and monitors are answered by hand."""

    def __init__(self, **options: Any) -> None:
        self.core = GlobalCore(US, OUR_LOCKER, 3, random.Random(1), **options)
        self.now = 0.0
        self.actions: list[Action] = []
        self.timers: list[StartTimer] = []

    def do(self, event: str, *args: Any) -> list[Action]:
        """An event; gives the actions, without log lines and what was called off."""
        self.actions = getattr(self.core, f"handle_{event}")(*args, self.now)
        self.timers += of(StartTimer, self.actions)
        return [action for action in self.actions if not isinstance(action, (Log, CancelTimer, Demonitor))]

    def up(self, node: Any) -> int:
        """nodeup; gives our tag."""
        (cast,) = self.do("nodeup", node, 1, True)
        return cast.message[1][1]  # type: ignore[union-attr, no-any-return]

    def pair(self, node: Any = PEER, locker: Pid = HIS_LOCKER, tag: int = 7) -> int:
        """nodeup and the peer's init_connect; gives our tag."""
        ours = self.up(node)
        self.do("cast", (atom.init_connect, (8, tag), node, (atom.locker, atom.no_longer_a_pid, {}, locker)))
        return ours

    def timer(self) -> StartTimer:
        return self.timers[-1]

    def know(self, *nodes: Any) -> None:
        for node in nodes:
            self.do("nodeup", node, 1, True)
            self.core.sessions.drop(node)
            self.do("message", atom.nothing)
            self.core.state.known[node] = 8


def of(kind: type[Any], actions: list[Action]) -> list[Any]:
    return [action for action in actions if isinstance(action, kind)]


def test_nodeup_casts_init_connect() -> None:
    driver = Driver()
    driver.know(OTHER)
    (cast,) = driver.do("nodeup", PEER, 1, True)
    tag = cast.message[1][1]  # type: ignore[union-attr]
    greeting = (atom.locker, atom.no_longer_a_pid, {OTHER: 8}, OUR_LOCKER)
    assert cast == Cast(PEER, (atom.init_connect, (8, tag), US, greeting))
    assert isinstance(tag, int)


def test_tags_are_never_used_twice() -> None:
    driver = Driver()
    tags = set()
    for number in range(5):
        tags.add(driver.up(PEER))
        driver.do("nodedown", PEER, Gone.LOST)
        assert len(tags) == number + 1


def test_init_connect_is_confirmed_and_the_peer_pending() -> None:
    driver = Driver()
    ours = driver.up(PEER)
    init = (atom.init_connect, (8, 7), PEER, (atom.locker, atom.no_longer_a_pid, {}, HIS_LOCKER))
    actions = driver.do("cast", init)
    assert actions[0] == Send(PEER, (atom.init_connect_ack, US, 7, ours))
    assert driver.core.state.pending == {PEER: 8}
    assert driver.timer().seconds == pytest.approx(0.2)


@pytest.mark.parametrize("versions", [(9, 7), (8, 7, atom.more), (12, 7, 1, 2)])
def test_later_versions_are_read_by_their_first_two_elements(versions: Any) -> None:
    driver = Driver()
    ours = driver.up(PEER)
    greeting = (atom.locker, atom.no_longer_a_pid, {}, HIS_LOCKER)
    actions = driver.do("cast", (atom.init_connect, versions, PEER, greeting))
    assert Send(PEER, (atom.init_connect_ack, US, 7, ours)) in actions


@pytest.mark.parametrize(
    ("versions", "greeting"),
    [
        (atom.none, (atom.locker, atom.no_longer_a_pid, {}, HIS_LOCKER)),
        ((5, 7), (atom.locker, atom.no_longer_a_pid, {}, HIS_LOCKER)),
        ((8,), (atom.locker, atom.no_longer_a_pid, {}, HIS_LOCKER)),
        ((8, 7), (atom.locker, atom.no_longer_a_pid, {}, atom.locker)),
        ((8, 7), atom.locker),
    ],
)
def test_a_greeting_that_cannot_be_read_is_logged_and_dropped(versions: Any, greeting: Any) -> None:
    driver = Driver()
    driver.up(PEER)
    assert driver.do("cast", (atom.init_connect, versions, PEER, greeting)) == []
    assert len(of(Log, driver.actions)) == 1
    assert not driver.core.state.pending


def test_an_init_connect_before_nodeup_is_parked() -> None:
    driver = Driver()
    init = (atom.init_connect, (8, 7), PEER, (atom.locker, atom.no_longer_a_pid, {}, HIS_LOCKER))
    assert driver.do("cast", init) == []
    actions = driver.do("nodeup", PEER, 1, True)
    assert [type(action) for action in actions[:2]] == [Cast, Send]
    tag = actions[0].message[1][1]  # type: ignore[union-attr]
    assert actions[1] == Send(PEER, (atom.init_connect_ack, US, 7, tag))


def test_an_old_version_that_begins_twice_is_disconnected() -> None:
    driver = Driver()
    driver.up(PEER)
    init = (atom.init_connect, (7, 7), PEER, (atom.locker, atom.no_longer_a_pid, {}, HIS_LOCKER))
    assert of(Send, driver.do("cast", init)) == []  # version 7 knows no confirmation
    assert of(Disconnect, driver.do("cast", init)) == [Disconnect(PEER)]


def test_a_fitting_confirmation_changes_nothing() -> None:
    driver = Driver()
    ours = driver.pair()
    assert driver.do("message", (atom.init_connect_ack, PEER, ours, 7)) == []
    assert driver.do("message", (atom.init_connect_ack, PEER, ours - 1, 7)) == []  # about an older session of ours


def test_a_confirmation_of_other_tags_cancels_and_begins_again() -> None:
    driver = Driver()
    ours = driver.pair()
    actions = driver.do("message", (atom.init_connect_ack, PEER, ours, 8))
    assert of(Send, actions) == [Send(PEER, (atom.cancel_connect, US, 8)), Send(PEER, (atom.cancel_connect, US, 7))]
    assert not driver.core.state.pending
    again = driver.do("timer", driver.timer().key)
    assert again[0].message[0] is atom.init_connect  # type: ignore[union-attr]
    assert again[0].message[1][1] != ours  # type: ignore[union-attr]


def test_a_confirmation_without_a_session_is_cancelled() -> None:
    driver = Driver()
    assert driver.do("message", (atom.init_connect_ack, PEER, 5, 8)) == [Send(PEER, (atom.cancel_connect, US, 8))]


def test_cancel_connect_for_the_current_tag_begins_again_later() -> None:
    driver = Driver()
    ours = driver.pair()
    assert driver.do("message", (atom.cancel_connect, PEER, ours + 1)) == []
    actions = driver.do("message", (atom.cancel_connect, PEER, ours))
    assert of(Send, actions) == [Send(PEER, (atom.cancel_connect, US, 7))]
    pauses = [action.seconds for action in of(StartTimer, actions)]
    assert len(pauses) == 1
    assert 0.02 < pauses[0] <= 0.05


def test_a_peer_that_begins_again_is_paired_under_our_old_tag() -> None:
    driver = Driver()
    ours = driver.pair()
    init = (atom.init_connect, (8, 8), PEER, (atom.locker, atom.no_longer_a_pid, {}, HIS_LOCKER))
    assert of(Send, driver.do("cast", init)) == [Send(PEER, (atom.init_connect_ack, US, 8, ours))]


def run_active(driver: Driver, ours: int) -> list[Action]:
    """The peer joins a node that knows nobody: gives the actions after our locks are set."""
    assert ours
    driver.now += 0.2
    (call,) = driver.do("timer", driver.timer().key)
    # The boss is us: locked at once. Then the peer.
    assert isinstance(call, Call)
    assert (call.node, call.request) == (PEER, (atom.set_lock, LOCK_ID))
    return driver.do("result", call.key, True, True)


def test_the_whole_session_on_the_active_side() -> None:
    driver = Driver()
    driver.core.names.insert("mine", Pid(US, 20, 0, 3), DEFAULT, Author())
    driver.core.state.flush()
    ours = driver.pair()
    assert run_active(driver, ours) == [Cast(PEER, (atom.lock_set, OUR_LOCKER, True, [], 7))]

    (exchange,) = driver.do("cast", (atom.lock_set, HIS_LOCKER, True, [OTHER], ours))
    assert exchange == Cast(PEER, (atom.exchange, US, [("mine", Pid(US, 20, 0, 3), DEFAULT)], [], 7))

    his = Pid(PEER, 9, 0, 77)
    (resolved,) = driver.do("cast", (atom.exchange, PEER, [(b"his", his, CLOSURE)], [], ours))
    assert resolved == Cast(PEER, (atom.resolved, US, [], [], atom.unused, [], 7))

    actions = driver.do("cast", (atom.resolved, PEER, [], [(OTHER, 8), THIRD], atom.unused, [], ours))
    assert of(Monitor, actions)[0].pid == his
    assert of(NameEvent, actions) == [NameEvent(b"his", None, his)]
    assert {action.node for action in of(ConnectTo, actions)} == {OTHER, THIRD}
    # We knew nobody to tell; the locks are let go, the boss (ourselves) last.
    assert [(call.node, call.request) for call in of(Call, actions)] == [(PEER, (atom.del_lock, LOCK_ID))]
    assert driver.core.whereis("his") == his
    assert driver.core.state.known == {PEER: 8, OTHER: 8, THIRD: 0}
    assert list(driver.core.state.synced) == [PEER]
    driver.do("result", of(Call, actions)[0].key, True, True)
    assert [line for line in driver.core.busy() if "reaching" not in line and "None" not in line] == []

    up = driver.do("nodeup", OTHER, 5, True)
    assert up == [Cast(OTHER, (atom.in_sync, US, True))]
    # His methods are sent on as they came.
    assert driver.core.names.lookup("his").method == CLOSURE  # type: ignore[union-attr]


def test_the_passive_side_locks_its_own_with_the_same_id() -> None:
    driver = Driver()
    driver.know(OTHER, THIRD)
    ours = driver.pair()
    # "us@x" is the greatest name, so our own lock is first and needs no traffic.
    calls = driver.do("cast", (atom.lock_set, HIS_LOCKER, True, [], ours))
    assert [(call.node, call.request) for call in of(Call, calls)] == [
        (OTHER, (atom.set_lock, LOCK_ID)),
        (THIRD, (atom.set_lock, LOCK_ID)),
    ]
    driver.do("result", of(Call, calls)[0].key, True, True)
    actions = driver.do("result", of(Call, calls)[1].key, True, True)
    assert actions == [
        Cast(PEER, (atom.lock_set, OUR_LOCKER, True, [OTHER, THIRD], 7)),
        Cast(PEER, (atom.exchange, US, [], [], 7)),
    ]
    driver.do("cast", (atom.exchange, PEER, [("n", Pid(PEER, 8, 0, 77), DEFAULT)], [], ours))
    actions = driver.do("cast", (atom.resolved, PEER, [], [], atom.unused, [], ours))
    insert = (atom.insert, ("n", Pid(PEER, 8, 0, 77), DEFAULT))
    news = (atom.new_nodes, US, [insert], [], [(PEER, 8)], [(atom.vsn, 8), (atom.lock, LOCK_ID)])
    casts, calls = of(Cast, actions), of(Call, actions)
    assert casts == [Cast(OTHER, news), Cast(THIRD, news)]
    assert actions.index(casts[-1]) < actions.index(calls[0]), "told before the lock is let go"
    assert {call.node for call in calls} == {OTHER, THIRD}


def test_old_releases_are_told_names_without_versions() -> None:
    driver = Driver()
    driver.know(OTHER)
    driver.core.state.known[OTHER] = 6
    ours = driver.pair()
    calls = driver.do("cast", (atom.lock_set, HIS_LOCKER, True, [], ours))
    driver.do("result", of(Call, calls)[0].key, True, True)
    driver.do("cast", (atom.exchange, PEER, [], [], ours))
    actions = driver.do("cast", (atom.resolved, PEER, [], [], atom.unused, [], ours))
    assert [(cast.node, cast.message[4]) for cast in of(Cast, actions)] == [(OTHER, [PEER])]


def test_a_refusal_releases_what_was_locked_and_tells_nobody() -> None:
    driver = Driver()
    driver.know(OTHER, THIRD)
    ours = driver.pair()
    calls = driver.do("cast", (atom.lock_set, HIS_LOCKER, True, [], ours))
    driver.do("result", of(Call, calls)[0].key, True, True)
    actions = driver.do("result", of(Call, calls)[1].key, True, False)
    assert [(call.node, call.request) for call in of(Call, actions)] == [(calls[0].node, (atom.del_lock, LOCK_ID))]  # type: ignore[union-attr]
    answer = driver.do("result", of(Call, actions)[0].key, True, True)
    assert Cast(PEER, (atom.lock_set, OUR_LOCKER, False, [OTHER, THIRD], 7)) in answer
    assert len(driver.core.locks) == 0


def test_a_lock_set_that_comes_while_we_lock_is_kept() -> None:
    """Dropping it once deadlocked a cluster: both sides then wait for a message that was there."""
    driver = Driver()
    ours = driver.pair()
    driver.now += 0.2
    (call,) = driver.do("timer", driver.timer().key)
    assert isinstance(call, Call)
    assert driver.do("cast", (atom.lock_set, HIS_LOCKER, True, [], ours)) == []
    actions = driver.do("result", call.key, True, True)
    assert actions == [
        Cast(PEER, (atom.lock_set, OUR_LOCKER, True, [], 7)),
        Cast(PEER, (atom.exchange, US, [], [], 7)),
    ]


def test_an_exchange_before_our_lock_is_kept() -> None:
    driver = Driver()
    ours = driver.pair()
    assert driver.do("cast", (atom.exchange, PEER, [], [], ours)) == []
    run_active(driver, ours)
    actions = driver.do("cast", (atom.lock_set, HIS_LOCKER, True, [], ours))
    assert [action.message[0] for action in of(Cast, actions)] == [atom.exchange, atom.resolved]


def test_a_resolved_before_our_ops_is_kept() -> None:
    driver = Driver()
    ours = driver.pair()
    run_active(driver, ours)
    driver.do("cast", (atom.lock_set, HIS_LOCKER, True, [], ours))
    assert driver.do("cast", (atom.resolved, PEER, [], [], atom.unused, [], ours)) == []
    actions = driver.do("cast", (atom.exchange, PEER, [], [], ours))
    assert of(Cast, actions)[0].message[0] is atom.resolved
    assert driver.core.state.known == {PEER: 8}


@pytest.mark.parametrize("tag", [0, -1, atom.undefined, None])
def test_messages_with_another_tag_are_stale(tag: Any) -> None:
    driver = Driver()
    ours = driver.pair()
    run_active(driver, ours)
    for message in [
        (atom.lock_set, HIS_LOCKER, True, [], tag or 1),
        (atom.exchange, PEER, [], [], tag),
        (atom.resolved, PEER, [], [], atom.unused, [], tag),
    ]:
        assert driver.do("cast", message) == []


def test_a_false_from_the_peer_releases_and_is_tried_again_later() -> None:
    driver = Driver()
    ours = driver.pair()
    run_active(driver, ours)
    (call,) = driver.do("cast", (atom.lock_set, HIS_LOCKER, False, [], ours))
    assert isinstance(call, Call)
    assert call.request == (atom.del_lock, LOCK_ID)
    actions = driver.do("result", call.key, True, True)
    assert len(driver.core.locks) == 0
    assert [type(action) for action in actions] == [StartTimer]


def test_a_lock_set_for_a_session_that_is_over_is_refused() -> None:
    driver = Driver()
    actions = driver.do("cast", (atom.lock_set, HIS_LOCKER, True, [], 5))
    assert actions == [SendPid(HIS_LOCKER, (atom.lock_set, OUR_LOCKER, False, []))]
    assert driver.do("cast", (atom.lock_set, HIS_LOCKER, False, [], 5)) == []


@pytest.mark.parametrize("kind", ["message", "cast"])
def test_a_refusal_without_a_tag_counts(kind: str) -> None:
    """What OTP's locker sends, to our locker itself, when it does not know our session."""
    driver = Driver()
    run_active(driver, driver.pair())
    (call,) = driver.do(kind, (atom.lock_set, HIS_LOCKER, False, []))
    assert isinstance(call, Call)
    assert call.request == (atom.del_lock, LOCK_ID)


def test_nodedown_while_we_lock_releases_everything() -> None:
    driver = Driver()
    driver.pair()
    driver.now += 0.2
    (call,) = driver.do("timer", driver.timer().key)
    driver.do("nodedown", PEER, Gone.LOST)
    assert len(driver.core.locks) == 0
    assert driver.core.busy() == []
    assert driver.do("result", call.key, True, True) == []  # type: ignore[union-attr]


def test_nodedown_while_the_locks_are_held_releases_everything() -> None:
    driver = Driver()
    driver.know(OTHER)
    ours = driver.pair()
    calls = driver.do("cast", (atom.lock_set, HIS_LOCKER, True, [], ours))
    driver.do("result", of(Call, calls)[0].key, True, True)
    assert driver.core.busy() != []
    actions = driver.do("nodedown", PEER, Gone.LOST)
    (call,) = of(Call, actions)
    assert (call.node, call.request) == (OTHER, (atom.del_lock, LOCK_ID))
    driver.do("result", call.key, True, True)
    assert driver.core.busy() == []


def test_in_sync_ends_a_session_without_a_word() -> None:
    driver = Driver()
    ours = driver.pair()
    run_active(driver, ours)
    actions = driver.do("cast", (atom.in_sync, PEER, True))
    assert of(Send, actions) == of(Cast, actions) == []
    assert [call.request[0] for call in of(Call, actions)] == [atom.del_lock]
    assert list(driver.core.state.synced) == [PEER]
    assert not driver.core.state.pending


def test_new_nodes_are_met_and_names_taken_over() -> None:
    driver = Driver()
    driver.know(PEER)
    pid = Pid(THIRD, 4, 0, 6)
    driver.core.names.insert("old", pid, DEFAULT, Author())
    ops = [(atom.insert, ("new", pid, DEFAULT)), (atom.delete, "old"), (atom.strange, 1), atom.bad]
    extra = [(atom.vsn, 8), (atom.lock, LOCK_ID)]
    actions = driver.do("cast", (atom.new_nodes, PEER, ops, [], [(THIRD, 8), US], extra))
    assert of(ConnectTo, actions)[0].node is THIRD
    assert driver.core.state.known == {PEER: 8, THIRD: 8}
    assert driver.core.registered_names() == ["new"]
    (cast,) = driver.do("nodeup", THIRD, 4, True)
    assert cast == Cast(THIRD, (atom.in_sync, US, True))


def test_new_nodes_under_another_lock_do_not_count() -> None:
    driver = Driver()
    driver.know(PEER)
    driver.do("call", (HIS_LOCKER, 1), (atom.set_lock, (atom("global"), "somebody else")))
    ops = [(atom.insert, ("new", Pid(PEER, 4, 0, 6), DEFAULT))]
    driver.do("cast", (atom.new_nodes, PEER, ops, [], [], [(atom.vsn, 8), (atom.lock, LOCK_ID)]))
    assert driver.core.registered_names() == []


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        (atom.get_known, [OTHER]),
        (atom.get_synced, []),
        (atom.get_protocol_version, 8),
        (atom.get_names_ext, []),
        ((atom.sync, []), atom.ok),
        ((atom.set_lock, ("resource", 1)), True),
        ((atom.del_lock, ("resource", 1)), True),
        ((atom.register, "name", HIS_LOCKER, DEFAULT), atom.yes),
        ((atom.unregister, "name"), atom.ok),
        ((atom.register_ext, "name", HIS_LOCKER, DEFAULT, PEER), atom.yes),
    ],
)
def test_gen_calls(request_: Any, reply: Any) -> None:
    driver = Driver()
    driver.know(OTHER)
    caller = (HIS_LOCKER, "tag")
    assert of(Reply, driver.do("call", caller, request_)) == [Reply(caller, reply)]


def test_external_names_are_told_with_their_node() -> None:
    driver = Driver()
    c_pid = Pid(OTHER, 1, 0, 1)
    driver.do("call", (HIS_LOCKER, 1), (atom.register_ext, "c", c_pid, DEFAULT, PEER))
    assert driver.do("call", (HIS_LOCKER, 1), atom.get_names_ext) == [Reply((HIS_LOCKER, 1), [("c", c_pid, PEER)])]
    driver.do("call", (HIS_LOCKER, 1), (atom.unregister, "c"))
    assert driver.core.names.names_ext() == []


def test_info_has_the_shape_of_otp_25() -> None:
    driver = Driver()
    driver.know(OTHER)
    (reply,) = driver.do("call", (HIS_LOCKER, 1), atom.info)
    info = reply.reply  # type: ignore[union-attr]
    assert info[0] is atom.state
    assert info[1:4] == ((atom.conf, True, True), {OTHER: 8}, [])
    assert info[6:] == (US, OUR_LOCKER, OUR_LOCKER, atom.no_trace, False)


def test_whereis_waits_while_names_change() -> None:
    driver = Driver()
    asks = (atom.whereis, "n", (HIS_LOCKER, "tag"))
    assert driver.do("message", asks) == [Reply((HIS_LOCKER, "tag"), atom.undefined)]
    driver.do("call", (HIS_LOCKER, 1), (atom.set_lock, LOCK_ID))
    (timer,) = driver.do("message", asks)
    assert isinstance(timer, StartTimer)
    assert timer.seconds <= 4
    driver.do("call", (HIS_LOCKER, 1), (atom.del_lock, LOCK_ID))
    assert driver.do("timer", timer.key) == [Reply((HIS_LOCKER, "tag"), atom.undefined)]


@pytest.mark.parametrize(
    ("event", "args"),
    [
        ("message", [atom.nonsense]),
        ("message", [(atom.lost_connection, 1, 2, 3, 4)]),
        ("message", [b"bytes"]),
        ("cast", [(atom.nonsense, 1)]),
        ("cast", [(atom.lock_set, 1, True, [], 4)]),
        ("cast", [(atom.new_nodes, PEER, atom.ops, [], [], [])]),
        ("call", [(HIS_LOCKER, 1), (atom.nonsense,)]),
        ("call", [(HIS_LOCKER, 1), (atom.set_lock, atom.no_id)]),
        ("call", [(HIS_LOCKER, 1), (atom.registrar, (atom.unregister, "n"))]),
        ("call", [(HIS_LOCKER, 1), atom.disconnect]),
        ("call", [(OUR_LOCKER, 1), (atom.registrar, atom.nonsense)]),
    ],
)
def test_what_makes_no_sense_is_logged(event: str, args: list[Any]) -> None:
    driver = Driver()
    assert driver.do(event, *args) == []
    assert [log.level for log in of(Log, driver.actions)] == ["warning"]


@pytest.mark.parametrize("message", [(atom.async_del_name, "n", 1), (atom.async_del_lock, "r", 1)])
def test_what_old_releases_sent_is_ignored(message: Any) -> None:
    driver = Driver()
    assert driver.do("cast", message) == []
    assert driver.actions == []


def test_everything_we_send_is_a_term() -> None:
    driver = Driver()
    driver.know(OTHER)
    ours = driver.pair()
    sent: list[Any] = []
    calls = driver.do("cast", (atom.lock_set, HIS_LOCKER, True, [], ours))
    sent += calls + driver.do("result", of(Call, calls)[0].key, True, True)
    sent += driver.do("cast", (atom.exchange, PEER, [("n", HIS_LOCKER, CLOSURE)], [], ours))
    sent += driver.do("cast", (atom.resolved, PEER, [], [(THIRD, 8)], atom.unused, [], ours))
    terms = [action.message for action in of(Cast, sent)] + [action.request for action in of(Call, sent)]
    assert len(terms) >= 6
    for term in terms:
        assert decode(encode(term)) == term
