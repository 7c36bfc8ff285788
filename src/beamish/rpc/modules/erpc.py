"""`erpc` as peers call it here: bodies of spawned processes, and calls passed on.

Source  OTP 25, kernel: erpc; facts section 11.
"""

from __future__ import annotations

from typing import Any

from beamish.errors import Exit
from beamish.node.runtime import current_runtime
from beamish.rpc import erpc as _erpc
from beamish.rpc import requests
from beamish.rpc.apply import execute_call as _execute_call
from beamish.rpc.apply import exports_of, run_mfa
from beamish.rpc.modules.rpc import seconds
from beamish.rpc.outcome import ErlangError, Throw
from beamish.rpc.requests import Outcome
from beamish.term import atom

__all__ = ["call", "cast", "execute_call", "execute_cast", "multicall"]


async def execute_call(res: Any, module: Any, function: Any, args: Any) -> None:
    """Ends the process with the result as its reason."""
    await _execute_call(exports_of(current_runtime()), res, module, function, args)


async def execute_cast(module: Any, function: Any, args: Any) -> None:
    """Runs the function; a crash is logged."""
    runtime = current_runtime()
    await run_mfa(runtime, exports_of(runtime), module, function, args)


async def call(node: Any, module: Any, function: Any, args: Any, timeout: Any = atom.infinity) -> Any:
    """Call another node from here; fails as Erlang's erpc:call does."""
    policy = exports_of(current_runtime())
    ((_, outcome),) = await requests.outcomes([node], module, (function, args), seconds(timeout), policy=policy)
    return _value(outcome)


def _value(outcome: Outcome) -> Any:
    match outcome.kind:
        case "return":
            return outcome.value
        case "throw":
            raise Throw(outcome.value)
        case "exit":
            raise Exit((atom.exception, outcome.value))
        case "signal":
            raise Exit((atom.signal, outcome.value))
        case "error" if outcome.stack is not None:
            raise ErlangError((atom.exception, outcome.value, outcome.stack))
        case "error":
            raise ErlangError(outcome.value)
    raise ErlangError((atom.erpc, outcome.value if outcome.kind == "refused" else atom(outcome.kind)))


def cast(node: Any, module: Any, function: Any, args: Any) -> Any:
    """Start a call elsewhere."""
    runtime = current_runtime()
    requests.cast(runtime, node, module, (function, args), policy=exports_of(runtime))
    return atom.ok


async def multicall(nodes: Any, module: Any, function: Any, args: Any, timeout: Any = atom.infinity) -> Any:
    """The same call on several nodes."""
    policy = exports_of(current_runtime())
    ended = await requests.outcomes(nodes, module, (function, args), seconds(timeout), policy=policy)
    return [_erpc.result_of(outcome) for _, outcome in ended]
