"""Elixir's `DynamicSupervisor` on our nodes: clients' functions.

Source  Elixir 1.14, DynamicSupervisor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from beamish.rpc.modules import elixir_supervisor
from beamish.rpc.modules.elixir_supervisor import request
from beamish.rpc.outcome import badarg
from beamish.supervisor.child_spec import BadChildSpec, child_spec
from beamish.supervisor.child_terms import to_dynamic
from beamish.term import atom

__all__ = ["count_children", "start_child", "stop", "terminate_child", "which_children"]

count_children = elixir_supervisor.count_children
stop = elixir_supervisor.stop
which_children = elixir_supervisor.which_children


async def start_child(supervisor: Any, child: Any) -> Any:
    """``{:ok, child}``, ``{:ok, child, info}``, ``:ignore`` or ``{:error, reason}``; child: a specification as a map."""
    if not isinstance(child, Mapping):
        raise badarg()
    try:
        spec = to_dynamic(child_spec(child))
    except BadChildSpec as error:
        return (atom.error, error.reason)
    return await request(supervisor, (atom.start_child, spec))


async def terminate_child(supervisor: Any, pid: Any) -> Any:
    """``:ok`` or ``{:error, :not_found}``."""
    return await request(supervisor, (atom.terminate_child, pid))
