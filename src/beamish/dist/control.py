"""Control messages: what heads each distribution frame, as one table.

``parse`` turns the control tuple of a frame (and its payload, for the operations that have one) into a small typed
signal; ``encode`` turns a signal back into the tuple and payload that suit what was negotiated. The variants that carry
a sequential-trace token mean the same without it, so the token is read and dropped.

Source  ERTS, Distribution Protocol, "Protocol between Connected Nodes" (OTP 25 to 28); shapes seen from OTP 25 unless
        the table of the fact sheet says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final, NamedTuple

from beamish.dist.flags import Flag
from beamish.errors import LocalProtocolError, RemoteProtocolError
from beamish.term import Atom, Pid, Port, Ref, atom

UNUSED: Final = atom("")
"""Fills the field that once held a cookie."""

ID_MAX: Final = (1 << 64) - 1
LINKED: Final = 1
MONITORED: Final = 2


class Absent:
    """The type of ``ABSENT``."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent()
"""Stands for a payload that is not there; None is a term."""


class Op(IntEnum):
    """The first element of a control tuple."""

    LINK = 1
    SEND = 2
    EXIT = 3
    UNLINK = 4
    REG_SEND = 6
    GROUP_LEADER = 7
    EXIT2 = 8
    SEND_TT = 12
    EXIT_TT = 13
    REG_SEND_TT = 16
    EXIT2_TT = 18
    MONITOR_P = 19
    DEMONITOR_P = 20
    MONITOR_P_EXIT = 21
    SEND_SENDER = 22
    SEND_SENDER_TT = 23
    PAYLOAD_EXIT = 24
    PAYLOAD_EXIT_TT = 25
    PAYLOAD_EXIT2 = 26
    PAYLOAD_EXIT2_TT = 27
    PAYLOAD_MONITOR_P_EXIT = 28
    SPAWN_REQUEST = 29
    SPAWN_REQUEST_TT = 30
    SPAWN_REPLY = 31
    SPAWN_REPLY_TT = 32
    ALIAS_SEND = 33
    ALIAS_SEND_TT = 34
    UNLINK_ID = 35
    UNLINK_ID_ACK = 36
    ALTACT_SIG_SEND = 37


class Link(NamedTuple):
    """``sender`` links itself to ``to``; a dead ``to`` is answered with an Exit of reason noproc."""

    sender: Pid
    to: Pid


class Unlink(NamedTuple):
    """The link is gone (peers before OTP 26 that do not know UnlinkId)."""

    sender: Pid
    to: Pid


class UnlinkId(NamedTuple):
    """The link is gone; answered with UnlinkAck before anything else goes to ``sender``."""

    id: int
    sender: Pid
    to: Pid


class UnlinkAck(NamedTuple):
    """The answer to UnlinkId, with its id."""

    id: int
    sender: Pid
    to: Pid


class Send(NamedTuple):
    """A message to a process. sender: None if the peer does not tell."""

    sender: Pid | None
    to: Pid
    message: Any


class SendNamed(NamedTuple):
    """A message to a registered name; dropped if there is none."""

    sender: Pid
    name: Atom
    message: Any


class SendAlias(NamedTuple):
    """A message to the owner of an alias; dropped if it is no longer active."""

    sender: Pid
    alias: Ref
    message: Any


class LinkExit(NamedTuple):
    """A link broke: ``sender`` ended with ``reason``."""

    sender: Pid | Port
    to: Pid
    reason: Any


class ExitSignal(NamedTuple):
    """``sender`` called exit/2."""

    sender: Pid | Port
    to: Pid
    reason: Any


class GroupLeader(NamedTuple):
    """``leader`` becomes the group leader of ``to``."""

    leader: Pid
    to: Pid


class Monitor(NamedTuple):
    """``sender`` monitors a process or a registered name; an absent one is answered with MonitorDown, noproc."""

    sender: Pid
    target: Pid | Atom
    ref: Ref


class Demonitor(NamedTuple):
    """The monitor is taken back."""

    sender: Pid
    target: Pid | Atom
    ref: Ref


class MonitorDown(NamedTuple):
    """What was monitored is gone. source: its pid, or its name if the monitor was by name."""

    source: Pid | Atom
    to: Pid
    ref: Ref
    reason: Any


class SpawnRequest(NamedTuple):
    """``sender`` wants ``module:function`` run in a new process; answered with SpawnReply before any signal of that."""

    ref: Ref
    sender: Pid
    group_leader: Pid
    module: Atom
    function: Atom
    options: list[Any]
    args: list[Any]


class SpawnReply(NamedTuple):
    """flags: LINKED, MONITORED. result: the pid, or an atom that says why there is none."""

    ref: Ref
    to: Pid
    flags: int
    result: Pid | Atom


Signal = (
    Link
    | Unlink
    | UnlinkId
    | UnlinkAck
    | Send
    | SendNamed
    | SendAlias
    | LinkExit
    | ExitSignal
    | GroupLeader
    | Monitor
    | Demonitor
    | MonitorDown
    | SpawnRequest
    | SpawnReply
)

# ---- the fields of control tuples


def _is_atom(value: object) -> bool:
    return isinstance(value, Atom) or value is None or value is True or value is False


def _is_mfa(value: object) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == 3
        and _is_atom(value[0])
        and _is_atom(value[1])
        and type(value[2]) is int
        and 0 <= value[2] <= 255
    )


class Field(NamedTuple):
    """One element of a control tuple: what it is called in errors, and how it is recognised."""

    name: str
    fits: Callable[[object], bool]


PID: Final = Field("a pid", lambda value: isinstance(value, Pid))
PID_OR_PORT: Final = Field("a pid or port", lambda value: isinstance(value, Pid | Port))
PID_OR_NAME: Final = Field("a pid or name", lambda value: isinstance(value, Pid) or _is_atom(value))
NAME: Final = Field("a name", _is_atom)
REF: Final = Field("a reference", lambda value: isinstance(value, Ref))
ID: Final = Field("an id from 1 to 2^64-1", lambda value: type(value) is int and 0 < value <= ID_MAX)
FLAGS: Final = Field("flags from 0 to 3", lambda value: type(value) is int and 0 <= value <= 3)
MFA: Final = Field("{Module, Function, Arity}", _is_mfa)
LIST: Final = Field("a list", lambda value: isinstance(value, list))
ANY: Final = Field("a term", lambda value: True)
TOKEN: Final = ANY


class Shape(NamedTuple):
    """The elements after the operation, whether a payload term follows, and how the signal is made of them."""

    fields: tuple[Field, ...]
    payload: bool
    make: Callable[..., Signal]


TABLE: Final[dict[int, Shape]] = {
    Op.LINK: Shape((PID, PID), False, Link),
    Op.SEND: Shape((ANY, PID), True, lambda _, to, message: Send(None, to, message)),
    Op.EXIT: Shape((PID_OR_PORT, PID, ANY), False, LinkExit),
    Op.UNLINK: Shape((PID, PID), False, Unlink),
    Op.REG_SEND: Shape((PID, ANY, NAME), True, lambda sender, _, name, message: SendNamed(sender, name, message)),
    Op.GROUP_LEADER: Shape((PID, PID), False, GroupLeader),
    Op.EXIT2: Shape((PID_OR_PORT, PID, ANY), False, ExitSignal),
    Op.SEND_TT: Shape((ANY, PID, TOKEN), True, lambda _, to, __, message: Send(None, to, message)),
    Op.EXIT_TT: Shape((PID_OR_PORT, PID, TOKEN, ANY), False, lambda sender, to, _, why: LinkExit(sender, to, why)),
    Op.REG_SEND_TT: Shape((PID, ANY, NAME, TOKEN), True, lambda sender, _, name, __, m: SendNamed(sender, name, m)),
    Op.EXIT2_TT: Shape((PID_OR_PORT, PID, TOKEN, ANY), False, lambda sender, to, _, why: ExitSignal(sender, to, why)),
    Op.MONITOR_P: Shape((PID, PID_OR_NAME, REF), False, Monitor),
    Op.DEMONITOR_P: Shape((PID, PID_OR_NAME, REF), False, Demonitor),
    Op.MONITOR_P_EXIT: Shape((PID_OR_NAME, PID, REF, ANY), False, MonitorDown),
    Op.SEND_SENDER: Shape((PID, PID), True, Send),
    Op.SEND_SENDER_TT: Shape((PID, PID, TOKEN), True, lambda sender, to, _, message: Send(sender, to, message)),
    Op.PAYLOAD_EXIT: Shape((PID_OR_PORT, PID), True, LinkExit),
    Op.PAYLOAD_EXIT_TT: Shape((PID_OR_PORT, PID, TOKEN), True, lambda sender, to, _, why: LinkExit(sender, to, why)),
    Op.PAYLOAD_EXIT2: Shape((PID_OR_PORT, PID), True, ExitSignal),
    Op.PAYLOAD_EXIT2_TT: Shape((PID_OR_PORT, PID, TOKEN), True, lambda sender, to, _, why: ExitSignal(sender, to, why)),
    Op.PAYLOAD_MONITOR_P_EXIT: Shape((PID_OR_NAME, PID, REF), True, MonitorDown),
    Op.SPAWN_REQUEST: Shape((REF, PID, PID, MFA, LIST), True, lambda *fields: _spawn_request(*fields)),
    Op.SPAWN_REQUEST_TT: Shape(
        (REF, PID, PID, MFA, LIST, TOKEN), True, lambda r, s, g, mfa, o, _, a: _spawn_request(r, s, g, mfa, o, a)
    ),
    Op.SPAWN_REPLY: Shape((REF, PID, FLAGS, PID_OR_NAME), False, SpawnReply),
    Op.SPAWN_REPLY_TT: Shape((REF, PID, FLAGS, PID_OR_NAME, TOKEN), False, lambda *f: SpawnReply(*f[:4])),
    Op.ALIAS_SEND: Shape((PID, REF), True, SendAlias),
    Op.ALIAS_SEND_TT: Shape((PID, REF, TOKEN), True, lambda sender, alias, _, m: SendAlias(sender, alias, m)),
    Op.UNLINK_ID: Shape((ID, PID, PID), False, UnlinkId),
    Op.UNLINK_ID_ACK: Shape((ID, PID, PID), False, UnlinkAck),
}
"""Every operation we take. ALTACT_SIG_SEND is not among them: we do not announce it."""


def has_payload(op: int) -> bool:
    """Whether a payload term follows the control tuple of this operation."""
    shape = TABLE.get(op)
    return shape is not None and shape.payload


def parse(control: object, payload: object = ABSENT) -> Signal:
    """The signal in a control tuple and its payload (ABSENT if nothing follows the tuple).

    Raises  RemoteProtocolError that names the operation and the rule
    """
    if not isinstance(control, tuple) or not control or type(control[0]) is not int:
        raise RemoteProtocolError(f"a control message is a tuple headed by a number, not {_short(control)}")
    op = control[0]
    shape = TABLE.get(op)
    if shape is None:
        if op == Op.ALTACT_SIG_SEND:
            raise RemoteProtocolError("sent ALTACT_SIG_SEND (37) although we did not announce that we take it")
        raise RemoteProtocolError(f"{op} is not an operation of a control message")
    name = f"{Op(op).name} ({op})"
    if len(control) != len(shape.fields) + 1:
        raise RemoteProtocolError(f"{name} has {len(shape.fields) + 1} elements, not {len(control)}")
    for place, (field, value) in enumerate(zip(shape.fields, control[1:], strict=True), 2):
        if not field.fits(value):
            raise RemoteProtocolError(f"element {place} of {name} is {field.name}, not {_short(value)}")
    if shape.payload != (payload is not ABSENT):
        raise RemoteProtocolError(f"{name} comes {'with' if shape.payload else 'without'} a payload")
    return shape.make(*control[1:], payload) if shape.payload else shape.make(*control[1:])


def encode(signal: Signal, flags: int) -> tuple[tuple[Any, ...], Any]:
    """The control tuple and the payload (or ABSENT) of a signal, for a connection that negotiated ``flags``.

    Raises  LocalProtocolError if the peer cannot be told
    """
    payload_exits = flags & Flag.EXIT_PAYLOAD
    match signal:
        case Send(sender, to, message):
            if sender is not None and flags & Flag.SEND_SENDER:
                return (22, sender, to), message
            return (2, UNUSED, to), message
        case SendNamed(sender, name, message):
            return (6, sender, UNUSED, name), message
        case SendAlias(sender, alias, message):
            _need(flags, Flag.ALIAS)
            return (33, sender, alias), message
        case LinkExit(sender, to, reason):
            return ((24, sender, to), reason) if payload_exits else ((3, sender, to, reason), ABSENT)
        case ExitSignal(sender, to, reason):
            return ((26, sender, to), reason) if payload_exits else ((8, sender, to, reason), ABSENT)
        case MonitorDown(source, to, ref, reason):
            return ((28, source, to, ref), reason) if payload_exits else ((21, source, to, ref, reason), ABSENT)
        case Link(sender, to):
            return (1, sender, to), ABSENT
        case UnlinkId(id, sender, to):
            return (35, id, sender, to) if flags & Flag.UNLINK_ID else (4, sender, to), ABSENT
        case UnlinkAck(id, sender, to):
            _need(flags, Flag.UNLINK_ID)
            return (36, id, sender, to), ABSENT
        case Unlink(sender, to):
            return (4, sender, to), ABSENT
        case GroupLeader(leader, to):
            return (7, leader, to), ABSENT
        case Monitor(sender, target, ref):
            return (19, sender, target, ref), ABSENT
        case Demonitor(sender, target, ref):
            return (20, sender, target, ref), ABSENT
        case SpawnRequest(ref, sender, leader, module, function, options, args):
            _need(flags, Flag.SPAWN)
            return (29, ref, sender, leader, (module, function, len(args)), options), args
        case SpawnReply(ref, to, reply_flags, result):
            _need(flags, Flag.SPAWN)
            return (31, ref, to, reply_flags, result), ABSENT


def _need(flags: int, flag: Flag) -> None:
    if not flags & flag:
        raise LocalProtocolError(f"the peer did not announce {flag.name}")


def _spawn_request(
    ref: Ref, sender: Pid, leader: Pid, mfa: tuple[Atom, Atom, int], options: list[Any], args: object
) -> SpawnRequest:
    if not isinstance(args, list) or len(args) != mfa[2]:
        raise RemoteProtocolError(f"the arguments of SPAWN_REQUEST are a list of {mfa[2]}, not {_short(args)}")
    return SpawnRequest(ref, sender, leader, mfa[0], mfa[1], options, args)


def _short(value: object) -> str:
    if isinstance(value, tuple | list | dict | bytes | str) and len(value) > 8:
        return f"a {type(value).__name__} of {len(value)} elements"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
