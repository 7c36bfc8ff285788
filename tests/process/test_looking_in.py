"""Process.info, the dictionary, labels and group leaders."""

from __future__ import annotations

import asyncio
import functools
import json
from typing import Any

import pytest

from beamish.process import (
    Process,
    alias,
    group_leader,
    link,
    monitor,
    receive,
    register,
    self,
    send,
    set_group_leader,
    spawn,
    spawn_monitor,
    trap_exit,
)
from beamish.process.info import ITEMS, RARE_ITEMS
from beamish.term import Pid, atom
from loops import virtual


async def idle() -> None:
    while True:
        await receive()


async def settled() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


@virtual
async def test_everything_about_a_busy_process() -> None:
    async def inner() -> None:
        await receive(lambda m: m == "never")

    async def body(peer: Pid) -> None:
        trap_exit()
        link(peer)
        monitor(peer)
        monitor("tester")
        alias()
        Process.put("key", 1)
        Process.set_label((atom.worker, 7))
        await inner()

    register("tester", self())
    peer = spawn(idle)
    pid = spawn(body, peer, name="worker")
    watch = monitor(pid)
    await settled()
    send(pid, "one")
    send(pid, "two")
    await settled()
    info = Process.info(pid, *ITEMS, *RARE_ITEMS)
    assert info["registered_name"] is atom.worker
    assert info["current_function"] == (__name__, "test_everything_about_a_busy_process.<locals>.inner", 0)
    assert info["initial_call"] == (__name__, "test_everything_about_a_busy_process.<locals>.body", 1)
    assert info["status"] == "waiting"
    assert info["message_queue_len"] == 2
    assert info["messages"] == ["one", "two"]
    assert info["links"] == [peer]
    assert info["monitors"] == [peer, self()]
    assert info["monitored_by"] == [self()]
    assert len(info["aliases"]) == 1
    assert info["trap_exit"] is True
    assert info["parent"] == self()
    assert info["label"] == (atom.worker, 7)
    assert info["dictionary"] == {"key": 1}
    assert info["memory"] > 300
    assert info["reductions"] >= 2
    functions = [entry[1].rpartition(".")[2] for entry in info["current_stacktrace"]]
    assert functions == ["inner", "body"]
    del watch


@virtual
async def test_everything_about_an_idle_process_is_cheap_and_empty() -> None:
    pid = spawn(idle)
    await settled()
    info = Process.info(pid)
    assert list(info) == list(ITEMS)
    empty = {key: info[key] for key in ("links", "monitors", "monitored_by", "dictionary", "label", "registered_name")}
    assert empty == {
        "links": [], "monitors": [], "monitored_by": [], "dictionary": {}, "label": None, "registered_name": None,
    }  # fmt: skip
    assert Process.info(pid, "aliases") == []


@virtual
async def test_statuses() -> None:
    assert Process.info(self(), "status") == "running"
    pid = spawn(idle)
    assert Process.info(pid, "status") == "runnable"
    assert Process.alive(pid)
    await settled()
    assert Process.info(pid, "status") == "waiting"
    Process.exit(pid, "why")
    assert Process.info(pid, "status") == "exiting"
    await settled()
    assert Process.info(pid, "status") is None
    assert Process.info(pid) is None
    assert not Process.alive(pid)


@virtual
async def test_info_of_processes_that_are_no_async_functions() -> None:
    plain = spawn(print, 1, 2)
    assert Process.info(plain, "initial_call") == ("builtins", "print", 2)
    Process.exit(plain, atom.kill)
    partial = spawn(functools.partial(json.dumps, {}))
    assert Process.info(partial, "initial_call") == ("json", "dumps", 0)
    Process.exit(partial, atom.kill)

    class Worker:
        def __call__(self_) -> Any:
            return idle()

    called = spawn(Worker())
    await settled()
    assert Process.info(called, "initial_call")[1].endswith("Worker")
    assert Process.info(called, "current_function")[1] == "idle"
    Process.exit(called, atom.kill)


@virtual
async def test_a_process_that_awaits_a_future_shows_where() -> None:
    async def body() -> None:
        await asyncio.sleep(1000)

    pid = spawn(body)
    await settled()
    assert Process.info(pid, "status") == "waiting"
    assert Process.info(pid, "current_function")[:2] == ("asyncio.tasks", "sleep")


@virtual
async def test_unknown_items_and_strangers() -> None:
    with pytest.raises(ValueError, match="knows no item 'heap'; known: registered_name"):
        Process.info(self(), "heap")
    stranger = Pid(atom("other@host"), 1, 0, 1)
    with pytest.raises(ValueError, match="lives on other@host"):
        Process.info(stranger)
    with pytest.raises(ValueError, match="lives on other@host"):
        Process.alive(stranger)
    with pytest.raises(TypeError, match="made by spawn"):
        Process()


@virtual
async def test_memory_grows_with_the_mailbox() -> None:
    pid = spawn(idle)
    before = Process.info(pid, "memory")
    for number in range(1000):
        send(pid, number)
    assert Process.info(pid, "memory") >= before + 8 * 1000


@virtual
async def test_the_process_dictionary() -> None:
    assert Process.get("key") is None
    assert Process.get("key", 5) == 5
    assert Process.put("key", 1) is None
    assert Process.put("key", 2) == 1
    assert Process.get() == {"key": 2}
    Process.get()["key"] = "a copy"
    assert Process.get("key") == 2
    seen: list[Any] = []
    spawn(lambda: seen.append(Process.get()))
    await settled()
    assert seen == [{}]
    assert Process.delete("key") == 2
    assert Process.delete("key") is None


@virtual
async def test_flags() -> None:
    assert Process.flag("trap_exit", True) is False
    assert Process.flag(atom.trap_exit, False) is True
    with pytest.raises(ValueError, match="priority"):
        Process.flag("priority", "high")


@virtual
async def test_group_leaders_are_inherited_and_can_be_changed() -> None:
    leader = spawn(idle)
    set_group_leader(self(), leader)
    assert group_leader() == leader
    seen: list[Any] = []

    async def child() -> None:
        seen.append(group_leader())
        spawn(lambda: seen.append(group_leader()))

    pid, ref = spawn_monitor(child)
    await receive(ref)
    await settled()
    assert seen == [leader, leader]
    assert pid
    other = spawn(idle)
    set_group_leader(other, other)
    assert Process.info(other, "group_leader") == other
    assert group_leader() == leader
    set_group_leader(Pid(atom("nowhere@host"), 1, 0, 1), leader)


@virtual
async def test_processes_and_blocks_have_readable_texts() -> None:
    from beamish.process import current_process, current_scheduler

    assert repr(current_process()) == f"<Process {self()} running>"
    assert repr(current_scheduler()) == "<Runtime nonode@nohost 1 processes>"
    assert str(self()).startswith("<nonode@nohost.")
