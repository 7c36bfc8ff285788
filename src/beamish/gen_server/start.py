"""Synchronous start, as OTP's proc_lib does it: whoever starts a process hears of it when it is up, or why it is not.

    async def body(ack, *args):
        ...                     # prepare
        ack()                   # up: the starter goes on
        ...                     # the process's life

    pid, value = await enter(body, *args, link=True, name="worker")

The name is registered before the body runs; when the start has failed the process is dead and the name free, so that the
next attempt does not meet its predecessor. The starter waits in a `Call` that sends nothing: `ack` answers it, and the death of the
process ends it.

Source  OTP 25, stdlib: proc_lib (start_link/5, init_ack/2), gen (init_it/7).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, NoReturn

from beamish.errors import AlreadyStarted, CallTimeout, Exit, StartError, StartIgnored, StartTimeout
from beamish.gen_server.target import RegisteredName, name_object, settled, shown
from beamish.process import ControlBlock, current_process, self, spawn
from beamish.process import link as link_to
from beamish.process._call import acknowledge, aim, expect
from beamish.process._core import Call
from beamish.process._signals import kill_process, unlink
from beamish.process.exits import text_of
from beamish.process.gen import CallFailed
from beamish.term import Atom, Pid, atom

_WAITING: Final = "waiting"
_UP: Final = "up"
_FAILED: Final = "failed"
_IGNORED: Final = "ignored"
_TAKEN: Final = "taken"


class Started(NamedTuple):
    """A process that is up, and what it gave to `ack`."""

    pid: Pid
    value: Any


class Ack:
    """How a starting process tells its starter. Call it once, or `fail` or `ignore`, which end the process.

    parent: the process that it is linked to and that may end it; the starter, unless that starts it for another.
    """

    __slots__ = ("cause", "parent", "reason", "starter", "state", "value", "via", "wait")

    def __init__(self, starter: Pid, parent: Pid | None, via: RegisteredName | None, wait: Call) -> None:
        self.starter = starter
        self.parent = parent
        self.via = via
        self.state = _WAITING
        self.wait = wait  # there before the process is: its starter may run on another thread, or be interrupted
        self.value: Any = None
        self.reason: Any = None
        self.cause: BaseException | None = None

    def __call__(self, value: Any = None) -> None:
        """The process is up."""
        if self.state is _WAITING:
            self.state = _UP
            acknowledge(self.wait, value)

    def fail(self, reason: Any, cause: BaseException | None = None) -> NoReturn:
        """The process cannot start: it ends with `reason`, which the starter gets in a StartError, raised from `cause`."""
        self.failed(reason, cause)
        raise Exit(reason)

    def failed(self, reason: Any, cause: BaseException | None = None) -> None:
        """The same for a process that is about to end anyway."""
        if self.state is _WAITING:
            self.state, self.reason, self.cause = _FAILED, reason, cause

    def ignore(self) -> NoReturn:
        """The process does not want to run, which is no error: it ends normally and the starter gets StartIgnored."""
        self.state = _IGNORED
        raise Exit(atom.normal)

    @property
    def waiting(self) -> bool:
        """Whether the starter has not been told yet."""
        return self.state is _WAITING

    @property
    def linked(self) -> bool:
        """Whether the process is linked to a parent."""
        return self.parent is not None

    @property
    def prepares(self) -> bool:
        """Whether something is to be done in the process before its body runs."""
        return self.via is not None or (self.parent is not None and self.parent is not self.starter)

    def heard(self) -> bool:
        """Whether the starter will see the StartError: one that is linked and does not trap exits dies with the process."""
        if self.parent is not self.starter:
            return True  # it is not linked; a parent elsewhere is told by the starter
        process = current_process()
        starter = process.home.process_of(self.starter) if process is not None else None
        return starter is not None and starter.traps


async def prepared(ack: Ack, body: Callable[[], Awaitable[Any]]) -> Any:
    """Run the first part of a process after what its `ack` says is to be done before."""
    if ack.parent is not None and ack.parent is not ack.starter:
        link_to(ack.parent)
    if ack.via is None:
        return await body()
    if not await settled(ack.via.register(self())):
        ack.state, ack.value = _TAKEN, ack.via.whereis()
        raise Exit(atom.normal)
    try:
        return await body()
    except BaseException:
        if ack.state is not _UP:
            await settled(ack.via.unregister())
        raise


async def _body(ack: Ack, function: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
    await prepared(ack, lambda: function(ack, *args))


STARTS_FOR: Final = atom("$starts_for")
"""Under this key of its dictionary a process says for whom it starts others with a link: a supervisor on another node."""


def _starts_for(process: ControlBlock) -> Pid | None:
    rare = process.details["rare"]
    found = rare.dictionary.get(STARTS_FOR) if rare is not None and rare.dictionary else None
    return found if isinstance(found, Pid) else None


async def enter(
    body: Any, *args: Any, link: bool = True, name: Any = None, timeout: float | None = None, what: str | None = None,
) -> Started:  # fmt: skip
    """Start a process that runs the async function `body(ack, *args)` and wait until it is up.

    body: or a plain function with an attribute `makes_body`, which is called with the arguments and gives a `Body` to run.
    name: a local name, ``("global", x)`` or a registered name object. timeout: seconds, after which the process is killed.
    what: how messages call it. Raises AlreadyStarted, StartIgnored, StartTimeout, or StartError with the reason. With link=True
    the exit signal of a process that could not start reaches the starter as well, as in OTP.
    """
    me = self()
    process = current_process()
    assert process is not None
    local = name is None or isinstance(name, str | Atom)
    parent = (_starts_for(process) or me) if link else None
    wait = expect(timeout)
    ack = Ack(me, parent, None if local else name_object(name), wait)
    if local and name is not None:
        holder = process.home.names.get(atom(name))
        if holder is not None:
            raise _already(what or str(body), name, holder.pid)
    code: Any
    rest: tuple[Any, ...]
    if hasattr(body, "makes_body"):
        code, rest = body(*args), ()
        code.ack = ack
    elif ack.prepares:
        code, rest = _body, (ack, body, args)
    else:
        code, rest = body, (ack, *args)
    if parent is None or parent is me:
        pid = spawn(code, *rest, link=link, name=name if local else None)
    else:
        pid = process.home.spawn(code, *rest, parent=parent, leader=process.leader, name=name if local else None)
    aim(wait, pid)
    try:
        return Started(pid, await wait)
    except CallTimeout:
        _abandon(process, pid, link)
        raise StartTimeout(
            f"{what or _called(body)} was not up within {timeout:g} s and was killed; give start(timeout=) more, or do slow work "
            "in handle_continue", atom.timeout) from None  # fmt: skip
    except asyncio.CancelledError:
        _abandon(process, pid, link)
        raise
    except CallFailed as failure:
        reason = failure.reason
    raise _why(what or _called(body), ack, name, reason) from ack.cause


def _called(body: Any) -> str:
    return str(getattr(body, "__qualname__", repr(body)))


def _why(what: str, ack: Ack, name: Any, reason: Any) -> StartError:
    """The error for a process that ended before it was up."""
    if ack.state is _TAKEN:
        return _already(what, name, ack.value)
    if ack.state is _IGNORED:
        return StartIgnored(f"{what} chose not to start: its init gave IGNORE", atom.ignore)
    if ack.state is _FAILED:
        return StartError(f"{what} did not start: {text_of(ack.reason)}", ack.reason)
    return StartError(f"{what} ended before it was up: {text_of(reason)}", reason)


def _already(what: str, name: Any, pid: Pid | None) -> AlreadyStarted:
    return AlreadyStarted(f"{what}: {shown(name)} is already the name of {pid}", (atom.already_started, pid), pid)


def _abandon(me: ControlBlock, pid: Pid, linked: bool) -> None:
    """Nobody waits for this start any more: no half-started process is left, and no news of its end."""
    if linked:
        unlink(pid)
    process = me.home.process_of(pid)
    if process is not None:
        kill_process(process)


__all__ = ["STARTS_FOR", "Ack", "Started", "enter", "prepared"]
