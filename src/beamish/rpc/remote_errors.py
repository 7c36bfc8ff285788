"""What went wrong on the other node, as exceptions that a Python programmer can read.

Source  OTP 25, kernel: erpc (call_result/4).
"""

from __future__ import annotations

from typing import Any

from beamish.errors import NodeError, RemoteError
from beamish.io.format import format as erlang_format
from beamish.node.runtime import Runtime
from beamish.process.exits import PythonException, exception_text, is_exception_reason, stack_text, text_of
from beamish.rpc.outcome import MFA
from beamish.term import Atom, atom, text


def term_text(term: Any) -> str:
    """A term as Erlang prints it."""
    return erlang_format("~tp", [term])


def failed_there(node: Atom, mfa: MFA, kind: str, reason: Any, stack: Any = None) -> RemoteError:
    """The called function ended badly."""
    if isinstance(reason, PythonException):
        return RemoteError(f"{mfa} on {node} raised\n{reason}", kind, reason, stack)
    if is_exception_reason(reason):
        return RemoteError(f"{mfa} on {node} raised\n{text_of(reason)}", kind, *reason)
    words = exception_text(reason)
    if reason is atom.undef:
        what = f"{mfa} on {node} failed: no such function is exported there"
    elif (
        isinstance(reason, tuple)
        and len(reason) == 2
        and reason[0] in (atom.notsup, atom.badfun)
        and isinstance(reason[1], str | bytes)
    ):
        what = f"{mfa} on {node} was refused: {text(reason[1])}"
    elif words is not None:
        what = f"{mfa} on {node} raised {words}"
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
