"""pytest's part of `beamish test`, also for plain `pytest`: `addopts = "-p beamish.project.pytest_plugin"`.

Sets BEAMISH_ENV to test where it is not set, makes the project importable, and switches strict messages on for every node
that tests make (unless the project's configuration for the environment says otherwise).
"""

from __future__ import annotations

import os
from typing import Any

from beamish.node.runtime import Runtime
from beamish.project.configuration import TEST, VARIABLE, Configuration, environment_name, read_configuration
from beamish.project.errors import ProjectError
from beamish.project.manifest import find_project, make_importable
from beamish.project.strict_messages import SETTING, make_strict


def pytest_configure(config: Any) -> None:
    """Set up the run. A broken project or configuration ends it with a usage error."""
    import pytest

    os.environ.setdefault(VARIABLE, TEST)
    try:
        project = find_project(config.rootpath)
        if project is None:
            configuration = Configuration(environment_name(os.environ, TEST))
        else:
            make_importable(project)
            configuration = read_configuration(project, environment_name(os.environ, TEST))
    except ProjectError as error:
        raise pytest.UsageError(str(error)) from None
    if configuration.strict_messages:
        Runtime.on_new.append(make_strict)


def pytest_unconfigure(config: Any) -> None:
    """Leave the interpreter as it was: pytest may run inside another program."""
    if make_strict in Runtime.on_new:
        Runtime.on_new.remove(make_strict)


def pytest_report_header(config: Any) -> str:
    """One line on what is special about this run."""
    strict = "on" if make_strict in Runtime.on_new else "off"
    return f"beamish: {VARIABLE}={os.environ.get(VARIABLE)}, {SETTING} {strict}"
