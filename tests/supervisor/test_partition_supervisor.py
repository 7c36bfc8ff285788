"""`PartitionSupervisor` on the virtual clock."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from beamish.errors import NoProcess, StartError
from beamish.gen_server import CallFailed, GenServer, call, cast
from beamish.process import Process, monitor, receive, register, self, send, trap_exit
from beamish.supervisor import BadOption, DynamicSupervisor, PartitionSupervisor
from beamish.supervisor.partition import partition_of
from beamish.term import Pid, atom
from beamish.testing import advance, capture_log, virtual


class Counts(GenServer):
    """One partition."""

    def init(self, label: Any = None, partition: int | None = None) -> None:
        self.label, self.partition, self.seen = label, partition, 0

    @call
    def where(self) -> tuple[Any, ...]:
        """Who it is."""
        return self.pid, self.label, self.partition

    @cast
    def note(self) -> None:
        """Count."""
        self.seen += 1


@virtual
async def test_a_key_leads_to_one_of_them_always_the_same() -> None:
    top = await PartitionSupervisor.start_link(Counts, name="counts", partitions=4)
    assert top.partitions() == PartitionSupervisor.partitions("counts") == 4
    found = Counter([(await Counts.at(PartitionSupervisor.via("counts", key)).where())[0] for key in range(40)])
    assert sorted(found.values()) == [10, 10, 10, 10]
    listed = await top.which_children()
    assert [child.id for child in listed] == [3, 2, 1, 0]
    assert {child.pid for child in listed} == set(found)
    for key in ("a", ("b", 1), self(), atom.c, 1.5, -7):
        pids = {(await Counts.at(PartitionSupervisor.via(top, key)).where())[0] for _ in range(3)}
        assert pids == {PartitionSupervisor.whereis("counts", key)}
    Counts.at(PartitionSupervisor.via("counts", 1)).note()
    send(PartitionSupervisor.via("counts", 1).whereis(), "hello")


def test_keys() -> None:
    assert [partition_of(key, 4) for key in (0, 1, 5, -5, 4)] == [0, 1, 1, 1, 0]
    spread = Counter(partition_of(f"user-{number}", 8) for number in range(4000))
    assert min(spread.values()) > 300
    assert partition_of(True, 10**6) != 1


@virtual
async def test_a_partition_that_was_started_again_is_found() -> None:
    await PartitionSupervisor.start_link(Counts, name="counts", partitions=2)
    via = PartitionSupervisor.via("counts", 1)
    old = via.whereis()
    ref = monitor(old)
    with capture_log():
        Process.exit(old, atom.kill)
        await receive(ref)
        await advance(0.1)
    pid, _, _ = await Counts.at(via).where()
    assert pid != old
    assert pid == via.whereis()


@virtual
async def test_arguments_for_each_partition() -> None:
    def each(args: tuple[Any, ...], partition: int) -> list[Any]:
        return [*args, partition]

    await PartitionSupervisor.start_link((Counts, "label"), name="counts", partitions=3, with_arguments=each)
    told = [(await Counts.at(PartitionSupervisor.via("counts", key)).where())[1:] for key in range(3)]
    assert told == [("label", 0), ("label", 1), ("label", 2)]


@virtual
async def test_of_dynamic_supervisors() -> None:
    await PartitionSupervisor.start_link(DynamicSupervisor, name="pools", partitions=2)
    for key in range(6):
        await DynamicSupervisor.start_child(PartitionSupervisor.via("pools", key), Counts)
    assert [(await DynamicSupervisor.count_children(PartitionSupervisor.via("pools", key))).active for key in (0, 1)] == [3, 3]


@virtual
async def test_mistakes() -> None:
    trap_exit(True)
    with pytest.raises(BadOption, match="partitions must be a number above 0, not 0"):
        await PartitionSupervisor.start_link(Counts, name="counts", partitions=0)
    with pytest.raises(BadOption, match="with_arguments must give a list"):
        await PartitionSupervisor.start_link(Counts, name="counts", with_arguments=lambda args, n: n)
    with pytest.raises(NoProcess, match="nobody is no partition supervisor"):
        PartitionSupervisor.whereis("nobody", 1)
    with capture_log(), pytest.raises(StartError, match="leads to a partition"):
        await Counts.start_link(name=PartitionSupervisor.via("nobody", 1))
    register("me", self())
    with pytest.raises(NoProcess):
        PartitionSupervisor.whereis("me", 1)


@virtual
async def test_a_table_ends_with_its_supervisor() -> None:
    trap_exit(True)
    top = await PartitionSupervisor.start_link(Counts, name="counts", partitions=2)
    await top.stop()
    with pytest.raises(NoProcess):
        PartitionSupervisor.whereis("counts", 1)
    killed = await PartitionSupervisor.start_link(Counts, name="counts", partitions=2)
    pid = killed.pid
    Process.exit(pid, atom.kill)
    await receive((atom.EXIT, pid, atom.killed))
    again = await PartitionSupervisor.start_link(Counts, name="counts", partitions=3)
    assert again.partitions() == 3
    with pytest.raises(NoProcess):
        PartitionSupervisor.whereis(pid, 1)


@virtual
async def test_a_partition_that_does_not_run() -> None:
    top = await PartitionSupervisor.start_link(Counts.child_spec(restart="transient"), name="counts", partitions=1)
    (child,) = await top.which_children()
    assert isinstance(child.pid, Pid)
    await GenServer.stop(child.pid)
    await advance(0.1)
    via = PartitionSupervisor.via("counts", 0)
    assert via.whereis() is None
    with pytest.raises(CallFailed):
        await Counts.at(via).where()
    with pytest.raises(NoProcess, match="does not run at the moment"):
        via.send("hello")
