"""How a call by name ends: with a value, or as Erlang's throw, exit or error, each of them a term.

A function that is called from another node may raise `Throw` and `ErlangError` to end as Erlang functions do; any other
exception becomes an error whose reason `beamish.process.exits` makes.

Source  OTP 25, kernel: erpc (execute_call/4), rpc; facts sections 10 and 11.
"""

from __future__ import annotations

import functools
import os
from types import TracebackType
from typing import Any, Final, NamedTuple

from beamish.errors import BeamishError, Exit
from beamish.process.exits import reason_of
from beamish.term import Atom, atom

RETURN: Final = atom("return")
EXIT: Final = atom.EXIT
BADRPC: Final = atom.badrpc
_OWN_FILES: Final = os.path.dirname(os.path.abspath(__file__)) + os.sep
MAX_STACK_TEXT: Final = 200


class ErlangError(BeamishError):
    """An error whose reason is a term, as ``erlang:error(Reason)`` makes one.

    stack: Erlang's list of ``{Module, Function, ArityOrArguments, Location}``; None for the function that was called.
    """

    def __init__(self, reason: Any, stack: list[Any] | None = None) -> None:
        super().__init__(repr(reason))
        self.reason = reason
        self.stack = stack


class Throw(BeamishError):
    """A thrown term: ``catch`` around a remote call gives it, rpc:call returns it."""

    def __init__(self, value: Any) -> None:
        super().__init__(repr(value))
        self.value = value


class Failure(NamedTuple):
    """kind: `atom.error`, `atom.exit` or `atom.throw`; stack only matters for errors."""

    kind: Atom
    reason: Any
    stack: list[Any]


class MFA(NamedTuple):
    """A call by name."""

    module: Any
    function: Any
    args: Any

    def __str__(self) -> str:
        arity = len(self.args) if isinstance(self.args, list | tuple) else "?"
        return f"{self.module}:{self.function}/{arity}"


def undefined(text: str | None = None) -> ErlangError:
    """Erlang's `undef`: nobody exports that function with that number of arguments.

    text: why a node refuses a call that it could make; the reason then is ``{notsup, Text}``.
    """
    return ErlangError(atom.undef if text is None else (atom.notsup, text))


def badarg(*_: Any) -> ErlangError:
    """Erlang's `badarg` for the function that was called."""
    return ErlangError(atom.badarg)


def _without_own_frames(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the called function inwards."""
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OWN_FILES) \
            and not trace.tb_frame.f_globals.get("__name__", "").startswith("beamish.rpc.modules."):  # fmt: skip
        trace = trace.tb_next
    return trace


def failure_of(error: BaseException, mfa: MFA) -> Failure:
    """What an exception out of the called function is to the caller."""
    if isinstance(error, Exit):
        return Failure(atom.exit, error.reason, [])
    if isinstance(error, Throw):
        return Failure(atom.throw, error.value, [])
    if isinstance(error, ErlangError):
        return Failure(atom.error, error.reason, error.stack or [(mfa.module, mfa.function, mfa.args, [])])
    if isinstance(error, SystemExit):
        # One called function must not stop the node it was called on.
        return Failure(atom.exit, (atom("SystemExit"), 0 if error.code is None else error.code), [])
    error = error.with_traceback(_without_own_frames(error.__traceback__))
    head, stack = reason_of(error)
    return Failure(atom.error, head, stack or [(mfa.module, mfa.function, len(mfa.args), [])])


def crash_reason(failure: Failure) -> Any:
    """The exit reason of a process that ends this way."""
    if failure.kind is atom.exit:
        return failure.reason
    if failure.kind is atom.throw:
        return ((atom.nocatch, failure.reason), failure.stack)
    return (failure.reason, failure.stack)


def erpc_reason(res: Any, failure: Failure) -> tuple[Any, ...]:
    """The exit reason that carries a failure to erpc's caller (facts section 11)."""
    if failure.kind is atom.error:
        return (res, atom.error, failure.reason, failure.stack)
    return (res, failure.kind, failure.reason)


def rex_result(failure: Failure) -> Any:
    """The reply that carries a failure to rex's caller: a thrown term as it is, the rest as ``{badrpc, {'EXIT',
    Reason}}``."""
    if failure.kind is atom.throw:
        return failure.reason
    return (BADRPC, (EXIT, crash_reason(failure)))


@functools.cache
def badfun_text(module: str, node: str) -> str:
    """What to say about a closure that cannot run here."""
    return (
        f"a closure of the module {module} cannot run on {node}, which runs Python: code never travels; "
        "call a function by module, name and arguments instead"
    )
