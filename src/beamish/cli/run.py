"""`beamish run`: the project's application on a node, or a file, a module, an expression beside it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from beamish.cli.flags import HELP, Flag, Line, UsageError, help_of, read_line
from beamish.cli.node_flags import NODE_FLAGS, NodeOptions
from beamish.errors import BeamishError

if TYPE_CHECKING:
    from beamish.node.runtime import Runtime
    from beamish.project.configuration import Configuration
    from beamish.project.manifest import Project
    from beamish.project.scripts import Body

USAGE = """usage: beamish run [FLAGS] [FILE | MODULE | --eval CODE] [ARGUMENT ...]

    beamish run                          the project's application, until Ctrl-C or SIGTERM
    beamish run --sname barry --reload   on a node with a name; saved code is taken in
    beamish run script.py one two        main() of a file, as a process beside the application; then the node stops
    beamish run my_app.jobs:nightly      a function of a module
    beamish run --eval 'print(await Counter.at("counter").lately("x"))'

Settings come from config/ (BEAMISH_ENV: dev, test, prod). In prod the end of the application ends the node with status 1;
elsewhere it is reported. Outside of a project a FILE or --eval runs on a bare node.
Status: 0 stopped in order, 1 failed, 2 wrong command line, 130 after Ctrl-C, or what main() returned.

"""
FLAGS = (
    Flag("--no-halt", "with FILE, MODULE or --eval: the node goes on afterwards"),
    Flag("--reload", "take in code when it is saved; servers keep their state"),
    Flag("--no-start", "do not start the application"),
    Flag("--module", "a module or module:function, where its name looks like a file", "MODULE", short="-m"),
    Flag("--eval", "Python, with beamish's names as in the shell; may await", "CODE", short="-e"),
    *NODE_FLAGS,
)


def run(arguments: Sequence[str]) -> int:
    """The command; its exit status."""
    line = read_line(arguments, [HELP, *FLAGS], command="beamish run", words_end_flags=True)
    if line.get("help"):
        print(USAGE + help_of([*FLAGS, HELP]))
        return 0
    from beamish.project.manifest import find_project, require_project

    named = bool(line.words) or "eval" in line.flags or "module" in line.flags
    return run_project(line, find_project() if named else require_project())


def run_project(line: Line, project: Project | None) -> int:
    """Run a project, or without one just what the command line names, on the node that it describes."""
    from beamish.boot import new_event_loop
    from beamish.cli.node_start import apply_configured
    from beamish.cli.one_shot import options_of
    from beamish.project.configuration import Configuration, environment_name, read_configuration
    from beamish.project.manifest import load_application, make_importable
    from beamish.project.session import start_log

    environment = environment_name(os.environ)
    options = options_of(line)
    application = None
    if project is None:
        configuration = Configuration(environment)
        sys.path.insert(0, os.getcwd())
    else:
        configuration = read_configuration(project, environment)
        apply_configured(options, configuration.node)
        make_importable(project)
    for note in options.notes:
        print(f"note: {note}", file=sys.stderr)
    reloading = _reloading(line, project)
    work = _work(line)
    start_log(configuration.level or ("info" if work is None else "warning"))
    if project is not None and not line.get("no_start"):
        application = load_application(project)
    session = _session(line, options, project, configuration, application, work, reloading)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(session)


def _work(line: Line) -> Body | None:
    from beamish.project.scripts import file_body, is_file, module_body

    words = list(line.words)
    given = [key for key in ("eval", "module") if key in line.flags]
    if len(given) > 1:
        raise UsageError("--eval and --module cannot both be given")
    if "eval" in line.flags:
        return _evaluation(line.flags["eval"], words)
    if "module" in line.flags:
        return module_body(line.flags["module"], words)
    if not words:
        return None
    return file_body(words[0], words[1:]) if is_file(words[0]) else module_body(words[0], words[1:])


def _evaluation(source: str, arguments: list[str]) -> Body:
    import ast

    from beamish.project.scripts import status_of
    from beamish.shell.prelude import prelude

    names = {**prelude(), "__name__": "__main__"}
    try:
        code = compile(source, "<eval>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"--eval: {error}") from None

    async def body() -> int:
        sys.argv[:] = ["-e", *arguments]
        try:
            result = eval(code, names)
            if result is not None:
                await result
        except SystemExit as leave:
            return status_of(leave.code)
        return 0

    return body


def _reloading(line: Line, project: Project | None) -> Any:
    """Looks at the sources before anything is imported or started, so that the first edit has something to be compared
    with."""
    if not line.get("reload"):
        return None
    from pathlib import Path

    from beamish.project.reload.watching import Reloading

    return Reloading(project.root if project is not None else Path.cwd())


async def _session(
    line: Line, options: NodeOptions, project: Project | None, configuration: Configuration, application: Any,
    work: Body | None, reloading: Any,
) -> int:  # fmt: skip
    from beamish.cli.node_start import start_by
    from beamish.project.errors import BrokenCode, explained, is_from_user
    from beamish.project.session import prepare_node, serve, start_application

    runtime = await start_by(options, exports=configuration.exports)
    prepare_node(runtime, configuration, options.applications)

    async def start() -> int | None:
        if application is not None:
            await start_application(runtime, application, configuration.environment)
        if reloading is not None:
            reloading.start(runtime)
        if work is None:
            print(_banner(runtime, project, configuration), file=sys.stderr, flush=True)
            return None
        status: int = await runtime.run(work)
        return None if line.get("no_halt") else status

    try:
        return await serve(runtime, start)
    except BeamishError as error:
        if not is_from_user(error):
            raise BrokenCode(explained(error)) from error
        return _failed(error)
    except Exception as error:
        return _failed(error)
    finally:
        if reloading is not None:
            await reloading.stop()


def _failed(error: Exception) -> int:
    from beamish.project.errors import short_traceback

    print(short_traceback(error), file=sys.stderr)
    return 1


def _banner(runtime: Runtime, project: Project | None, configuration: Configuration) -> str:
    """Application, environment, node, and how to stop."""
    what = f"{project.name} {project.version}" if project is not None else "beamish"
    where = f"on {runtime.node}" if runtime.distributed else "on a node without a name"
    return f"{what} ({configuration.environment}) runs {where}; Ctrl-C stops it"
