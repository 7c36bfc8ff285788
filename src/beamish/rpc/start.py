"""Making a runtime answer calls: policy, remote spawns, registered servers."""

from __future__ import annotations

from typing import Any, Final

from beamish.node.runtime import Runtime, current_runtime
from beamish.rpc.apply import exports_of
from beamish.rpc.exports import Exports, Listed
from beamish.rpc.loggers import start_loggers
from beamish.rpc.modules import BUILTIN
from beamish.rpc.requests import outcomes, value_of
from beamish.rpc.rex import Rex
from beamish.rpc.servers import NetKernel, start_server
from beamish.rpc.spawn_service import SpawnService, local_apply, report_to_leaders_too
from beamish.term import Pid

Allowed = Listed | Exports

EVALUATION_TIME: Final = 30.0
"""Seconds for another node to make the text of an io request."""


async def start_services(runtime: Runtime, exports: Allowed = None) -> Exports:
    """Start everything that answers peers. To be done before the first connection: they ask in the first milliseconds.

    exports: what peers may call (patterns, or {alias: module}); None everything. Raises BadExport.
    """
    policy = exports if isinstance(exports, Exports) else Exports(exports)
    policy = policy.for_node(str(runtime.node), BUILTIN)
    services = runtime.services
    services["exports"] = policy
    services["spawn_requested"] = SpawnService(runtime, policy)
    services["local_apply"] = local_apply(runtime)
    services["io_evaluate"] = evaluate_there
    report_to_leaders_too(runtime)
    start_server(runtime, lambda: NetKernel(runtime, policy))
    start_server(runtime, lambda: Rex(runtime, policy))
    start_loggers(runtime)
    return policy


async def evaluate_there(sender: Pid, module: Any, function: Any, args: Any) -> Any:
    """Make the text of an io request that names a function, on the node of whoever asked."""
    runtime = current_runtime()
    # The request may say that it comes from a process of this node, so the policy is asked here too.
    policy = exports_of(runtime)
    ((call, outcome),) = await outcomes([sender.node], module, (function, args), EVALUATION_TIME, policy=policy)
    return value_of(call, outcome)


def add_module(runtime: Runtime, name: str, module: Any) -> None:
    """Answer calls to an Erlang module's name: `module` is a Python module (its `__all__`), its dotted name, or
    {function: callable}."""
    runtime.services["exports"].builtin[name] = module
