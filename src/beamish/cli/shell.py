"""`beamish shell`: the shell, on a node if it is given a name."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from beamish.cli.flags import HELP, Flag, UsageError, help_of, read_line
from beamish.cli.node_flags import NODE_FLAGS, NodeOptions

if TYPE_CHECKING:
    from beamish.cli.shell_project import OpenedProject
    from beamish.node.runtime import Runtime
    from beamish.shell.session import FrontEnd

USAGE = """usage: beamish shell [--sname NAME | --name NAME] [--app] [FLAGS]

A Python shell that is a node: it awaits for you, and h() in it says what it has. Without a name the node has no
others. Input that is not typed on a terminal is run line by line: echo 'Node.self()' | beamish shell --sname x

"""
FLAGS = (
    *NODE_FLAGS,
    Flag("--app", "start the application of the project in this folder (as iex -S mix does)"),
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
    from beamish.cli.shell_project import open_project

    options = options_of(line)
    opened = open_project(options, start=bool(line.get("app")))
    for note in options.notes:
        print(f"note: {note}", file=sys.stderr)
    from beamish.boot import new_event_loop

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_session(options, opened, remote_code=not line.get("no_remote_code")))
    return 0


async def _session(options: NodeOptions, opened: OpenedProject, *, remote_code: bool) -> None:
    from beamish.cli.node_start import start_by
    from beamish.shell.session import banner, logs_to, serve_session

    front = _front()
    with logs_to(front):
        runtime = await start_by(options, device=front)
        offer_shell_services(runtime, remote_code=remote_code)
        try:
            note = await opened.start(runtime, options)
        except BaseException:
            await runtime.stop()
            raise
        if front.colour or sys.stdin.isatty():
            front.write(banner(runtime, _port(runtime)) + note)
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
