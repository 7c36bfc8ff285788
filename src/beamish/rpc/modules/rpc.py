"""`rpc` as peers call it here: calls passed on to further nodes, with Erlang's results.

Source  OTP 25, kernel: rpc.
"""

from __future__ import annotations

from typing import Any

from beamish.errors import NodeError, RemoteError
from beamish.node.runtime import current_runtime
from beamish.rpc import client, requests
from beamish.rpc.apply import exports_of
from beamish.rpc.outcome import BADRPC, EXIT, badarg
from beamish.term import Pid, atom

__all__ = ["block_call", "call", "cast", "multicall", "pinfo"]


def seconds(timeout: Any) -> float | None:
    """A timeout of Erlang's, in milliseconds or `infinity`."""
    if timeout is atom.infinity:
        return None
    if not isinstance(timeout, int) or isinstance(timeout, bool) or timeout < 0:
        raise badarg()
    return timeout / 1000


async def call(node: Any, module: Any, function: Any, args: Any, timeout: Any = atom.infinity) -> Any:
    """A result, or ``{badrpc, Reason}``."""
    policy = exports_of(current_runtime())
    ((_, outcome),) = await requests.outcomes([node], module, (function, args), seconds(timeout), policy=policy)
    match outcome.kind:
        case "noconnection":
            return (BADRPC, atom.nodedown)
        case "timeout":
            return (BADRPC, atom.timeout)
    return client.erlang_result(outcome)


async def block_call(node: Any, module: Any, function: Any, args: Any, timeout: Any = atom.infinity) -> Any:
    """The same through the other node's rex."""
    try:
        return await client.block_call(node, module, function, args, timeout=seconds(timeout))
    except RemoteError as error:
        return (BADRPC, (EXIT, error.reason if error.stack is None else (error.reason, error.stack)))
    except NodeError:
        return (BADRPC, atom.nodedown)
    except TimeoutError:
        return (BADRPC, atom.timeout)


def cast(node: Any, module: Any, function: Any, args: Any) -> bool:
    """Start a call elsewhere."""
    runtime = current_runtime()
    requests.cast(runtime, node, module, (function, args), policy=exports_of(runtime))
    return True


async def multicall(*args: Any) -> Any:
    """``multicall(M, F, A)``, ``(Nodes, M, F, A)``, either with a timeout behind."""
    timeout: Any = atom.infinity
    plain = list(args)
    if len(plain) in (4, 5) and not isinstance(plain[-1], list):
        timeout = plain.pop()
    if len(plain) not in (3, 4):
        raise badarg()
    nodes, (module, *rest) = (None, plain) if len(plain) == 3 else (plain[0], plain[1:])
    policy = exports_of(current_runtime())
    return client.sorted_out(await requests.outcomes(nodes, module, rest, seconds(timeout), policy=policy))


async def pinfo(pid: Any, item: Any = None) -> Any:
    """process_info of a process anywhere."""
    if not isinstance(pid, Pid):
        raise badarg()
    return await client.pinfo(pid, item)
