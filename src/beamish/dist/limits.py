"""What a connected peer may cost us at most. The limits of single terms are in `etf/limits.py`."""

from __future__ import annotations

from typing import Final

MAX_PACKET: Final = 128 << 20
"""Bytes of one packet. Erlang cuts messages into fragments of 64 KiB, so this only meets peers without fragments."""

MAX_MESSAGE: Final = 512 << 20
"""Bytes of one message put together from fragments."""

MAX_FRAGMENTED_MESSAGES: Final = 1024
"""Messages in flight in fragments on one connection."""

MAX_FRAGMENTED_BYTES: Final = 1 << 30
"""Bytes held for unfinished messages of one connection."""

MAX_PACKETS_PER_READ: Final = 256 << 10
"""Bytes taken from a socket before local processes have their turn."""

FRAGMENT_ABOVE: Final = 1280 << 10
"""Messages above this many bytes are sent in fragments: liveness is counted in received packets (facts section 4)."""

FRAGMENT_SIZE: Final = 1 << 20
"""Bytes of payload in one of our fragments."""

BUSY_BYTES: Final = 1 << 20
"""Unsent bytes above which a sender rests at its next receive, as with Erlang's +zdbbl."""

REFUSE_BYTES: Final = 64 << 20
"""Unsent bytes above which send() raises ConnectionBusy."""

CLOSE_BYTES: Final = 256 << 20
"""Unsent bytes above which a peer that does not read loses its connection."""
