"""Devices: what a node's group leader writes to and reads from."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from typing import TextIO


class StandardDevice:
    """The streams of the OS process. Lines are read by a thread of their own, so that waiting for input holds up nobody
    and an unread line does not keep the program from ending."""

    def __init__(self, output: TextIO | None = None, input: TextIO | None = None) -> None:
        self._output = output
        self._input = input

    @property
    def output(self) -> TextIO:
        """Where text goes: what was given, else the stream behind our own stand-in for sys.stdout."""
        if self._output is not None:
            return self._output
        stream: TextIO = getattr(sys.stdout, "beamish_target", sys.stdout)
        return stream

    def write(self, text: str) -> None:
        """Write at once. A terminal that went away is no reason for anybody to crash."""
        output = self.output
        try:
            output.write(text)
            output.flush()
        except UnicodeEncodeError:
            encoding = output.encoding or "ascii"
            output.write(text.encode(encoding, "backslashreplace").decode(encoding))
            output.flush()
        except (BrokenPipeError, ValueError):  # closed
            pass

    async def read_line(self, prompt: str) -> str | None:
        """A line of standard input, None at its end."""
        if prompt:
            self.write(prompt)
        stream = self._input or sys.stdin
        if stream is None:
            return None
        line = await in_thread(stream.readline)
        return line or None

    def geometry(self) -> tuple[int, int] | None:
        """Size of the terminal, None if there is none."""
        try:
            size = os.get_terminal_size(self.output.fileno())
        except (OSError, ValueError, AttributeError):
            return None
        return size.columns, size.lines


async def in_thread(function: Callable[[], str]) -> str:
    """Run a blocking read in a daemon thread: unlike an executor's, it does not hold up the end of the program."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[str] = loop.create_future()

    def settle(result: str | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(result or "")
        else:
            done.set_exception(error)

    def work() -> None:
        result, failure = None, None
        try:
            result = function()
        except BaseException as error:
            failure = error
        try:
            loop.call_soon_threadsafe(settle, result, failure)
        except RuntimeError:  # the loop is gone, and with it whoever waited
            pass

    threading.Thread(target=work, name="beamish-input", daemon=True).start()
    return await done
