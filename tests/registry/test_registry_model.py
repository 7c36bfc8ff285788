"""Registries against a model: random processes register, unregister, and die at any moment."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from beamish.node import current_runtime
from beamish.process import Process, monitor, receive, self, send, spawn
from beamish.process._signals import send_exit
from beamish.registry import AlreadyRegistered, Registry
from beamish.supervisor import Supervisor
from beamish.term import Pid, atom
from beamish.testing import virtual

PROCESSES = 4
KEYS = ["a", "b", ("a", 1), 1, 1.0, True]
who = st.integers(0, PROCESSES - 1)
steps = st.one_of(
    st.tuples(st.just("register"), who, st.sampled_from(KEYS), st.integers(0, 3)),
    st.tuples(st.just("unregister"), who, st.sampled_from(KEYS)),
    st.tuples(st.just("unregister_match"), who, st.sampled_from(KEYS), st.integers(0, 3)),
    st.tuples(st.just("update"), who, st.sampled_from(KEYS), st.integers(0, 3)),
    st.tuples(st.just("die"), who, st.sampled_from(["normal", "kill", "shutdown", "oops"])),
    st.tuples(st.just("turn")),
)


async def worker() -> None:
    """Does as it is told, and says how it went."""
    while True:
        sender, function = await receive()
        try:
            function()
        except AlreadyRegistered as error:
            send(sender, ("taken", error.pid))
        else:
            send(sender, "done")


async def told(pid: Pid, function: Any) -> Any:
    send(pid, (self(), function))
    return await receive(lambda message: message == "done" or message[0] == "taken")


Entry = tuple[str, Any, Pid, int]  # the key's type tells 1, 1.0 and True apart


def checked(unique: bool, model: list[Entry], alive: list[Pid]) -> None:
    assert Registry.count("r") == len(model)
    assert Counter(Registry.select("r", give=lambda key, pid, value: (type(key).__name__, key, pid, value))) == Counter(model)
    for key in KEYS:
        kind = type(key).__name__
        there = [(pid, value) for k, found, pid, value in model if (k, found) == (kind, key)]
        assert Counter(Registry.lookup("r", key)) == Counter(there)
        assert not unique or len(there) <= 1
        groups: list[Any] = []
        Registry.dispatch("r", key, groups.extend)
        assert Counter(groups) == Counter(there)
        for pid in alive:
            assert Counter(Registry.values("r", key, pid)) == Counter(value for owner, value in there if owner == pid)
    for pid in alive:
        keys = Counter((kind, key) for kind, key, owner, _ in model if owner == pid)
        assert Counter((type(key).__name__, key) for key in Registry.keys("r", pid)) == keys
    servers = {partition.server for partition in current_runtime().services["registries"]["r"].partitions}
    for pid in alive:
        linked = bool(servers & set(Process.info(pid, "links")))
        assert linked == any(owner == pid for _, _, owner, _ in model)


@settings(max_examples=150, deadline=None)
@given(st.booleans(), st.sampled_from([1, 3]), st.lists(steps, max_size=40))
@virtual
async def test_a_registry_is_a_multimap_of_the_living(unique: bool, partitions: int, plan: list[Any]) -> None:
    await Registry.start_link(name="r", keys="unique" if unique else "duplicate", partitions=partitions)
    pids = [spawn(worker) for _ in range(PROCESSES)]
    model: list[Entry] = []
    for step in plan:
        if step[0] == "turn":
            await Supervisor.which_children("r")
            await Process.sleep(0.01)
        elif step[0] == "die":
            ref = monitor(pids[step[1]])
            send_exit(pids[step[1]], atom(step[2]))
            if step[2] != "normal":
                await receive(ref)
                model = [entry for entry in model if entry[2] != pids[step[1]]]
                pids[step[1]] = spawn(worker)
        else:
            action, number, key, *rest = step
            pid, kind = pids[number], type(key).__name__
            mine = [entry for entry in model if entry[:3] == (kind, key, pid)]
            if action == "register":
                holder = next((entry[2] for entry in model if entry[:2] == (kind, key)), None)
                answer = await told(pid, lambda: Registry.register("r", key, rest[0]))
                if unique and holder is not None:
                    assert answer == ("taken", holder)
                else:
                    assert answer == "done"
                    model.append((kind, key, pid, rest[0]))
            elif action == "unregister":
                await told(pid, lambda: Registry.unregister("r", key))
                model = [entry for entry in model if entry not in mine]
            elif action == "unregister_match":
                await told(pid, lambda: Registry.unregister_match("r", key, rest[0]))
                model = [entry for entry in model if entry not in mine or entry[3] != rest[0]]
            elif unique:
                await told(pid, lambda: Registry.update_value("r", key, lambda _: rest[0]))
                model = [(*entry[:3], rest[0]) if entry in mine else entry for entry in model]
        checked(unique, model, pids)
    for pid in pids:
        send_exit(pid, atom.kill)
    await Process.sleep(0.01)
    table = current_runtime().services["registries"]["r"]
    assert table.size == 0
    assert all(not partition.keys and not partition.held for partition in table.partitions)
