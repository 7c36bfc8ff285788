"""Global locks: the table that each node keeps, and how to take a lock on several nodes.

A lock is `{ResourceId, RequesterId}`. It is granted when the resource is free or already held for the same requester,
so that several processes (the lockers of two nodes that join) may hold one lock together; each holder is watched and
lets go when it dies. Names change only while the resource `global` is locked everywhere; the boss (greatest node
name) is always asked first, so that those who compete meet there and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Final

from beamish.names import messages as m
from beamish.names.actions import Term
from beamish.names.state import RandomSource, State
from beamish.names.strand import Activity, Sleep, call_nodes
from beamish.term import Atom, Pid
from beamish.term.identity import identity

GLOBAL_KEY: Final[Hashable] = identity(m.GLOBAL)
LONGEST_SLEEP: Final = 8.0
"""Upper bound of the random pause between attempts, in seconds."""


@dataclass(slots=True)
class Lock:
    """A locked resource: for whom, and the processes that hold it with the keys of their monitors (None: ourselves)."""

    resource: Term
    requester: Term
    requester_key: Hashable
    holders: dict[Pid, int | None] = field(default_factory=dict)


class LockTable:
    """The locks set on this node."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._locks: dict[Hashable, Lock] = {}
        self.global_lock_down = False
        """The last holder of the global lock died with it: changes of names that it announced are not to be trusted."""

    def __len__(self) -> int:
        return len(self._locks)

    def holders(self) -> dict[Hashable, Lock]:
        """Every lock by the key of its resource, for inspection."""
        return dict(self._locks)

    def can_set(self, lock_id: tuple[Term, Term]) -> bool:
        """Whether a lock would be granted."""
        lock = self._locks.get(identity(lock_id[0]))
        return lock is None or lock.requester_key == identity(lock_id[1])

    def global_lock(self) -> Lock | None:
        """The lock on the resource `global`."""
        return self._locks.get(GLOBAL_KEY)

    def set(self, lock_id: tuple[Term, Term], pid: Pid) -> bool:
        """Grant or refuse a lock to a process."""
        resource, requester = lock_id
        key, requester_key = identity(resource), identity(requester)
        lock = self._locks.get(key)
        if lock is None:
            lock = self._locks[key] = Lock(resource, requester, requester_key)
        elif lock.requester_key != requester_key:
            return False
        if pid not in lock.holders:
            ours = pid == self._state.pid
            lock.holders[pid] = None if ours else self._state.monitor(pid, lambda: self._holder_died(key, lock, pid))
        return True

    def delete(self, lock_id: tuple[Term, Term], pid: Pid) -> None:
        """Let go of a lock; who does not hold it changes nothing."""
        resource, requester = lock_id
        key = identity(resource)
        lock = self._locks.get(key)
        if lock is not None and lock.requester_key == identity(requester):
            self._release(key, lock, pid, down=False)

    def _holder_died(self, key: Hashable, lock: Lock, pid: Pid) -> None:
        if self._locks.get(key) is lock:
            self._release(key, lock, pid, down=True)

    def _release(self, key: Hashable, lock: Lock, pid: Pid, *, down: bool) -> None:
        if pid not in lock.holders:
            return
        monitor = lock.holders.pop(pid)
        if monitor is not None:
            self._state.demonitor(monitor)
        if not lock.holders:
            del self._locks[key]
            if key == GLOBAL_KEY:
                self.global_lock_down = down


def random_pause(times: int, rng: RandomSource) -> float:
    """How long to sleep before the attempt after number `times`, in seconds: up to 1/8 s, doubling, at most 8 s."""
    longest = LONGEST_SLEEP if times > 5 else (1 << times) / 8
    return max(0.001, rng.random() * longest)


def set_lock_on_nodes(
    lock_id: tuple[Term, Term], nodes: Iterable[Atom], us: Atom, can_set: Callable[[tuple[Term, Term]], bool]
) -> Activity[bool]:
    """One attempt to take a lock on all those nodes at once; on a refusal nothing is kept.

    can_set: what our own table says, asked first so that a hopeless attempt costs no traffic. Nodes that cannot
    answer count as granted: they are gone or keep no locks.
    """
    wanted = list(dict.fromkeys(nodes))
    if not wanted:
        return True
    if len(wanted) > 1 and us in wanted and not can_set(lock_id):
        return False
    replies = yield from call_nodes(wanted, (m.SET_LOCK, lock_id))
    if all(reply is True for reply in replies.values()):
        return True
    granted = [node for node, reply in replies.items() if reply is True]
    if granted:
        yield from call_nodes(granted, (m.DEL_LOCK, lock_id))
    return False


def del_lock(lock_id: tuple[Term, Term], nodes: Iterable[Atom]) -> Activity[None]:
    """Let go of a lock on those nodes."""
    wanted = list(dict.fromkeys(nodes))
    if wanted:
        yield from call_nodes(wanted, (m.DEL_LOCK, lock_id))


def del_lock_boss_last(state: State, lock_id: tuple[Term, Term], nodes: Iterable[Atom]) -> Activity[None]:
    """Let go of a lock everywhere, at the boss last, where the next one waits."""
    wanted = list(dict.fromkeys(nodes))
    boss = state.boss(wanted)
    yield from del_lock(lock_id, [node for node in wanted if node is not boss])
    yield from del_lock(lock_id, [boss])


def set_lock(
    lock_id: tuple[Term, Term],
    nodes: Iterable[Atom],
    us: Atom,
    can_set: Callable[[tuple[Term, Term]], bool],
    retries: int | None,
    rng: RandomSource,
) -> Activity[bool]:
    """Take a lock on all those nodes, trying again after a random pause.

    retries: how often to try again; None for ever. False when the attempts are used up.
    """
    wanted = list(dict.fromkeys(nodes))
    times = 1
    while True:
        if (yield from set_lock_on_nodes(lock_id, wanted, us, can_set)):
            return True
        if retries is not None and times > retries:
            return False
        yield Sleep(random_pause(times, rng))
        times += 1
