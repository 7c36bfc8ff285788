"""`proc_lib` on our nodes: ``proc_lib:spawn_link(Node, M, F, A)`` of a peer, and what observers ask.

Source  OTP 25, stdlib: proc_lib (spawn_link/4 has init_p/5 run on the other node, translate_initial_call/1).
"""

from __future__ import annotations

from typing import Any

from beamish.node.runtime import current_runtime
from beamish.process import Process
from beamish.process.info import info_of
from beamish.rpc.apply import apply_mfa
from beamish.rpc.modules.otp_calls import INFINITY, stopped
from beamish.rpc.outcome import badarg
from beamish.term import Atom, Pid, atom

__all__ = ["init_p", "initial_call", "stop", "translate_initial_call"]

ANCESTORS = atom("$ancestors")
INITIAL_CALL = atom("$initial_call")


async def init_p(parent: Any, ancestors: Any, module: Any, function: Any, args: Any) -> Any:
    """Body of a process: a function, with its ancestors in the dictionary. The exports policy is asked for the function."""
    if not isinstance(args, list) or not isinstance(ancestors, list):
        raise badarg()
    Process.put(ANCESTORS, [parent, *ancestors])
    Process.put(INITIAL_CALL, (module, function, len(args)))
    return await apply_mfa(current_runtime(), module, function, args)


async def stop(process: Any, reason: Any = atom.normal, timeout: Any = INFINITY) -> Atom:
    """End a process that understands system messages."""
    return await stopped(process, reason, timeout)


def translate_initial_call(pid: Any) -> Any:
    """``{Module, Function, Arity}`` of what a local process really runs."""
    if not isinstance(pid, Pid):
        raise badarg()
    process = current_runtime().process_of(pid)
    if process is None:
        return (atom.proc_lib, atom.init_p, 5)
    found = (process.rare_parts.dictionary or {}).get(INITIAL_CALL)
    if found is not None:
        return found
    module, name, arity = info_of(process, ("initial_call",))["initial_call"]
    return (atom(module[:255]), atom(name[:255]), arity)


def initial_call(pid: Any) -> Any:
    """The same with a placeholder for each argument, or `false` for a dead process."""
    if not isinstance(pid, Pid):
        raise badarg()
    if current_runtime().process_of(pid) is None:
        return False
    module, function, arity = translate_initial_call(pid)
    return (module, function, [atom(f"Argument__{number}") for number in range(1, arity + 1)])
