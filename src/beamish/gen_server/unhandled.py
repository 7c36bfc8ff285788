"""What a server does with messages that its class has nothing for: as Elixir's GenServer does."""

from __future__ import annotations

import logging
from typing import Any

from beamish.errors import BeamishError
from beamish.gen_server.methods import methods_of
from beamish.term import Atom
from beamish.term.convert import shown_value

log = logging.getLogger("beamish.gen_server")


class NoClause(BeamishError, LookupError):
    """A call or cast that nothing in the server takes."""

    def __str__(self) -> str:
        return str(self.args[0])


class BadReturnValue(BeamishError, TypeError):
    """A callback gave something that means nothing; `reason` is OTP's ``{bad_return_value, Value}``."""


def no_clause(server: Any, name: Any, kind: str, request: Any) -> NoClause:
    """The error for a request nobody takes; it says what the class has instead."""
    cls = type(server)
    table = methods_of(cls)
    tag = request[0] if isinstance(request, tuple) and request else request
    method = table.get(tag) if isinstance(tag, Atom) else None
    text = f"attempted to {kind} GenServer {name} with {shown_value(request)}, but "
    if method is not None and method.is_call != (kind == "call"):
        return NoClause(text + f"{method.described} is a @{'call' if method.is_call else 'cast'} method")
    if method is not None:
        return NoClause(text + f"{method.described} takes {method.takes}")
    fitting = sorted(each.name for each in table.values() if each.is_call == (kind == "call"))
    have = f"its @{kind} methods are {', '.join(fitting)}" if fitting else f"it has no @{kind} method"
    return NoClause(text + f"{cls.__qualname__} has no handle_{kind} that takes it, and {have}")


def unexpected_message(server: Any, name: Any, message: Any) -> None:
    """The default `handle_info`: a warning, and the message is dropped."""
    log.warning("%s %s received unexpected message in handle_info: %s", type(server).__qualname__, name, shown_value(message))


__all__ = ["BadReturnValue", "NoClause", "no_clause", "unexpected_message"]
