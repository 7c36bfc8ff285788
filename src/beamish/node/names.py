"""Node names: reading, completing and judging ``alive@host``.

    complete("barry", long=False, hostname="pi.lan")            atom("barry@pi")
    complete("bob@localhost", long=False, hostname="pi")        atom("bob@localhost")
    complete("carol@10.0.0.7", long=True, hostname="pi")        atom("carol@10.0.0.7")

A node has a *short* name if its host part has no dot (nor colon), a *long* name otherwise, and the two kinds never
connect: they would not agree on what to call each other. Our own names are held to Erlang's rules; names of peers are
only checked for what would break us.

Pure: the machine's own name is an argument, see ``beamish.node.host``.

Source  OTP 25, kernel: net_kernel (name head, host part), "Distributed Erlang", section Nodes.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from beamish.errors import NodeError
from beamish.term import Atom, atom

NAME_MAX: Final = 255
"""Characters in a full node name: it has to be an atom."""

_ALIVE: Final = re.compile(r"[0-9A-Za-z_-]+")
_HOST: Final = re.compile(r"[0-9A-Za-z._-]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%[0-9A-Za-z._-]+)?")
_FOREIGN: Final = re.compile(r"[^\x00-\x20\x7f@]+")


class InvalidNodeName(NodeError, ValueError):
    """A text that cannot be the name of a node; the message says why and what would do."""


class NodeName(NamedTuple):
    """The two parts of a node name."""

    alive: str
    host: str

    @property
    def full(self) -> Atom:
        """The name as the rest of beamish handles it."""
        return node_atom(f"{self.alive}@{self.host}")

    @property
    def long(self) -> bool:
        """Whether this is a long name."""
        return is_long_host(self.host)


def node_atom(text: str) -> Atom:
    """The atom of a node name. It contains ``@``, so it never is one of the atoms that are Python constants."""
    made = atom(text)
    if not isinstance(made, Atom):
        raise InvalidNodeName(f"{text!r} is not the name of a node")
    return made


def split(name: Atom | str) -> NodeName:
    """The parts of a name that came from somewhere else: a peer, a message, another node's list.

    Raises  InvalidNodeName if it is not two parts around one ``@``, has white space or control characters, or is
            longer than 255 characters.
    """
    text = name.text if isinstance(name, Atom) else name
    alive, at, host = text.partition("@")
    if not at or not _FOREIGN.fullmatch(alive) or not _FOREIGN.fullmatch(host):
        raise InvalidNodeName(f"{shown(text)} is not the name of a node; those look like name@host")
    if len(text) > NAME_MAX:
        raise InvalidNodeName(f"the node name {shown(text)} has {len(text)} characters; at most {NAME_MAX} are allowed")
    return NodeName(alive, host)


def is_long_host(host: str) -> bool:
    """Whether a host part makes the name a long one: it has a dot, or is an IPv6 address."""
    return "." in host or ":" in host


def is_long(name: Atom | str) -> bool:
    """Whether this is a long name."""
    return split(name).long


def same_kind(left: Atom | str, right: Atom | str) -> bool:
    """Whether two nodes may connect at all: both have short names or both have long ones."""
    return is_long(left) == is_long(right)


def short_host(hostname: str) -> str:
    """The machine's name up to its first dot, as Erlang puts it into short names."""
    return hostname.split(".", 1)[0]


def complete(name: str, *, long: bool, hostname: str) -> Atom:
    """The full name for what a user wrote after ``--sname`` or ``--name``.

    hostname: what this machine calls itself, with its domain if it knows one; used if the user gave no host.
    Raises  InvalidNodeName, which proposes the spelling that would work.
    """
    option = "--name" if long else "--sname"
    alive, at, host = name.partition("@")
    _check_alive(alive, name, option)
    if at and not host:
        raise InvalidNodeName(
            f"{option} {name}: the host after @ is missing; write {option} {alive} to use this machine's"
        )
    if not at:
        host = hostname if long else short_host(hostname)
        if long and not is_long_host(host):
            raise InvalidNodeName(
                f"{option} {name}: a long name needs a host with a dot, and this machine only calls itself {host!r};"
                f" write --name {alive}@ and its domain name or address, for example --name {alive}@127.0.0.1,"
                f" or use --sname {alive}"
            )
    _check_host(host, name, alive, option)
    if long and not is_long_host(host):
        raise InvalidNodeName(
            f"{option} {name}: a long name needs a host with a dot, and {host!r} has none; write --sname {name},"
            f" or --name {alive}@ and the full domain name or an address"
        )
    if not long and is_long_host(host):
        shorter = f"--sname {alive}@{short_host(host)}, or " if not _looks_like_address(host) else ""
        raise InvalidNodeName(
            f"{option} {name}: a short name has a host without dots; write {shorter}--name {alive}@{host}"
            f" (short and long names cannot be mixed in one cluster)"
        )
    full = f"{alive}@{host}"
    if len(full) > NAME_MAX:
        raise InvalidNodeName(f"{option} {shown(full)}: {len(full)} characters; at most {NAME_MAX} are allowed")
    return node_atom(full)


def complete_peer(name: str, local: Atom) -> Atom:
    """The full name of a node to talk to; without a host it is on the host of ``local``.

    Raises  InvalidNodeName also if its kind (short, long) is not ours: we could never connect.
    """
    if "@" not in name:
        name = f"{name}@{split(local).host}"
    peer = split(name)
    check_same_kind(local, peer.full)
    return peer.full


def check_same_kind(local: Atom | str, peer: Atom | str) -> None:
    """Refuse a peer whose kind of name is not ours.

    Raises  InvalidNodeName
    """
    ours, theirs = split(local), split(peer)
    if ours.long == theirs.long:
        return
    kind, other = ("long", "short") if ours.long else ("short", "long")
    option = "--name" if theirs.long else "--sname"
    raise InvalidNodeName(
        f"{shown(f'{theirs.alive}@{theirs.host}')} is a {other} name and {ours.alive}@{ours.host} a {kind} one: such"
        f" nodes cannot connect; start one of them anew, for example ours with {option} {ours.alive}"
    )


def shown(text: str, limit: int = 80) -> str:
    """A name for a message: quoted, and cut if somebody sent us a novel."""
    return repr(text if len(text) <= limit else text[:limit] + "…")


def _check_alive(alive: str, name: str, option: str) -> None:
    if not alive:
        raise InvalidNodeName(f"{option} {name}: the name before @ is missing; write for example {option} barry")
    if alive == "undefined":
        raise InvalidNodeName(
            f"{option} {name}: 'undefined' would ask a peer to choose our name; choose one, for example barry"
        )
    if not _ALIVE.fullmatch(alive):
        bad = "".join(sorted(set(re.sub(_ALIVE, "", alive))))
        better = re.sub(r"[^0-9A-Za-z_-]+", "_", alive).strip("_")
        proposal = f", for example {better}" if better else ""
        raise InvalidNodeName(
            f"{option} {shown(name)}: {bad!r} cannot be part of a node name; use letters, digits, - and _{proposal}"
        )


def _check_host(host: str, name: str, alive: str, option: str) -> None:
    if "@" in host:
        raise InvalidNodeName(f"{option} {shown(name)}: more than one @; a node name is name@host")
    if _HOST.fullmatch(host):
        return
    if host.startswith("["):
        raise InvalidNodeName(
            f"{option} {name}: write an IPv6 address without brackets: --name {alive}@{host.strip('[]')}"
        )
    raise InvalidNodeName(
        f"{option} {shown(name)}: {shown(host)} is not a host name or address; use letters, digits, - and ."
    )


def _looks_like_address(host: str) -> bool:
    return ":" in host or re.fullmatch(r"[0-9.]+", host) is not None
