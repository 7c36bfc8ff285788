"""Capability flags of the distribution handshake, as one table.

Each node announces a 64-bit set; what both announce is what the connection may use. The table below is the only place
in beamish that knows the numbers: code asks by name (``Flag.SPAWN``), documentation and tests read ``TABLE``.

Source  ERTS, Distribution Protocol, "Distribution Flags" (OTP 25 to 28), and erts/emulator/beam/dist.h for
        MANDATORY_25_DIGEST, where page and sources disagree; bits marked 25 in ``TABLE`` were checked against OTP 25.
"""

from __future__ import annotations

from enum import IntFlag, unique
from typing import Final, NamedTuple


@unique
class Flag(IntFlag):
    """One capability bit. Unknown bits of newer peers are kept and ignored."""

    PUBLISHED = 0x1
    ATOM_CACHE = 0x2
    EXTENDED_REFERENCES = 0x4
    DIST_MONITOR = 0x8
    FUN_TAGS = 0x10
    DIST_MONITOR_NAME = 0x20
    HIDDEN_ATOM_CACHE = 0x40
    NEW_FUN_TAGS = 0x80
    EXTENDED_PIDS_PORTS = 0x100
    EXPORT_PTR_TAG = 0x200
    BIT_BINARIES = 0x400
    NEW_FLOATS = 0x800
    UNICODE_IO = 0x1000
    DIST_HDR_ATOM_CACHE = 0x2000
    SMALL_ATOM_TAGS = 0x4000
    UTF8_ATOMS = 0x10000
    MAP_TAG = 0x20000
    BIG_CREATION = 0x40000
    SEND_SENDER = 0x80000
    BIG_SEQTRACE_LABELS = 0x100000
    EXIT_PAYLOAD = 0x400000
    FRAGMENTS = 0x800000
    HANDSHAKE_23 = 0x1000000
    UNLINK_ID = 0x2000000
    MANDATORY_25_DIGEST = 0x4000000
    SPAWN = 1 << 32
    NAME_ME = 1 << 33
    V4_NC = 1 << 34
    ALIAS = 1 << 35
    LOCAL_EXT = 1 << 36
    ALTACT_SIG = 1 << 37


class Row(NamedTuple):
    """What is known about one flag.

    mandatory_from: first OTP release that refuses peers without it, or None. announce: beamish sets it.
    """

    flag: Flag
    mandatory_from: int | None
    announce: bool
    meaning: str


TABLE: Final[tuple[Row, ...]] = (
    Row(Flag.PUBLISHED, None, True, "visible node; a node without it is hidden"),
    Row(Flag.ATOM_CACHE, None, False, "obsolete atom cache"),
    Row(Flag.EXTENDED_REFERENCES, 25, True, "references of several words"),
    Row(Flag.DIST_MONITOR, None, True, "monitors across nodes"),
    Row(Flag.FUN_TAGS, 25, True, "closures have their own tag"),
    Row(Flag.DIST_MONITOR_NAME, None, True, "monitors of registered names"),
    Row(Flag.HIDDEN_ATOM_CACHE, None, False, "obsolete atom cache of hidden nodes"),
    Row(Flag.NEW_FUN_TAGS, 25, True, "NEW_FUN_EXT"),
    Row(Flag.EXTENDED_PIDS_PORTS, 25, True, "wide pids and ports"),
    Row(Flag.EXPORT_PTR_TAG, 25, True, "EXPORT_EXT, fun M:F/A"),
    Row(Flag.BIT_BINARIES, 25, True, "BIT_BINARY_EXT"),
    Row(Flag.NEW_FLOATS, 25, True, "NEW_FLOAT_EXT"),
    Row(Flag.UNICODE_IO, None, True, "group leaders speak Unicode"),
    Row(Flag.DIST_HDR_ATOM_CACHE, None, True, "frames carry an atom-cache header"),
    Row(Flag.SMALL_ATOM_TAGS, None, True, "SMALL_ATOM_EXT"),
    Row(Flag.UTF8_ATOMS, 25, True, "atoms in UTF-8"),
    Row(Flag.MAP_TAG, 25, True, "MAP_EXT"),
    Row(Flag.BIG_CREATION, 25, True, "creations of 32 bits"),
    Row(Flag.SEND_SENDER, None, True, "SEND_SENDER in the place of SEND"),
    Row(Flag.BIG_SEQTRACE_LABELS, None, True, "any term as trace label"),
    Row(Flag.EXIT_PAYLOAD, None, True, "exit reasons travel as payload"),
    Row(Flag.FRAGMENTS, None, True, "large messages travel in pieces"),
    Row(Flag.HANDSHAKE_23, 25, True, "handshake version 6"),
    Row(Flag.UNLINK_ID, 26, True, "the link protocol with identified unlinks"),
    Row(Flag.MANDATORY_25_DIGEST, None, True, "one bit that stands for the whole mandatory set of OTP 25"),
    Row(Flag.SPAWN, None, True, "SPAWN_REQUEST; erpc and remote spawn need it"),
    Row(Flag.NAME_ME, None, False, "request: the acceptor chooses our name"),
    Row(Flag.V4_NC, 26, True, "64-bit ports, 32-bit pid fields, references of five words"),
    Row(Flag.ALIAS, None, True, "ALIAS_SEND"),
    Row(Flag.LOCAL_EXT, None, False, "private to one emulator; never announced"),
    Row(Flag.ALTACT_SIG, None, False, "OTP 28's ALTACT_SIG_SEND; not announced until operation 37 is handled"),
)


def _joined(flags: list[Flag]) -> int:
    # Plain integers from here on: printing and combining an IntFlag is slow and its repr is a paragraph.
    return sum(int(flag) for flag in flags)


MANDATORY_25: Final[int] = _joined([row.flag for row in TABLE if row.mandatory_from == 25])
"""What OTP 25 refuses to connect without (0x1070F94)."""

MANDATORY_26: Final[int] = _joined([row.flag for row in TABLE if row.mandatory_from is not None])
"""What OTP 26 and later refuse to connect without (0x403070F94)."""

VISIBLE: Final[int] = _joined([row.flag for row in TABLE if row.announce])
"""What a visible beamish node announces: exactly the set of OTP 25 (0xD07DF7FBD)."""

HIDDEN: Final[int] = VISIBLE & ~int(Flag.PUBLISHED)
"""What a hidden beamish node announces (0xD07DF7FBC)."""

FLAGS_MAX: Final[int] = (1 << 64) - 1


def announced(*, hidden: bool = False) -> int:
    """The flags a node of ours announces."""
    return HIDDEN if hidden else VISIBLE


def expand(flags: int) -> int:
    """Spell out MANDATORY_25_DIGEST: a peer may send only that bit for the whole OTP 25 set."""
    flags = int(flags)
    return flags | MANDATORY_25 if flags & int(Flag.MANDATORY_25_DIGEST) else flags


def negotiate(ours: int, theirs: int) -> int:
    """What a connection may use: the flags both sides announced, digests spelt out.

    PUBLISHED says something about one node, not about the connection: read the peer's visibility from its own flags
    (``is_published``), never from the negotiated set.
    """
    return expand(ours) & expand(theirs)


def is_published(theirs: int) -> bool:
    """Whether the peer that announced these flags is visible."""
    return bool(theirs & Flag.PUBLISHED)


def missing_mandatory(theirs: int, required: int = MANDATORY_25) -> tuple[Flag, ...]:
    """The required flags that a peer did not announce, in order of their value; empty when it is acceptable."""
    absent = required & ~expand(theirs)
    return tuple(row.flag for row in TABLE if row.flag & absent)


def flag_names(flags: int) -> list[str]:
    """Names of the set bits, for messages and logs; bits we do not know appear as ``1<<n``."""
    known = {int(flag): flag.name or str(int(flag)) for flag in Flag}
    return [known.get(1 << bit, f"1<<{bit}") for bit in range(64) if flags >> bit & 1]
