"""A front end whose inputs are given, and that keeps what is shown."""

from __future__ import annotations

import asyncio
from typing import Any


class ScriptedFront:
    """Inputs come from a queue; None ends the session."""

    colour = False

    def __init__(self) -> None:
        self.inputs: asyncio.Queue[str | None] = asyncio.Queue()
        self.shown: list[str] = []
        self.errors: list[str] = []
        self.prompts: list[str] = []
        self.session: Any = None
        self.something_shown = asyncio.Event()

    def attach(self, session: Any) -> None:
        self.session = session

    async def read_input(self, prompt: str) -> str | None:
        self.prompts.append(prompt)
        return await self.inputs.get()

    async def read_line(self, prompt: str) -> str | None:
        return None

    def write(self, text: str) -> None:
        self.shown.append(text)
        self.something_shown.set()

    def geometry(self) -> tuple[int, int] | None:
        return (80, 24)

    def error(self, text: str) -> None:
        self.errors.append(text)

    complain = error
