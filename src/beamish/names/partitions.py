"""Preventing overlapping partitions: when a link breaks, its ends leave the mesh rather than stay half connected.

Whoever loses a connection tells all others (`lost_connection`); they pass it on, ask the lost node to leave
(`remove_connection`) and forget it. So both ends of a cut link are expelled from the rest, which stays fully
connected.

Nothing is announced for a connection that was replaced by a newer one, for one that was asked to go, or while we shut
down in order: one false alarm splits healthy nodes for good.

Source  kernel/src/global.erl of OTP 25, prevent_overlapping_partitions.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from beamish.names import messages as m
from beamish.names.actions import Disconnect, Term
from beamish.names.state import State
from beamish.term import Atom

REMEMBERED: Final = 3600.0
"""Seconds for which an announcement is remembered, so that it is passed on once."""
REMEMBERED_MOST: Final = 10_000
"""Announcements remembered at most: pairs of nodes."""


class Gone(enum.Enum):
    """Why we no longer count a node in."""

    LOST = "lost"
    """Its connection broke, whoever closed it."""
    REPLACED = "replaced"
    """Its connection gave way to a newer one."""
    SHUTDOWN = "shutdown"
    """We are stopping, or were told to disconnect from all."""
    REMOVED = "removed"
    """It was asked to go, or asked us to; its connection is about to close."""


@dataclass(slots=True)
class Partitions:
    """What one node announces and believes about broken connections.

    forget(node, why) takes a node out of everything.
    """

    state: State
    forget: Callable[[Atom, Gone], None]
    incarnation: int = 0
    last_number: int = 0
    heard: dict[tuple[Atom, Atom], tuple[Term, int, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """An integer that tells our incarnations apart: random bits above the creation."""
        self.incarnation = int(self.state.rng.random() * (1 << 26)) << 32 | self.state.creation

    @property
    def enabled(self) -> bool:
        return self.state.connect_all and self.state.prevent_overlapping_partitions

    def announce(self, lost: Atom) -> None:
        """Our connection to a node broke."""
        if not self.enabled:
            return
        self.last_number += 1
        message = m.lost_connection(self.state.node, self.incarnation, self.last_number, lost)
        self.state.multicast(message, but=lost)

    def lost_connection(self, reporter: Atom, incarnation: Term, number: Term, lost: Atom) -> None:
        """A node says that its connection to another one broke: pass it on, and let go of that other one."""
        if not self.enabled or not isinstance(number, int):
            return
        old = self.heard.get((reporter, lost))
        if old is not None and old[0] == incarnation and number <= old[1] and old[2] > self.state.now:
            return
        self.state.multicast((m.LOST_CONNECTION, reporter, incarnation, number, lost), but=reporter)
        self._remember((reporter, lost), incarnation, number)
        leaving = reporter if lost is self.state.node else lost
        if not self.state.potentially_known(leaving):
            return
        if self.state.version_of(leaving) < m.PARTITIONS_VERSION:
            self.state.out.append(Disconnect(leaving))
            self._warn("disconnected old", leaving)
        else:
            self.state.send(leaving, m.remove_connection(self.state.node))
            self._warn("requested disconnect from", leaving)
        self.forget(leaving, Gone.REMOVED)

    def remove_connection(self, node: Atom) -> None:
        """A node asks us to disconnect from it."""
        if not self.state.potentially_known(node):
            return
        self.state.out.append(Disconnect(node))
        self.forget(node, Gone.REMOVED)
        self._warn("disconnected", node)

    def _remember(self, pair: tuple[Atom, Atom], incarnation: Term, number: int) -> None:
        self.heard.pop(pair, None)
        self.heard[pair] = (incarnation, number, self.state.now + REMEMBERED)
        while self.heard:  # oldest first, as insertion keeps them in order
            oldest = next(iter(self.heard))
            if len(self.heard) <= REMEMBERED_MOST and self.heard[oldest][2] > self.state.now:
                break
            del self.heard[oldest]

    def _warn(self, what: str, node: Atom) -> None:
        why = "in order to prevent overlapping partitions"
        self.state.log("warning", f"'global' at node {self.state.node.text} {what} node {node.text} {why}")
