"""The shell on a terminal: line editing, completion and history, and output above the prompt.

Built on prompt_toolkit itself: ptpython, which is built on it too, took 40 ms and 7 MB more until the first prompt and
keeps its own idea of an event loop and of evaluation.
"""

from __future__ import annotations

import asyncio
import errno
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from prompt_toolkit import PromptSession
from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.application.current import set_app
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.lexers import Lexer

from beamish.io.devices import StandardDevice
from beamish.shell.colours import pieces
from beamish.shell.completion import complete
from beamish.shell.history import history_file
from beamish.shell.source_text import state_of

if TYPE_CHECKING:
    from beamish.shell.session import Session

MAX_HELD: Final = 1024 * 1024
"""Characters of output that wait for the prompt to make room; more is written at once."""


class SessionCompleter(Completer):
    """Completion from the session's live names and the nodes it knows."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        runtime = self.session.runtime
        nodes = [str(node) for node in runtime.known_nodes]
        text = document.text_before_cursor
        start, found = complete(text, self.session.evaluator.namespace, nodes)
        for candidate in found:
            yield Completion(candidate, start - len(text))


class PythonLexer(Lexer):
    """Colours for what is typed."""

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        lines = pieces(document.text)

        def line(number: int) -> StyleAndTextTuples:
            return [*lines[number]] if number < len(lines) else []

        return line


class TerminalFront(StandardDevice):
    """Reads inputs with line editing; what anybody writes meanwhile appears above the line being edited."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        super().__init__()
        environ = os.environ if environ is None else environ
        self.colour = not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
        path = history_file(environ)
        self._history: History = InMemoryHistory() if path is None else FileHistory(str(path))
        self._prompting: PromptSession[str] | None = None
        self._busy = asyncio.Lock()
        self._held: list[str] = []
        self._writing = False
        self._column_zero = True
        self._above_task: asyncio.Future[None] | None = None
        self._interrupt: Callable[[], None] = lambda: None
        self.session: PromptSession[str] | None = None

    def attach(self, session: Session) -> None:
        """Prepare the line editor for a session."""
        self._interrupt = session.evaluator.interrupt
        self.session = PromptSession(
            history=self._history,
            completer=SessionCompleter(session),
            complete_while_typing=False,
            lexer=PythonLexer() if self.colour else None,
            key_bindings=_bindings(),
            multiline=True,
            prompt_continuation=_continuation,
            enable_open_in_editor=False,
        )

    async def read_input(self, prompt: str) -> str | None:
        """A whole input. Raises KeyboardInterrupt for Ctrl-C at the prompt."""
        assert self.session is not None
        self._end_line()
        return await self._prompt(self.session, [("bold" if self.colour else "", prompt)])

    async def read_line(self, prompt: str) -> str | None:
        """A line for a program that asks for one, while no input is being typed. Ctrl-C ends the evaluation as well."""
        asker: PromptSession[str] = PromptSession()
        *lines_before, last = prompt.split("\n")
        self.write("".join(line + "\n" for line in lines_before))
        try:
            line = await self._prompt(asker, [("", last)])
        except KeyboardInterrupt:
            self._interrupt()
            raise OSError(errno.EINTR, "interrupted") from None
        return None if line is None else line + "\n"

    async def _prompt(self, session: PromptSession[str], prompt: Any) -> str | None:
        async with self._busy:
            self._prompting = session
            try:
                return await session.prompt_async(prompt, handle_sigint=False)
            except EOFError:
                return None
            finally:
                self._prompting = None
                self._write_held()

    def write(self, text: str) -> None:
        """Write now, or as soon as the prompt has stepped aside."""
        if self._prompting is None or not self._prompting.app.is_running:
            self._write_held()
            self._put(text)
            return
        self._held.append(text)
        if sum(map(len, self._held)) > MAX_HELD:
            self._write_held()
        elif not self._writing and "\n" in text:
            self._writing = True
            asyncio.get_running_loop().call_soon(self._make_room)

    def _make_room(self) -> None:
        session = self._prompting
        if session is None or not session.app.is_running:
            self._writing = False
            self._write_held()
            return
        with set_app(session.app):
            self._above_task = asyncio.ensure_future(self._above(session))

    async def _above(self, session: PromptSession[str]) -> None:
        try:
            await run_in_terminal(self._write_whole_lines)
        finally:
            self._writing = False
            if any("\n" in text for text in self._held) and self._prompting is session:
                self._writing = True
                asyncio.get_running_loop().call_soon(self._make_room)

    def _write_whole_lines(self) -> None:
        """The prompt is away: write what ends in a line break, keep the rest for later."""
        text = "".join(self._held)
        lines, newline, rest = text.rpartition("\n")
        self._held = [rest] if rest else []
        self._put(lines + newline)

    def _write_held(self) -> None:
        if self._held:
            text = "".join(self._held)
            self._held = []
            self._put(text)

    def _put(self, text: str) -> None:
        if text:
            self._column_zero = text.endswith("\n")
            super().write(text)

    def _end_line(self) -> None:
        """The prompt begins on a line of its own, also after print(…, end="")."""
        if not self._column_zero:
            self._put("\n")

    def error(self, text: str) -> None:
        """In red."""
        self.write(f"\x1b[31m{text}\x1b[0m\n" if self.colour else text + "\n")

    def complain(self, text: str) -> None:
        """In yellow."""
        self.write(f"\x1b[33m{text}\x1b[0m\n" if self.colour else text + "\n")


def _continuation(width: int, line_number: int, wrap_count: int) -> StyleAndTextTuples:
    return [("", "...> ".rjust(width))]


def _bindings() -> KeyBindings:
    bindings = KeyBindings()

    @bindings.add("enter")
    def enter(event: KeyPressEvent) -> None:
        """Run what is whole, else go on in the next line with the indentation it should have."""
        buffer = event.current_buffer
        text = buffer.text
        at_end = not buffer.document.text_after_cursor.strip()
        if state_of(text) in ("empty", "whole") and at_end:
            buffer.validate_and_handle()
            return
        line = buffer.document.current_line_before_cursor
        indent = line[: len(line) - len(line.lstrip())]
        if line.rstrip().endswith(":"):
            indent += "    "
        elif line.split()[:1] in (["return"], ["pass"], ["break"], ["continue"], ["raise"]):
            indent = indent[:-4]
        elif not line.strip() and at_end and state_of(text.rstrip() + "\n") == "whole":
            buffer.validate_and_handle()
            return
        buffer.insert_text("\n" + indent)

    @bindings.add("escape", "enter")
    def new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @Condition
    def behind_blanks() -> bool:
        from prompt_toolkit.application.current import get_app

        return not get_app().current_buffer.document.current_line_before_cursor.strip()

    @bindings.add("tab", filter=behind_blanks)
    def tab(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("    ")

    return bindings


def is_terminal() -> bool:
    """Is somebody sitting in front of us?"""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
