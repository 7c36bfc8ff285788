"""The registrar: changes of names that this node asks for, one after the other, each under the global lock of all
nodes.

Source  kernel/src/global.erl of OTP 25, the registrar process.
"""

from __future__ import annotations

from dataclasses import dataclass

from beamish.names import messages as m
from beamish.names.actions import Caller, Reply, Term
from beamish.names.locks import LockTable, del_lock, del_lock_boss_last, random_pause, set_lock_on_nodes
from beamish.names.state import State
from beamish.names.strand import Activity, Receive, Sleep, call_nodes
from beamish.names.table import NameTable
from beamish.term import Atom, Pid


@dataclass(frozen=True, slots=True)
class Change:
    """A wish of a local caller. kind: register, re_register or unregister; pid is None for the last."""

    kind: Atom
    caller: Caller
    name: Term
    pid: Pid | None = None
    method: Term = None


class Registrar:
    """Carries out changes of names."""

    def __init__(self, state: State, names: NameTable, locks: LockTable) -> None:
        self._state = state
        self._names = names
        self._locks = locks
        self.doing = "idle"

    def run(self) -> Activity[None]:
        """Serve changes for ever."""
        lock_id = (m.GLOBAL, self._state.pid)
        while True:
            self.doing = "idle"
            change: Change = yield Receive()
            self.doing = f"locking for {change.name!r}"
            nodes = yield from self._lock_all_known(lock_id)
            self.doing = f"telling all about {change.name!r}"
            answer = yield from self._carry_out(change, nodes)
            self.doing = f"releasing for {change.name!r}"
            yield from del_lock_boss_last(self._state, lock_id, nodes)
            self._state.out.append(Reply(change.caller, answer))

    def _carry_out(self, change: Change, nodes: list[Atom]) -> Activity[Term]:
        if change.kind is m.UNREGISTER:
            yield from call_nodes(nodes, (m.UNREGISTER, change.name))
            return m.OK
        if change.kind is m.REGISTER and not self._may_register(change):
            return m.NO
        yield from call_nodes(nodes, (m.REGISTER, change.name, change.pid, change.method))
        return m.YES

    def _may_register(self, change: Change) -> bool:
        """The name is free, and the process has no other."""
        if change.pid is None or self._names.whereis(change.name) is not None:
            return False
        others = self._names.names_of(change.pid)
        if others:
            self._state.log(
                "error", f"global: {change.pid!r} registered under several names: {[change.name, *others]!r}"
            )
        return not others

    def _lock_all_known(self, lock_id: tuple[Term, Term]) -> Activity[list[Atom]]:
        """Lock the boss, then everybody; gives the locked nodes. Tries until it succeeds."""
        state, times = self._state, 0
        while True:
            nodes = [state.node, *state.known]
            boss = state.boss(nodes)
            if (yield from set_lock_on_nodes(lock_id, [boss], state.node, self._locks.can_set)):
                if (yield from set_lock_on_nodes(lock_id, nodes, state.node, self._locks.can_set)):
                    if all(node in nodes for node in state.known):
                        return nodes
                    yield from del_lock_boss_last(state, lock_id, nodes)  # somebody joined meanwhile
                else:
                    yield from del_lock(lock_id, [boss])
            yield Sleep(random_pause(times, state.rng))
            times += 1
