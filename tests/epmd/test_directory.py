"""What a port mapper answers, without a socket."""

from __future__ import annotations

import pytest

from beamish.epmd.directory import CREATION_MAX, FIRST_CREATION, Directory
from beamish.epmd.packets import (
    AliveReply,
    AliveRequest,
    DumpRequest,
    KillRequest,
    NamesRequest,
    PortInfo,
    PortRequest,
    decode_alive_reply,
    decode_names_reply,
    decode_port_reply,
)

NOW = 1_700_000_000


def register(directory: Directory, name: str, *, local: bool = True, port: int = 5000) -> AliveReply | None:
    return decode_alive_reply(directory.answer(AliveRequest(name, port), local=local).reply)


def test_life_of_a_name() -> None:
    directory = Directory(4369, NOW)
    outcome = directory.answer(AliveRequest("barry", 5000, True, 6, 5, b"extra"), local=True)
    assert outcome.registered == "barry"
    assert decode_alive_reply(outcome.reply) == AliveReply(True, NOW)
    asked = directory.answer(PortRequest("barry"), local=False)
    assert asked.registered is None
    assert decode_port_reply(asked.reply) == PortInfo("barry", 5000, True, 6, 5, b"extra")
    assert decode_names_reply(directory.answer(NamesRequest(), local=False).reply) == [("barry", 5000)]
    directory.unregister("barry")
    assert decode_port_reply(directory.answer(PortRequest("barry"), local=False).reply) is None
    assert len(directory) == 0


def test_each_registration_has_its_own_creation() -> None:
    directory = Directory(4369, NOW)
    seen = []
    for _ in range(3):
        reply = register(directory, "barry")
        assert reply is not None
        seen.append(reply.creation)
        directory.unregister("barry")
    assert seen == [NOW, NOW + 1, NOW + 2]


def test_creations_go_round_without_the_reserved_ones() -> None:
    directory = Directory(4369, CREATION_MAX)
    assert register(directory, "a") == AliveReply(True, CREATION_MAX)
    assert register(directory, "b") == AliveReply(True, FIRST_CREATION)
    assert register(Directory(4369, 0), "a") == AliveReply(True, FIRST_CREATION)


@pytest.mark.parametrize("name", ["", "a b", "a\nname evil at port 1", "a@b", "x" * 256])
def test_names_that_would_forge_a_list_are_refused(name: str) -> None:
    directory = Directory(4369, NOW)
    outcome = directory.answer(AliveRequest(name, 5000), local=True)
    assert outcome.registered is None
    assert decode_alive_reply(outcome.reply) == AliveReply(False, 0)
    assert len(directory) == 0


def test_taken_names_impossible_ports_and_strangers_are_refused() -> None:
    directory = Directory(4369, NOW)
    assert register(directory, "barry") == AliveReply(True, NOW)
    assert register(directory, "barry", port=6000) == AliveReply(False, 0)
    assert register(directory, "robin", port=0) == AliveReply(False, 0)
    assert register(directory, "robin", local=False) is None
    assert len(directory) == 1


def test_names_are_bounded() -> None:
    directory = Directory(4369, NOW, registrations_max=2)
    assert register(directory, "a") == AliveReply(True, NOW)
    assert register(directory, "b") == AliveReply(True, NOW + 1)
    assert register(directory, "c") == AliveReply(False, 0)


@pytest.mark.parametrize(
    ("relaxed", "local", "occupied", "reply"),
    [
        (False, True, False, b"OK"),
        (False, True, True, b"NO"),
        (True, True, True, b"OK"),
        (True, False, False, b""),
        (False, False, True, b""),
    ],
)
def test_who_may_end_it(relaxed: bool, local: bool, occupied: bool, reply: bytes) -> None:
    directory = Directory(4369, NOW, relaxed=relaxed)
    if occupied:
        register(directory, "barry")
    outcome = directory.answer(KillRequest(), local=local)
    assert outcome.reply == reply
    assert outcome.stop is (reply == b"OK")


def test_who_may_see_its_state() -> None:
    for relaxed, local in ((False, True), (True, False)):
        directory = Directory(4369, NOW, relaxed=relaxed)
        assert directory.answer(DumpRequest(), local=local).reply == b""
    directory = Directory(4369, NOW, relaxed=True)
    register(directory, "barry")
    assert directory.answer(DumpRequest(), local=True).reply.startswith(
        b"\x00\x00\x11\x11active name     <barry> at port"
    )
