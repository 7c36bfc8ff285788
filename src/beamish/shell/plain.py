"""The shell on a terminal where prompt_toolkit is not installed: Python's own line editing, no completion."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from beamish.io.devices import StandardDevice, in_thread
from beamish.shell.source_text import state_of

if TYPE_CHECKING:
    from beamish.shell.session import Session


class PlainFront(StandardDevice):
    """Reads inputs line by line."""

    colour = False

    def attach(self, session: Session) -> None:
        """Say what is missing."""
        self.write("(line editing, completion and history: pip install 'beamish[shell]')\n")

    async def read_input(self, prompt: str) -> str | None:
        """A whole input, with a continuation prompt while it is not."""
        source = ""
        while True:
            self.write("...> ".rjust(len(prompt)) if source else prompt)
            line = await in_thread(sys.stdin.readline)
            if not line:
                return source or None
            source += line
            if state_of(source.rstrip("\n") if line.strip() else source) in ("whole", "empty"):
                return source

    def error(self, text: str) -> None:
        """Errors stand out by themselves."""
        self.write(text + "\n")

    complain = error
