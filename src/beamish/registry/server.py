"""The processes of a registry: a supervisor under the registry's name, and one server per partition.

A server is linked to every process that has entries in its partition. When such a process dies the server takes its entries
out; when the server dies, the processes get its exit signal, for they can no longer be found.
"""

from __future__ import annotations

from typing import Any

from beamish.gen_server import GenServer
from beamish.gen_server.child_spec import ChildSpec
from beamish.process import current_process, trap_exit
from beamish.registry.table import Table
from beamish.task.endings import at_exit
from beamish.term import atom


class PartitionServer(GenServer):
    """Cleans up after the dead."""

    def init(self, table: Table, index: int) -> None:
        """Take over a partition, empty by now."""
        trap_exit(True)
        self.table = table
        self.partition = table.partitions[index]
        partition = self.partition
        partition.server = self.pid
        process = current_process()
        assert process is not None
        at_exit(process, lambda _reason: table.clear(partition))

    def handle_call(self, request: Any, from_: Any) -> Any:
        """`sync`: answered when everybody who died before has been forgotten."""
        if request is atom.sync:
            return atom.ok
        return super().handle_call(request, from_)

    def handle_info(self, message: Any) -> None:
        """A process with entries has died."""
        match message:
            case (atom.EXIT, pid, _):
                self.table.forget(pid)

    def get_state(self) -> Any:
        """For `:sys.get_state`: how many processes have entries here."""
        return {atom.registry: self.table.name, atom.processes: len(self.partition.held)}


def partition_specs(table: Table) -> list[ChildSpec]:
    """What the supervisor of a registry starts."""

    names = [partition_name(table, index) for index in range(len(table.partitions))]
    return [
        ChildSpec(id=name, start=(PartitionServer.start_link, (table, index), {"name": name}), modules=(PartitionServer,))
        for index, name in enumerate(names)
    ]


def partition_name(table: Table, index: int) -> Any:
    """`Elixir.MyRegistry.PIDPartition0`, as Elixir calls it."""
    return atom(f"{table.name}.PIDPartition{index}")


__all__ = ["PartitionServer", "partition_name", "partition_specs"]
