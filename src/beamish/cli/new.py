"""`beamish new PATH`: a project that runs and tests at once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from beamish.cli.flags import HELP, Flag, UsageError, help_of, read_line

USAGE = """usage: beamish new PATH [--module NAME]

    beamish new my_app

A project with an application, a supervisor, a server, a test on the virtual clock, and configuration. PATH is its folder,
which is made; its last part is the project's name.

"""
FLAGS = (
    Flag("--module", "the package's name, where it is not that of the project", "NAME"),
    Flag("--web", "with a web endpoint (a later version)"),
)
MAY_BE_THERE = frozenset((".git", ".hg", ".jj", ".idea", ".vscode", ".venv"))
"""What a folder may hold that a project is made in."""


def run(arguments: Sequence[str]) -> int:
    """The command; its exit status."""
    line = read_line(arguments, [HELP, *FLAGS], command="beamish new")
    if line.get("help"):
        print(USAGE + help_of([*FLAGS, HELP]))
        return 0
    if len(line.words) != 1:
        raise UsageError("beamish new takes the path of the new project, for example: beamish new my_app")
    if line.get("web"):
        raise UsageError(
            "--web: this version makes no web endpoint yet; without it `beamish new` makes a project that can gain one"
        )
    root = Path(os.path.normpath(os.path.join(os.getcwd(), os.path.expanduser(line.words[0]))))
    make(root, package=line.get("module"))
    shown = os.path.relpath(root)
    print(f"{shown} is made. Next:\n")
    if shown != ".":
        print(f"    cd {shown if not shown.startswith('..' + os.sep + '..') else root}")
    print("    beamish test\n    beamish run")
    return 0


def make(root: Path, *, package: str | None = None) -> list[Path]:
    """Write a project into a folder that does not exist or is empty; the files. Raises UsageError, BeamishError."""
    from beamish.project.names import BadName, checked_package, package_name
    from beamish.project.skeleton import project_files

    try:
        name = checked_package(package) if package is not None else package_name(root.name)
    except BadName as error:
        raise UsageError(str(error)) from None
    _check_folder(root)
    written = []
    try:
        for path, text in project_files(root.name, name).items():
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("x", encoding="utf-8") as out:
                out.write(text)
            written.append(file)
    except OSError as error:
        from beamish.project.errors import ProjectError

        raise ProjectError(f"{error.filename} cannot be written: {error.strerror}") from None
    return written


def _check_folder(root: Path) -> None:
    if root.is_dir():
        there = sorted(entry.name for entry in root.iterdir() if entry.name not in MAY_BE_THERE)
        if there:
            more = f" and {len(there) - 3} more" if len(there) > 3 else ""
            raise UsageError(f"{root} is not empty: it holds {', '.join(there[:3])}{more}; a project is made in a new folder")
    elif root.exists() or root.is_symlink():
        raise UsageError(f"{root} exists and is no folder")
