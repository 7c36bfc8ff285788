"""Completion from live objects, without running code."""

import pytest

import beamish
from beamish.shell.completion import complete


class Thing:
    def __init__(self) -> None:
        self.reads = 0
        self.plain = [1]

    @property
    def costly(self) -> list[int]:
        self.reads += 1
        return [1]

    def method(self) -> None:
        """A method."""


NAMESPACE = {"Node": beamish.Node, "atom": beamish.atom, "rpc": beamish.rpc, "spawn": beamish.spawn, "thing": Thing()}
NODES = ["barry@pi", "robin@pi", "maurice@pi"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("No", ["Node", "None", "NotADirectoryError", "NotImplemented", "NotImplementedError"]),
        ("Node.con", ["connect("]),
        ("x = spa", ["spawn("]),
        ("atom.nodeu", ["nodeup"]),
        ("thing.", ["costly", "method(", "plain", "reads"]),
        ("thing.plain.app", ["append("]),
        ("thing.__cl", ["__class__"]),
        ("(thing.me", ["method("]),
        ("awai", ["await"]),
        ("Node.connect('ro", ["robin@pi"]),
        ('Node.connect("', ["barry@pi", "maurice@pi", "robin@pi"]),
        ("rpc.call('m", ["maurice@pi"]),
        ("'No", []),
        ('x = "thing.', []),
        ("'it''s' + thing.pl", ["plain"]),
        ("nothing.", []),
        ("thing.costly.", []),
        ("1.", []),
        ("", []),
        ("f(", []),
    ],
)
def test_candidates(text: str, expected: list[str]) -> None:
    start, found = complete(text, NAMESPACE, NODES)
    assert found == expected
    assert all(candidate.startswith(text[start:]) for candidate in found)


def test_nothing_is_run() -> None:
    thing = NAMESPACE["thing"]
    complete("thing.costly.", NAMESPACE)
    complete("thing.", NAMESPACE)
    assert thing.reads == 0


def test_an_object_that_fights_back() -> None:
    class Bad:
        def __dir__(self) -> list[str]:
            raise RuntimeError

        def __getattr__(self, name: str) -> object:
            raise RuntimeError

    assert complete("bad.x", {"bad": Bad()})[1] == []
