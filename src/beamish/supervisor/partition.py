"""`PartitionSupervisor`: the same child several times over, and a name that leads to one of them by a key.

    await PartitionSupervisor.start_link(Counter, name="counters", partitions=4)
    counter = Counter.at(PartitionSupervisor.via("counters", user_id))

Its children have the ids 0 to ``partitions - 1``. An integer key leads to ``abs(key) % partitions``, any other term to its
checksum modulo that; nobody may rely on which. Looking a partition up asks no process.

Source  Elixir 1.14: partition_supervisor.ex.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from typing import Any, ClassVar, Final

from beamish import etf
from beamish.errors import NoProcess
from beamish.gen_server.target import pid_of, shown
from beamish.node.runtime import Runtime, current_runtime
from beamish.process import current_scheduler, send
from beamish.supervisor.child_spec import ChildSpec, child_spec, replace
from beamish.supervisor.child_terms import start_parts
from beamish.supervisor.events import Child
from beamish.supervisor.face import AnySupervisor
from beamish.supervisor.intensity import BadOption
from beamish.supervisor.server import Plan
from beamish.supervisor.tree_server import TreeServer
from beamish.term import Pid, atom

_SERVICE: Final = "partition_supervisors"


class PartitionServer(TreeServer):
    """A supervisor that lets this node's processes see its children."""

    async def begin(self, plan: Plan) -> Any:
        """Be found by pid, then start the children."""
        tables = tables_of(self.runtime)
        for pid in [pid for pid in tables if self.runtime.process_of(pid) is None]:
            del tables[pid]
        tables[self.pid] = list(self.tree.children.values())
        return await super().begin(plan)

    async def terminate(self, reason: Any) -> None:
        """Stop the children; who looks for them meanwhile finds those that still run."""
        await super().terminate(reason)
        tables_of(self.runtime).pop(self.pid, None)


def tables_of(runtime: Runtime) -> dict[Pid, list[Child]]:
    """The partitions of each partition supervisor of a node."""
    tables: dict[Pid, list[Child]] = runtime.services.setdefault(_SERVICE, {})
    return tables


class PartitionSupervisor(AnySupervisor):
    """A supervisor of equal children. An instance is a handle."""

    server_class: ClassVar[Any] = PartitionServer

    def init(
        self, child: Any, *, partitions: int | None = None, with_arguments: Callable[[tuple[Any, ...], int], Any] | None = None,
        strategy: str = "one_for_one", max_restarts: int = 3, max_seconds: float = 5.0,
    ) -> Any:  # fmt: skip
        """child: what each partition runs. partitions: how many; the number of processors. with_arguments: gets the arguments of
        the child's start function and the number of the partition, and gives the arguments for that partition."""
        count = os.cpu_count() or 1 if partitions is None else partitions
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise BadOption(f"partitions must be a number above 0, not {partitions!r}", (atom.badarg, repr(partitions)))
        spec = child_spec(child)
        children = [self._partition(spec, number, with_arguments) for number in range(count)]
        return children, {"strategy": strategy, "max_restarts": max_restarts, "max_seconds": max_seconds}

    @staticmethod
    def _partition(spec: ChildSpec, number: int, with_arguments: Callable[[tuple[Any, ...], int], Any] | None) -> ChildSpec:
        if with_arguments is None:
            return replace(spec, id=number)
        function, args, kwargs = start_parts(spec.start)
        given = with_arguments(args, number)
        if not isinstance(given, list | tuple):
            raise BadOption(f"with_arguments must give a list of arguments, not {given!r}", (atom.badarg, repr(given)))
        return replace(spec, id=number, start=(function, tuple(given), kwargs))

    @staticmethod
    def via(supervisor: Any, key: Any) -> Via:
        """The name of the partition for a key: to be used wherever a server is meant. supervisor: a name, pid or handle, of a
        partition supervisor of this node."""
        return Via(supervisor, key)

    @staticmethod
    def whereis(supervisor: Any, key: Any) -> Pid | None:
        """The pid of the partition for a key; None while it does not run. Raises NoProcess."""
        table = _table(supervisor)
        return table[partition_of(key, len(table))].pid

    def partitions(supervisor: Any) -> int:
        """How many partitions there are. Raises NoProcess."""
        return len(_table(supervisor))


def _table(supervisor: Any) -> list[Child]:
    pid = pid_of(supervisor)
    table = None if pid is None else tables_of(current_runtime()).get(pid)
    if table is None:
        home = current_scheduler()
        raise NoProcess(f"{shown(supervisor)} is no partition supervisor of {home.node if home else 'this node'}")
    return table


def partition_of(key: Any, partitions: int) -> int:
    """The number of the partition for a key."""
    if isinstance(key, int) and not isinstance(key, bool):
        return abs(key) % partitions
    return zlib.crc32(etf.encode(key)) % partitions


class Via:
    """A registered name object (see `beamish.gen_server.target`): the partition of a supervisor for a key."""

    __slots__ = ("key", "supervisor")

    def __init__(self, supervisor: Any, key: Any) -> None:
        self.supervisor = supervisor
        self.key = key

    def whereis(self) -> Pid | None:
        """The partition's pid; None while it does not run. Raises NoProcess if there is no such supervisor."""
        return PartitionSupervisor.whereis(self.supervisor, self.key)

    def send(self, message: Any) -> None:
        """Send to the partition. Raises NoProcess."""
        pid = self.whereis()
        if pid is None:
            raise NoProcess(f"the partition of {shown(self.supervisor)} for {self.key!r} does not run at the moment")
        send(pid, message)

    def register(self, pid: Pid) -> bool:
        """Refused: the partitions are the supervisor's own children."""
        raise TypeError(f"{self!r} leads to a partition; nothing can be registered under it")

    def unregister(self) -> None:
        """Refused, as `register` is."""
        raise TypeError(f"{self!r} leads to a partition; it cannot be unregistered")

    def __repr__(self) -> str:
        return f"PartitionSupervisor.via({self.supervisor!r}, {self.key!r})"


__all__ = ["PartitionServer", "PartitionSupervisor", "Via", "partition_of"]
