"""The group leader's I/O protocol, both ends of it, without a process or a terminal.

    client -> leader   {io_request, From, ReplyAs, Request}
    leader -> client   {io_reply, ReplyAs, Result}

Building: `io_request`, `put_chars`, `get_line`. Answering: an `Answerer` gets a `Device` and turns each request into
its result. Writing is answered at once (`answer_output`), reading awaits the device; requests that name a function
(`{put_chars, Enc, M, F, A}`, `{get_until, …}`) are done here for io_lib:format and handed to `evaluate` otherwise.

Source  STDLIB User's Guide, "The Erlang I/O Protocol"; wire facts section 16.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from beamish.io.format import FormatError, format
from beamish.io.measure import Style
from beamish.term import Atom, Charlist, atom
from beamish.term.chardata import ChardataError, Encoding, text

Evaluate = Callable[[Atom, Atom, list[Any]], Awaitable[Any]]
"""Runs module, function, arguments, usually on the node of whoever asked; raises if it fails."""

MAX_REQUESTS: Final = 10_000
MAX_READ: Final = 1024 * 1024
_FORMATTERS: Final = frozenset(("format", "fwrite"))
_NEEDS_INPUT: Final = frozenset(("get_line", "get_chars", "get_until", "get_password"))


class Device(Protocol):
    """What text goes to and comes from."""

    def write(self, text: str) -> None:
        """Show text."""

    async def read_line(self, prompt: str) -> str | None:
        """A line with its line break, or None at the end of input."""

    def geometry(self) -> tuple[int, int] | None:
        """Columns and rows, or None if it has none."""


def io_request(sender: Any, reply_as: Any, request: Any) -> tuple[Any, ...]:
    """The message that asks a group leader for something."""
    return (atom.io_request, sender, reply_as, request)


def io_reply(reply_as: Any, result: Any) -> tuple[Any, ...]:
    """The message that answers it."""
    return (atom.io_reply, reply_as, result)


def put_chars(content: str) -> tuple[Any, ...]:
    """Request to write text."""
    return (atom.put_chars, atom.unicode, content)


def get_line(prompt: str) -> tuple[Any, ...]:
    """Request to read a line."""
    return (atom.get_line, atom.unicode, prompt)


def parse_request(message: Any) -> tuple[Any, Any, Any] | None:
    """(From, ReplyAs, Request) of an io_request message; None for any other message."""
    match message:
        case (atom.io_request, sender, reply_as, request):
            return sender, reply_as, request
    return None


def parse_reply(message: Any, reply_as: Any) -> tuple[Any] | None:
    """(Result,) if this is the reply with that tag."""
    match message:
        case (atom.io_reply, tag, result) if tag == reply_as:
            return (result,)
    return None


def needs_input(request: Any) -> bool:
    """Does the request read, so that its answer has to wait?"""
    match request:
        case (Atom() as verb, *_):
            if verb is atom.requests and len(request) == 2 and isinstance(request[1], list):
                return any(needs_input(each) for each in request[1])
            return verb.text in _NEEDS_INPUT
    return False


class Answerer:
    """Answers requests on one device. Keeps what was read but not asked for, and the options that clients set.

    own_node: whose pids print as local. evaluate: see Evaluate; without it such requests are not supported.
    """

    def __init__(self, device: Device, *, own_node: Atom | None = None, evaluate: Evaluate | None = None) -> None:
        self.device = device
        self.style = Style(own_node=own_node)
        self.evaluate = evaluate
        self.binary = False
        self.echo = True
        self._held = ""
        self._at_end = False

    async def answer(self, request: Any) -> Any:
        """The result of any request. Never raises for what a client sent."""
        if isinstance(request, tuple) and len(request) == 2 and request[0] is atom.requests:
            return await self._all(request[1])
        if needs_input(request):
            return await self._input(request)
        result = self.answer_output(request)
        if result is not None:
            return result
        match request:  # text made by some other function
            case (atom.put_chars, (atom.unicode | atom.latin1) as encoding, Atom() as module, Atom() as function, args):
                return await self._put_made(encoding.text, module, function, args)
            case (atom.put_chars, Atom() as module, Atom() as function, args):
                return await self._put_made("latin1", module, function, args)
        return _error(atom.request)

    def answer_output(self, request: Any) -> Any:
        """The result if it can be had without waiting, else None: reading, or text made by a function elsewhere."""
        match request:
            case (atom.put_chars, (atom.unicode | atom.latin1) as encoding, content):
                return self._put(encoding.text, content)
            case (atom.put_chars, content):
                return self._put("latin1", content)
            case (atom.put_chars, (atom.unicode | atom.latin1), atom.io_lib, Atom() as function, args):
                return self._put_formatted(function, args)
            case (atom.put_chars, atom.io_lib, Atom() as function, args):
                return self._put_formatted(function, args)
            case (atom.put_chars, _, Atom(), Atom(), _) | (atom.put_chars, Atom(), Atom(), _):
                return None
            case (atom.get_geometry, atom.columns):
                size = self.device.geometry()
                return size[0] if size else _error(atom.enotsup)
            case (atom.get_geometry, atom.rows):
                size = self.device.geometry()
                return size[1] if size else _error(atom.enotsup)
            case atom.getopts | (atom.getopts, []):
                return [(atom.binary, self.binary), (atom.encoding, atom.unicode), (atom.echo, self.echo)]
            case (atom.setopts, list(options)):
                return self._set(options)
        return None if needs_input(request) or _is_batch(request) else _error(atom.request)

    def _set(self, options: list[Any]) -> Any:
        binary, echo = self.binary, self.echo
        for option in options:
            match option:
                case atom.binary | (atom.binary, True):
                    binary = True
                case atom.list | (atom.binary, False):
                    binary = False
                case (atom.echo, bool(value)):
                    echo = value
                case (atom.encoding, atom.unicode | atom.utf8 | atom.latin1):
                    pass  # text is text here, whatever it is called
                case _:
                    return _error(atom.enotsup)
        self.binary, self.echo = binary, echo
        return atom.ok

    def _put(self, encoding: Encoding, content: Any) -> Any:
        try:
            self.device.write(text(content, encoding))
        except ChardataError:
            return _error((atom.put_chars, atom(encoding), content))
        return atom.ok

    def _put_formatted(self, function: Atom, args: Any) -> Any:
        if function.text not in _FORMATTERS:
            return None
        match args:
            case [pattern, arguments] | [pattern, arguments, _]:
                try:
                    self.device.write(format(pattern, arguments, self.style))
                except FormatError:
                    return _error(function)
                return atom.ok
        return _error(function)

    async def _put_made(self, encoding: Encoding, module: Atom, function: Atom, args: Any) -> Any:
        if self.evaluate is None or not isinstance(args, list):
            return _error(atom.enotsup)
        try:
            made = await self.evaluate(module, function, args)
        except Exception:
            return _error(function)  # what happened there is the client's business
        return self._put(encoding, made)

    async def _all(self, requests: Any) -> Any:
        if not isinstance(requests, list) or len(requests) > MAX_REQUESTS:
            return _error(atom.request)
        result: Any = atom.ok
        for request in requests:
            if _is_batch(request):
                return _error(atom.request)
            result = await self.answer(request)
            if isinstance(result, tuple) and result and result[0] is atom.error:
                break
        return result

    async def _input(self, request: tuple[Any, ...]) -> Any:
        verb, *rest = request
        if rest and rest[0] in (atom.unicode, atom.latin1) and len(rest) > (0 if verb is atom.get_password else 1):
            rest = rest[1:]
        try:
            match verb, rest:
                case atom.get_line, [prompt]:
                    return self._data(await self._line(self._prompt(prompt)))
                case atom.get_chars, [prompt, int(count)] if 0 <= count <= MAX_READ:
                    return self._data(await self._characters(self._prompt(prompt), count))
                case atom.get_until, [prompt, Atom() as module, Atom() as function, list(extra)]:
                    return await self._until(self._prompt(prompt), module, function, extra)
                case atom.get_password, []:
                    return _error(atom.enotsup)
        except (ChardataError, FormatError):
            pass
        return _error(atom.request)

    def _prompt(self, prompt: Any) -> str:
        match prompt:
            case Atom():
                return prompt.text
            case None | True | False:
                return {None: "nil", True: "true", False: "false"}[prompt]
            case (atom.format, pattern, arguments):
                return format(pattern, arguments, self.style)
        return text(prompt)

    def _data(self, content: str) -> Any:
        if not content:
            return atom.eof
        return content if self.binary else Charlist(content)

    async def _more(self, prompt: str) -> bool:
        """Read another line into what is held; False at the end of input."""
        if not self._at_end:
            line = await self.device.read_line(prompt)
            if line:
                self._held += line
                return True
            self._at_end = True
        return False

    async def _line(self, prompt: str) -> str:
        while "\n" not in self._held and await self._more(prompt):
            prompt = ""
        line, newline, rest = self._held.partition("\n")
        self._held = rest
        self._at_end = False if line or newline else self._at_end
        return line + newline

    async def _characters(self, prompt: str, count: int) -> str:
        while len(self._held) < count and await self._more(prompt):
            prompt = ""
        taken, self._held = self._held[:count], self._held[count:]
        return taken

    async def _until(self, prompt: str, module: Atom, function: Atom, extra: list[Any]) -> Any:
        """Feed lines to a function until it says {done, Result, Rest}; a list is its first state."""
        if self.evaluate is None:
            return _error(atom.enotsup)
        state: Any = []
        while True:
            line = await self._line(prompt)
            try:
                step = await self.evaluate(module, function, [state, Charlist(line) if line else atom.eof, *extra])
            except Exception:
                return _error(function)
            match step:
                case (atom.done, result, rest):
                    if rest is not atom.eof:
                        self._held = text(rest) + self._held
                    return result
                case (atom.more, state) if line:
                    continue
            return _error(function)


async def answer(request: Any, device: Device) -> Any:
    """The result of one request that stands alone."""
    return await Answerer(device).answer(request)


def _is_batch(request: Any) -> bool:
    return isinstance(request, tuple) and len(request) == 2 and request[0] is atom.requests


def _error(reason: Any) -> tuple[Any, Any]:
    return (atom.error, reason)
