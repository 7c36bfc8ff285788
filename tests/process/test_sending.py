from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from beamish.errors import NoProcess
from beamish.node.runtime import Runtime
from beamish.process import (
    Process,
    alias,
    current_scheduler,
    receive,
    register,
    self,
    send,
    spawn,
    spawn_monitor,
    unregister,
)
from beamish.term import Pid, Ref, atom
from beamish.testing import flush
from loops import on_every_loop, on_real_loops, virtual


async def receive_for_ever() -> None:
    while True:
        await receive()


@on_every_loop
async def test_messages_arrive_in_the_order_they_were_sent() -> None:
    for number in range(100):
        send(self(), number)
    assert [await receive() for _ in range(100)] == list(range(100))


@virtual
async def test_a_message_is_passed_by_reference() -> None:
    message = {"key": [1]}
    send(self(), message)
    assert await receive() is message


@virtual
async def test_every_form_of_a_destination() -> None:
    register("me", self())
    here = Process.self().node
    ways = [self(), "me", atom.me, ("me", here), (atom.me, str(here)), alias()]
    for number, dest in enumerate(ways):
        send(dest, number)
    assert await flush() == list(range(len(ways)))


@virtual
async def test_an_equal_pid_made_elsewhere_reaches_the_process() -> None:
    me = self()
    send(Pid(me.node, me.id, me.serial, me.creation), "found")
    assert await receive(timeout=0) == "found"


@pytest.mark.parametrize("change", ["serial", "creation", "id"])
def test_a_pid_that_differs_in_anything_reaches_nobody(change: str) -> None:
    @virtual
    async def test() -> None:
        fields = {name: getattr(self(), name) for name in ("node", "id", "serial", "creation")}
        fields[change] += 1
        send(Pid(**fields), "lost")
        assert await flush() == []

    test()


@virtual
async def test_a_message_to_a_dead_process_disappears() -> None:
    pid, ref = spawn_monitor(asyncio.sleep, 0)
    await receive(ref)
    send(pid, "anybody?")
    Process.send(pid, "anybody?")


@virtual
async def test_a_dead_process_s_successor_in_the_table_does_not_get_its_mail() -> None:
    home = current_scheduler()
    assert home is not None
    home.process_limit = 256
    spawned = [spawn(receive_for_ever) for _ in range(255)]
    victim = spawned[100]
    Process.exit(victim, atom.kill)
    successor = spawn(receive_for_ever)
    assert successor.id == victim.id
    send(victim, "for the dead")
    send(Pid(victim.node, victim.id, victim.serial, victim.creation), "for the dead")
    assert Process.info(successor, "message_queue_len") == 0


@virtual
async def test_a_local_name_nobody_has_is_an_error_but_not_with_the_node_named() -> None:
    with pytest.raises(NoProcess, match="nobody"):
        send("nobody", 1)
    with pytest.raises(NoProcess, match="nobody"):
        send(atom.nobody, 1)
    send(("nobody", Process.self().node), 1)
    register("somebody", self())
    unregister("somebody")
    with pytest.raises(NoProcess):
        send("somebody", 1)


@virtual
async def test_a_node_that_cannot_be_reached_takes_messages_silently() -> None:
    nowhere = atom("nowhere@host")
    send(("name", nowhere), 1)
    send(Pid(nowhere, 1, 0, 1), 1)
    send(Ref(nowhere, 1, (1, 2, 3)), 1)


@pytest.mark.parametrize("dest", [7, None, 1.5, ("a", "b", "c"), (), [], b"name"])
def test_what_is_no_destination_is_refused(dest: Any) -> None:
    @virtual
    async def test() -> None:
        with pytest.raises(TypeError):
            send(dest, 1)

    test()


@virtual
async def test_send_with_noconnect() -> None:
    assert Process.send(self(), 1, noconnect=True) is True
    assert Process.send(("name", "nowhere@host"), 1, noconnect=True) is False
    assert await receive() == 1


@virtual
async def test_the_runtime_sends_too() -> None:
    home = current_scheduler()
    assert home is not None
    asyncio.get_running_loop().call_soon(home.send, self(), "from a callback")
    assert await receive() == "from a callback"


@on_real_loops
async def test_threads_send() -> None:
    me, count, threads = self(), 2000, 4

    def work(number: int) -> None:
        for i in range(count):
            send(me, (number, i))

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    seen: dict[int, list[int]] = {number: [] for number in range(threads)}
    for _ in range(count * threads):
        number, i = await receive(timeout=10)
        seen[number].append(i)
    assert seen == {number: list(range(count)) for number in range(threads)}
    for worker in workers:
        worker.join()


@on_real_loops
async def test_a_thread_wakes_a_sleeping_loop() -> None:
    me = self()
    timer = threading.Timer(0.05, send, (me, "wake up"))
    timer.start()
    assert await receive(timeout=10) == "wake up"
    timer.join()


@on_real_loops
async def test_threads_spawn() -> None:
    home, me = current_scheduler(), self()
    assert isinstance(home, Runtime)

    async def body(number: int) -> None:
        send(me, (number, self()))

    def work(number: int) -> None:
        for i in range(500):
            home.spawn(body, number * 500 + i)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    seen = dict([await receive(timeout=10) for _ in range(2000)])
    assert sorted(seen) == list(range(2000))
    assert len(set(seen.values())) == 2000
    for worker in workers:
        worker.join()


@virtual
async def test_strict_messages_are_checked_on_every_way() -> None:
    home = current_scheduler()
    assert home is not None
    register("me", self())
    seen: list[Any] = []
    way_home = alias()
    home.strict, home.strict_check = True, seen.append
    here, me = self().node, self()
    ways = [me, Pid(here, me.id, me.serial, me.creation), "me", ("me", here), way_home]
    for number, dest in enumerate(ways):
        send(dest, number)
    assert seen == list(range(len(ways)))
    assert await flush() == list(range(len(ways)))


@virtual
async def test_what_the_strict_check_refuses_is_not_sent() -> None:
    home = current_scheduler()
    assert home is not None

    def refuse(message: Any) -> None:
        raise TypeError("not a term")

    home.strict, home.strict_check = True, refuse
    with pytest.raises(TypeError, match="not a term"):
        send(self(), object())
    assert await flush() == []
