"""Starting processes elsewhere: what is sent instead of code."""

from __future__ import annotations

import functools
import math
from typing import Any

import pytest

from beamish.errors import NodeError
from beamish.node import Node
from beamish.node.remote_spawn import mfa_of, reference_of
from beamish.node.runtime import Runtime, current_runtime
from beamish.process import Process, receive, self, send
from beamish.term import Pid, atom
from beamish.testing import flush
from loops import virtual


def at_the_top(value: int) -> int:
    """Found by name on another node."""
    return value


class Holder:
    """Holds a function."""

    @staticmethod
    def inside() -> None:
        """Found as ``Holder.inside``."""


def test_functions_are_sent_as_module_and_name() -> None:
    assert reference_of(at_the_top) == (atom(__name__), atom.at_the_top)
    assert reference_of(Holder.inside) == (atom(__name__), atom("Holder.inside"))
    assert reference_of(math.sqrt) == (atom.math, atom.sqrt)


@pytest.mark.parametrize("nameless", [lambda: 1, functools.partial(at_the_top, 1), (lambda: lambda: 1)()])
def test_what_has_no_name_is_refused_with_the_way_out(nameless: Any) -> None:
    with pytest.raises(NodeError, match="define it at the top level of a module that both nodes have"):
        reference_of(nameless)


@virtual
async def test_forms_of_what_to_start() -> None:
    runtime = current_runtime()
    assert mfa_of(runtime, (at_the_top, 1)) == (atom(__name__), atom.at_the_top, [1])
    assert mfa_of(runtime, ("math", "sqrt", [2])) == (atom.math, atom.sqrt, [2])
    assert mfa_of(runtime, (atom.math, atom.sqrt, (2,))) == (atom.math, atom.sqrt, [2])
    for wrong in ((), ("math",), ("math", "sqrt"), ("math", "sqrt", 2)):
        with pytest.raises(TypeError, match=r"Node.spawn\(\) takes a function"):
            mfa_of(runtime, wrong)


@virtual
async def test_on_the_own_node_a_function_is_just_spawned() -> None:
    runtime = Runtime(atom("own@host"))

    async def tells(to: Pid) -> None:
        send(to, self())

    async def body() -> Any:
        pid = await Node.spawn("own@host", tells, self())
        assert await receive() == pid
        pid, ref = await Node.spawn("own@host", tells, self(), monitor=True)
        assert await receive() == pid
        assert (await receive())[1] == ref
        linked = await Node.spawn_link("own@host", receive)
        assert Process.info(self(), "links") == [linked]
        with pytest.raises(NodeError, match="answers no calls by name"):
            await Node.spawn("own@host", "math", "sqrt", [2])
        return await flush()

    assert await runtime.run(body) == []
    await runtime.stop()


@virtual
async def test_without_a_way_there_it_is_an_error_that_says_so() -> None:
    runtime = Runtime(atom("own@host"))

    async def body() -> Any:
        with pytest.raises(NodeError, match="not reachable"):
            await Node.spawn("nowhere@host", "math", "sqrt", [2])
        return await flush()

    assert await runtime.run(body) == []
    await runtime.stop()
