"""Erlang modules that answer on our nodes, in Erlang's own shapes: each is a Python module whose `__all__` may be
called.

They run inside the process that was started for the call, so `self()` and the group leader are those of the caller's
request.
"""

from __future__ import annotations

from typing import Final

BUILTIN: Final = {
    name: f"beamish.rpc.modules.{home}"
    for name, home in {
        "erlang": "erlang",
        "erpc": "erpc",
        "rpc": "rpc",
        "inets": "inets",
        "httpc": "httpc",
        "net_adm": "net_adm",
        "io": "io",
        "io_lib": "io_lib",
        "lists": "lists",
        "maps": "maps",
        "timer": "timer",
        "code": "code",
        "beamish": "node_info",
        "gen_server": "gen_server",
        "supervisor": "supervisor",
        "sys": "sys_requests",
        "proc_lib": "proc_lib",
        "application": "application",
        "init": "init",
        "Elixir.Application": "elixir_application",
        "Elixir.DynamicSupervisor": "elixir_dynamic_supervisor",
        "Elixir.GenServer": "elixir_gen_server",
        "Elixir.IO": "elixir_io",
        "Elixir.Node": "elixir_node",
        "Elixir.Process": "elixir_process",
        "Elixir.Supervisor": "elixir_supervisor",
        "Elixir.System": "elixir_system",
    }.items()
}
"""Module atom -> Python module, loaded when first called."""
