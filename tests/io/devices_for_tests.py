"""A device without a terminal."""

from __future__ import annotations

import asyncio


class RecordingDevice:
    """Collects what is written; lines to read are given beforehand, or later with `type`."""

    def __init__(self, *lines: str | None, size: tuple[int, int] | None = None) -> None:
        self.text = ""
        self.prompts: list[str] = []
        self.size = size
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        for line in lines:
            self._lines.put_nowait(line)

    def type(self, line: str | None) -> None:
        self._lines.put_nowait(line)

    def write(self, text: str) -> None:
        self.text += text

    async def read_line(self, prompt: str) -> str | None:
        self.prompts.append(prompt)
        return await self._lines.get()

    def geometry(self) -> tuple[int, int] | None:
        return self.size
