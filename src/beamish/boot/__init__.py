"""Putting the layers together: from options to a running node."""

from beamish.boot.running import new_event_loop, run
from beamish.boot.start import start_local, start_node

__all__ = ["new_event_loop", "run", "start_local", "start_node"]
