"""What clients ask of a supervisor on any node, Elixir's and Erlang's included, and what they make of the answers."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final, NamedTuple

from beamish.errors import AlreadyStarted, BeamishError, StartError
from beamish.gen_server import client
from beamish.gen_server.target import address, is_global, shown
from beamish.process import current_scheduler
from beamish.supervisor.child_spec import ChildSpec, child_spec, id_of, shown_id
from beamish.supervisor.child_terms import by_name_only, to_dynamic, to_map
from beamish.supervisor.report import readable
from beamish.term import Atom, Pid, atom

_OK: Final = atom.ok
_ERROR: Final = atom.error


class NoChild(BeamishError, LookupError):
    """The supervisor has no such child."""


class ChildBusy(BeamishError):
    """The child runs, or is being restarted, and what was asked is only for one that does not; `reason` says which."""

    def __init__(self, message: str, reason: Atom) -> None:
        super().__init__(message)
        self.reason = reason


class ChildInfo(NamedTuple):
    """One child. pid: `atom.restarting` or `atom.undefined` where there is none at the moment; type: worker or supervisor."""

    id: Any
    pid: Any
    type: Atom
    modules: Any


class Counts(NamedTuple):
    """How many children: specifications, running ones, and those of each type whether they run or not."""

    specs: int
    active: int
    supervisors: int
    workers: int


def ask(target: Any, request: Any) -> Awaitable[Any]:
    """Call a supervisor; it may be busy for as long as a child takes to start or stop. Raises CallFailed."""
    return client.call(target, request, None)


def is_here(target: Any) -> bool:
    """Whether a supervisor lives on this node, so that a child may be any function."""
    home = current_scheduler() or getattr(target, "_home", None)
    if home is None:
        return True
    if target.__class__ is Pid:
        return target.node is home.node
    where = target if is_global(target) else address(target)
    node = where.node if where.__class__ is Pid else where[1] if where.__class__ is tuple and not is_global(where) else home.node
    return node is home.node


def request_of(target: Any, child: Any, *, dynamic: bool) -> Any:
    """The child as this supervisor is asked for it. Raises BadChildSpec."""
    spec = child_spec(child)
    if is_here(target):
        return spec
    spec = by_name_only(spec)
    return to_dynamic(spec) if dynamic else to_map(spec)


async def start_child(target: Any, child: Any, *, dynamic: bool) -> Any:
    """Ask for one more child and give its pid; ``(pid, info)`` if its start function gave more, None if it chose not to start.

    Raises BadChildSpec, AlreadyStarted, StartError, CallFailed.
    """
    answer = await ask(target, (atom.start_child, request_of(target, child, dynamic=dynamic)))
    return started(answer, target, child)


def started(answer: Any, target: Any, child: Any) -> Any:
    """The answer to start_child or restart_child."""
    if answer.__class__ is tuple:
        if answer[0] is _OK:
            pid = None if answer[1] is atom.undefined else answer[1]
            return pid if len(answer) == 2 else (pid, answer[2])
        if answer[0] is _ERROR and len(answer) == 2:
            raise refused(answer[1], target, child)
    if answer is atom.ignore:
        return None
    raise StartError(f"{shown(target)} answered {answer!r}", answer)


def refused(reason: Any, target: Any, child: Any) -> BeamishError:
    """The error that stands for ``{error, Reason}``."""
    name = shown_id(child.id if isinstance(child, ChildSpec) else child)
    match reason:
        case (atom.already_started, Pid() as pid):
            return AlreadyStarted(f"{shown(target)}: child {name} runs already: {pid}", reason, pid)
        case atom.already_present:
            return StartError(
                f"{shown(target)} has a child {name} that does not run: start it with restart_child, or delete_child it first",
                reason,
            )
        case atom.max_children:
            return StartError(f"{shown(target)} has as many children as its max_children allows", reason)
        case atom.not_found:
            return NoChild(f"{shown(target)} has no child {name}")
        case atom.running | atom.restarting as state:
            return ChildBusy(f"{shown(target)}: child {name} is {state}", state)
        case (why, (atom.child, _, _, _, _, _, _, _, _)):
            return StartError(f"{shown(target)}: child {name} could not be started: {readable(why)}", why)
    return StartError(f"{shown(target)}: child {name} could not be started: {readable(reason)}", reason)


async def order(target: Any, request: Atom, id: Any) -> Any:
    """Ask for something that concerns one child; `ok` or its value. Raises NoChild, ChildBusy, StartError."""
    answer = await ask(target, (request, id_of(getattr(id, "__target__", id))))
    if answer is _OK:
        return None
    if answer.__class__ is tuple and len(answer) == 2 and answer[0] is _ERROR:
        raise refused(answer[1], target, id)
    return answer


async def which_children(target: Any) -> list[ChildInfo]:
    """The children of a supervisor."""
    return [ChildInfo(*each) for each in await ask(target, atom.which_children)]


async def count_children(target: Any) -> Counts:
    """The counts of a supervisor."""
    found = {key.text: value for key, value in await ask(target, atom.count_children)}
    return Counts(**found)


__all__ = ["ChildBusy", "ChildInfo", "Counts", "NoChild", "ask", "count_children", "is_here", "order", "refused", "request_of",
           "start_child", "started", "which_children"]  # fmt: skip
