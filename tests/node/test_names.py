"""Node names: what users write, what it becomes, and what they are told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamish.errors import NodeError
from beamish.node.names import (
    NAME_MAX,
    InvalidNodeName,
    NodeName,
    check_same_kind,
    complete,
    complete_peer,
    is_long,
    same_kind,
    short_host,
    split,
)
from beamish.term import Atom, atom


@pytest.mark.parametrize(
    ("written", "long", "full"),
    [
        ("barry", False, "barry@pi"),
        ("bob@localhost", False, "bob@localhost"),
        ("my-node_1", False, "my-node_1@pi"),
        ("barry", True, "barry@pi.example.org"),
        ("carol@10.0.0.7", True, "carol@10.0.0.7"),
        ("carol@db.example.org", True, "carol@db.example.org"),
        ("carol@::1", True, "carol@::1"),
        ("carol@fe80::1%eth0", True, "carol@fe80::1%eth0"),
        ("carol@my_host", False, "carol@my_host"),
    ],
)
def test_completion(written: str, long: bool, full: str) -> None:
    made = complete(written, long=long, hostname="pi.example.org")
    assert isinstance(made, Atom)
    assert made is atom(full)


@pytest.mark.parametrize(
    ("written", "long", "told"),
    [
        ("", False, "--sname barry"),
        ("@host", False, "the name before @ is missing"),
        ("barry@", False, "write --sname barry to use"),
        ("a b", False, "for example a_b"),
        ("naïve", True, "for example na_ve"),
        ("barry.1", False, "for example barry_1"),
        ("!", False, "cannot be part of a node name; use letters, digits, - and _"),
        ("undefined", False, "choose one"),
        ("a@b@c", False, "more than one @"),
        ("bob@db.example.org", False, "--sname bob@db, or --name bob@db.example.org"),
        ("bob@10.0.0.7", False, "write --name bob@10.0.0.7"),
        ("bob@::1", False, "write --name bob@::1"),
        ("bob@[::1]", True, "--name bob@::1"),
        ("bob@pi", True, "write --sname bob@pi"),
        ("bob", True, "--name bob@127.0.0.1, or use --sname bob"),
        ("bob@ho st", False, "is not a host name or address"),
        ("x" * 253 + "@pi", False, "at most 255"),
    ],
)
def test_refusals_propose_what_would_do(written: str, long: bool, told: str) -> None:
    with pytest.raises(InvalidNodeName) as caught:
        complete(written, long=long, hostname="pi")
    assert told in str(caught.value)
    assert ("--name" if long else "--sname") in str(caught.value)


def test_the_error_is_a_node_error_and_a_value_error() -> None:
    assert issubclass(InvalidNodeName, NodeError)
    assert issubclass(InvalidNodeName, ValueError)


def test_longest_name_fits() -> None:
    assert len(complete("x" * (NAME_MAX - 3), long=False, hostname="pi").text) == NAME_MAX


@pytest.mark.parametrize("bad", ["", "barry", "@", "a@", "@b", "a@b@c", "a b@c", "a@b\n", "a\x00@b", "x" * 254 + "@b"])
def test_foreign_names_that_would_break_us(bad: str) -> None:
    with pytest.raises(InvalidNodeName):
        split(bad)


def test_foreign_names_may_be_stranger_than_ours() -> None:
    assert split("rem-1.2!é@høst") == NodeName("rem-1.2!é", "høst")
    assert split(atom("a@b")).full is atom("a@b")


def test_messages_stay_short() -> None:
    with pytest.raises(InvalidNodeName) as caught:
        split("x" * 100_000)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("name", "long"), [("a@b", False), ("a@localhost", False), ("a@b.c", True), ("a@127.0.0.1", True), ("a@::1", True)]
)
def test_kinds(name: str, long: bool) -> None:
    assert is_long(name) is long
    assert same_kind(name, "x@y") is not long
    assert same_kind(atom(name), atom(name))


def test_mixed_kinds_are_explained() -> None:
    check_same_kind("a@b", "c@d")
    with pytest.raises(InvalidNodeName, match=r"'c@d\.e' is a long name and a@b a short one.*--name a"):
        check_same_kind("a@b", "c@d.e")
    with pytest.raises(InvalidNodeName, match=r"--sname a"):
        check_same_kind("a@b.c", "c@d")


def test_peer_without_a_host_is_on_ours() -> None:
    assert complete_peer("robin", atom("barry@pi")) is atom("robin@pi")
    assert complete_peer("robin@frankel", atom("barry@pi")) is atom("robin@frankel")
    with pytest.raises(InvalidNodeName):
        complete_peer("robin@pi.example.org", atom("barry@pi"))


def test_short_host() -> None:
    assert short_host("pi.example.org") == "pi"
    assert short_host("pi") == "pi"


@given(st.text(max_size=300), st.booleans(), st.text(max_size=40))
def test_anything_is_completed_or_refused(written: str, long: bool, hostname: str) -> None:
    try:
        made = complete(written, long=long, hostname=hostname)
    except InvalidNodeName:
        return
    parts = split(made)
    assert parts.full is made
    assert parts.long is long
