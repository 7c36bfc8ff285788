"""The tags of the External Term Format: the one table of them.

`_encode.pyx` and `_decode.pyx` take their numbers from `_tags.pxd`, which a test holds equal to this table.
Source  ERTS User's Guide, External Term Format (the section is the tag's name there).
"""

from __future__ import annotations

from typing import NamedTuple

VERSION = 131
MAX_ATOM_CHARACTERS = 255
MAX_REFERENCE_WORDS = 5


class Tag(NamedTuple):
    """A tag: its number, and whether we write it, only read it, or refuse it."""

    number: int
    use: str  # "both", "read", "refused", "connection" (means something only after a distribution header)


TAGS: dict[str, Tag] = {
    "NEW_FLOAT_EXT": Tag(70, "both"),
    "BIT_BINARY_EXT": Tag(77, "both"),
    "COMPRESSED": Tag(80, "both"),  # top level only, after the version byte
    "ATOM_CACHE_REF": Tag(82, "connection"),
    "NEW_PID_EXT": Tag(88, "both"),
    "NEW_PORT_EXT": Tag(89, "both"),
    "NEWER_REFERENCE_EXT": Tag(90, "both"),
    "SMALL_INTEGER_EXT": Tag(97, "both"),
    "INTEGER_EXT": Tag(98, "both"),
    "FLOAT_EXT": Tag(99, "read"),
    "ATOM_EXT": Tag(100, "read"),
    "REFERENCE_EXT": Tag(101, "read"),
    "PORT_EXT": Tag(102, "read"),
    "PID_EXT": Tag(103, "read"),
    "SMALL_TUPLE_EXT": Tag(104, "both"),
    "LARGE_TUPLE_EXT": Tag(105, "both"),
    "NIL_EXT": Tag(106, "both"),
    "STRING_EXT": Tag(107, "both"),
    "LIST_EXT": Tag(108, "both"),
    "BINARY_EXT": Tag(109, "both"),
    "SMALL_BIG_EXT": Tag(110, "both"),
    "LARGE_BIG_EXT": Tag(111, "both"),
    "NEW_FUN_EXT": Tag(112, "both"),
    "EXPORT_EXT": Tag(113, "both"),
    "NEW_REFERENCE_EXT": Tag(114, "read"),
    "SMALL_ATOM_EXT": Tag(115, "read"),
    "MAP_EXT": Tag(116, "both"),
    "FUN_EXT": Tag(117, "refused"),  # closures of OTP 22 and older; OTP 25 refuses it as well
    "ATOM_UTF8_EXT": Tag(118, "both"),
    "SMALL_ATOM_UTF8_EXT": Tag(119, "both"),
    "V4_PORT_EXT": Tag(120, "both"),
    "LOCAL_EXT": Tag(121, "refused"),  # readable only by the emulator that wrote it
}
