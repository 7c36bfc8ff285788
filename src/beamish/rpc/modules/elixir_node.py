"""Elixir's `Node` on our nodes."""

from __future__ import annotations

from typing import Any

from beamish.node.face import Node
from beamish.rpc.modules.erlang import is_alive, nodes
from beamish.rpc.modules.erlang import node as self
from beamish.rpc.modules.net_adm import ping
from beamish.term import Atom

__all__ = ["connect", "disconnect", "list", "ping", "self"]

SPELLINGS = {"alive?": is_alive}


def list(kind: Any = None) -> Any:
    """Connected nodes."""
    return nodes() if kind is None else nodes(kind)


async def connect(name: Atom) -> Any:
    """Connect from here."""
    return await Node.connect(name)


def disconnect(name: Atom) -> Any:
    """Drop a connection of ours."""
    return Node.disconnect(name)
