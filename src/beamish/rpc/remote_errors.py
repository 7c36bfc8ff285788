"""What went wrong on the other node, as exceptions that a Python programmer can read.

Source  OTP 25, kernel: erpc (call_result/4).
"""

from __future__ import annotations

from typing import Any

from beamish.errors import NodeError, RemoteError
from beamish.io.format import format as erlang_format
from beamish.node.runtime import Runtime
from beamish.process.exits import is_exception_reason, text_of
from beamish.rpc.outcome import MFA
from beamish.term import Atom, atom, text
from beamish.term.chardata import ChardataError

MAX_STACK = 20


def term_text(term: Any) -> str:
    """A term as Erlang prints it."""
    return erlang_format("~tp", [term])


def stack_text(stack: Any) -> str:
    """Erlang's stack, a line a frame; empty for what is no stack."""
    lines: list[str] = []
    for frame in stack[:MAX_STACK] if isinstance(stack, list) else ():
        match frame:
            case (module, function, arity, list() as place):
                count = len(arity) if isinstance(arity, list) else arity
                lines.append(f"  in {term_text(module)}:{term_text(function)}/{count}{_place(place)}")
            case _:
                lines.append(f"  in {term_text(frame)}")
    return "\n".join(lines)


def _place(place: list[Any]) -> str:
    facts = {fact[0]: fact[1] for fact in place if isinstance(fact, tuple) and len(fact) == 2}
    if atom.file not in facts:
        return ""
    try:
        file = text(facts[atom.file])
    except ChardataError:
        return ""
    return f" ({file}, line {facts.get(atom.line, '?')})"


def failed_there(node: Atom, mfa: MFA, kind: str, reason: Any, stack: Any = None) -> RemoteError:
    """The called function ended badly."""
    if is_exception_reason((reason, stack)):
        return RemoteError(f"{mfa} on {node} raised\n{text_of((reason, stack))}", kind, reason, stack)
    if is_exception_reason(reason):
        return RemoteError(f"{mfa} on {node} raised\n{text_of(reason)}", kind, *reason)
    if reason is atom.undef:
        what = f"{mfa} on {node} failed: no such function is exported there"
    elif (
        isinstance(reason, tuple)
        and len(reason) == 2
        and reason[0] in (atom.notsup, atom.badfun)
        and isinstance(reason[1], str | bytes)
    ):
        what = f"{mfa} on {node} was refused: {text(reason[1])}"
    else:
        verb = {"throw": "threw", "exit": "exited with"}.get(kind, "failed with")
        what = f"{mfa} on {node} {verb} {term_text(reason)}"
    frames = stack_text(stack)
    return RemoteError(what + ("\n" + frames if frames else ""), kind, reason, stack)


def of_badrpc(node: Atom, mfa: MFA, reason: Any) -> Exception:
    """What rex answered as ``{badrpc, Reason}``."""
    if reason is atom.nodedown:
        return NodeError(f"{mfa}: {node} is not reachable")
    match reason:
        case (atom.EXIT, (error, list() as stack)):
            return failed_there(node, mfa, "error", error, stack)
        case (atom.EXIT, why):
            return failed_there(node, mfa, "exit", why)
    return failed_there(node, mfa, "error", reason)


def unreachable(runtime: Runtime, node: Atom, mfa: MFA) -> NodeError:
    """There is no connection, or it broke while the call ran."""
    if not runtime.distributed:
        return NodeError(
            f"cannot call {mfa} on {node}: this node has no name, so it cannot reach others; "
            "start it with --sname or --name"
        )
    why = getattr(runtime.net, "failure_text", None)
    known = why(node) if why is not None and node in getattr(runtime.net, "failures", ()) else None
    return NodeError(
        f"cannot call {mfa} on {node}: "
        + (known or "the node is not reachable, or the connection broke during the call")
    )
