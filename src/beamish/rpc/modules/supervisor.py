"""`supervisor` on our nodes: clients' functions, for supervisors of this node and of any other.

Source  OTP 25, stdlib: supervisor.
"""

from __future__ import annotations

from typing import Any

from beamish.rpc.modules.otp_calls import INFINITY, ask
from beamish.term import atom

__all__ = ["count_children", "delete_child", "get_childspec", "restart_child", "start_child", "terminate_child", "which_children"]


async def _ask(supervisor: Any, request: Any) -> Any:
    return await ask((atom.gen_server, atom.call, [supervisor, request, INFINITY]), supervisor, request, INFINITY)


async def which_children(supervisor: Any) -> Any:
    """``[{Id, Child, Type, Modules}]``."""
    return await _ask(supervisor, atom.which_children)


async def count_children(supervisor: Any) -> Any:
    """``[{specs, N}, {active, N}, {supervisors, N}, {workers, N}]``."""
    return await _ask(supervisor, atom.count_children)


async def start_child(supervisor: Any, child: Any) -> Any:
    """``{ok, Child}``, ``{ok, Child, Info}`` or ``{error, Reason}``; what is to be started must be exported where it starts."""
    return await _ask(supervisor, (atom.start_child, child))


async def terminate_child(supervisor: Any, id: Any) -> Any:
    """`ok` or ``{error, not_found}``."""
    return await _ask(supervisor, (atom.terminate_child, id))


async def restart_child(supervisor: Any, id: Any) -> Any:
    """As start_child."""
    return await _ask(supervisor, (atom.restart_child, id))


async def delete_child(supervisor: Any, id: Any) -> Any:
    """`ok` or ``{error, running | restarting | not_found}``."""
    return await _ask(supervisor, (atom.delete_child, id))


async def get_childspec(supervisor: Any, id: Any) -> Any:
    """``{ok, Map}`` or ``{error, not_found}``."""
    return await _ask(supervisor, (atom.get_childspec, id))
