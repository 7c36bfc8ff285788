"""Control messages: every operation, both ways, and what is not one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamish.dist.control import (
    ABSENT,
    TABLE,
    UNUSED,
    Demonitor,
    ExitSignal,
    GroupLeader,
    Link,
    LinkExit,
    Monitor,
    MonitorDown,
    Op,
    Send,
    SendAlias,
    SendNamed,
    Signal,
    SpawnReply,
    SpawnRequest,
    Unlink,
    UnlinkAck,
    UnlinkId,
    encode,
    has_payload,
    parse,
)
from beamish.dist.flags import MANDATORY_25, VISIBLE, Flag
from beamish.errors import LocalProtocolError, RemoteProtocolError
from beamish.term import Pid, Port, Ref, atom

NODE = atom("a@b")
FROM = Pid(NODE, 1, 0, 5)
TO = Pid(atom("c@d"), 2, 0, 6)
REF = Ref(NODE, 5, (1, 2, 3))
PORT = Port(NODE, 9, 5)
MFA = (atom("erlang"), atom("apply"), 2)
TOKEN = (1, 2, 3, FROM, 4)
WHY = atom("shutdown")

EXAMPLES: list[tuple[tuple[Any, ...], Any, Signal]] = [
    ((1, FROM, TO), ABSENT, Link(FROM, TO)),
    ((2, UNUSED, TO), "hi", Send(None, TO, "hi")),
    ((3, FROM, TO, WHY), ABSENT, LinkExit(FROM, TO, WHY)),
    ((4, FROM, TO), ABSENT, Unlink(FROM, TO)),
    ((6, FROM, UNUSED, atom.rex), [1], SendNamed(FROM, atom.rex, [1])),
    ((7, FROM, TO), ABSENT, GroupLeader(FROM, TO)),
    ((8, FROM, TO, None), ABSENT, ExitSignal(FROM, TO, None)),
    ((12, UNUSED, TO, TOKEN), None, Send(None, TO, None)),
    ((13, PORT, TO, TOKEN, WHY), ABSENT, LinkExit(PORT, TO, WHY)),
    ((16, FROM, UNUSED, atom.rex, TOKEN), b"", SendNamed(FROM, atom.rex, b"")),
    ((18, FROM, TO, TOKEN, WHY), ABSENT, ExitSignal(FROM, TO, WHY)),
    ((19, FROM, TO, REF), ABSENT, Monitor(FROM, TO, REF)),
    ((19, FROM, atom.rex, REF), ABSENT, Monitor(FROM, atom.rex, REF)),
    ((20, FROM, atom.rex, REF), ABSENT, Demonitor(FROM, atom.rex, REF)),
    ((21, atom.rex, TO, REF, WHY), ABSENT, MonitorDown(atom.rex, TO, REF, WHY)),
    ((22, FROM, TO), 1.5, Send(FROM, TO, 1.5)),
    ((23, FROM, TO, TOKEN), 1.5, Send(FROM, TO, 1.5)),
    ((24, FROM, TO), WHY, LinkExit(FROM, TO, WHY)),
    ((25, FROM, TO, TOKEN), WHY, LinkExit(FROM, TO, WHY)),
    ((26, FROM, TO), WHY, ExitSignal(FROM, TO, WHY)),
    ((27, FROM, TO, TOKEN), WHY, ExitSignal(FROM, TO, WHY)),
    ((28, FROM, TO, REF), WHY, MonitorDown(FROM, TO, REF, WHY)),
    ((29, REF, FROM, FROM, MFA, []), [1, 2], SpawnRequest(REF, FROM, FROM, MFA[0], MFA[1], [], [1, 2])),
    ((30, REF, FROM, FROM, MFA, [], TOKEN), [1, 2], SpawnRequest(REF, FROM, FROM, MFA[0], MFA[1], [], [1, 2])),
    ((31, REF, TO, 2, FROM), ABSENT, SpawnReply(REF, TO, 2, FROM)),
    ((32, REF, TO, 0, atom.notsup, TOKEN), ABSENT, SpawnReply(REF, TO, 0, atom.notsup)),
    ((33, FROM, REF), "hi", SendAlias(FROM, REF, "hi")),
    ((34, FROM, REF, TOKEN), "hi", SendAlias(FROM, REF, "hi")),
    ((35, 2**64 - 1, FROM, TO), ABSENT, UnlinkId(2**64 - 1, FROM, TO)),
    ((36, 1, FROM, TO), ABSENT, UnlinkAck(1, FROM, TO)),
]


def test_the_examples_cover_the_table() -> None:
    assert {control[0] for control, _, _ in EXAMPLES} == set(TABLE)
    assert set(TABLE) == set(Op) - {Op.ALTACT_SIG_SEND}


@pytest.mark.parametrize(("control", "payload", "signal"), EXAMPLES)
def test_parse(control: tuple[Any, ...], payload: Any, signal: Signal) -> None:
    got = parse(control, payload)
    assert got == signal
    assert type(got) is type(signal)
    assert has_payload(control[0]) is (payload is not ABSENT)


@pytest.mark.parametrize(("control", "payload", "signal"), EXAMPLES)
@pytest.mark.parametrize("flags", [VISIBLE, VISIBLE & ~int(Flag.EXIT_PAYLOAD), VISIBLE & ~int(Flag.SEND_SENDER)])
def test_what_is_encoded_means_the_same(control: tuple[Any, ...], payload: Any, signal: Signal, flags: int) -> None:
    got = parse(*encode(signal, flags))
    if isinstance(signal, Send):
        assert (got.to, got.message) == (signal.to, signal.message)  # type: ignore[union-attr]
    else:
        assert got == signal


def test_forms_for_modest_peers() -> None:
    assert encode(Send(FROM, TO, "hi"), MANDATORY_25) == ((2, UNUSED, TO), "hi")
    assert encode(LinkExit(FROM, TO, WHY), MANDATORY_25) == ((3, FROM, TO, WHY), ABSENT)
    assert encode(UnlinkId(7, FROM, TO), MANDATORY_25) == ((4, FROM, TO), ABSENT)
    for signal in (SendAlias(FROM, REF, 1), SpawnReply(REF, TO, 0, FROM), UnlinkAck(1, FROM, TO)):
        with pytest.raises(LocalProtocolError, match="did not announce"):
            encode(signal, MANDATORY_25)


@pytest.mark.parametrize(
    ("control", "payload", "told"),
    [
        ((37, 0, FROM, TO), "x", "ALTACT_SIG_SEND"),
        ((5, FROM, TO), ABSENT, "5 is not an operation"),
        ((99,), ABSENT, "99 is not an operation"),
        ((True, FROM, TO), ABSENT, "headed by a number"),
        ((), ABSENT, "headed by a number"),
        ([1, FROM, TO], ABSENT, "headed by a number"),
        ((1, FROM), ABSENT, "LINK (1) has 3 elements, not 2"),
        ((1, FROM, TO), "x", "LINK (1) comes without a payload"),
        ((22, FROM, TO), ABSENT, "SEND_SENDER (22) comes with a payload"),
        ((1, FROM, atom.rex), ABSENT, "element 3 of LINK (1) is a pid"),
        ((6, FROM, UNUSED, "rex"), 1, "element 4 of REG_SEND (6) is a name"),
        ((19, FROM, TO, TO), ABSENT, "element 4 of MONITOR_P (19) is a reference"),
        ((19, FROM, "name", REF), ABSENT, "element 3 of MONITOR_P (19) is a pid or name"),
        ((35, 0, FROM, TO), ABSENT, "an id from 1 to"),
        ((35, 2**64, FROM, TO), ABSENT, "an id from 1 to"),
        ((35, True, FROM, TO), ABSENT, "an id from 1 to"),
        ((31, REF, TO, 4, FROM), ABSENT, "flags from 0 to 3"),
        ((29, REF, FROM, FROM, (atom.m, atom.f, 256), []), [], "{Module, Function, Arity}"),
        ((29, REF, FROM, FROM, MFA, []), [1], "a list of 2"),
        ((29, REF, FROM, FROM, MFA, []), b"ab", "a list of 2"),
        ((29, REF, FROM, FROM, MFA, atom.x), [1, 2], "element 6 of SPAWN_REQUEST (29) is a list"),
    ],
)
def test_refusals_name_operation_and_rule(control: object, payload: object, told: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        parse(control, payload)
    assert told in str(caught.value)


values = st.recursive(
    st.sampled_from([FROM, TO, REF, PORT, atom.x, UNUSED, True, None, 0, -1, 2**70, 1.0, b"b", "s"]),
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple),
    max_leaves=6,
)


@given(st.integers(-1, 40), st.lists(values, max_size=7), values | st.just(ABSENT))
def test_anything_is_a_signal_or_refused(op: int, rest: list[Any], payload: Any) -> None:
    try:
        signal = parse((op, *rest), payload)
    except RemoteProtocolError as error:
        text = str(error)
    else:
        text = ""
        assert parse(*encode(signal, VISIBLE))[-1:] == signal[-1:]
    assert len(text) < 300
