"""What happens to a supervisor, and what it is to do: the events and actions of `Tree` and `Pool`."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from beamish.gen_server.child_spec import ChildSpec
from beamish.term import Pid


class Child:
    """One child. pid: None while it does not run; restarting: it should, and another attempt is under way."""

    __slots__ = ("key", "pid", "restarting", "spec")

    def __init__(self, key: Hashable, spec: ChildSpec) -> None:
        self.key = key
        self.spec = spec
        self.pid: Pid | None = None
        self.restarting = False

    def __repr__(self) -> str:
        return f"<Child {self.key!r} {'restarting' if self.restarting else self.pid}>"


# ---- events

@dataclass(slots=True)
class Boot:
    """Start all children."""


@dataclass(slots=True)
class Exited:
    """A process that was linked to the supervisor has ended."""

    pid: Pid
    reason: Any


@dataclass(slots=True)
class Started:
    """`Start` succeeded. info: what the start function gave beside the pid."""

    pid: Pid
    info: Any = ...


@dataclass(slots=True)
class Ignored:
    """`Start`: the child chose not to start."""


@dataclass(slots=True)
class Failed:
    """`Start` failed. text: the reason in words, where it has some."""

    reason: Any
    text: str = ""


@dataclass(slots=True)
class Stopped:
    """`Stop`: the child is gone."""


@dataclass(slots=True)
class Again:
    """`Retry` was asked for a while ago."""

    key: Hashable


@dataclass(slots=True)
class Add:
    """Request: one more child."""

    spec: ChildSpec


@dataclass(slots=True)
class Terminate:
    """Request: stop a child."""

    key: Hashable


@dataclass(slots=True)
class Restart:
    """Request: start a child that does not run."""

    key: Hashable


@dataclass(slots=True)
class Delete:
    """Request: forget a child that does not run."""

    key: Hashable


@dataclass(slots=True)
class Halt:
    """The supervisor ends: stop everybody."""


Event = Boot | Exited | Started | Ignored | Failed | Stopped | Again | Add | Terminate | Restart | Delete | Halt


# ---- actions

@dataclass(slots=True)
class Start:
    """Start the child; tell of it as Started, Ignored or Failed."""

    child: Child


@dataclass(slots=True)
class Stop:
    """Stop the child within its time; tell of it as Stopped."""

    child: Child


@dataclass(slots=True)
class Retry:
    """Let other messages have their turn, then tell of it as Again."""

    key: Hashable


@dataclass(slots=True)
class Reply:
    """Answer the request."""

    value: Any


@dataclass(slots=True)
class Quit:
    """End the supervisor; then tell of it as Halt. text: the reason in words, where it has some."""

    reason: Any
    text: str = ""


@dataclass(slots=True)
class Report:
    """Log that something went wrong with a child.

    what: OTP's context, "child_terminated", "start_error" or "shutdown"; or "auto_shutdown". did: what the supervisor does now.
    """

    what: str
    spec: ChildSpec
    pid: Pid | None
    reason: Any
    did: str
    text: str = ""


Action = Start | Stop | Retry | Reply | Quit | Report
