"""`beamish shell`: the shell, on a node if it is given a name."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from beamish.cli.flags import HELP, Flag, UsageError, help_of, read_line
from beamish.cli.node_flags import NODE_FLAGS, NodeOptions
from beamish.errors import NodeError

if TYPE_CHECKING:
    from beamish.node.runtime import Runtime
    from beamish.shell.session import FrontEnd

USAGE = """usage: beamish shell [--sname NAME | --name NAME] [FLAGS]

A Python shell that is a node: it awaits for you, and h() in it says what it has. Without a name the node has no
others. Input that is not typed on a terminal is run line by line: echo 'Node.self()' | beamish shell --sname x

"""
FLAGS = (
    *NODE_FLAGS,
    Flag("--no-remote-code", "do not run functions that were typed into other shells"),
)


def run(arguments: Sequence[str]) -> int:
    """The command; its exit status."""
    line = read_line(arguments, [HELP, *FLAGS], command="beamish shell")
    if line.get("help"):
        print(USAGE + help_of([*FLAGS, HELP]))
        return 0
    if line.words:
        raise UsageError(f"beamish shell takes flags only; {line.words[0]!r} is none (a name goes behind --sname)")
    from beamish.cli.one_shot import options_of

    options = options_of(line)
    for note in options.notes:
        print(f"note: {note}", file=sys.stderr)
    from beamish.boot import new_event_loop

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_session(options, remote_code=not line.get("no_remote_code")))
    return 0


async def _session(options: NodeOptions, *, remote_code: bool) -> None:
    from beamish.shell.session import banner, logs_to, serve_session

    front = _front()
    with logs_to(front):
        runtime = await _started(options, front)
        offer_shell_services(runtime, remote_code=remote_code)
        if front.colour or sys.stdin.isatty():
            front.write(banner(runtime, _port(runtime)))
        await serve_session(runtime, front)


def _front() -> FrontEnd:
    if sys.stdin is None or not sys.stdin.isatty() or not sys.stdout.isatty():
        from beamish.shell.piped import PipedFront

        return PipedFront()
    try:
        from beamish.shell.terminal import TerminalFront
    except ImportError:
        from beamish.shell.plain import PlainFront

        return PlainFront()
    return TerminalFront()


async def _started(options: NodeOptions, front: FrontEnd) -> Runtime:
    from beamish.boot import start_local, start_node
    from beamish.cli.one_shot import start_arguments

    if options.name is None:
        return await start_local(device=front)
    try:
        runtime = await start_node(options.name, device=front, **start_arguments(options))
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


def offer_shell_services(runtime: Runtime, *, remote_code: bool = True) -> None:
    """Let functions typed into this shell run on other shells, and (remote_code) those of other shells here."""
    runtime.services["describe_code"] = _describe
    _answer_remote_code(runtime, allowed=remote_code)


def _describe(function: Any) -> Any:
    from beamish.shell.remote_code import described_call

    return described_call(function)


def _answer_remote_code(runtime: Runtime, *, allowed: bool) -> None:
    from beamish.rpc.start import add_module
    from beamish.shell.remote_code import MODULE, refuse, run

    add_module(runtime, MODULE, {"run": run if allowed else refuse})


def _port(runtime: Runtime) -> int | None:
    port = getattr(runtime.net, "port", None)
    return port if isinstance(port, int) else None
