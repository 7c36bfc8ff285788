"""Strict messages: what is refused at the sender, with its path, and what may pass between local processes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from beamish.errors import EncodeError
from beamish.gen_server import ChildSpec
from beamish.node.runtime import current_runtime
from beamish.process import receive, self, send
from beamish.project.strict_messages import check, make_lax, make_strict
from beamish.term import atom
from beamish.testing import virtual


@dataclass
class Unregistered:
    x: int = 1


@pytest.mark.parametrize(
    ("message", "path"),
    [
        ((atom.ok, [1, {"key": object()}]), "at term[1][1]['key']"),
        ([print, object()], "at term[1]"),
        (Unregistered(), "Unregistered is not a term"),
        ((1, float("nan")), "at term[1]"),
        (((lambda: 1), open), ""),
        ({"f": partial(print), "class": dict, "spec": ChildSpec("x", print)}, ""),
        ((atom.ok, 1.5, "text", b"x", None, {1: (2,)}, {1, 2}), ""),
    ],
)
def test_check(message: Any, path: str) -> None:
    if not path:
        check(message)
        return
    with pytest.raises(EncodeError) as caught:
        check(message)
    assert path in str(caught.value)
    assert "strict_messages is on" in str(caught.value)


@virtual
async def test_a_strict_node_refuses_at_the_sender() -> None:
    make_strict(current_runtime())
    send(self(), (1, "fine"))
    with pytest.raises(EncodeError, match=r"at term\[1\]"):
        send(self(), (1, object()))
    make_lax(current_runtime())
    thing = object()
    send(self(), thing)
    assert [await receive(), await receive()] == [(1, "fine"), thing]
