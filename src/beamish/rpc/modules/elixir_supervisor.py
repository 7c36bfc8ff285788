"""Elixir's `Supervisor` on our nodes: clients' functions. `DynamicSupervisor` is in `elixir_dynamic_supervisor`.

Source  Elixir 1.14, Supervisor.
"""

from __future__ import annotations

from typing import Any

from beamish.rpc.modules.elixir_gen_server import MODULE as GEN_SERVER
from beamish.rpc.modules.otp_calls import INFINITY, ask, naming, stopped
from beamish.term import Atom, atom

__all__ = ["count_children", "delete_child", "restart_child", "start_child", "stop", "terminate_child", "which_children"]

MODULE = atom("Elixir.Supervisor")


async def request(supervisor: Any, what: Any) -> Any:
    """A call that waits for ever."""
    return await ask((GEN_SERVER, atom.call, [supervisor, what, INFINITY]), supervisor, what, INFINITY)


async def which_children(supervisor: Any) -> Any:
    """``[{id, child, type, modules}]``."""
    return await request(supervisor, atom.which_children)


async def count_children(supervisor: Any) -> Any:
    """``%{specs: n, active: n, supervisors: n, workers: n}``."""
    return dict(await request(supervisor, atom.count_children))


async def start_child(supervisor: Any, child: Any) -> Any:
    """``{:ok, child}``, ``{:ok, child, info}`` or ``{:error, reason}``; child: a specification as a map."""
    return await request(supervisor, (atom.start_child, child))


async def terminate_child(supervisor: Any, id: Any) -> Any:
    """``:ok`` or ``{:error, :not_found}``."""
    return await request(supervisor, (atom.terminate_child, id))


async def restart_child(supervisor: Any, id: Any) -> Any:
    """As start_child."""
    return await request(supervisor, (atom.restart_child, id))


async def delete_child(supervisor: Any, id: Any) -> Any:
    """``:ok`` or ``{:error, :running | :restarting | :not_found}``."""
    return await request(supervisor, (atom.delete_child, id))


async def stop(supervisor: Any, reason: Any = atom.normal, timeout: Any = INFINITY) -> Atom:
    """End a supervisor, after its children."""
    mfa = (GEN_SERVER, atom.stop, [supervisor, reason, timeout])
    ended: Atom = await naming(mfa, stopped(supervisor, reason, timeout))
    return ended
