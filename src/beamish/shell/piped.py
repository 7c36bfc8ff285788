"""The shell without a terminal: inputs from a pipe or file, results on standard output, errors on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from beamish.io.devices import StandardDevice, in_thread
from beamish.shell.source_text import statements

if TYPE_CHECKING:
    from beamish.shell.session import Session


class PipedFront(StandardDevice):
    """Reads standard input, whose lines are inputs, except those that the inputs themselves read."""

    colour = False

    def __init__(self) -> None:
        super().__init__()
        self._inputs = statements(self._lines())

    def _lines(self) -> Iterator[str]:
        while line := sys.stdin.readline():
            yield line

    def attach(self, session: Session) -> None:
        """Nothing to complete here."""

    async def read_input(self, prompt: str) -> str | None:
        """The next input; prompts are for people."""
        return await in_thread(lambda: next(self._inputs, "")) or None

    def error(self, text: str) -> None:
        """To standard error, after what was written so far."""
        print(text, file=sys.stderr, flush=True)

    complain = error
