"""Applications: parts of a system that are started and stopped as a whole, and the ordered end of a node."""

from beamish.application.controller import start_controller
from beamish.application.errors import ApplicationError, SpecError, UnknownApplication
from beamish.application.face import Application, StartType
from beamish.application.node_stop import request_stop, run_until_stopped, shutdown, stop_node, stop_status, stragglers
from beamish.application.spec import ApplicationSpec
from beamish.application.table import ApplicationInfo

__all__ = [
    "Application",
    "ApplicationError",
    "ApplicationInfo",
    "ApplicationSpec",
    "SpecError",
    "StartType",
    "UnknownApplication",
    "request_stop",
    "run_until_stopped",
    "shutdown",
    "start_controller",
    "stop_node",
    "stop_status",
    "stragglers",
]
