"""What is known of a connected node, and what a distributed node is configured with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from beamish.dist._wire import Wire
from beamish.term import Atom, atom

__all__ = ["DISCONNECTED", "ConnectedPeer", "Options", "nodedown_reason"]

DISCONNECTED: Final = "disconnected"
"""Why a connection ended that this node took down."""


@dataclass(slots=True)
class ConnectedPeer:
    """A node that is connected."""

    node: Atom
    visible: bool
    creation: int
    connection_id: int
    wire: Wire
    flags: int
    address: str
    incoming: bool


@dataclass(slots=True)
class Options:
    """What a distributed node is configured with."""

    cookie: str
    hidden: bool = False
    ticktime: float = 60.0
    auto_connect: bool = True
    allowed: frozenset[Atom] | None = None
    peer_cookies: dict[Atom, str] = field(default_factory=dict)


def nodedown_reason(why: object) -> Atom:
    """Erlang's word for why a connection ended (net_kernel, monitor_nodes/2)."""
    if why == DISCONNECTED:
        return atom.disconnect
    return atom.net_tick_timeout if str(why).startswith("net_tick_timeout") else atom.connection_closed
