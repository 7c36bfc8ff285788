"""Starting the node that a command line describes, with or without a name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from beamish.cli.node_flags import DEFAULT_TICK_SECONDS, NodeOptions
from beamish.cli.one_shot import start_arguments
from beamish.errors import NodeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from beamish.io.requests import Device
    from beamish.node.runtime import Runtime


async def start_by(options: NodeOptions, **more: Any) -> Runtime:
    """Start the node. more: further arguments of start_node and start_local. Raises NodeError; for ports in use it says who
    holds them."""
    from beamish.boot import start_local, start_node

    device: Device | None = more.get("device")
    if options.name is None:
        return await start_local(device=device, exports=more.get("exports"), preempt=options.preempt)
    try:
        runtime = await start_node(options.name, **more, **start_arguments(options))
    except NodeError as error:
        if options.port_min and "in use" in str(error):
            from beamish.cli.port_holders import held_ports_note

            raise NodeError(f"{error}{held_ports_note(options.port_min, options.port_max)}") from None
        raise
    for node, cookie in options.peer_cookies.items():
        if runtime.net is not None:
            from beamish.node.names import split

            runtime.net.set_cookie(split(node).full, cookie)
    return runtime


def apply_configured(options: NodeOptions, node: Mapping[str, Any]) -> None:
    """Fill in what a project's [node] table says; whatever a flag or a file of the command line has set stays."""
    if options.name is None and ("name" in node or "sname" in node):
        options.long = "name" in node
        options.name = node["name"] if options.long else node["sname"]
    if not options.port_min and ("dist_port" in node or "dist_ports" in node):
        options.port_min, options.port_max = _ports(node)
    options.hidden = options.hidden or node.get("hidden", False)
    options.preempt = options.preempt and node.get("preempt", True)
    options.connect_all = options.connect_all and node.get("connect_all", True)
    if options.epmd_port is None:
        options.epmd_port = node.get("epmd_port")
    if options.net_ticktime == DEFAULT_TICK_SECONDS:
        options.net_ticktime = node.get("tick_time", DEFAULT_TICK_SECONDS)


def _ports(node: Mapping[str, Any]) -> tuple[int, int]:
    from beamish.cli.flags import UsageError
    from beamish.cli.node_flags import NODE_FLAGS

    if "dist_port" in node:
        return node["dist_port"], node["dist_port"]
    convert = next(flag.convert for flag in NODE_FLAGS if flag.name == "--dist-ports")
    try:
        ports: tuple[int, int] = convert(node["dist_ports"])
    except ValueError as error:
        raise UsageError(f"[node] dist_ports = {node['dist_ports']!r}: {error}") from None
    return ports
