"""Calls by name: what this node calls on others (`call`, `cast`, `multicall`, …, and `erpc`), and what it answers.

`start_services` makes a runtime answer: remote spawns and erpc, `rex`, `net_kernel` and the loggers, under a policy of
what may be called (`Exports`).
"""

from beamish.rpc import erpc
from beamish.rpc.client import (
    abcast,
    async_call,
    block_call,
    call,
    cast,
    eval_everywhere,
    multicall,
    nb_yield,
    pinfo,
    sbcast,
    server_call,
    yield_,
)
from beamish.rpc.exports import BadExport, Exports
from beamish.rpc.introspection import memory, system_info
from beamish.rpc.modules import net_adm
from beamish.rpc.outcome import ErlangError, Throw
from beamish.rpc.start import add_module, start_services

__all__ = [
    "BadExport",
    "ErlangError",
    "Exports",
    "Throw",
    "abcast",
    "add_module",
    "async_call",
    "block_call",
    "call",
    "cast",
    "erpc",
    "eval_everywhere",
    "memory",
    "multicall",
    "nb_yield",
    "net_adm",
    "pinfo",
    "sbcast",
    "server_call",
    "start_services",
    "system_info",
    "yield_",
]
