"""Processes that other nodes ask for: SPAWN_REQUEST, and its use by erpc.

The reply goes out before anything the new process does; what the request names need not exist, for an unknown
function is the crash of the new process and no failed spawn.

Source  ERTS, Distribution Protocol, SPAWN_REQUEST and SPAWN_REPLY; OTP 25, kernel: erpc; facts section 11.
"""

from __future__ import annotations

import logging
import time
from typing import Any, Final

from beamish.errors import BeamishError
from beamish.node.runtime import Runtime
from beamish.process import ControlBlock, Route
from beamish.process._signals import in_link, in_monitor
from beamish.rpc.apply import execute_call, local_exports, run_mfa
from beamish.rpc.exports import Exports
from beamish.term import Pid, Ref, atom, charlist

log = logging.getLogger("beamish.rpc")

LINKED: Final = 1
MONITORED: Final = 2
_ERPC: Final = atom.erpc
_CALL: Final = atom.execute_call
_CAST: Final = atom.execute_cast
_LINK: Final = atom.link
_MONITOR: Final = atom.monitor
CRASH_FORMAT: Final = "Error in process ~p on node ~p with exit value:~n~p~n"


class SpawnService:
    """`runtime.services["spawn_requested"]`."""

    def __init__(self, runtime: Runtime, exports: Exports) -> None:
        self.runtime = runtime
        self.exports = exports

    def __call__(self, wire: Route, ref: Ref, remote: Pid, leader: Pid, mfa: tuple[Any, ...], args: list[Any],
                 opts: list[Any]) -> None:  # fmt: skip
        """Start the process, link and monitor it as asked, answer."""
        runtime = self.runtime
        module, function, _ = mfa
        try:
            if module is _ERPC and function is _CALL and len(args) == 4:
                pid = runtime.spawn(execute_call, self.exports, *args, parent=remote, leader=leader)
            elif module is _ERPC and function is _CAST and len(args) == 3:
                pid = runtime.spawn(run_mfa, runtime, self.exports, *args, parent=remote, leader=leader)
            else:
                pid = runtime.spawn(
                    run_mfa, runtime, self.exports, module, function, args, parent=remote, leader=leader
                )
        except BeamishError as error:
            log.error("refused to start %s:%s for %s: %s", module, function, remote, error)
            wire.spawn_reply(ref, remote, 0, atom.system_limit)
            return
        flags = 0
        for option in opts:
            # {monitor, Options} may carry a tag, which only concerns the other side; unknown options are hints.
            if option is _MONITOR or (type(option) is tuple and option and option[0] is _MONITOR):
                if not flags & MONITORED:
                    in_monitor(runtime, wire, remote, pid, ref)
                flags |= MONITORED
            elif option is _LINK:
                in_link(runtime, wire, remote, pid)
                flags |= LINKED
        wire.spawn_reply(ref, remote, flags, pid)


def local_apply(runtime: Runtime) -> Any:
    """`runtime.services["local_apply"]`: the body of a process for Node.spawn on the own node, where the policy is
    not asked."""

    async def run(module: Any, function: Any, args: Any) -> None:
        await run_mfa(runtime, local_exports(runtime), module, function, args)

    return run


def tell_leaders_node(runtime: Runtime, process: ControlBlock, reason: Any) -> None:
    """A crash is also logged where the process's output goes: on the node of its group leader, as Erlang does (facts
    section 17)."""
    leader = process.leader
    if leader is None or leader.node is runtime.node:
        return
    route = runtime.routes.get(leader.node)
    if route is None:
        return
    meta = {
        atom.gl: leader,
        atom.pid: process.pid,
        atom.time: time.time_ns() // 1000,
        atom.error_logger: {atom.emulator: True, atom.tag: atom.error},
    }
    message = (atom.log, atom.error, charlist(CRASH_FORMAT), [process.pid, runtime.node, reason], meta)
    try:
        route.send(process.pid, atom.logger_proxy, message)
    except (BeamishError, ValueError):
        log.debug("the crash of %s cannot be told to %s", process.pid, leader.node, exc_info=True)


def report_to_leaders_too(runtime: Runtime) -> None:
    """Have the runtime's crash reports also go to the nodes whose work crashed."""
    before = runtime.report

    def report(process: ControlBlock, reason: Any, error: BaseException) -> None:
        if before is not None:
            before(process, reason, error)
        tell_leaders_node(runtime, process, reason)

    runtime.report = report
