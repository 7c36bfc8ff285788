"""The handshake against itself, and against everything a broken or hostile peer may send."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beamish.dist.flags import HIDDEN, MANDATORY_25, VISIBLE, Flag
from beamish.dist.handshake import (
    Acceptor,
    AliveAnswered,
    Authenticated,
    Established,
    Event,
    Failure,
    HandshakeFailed,
    Initiator,
    NameReceived,
    StatusAlive,
    StatusNamed,
    StatusNok,
    StatusOk,
)
from beamish.dist.handshake_packets import PACKET_MAX, digest
from beamish.errors import LocalProtocolError
from beamish.term import Atom, atom

A = atom("barry@host")
B = atom("robin@host")


def initiator(**changes: object) -> Initiator:
    settings: dict[str, object] = {
        "local": A,
        "peer": B,
        "flags": VISIBLE,
        "creation": 11,
        "cookie": "secret",
        "challenge": 0xFFFFFFFF,
    }
    return Initiator(**{**settings, **changes})  # type: ignore[arg-type]


def acceptor(**changes: object) -> Acceptor:
    settings: dict[str, object] = {
        "local": B,
        "flags": VISIBLE,
        "creation": 22,
        "cookie_for": lambda peer: "secret",
        "challenge": 1,
        "address": "10.0.0.7",
    }
    return Acceptor(**{**settings, **changes})  # type: ignore[arg-type]


class Talk:
    """Both roles, connected by bytes; ``size`` of them at a time."""

    def __init__(
        self, left: Initiator, right: Acceptor, answer: Callable[[Acceptor, Event], None], size: int = 1
    ) -> None:
        self.left, self.right, self.size = left, right, size
        self.left_events: list[Event] = []
        self.right_events: list[Event] = []
        self.answer = answer
        self.established: Established | None = None

    def run(self) -> None:
        while True:
            moved = self.move(self.left, self.right, self.right_events)
            moved |= self.move(self.right, self.left, self.left_events)
            if not moved:
                return

    def move(self, source: Initiator | Acceptor, target: Initiator | Acceptor, events: list[Event]) -> bool:
        data = source.data_to_send()
        for start in range(0, len(data), self.size):
            target.receive_data(data[start : start + self.size])
            while (event := target.next_event()) is not None:
                events.append(event)
                if isinstance(target, Acceptor):
                    self.answer(target, event)
                elif isinstance(event, StatusAlive):
                    target.answer_alive(True)
        return bool(data)


def welcome(shake: Acceptor, event: Event) -> None:
    if isinstance(event, NameReceived):
        shake.accept()
    elif isinstance(event, Authenticated):
        shake.acknowledge()


@pytest.mark.parametrize("length_size", [2, 4])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 4096])
def test_both_roles_meet(length_size: int, size: int) -> None:
    left, right = initiator(length_size=length_size), acceptor(length_size=length_size)
    talk = Talk(left, right, welcome, size)
    talk.run()
    assert talk.left_events == [StatusOk(False), Established(B, 22, VISIBLE, VISIBLE, True, A, 11)]
    assert talk.right_events == [NameReceived(A, "host", VISIBLE, 11), Authenticated()]
    assert right.trailing_data() == left.trailing_data() == b""


def test_every_event_is_true_so_that_a_while_loop_sees_it() -> None:
    assert all([StatusOk(False), StatusNok(), StatusAlive(), AliveAnswered(False), Authenticated()])


def test_acknowledgement_tells_the_acceptor_what_the_initiator_learns_by_event() -> None:
    left, right = initiator(flags=HIDDEN), acceptor()
    got: list[Established] = []

    def answer(shake: Acceptor, event: Event) -> None:
        if isinstance(event, Authenticated):
            got.append(shake.acknowledge())
        else:
            welcome(shake, event)

    Talk(left, right, answer).run()
    assert got == [Established(A, 11, HIDDEN, HIDDEN, False, B, 22)]


def test_simultaneous_is_told() -> None:
    talk = Talk(initiator(), acceptor(), lambda shake, event: (
        shake.accept(simultaneous=True) if isinstance(event, NameReceived) else welcome(shake, event)
    ))  # fmt: skip
    talk.run()
    assert talk.left_events[0] == StatusOk(True)
    assert isinstance(talk.left_events[-1], Established)


def test_nok_ends_it_without_an_error() -> None:
    left, right = initiator(), acceptor()
    talk = Talk(left, right, lambda shake, event: shake.nok())
    talk.run()
    assert talk.left_events == [StatusNok()]
    left.receive_eof()
    right.receive_eof()


def test_alive_and_meant() -> None:
    def answer(shake: Acceptor, event: Event) -> None:
        if isinstance(event, NameReceived):
            shake.ask_alive()
        elif isinstance(event, Authenticated):
            shake.acknowledge()

    talk = Talk(initiator(), acceptor(), answer)
    talk.run()
    assert talk.left_events[0] == StatusAlive()
    assert isinstance(talk.left_events[-1], Established)
    assert AliveAnswered(True) in talk.right_events


def test_alive_and_not_meant() -> None:
    left, right = initiator(), acceptor()
    right.receive_data(left.data_to_send())
    right.next_event()
    right.ask_alive()
    left.receive_data(right.data_to_send())
    assert left.next_event() == StatusAlive()
    left.answer_alive(False)
    right.receive_data(left.data_to_send())
    assert right.next_event() == AliveAnswered(False)
    assert right.data_to_send() == b""
    with pytest.raises(HandshakeFailed) as caught:
        left.next_event()
    assert caught.value.failure is Failure.STALE


def test_refusal_names_the_peer_and_what_to_look_for() -> None:
    with pytest.raises(HandshakeFailed, match=r"robin@host: .*not_allowed.*see its log") as caught:
        Talk(initiator(), acceptor(), lambda shake, event: shake.refuse()).run()
    assert caught.value.failure is Failure.REFUSED


def test_wrong_cookie_is_named_by_the_acceptor_with_what_to_do() -> None:
    with pytest.raises(HandshakeFailed) as caught:
        Talk(initiator(cookie="other"), acceptor(), welcome).run()
    assert caught.value.failure is Failure.COOKIE
    text = str(caught.value)
    assert "barry@host (10.0.0.7)" in text
    assert "robin@host and barry@host must have the same one" in text
    assert "--cookie" in text
    assert "secret" not in text
    assert "other" not in text


def test_wrong_cookie_is_named_by_the_initiator_when_the_peer_hangs_up() -> None:
    left, right = initiator(cookie="other"), acceptor()
    right.receive_data(left.data_to_send())
    right.next_event()
    right.accept()
    left.receive_data(right.data_to_send())
    assert left.next_event() == StatusOk(False)
    assert left.next_event() is None
    with pytest.raises(HandshakeFailed, match="wrong cookie") as caught:
        left.receive_eof()
    assert caught.value.failure is Failure.COOKIE


def test_wrong_proof_in_the_acknowledgement() -> None:
    left, right = initiator(), acceptor()
    right.receive_data(left.data_to_send())
    right.next_event()
    right.accept()
    left.receive_data(right.data_to_send())
    left.next_event()
    left.next_event()
    left.receive_data(b"\x00\x11a" + bytes(16))
    with pytest.raises(HandshakeFailed, match="wrong cookie"):
        left.next_event()


def test_cookies_are_looked_up_by_the_peers_name() -> None:
    asked: list[Atom] = []

    def cookie_for(peer: Atom) -> str:
        asked.append(peer)
        return "secret"

    Talk(initiator(), acceptor(cookie_for=cookie_for), welcome).run()
    assert asked == [A]


def test_cookie_digest_as_erlang_makes_it() -> None:
    # erlang:md5("secret" ++ "4294967295") on OTP 25
    assert digest("secret", 0xFFFFFFFF).hex() == "5dfd181e69aa587cc812eb333e6536b6"
    with pytest.raises(LocalProtocolError, match="Latin-1"):
        digest("пароль", 1)


def test_frames_right_behind_the_acknowledgement_are_kept() -> None:
    left, right = initiator(), acceptor()
    right.receive_data(left.data_to_send())
    right.next_event()
    right.accept()
    left.receive_data(right.data_to_send())
    while left.next_event() is not None:
        pass
    right.receive_data(left.data_to_send())
    assert right.next_event() == Authenticated()
    right.acknowledge()
    frames = bytes(200_000)
    left.receive_data(right.data_to_send() + frames)
    assert isinstance(left.next_event(), Established)
    assert left.next_event() is None
    left.receive_data(b"more")
    assert left.trailing_data() == frames + b"more"
    assert left.trailing_data() == b""


@pytest.mark.parametrize("flag", [Flag.BIG_CREATION, Flag.HANDSHAKE_23, Flag.MAP_TAG])
def test_missing_capability_is_refused_by_both_roles(flag: Flag) -> None:
    lacking = MANDATORY_25 & ~flag
    left, right = initiator(flags=lacking), acceptor()
    right.receive_data(left.data_to_send())
    with pytest.raises(HandshakeFailed, match=f"cannot handle {flag.name}") as caught:
        right.next_event()
    assert caught.value.failure is Failure.FLAGS
    assert right.data_to_send() == b"\x00\x0csnot_allowed"
    with pytest.raises(HandshakeFailed, match=f"cannot handle {flag.name}"):
        Talk(initiator(), acceptor(flags=lacking), welcome).run()


def test_mixed_kinds_of_names_are_refused() -> None:
    right = acceptor(local=atom("robin@example.org"))
    right.receive_data(initiator().data_to_send())
    with pytest.raises(HandshakeFailed, match="short name") as caught:
        right.next_event()
    assert caught.value.failure is Failure.KIND
    assert right.data_to_send() == b"\x00\x0csnot_allowed"


def test_our_own_name_is_refused() -> None:
    right = acceptor()
    right.receive_data(initiator(local=B, peer=A).data_to_send())
    with pytest.raises(HandshakeFailed, match="our own name") as caught:
        right.next_event()
    assert caught.value.failure is Failure.NAME


def test_another_node_at_that_address_is_named() -> None:
    with pytest.raises(HandshakeFailed, match=r"robin@host: the node that answered there is 'lucky@host'") as caught:
        Talk(initiator(), acceptor(local=atom("lucky@host")), welcome).run()
    assert caught.value.failure is Failure.NAME


def test_nameless_peer_is_given_a_name() -> None:
    given_name = atom("abc123@host")

    def answer(shake: Acceptor, event: Event) -> None:
        if isinstance(event, NameReceived):
            assert event.peer is None
            assert event.host == "host"
            shake.assign_name(given_name, 77)
        else:
            welcome(shake, event)

    talk = Talk(initiator(local=atom("undefined@host"), flags=HIDDEN, dynamic=True), acceptor(), answer)
    talk.run()
    assert talk.left_events[0] == StatusNamed(given_name, 77)
    done = talk.left_events[-1]
    assert isinstance(done, Established)
    assert (done.local, done.local_creation) == (given_name, 77)
    assert done.peer_flags & Flag.NAME_ME, "the acceptor confirms it in its flags"
    assert not done.visible
    assert not done.flags & Flag.NAME_ME


def test_assigned_names_are_checked() -> None:
    right = acceptor()
    right.receive_data(initiator(local=atom("undefined@host"), flags=HIDDEN, dynamic=True).data_to_send())
    right.next_event()
    with pytest.raises(LocalProtocolError, match="assign_name"):
        right.accept()
    with pytest.raises(LocalProtocolError, match="not on the host"):
        right.assign_name(atom("abc@elsewhere"), 5)


@pytest.mark.parametrize("answer", ["accept", "nok", "ask_alive", "refuse", "acknowledge"])
def test_answers_out_of_turn_are_our_mistake(answer: str) -> None:
    with pytest.raises(LocalProtocolError, match="state NAME"):
        getattr(acceptor(), answer)()
    with pytest.raises(LocalProtocolError, match="state STATUS"):
        initiator().answer_alive(True)
    with pytest.raises(LocalProtocolError):
        initiator().trailing_data()


@pytest.mark.parametrize(
    ("first", "hint"),
    [
        (b"GET / HTTP/1.1\r\n", "HTTP"),
        (b"\x16\x03\x01\x02\x00\x01", "TLS"),
        (b"SSH-2.0-x", "SSH"),
        (b"\xff\xff\xff\xff", "another program"),
        (b"\x00\x00\x00\x00", "another program"),
    ],
)
def test_other_protocols_are_recognised(first: bytes, hint: str) -> None:
    for shake in (acceptor(), initiator()):
        shake.receive_data(first)
        with pytest.raises(HandshakeFailed, match=hint) as caught:
            shake.next_event()
        assert caught.value.failure is Failure.PACKET
        with pytest.raises(HandshakeFailed):
            shake.next_event()


def test_handshake_of_old_releases_is_named() -> None:
    right = acceptor()
    right.receive_data(b"\x00\x12n\x00\x05\x00\x00\x00\x00old@host123")
    with pytest.raises(HandshakeFailed, match="OTP 25 or later"):
        right.next_event()


@pytest.mark.parametrize(
    "status", [b"strue", b"s", b"sbogus", b"s\xff", b"snamed:\x00\x01x\x00\x00\x00\x01", b"snamed:", b"a", b"N"]
)
def test_bad_statuses(status: bytes) -> None:
    left = initiator()
    left.receive_data(len(status).to_bytes(2, "big") + status)
    with pytest.raises(HandshakeFailed) as caught:
        left.next_event()
    assert caught.value.failure is Failure.PACKET
    assert "robin@host" in str(caught.value)


def test_extra_bytes_behind_a_name_are_for_later_versions() -> None:
    packet = initiator().data_to_send()
    body = packet[2:] + b"later"
    right = acceptor()
    right.receive_data(len(body).to_bytes(2, "big") + body)
    assert right.next_event() == NameReceived(A, "host", VISIBLE, 11)


def test_bytes_out_of_turn_are_bounded() -> None:
    right = acceptor()
    right.receive_data(initiator().data_to_send() + bytes(PACKET_MAX + 1))
    assert isinstance(right.next_event(), NameReceived)
    with pytest.raises(HandshakeFailed, match="out of turn"):
        right.next_event()
    assert len(right._in) == 0


@pytest.mark.parametrize("shake", [initiator, acceptor])
def test_eof_at_once_is_explained(shake: Callable[[], Initiator | Acceptor]) -> None:
    with pytest.raises(HandshakeFailed, match=r"without a word|before a word") as caught:
        shake().receive_eof()
    assert caught.value.failure is Failure.CLOSED


def test_only_two_length_sizes_exist() -> None:
    with pytest.raises(LocalProtocolError, match="2 \\(TCP\\) or 4 \\(TLS\\)"):
        initiator(length_size=3)


# ---- anything at all


def recorded() -> tuple[bytes, bytes]:
    """What each side sends in a good handshake."""
    left, right = initiator(), acceptor()
    sent = {"left": b"", "right": b""}
    while True:
        out = left.data_to_send()
        sent["left"] += out
        right.receive_data(out)
        while (event := right.next_event()) is not None:
            welcome(right, event)
        back = right.data_to_send()
        sent["right"] += back
        left.receive_data(back)
        while left.next_event() is not None:
            pass
        if not out and not back:
            return sent["left"], sent["right"]


LEFT_SENT, RIGHT_SENT = recorded()

mutations = st.lists(
    st.tuples(st.sampled_from(["flip", "drop", "insert"]), st.integers(0, 400), st.integers(0, 255)), max_size=6
)


def mutate(data: bytes, changes: list[tuple[str, int, int]]) -> bytes:
    changed = bytearray(data)
    for kind, place, value in changes:
        place %= len(changed) + 1
        if kind == "insert":
            changed.insert(place, value)
        elif place < len(changed):
            if kind == "drop":
                del changed[place]
            else:
                changed[place] = value
    return bytes(changed)


def feed(shake: Initiator | Acceptor, data: bytes, sizes: list[int]) -> None:
    """Give it the bytes in pieces and answer every event; only protocol errors may come out, and little is kept."""
    place = 0
    steps = 0
    try:
        while place < len(data):
            size = sizes[steps % len(sizes)] if sizes else 1
            shake.receive_data(data[place : place + size])
            place += size
            while (event := shake.next_event()) is not None:
                steps += 1
                assert steps < 100
                if isinstance(event, NameReceived) and event.peer is None:
                    shake.assign_name(atom(f"x@{event.host}"), 9)  # type: ignore[union-attr,arg-type]
                elif isinstance(event, StatusAlive):
                    shake.answer_alive(True)  # type: ignore[union-attr]
                elif isinstance(shake, Acceptor):
                    welcome(shake, event)
            steps += 1
            if shake.state.name != "DONE":
                assert len(shake._in) <= PACKET_MAX + size
            assert len(shake._out) < 3 * PACKET_MAX
        shake.receive_eof()
    except HandshakeFailed as error:
        text = str(error)
    else:
        text = ""
    assert len(text) < 1000


@given(mutations, st.lists(st.integers(1, 50), max_size=8))
@settings(max_examples=400, deadline=None)
def test_mutated_initiator(changes: list[tuple[str, int, int]], sizes: list[int]) -> None:
    feed(acceptor(), mutate(LEFT_SENT, changes), sizes)


@given(mutations, st.lists(st.integers(1, 50), max_size=8))
@settings(max_examples=400, deadline=None)
def test_mutated_acceptor(changes: list[tuple[str, int, int]], sizes: list[int]) -> None:
    feed(initiator(), mutate(RIGHT_SENT, changes), sizes)
    feed(initiator(local=atom("undefined@host"), dynamic=True), mutate(RIGHT_SENT, changes), sizes)


@given(st.binary(max_size=5000), st.lists(st.integers(1, 5000), max_size=4), st.sampled_from([2, 4]))
@settings(max_examples=300, deadline=None)
def test_garbage(data: bytes, sizes: list[int], length_size: int) -> None:
    feed(acceptor(length_size=length_size), data, sizes)
    feed(initiator(length_size=length_size), data, sizes)


@given(st.integers(0, 3), st.integers(0, 400), st.binary(max_size=12))
@settings(max_examples=200, deadline=None)
def test_well_formed_packets_of_any_content(kind: int, size: int, tail: bytes) -> None:
    body = [b"N", b"s", b"r", b"a"][kind] + bytes(size) + tail
    packet = len(body).to_bytes(2, "big") + body
    feed(acceptor(), packet * 3, [7])
    feed(initiator(), packet * 3, [7])
    feed(initiator(), RIGHT_SENT[:5] + packet, [7])
