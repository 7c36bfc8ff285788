"""The global names as this node holds them."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

from beamish.names import messages as m
from beamish.names.actions import NameEvent, Term
from beamish.names.locks import LockTable
from beamish.names.state import State
from beamish.term import Atom, Pid
from beamish.term.identity import identity


@dataclass(frozen=True, slots=True)
class Entry:
    """A registered name. method decides a conflict; it is stored and sent on as it came. monitor: key of the watch on
    pid."""

    name: Term
    pid: Pid
    method: Term
    monitor: int


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes a name: the process that called us, or the lock that an announced change relies on."""

    pid: Pid | None = None
    lock_id: Term = None


class NameTable:
    """name -> process, with a watch on every process."""

    def __init__(self, state: State, locks: LockTable, is_alive: Callable[[Pid], bool]) -> None:
        self._state = state
        self._locks = locks
        self._is_alive = is_alive
        self._entries: dict[Hashable, Entry] = {}
        self._by_pid: dict[Pid, dict[Hashable, None]] = {}
        self._ext: dict[Hashable, tuple[Term, Pid, Atom]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def lookup(self, name: Term) -> Entry | None:
        """The entry of a name, dead or alive."""
        return self._entries.get(identity(name))

    def whereis(self, name: Term) -> Pid | None:
        """The process of that name; a local one that is dead already is not given out."""
        entry = self._entries.get(identity(name))
        if entry is None or (entry.pid.node is self._state.node and not self._is_alive(entry.pid)):
            return None
        return entry.pid

    def names(self) -> list[Term]:
        """All names."""
        return [entry.name for entry in self._entries.values()]

    def names_of(self, pid: Pid) -> list[Term]:
        """The names of a process."""
        return [self._entries[key].name for key in self._by_pid.get(pid, ())]

    def triples(self) -> list[Term]:
        """All names as (name, pid, method), the way nodes exchange them."""
        return [(entry.name, entry.pid, entry.method) for entry in self._entries.values()]

    def names_ext(self) -> list[Term]:
        """The names of processes that no name server watches (C nodes), as (name, pid, registering node)."""
        return list(self._ext.values())

    def insert(self, name: Term, pid: Pid, method: Term, author: Author, *, reg_node: Atom | None = None) -> None:
        """Set a name, replacing whoever had it. Without the lock that it relies on, the name ends up absent."""
        key = identity(name)
        old = self._remove(key)
        if self._lock_still_set(author):
            monitor = self._state.monitor(pid, lambda: self._process_died(key, pid))
            self._entries[key] = Entry(name, pid, method, monitor)
            self._by_pid.setdefault(pid, {})[key] = None
            if reg_node is not None:
                self._ext[key] = (name, pid, reg_node)
        self._tell(name, old, self._entries.get(key))

    def delete(self, name: Term) -> None:
        """Remove a name; an absent one is no error."""
        self._tell(name, self._remove(identity(name)), None)

    def apply(self, ops: list[Term], names_ext: list[Term], author: Author) -> None:
        """Carry out {insert, {Name, Pid, Method}} and {delete, Name}; all inserts come first. Others are ignored."""
        inserts = [op[1] for op in ops if _is_insert(op)]
        for name, pid, method in inserts:
            reg_node = next(
                (
                    entry[2]
                    for entry in names_ext
                    if _is_ext(entry) and entry[1] == pid and identity(entry[0]) == identity(name)
                ),
                None,
            )
            self.insert(name, pid, method, author, reg_node=reg_node)
        for op in ops:
            if isinstance(op, tuple) and len(op) == 2 and op[0] is m.DELETE:
                self.delete(op[1])

    def _lock_still_set(self, author: Author) -> bool:
        """Whether the lock that guards a change is there: it may have been lost with its holder meanwhile."""
        lock = self._locks.global_lock()
        if lock is None:
            return not self._locks.global_lock_down
        if author.pid is not None:
            return author.pid in lock.holders
        return (
            isinstance(author.lock_id, tuple)
            and len(author.lock_id) == 2
            and identity(author.lock_id[1]) == lock.requester_key
        )

    def _process_died(self, key: Hashable, pid: Pid) -> None:
        entry = self._entries.get(key)
        if entry is not None and entry.pid == pid:
            self._tell(entry.name, self._remove(key), None)

    def _remove(self, key: Hashable) -> Entry | None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return None
        self._ext.pop(key, None)
        self._state.demonitor(entry.monitor)
        names = self._by_pid[entry.pid]
        del names[key]
        if not names:
            del self._by_pid[entry.pid]
        return entry

    def _tell(self, name: Term, old: Entry | None, new: Entry | None) -> None:
        before, after = old.pid if old else None, new.pid if new else None
        if before != after:
            self._state.out.append(NameEvent(name, before, after))


def _is_insert(op: Term) -> bool:
    return (
        isinstance(op, tuple)
        and len(op) == 2
        and op[0] is m.INSERT
        and isinstance(op[1], tuple)
        and len(op[1]) == 3
        and isinstance(op[1][1], Pid)
    )


def _is_ext(entry: Term) -> bool:
    return isinstance(entry, tuple) and len(entry) == 3 and isinstance(entry[2], Atom)
