"""Living servers changed over to new code, as OTP's release handler does it: suspend, new code, code_change, resume.

    code_change(old_version, extra)     old_version: the `vsn` attribute that the class had, or None; extra: atom.reload

A server that fails in code_change is ended with that reason, and its supervisor starts it anew, with the new code: its state
is not one that the new code was made for. One that does not let itself be suspended, because a callback of it takes long, is
not waited for: it changes over when it is done.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from beamish.application import Application
from beamish.errors import BeamishError
from beamish.gen_server import sys_client as sys
from beamish.gen_server.handle import handle_class
from beamish.gen_server.methods import methods_of
from beamish.gen_state_machine.machine import table_of
from beamish.gen_state_machine.state_machine import GenStateMachine
from beamish.node.runtime import Runtime
from beamish.process import Process
from beamish.process.exits import text_of
from beamish.project.reload.classes import TABLES
from beamish.supervisor.face import AnySupervisor
from beamish.term import Pid, atom

SUSPEND_TIMEOUT: Final = 2.0
"""Seconds that the servers have to finish what they do."""

SHORTEST: Final = 0.02
"""Seconds for each of them, once these are over."""

CHANGE_TIMEOUT: Final = 5.0


@dataclass(slots=True)
class Change:
    """What became of the servers. changed: how many, by class; busy and failed: lines for the user."""

    changed: dict[str, int] = field(default_factory=dict)
    busy: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def living(runtime: Runtime, modules: Collection[str]) -> dict[Pid, type]:
    """The servers of this node whose class, or a base of it, is defined in one of the modules."""
    found: dict[Pid, type] = {}
    concerned: dict[type, bool] = {}
    for thing in gc.get_objects():
        cls = type(thing)
        if cls not in concerned:
            concerned[cls] = _is_server_of(cls, modules)
        if not concerned[cls]:
            continue
        try:
            pid = thing.pid
        except (AttributeError, LookupError):  # made, but not yet started
            continue
        process = runtime.process_of(pid) if isinstance(pid, Pid) else None
        if process is not None and process.pid is pid:  # not one of another node, or of one that has stopped
            found[pid] = cls
    return found


def _is_server_of(cls: type, modules: Collection[str]) -> bool:
    if issubclass(cls, AnySupervisor) or not hasattr(cls, "code_change"):
        return False
    return any(base.__module__ in modules for base in cls.__mro__)


async def suspend(servers: Iterable[Pid]) -> tuple[list[Pid], list[Pid]]:
    """Suspend servers; those that are, and those that are busy. Dead ones are in neither."""
    suspended: list[Pid] = []
    busy: list[Pid] = []
    loop = asyncio.get_running_loop()
    end = loop.time() + SUSPEND_TIMEOUT
    for pid in servers:
        try:
            await sys.suspend(pid, max(end - loop.time(), SHORTEST))
            suspended.append(pid)
        except TimeoutError:
            busy.append(pid)
        except BeamishError:
            continue
    return suspended, busy


async def change_over(runtime: Runtime, suspended: Mapping[Pid, type], classes: Mapping[type, Any]) -> Change:
    """Call code_change where the class has changed. Failures end the server."""
    change = Change()
    for pid, cls in suspended.items():
        base = next((each for each in cls.__mro__ if each in classes), None)
        if base is None:
            continue
        try:
            await sys.change_code(pid, atom(cls.__module__), classes[base], atom.reload, CHANGE_TIMEOUT)
        except (BeamishError, TimeoutError) as error:
            who = name_of(runtime, pid, cls)
            change.failed.append(f"{who}: code_change failed; its supervisor starts it anew\n{text_of(_cause(error))}")
            await _end(pid, error)
        else:
            change.changed[cls.__qualname__] = change.changed.get(cls.__qualname__, 0) + 1
    return change


async def change_over_later(runtime: Runtime, pid: Pid, cls: type, classes: Mapping[type, Any]) -> Change:
    """The same for a server that was busy, whenever it has time."""
    try:
        await sys.suspend(pid, None)
        change = await change_over(runtime, {pid: cls}, classes)
    except BeamishError:  # it has ended
        return Change()
    await resume([pid])
    return change


async def resume(servers: Iterable[Pid]) -> None:
    """Let servers go on."""
    for pid in servers:
        try:
            await sys.resume(pid, SUSPEND_TIMEOUT)
        except (BeamishError, TimeoutError):
            continue


async def _end(pid: Pid, error: BaseException) -> None:
    try:
        await sys.terminate(pid, _cause(error), CHANGE_TIMEOUT)
    except (BeamishError, TimeoutError):
        Process.exit(pid, atom.kill)


def _cause(error: BaseException) -> Any:
    """The exit reason that `code_change` failed with, or why it was not even called."""
    match getattr(error, "reason", None):
        case (atom.EXIT, reason):
            return reason
        case None:
            return (atom.code_change_failed, str(error))
        case reason:
            return (atom.code_change_failed, reason)


def name_of(runtime: Runtime, pid: Pid, cls: type) -> str:
    """`counter (Counter)`, or the pid."""
    process = runtime.process_of(pid)
    rare = process.details["rare"] if process is not None else None
    return f"{rare.names[0] if rare is not None and rare.names else pid} ({cls.__qualname__})"


def refresh(classes: Iterable[type]) -> list[str]:
    """Let servers and handles know the methods that their classes have now; handles that exist get them too."""
    remarks = []
    family: list[type] = [each for root in classes for each in _family(root)]
    for cls in dict.fromkeys(family):
        handle = cls.__dict__.get("_handle_class")
        _renew_methods(cls)
        if handle is None:
            continue
        try:
            made = handle_class(cls)
        except TypeError as error:
            remarks.append(str(error))
            continue
        for name in [name for name in vars(handle) if name not in vars(made)]:
            delattr(handle, name)
        for name, value in vars(made).items():
            if name not in ("__slots__", "__dict__", "__weakref__"):
                setattr(handle, name, value)
        cls._handle_class = handle  # type: ignore[attr-defined]
    return remarks


def _renew_methods(cls: type) -> None:
    """Look the typed methods of a class up anew, into the table that running servers hold."""
    held = cls.__dict__.get("_typed_methods")
    known = [name for name in TABLES if name in cls.__dict__]
    for name in known:
        delattr(cls, name)
    if not known:
        return
    if issubclass(cls, GenStateMachine):
        table_of(cls)
    table = methods_of(cls)
    if held is not None:
        held.clear()
        held.update(table)
        cls._typed_methods = held  # type: ignore[attr-defined]


def _family(cls: type) -> Iterable[type]:
    yield cls
    below: list[type] = cls.__subclasses__()
    for each in below:
        yield from _family(each)


def needs_restart(classes: Iterable[type]) -> list[str]:
    """Remarks on supervisors and applications: what they start is decided when they start."""
    return [
        f"{cls.__qualname__} changed: its tree stays as it was started; restart the node to run the new one"
        for cls in classes
        if issubclass(cls, AnySupervisor | Application)
    ]
