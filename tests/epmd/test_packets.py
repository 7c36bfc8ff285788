"""The port mapper's packets: golden bytes of OTP 25, round trips, and anything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamish.epmd.packets import (
    EXTRA_MAX,
    REQUEST_MAX,
    AliveReply,
    AliveRequest,
    DumpRequest,
    KillRequest,
    NamesRequest,
    PortInfo,
    PortRequest,
    Request,
    decode_alive_reply,
    decode_names_reply,
    decode_port_reply,
    decode_request,
    encode_alive_reply,
    encode_names_reply,
    encode_port_reply,
    encode_request,
    registrable,
)
from beamish.errors import LocalProtocolError, RemoteProtocolError

# What erl of OTP 25 sends to register x@localhost on port 0x9A1B, and what its epmd answers.
ALIVE = bytes.fromhex("000e 78 9a1b 4d 00 0006 0005 0001 78 0000".replace(" ", ""))
PORT_REPLY = bytes.fromhex("77 00 9a1b 4d 00 0006 0005 0001 78 0000".replace(" ", ""))

names = st.text(min_size=1, max_size=255).filter(registrable)
infos = st.builds(
    PortInfo,
    names,
    st.integers(1, 65535),
    st.booleans(),
    st.integers(0, 65535),
    st.integers(0, 65535),
    st.binary(max_size=EXTRA_MAX),
    st.integers(0, 255),
)
requests: st.SearchStrategy[Request] = st.one_of(
    st.builds(
        AliveRequest,
        names,
        st.integers(1, 65535),
        st.booleans(),
        st.integers(0, 9),
        st.integers(0, 9),
        st.binary(max_size=EXTRA_MAX),
        st.integers(0, 255),
    ),
    st.builds(PortRequest, names),
    st.sampled_from([NamesRequest(), DumpRequest(), KillRequest()]),
)


def test_golden_bytes() -> None:
    assert encode_request(AliveRequest("x", 0x9A1B, high=6, low=5)) == ALIVE
    assert decode_request(ALIVE[2:]) == AliveRequest("x", 0x9A1B, False, 6, 5)
    assert encode_request(PortRequest("x")) == b"\x00\x02zx"
    assert encode_request(NamesRequest()) == b"\x00\x01n"
    assert decode_port_reply(PORT_REPLY) == PortInfo("x", 0x9A1B, False, 6, 5)
    assert decode_port_reply(b"\x77\x01") is None
    assert decode_alive_reply(b"\x76\x00\x6a\xff\x01\x02") == AliveReply(True, 0x6AFF0102)
    assert decode_alive_reply(b"\x79\x00\x00\x02") == AliveReply(True, 2)
    assert decode_alive_reply(b"\x76\x01\x00\x00\x00\x63") == AliveReply(False, 99)
    assert decode_names_reply(b"\x00\x00\x11\x11name x at port 39451\nname y at port 1\n") == [("x", 39451), ("y", 1)]


def test_what_we_announce() -> None:
    assert encode_request(AliveRequest("x", 1, hidden=True))[2:11] == b"\x78\x00\x01\x48\x00\x00\x06\x00\x06"


def test_old_nodes_get_old_answers() -> None:
    assert encode_alive_reply(True, 7, high=6) == b"\x76\x00\x00\x00\x00\x07"
    assert encode_alive_reply(True, 7, high=5) == b"\x79\x00\x00\x02"


def test_compatibility() -> None:
    assert PortInfo("x", 1, False, 6, 5).compatible
    assert PortInfo("x", 1, False, 7, 6).compatible
    assert not PortInfo("x", 1, False, 5, 5).compatible
    assert not PortInfo("x", 1, False, 9, 7).compatible


@given(requests)
def test_requests_come_back(request: Request) -> None:
    data = encode_request(request)
    assert int.from_bytes(data[:2], "big") == len(data) - 2 <= REQUEST_MAX
    assert decode_request(data[2:]) == request
    assert request, "requests are true"


@given(infos)
def test_port_replies_come_back(info: PortInfo) -> None:
    assert decode_port_reply(encode_port_reply(info)) == info


@given(st.lists(st.tuples(names.filter(lambda name: name.split() == [name]), st.integers(1, 65535)), max_size=9))
def test_lists_of_names_come_back(nodes: list[tuple[str, int]]) -> None:
    assert decode_names_reply(encode_names_reply(4369, nodes)) == nodes


@given(st.booleans(), st.integers(0, 2**32 - 1), st.integers(0, 9))
def test_alive_replies_are_recognised_byte_by_byte(accepted: bool, creation: int, high: int) -> None:
    data = encode_alive_reply(accepted, creation, high=high)
    for size in range(len(data)):
        assert decode_alive_reply(data[:size]) is None
    reply = decode_alive_reply(data)
    assert reply is not None
    assert reply.accepted is accepted
    assert reply.creation == (creation if high >= 6 else creation % 3 + 1)


@pytest.mark.parametrize("name", ["", "a b", "a\nname evil at port 1", "a@b", "\x00", "x" * 256, "\x7f"])
def test_names_that_would_forge_a_list_are_not_registered(name: str) -> None:
    assert not registrable(name)
    with pytest.raises(LocalProtocolError):
        encode_request(AliveRequest(name, 1))


def test_ports_that_are_none() -> None:
    for port in (0, -1, 65536):
        with pytest.raises(LocalProtocolError, match="not a TCP port"):
            encode_request(AliveRequest("x", port))


@pytest.mark.parametrize("reply", [b"", b"\x77", b"\x77\x00", b"GET", PORT_REPLY[:-3]])
def test_replies_cut_short(reply: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_port_reply(reply)


@given(st.binary(max_size=REQUEST_MAX + 10))
def test_any_bytes_are_a_request_or_refused(data: bytes) -> None:
    for body in (data, b"\x78" + data, b"\x7a" + data):
        try:
            decode_request(body)
        except RemoteProtocolError as error:
            text = str(error)
        else:
            text = ""
        assert len(text) < 300


@given(st.binary(max_size=100), st.integers(0, 14))
def test_any_bytes_are_a_reply_or_refused(data: bytes, keep: int) -> None:
    for body in (data, PORT_REPLY[:keep] + data):
        for decode in (decode_alive_reply, decode_port_reply, decode_names_reply):
            try:
                decode(body)
            except RemoteProtocolError as error:
                text = str(error)
            else:
                text = ""
            assert len(text) < 300
