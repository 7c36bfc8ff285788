"""What callbacks give back besides plain values. Pure.

Source  OTP 25, stdlib: gen_server, "Callback functions".
"""

from __future__ import annotations

from typing import Any, Final, Generic, TypeVar, final

T = TypeVar("T")


class Nothing:
    """Marks an argument that was not given, since None is a term."""

    def __repr__(self) -> str:
        return "<not given>"


NOTHING: Final = Nothing()


def _one_of(timeout: Any, then: Any) -> None:
    if timeout is not None:
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout >= 0:
            raise ValueError(f"a timeout is a number of seconds from 0 on, not {timeout!r}")
        if then is not NOTHING:
            raise ValueError("give either timeout= or then=: what continues at once does not wait for a message")


def _rest(timeout: float | None, then: Any) -> str:
    if timeout is not None:
        return f", timeout={timeout!r}"
    return f", then={then!r}" if then is not NOTHING else ""


@final
class Reply(Generic[T]):
    """A reply, and what comes after it.

    timeout: seconds; if no message comes meanwhile, `handle_info(atom.timeout)` is called. then: the argument for
    `handle_continue`, which runs before the next message.
    """

    __slots__ = ("then", "timeout", "value")

    def __init__(self, value: T, *, timeout: float | None = None, then: Any = NOTHING) -> None:
        _one_of(timeout, then)
        self.value = value
        self.timeout = timeout
        self.then = then

    def __repr__(self) -> str:
        return f"Reply({self.value!r}{_rest(self.timeout, self.then)})"


@final
class NoReply:
    """The caller is answered later, with `GenServer.reply`; or, for a cast or a message, only what comes next."""

    __slots__ = ("then", "timeout")

    def __init__(self, *, timeout: float | None = None, then: Any = NOTHING) -> None:
        _one_of(timeout, then)
        self.timeout = timeout
        self.then = then

    def __repr__(self) -> str:
        return f"NoReply({_rest(self.timeout, self.then).removeprefix(', ')})"


NO_REPLY: Final = NoReply()
"""The caller is answered later."""


@final
class Stop:
    """End the server: `terminate(reason)` is called, then `reply` goes to the caller, then it exits with `reason`."""

    __slots__ = ("reason", "reply")

    def __init__(self, reason: Any, *, reply: Any = NOTHING) -> None:
        self.reason = reason
        self.reply = reply

    def __repr__(self) -> str:
        return f"Stop({self.reason!r}{f', reply={self.reply!r}' if self.reply is not NOTHING else ''})"


@final
class Continue:
    """Call `handle_continue(argument)` before the next message."""

    __slots__ = ("argument",)

    def __init__(self, argument: Any = None) -> None:
        self.argument = argument

    def __repr__(self) -> str:
        return f"Continue({self.argument!r})"


@final
class Timeout:
    """Call `handle_info(atom.timeout)` if no message comes within so many seconds."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        _one_of(seconds, NOTHING)
        self.seconds = seconds

    def __repr__(self) -> str:
        return f"Timeout({self.seconds!r})"


@final
class Ignore:
    """`init` does not want the server to run; see `IGNORE`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "IGNORE"


IGNORE: Final = Ignore()
"""Given by `init`: do not start, and that is no error; the starter gets StartIgnored."""


__all__ = ["IGNORE", "NOTHING", "NO_REPLY", "Continue", "Ignore", "NoReply", "Nothing", "Reply", "Stop", "Timeout"]
