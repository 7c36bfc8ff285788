"""`Registry`: processes of a node under keys of their choice."""

from beamish.registry.face import Registry
from beamish.registry.table import AlreadyRegistered
from beamish.registry.via import Via

__all__ = ["AlreadyRegistered", "Registry", "Via"]
