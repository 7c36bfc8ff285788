"""`Agent`: a process that keeps one value."""

from beamish.agent.agent import Agent

__all__ = ["Agent"]
