"""What the name server's core asks its process to do.

The core (`core.GlobalCore`) never acts: each `handle_*` method gives a list of these, to be carried out in order.
`key` is an integer made by the core; the outcome comes back with the same key:

    Monitor                                 handle_down(key)
    StartTimer                              handle_timer(key)
    Call, ConnectTo, ResolveRemote,
    RunResolver                             handle_result(key, ok, value)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from beamish.term import Atom, Pid

Term: TypeAlias = Any
Caller: TypeAlias = tuple[Pid, Any]


@dataclass(frozen=True, slots=True)
class Send:
    """A plain message to `{global_name_server, node}`. Never connects: without a connection it is dropped."""

    node: Atom
    message: Term


@dataclass(frozen=True, slots=True)
class SendPid:
    """A plain message to one process."""

    pid: Pid
    message: Term


@dataclass(frozen=True, slots=True)
class Cast:
    """`{'$gen_cast', message}` to `{global_name_server, node}`. Never connects: without a connection it is dropped."""

    node: Atom
    message: Term


@dataclass(frozen=True, slots=True)
class Call:
    """`{'$gen_call', From, request}` to `{global_name_server, node}`, watched by a monitor; never connects.

    Result: ok with the reply, or not ok with the reason once the monitor fires. There is no time-out, as in Erlang: a
    name server answers at once or its node is gone.
    """

    node: Atom
    request: Term
    key: int


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a gen call."""

    caller: Caller
    reply: Term


@dataclass(frozen=True, slots=True)
class Monitor:
    """Watch a process; its end, or the loss of its node, is reported with the key."""

    pid: Pid
    key: int


@dataclass(frozen=True, slots=True)
class Demonitor:
    """Stop watching; nothing may be reported with this key any more."""

    key: int


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Report the key after that many seconds."""

    key: int
    seconds: float


@dataclass(frozen=True, slots=True)
class CancelTimer:
    """The timer is not needed; a late report is ignored."""

    key: int


@dataclass(frozen=True, slots=True)
class ConnectTo:
    """Connect to a node, or wait for the attempt in progress in either direction.

    Result: ok if the node is connected, and then its nodeup was handled before.
    """

    node: Atom
    key: int


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Close the connection to a node."""

    node: Atom


@dataclass(frozen=True, slots=True)
class KillPid:
    """`exit(pid, kill)`."""

    pid: Pid


@dataclass(frozen=True, slots=True)
class ResolveRemote:
    """`rpc:call(node, global, resolve_it, arguments)`. Result: ok with what it gave, not ok for a `badrpc`."""

    node: Atom
    arguments: list[Term]
    key: int


@dataclass(frozen=True, slots=True)
class RunResolver:
    """Call the local function behind a method with (name, pid, pid2). Result: ok with what it gave."""

    method: Term
    name: Term
    pid: Pid
    pid2: Pid
    key: int


@dataclass(frozen=True, slots=True)
class Log:
    """A line for the log; level is "info", "warning" or "error"."""

    level: str
    text: str


@dataclass(frozen=True, slots=True)
class NameEvent:
    """A global name changed on this node: from old to new, None where there is nobody."""

    name: Term
    old: Pid | None
    new: Pid | None


Action: TypeAlias = (
    Send
    | SendPid
    | Cast
    | Call
    | Reply
    | Monitor
    | Demonitor
    | StartTimer
    | CancelTimer
    | ConnectTo
    | Disconnect
    | KillPid
    | ResolveRemote
    | RunResolver
    | Log
    | NameEvent
)
