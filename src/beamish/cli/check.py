"""`beamish check`: run the project once as production would, and say what would fail there."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence

from beamish.cli.flags import HELP, Flag, UsageError, help_of, read_line

USAGE = """usage: beamish check [--json]

Reads the configuration of prod (or of BEAMISH_ENV), imports every module of the project, compares what they import with the
dependencies that pyproject.toml lists, resolves the exports, then starts the application on a node without a name and stops
it again. Status: 0 all is well, 1 something would fail.

"""
FLAGS = (Flag("--json", "print JSON"),)


def run(arguments: Sequence[str]) -> int:
    """The command; its exit status."""
    line = read_line(arguments, [HELP, *FLAGS], command="beamish check")
    if line.get("help"):
        print(USAGE + help_of([*FLAGS, HELP]))
        return 0
    if line.words:
        raise UsageError(f"beamish check takes no argument {line.words[0]!r}; it checks the project of the current folder")
    from beamish.boot import new_event_loop
    from beamish.project.checking import Findings, check_project
    from beamish.project.configuration import PROD, VARIABLE, environment_name
    from beamish.project.manifest import require_project

    project = require_project()
    environment = os.environ[VARIABLE] = environment_name(os.environ, PROD)
    quiet = bool(line.get("json"))
    if not quiet:
        print(f"{project.name} {project.version} as it runs in {environment}")
    findings = Findings(_nothing if quiet else _show)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(check_project(project, environment, findings))
    failed = [each for each in findings.all if not each.ok]
    if quiet:
        import json

        print(json.dumps([{"check": each.name, "ok": each.ok, "detail": each.detail} for each in findings.all]))
    elif failed:
        print(f"{len(failed)} of {len(findings.all)} checks failed", file=sys.stderr)
    return 1 if failed else 0


def _show(name: str, ok: bool, detail: str) -> None:
    first, *rest = detail.split("\n")
    print(f"  {'ok    ' if ok else 'FAILED'}  {name:<14} {first}".rstrip())
    for line in rest:
        print(f"          {line}".rstrip())
    sys.stdout.flush()


def _nothing(name: str, ok: bool, detail: str) -> None:
    pass
