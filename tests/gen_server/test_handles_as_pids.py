"""Whoever takes a pid takes the handle of a server, and names that are looked up."""

from __future__ import annotations

from typing import Any

import pytest

from beamish.gen_server import GenServer
from beamish.process import Process, link, monitor, receive, register, self, send, trap_exit, unlink, whereis
from beamish.registry import Registry
from beamish.term import atom
from loops import virtual


class Told(GenServer):
    def init(self, parent: Any) -> None:
        self.parent = parent

    def handle_info(self, message: Any) -> None:
        send(self.parent, ("told", message))


@virtual
async def test_the_verbs_take_handles() -> None:
    trap_exit(True)
    told = await Told.start(self())
    send(told, "hello")
    assert await receive(timeout=1) == ("told", "hello")
    register("told", told)
    assert whereis("told") == told.pid
    assert Process.alive(told)
    assert Process.info(told, "registered_name") is atom.told
    link(told)
    assert told.pid in Process.info(self(), "links")
    unlink(told)
    assert Process.info(self(), "links") == []
    link(told)
    ref = monitor(told)
    Process.exit(told, atom.shutdown)
    assert (await receive((atom.DOWN, ref, ...,...,...), timeout=1))[4] is atom.shutdown
    assert (await receive((atom.EXIT, told.pid, ...), timeout=1))[2] is atom.shutdown


@virtual
async def test_handles_of_names_are_looked_up_when_they_are_used() -> None:
    first = await Told.start(self(), name="told")
    by_name = Told.at("told")
    ref = monitor(by_name)
    send(by_name, 1)
    assert await receive(timeout=1) == ("told", 1)
    await GenServer.stop(first)
    assert (await receive((atom.DOWN, ref, ...,...,...), timeout=1))[3] == (atom.told, atom("nonode@nohost"))
    await Told.start(self(), name="told")
    send(by_name, 2)
    assert await receive(timeout=1) == ("told", 2)


@virtual
async def test_names_of_a_registry_are_taken() -> None:
    await Registry.start_link(name="names")
    via = Registry.via("names", "one")
    told = await Told.start(self(), name=via)
    send(via, 1)
    assert await receive(timeout=1) == ("told", 1)
    ref = monitor(via)
    await GenServer.stop(told)
    assert (await receive((atom.DOWN, ref, ...,...,...), timeout=1))[4] is atom.normal
    assert (await receive((atom.DOWN, monitor(via), ...,...,...), timeout=1))[4] is atom.noproc


@virtual
async def test_what_is_no_process_is_refused() -> None:
    for wrong in (None, 3, object()):
        with pytest.raises(TypeError):
            link(wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            send(wrong, 1)
        with pytest.raises(TypeError):
            monitor(wrong)
