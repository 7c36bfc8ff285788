"""Erlang's `erpc` from Python: like `rpc`, with results that tell a returned term from a failure.

`call` raises RemoteError, NodeError or CallTimeout. `multicall` gives a list, a result for each node in their order:
``(ok, Value)``, ``(throw, Term)``, ``(exit, (exception, Reason))``, ``(exit, (signal, Reason))``,
``(error, (exception, Reason, Stack))`` or ``(error, (erpc, noconnection | timeout))``.

Source  OTP 25, kernel: erpc.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from beamish.node.runtime import current_runtime
from beamish.rpc import requests
from beamish.rpc.client import _peek, _timeout_last, async_call, call, cast
from beamish.rpc.requests import Call, NodeName, Outcome, What, finish, judge, outcomes, value_of
from beamish.term import atom

__all__ = [
    "call", "cast", "check_response", "multicall", "multicast", "receive_response", "send_request", "wait_response",
]  # fmt: skip


async def multicall(nodes: Iterable[NodeName], what: What, *rest: Any, timeout: float | None = None) -> list[Any]:
    """The same call on several nodes at once; never raises for what a node did."""
    rest, timeout = _timeout_last(what, rest, timeout)
    return [result_of(outcome) for _, outcome in await outcomes(nodes, what, rest, timeout)]


def result_of(outcome: Outcome) -> tuple[Any, ...]:
    """An entry of what `multicall` gives."""
    match outcome.kind:
        case "return":
            return (atom.ok, outcome.value)
        case "throw":
            return (atom.throw, outcome.value)
        case "exit":
            return (atom.exit, (atom.exception, outcome.value))
        case "signal":
            return (atom.exit, (atom.signal, outcome.value))
        case "error" if outcome.stack is not None:
            return (atom.error, (atom.exception, outcome.value, outcome.stack))
        case "error":
            return (atom.error, outcome.value)
        case "refused":
            return (atom.error, (atom.erpc, outcome.value))
    return (atom.error, (atom.erpc, atom(outcome.kind)))


def multicast(nodes: Iterable[NodeName], what: What, *rest: Any) -> None:
    """`cast` to several nodes."""
    runtime = current_runtime()
    for node in nodes:
        requests.cast(runtime, node, what, rest)


def send_request(node: NodeName, what: What, *rest: Any) -> Call:
    """Start a call; the response is taken later, by the same process."""
    return async_call(node, what, *rest)


async def receive_response(request: Call, timeout: float | None = None) -> Any:
    """Wait for the value; after `timeout` seconds the request is given up and CallTimeout raised."""
    return value_of(request, await finish(request, timeout))


async def wait_response(request: Call, timeout: float = 0.0) -> Any:
    """``(atom.response, value)``, or `atom.no_response` after `timeout` seconds; it can be asked again."""
    outcome = await _peek(request, timeout)
    return atom.no_response if outcome is None else (atom.response, value_of(request, outcome))


def check_response(message: Any, request: Call) -> Any:
    """Whether a received message is the response: ``(atom.response, value)`` or `atom.no_response`. Raises what
    `call` raises."""
    if not isinstance(message, tuple) or len(message) < 4 or message[1] != request.ref:
        return atom.no_response
    outcome = judge(request, message)
    if outcome is None:
        return atom.no_response
    requests.give_up(request)
    return (atom.response, value_of(request, outcome))
