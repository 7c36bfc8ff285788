"""How the shell shows values."""

import re

import pytest

from beamish.io.inspect import MAX_CHARACTERS, inspect_term
from beamish.term import Pid, atom


@pytest.mark.parametrize("value", [1, "text", b"bytes", None, atom.ok, [1, (2,)], {"a": 1}, Pid(atom("a@b"), 1, 2, 3)])
def test_short_values_are_their_repr(value: object) -> None:
    assert inspect_term(value) == repr(value)


def test_long_containers_go_over_several_lines() -> None:
    value = {f"key{number}": list(range(number)) for number in range(12)}
    shown = inspect_term(value, width=60)
    assert len(shown.splitlines()) > 5
    assert max(map(len, shown.splitlines())) <= 60
    assert eval(shown) == value


def test_what_cannot_be_shown() -> None:
    class Bad:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    assert inspect_term(Bad()) == "<Bad whose repr raised RuntimeError: no>"
    endless: list[object] = []
    for _ in range(100_000):
        endless = [endless]
    assert "nested too deeply" in inspect_term(endless)


def test_what_is_too_long_is_cut() -> None:
    shown = inspect_term(list(range(100_000)))
    assert len(shown) < MAX_CHARACTERS + 100
    assert "more characters)" in shown


def test_colours_change_nothing_else() -> None:
    value = [1, -2.5, "a'b", b"x", atom.ok, atom("a b"), True, None, Pid(atom("a@b"), 1, 2, 3), "<a@b.1.2>"]
    shown = inspect_term(value, colour=True)
    assert "\x1b[" in shown
    assert re.sub(r"\x1b\[\d*m", "", shown) == inspect_term(value)
