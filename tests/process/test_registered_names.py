from __future__ import annotations

import asyncio
from typing import Any

import pytest

from beamish.errors import NameTaken, NoProcess
from beamish.process import Process, receive, register, registered, self, spawn, spawn_monitor, unregister, whereis
from beamish.term import Pid, atom
from loops import virtual


async def idle() -> None:
    while True:
        await receive()


@virtual
async def test_a_name_is_an_atom_or_a_text() -> None:
    register("me", self())
    assert whereis("me") == whereis(atom.me) == self()
    assert registered() == [atom.me]
    assert Process.info(self(), "registered_name") is atom.me
    unregister(atom.me)
    assert whereis("me") is None
    assert registered() == []
    assert Process.info(self(), "registered_name") is None


@virtual
async def test_elixir_s_order_of_arguments() -> None:
    Process.register(self(), "me")
    assert Process.whereis("me") == self()
    assert Process.registered() == [atom.me]
    Process.unregister("me")


@virtual
async def test_one_name_each_way() -> None:
    pid = spawn(idle)
    register("worker", pid)
    with pytest.raises(NameTaken, match=f"worker is already the name of {pid}"):
        register("worker", self())
    with pytest.raises(NameTaken, match="already registered as worker"):
        register("second", pid)
    assert registered() == [atom.worker]


@virtual
async def test_who_cannot_be_registered() -> None:
    pid, ref = spawn_monitor(asyncio.sleep, 0)
    await receive(ref)
    for nobody in (pid, Pid(atom("other@host"), 1, 0, 1)):
        with pytest.raises(NoProcess, match="not a living process"):
            register("name", nobody)
    with pytest.raises(ValueError, match="undefined"):
        register("undefined", self())
    with pytest.raises(NoProcess, match="nobody"):
        unregister("nobody")
    assert registered() == []


@pytest.mark.parametrize("name", [None, True, False, 7, b"bytes", ("a", "b"), "true", "nil"])
def test_what_is_no_name(name: Any) -> None:
    @virtual
    async def test() -> None:
        with pytest.raises(TypeError, match="a name is an atom or a str"):
            register(name, self())
        with pytest.raises(TypeError):
            whereis(name)

    test()


@virtual
async def test_a_name_is_free_again_when_its_process_ends() -> None:
    for reason in (atom.kill, "why"):
        pid, ref = spawn(idle, name="worker", monitor=True)
        await asyncio.sleep(0)
        Process.exit(pid, reason)
        await receive(ref)
        assert whereis("worker") is None
    spawn(idle, name="worker")


@virtual
async def test_unregistering_somebody_else_s_name_leaves_its_next_name_possible() -> None:
    pid = spawn(idle, name="first")
    unregister("first")
    register("second", pid)
    register("first", self())
    Process.exit(pid, atom.kill)
    assert registered() == [atom.first]
