"""The sender's atom cache, read back by a plain-Python receiver.

Source  ERTS User's Guide, Distribution Protocol, distribution header.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import strategies
from beamish.errors import EncodeError
from beamish.etf import encode
from beamish.etf._decode import Decoder
from beamish.etf._encode import Encoder
from beamish.term import Pid, atom
from etf import reference


class Receiver:
    """A receiver's side of one connection: 2048 slots."""

    def __init__(self) -> None:
        self.slots: dict[int, str] = {}
        self.sent_new = 0

    def read(self, message: bytes) -> tuple[list[str], bytes]:
        """The atoms that the header refers to, and the terms after it."""
        count = message[0]
        if count == 0:
            return [], message[1:]
        flags = message[1 : 2 + count // 2]
        nibbles = [nibble for byte in flags for nibble in (byte & 15, byte >> 4)]
        width = 2 if nibbles[count] & 1 else 1
        at = 1 + len(flags)
        names = []
        for nibble in nibbles[:count]:
            slot = (nibble & 7) << 8 | message[at]
            at += 1
            if nibble & 8:
                self.sent_new += 1
                size = int.from_bytes(message[at : at + width], "big")
                self.slots[slot] = message[at + width : at + width + size].decode()
                at += width + size
            names.append(self.slots[slot])
        return names, message[at:]


def read_all(body: bytes, names: list[str]) -> list[Any]:
    reader = reference.Reader(body, tuple(names))
    found = []
    while reader.at < len(body):
        found.append(reference.strict(reader.term()))
    return found


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(strategies.terms, min_size=1, max_size=3), min_size=1, max_size=8))
def test_messages_are_read_as_they_were_meant(messages: list[list[Any]]) -> None:
    encoder, receiver, decoder = Encoder(), Receiver(), Decoder()
    for terms in messages:
        names, body = receiver.read(encoder.message(*terms))
        wanted = [reference.strict(reference.model_of(term)) for term in terms]
        assert read_all(body, names) == wanted
        ours = decoder.terms(body, tuple(atom(name) for name in names))
        assert [reference.strict(reference.model_of(term)) for term in ours] == wanted


def test_an_atom_travels_once() -> None:
    encoder, receiver = Encoder(), Receiver()
    first = encoder.message((atom.hello, atom.hello), Pid(atom("a@b"), 1, 2, 3))
    assert receiver.sent_new == 0
    names, _ = receiver.read(first)
    assert sorted(names) == ["a@b", "hello"]
    second = encoder.message(atom.hello)
    assert b"hello" in first
    assert second[0] == 1
    assert b"hello" not in second
    assert receiver.read(second)[0] == ["hello"]
    assert receiver.sent_new == 2


def test_true_and_friends_are_written_out() -> None:
    assert Encoder().message((True, False, None)) == b"\0" + encode((True, False, None))[1:]


def test_more_atoms_than_a_header_and_than_the_cache_holds() -> None:
    encoder, receiver = Encoder(), Receiver()
    source = random.Random(4)
    everything = [atom(f"cache_{number}") for number in range(5000)]
    for size in [1, 254, 255, 256, 300, 1000, 5000, 300, 3] * 3:
        terms = source.sample(everything, size)
        names, body = receiver.read(encoder.message(terms))
        assert len(names) <= 255
        assert read_all(body, names) == [reference.strict(reference.model_of(terms))]


def test_long_atoms() -> None:
    encoder, receiver = Encoder(), Receiver()
    terms = [atom("日" * 255), atom.short, atom("é" * 127)]
    for _ in range(2):
        names, body = receiver.read(encoder.message(terms))
        assert read_all(body, names) == [reference.strict(reference.model_of(terms))]
    assert receiver.sent_new == 3


@pytest.mark.parametrize("count", [1, 2, 3, 254, 255])
def test_the_nibble_after_the_last_reference(count: int) -> None:
    encoder, receiver = Encoder(), Receiver()
    terms = [atom(f"n{number}") for number in range(count - 1)] + [atom("日" * 100)]
    names, body = receiver.read(encoder.message(terms))
    assert read_all(body, names) == [reference.strict(reference.model_of(terms))]


def test_a_message_that_fails_is_forgotten() -> None:
    """What it announced as new never reached the peer, so the next message must say it again."""
    encoder, receiver = Encoder(), Receiver()
    receiver.read(encoder.message(atom.known))
    with pytest.raises(EncodeError):
        encoder.message([atom.known, atom.fresh_one, object()])
    names, _ = receiver.read(encoder.message([atom.known, atom.fresh_one]))
    assert sorted(names) == ["fresh_one", "known"]


def test_atoms_that_share_a_slot_do_not_push_each_other_out() -> None:
    encoder, receiver = Encoder(), Receiver()
    atoms = [atom(f"busy_{number}") for number in range(100)]
    for _ in range(50):
        for name in atoms:
            receiver.read(encoder.message(name))
    assert receiver.sent_new < 50 * 100 / 5
