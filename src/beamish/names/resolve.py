"""Who keeps a name that two nodes had given to different processes before they met.

Only the node with the smaller name decides. It has the *method* of its own entry called, on the node of its own
process, as `global:resolve_it(Method, Name, HisPid, OurPid)`; the pid that comes back keeps the name, `none` (or
anything else) deletes it.

Methods on the wire are functions: `fun global:random_exit_name/3` and its two siblings, or any other `fun M:F/3`. OTP
sends its default as a closure of module `global`, which nobody but OTP can run; it means random_exit_name. Our own
callables travel as `fun M:F/3` with their Python module and name, and are looked up here when they come back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from beamish.names import messages as m
from beamish.names.actions import Action, KillPid, Log, SendPid, Term
from beamish.names.state import State
from beamish.names.strand import Activity, Await
from beamish.names.table import Entry, NameTable
from beamish.term import Atom, ExportFun, Fun, Pid, atom

Resolver = Callable[[Any, Pid, Pid], Any]
"""A Python method: (name, pid, pid2) gives the pid that keeps the name, or None."""

RESOLVE_IT: Final[Atom] = atom("resolve_it")
EXIT: Final[Atom] = atom("EXIT")
BADRPC: Final[Atom] = atom("badrpc")

RANDOM_EXIT_NAME: Final = ExportFun(m.GLOBAL, atom("random_exit_name"), 3)
"""Kill the process on the node with the greater name: Erlang's default and ours."""
RANDOM_NOTIFY_NAME: Final = ExportFun(m.GLOBAL, atom("random_notify_name"), 3)
"""Tell that process {global_name_conflict, Name}."""
NOTIFY_ALL_NAME: Final = ExportFun(m.GLOBAL, atom("notify_all_name"), 3)
"""Tell both {global_name_conflict, Name, Other} and delete the name."""
DELETE_NAME: Final = ExportFun(m.GLOBAL, m.NONE, 3)
"""Delete the name without a word. Not known to OTP, where a method that cannot be called has the same effect."""

STANDARD: Final = {
    "random_exit_name": RANDOM_EXIT_NAME,
    "random_notify_name": RANDOM_NOTIFY_NAME,
    "notify_all_name": NOTIFY_ALL_NAME,
    "none": DELETE_NAME,
}


def least_and_greatest(pid: Pid, pid2: Pid) -> tuple[Pid, Pid]:
    """By the names of their nodes."""
    return (pid, pid2) if pid.node.text < pid2.node.text else (pid2, pid)


def standard_outcome(method: Term, name: Term, pid: Pid, pid2: Pid) -> tuple[Term, list[Action]] | None:
    """What one of `global`'s own methods decides, and does. None for any other method."""
    least, greatest = least_and_greatest(pid, pid2)
    match method:
        case Fun(module=m.GLOBAL) | ExportFun(module=m.GLOBAL, function=Atom(text="random_exit_name"), arity=3):
            conflict = Log("info", f"global: name conflict about {name!r}, terminating {greatest!r}")
            return least, [conflict, KillPid(greatest)]
        case ExportFun(module=m.GLOBAL, function=Atom(text="random_notify_name"), arity=3):
            return least, [SendPid(greatest, (m.GLOBAL_NAME_CONFLICT, name))]
        case ExportFun(module=m.GLOBAL, function=Atom(text="notify_all_name"), arity=3):
            return m.NONE, [
                SendPid(pid, (m.GLOBAL_NAME_CONFLICT, name, pid2)),
                SendPid(pid2, (m.GLOBAL_NAME_CONFLICT, name, pid)),
            ]
        case ExportFun(module=m.GLOBAL, function=Atom(text="none"), arity=3):
            return m.NONE, []
    return None


class Methods:
    """The Python callables that were given as methods on this node, by the reference that stands for them."""

    def __init__(self) -> None:
        self._by_reference: dict[tuple[str, str], Resolver] = {}

    def term_of(self, resolve: Resolver | str | Term | None) -> Term:
        """The method term for what a user gave: None (the default), a standard name, a callable, or a term as it is.

        Raises ValueError for a name that is not one of `STANDARD`.
        """
        if resolve is None:
            return RANDOM_EXIT_NAME
        if isinstance(resolve, str):
            if resolve not in STANDARD:
                raise ValueError(
                    f"no such way to resolve a name conflict: {resolve!r}; there are {', '.join(STANDARD)}"
                )
            return STANDARD[resolve]
        if isinstance(resolve, (Fun, ExportFun)):
            return resolve
        if isinstance(resolve, tuple) and len(resolve) == 2 and all(isinstance(part, Atom) for part in resolve):
            return ExportFun(resolve[0], resolve[1], 3)
        if callable(resolve):
            return self._reference(resolve)
        raise ValueError(f"a name conflict is resolved by a function of (name, pid, pid2), not by {resolve!r}")

    def _reference(self, resolve: Resolver) -> ExportFun:
        module = getattr(resolve, "__module__", None) or type(resolve).__module__
        function = getattr(resolve, "__qualname__", None) or type(resolve).__qualname__
        base, number = function, 1
        while self._by_reference.setdefault((module, function), resolve) is not resolve:
            number += 1
            function = f"{base}#{number}"
        return ExportFun(atom(module), atom(function), 3)

    def callable_of(self, method: Term) -> Resolver | None:
        """The callable behind a method, if it was given on this node."""
        if isinstance(method, ExportFun) and method.arity == 3:
            return self._by_reference.get((method.module.text, method.function.text))
        return None


def exchange_names(
    state: State, names: NameTable, peer: Atom, his_names: list[Term], thorough: bool = False
) -> Activity[tuple[list[Term], list[Term]]]:
    """Compare a peer's names with ours; gives (what we have to do, what he has to do).

    thorough: insert again what we have already, so that those who joined us meanwhile are told.
    """
    ops: list[Term] = []
    his_ops: list[Term] = []
    for triple in his_names:
        match triple:
            case (name, Pid() as pid, method):
                pass
            case _:
                state.log("warning", f"global: {peer.text} sent a name we cannot read: {triple!r}")
                continue
        ours = names.lookup(name)
        if ours is None or (thorough and ours.pid == pid):
            ops.append((m.INSERT, (name, pid, method)))
        elif ours.pid != pid and state.node.text < peer.text:
            mine, his = yield from _settle(state, ours, (name, pid, method))
            ops.extend(mine)
            his_ops.extend(his)
    ops.reverse()
    his_ops.reverse()
    return ops, his_ops


def _settle(state: State, ours: Entry, theirs: tuple[Term, Pid, Term]) -> Activity[tuple[list[Term], list[Term]]]:
    """Let the method of our entry decide; gives (ops for us, ops for him)."""
    name, pid, _ = theirs
    keep_theirs: Term = (m.INSERT, theirs)
    delete: Term = (m.DELETE, name)
    ok, outcome = yield Await(lambda then: _call_method(state, ours, pid, then))
    if not ok:
        state.log("info", f"global: {ours.pid.node.text} could not decide the conflict about {name!r}: {outcome!r}")
        return [keep_theirs], []
    if isinstance(outcome, Pid) and outcome == pid:
        return [keep_theirs], []
    if isinstance(outcome, Pid) and outcome == ours.pid:
        return [], [(m.INSERT, (name, ours.pid, ours.method))]
    if outcome is not m.NONE and outcome is not None:
        state.log("info", f"global: method {ours.method!r} for the conflict about {name!r} gave {outcome!r}")
    return [delete], [delete]


def _call_method(state: State, ours: Entry, pid: Pid, then: Callable[[bool, Term], None]) -> None:
    if ours.pid.node is not state.node:
        state.resolve_remote(ours.pid.node, [ours.method, ours.name, pid, ours.pid], then)
        return
    standard = standard_outcome(ours.method, ours.name, pid, ours.pid)
    if standard is None:
        state.run_resolver(ours.method, ours.name, pid, ours.pid, then)
        return
    outcome, actions = standard
    state.out.extend(actions)
    then(True, outcome)
