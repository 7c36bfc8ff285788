"""Supervisors: `Supervisor`, `DynamicSupervisor`, `PartitionSupervisor`, and how their children are written."""

from beamish.gen_server.child_spec import ChildSpec
from beamish.supervisor.child_spec import BadChildSpec, child_spec
from beamish.supervisor.dynamic import DynamicSupervisor
from beamish.supervisor.intensity import BadOption
from beamish.supervisor.partition import PartitionSupervisor
from beamish.supervisor.remote import remote_child
from beamish.supervisor.remote_server import remote_server
from beamish.supervisor.requests import ChildBusy, ChildInfo, Counts, NoChild
from beamish.supervisor.supervisor import Supervisor

__all__ = [
    "BadChildSpec",
    "BadOption",
    "ChildBusy",
    "ChildInfo",
    "ChildSpec",
    "Counts",
    "DynamicSupervisor",
    "NoChild",
    "PartitionSupervisor",
    "Supervisor",
    "child_spec",
    "remote_child",
    "remote_server",
]
