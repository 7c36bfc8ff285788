"""The locker: one sequential activity per node that locks the partitions of two nodes while they agree on names.

For each session with an answering peer it holds a `Candidate`. When nothing happens for a while it picks one, locks
both partitions and tells the peer (*active*); when a peer tells that its locks are set, it locks its own partition
with the same lock id and answers (*passive*). Whoever has both starts the exchange and then holds the locks until the
session ends with a `Cancel`. One session is served at a time; messages of the others wait in the mailbox.

Source  kernel/src/global.erl of OTP 25, the locker process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from beamish.names import messages as m
from beamish.names.actions import SendPid, Term
from beamish.names.locks import LockTable, del_lock, del_lock_boss_last, set_lock_on_nodes
from beamish.names.state import State
from beamish.names.strand import Activity, Receive
from beamish.term import Atom, Pid

PATIENCE_ALONE: Final = 0.2
"""Seconds before a node that knows nobody takes the initiative."""
PATIENCE_LEAST: Final = 1.0
PATIENCE_PER_NODE: Final = 0.1
PATIENCE_MOST: Final = 3.0


Farewell = tuple[tuple[Atom, Term], ...]
"""Casts: (node, message)."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A peer that answered: one pairing of tags. A new pairing is a new object, never equal to an older one."""

    node: Atom
    locker: Pid
    version: int
    my_tag: int
    his_tag: int | None


@dataclass(frozen=True, slots=True)
class Cancel:
    """The pairing is over, for whatever reason. farewell: casts to be sent before the locks are let go."""

    candidate: Candidate
    farewell: Farewell = ()


@dataclass(frozen=True, slots=True)
class PeerLock:
    """A peer's lock_set. tag: ours as the peer knows it; None from peers that send none."""

    locker: Pid
    is_set: bool
    tag: int | None


LockerMessage = Candidate | Cancel | PeerLock


class Locker:
    """What the locker remembers between messages.

    on_locked(candidate, lock_id) is called when both partitions are locked.
    """

    def __init__(self, state: State, locks: LockTable, on_locked: Callable[[Candidate, Term], None]) -> None:
        self._state = state
        self._locks = locks
        self._on_locked = on_locked
        self._candidates: dict[Atom, Candidate] = {}
        self._host = _host_of(state.node)
        self.doing = "idle"
        """What it is at: idle, locking NODE, waiting for NODE, holding for NODE. For inspection."""

    @property
    def candidates(self) -> list[Atom]:
        """The peers it would still like to lock."""
        return list(self._candidates)

    def run(self) -> Activity[None]:
        """Serve sessions for ever."""
        just_synced = failed = False
        deadline: float | None = None
        while True:
            self.doing = "idle"
            if not self._candidates:
                deadline = None
            elif just_synced:
                deadline = self._state.now
            elif deadline is None or failed:
                deadline = self._state.now + self._patience(failed)
            failed = False
            timeout = None if deadline is None else max(0.0, deadline - self._state.now)
            message = yield Receive(None, timeout)
            if message is None:
                just_synced, deadline = False, None
                if self._locks.global_lock() is None:
                    just_synced = yield from self._take_initiative()
                failed = not just_synced
            else:
                just_synced = (yield from self._handle(message)) or just_synced

    def _patience(self, failed: bool) -> float:
        """How long to wait for others to begin; after a collision not the same for everybody."""
        known = len(self._state.known)
        patience = min(PATIENCE_LEAST + PATIENCE_PER_NODE * known, PATIENCE_MOST) if known else PATIENCE_ALONE
        return patience * (0.5 + 0.5 * self._state.rng.random()) if failed else patience

    def _handle(self, message: LockerMessage) -> Activity[bool]:
        """One message while idle; True when a session was served to its end."""
        match message:
            case Candidate():
                self._candidates[message.node] = message
            case Cancel(candidate, farewell):
                self._say(farewell)
                self._forget(candidate)
            case PeerLock(is_set=True):
                return (yield from self._answer(message))
        return False

    def _answer(self, peer: PeerLock) -> Activity[bool]:
        """Passive side: the peer has its locks; take ours with the same id."""
        him = self._candidates.get(peer.locker.node)
        if him is None or (peer.tag is not None and peer.tag != him.my_tag):
            refusal = m.lock_set(self._state.pid, False, list(self._state.known), None)
            self._state.out.append(SendPid(peer.locker, refusal))
            return False
        self.doing = f"locking for {him.node.text}"
        lock_id = self._lock_id(peer.locker)
        locked = yield from self._lock_partition(lock_id, None)
        self._tell_peer(him, locked is not None)
        if locked is None:
            return False
        self._on_locked(him, lock_id)
        yield from self._hold(him, lock_id, locked)
        return True

    def _take_initiative(self) -> Activity[bool]:
        """Active side: lock both partitions, tell the peer, wait for its answer."""
        for node in [node for node in self._candidates if node in self._state.known]:
            del self._candidates[node]
        him = self._choose()
        if him is None:
            return False
        self.doing = f"locking with {him.node.text}"
        lock_id = self._lock_id(him.locker)
        locked = yield from self._lock_partition(lock_id, him.node)
        if locked is None:
            return False
        self._tell_peer(him, True)
        self.doing = f"waiting for {him.node.text}"
        while True:
            answer: PeerLock | Cancel = yield Receive(lambda message: _concerns(message, him))
            match answer:
                case Cancel(farewell=farewell):
                    self._say(farewell)
                    self._forget(him)
                    yield from del_lock_boss_last(self._state, lock_id, locked)
                    return False
                case PeerLock(tag=tag) if tag is not None and tag != him.my_tag:
                    continue
                case PeerLock(is_set=False):
                    yield from del_lock_boss_last(self._state, lock_id, locked)
                    return False
            break
        self._on_locked(him, lock_id)
        yield from self._hold(him, lock_id, locked)
        return True

    def _hold(self, him: Candidate, lock_id: tuple[Term, Term], locked: list[Atom]) -> Activity[None]:
        """Keep the locks until the session ends, then let go of the boss last."""
        self.doing = f"holding for {him.node.text}"
        cancel: Cancel = yield Receive(lambda message: isinstance(message, Cancel) and message.candidate is him)
        self._say(cancel.farewell)
        self._forget(him)
        self.doing = f"releasing for {him.node.text}"
        yield from del_lock_boss_last(self._state, lock_id, locked)

    def _lock_partition(self, lock_id: tuple[Term, Term], peer: Atom | None) -> Activity[list[Atom] | None]:
        """Lock the boss, then ourselves and the peer, then all others we know; gives the nodes, or None with nothing
        held."""
        us = self._state.node
        boss = self._state.boss([us, *self._state.known])
        if boss is not us and not self._locks.can_set(lock_id):
            return None
        if not (yield from self._attempt(lock_id, [boss])):
            return None
        known = list(self._state.known)
        near = [node for node in (us, peer) if node is not None and node is not boss]
        if not (yield from self._attempt(lock_id, near)):
            yield from del_lock(lock_id, [boss])
            return None
        far = [node for node in known if node is not boss and node not in near]
        if not (yield from self._attempt(lock_id, far)):
            yield from del_lock_boss_last(self._state, lock_id, [*near, boss])
            return None
        return list(dict.fromkeys([boss, *near, *far]))

    def _attempt(self, lock_id: tuple[Term, Term], nodes: list[Atom]) -> Activity[bool]:
        return set_lock_on_nodes(lock_id, nodes, self._state.node, self._locks.can_set)

    def _choose(self) -> Candidate | None:
        """Any candidate, those on our own host first."""
        if not self._candidates:
            return None
        near = [him for him in self._candidates.values() if _host_of(him.node) == self._host]
        pool = near or list(self._candidates.values())
        return pool[min(int(self._state.rng.random() * len(pool)), len(pool) - 1)]

    def _forget(self, him: Candidate) -> None:
        if self._candidates.get(him.node) is him:
            del self._candidates[him.node]

    def _lock_id(self, his_locker: Pid) -> tuple[Term, Term]:
        """The same on both sides: the lockers in Erlang's order."""
        return (m.GLOBAL, sorted([self._state.pid, his_locker]))

    def _tell_peer(self, him: Candidate, is_set: bool) -> None:
        tag = him.his_tag if him.version >= m.VERIFY_VERSION else None
        message = m.lock_set(self._state.pid, is_set, list(self._state.known), tag)
        self._state.cast(him.node, message)

    def _say(self, farewell: Farewell) -> None:
        for node, message in farewell:
            self._state.cast(node, message)


def _concerns(message: Any, him: Candidate) -> bool:
    """What the active side waits for: its peer's lock_set, or the end of the session."""
    if isinstance(message, Cancel):
        return message.candidate is him
    return isinstance(message, PeerLock) and message.locker.node is him.node


def _host_of(node: Atom) -> str:
    return node.text.partition("@")[2]
