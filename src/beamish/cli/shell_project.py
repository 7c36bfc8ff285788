"""A shell inside of a project: its modules can be imported, and with --app its application runs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from beamish.cli.node_flags import NodeOptions

if TYPE_CHECKING:
    from beamish.node.runtime import Runtime
    from beamish.project.configuration import Configuration
    from beamish.project.manifest import Project


@dataclass(frozen=True, slots=True)
class OpenedProject:
    """What a shell knows of the project it is in. project: None outside of one; application: its class with --app."""

    project: Project | None = None
    configuration: Configuration | None = None
    application: Any = None

    async def start(self, runtime: Runtime, options: NodeOptions) -> str:
        """Start the application, if that was asked for; a line for the banner."""
        if self.project is None:
            return ""
        if self.application is None or self.configuration is None:
            return f"project {self.project.name}: beamish shell --app starts its application\n"
        from beamish.project.session import prepare_node, start_application

        prepare_node(runtime, self.configuration, options.applications)
        await start_application(runtime, self.application, self.configuration.environment)
        return f"{self.project.name} {self.project.version} ({self.configuration.environment}) runs\n"


def open_project(options: NodeOptions, *, start: bool) -> OpenedProject:
    """The project of this folder. start: read its configuration, into the options too, and load its application; there must
    be a project then. Raises ProjectError."""
    from beamish.project.manifest import find_project, load_application, make_importable, require_project

    if not start:
        from beamish.project.errors import ProjectError

        try:
            project = find_project()
        except ProjectError:  # a shell opens all the same: it may be what the user wants to mend things with
            return OpenedProject()
        if project is not None:
            make_importable(project)
        return OpenedProject(project)
    from beamish.cli.node_start import apply_configured
    from beamish.project.configuration import environment_name, read_configuration

    project = require_project()
    configuration = read_configuration(project, environment_name(os.environ))
    apply_configured(options, configuration.node)
    make_importable(project)
    return OpenedProject(project, configuration, load_application(project))
