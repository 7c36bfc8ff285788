"""Looking into a server, as Erlang's `sys` does: its state, its statistics, its last events; and suspending or ending it.

    await sys.get_state("counter")                       # whatever the server keeps
    await sys.statistics(pid, True); ...; await sys.statistics(pid)
    await sys.suspend(("worker", "robin@frankel"))       # it answers nothing but this until `resume`

Works on every process that speaks OTP's system protocol: gen_server, gen_statem, supervisor, GenServer, Agent … of Erlang,
Elixir and Python alike. `server` is a target: a pid, a handle, a name, ``(name, node)``, ``("global", name)`` … `timeout` is in
seconds, None for ever. Each function raises CallFailed when the process is not there or ends (`reason` is its exit reason),
CallTimeout when it does not answer, and RemoteError where it answers with an error.

Source  OTP 25, stdlib: sys; system messages are ``{system, From, Request}``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, NamedTuple

from beamish.errors import RemoteError
from beamish.gen_server.target import address, shown
from beamish.process import current_scheduler
from beamish.process.exits import text_of
from beamish.process.gen import CALL_TIMEOUT, CallFailed, call
from beamish.term import Atom, ExportFun, Pid, atom

__all__ = [
    "Statistics", "Status", "change_code", "get_state", "get_status", "log", "no_debug", "replace_state", "request", "resume",
    "statistics", "suspend", "terminate", "trace",
]  # fmt: skip

SYSTEM: Final = atom.system
DEBUG: Final = atom.debug


class Status(NamedTuple):
    """What `get_status` tells: Erlang's ``{status, Pid, {module, Module}, [Dictionary, State, Parent, Debug, Misc]}``.

    state: "running" or "suspended". misc: what that kind of process shows of itself; a gen_server's state is in it.
    """

    pid: Pid
    module: Atom
    dictionary: list[Any]
    state: str
    parent: Pid | Atom
    debug: list[Any]
    misc: Any


class Statistics(NamedTuple):
    """Since `statistics(server, True)`: times of the server's own clock, messages handled and sent by its callbacks."""

    start_time: datetime
    current_time: datetime
    reductions: int
    messages_in: int
    messages_out: int


async def request(server: Any, what: Any, timeout: float | None = CALL_TIMEOUT) -> Any:
    """Send one system request and give the reply as it is."""
    where = address(server)
    if where is None:
        raise CallFailed(f"nobody is {shown(server)}", kind="exit", reason=atom.noproc)
    return await call(where, what, timeout, label=SYSTEM)


async def _value(server: Any, what: Any, timeout: float | None) -> Any:
    """A reply that is not ``{error, Reason}``."""
    answer = await request(server, what, timeout)
    match answer:
        case (atom.error, reason):
            name = what[0] if isinstance(what, tuple) else what
            raise RemoteError(f"{name} of {shown(server)} failed: {text_of(reason)}", kind="error", reason=reason)
        case atom.unknown_debug:
            raise RemoteError(f"{shown(server)} knows no {what!r}", kind="error", reason=answer)
    return answer


async def _done(server: Any, what: Any, timeout: float | None) -> None:
    answer = await _value(server, what, timeout)
    if answer is not atom.ok:
        raise RemoteError(f"{shown(server)} answered {answer!r} to {what!r}", kind="error", reason=answer)


async def get_state(server: Any, timeout: float | None = CALL_TIMEOUT) -> Any:
    """The server's state: a gen_server's state term, ``(state, data)`` of a gen_statem, `get_state()` of a Python GenServer."""
    return await _value(server, atom.get_state, timeout)


async def replace_state(
    server: Any, function: Callable[[Any], Any] | ExportFun, timeout: float | None = CALL_TIMEOUT
) -> Any:
    """Let the server's state become `function(state)`; gives the new state. For repairs by hand.

    A server on another node needs a function of that node, ``ExportFun(module, name, 1)``: code never travels.
    """
    where = address(server)
    if callable(function) and not isinstance(function, ExportFun) and _abroad(where):
        raise TypeError(
            f"a Python function cannot be sent to {shown(server)}: name one of that node, as in "
            "ExportFun(atom('Elixir.MyApp'), atom.repair, 1)"
        )
    return await _value(server, (atom.replace_state, function), timeout)


def _abroad(where: Any) -> bool:
    home = current_scheduler()
    node = where.node if isinstance(where, Pid) else where[1] if isinstance(where, tuple) else None
    return home is not None and node is not None and node is not home.node


async def get_status(server: Any, timeout: float | None = CALL_TIMEOUT) -> Status:
    """Module, parent, dictionary, debug options, and what the server shows of itself."""
    answer = await _value(server, atom.get_status, timeout)
    match answer:
        case (atom.status, pid, (atom.module, module), [dictionary, state, parent, debug, misc]):
            return Status(pid, module, dictionary, str(state), parent, debug, misc)
    raise RemoteError(f"{shown(server)} told its status in an unknown form: {answer!r}", kind="error", reason=answer)


async def suspend(server: Any, timeout: float | None = CALL_TIMEOUT) -> None:
    """The server handles nothing but system messages until `resume`; what comes in the meantime waits in its mailbox."""
    await _done(server, atom.suspend, timeout)


async def resume(server: Any, timeout: float | None = CALL_TIMEOUT) -> None:
    """Let a suspended server go on."""
    await _done(server, atom.resume, timeout)


async def change_code(
    server: Any, module: Any, old_version: Any = atom.undefined, extra: Any = None, timeout: float | None = CALL_TIMEOUT
) -> None:
    """Call the `code_change` of a suspended server. Raises RemoteError while it runs."""
    name = atom(module) if isinstance(module, str) else module
    await _done(server, (atom.change_code, name, old_version, [] if extra is None else extra), timeout)


async def terminate(server: Any, reason: Any, timeout: float | None = CALL_TIMEOUT) -> None:
    """Let the server end with that reason, after its `terminate`. Returns when it has agreed; monitor it to see the end."""
    await _done(server, (atom.terminate, reason), timeout)


async def trace(server: Any, on: bool, timeout: float | None = CALL_TIMEOUT) -> None:
    """Have the server print each of its events (on its group leader)."""
    await _done(server, (DEBUG, (atom.trace, on)), timeout)


async def log(server: Any, what: bool | int | None = None, timeout: float | None = CALL_TIMEOUT) -> list[Any]:
    """The last events that the server keeps, oldest first: ``(in, message)``, ``(out, reply, to, state)``, ``(noreply, state)`` …

    what: True to begin to keep 10 of them, a number to keep so many, False to keep none; None to get them.
    """
    flag = atom.get if what is None else (True, what) if type(what) is int else what
    answer = await _value(server, (DEBUG, (atom.log, flag)), timeout)
    return list(answer[1]) if isinstance(answer, tuple) else []


async def statistics(server: Any, on: bool | None = None, timeout: float | None = CALL_TIMEOUT) -> Statistics | None:
    """Start (True) or stop (False) counting; without `on` the counts, or None if the server does not count."""
    answer = await _value(server, (DEBUG, (atom.statistics, atom.get if on is None else on)), timeout)
    if not isinstance(answer, tuple) or answer[1] is atom.no_statistics:
        return None
    found = dict(answer[1])
    start, now = (datetime(*found[key][0], *found[key][1]) for key in (atom.start_time, atom.current_time))
    return Statistics(start, now, found[atom.reductions], found[atom.messages_in], found[atom.messages_out])


async def no_debug(server: Any, timeout: float | None = CALL_TIMEOUT) -> None:
    """Switch off trace, log and statistics."""
    await _done(server, (DEBUG, atom.no_debug), timeout)
