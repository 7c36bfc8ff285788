"""Registries of both kinds, with one partition and with several."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from beamish.agent import Agent
from beamish.errors import AlreadyStarted, NameTaken, NoProcess, StartError
from beamish.gen_server import GenServer, pid_of
from beamish.node import current_runtime
from beamish.process import Process, monitor, receive, register, self, send, spawn, spawn_link, trap_exit, unlink, whereis
from beamish.registry import AlreadyRegistered, Registry, Via
from beamish.supervisor import Supervisor
from beamish.term import Pid, atom
from beamish.testing import assert_receive, refute_receive, virtual

KINDS = ["unique", "duplicate"]
PARTITIONS = [1, 8]
every_kind = pytest.mark.parametrize("keys", KINDS)
every_size = pytest.mark.parametrize("partitions", PARTITIONS)


async def holder(owner: Pid, entries: list[tuple[Any, Any]], registry: str = "r") -> None:
    for key, value in entries:
        Registry.register(registry, key, value)
    send(owner, (self(), atom.registered))
    await receive(atom.stop)


async def other_process(*entries: tuple[Any, Any], registry: str = "r") -> Pid:
    """A process that has these entries."""
    pid: Pid = spawn(holder, self(), list(entries), registry)
    await receive((pid, atom.registered))
    return pid


async def killed(pid: Pid) -> None:
    ref = monitor(pid)
    Process.exit(pid, atom.kill)
    await receive(ref)


def links() -> list[Pid]:
    found: list[Pid] = Process.info(self(), "links")
    return found


# ---- both kinds


@every_kind
@every_size
@virtual
async def test_one_server_per_partition(keys: Any, partitions: int) -> None:
    pid = await Registry.start_link(name="r", keys=keys, partitions=partitions)
    children = await Supervisor.which_children("r")
    assert whereis("r") == pid
    assert len(children) == partitions
    assert all(whereis(child.id) == child.pid for child in children)


@every_kind
@every_size
@virtual
async def test_registering_and_looking_up(keys: Any, partitions: int) -> None:
    await Registry.start_link(name="r", keys=keys, partitions=partitions)
    assert Registry.count("r") == 0
    assert Registry.lookup("r", "hello") == []
    assert Registry.keys("r", self()) == []
    owner = Registry.register("r", "hello", 1)
    Registry.register("r", "world", 2)
    assert owner in [child.pid for child in await Supervisor.which_children("r")]
    assert Registry.count("r") == 2
    assert Registry.lookup("r", "hello") == [(self(), 1)]
    assert Registry.lookup(atom.r, "world") == [(self(), 2)]
    assert Registry.keys("r", self()) == ["hello", "world"]
    assert Registry.values("r", "hello", self()) == [1]
    pid = await other_process(("mine", 3))
    assert Registry.keys("r", pid) == ["mine"]
    assert Registry.values("r", "mine", pid) == [3]
    assert Registry.values("r", "mine", self()) == []
    assert Registry.values("r", "hello", pid) == []
    assert Registry.count("r") == 3
    assert Counter(Registry.select("r")) == Counter([("hello", self(), 1), ("world", self(), 2), ("mine", pid, 3)])


@every_kind
@every_size
@virtual
async def test_keys_differ_as_in_erlang(keys: Any, partitions: int) -> None:
    await Registry.start_link(name="r", keys=keys, partitions=partitions)
    for key in (1, 1.0, True, "1", atom("1"), ("a", 1), ("a", 1.0), None, [1], {"k": 1}):
        Registry.register("r", key, key)
    assert Registry.count("r") == 10
    assert Registry.keys("r", self()) == [1, 1.0, True, "1", atom("1"), ("a", 1), ("a", 1.0), None, [1], {"k": 1}]
    assert [type(key) for key in Registry.keys("r", self())][:3] == [int, float, bool]
    (pair,) = Registry.lookup("r", True)
    assert pair[1] is True
    assert Registry.lookup("r", b"1") == [(self(), "1")]
    Registry.unregister("r", 1.0)
    assert Registry.lookup("r", 1) == [(self(), 1)]
    assert Registry.lookup("r", 1.0) == []


@every_kind
@every_size
@virtual
async def test_unregistering(keys: Any, partitions: int) -> None:
    await Registry.start_link(name="r", keys=keys, partitions=partitions)
    Registry.unregister("r", "hello")
    Registry.register("r", "hello", 1)
    Registry.register("r", "world", 2)
    pid = await other_process(("theirs", 3))
    Registry.unregister("r", "theirs")
    assert Registry.lookup("r", "theirs") == [(pid, 3)]
    Registry.unregister("r", "hello")
    assert Registry.keys("r", self()) == ["world"]
    assert Registry.lookup("r", "hello") == []
    Registry.unregister("r", "world")
    assert Registry.keys("r", self()) == []
    assert Registry.count("r") == 1


@every_kind
@every_size
@virtual
async def test_a_process_is_linked_while_it_has_keys(keys: Any, partitions: int) -> None:
    registry = await Registry.start_link(name="r", keys=keys, partitions=partitions)
    owner = Registry.register("r", "hello")
    assert Registry.register("r", "world") == owner
    assert owner in links()
    Registry.unregister("r", "hello")
    assert owner in links()
    Registry.unregister("r", "world")
    assert links() == [registry]


@every_kind
@every_size
@virtual
async def test_the_dead_are_never_seen(keys: Any, partitions: int) -> None:
    await Registry.start_link(name="r", keys=keys, partitions=partitions)
    servers = [child.pid for child in await Supervisor.which_children("r")]
    pids = [await other_process((("key", number), number), (("also", number), number)) for number in range(10)]
    for pid in pids:
        Process.exit(pid, atom.kill)
    # Nobody has run since: the servers have not heard of it yet.
    assert sum(Process.info(server, "message_queue_len") for server in servers) == 10
    assert Registry.count("r") == 0
    assert Registry.select("r") == []
    assert all(Registry.lookup("r", ("key", number)) == [] for number in range(10))
    assert [Registry.keys("r", pid) for pid in pids] == [[]] * 10
    assert [Registry.values("r", ("key", 0), pid) for pid in pids] == [[]] * 10
    Registry.dispatch("r", ("key", 1), lambda entries: pytest.fail(f"called with {entries}"))
    Registry.register("r", ("key", 1), "mine")
    for server in servers:
        await GenServer.call(server, atom.sync)
    table = current_runtime().services["registries"]["r"]
    assert Registry.select("r") == [(("key", 1), self(), "mine")]
    assert Registry.count("r") == table.size == 1
    assert next(dict(partition.keys) for partition in table.partitions if partition.keys) == {
        ("key", 1): (self(), "mine") if keys == "unique" else {self(): ["mine"]}
    }
    assert sum(len(partition.held) for partition in table.partitions) == 1


@every_kind
@every_size
@virtual
async def test_the_dead_are_not_seen_while_the_servers_are_suspended(keys: Any, partitions: int) -> None:
    await Registry.start_link(name="r", keys=keys, partitions=partitions)
    pid = await other_process(("hello", 1))
    (server,) = Process.info(pid, "links")
    await GenServer.call(server, atom.suspend, label=atom.system)
    await killed(pid)
    assert Registry.lookup("r", "hello") == []
    Registry.register("r", "hello", 2)
    assert Registry.lookup("r", "hello") == [(self(), 2)]
    await GenServer.call(server, atom.resume, label=atom.system)
    await GenServer.call(server, atom.sync)
    assert Registry.lookup("r", "hello") == [(self(), 2)]
    assert Registry.count("r") == 1


@every_kind
@every_size
@virtual
async def test_matching_values(keys: Any, partitions: int) -> None:
    await Registry.start_link(name="r", keys=keys, partitions=partitions)
    value = (1, atom.atom, 2)
    Registry.register("r", "hello", value)
    me = (self(), value)
    for pattern in [(1, ..., ...), (..., atom.atom, ...), ..., tuple, (int, ..., lambda n: n > 1), lambda v: len(v) == 3]:
        assert Registry.match("r", "hello", pattern) == [me]
        assert Registry.count_match("r", "hello", pattern) == 1
    for pattern in [(1.0, ..., ...), (..., "atom", ...), (1, 2), str, (..., ..., lambda n: n > 2)]:
        assert Registry.match("r", "hello", pattern) == []
        assert Registry.count_match("r", "hello", pattern) == 0
    assert Registry.match("r", "hello", ..., where=lambda v: v[0] < 2) == [me]
    assert Registry.match("r", "hello", (1, ..., ...), where=lambda v: v[2] > 2) == []
    assert Registry.match("r", ..., ...) == []
    Registry.unregister_match("r", "hello", (2, ..., ...))
    Registry.unregister_match("r", "hello", (1, ..., ...), where=lambda v: v[2] > 2)
    assert Registry.lookup("r", "hello") == [me]
    Registry.unregister_match("r", "hello", (..., atom.atom, ...), where=lambda v: v[2] == 2)
    assert Registry.lookup("r", "hello") == []
    assert Registry.keys("r", self()) == []
    assert Registry.count("r") == 0


@every_kind
@every_size
@virtual
async def test_selecting(keys: Any, partitions: int) -> None:
    await Registry.start_link(name="r", keys=keys, partitions=partitions)
    Registry.register("r", "hello", (1, 2))
    pid = await other_process(("world", {"a": 1, "b": 2}), (atom.x, 7))
    assert Registry.select("r", ("hello", ..., ...)) == [("hello", self(), (1, 2))]
    assert Registry.select("r", (..., pid, dict)) == [("world", pid, {"a": 1, "b": 2})]
    assert Registry.select("r", (..., ..., {"b": 2})) == [("world", pid, {"a": 1, "b": 2})]
    assert set(Registry.select("r", (str, ..., ...), give=lambda key, pid, value: key)) == {"hello", "world"}
    assert Registry.select("r", where=lambda key, pid, value: value == 7) == [(atom.x, pid, 7)]
    assert Registry.count_select("r") == 3
    assert Registry.count_select("r", (str, ..., ...), where=lambda key, owner, value: owner == pid) == 1
    with pytest.raises(ValueError, match="three parts"):
        Registry.select("r", ("hello", ...))
    with pytest.raises(ValueError, match="three parts"):
        Registry.count_select("r", ...)


@every_kind
@every_size
@virtual
async def test_listeners(keys: Any, partitions: int) -> None:
    await Registry.start_link(name="r", keys=keys, partitions=partitions, listeners=["listening", atom.absent])
    Registry.register("r", "unheard", 0)
    register("listening", self())
    pid = await other_process(("hello", 1))
    await assert_receive((atom.register, atom.r, "hello", pid, 1))
    Registry.register("r", "mine", 2)
    await assert_receive((atom.register, atom.r, "mine", self(), 2))
    Registry.unregister("r", "mine")
    await assert_receive((atom.unregister, atom.r, "mine", self()))
    await killed(pid)
    await refute_receive((atom.unregister, ..., ..., ...))


@every_kind
@every_size
@virtual
async def test_when_a_registry_dies_so_do_its_processes(keys: Any, partitions: int) -> None:
    registry = await Registry.start_link(name="r", keys=keys, partitions=partitions)
    unlink(registry)
    pid, bystander = await other_process(("hello", 1)), spawn(receive)
    ref = monitor(pid)
    Process.exit(registry, atom.kill)
    assert (await receive(ref))[4] in (atom.killed, atom.shutdown)
    assert Process.alive(bystander)
    with pytest.raises(NoProcess, match=r"unknown registry: r is not running on nonode@nohost.*\(running: none\)"):
        Registry.lookup("r", "hello")


@every_kind
@every_size
@virtual
async def test_a_crashed_partition_comes_back_empty(keys: Any, partitions: int, crashes: Any) -> None:
    await Registry.start_link(name="r", keys=keys, partitions=partitions, meta={"color": "blue"})
    trap_exit()
    server = Registry.register("r", "hello", 1)
    Process.exit(server, atom.kill)
    assert Registry.lookup("r", "hello") == []
    assert Registry.count("r") == 0
    with pytest.raises(NoProcess, match="not running"):
        Registry.register("r", "hello", 1)
    assert await receive((atom.EXIT, server, ...)) == (atom.EXIT, server, atom.killed)
    await Supervisor.which_children("r")
    assert Registry.register("r", "hello", 2) != server
    assert Registry.lookup("r", "hello") == [(self(), 2)]
    assert Registry.meta("r", "color") == "blue"


@every_kind
@every_size
@virtual
async def test_metadata(keys: Any, partitions: int) -> None:
    await Registry.start_link(name="r", keys=keys, partitions=partitions, meta={"color": "blue"})
    assert Registry.meta("r", "color") == "blue"
    assert Registry.meta("r", "size") is None
    assert Registry.meta("r", "size", 3) == 3
    Registry.put_meta("r", ("size", 1), 4)
    assert Registry.meta("r", ("size", 1)) == 4
    Registry.delete_meta("r", ("size", 1))
    Registry.delete_meta("r", ("size", 1))
    assert Registry.meta("r", ("size", 1)) is None


# ---- unique keys


@every_size
@virtual
async def test_a_unique_key_has_one_process(partitions: int) -> None:
    await Registry.start_link(name="r", partitions=partitions)
    Registry.register("r", "mine", 1)
    with pytest.raises(AlreadyRegistered) as raised:
        Registry.register("r", "mine", 2)
    assert raised.value.pid == self()
    assert isinstance(raised.value, NameTaken)
    pid = await other_process(("theirs", 1))
    with pytest.raises(AlreadyRegistered, match=f"'theirs' of the registry r belongs to {pid}"):
        Registry.register("r", "theirs", 2)
    assert Registry.lookup("r", "mine") == [(self(), 1)]
    assert Registry.lookup("r", "theirs") == [(pid, 1)]
    assert Registry.keys("r", self()) == ["mine"]
    await killed(pid)
    Registry.register("r", "theirs", 2)


@virtual
async def test_a_refused_process_stays_unlinked() -> None:
    registry = await Registry.start_link(name="r")
    await other_process(("theirs", 1))
    with pytest.raises(AlreadyRegistered):
        Registry.register("r", "theirs", 2)
    assert links() == [registry]
    assert current_runtime().services["registries"]["r"].partitions[0].held.keys() != {self()}


@every_size
@virtual
async def test_updating_a_value(partitions: int) -> None:
    await Registry.start_link(name="r", partitions=partitions)
    assert Registry.update_value("r", "hello", pytest.fail) is None
    await other_process(("hello", 1))
    assert Registry.update_value("r", "hello", pytest.fail) is None
    Registry.register("r", "world", 1)
    assert Registry.update_value("r", "world", lambda value: value + 1) == (2, 1)
    assert Registry.lookup("r", "world") == [(self(), 2)]
    assert Registry.count("r") == 2


@every_size
@virtual
async def test_dispatch_to_a_unique_key(partitions: int) -> None:
    await Registry.start_link(name="r", partitions=partitions)
    Registry.dispatch("r", "hello", pytest.fail)
    Registry.register("r", "hello", 1)
    Registry.dispatch("r", "hello", lambda entries: [send(pid, (atom.dispatched, value)) for pid, value in entries])
    await assert_receive((atom.dispatched, 1), timeout=0)


@every_size
@virtual
async def test_names_of_servers(partitions: int) -> None:
    await Registry.start_link(name="r", partitions=partitions)
    name = Registry.via("r", "hello", "value")
    agent = await Agent.start_link(lambda: 0, name=name)
    assert Registry.lookup("r", "hello") == [(agent.pid, "value")]
    assert Registry.whereis("r", "hello") == pid_of(name) == agent.pid
    await Agent.update(Registry.via("r", "hello"), lambda count: count + 1)
    assert await Agent.get(name, lambda count: count) == 1
    with pytest.raises(AlreadyStarted) as raised:
        await Agent.start(lambda: 0, name=name)
    assert raised.value.pid == agent.pid
    await agent.stop()
    assert Registry.whereis("r", "hello") is None
    with pytest.raises(NoProcess, match="under the key 'hello' of the registry r"):
        name.send(1)
    again = await Agent.start_link(lambda: 5, name=name)
    assert await Agent.get(name, lambda count: count) == 5
    await again.stop()


@virtual
async def test_a_server_that_fails_to_start_leaves_its_name() -> None:
    await Registry.start_link(name="r")
    with pytest.raises(StartError):
        await Agent.start(lambda: 1 / 0, name=Registry.via("r", "hello"))
    assert Registry.count("r") == 0


@virtual
async def test_sending_to_a_name() -> None:
    await Registry.start_link(name="r")
    Registry.register("r", "hello", 1)
    Registry.via("r", "hello").send("message")
    assert await receive(timeout=0) == "message"


@virtual
async def test_a_name_as_a_value() -> None:
    await Registry.start_link(name="r")
    assert Registry.via("r", "a") == Registry.via("r", "a", 5) == Via("r", "a")
    assert {Registry.via("r", "a"): 1}[Registry.via("r", "a", 2)] == 1
    assert repr(Registry.via("r", ("a", 1), 2)) == "Registry.via('r', ('a', 1), 2)"
    with pytest.raises(ValueError, match="not the current process"):
        Registry.via("r", "a").register(spawn(receive))


# ---- duplicate keys


@every_size
@virtual
async def test_a_key_may_be_had_twice(partitions: int) -> None:
    await Registry.start_link(name="r", keys="duplicate", partitions=partitions)
    Registry.register("r", "hello", 1)
    Registry.register("r", "hello", 2)
    Registry.register("r", "world", 3)
    pid = await other_process(("hello", 1))
    assert Counter(Registry.lookup("r", "hello")) == Counter([(self(), 1), (self(), 2), (pid, 1)])
    assert Registry.keys("r", self()) == ["hello", "hello", "world"]
    assert Registry.values("r", "hello", self()) == [1, 2]
    assert Registry.count("r") == 4
    Registry.unregister_match("r", "hello", 1)
    assert Registry.keys("r", self()) == ["hello", "world"]
    assert Counter(Registry.lookup("r", "hello")) == Counter([(self(), 2), (pid, 1)])
    Registry.register("r", "hello", 4)
    Registry.unregister("r", "hello")
    assert Registry.lookup("r", "hello") == [(pid, 1)]
    assert Registry.keys("r", self()) == ["world"]
    assert Registry.count("r") == 2


@every_size
@virtual
async def test_dispatch_calls_once_per_partition(partitions: int) -> None:
    await Registry.start_link(name="r", keys="duplicate", partitions=partitions)
    pids = [await other_process(("topic", number)) for number in range(16)]
    groups: list[Any] = []
    Registry.dispatch("r", "topic", groups.append)
    assert len(groups) == partitions
    assert all(len({pid.id % partitions for pid, _ in group}) == 1 for group in groups)
    assert Counter(pair for group in groups for pair in group) == Counter(zip(pids, range(16), strict=True))
    Registry.dispatch("r", "nobody's", pytest.fail)


@every_size
@virtual
async def test_dispatch_of_async_functions(partitions: int) -> None:
    await Registry.start_link(name="r", keys="duplicate", partitions=partitions)
    for number in range(16):
        await other_process(("topic", number))
    running: list[int] = []
    most, seen = 0, 0

    async def work(entries: list[Any]) -> None:
        nonlocal most, seen
        running.append(1)
        most = max(most, len(running))
        await Process.sleep(1)
        running.pop()
        seen += len(entries)

    await Registry.dispatch("r", "topic", work)
    assert (most, seen) == (1, 16)
    await Registry.dispatch("r", "topic", work, parallel=True)
    assert (most, seen) == (partitions, 32)
    with pytest.raises(TypeError, match="async function"):
        Registry.dispatch("r", "topic", print, parallel=True)  # type: ignore[call-overload]


@virtual
async def test_what_only_unique_registries_can() -> None:
    await Registry.start_link(name="r", keys="duplicate")
    with pytest.raises(ValueError, match="unique"):
        Registry.update_value("r", "hello", lambda value: value)
    for use in (Registry.via("r", "a").whereis, Registry.via("r", "a").unregister, lambda: Registry.via("r", "a").register(self())):
        with pytest.raises(ValueError, match="only the keys of a unique registry can be names"):
            use()


# ---- starting


@virtual
async def test_a_registry_as_a_child() -> None:
    supervisor = await Supervisor.start_link([Registry.child_spec(name="r", meta={"a": 1})])
    assert [(child.id, child.type) for child in await supervisor.which_children()] == [("r", atom.supervisor)]
    Registry.put_meta("r", "a", 2)
    pid = await other_process(("hello", 1))
    registry = whereis("r")
    assert registry is not None
    ref = monitor(pid)
    Process.exit(registry, atom.kill)
    await receive(ref)
    await supervisor.which_children()
    assert whereis("r") not in (None, registry)
    assert Registry.lookup("r", "hello") == []
    assert Registry.meta("r", "a") == 1
    await supervisor.stop()
    assert whereis("r") is None


@virtual
async def test_a_registry_is_started_once() -> None:
    pid = await Registry.start_link(name="r")
    with pytest.raises(AlreadyStarted) as raised:
        await Registry.start_link(name="r", keys="duplicate")
    assert raised.value.pid == pid
    Registry.register("r", "hello")
    with pytest.raises(AlreadyRegistered):
        Registry.register("r", "hello")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": 5}, "name is a str or an atom, not 5"),
        ({"name": "true"}, "name is a str or an atom"),
        ({"name": "r", "keys": "uniq"}, 'keys is "unique" or "duplicate", not \'uniq\''),
        ({"name": "r", "partitions": 0}, "partitions is a number from 1 on, not 0"),
        ({"name": "r", "partitions": True}, "partitions is a number"),
        ({"name": "r", "listeners": "one"}, "listeners is a list of names"),
        ({"name": "r", "listeners": [5]}, "name is a str or an atom, not 5"),
    ],
)
def test_wrong_options(options: Any, message: str) -> None:
    @virtual
    async def start() -> None:
        with pytest.raises((TypeError, ValueError), match=message):
            await Registry.start_link(**options)
        assert whereis("r") is None

    start()


@virtual
async def test_unknown_registries() -> None:
    await Registry.start_link(name="known")
    for use in (
        lambda: Registry.register("unknown", 1),
        lambda: Registry.lookup("unknown", 1),
        lambda: Registry.count(atom.unknown),
        lambda: Registry.put_meta("unknown", 1, 1),
    ):
        with pytest.raises(NoProcess, match=r"unknown registry: unknown is not running .*\(running: known\)"):
            use()
    with pytest.raises(TypeError, match="called by its name"):
        Registry.lookup(5, 1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="called by its name"):
        Registry.lookup([], 1)  # type: ignore[arg-type]


def test_outside_of_processes() -> None:
    with pytest.raises(RuntimeError, match="inside a process"):
        Registry.lookup("r", 1)
    with pytest.raises(TypeError, match="namespace"):
        Registry()


@virtual
async def test_a_killed_process_registers_nothing_any_more() -> None:
    await Registry.start_link(name="r")

    async def stubborn() -> None:
        try:
            await receive()
        finally:
            Registry.register("r", "ghost")

    pid = spawn_link(stubborn)
    unlink(pid)
    await Process.sleep(0.1)
    await killed(pid)
    assert Registry.select("r") == []
    assert current_runtime().services["registries"]["r"].keys == {}
