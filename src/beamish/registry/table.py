"""The table of one registry: who is registered under which key, kept in the memory of its node.

Reading and writing are plain function calls in the process that asks; nobody is sent a message. The server processes of a
registry (`beamish.registry.server`) only learn, through links, who has died.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Any, TypeAlias

from beamish.errors import NameTaken, NoProcess
from beamish.process import Kernel, link, unlink
from beamish.registry.keys import key_of
from beamish.registry.patterns import Predicate
from beamish.term import Atom, Pid, atom

Pair: TypeAlias = tuple[Pid, Any]
Row: TypeAlias = tuple[Any, Pid, Any]


class AlreadyRegistered(NameTaken):
    """The key of a unique registry belongs to a living process: `pid`."""

    def __init__(self, message: str, pid: Pid) -> None:
        super().__init__(message)
        self.pid = pid


class Partition:
    """The entries of some of the processes, and the server process that is linked to them."""

    __slots__ = ("held", "keys", "server")

    def __init__(self, keys: dict[Hashable, Any]) -> None:
        self.keys = keys
        """Key -> ``(pid, value)`` in a unique registry, ``{pid: [value, …]}`` in one with duplicates."""
        self.held: dict[Pid, dict[Hashable, Any]] = {}
        """Process -> its keys: as they are compared -> as they were given."""
        self.server: Pid | None = None


class Table:
    """One registry."""

    __slots__ = ("alive", "home", "keys", "listeners", "locks", "meta", "name", "partitions", "size", "unique")

    def __init__(
        self, home: Kernel, name: Atom, unique: bool, partitions: int, listeners: Iterable[Atom], meta: dict[Any, Any]
    ) -> None:  # fmt: skip
        self.home = home
        self.alive = home.process_of
        self.name = name
        self.unique = unique
        self.listeners = tuple(listeners)
        self.meta = meta
        self.locks: dict[Hashable, list[Any]] = {}
        self.size = 0
        self.keys: dict[Hashable, Pair] = {}
        """All the keys of a unique registry."""
        self.partitions = [Partition(self.keys if unique else {}) for _ in range(partitions)]

    def partition_of(self, pid: Pid) -> Partition:
        """Where a process's entries are."""
        partitions = self.partitions
        return partitions[0] if len(partitions) == 1 else partitions[pid.id % len(partitions)]

    # ---- writing

    def add(self, pid: Pid, key: Any, value: Any) -> Pid:
        """Register the current process, `pid`; gives the server it is now linked to. Raises AlreadyRegistered, NoProcess."""
        compared = key_of(key)
        partition = self.partition_of(pid)
        server = partition.server
        if server is None:
            raise NoProcess(f"the registry {self.name} is not running: it has crashed and is not restarted yet")
        if self.unique:
            owner = self.owner(compared)
            if owner is not None:
                raise AlreadyRegistered(f"the key {key!r} of the registry {self.name} belongs to {owner[0]}", owner[0])
        link(server)
        if self.unique:
            # One that died a moment ago still counts, until its server has heard of it; its entry is overwritten here.
            self.size += compared not in self.keys
            self.keys[compared] = (pid, value)
        else:
            self.size += 1
            partition.keys.setdefault(compared, {}).setdefault(pid, []).append(value)
        partition.held.setdefault(pid, {})[compared] = key
        self.tell((atom.register, self.name, key, pid, value))
        return server

    def remove(self, pid: Pid, key: Any, fits: Predicate | None = None) -> None:
        """Unregister the current process, `pid`, from a key: all its entries, or those whose value fits."""
        compared = key_of(key)
        partition = self.partition_of(pid)
        held = partition.held.get(pid)
        if held is None or compared not in held:
            if fits is None:
                self.tell((atom.unregister, self.name, key, pid))
            return
        if fits is not None and not self._remove_some(partition, pid, compared, fits):
            return
        if fits is None:
            self._drop(partition, pid, compared)
        del held[compared]
        if not held:
            del partition.held[pid]
            if partition.server is not None:
                unlink(partition.server)
        self.tell((atom.unregister, self.name, key, pid))

    def _remove_some(self, partition: Partition, pid: Pid, compared: Hashable, fits: Predicate) -> bool:
        """Remove the entries whose value fits; True if the process has none left under the key."""
        if self.unique:
            if not fits(self.keys[compared][1]):
                return False
            self._drop(partition, pid, compared)
            return True
        holders = partition.keys[compared]
        kept = [value for value in holders[pid] if not fits(value)]
        self.size -= len(holders[pid]) - len(kept)
        holders[pid] = kept
        if kept:
            return False
        self._drop(partition, pid, compared)
        return True

    def _drop(self, partition: Partition, pid: Pid, compared: Hashable) -> None:
        if self.unique:
            pair = self.keys.get(compared)
            if pair is not None and pair[0] == pid:
                del self.keys[compared]
                self.size -= 1
            return
        holders = partition.keys[compared]
        self.size -= len(holders.pop(pid))
        if not holders:
            del partition.keys[compared]

    def forget(self, pid: Pid) -> None:
        """A process has died: all its entries go."""
        partition = self.partition_of(pid)
        for compared in partition.held.pop(pid, ()):
            self._drop(partition, pid, compared)

    def clear(self, partition: Partition) -> None:
        """The server of a partition has died: what it would have to clean up goes at once."""
        partition.server = None
        for pid in list(partition.held):
            self.forget(pid)

    def replace(self, pid: Pid, key: Any, value: Any) -> None:
        """Another value for a key that the process has in a unique registry."""
        self.keys[key_of(key)] = (pid, value)

    def tell(self, message: Any) -> None:
        """Send to the listeners; one that is not there misses it."""
        for listener in self.listeners:
            self.home.deliver_name(listener, message)

    # ---- reading: nobody sees an entry of a dead process

    def owner(self, compared: Hashable) -> Pair | None:
        """The living process that has a key of a unique registry, and its value."""
        pair = self.keys.get(compared)
        return pair if pair is not None and self.alive(pair[0]) is not None else None

    def pairs(self, partition: Partition, compared: Hashable) -> list[Pair]:
        """The living processes under a key of a registry with duplicates, in one partition, and their values."""
        alive = self.alive
        holders = partition.keys.get(compared)
        if not holders:
            return []
        return [(pid, value) for pid, values in holders.items() if alive(pid) is not None for value in values]

    def groups(self, key: Any) -> Iterator[list[Pair]]:
        """The entries under a key, partition by partition, without the empty ones."""
        compared = key_of(key)
        if self.unique:
            pair = self.owner(compared)
            if pair is not None:
                yield [pair]
            return
        for partition in self.partitions:
            found = self.pairs(partition, compared)
            if found:
                yield found

    def values(self, key: Any, pid: Pid) -> list[Any]:
        """The values of one process under a key."""
        compared = key_of(key)
        if self.unique:
            pair = self.owner(compared)
            return [pair[1]] if pair is not None and pair[0] == pid else []
        if self.alive(pid) is None:
            return []
        return list(self.partition_of(pid).keys.get(compared, {}).get(pid, ()))

    def keys_of(self, pid: Pid) -> list[Any]:
        """The keys of one process; one that it has several times comes as often."""
        partition = self.partition_of(pid)
        held = partition.held.get(pid)
        if held is None or self.alive(pid) is None:
            return []
        if self.unique:
            return list(held.values())
        return [key for compared, key in held.items() for _ in partition.keys[compared][pid]]

    def rows(self) -> Iterator[Row]:
        """Every entry of a living process, as ``(key, pid, value)``."""
        alive = self.alive
        for partition in self.partitions:
            for pid, held in list(partition.held.items()):
                if alive(pid) is None:
                    continue
                for compared, key in list(held.items()):
                    if self.unique:
                        yield key, pid, self.keys[compared][1]
                    else:
                        for value in list(partition.keys[compared][pid]):
                            yield key, pid, value

    def count(self) -> int:
        """How many entries of living processes there are: at once, unless servers have yet to hear of a death."""
        for partition in self.partitions:
            server = None if partition.server is None else self.alive(partition.server)
            if server is not None and server.details["queue"]:
                return sum(1 for _ in self.rows())
        return self.size


__all__ = ["AlreadyRegistered", "Pair", "Partition", "Row", "Table"]
