"""`beamish test`: pytest on the project, with strict messages and the environment test."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path

PLUGIN = "beamish.project.pytest_plugin"
USAGE = """usage: beamish test [PATH ...] [PYTEST ARGUMENTS]

    beamish test
    beamish test tests/test_counter.py -k minute -x

Runs pytest in the project with BEAMISH_ENV=test (unless it is set). Messages between processes of one node are checked as if
they went over the wire. The status is pytest's: 0 passed, 1 some failed, 2 interrupted or a broken configuration, 4 a wrong
command line, 5 no tests.

  -h, --help  show this text and leave; pytest's own: pytest --help
"""


def run(arguments: Sequence[str]) -> int:
    """The command; its exit status."""
    if any(argument in ("-h", "--help") for argument in arguments):
        print(USAGE, end="")
        return 0
    from beamish.project.configuration import TEST, VARIABLE, environment_name, read_configuration
    from beamish.project.errors import ProjectError
    from beamish.project.manifest import make_importable, require_project

    project = require_project()
    environment = environment_name(os.environ, TEST)
    read_configuration(project, environment)
    if importlib.util.find_spec("pytest") is None:
        raise ProjectError(
            f"pytest is not installed for {sys.executable}: install the project's dev group (uv sync, or pip install --group dev),"
            " or pip install pytest"
        )
    os.environ[VARIABLE] = environment
    make_importable(project)
    if not any(Path(argument.partition("::")[0]).exists() for argument in arguments):
        os.chdir(project.root)
    import pytest

    return int(pytest.main(["-p", PLUGIN, *arguments]))
