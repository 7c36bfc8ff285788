"""Shapes of everything that name servers say to each other.

Source  kernel/src/global.erl of OTP 25 (protocol version 8), checked against a running node.

    gen casts        init_connect, lock_set, exchange, resolved, new_nodes, in_sync
    plain messages   init_connect_ack, cancel_connect, lost_connection, remove_connection, whereis
    gen calls        set_lock, del_lock, register, unregister, register_ext, sync, get_known, get_synced,
                     get_protocol_version, get_names_ext, info
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from beamish.names.actions import Term
from beamish.term import Atom, Pid, atom

VERSION: Final = 8
"""The version we speak."""
LOWEST_VERSION: Final = 6
"""Below it, lockers of two nodes talk to each other directly; those releases cannot connect to us at all."""
PARTITIONS_VERSION: Final = 7
"""From here on peers know lost_connection, and versions travel with node names."""
VERIFY_VERSION: Final = 8
"""From here on peers check that both sides paired the same tags."""

NAME_SERVER: Final[Atom] = atom("global_name_server")
GLOBAL: Final[Atom] = atom("global")
"""The module, and the resource that is locked for every change of names."""

INIT_CONNECT: Final[Atom] = atom("init_connect")
INIT_CONNECT_ACK: Final[Atom] = atom("init_connect_ack")
CANCEL_CONNECT: Final[Atom] = atom("cancel_connect")
LOCKER: Final[Atom] = atom("locker")
NO_LONGER_A_PID: Final[Atom] = atom("no_longer_a_pid")
LOCK_SET: Final[Atom] = atom("lock_set")
EXCHANGE: Final[Atom] = atom("exchange")
RESOLVED: Final[Atom] = atom("resolved")
UNUSED: Final[Atom] = atom("unused")
NEW_NODES: Final[Atom] = atom("new_nodes")
IN_SYNC: Final[Atom] = atom("in_sync")
VSN: Final[Atom] = atom("vsn")
LOCK: Final[Atom] = atom("lock")
INSERT: Final[Atom] = atom("insert")
DELETE: Final[Atom] = atom("delete")
ASYNC_DEL_NAME: Final[Atom] = atom("async_del_name")
ASYNC_DEL_LOCK: Final[Atom] = atom("async_del_lock")
LOST_CONNECTION: Final[Atom] = atom("lost_connection")
REMOVE_CONNECTION: Final[Atom] = atom("remove_connection")
WHEREIS: Final[Atom] = atom("whereis")
PREPARE_SHUTDOWN: Final[Atom] = atom("prepare_shutdown")

SET_LOCK: Final[Atom] = atom("set_lock")
DEL_LOCK: Final[Atom] = atom("del_lock")
REGISTER: Final[Atom] = atom("register")
UNREGISTER: Final[Atom] = atom("unregister")
REGISTER_EXT: Final[Atom] = atom("register_ext")
RE_REGISTER: Final[Atom] = atom("re_register")
REGISTRAR: Final[Atom] = atom("registrar")
SYNC: Final[Atom] = atom("sync")
GET_KNOWN: Final[Atom] = atom("get_known")
GET_SYNCED: Final[Atom] = atom("get_synced")
GET_PROTOCOL_VERSION: Final[Atom] = atom("get_protocol_version")
GET_NAMES_EXT: Final[Atom] = atom("get_names_ext")
INFO: Final[Atom] = atom("info")
DISCONNECT: Final[Atom] = atom("disconnect")

YES: Final[Atom] = atom("yes")
NO: Final[Atom] = atom("no")
OK: Final[Atom] = atom("ok")
NONE: Final[Atom] = atom("none")
UNDEFINED: Final[Atom] = atom("undefined")
GLOBAL_NAME_CONFLICT: Final[Atom] = atom("global_name_conflict")


def init_connect(tag: int, us: Atom, known: Mapping[Atom, int], locker: Pid) -> Term:
    """Cast: we see you, this is our tag for this session."""
    return (INIT_CONNECT, (VERSION, tag), us, (LOCKER, NO_LONGER_A_PID, dict(known), locker))


def init_connect_ack(us: Atom, his_tag: int, my_tag: int) -> Term:
    """Plain: we paired your tag with ours."""
    return (INIT_CONNECT_ACK, us, his_tag, my_tag)


def cancel_connect(us: Atom, his_tag: int) -> Term:
    """Plain: forget the session in which your tag is this one, and begin again."""
    return (CANCEL_CONNECT, us, his_tag)


def lock_set(locker: Pid, is_set: bool, known: list[Atom], his_tag: int | None) -> Term:
    """Cast: our partition is locked, or could not be. Peers before version 8 know no tag (None)."""
    if his_tag is None:
        return (LOCK_SET, locker, is_set, known)
    return (LOCK_SET, locker, is_set, known, his_tag)


def exchange(us: Atom, names: list[Term], his_tag: int | None) -> Term:
    """Cast: the names we know, as (name, pid, method)."""
    return (EXCHANGE, us, names, [], his_tag)


def resolved(us: Atom, ops: list[Term], known: list[Term], names_ext: list[Term], his_tag: int | None) -> Term:
    """Cast: what you have to do so that our names agree, and whom we know."""
    return (RESOLVED, us, ops, known, UNUSED, names_ext, his_tag)


def new_nodes(us: Atom, ops: list[Term], names_ext: list[Term], nodes: list[Term], version: int, lock_id: Term) -> Term:
    """Cast to all we knew: these nodes joined, and this changed in the names; valid while that lock is set."""
    return (NEW_NODES, us, ops, names_ext, nodes, [(VSN, version), (LOCK, lock_id)])


def in_sync(us: Atom) -> Term:
    """Cast: we were told of each other; no session is needed."""
    return (IN_SYNC, us, True)


def lost_connection(us: Atom, incarnation: int, number: int, lost: Atom) -> Term:
    """Plain: our connection to that node broke."""
    return (LOST_CONNECTION, us, incarnation, number, lost)


def remove_connection(us: Atom) -> Term:
    """Plain: disconnect from us."""
    return (REMOVE_CONNECTION, us)


def node_versions(nodes: Iterable[Term]) -> list[tuple[Atom, int]]:
    """(node, version) of each entry of a list of nodes or (node, version); 0 where the version is not known."""
    pairs: list[tuple[Atom, int]] = []
    for entry in nodes:
        match entry:
            case Atom():
                pairs.append((entry, 0))
            case (Atom() as node, int(version)):
                pairs.append((node, version))
    return pairs
