"""`sys` on our nodes: looking into servers of this node and of any other.

Source  OTP 25, stdlib: sys.
"""

from __future__ import annotations

from typing import Any

from beamish.rpc.modules.otp_calls import ask
from beamish.rpc.outcome import ErlangError
from beamish.term import Atom, atom

__all__ = [
    "change_code", "get_state", "get_status", "log", "no_debug", "replace_state", "resume", "statistics", "suspend", "terminate",
    "trace",
]  # fmt: skip

MODULE = atom.sys
DEFAULT = 5000


async def _ask(function: str, server: Any, request: Any, args: tuple[Any, ...], timeout: Any) -> Any:
    given = [server, *args] if timeout is ... else [server, *args, timeout]
    mfa = (MODULE, atom(function), given)
    return await ask(mfa, server, request, DEFAULT if timeout is ... else timeout, atom.system)


def _value(answer: Any) -> Any:
    match answer:
        case (atom.error, reason):
            raise ErlangError(reason)
    return answer


async def get_state(server: Any, timeout: Any = ...) -> Any:
    """The state."""
    return _value(await _ask("get_state", server, atom.get_state, (), timeout))


async def replace_state(server: Any, function: Any, timeout: Any = ...) -> Any:
    """The state that a function made of the old one; it must be ``fun M:F/1`` where the server is one of ours."""
    return _value(await _ask("replace_state", server, (atom.replace_state, function), (function,), timeout))


async def get_status(server: Any, timeout: Any = ...) -> Any:
    """``{status, Pid, {module, Module}, Items}``."""
    return await _ask("get_status", server, atom.get_status, (), timeout)


async def suspend(server: Any, timeout: Any = ...) -> Any:
    """`ok`."""
    return await _ask("suspend", server, atom.suspend, (), timeout)


async def resume(server: Any, timeout: Any = ...) -> Any:
    """`ok`."""
    return await _ask("resume", server, atom.resume, (), timeout)


async def change_code(server: Any, module: Any, version: Any, extra: Any, timeout: Any = ...) -> Any:
    """`ok` or ``{error, Reason}``."""
    return await _ask("change_code", server, (atom.change_code, module, version, extra), (module, version, extra), timeout)


async def terminate(server: Any, reason: Any, timeout: Any = ...) -> Any:
    """`ok`."""
    return await _ask("terminate", server, (atom.terminate, reason), (reason,), timeout)


async def _debug(server: Any, name: Atom, flag: Any, timeout: Any) -> Any:
    return await _ask(name.text, server, (atom.debug, (name, flag)), (flag,), timeout)


async def log(server: Any, flag: Any, timeout: Any = ...) -> Any:
    """`ok` or ``{ok, Events}``."""
    return await _debug(server, atom.log, flag, timeout)


async def statistics(server: Any, flag: Any, timeout: Any = ...) -> Any:
    """`ok` or ``{ok, Statistics}``."""
    return await _debug(server, atom.statistics, flag, timeout)


async def trace(server: Any, flag: Any, timeout: Any = ...) -> Any:
    """`ok`."""
    return await _debug(server, atom.trace, flag, timeout)


async def no_debug(server: Any, timeout: Any = ...) -> Any:
    """`ok`."""
    return await _ask("no_debug", server, (atom.debug, atom.no_debug), (), timeout)
