"""Calling functions by name on other nodes, as Erlang's `rpc` does; exceptions are raised here.

    await rpc.call("robin", "math", "sqrt", [2.0])           module, function, arguments
    await rpc.call("robin", jobs.run, [7])                   a module-level function that both nodes have
    await rpc.multicall("platform", "node")                  on every node: ([...], [])

A node is its name as str or Atom; without a host it is on ours. What the function prints appears here, at the caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from beamish.errors import CallTimeout, NoProcess
from beamish.node.runtime import current_runtime
from beamish.process import current_process, demonitor, mailbox_mark, monitor, receive, self, send
from beamish.process.gen import CallFailed
from beamish.process.gen import call as gen_call
from beamish.rpc import requests
from beamish.rpc.outcome import BADRPC, EXIT
from beamish.rpc.remote_errors import of_badrpc, unreachable
from beamish.rpc.requests import (
    Call,
    Name,
    NodeName,
    Outcome,
    What,
    begin,
    finish,
    names_of,
    outcomes,
    target,
    value_of,
)
from beamish.term import Atom, Pid, Ref, atom

NOT_NODES: Final = (str, Atom)


async def call(node: NodeName, what: What, *rest: Any, timeout: float | None = None) -> Any:
    """Call ``module, function, [args]`` (or ``function, [args]``) on a node and give its value.

    timeout: seconds, None waits for ever; may also stand behind the arguments, as in Erlang.
    Raises  RemoteError (kind, reason, stack; its text has the other side's traceback), NodeError when the node cannot
            be reached, CallTimeout. A thrown term is raised too: as RemoteError of kind "throw".
    """
    rest, timeout = _timeout_last(what, rest, timeout)
    return await requests.value(current_runtime(), node, what, rest, timeout)


def cast(node: NodeName, what: What, *rest: Any) -> None:
    """Start a call on a node and do not wait; nothing comes back, not even an error."""
    requests.cast(current_runtime(), node, what, rest)


async def block_call(node: NodeName, what: What, *rest: Any, timeout: float | None = None) -> Any:
    """`call` through the other node's `rex`, which runs such calls one after the other."""
    runtime = current_runtime()
    rest, timeout = _timeout_last(what, rest, timeout)
    mfa, _ = names_of(runtime, what, rest)
    full = target(runtime, node)
    request = (atom.block_call, *mfa, _leader())
    try:
        result = await gen_call((atom.rex, full), request, timeout)
    except CallFailed as error:
        if error.reason is atom.noconnection:
            raise unreachable(runtime, full, mfa) from None
        raise
    if isinstance(result, tuple) and len(result) == 2 and result[0] is BADRPC:
        raise of_badrpc(full, mfa, result[1])
    return result


async def multicall(*what: Any, timeout: float | None = None) -> tuple[list[Any], list[Atom]]:
    """The same call on many nodes: ``([result, …], [node that could not be reached or did not answer in time, …])``.

    ``multicall(module, function, args)`` asks this node and all visible ones, this one first; ``multicall(nodes, …)``
    those nodes. Results are in the order of the nodes; a failed call is ``(atom.badrpc, reason)`` among them, as in
    Erlang.
    """
    nodes, function, rest = _nodes_first(what)
    rest, timeout = _timeout_last(function, rest, timeout)
    return sorted_out(await outcomes(nodes, function, rest, timeout))


def sorted_out(ended: Iterable[tuple[Call, Outcome]]) -> tuple[list[Any], list[Atom]]:
    """What rpc:multicall gives in Erlang: results, and nodes without one."""
    results: list[Any] = []
    bad: list[Atom] = []
    for call_, outcome in ended:
        if outcome.kind in ("noconnection", "timeout"):
            bad.append(call_.node)
        else:
            results.append(erlang_result(outcome))
    return results, bad


def erlang_result(outcome: Outcome) -> Any:
    """What rpc:call gives in Erlang."""
    match outcome.kind:
        case "return" | "throw":
            return outcome.value
        case "error" if outcome.stack is not None:
            return (BADRPC, (EXIT, (outcome.value, outcome.stack)))
    return (BADRPC, (EXIT, outcome.value))


def async_call(node: NodeName, what: What, *rest: Any) -> Call:
    """Start a call; `yield_` or `nb_yield` give its value later, in the same process."""
    runtime = current_runtime()
    mfa, function = names_of(runtime, what, rest)
    return begin(runtime, target(runtime, node), mfa, function, rest[0] if function is not None and rest else ())


async def yield_(key: Call) -> Any:
    """Wait for the value of an `async_call`. Raises what `call` raises."""
    return value_of(key, await finish(key))


async def nb_yield(key: Call, timeout: float = 0.0) -> tuple[Atom, Any] | Atom:
    """``(atom.value, value)``, or `atom.timeout` while there is none; it can be asked again. Raises what `call`
    raises."""
    message = await _peek(key, timeout)
    if message is None:
        return atom.timeout
    return (atom.value, value_of(key, message))


async def _peek(key: Call, timeout: float) -> Outcome | None:
    try:
        while True:
            outcome = requests.judge(key, await receive(key.ref, timeout=timeout))
            if outcome is not None:
                requests.give_up(key)
                return outcome
    except TimeoutError:
        return None


def eval_everywhere(*what: Any) -> Atom:
    """`cast` to this node and all visible ones, or to a list of nodes given first."""
    nodes, function, rest = _nodes_first(what)
    runtime = current_runtime()
    for node in requests.targets(runtime, nodes):
        requests.cast(runtime, node, function, rest)
    return atom.abcast


async def server_call(node: NodeName, name: Name, reply_wrapper: Any, message: Any) -> Any:
    """Send ``{self, message}`` to a registered process and wait for ``{reply_wrapper, node, Reply}``.

    Raises NodeError when the process is not there or the node cannot be reached.
    """
    runtime = current_runtime()
    full = target(runtime, node)
    mark = mailbox_mark()
    ref = monitor((atom(name), full))
    wanted = (reply_wrapper, full)
    try:
        send((atom(name), full), (self(), message))
    except NoProcess:
        pass  # the monitor says so
    try:
        answer = await receive(lambda got: _is_answer(got, wanted, ref), since=mark)
    finally:
        demonitor(ref, flush=True)
    if answer[0] is atom.DOWN and answer[1] == ref:
        raise CallFailed(f"{name} on {full} did not answer: {answer[4]}", kind="exit", reason=answer[4])
    return answer[2]


def _is_answer(message: Any, wanted: tuple[Any, Atom], ref: Ref) -> bool:
    if not isinstance(message, tuple) or len(message) < 3:
        return False
    return (message[:2] == wanted and len(message) == 3) or (message[0] is atom.DOWN and message[1] == ref)


async def pinfo(pid: Pid, item: Any = None) -> Any:
    """`process_info` of a process wherever it lives, in Erlang's shapes."""
    args = [pid] if item is None else [pid, atom(item) if isinstance(item, str) else item]
    return await call(pid.node, atom.erlang, atom.process_info, args)


def abcast(*what: Any) -> Atom:
    """Send a message to the process of that name on every node: ``abcast([nodes,] name, message)``."""
    nodes, name, (message,) = _nodes_first(what)
    for node in requests.targets(current_runtime(), nodes):
        send((atom(name), node), message)
    return atom.abcast


async def sbcast(*what: Any, timeout: float = 60.0) -> tuple[list[Atom], list[Atom]]:
    """`abcast`, and wait: (nodes that have the process, nodes that do not or cannot be reached)."""
    nodes, name, (message,) = _nodes_first(what)
    runtime = current_runtime()
    good: list[Atom] = []
    bad: list[Atom] = []
    for node in requests.targets(runtime, nodes):
        mark = mailbox_mark()
        ref = monitor((atom.rex, node))
        send((atom.rex, node), (self(), (atom.sbcast, atom(name), message)))
        try:
            answer = await receive(
                lambda got, r=ref, n=node: _is_answer(got, (atom.rex, n), r), timeout=timeout, since=mark
            )
        except TimeoutError:
            raise CallTimeout(f"rex on {node} did not answer within {timeout:g} s") from None
        finally:
            demonitor(ref, flush=True)
        (good if answer[0] is atom.rex and answer[2] is node else bad).append(node)
    return good, bad


# ---- arguments


def _leader() -> Pid:
    process = current_process()
    return process.leader if process is not None and process.leader is not None else self()


def _nodes_first(what: tuple[Any, ...]) -> tuple[list[NodeName] | None, Any, tuple[Any, ...]]:
    """Split off a leading list of nodes."""
    if not what:
        raise TypeError(
            "it takes a function and a list of arguments, or a module, a function name and a list of arguments"
        )
    if isinstance(what[0], Iterable) and not isinstance(what[0], NOT_NODES):
        return list(what[0]), what[1], what[2:]
    return None, what[0], what[1:]


def _timeout_last(what: Any, rest: Sequence[Any], timeout: float | None) -> tuple[tuple[Any, ...], float | None]:
    """Erlang's argument order has the timeout at the end."""
    most = 1 if callable(what) and not isinstance(what, Atom) else 2
    if len(rest) == most + 1 and (rest[-1] is None or isinstance(rest[-1], int | float)):
        return tuple(rest[:-1]), rest[-1] if timeout is None else timeout
    return tuple(rest), timeout


__all__ = [
    "Call", "abcast", "async_call", "block_call", "call", "cast", "eval_everywhere",
    "multicall", "nb_yield", "pinfo", "sbcast", "server_call", "yield_",
]  # fmt: skip
