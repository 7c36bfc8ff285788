from __future__ import annotations

import asyncio
import functools
from typing import Any

import pytest

from beamish.errors import BeamishError, NameTaken, NoRuntime, NotAProcess
from beamish.node.runtime import Runtime
from beamish.process import (
    Process,
    current_process,
    current_scheduler,
    receive,
    self,
    send,
    spawn,
    spawn_link,
    spawn_monitor,
    trap_exit,
    whereis,
)
from beamish.term import Pid, atom
from loops import on_every_loop, virtual


async def echo(to: Pid, *values: Any, **named: Any) -> None:
    send(to, (self(), values, named))


@on_every_loop
async def test_an_async_function_gets_its_arguments_and_its_own_pid() -> None:
    pid = spawn(echo, self(), 1, [2], key="value")
    assert await receive() == (pid, (1, [2]), {"key": "value"})
    assert pid != self()


@on_every_loop
async def test_spawn_returns_before_the_process_runs() -> None:
    ran = []
    spawn(ran.append, 1)
    assert ran == []
    await asyncio.sleep(0)
    assert ran == [1]


@virtual
async def test_a_plain_function_runs_in_one_go_as_a_process() -> None:
    me = self()
    pid = spawn(lambda: send(me, self()))
    assert await receive() == pid


@virtual
async def test_what_a_plain_function_gives_is_awaited_if_it_can_be() -> None:
    spawn(lambda to: echo(to, 1), self())
    assert (await receive())[1] == (1,)


@virtual
async def test_a_coroutine_object_is_a_process_too() -> None:
    pid = spawn(echo(self(), 1))
    assert await receive() == (pid, (1,), {})


@virtual
async def test_a_coroutine_object_takes_no_more_arguments() -> None:
    made = echo(self())
    with pytest.raises(TypeError, match="already has"):
        spawn(made, 1)
    made.close()


@virtual
async def test_bound_methods_partials_and_callable_objects() -> None:
    class Worker:
        async def run(self_, to: Pid) -> None:
            send(to, "method")

        async def __call__(self_, to: Pid) -> None:
            send(to, "call")

    spawn(Worker().run, self())
    spawn(Worker(), self())
    spawn(functools.partial(echo, self(), 3))
    assert await receive() == "method"
    assert await receive() == "call"
    assert (await receive())[1] == (3,)


@virtual
async def test_an_async_method_is_started_itself() -> None:
    class Worker:
        async def run(self_) -> None:
            await receive()

    pid = spawn(Worker().run)
    assert Process.info(pid, "initial_call")[1].endswith("Worker.run")
    send(pid, None)


@virtual
async def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match="takes a function, not 7"):
        spawn(7)


@virtual
async def test_wrong_arguments_fail_at_the_spawner() -> None:
    before = Process.list()
    with pytest.raises(TypeError, match="echo"):
        spawn(echo)
    assert Process.list() == before


@virtual
async def test_spawn_link_ties_both() -> None:
    trap_exit()
    pid = spawn_link(receive_for_ever)
    assert Process.info(self(), "links") == [pid]
    assert Process.info(pid, "links") == [self()]
    Process.exit(pid, "why")
    assert await receive() == (atom.EXIT, pid, "why")


async def receive_for_ever() -> None:
    while True:
        await receive()


@virtual
async def test_spawn_monitor_gives_pid_and_reference() -> None:
    pid, ref = spawn_monitor(asyncio.sleep, 0)
    assert await receive() == (atom.DOWN, ref, atom.process, pid, atom.normal)


@virtual
async def test_link_and_monitor_and_name_together() -> None:
    trap_exit()
    pid, ref = spawn(receive_for_ever, link=True, monitor=True, name="worker")
    assert whereis("worker") == pid
    Process.exit(pid, atom.kill)
    assert {await receive(), await receive()} == {
        (atom.EXIT, pid, atom.killed),
        (atom.DOWN, ref, atom.process, pid, atom.killed),
    }


@virtual
async def test_a_taken_name_starts_nothing_and_says_who_has_it() -> None:
    first = spawn(receive_for_ever, name="worker")
    before = Process.list()
    ran = []

    async def body() -> None:
        ran.append(1)

    with pytest.raises(NameTaken, match=str(first)):
        spawn(body, name="worker", link=True)
    await asyncio.sleep(0)
    assert ran == []
    assert Process.list() == before
    assert Process.info(self(), "links") == []


@virtual
async def test_the_parent_is_known() -> None:
    pid = spawn(receive_for_ever)
    assert Process.info(pid, "parent") == self()


def test_verbs_outside_a_process_say_so() -> None:
    with pytest.raises(NotAProcess, match=r"spawn\(\) needs a process"):
        spawn(echo, None)
    with pytest.raises(NotAProcess, match=r"self\(\) needs a process"):
        self()
    with pytest.raises(NoRuntime, match=r"send\(\) needs a running node"):
        send("somebody", 1)
    assert current_process() is None
    assert current_scheduler() is None


@virtual
async def test_a_task_of_a_process_has_no_mailbox() -> None:
    async def body() -> None:
        await receive()

    with pytest.raises(NotAProcess, match="asyncio tasks"):
        await asyncio.create_task(body())


@virtual
async def test_a_stopped_runtime_spawns_nothing() -> None:
    other = Runtime(atom("other@host"))
    await other.stop()
    with pytest.raises(NoRuntime, match="other@host has stopped"):
        other.spawn(echo, None)


@virtual
async def test_the_process_limit() -> None:
    other = Runtime(atom("small@host"))
    other.process_limit = 3
    pids = [other.spawn(receive_for_ever) for _ in range(3)]
    with pytest.raises(BeamishError, match=r"system_limit.*limit 3"):
        other.spawn(receive_for_ever)
    assert other.process_count == 3
    await asyncio.sleep(0)
    block = other.process_of(pids[1])
    assert block is not None
    from beamish.process._signals import kill_process

    kill_process(block)
    fourth = other.spawn(receive_for_ever)
    assert (fourth.id, fourth.serial) == (pids[1].id, pids[1].serial + 1)
    await other.stop()


@virtual
async def test_a_pid_is_not_used_again_though_its_number_is() -> None:
    from collections import Counter

    seen: Counter[Pid] = Counter()
    for _ in range(4000):
        seen[spawn(asyncio.sleep, 0)] += 1
        if len(Process.list()) > 50:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
    assert max(seen.values()) == 1
    assert max(pid.id for pid in seen) < 3000, "numbers are used again"
    assert max(pid.serial for pid in seen) > 0


@virtual
async def test_process_list_has_every_living_process_once() -> None:
    pids = [spawn(receive_for_ever) for _ in range(600)]
    assert Process.list() == [self(), *pids]
    for pid in pids[::2]:
        Process.exit(pid, atom.kill)
    assert Process.list() == [self(), *pids[1::2]]
