"""Calls under way: sent with `begin`, collected with `finish`.

A call is a process that the other node starts for us and monitors from the start; its exit reason is the result. When
the caller gives up or dies the monitor is taken back, so that nothing arrives late.

Source  OTP 25, kernel: erpc (send_request/4, receive_response/2); facts section 11.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from beamish.errors import BeamishError, CallTimeout, NodeError, RemoteError
from beamish.node.names import complete_peer
from beamish.node.remote_spawn import mfa_of, spawn_request
from beamish.node.runtime import Runtime, current_runtime
from beamish.process import current_process, demonitor, mailbox_mark, receive, self, spawn
from beamish.rpc.apply import execute_call, execute_function, local_exports, run_mfa
from beamish.rpc.exports import Exports
from beamish.rpc.outcome import MFA, RETURN
from beamish.rpc.remote_errors import failed_there, unreachable
from beamish.term import Atom, Pid, Ref, atom

NodeName = str | Atom
Name = str | Atom
What = Name | Callable[..., Any]

EXECUTE_CALL: Final = (atom.erpc, atom.execute_call)
EXECUTE_CAST: Final = (atom.erpc, atom.execute_cast)


@dataclass(slots=True, eq=False)
class Call:
    """A call under way; belongs to the process that made it. `done` once its result was taken or given up."""

    runtime: Runtime
    node: Atom
    mfa: MFA
    res: Ref
    ref: Ref
    owner: Pid
    done: bool = False


@dataclass(slots=True, frozen=True)
class Outcome:
    """How a call ended. kind: "return", "throw", "exit", "error", or "noconnection", "timeout", "signal", "refused"."""

    kind: str
    value: Any = None
    stack: Any = None


def target(runtime: Runtime, name: NodeName) -> Atom:
    """A node's full name; one without a host means our own host."""
    if name is runtime.node or str(name) == str(runtime.node):
        return runtime.node
    return complete_peer(str(name), runtime.node)


def names_of(runtime: Runtime, what: What, rest: Sequence[Any]) -> tuple[MFA, Callable[..., Any] | None]:
    """The call that ``function, [args]`` or ``module, function, [args]`` describe; and the function, if it is at
    hand."""
    if callable(what) and not isinstance(what, Atom):
        args = list(rest[0]) if rest else []
        if len(rest) > 1:
            raise TypeError(
                "a call takes a function and a list of arguments, or a module, a function name and a list of arguments"
            )
        module, function, sent = mfa_of(runtime, (what, *args))
        return MFA(module, function, sent), what
    if not rest or len(rest) > 2 or not isinstance(rest[0], str | Atom):
        raise TypeError(
            "a call takes a function and a list of arguments, or a module, a function name and a list of arguments"
        )
    args = rest[1] if len(rest) == 2 else []
    if not isinstance(args, list | tuple):
        raise TypeError(f"the arguments of a call are a list, not {args!r}")
    return MFA(atom(what), atom(rest[0]), list(args)), None


def begin(
    runtime: Runtime,
    node: Atom,
    mfa: MFA,
    function: Callable[..., Any] | None = None,
    args: Sequence[Any] = (),
    *,
    policy: Exports | None = None,
) -> Call:
    """Send a call and do not wait. `function` (with args) is what runs if the node is our own.

    policy: what may be called if it is our own; None everything. A call that is passed on for a peer has the node's.
    """
    res = runtime.new_ref()
    if node is not runtime.node:
        wire_mfa = (*EXECUTE_CALL, [res, mfa.module, mfa.function, mfa.args])
        ref = spawn_request(runtime, node, wire_mfa, monitor=True)
    elif function is not None:
        _, ref = spawn(execute_function, res, function, args, monitor=True)
    else:
        _, ref = spawn(execute_call, policy or local_exports(runtime), res, *mfa, monitor=True)
    return Call(runtime, node, mfa, res, ref, self())


async def finish(call: Call, timeout: float | None = None, since: int = 0) -> Outcome:
    """Wait for a call's end. timeout: seconds; the call is given up then. since: a mailbox mark from before `begin`."""
    if call.owner != self():
        raise BeamishError("a call's result comes to the process that made the call; await it there")
    if call.done:
        raise BeamishError(f"the result of {call.mfa} on {call.node} was taken (or given up) before")
    deadline = None if timeout is None else time.monotonic() + timeout
    try:
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            message = await receive(call.ref, timeout=left, since=since)
            outcome = judge(call, message)
            if outcome is not None:
                return outcome
    except TimeoutError:
        return Outcome("timeout", timeout)
    finally:
        give_up(call)


def judge(call: Call, message: Any) -> Outcome | None:
    """What a message says about the call's end; None if it says nothing yet."""
    match message:
        case (atom.spawn_reply, _, atom.ok, _):
            return None
        case (atom.spawn_reply, _, atom.error, atom.noconnection):
            return Outcome("noconnection")
        case (atom.spawn_reply, _, atom.error, why):
            return Outcome("refused", why)
        case (atom.DOWN, _, atom.process, _, reason):
            return _of_reason(call, reason)
    return None


def _of_reason(call: Call, reason: Any) -> Outcome:
    if isinstance(reason, tuple) and len(reason) >= 3 and reason[0] == call.res:
        match reason[1:]:
            case (kind, value) if kind is RETURN:
                return Outcome("return", value)
            case (atom.throw, value):
                return Outcome("throw", value)
            case (atom.exit, value):
                return Outcome("exit", value)
            case (atom.error, error, stack):
                return Outcome("error", error, stack)
            case (atom.error, error):
                return Outcome("error", error)
    return Outcome("noconnection") if reason is atom.noconnection else Outcome("signal", reason)


def give_up(call: Call) -> None:
    """Want no result any more: neither a message of this call nor its monitor is left behind."""
    if call.done:
        return
    call.done = True
    route = call.runtime.routes.get(call.node)
    if route is not None:
        route.requests.pop(call.ref, None)
    demonitor(call.ref, flush=True)


def value_of(call: Call, outcome: Outcome) -> Any:
    """The value of a call that returned. Raises RemoteError, NodeError, CallTimeout."""
    node, mfa = call.node, call.mfa
    match outcome.kind:
        case "return":
            return outcome.value
        case "noconnection":
            raise unreachable(call.runtime, node, mfa)
        case "timeout":
            raise CallTimeout(f"no result of {mfa} on {node} within {outcome.value:g} s; it may still run there")
        case "refused" if outcome.value is atom.notsup:
            raise RemoteError(f"{node} takes no spawn requests (it is older than OTP 23)", "error", atom.notsup)
        case "refused":
            raise RemoteError(f"{node} refused to run {mfa}: {outcome.value}", "error", outcome.value)
        case "signal":
            raise failed_there(node, mfa, "exit", (atom.signal, outcome.value))
    raise failed_there(node, mfa, outcome.kind, outcome.value, outcome.stack)


async def value(runtime: Runtime, node: NodeName, what: What, rest: Sequence[Any], timeout: float | None) -> Any:
    """One call from start to end."""
    mfa, function = names_of(runtime, what, rest)
    mark = mailbox_mark()
    call = begin(runtime, target(runtime, node), mfa, function, rest[0] if function is not None and rest else ())
    return value_of(call, await finish(call, timeout, mark))


async def outcomes(
    nodes: Iterable[NodeName] | None,
    what: What,
    rest: Sequence[Any],
    timeout: float | None,
    *,
    policy: Exports | None = None,
) -> list[tuple[Call, Outcome]]:
    """The same call on several nodes at once, in their order; None: on this node and all visible ones. policy: see
    `begin`."""
    runtime = current_runtime()
    mfa, function = names_of(runtime, what, rest)
    args = rest[0] if function is not None and rest else ()
    mark = mailbox_mark()
    deadline = None if timeout is None else time.monotonic() + timeout
    calls = [begin(runtime, node, mfa, function, args, policy=policy) for node in targets(runtime, nodes)]
    try:
        done: list[tuple[Call, Outcome]] = []
        for call in calls:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            done.append((call, await finish(call, left, mark)))
        return done
    finally:
        for call in calls:
            give_up(call)


def targets(runtime: Runtime, nodes: Iterable[NodeName] | None) -> list[Atom]:
    """Full names; None stands for this node and the visible ones."""
    if nodes is None:
        return [runtime.node, *(peer.node for peer in runtime.peers.values() if peer.visible)]
    return [target(runtime, node) for node in nodes]


def cast(runtime: Runtime, node: NodeName, what: What, rest: Sequence[Any], *, policy: Exports | None = None) -> None:
    """Start a call whose result nobody wants. Unreachable nodes are no error. policy: see `begin`."""
    mfa, function = names_of(runtime, what, rest)
    full = target(runtime, node)
    if full is runtime.node:
        if function is not None:
            spawn(function, *(rest[0] if rest else ()))
        else:
            spawn(run_mfa, runtime, policy or local_exports(runtime), *mfa)
        return
    try:
        route = runtime.route(full)
    except NodeError:
        return
    if route is not None:
        process = current_process()
        leader = process.leader if process is not None and process.leader is not None else self()
        # Without an entry in route.requests the reply is dropped.
        route.spawn_request(runtime.new_ref(), self(), leader, (*EXECUTE_CAST, 3), list(mfa), [])
