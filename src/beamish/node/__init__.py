"""One node: its runtime, its name, other nodes as it sees them.

The package can be called: ``from beamish import node; node()`` is this node's name, as in Erlang and Elixir.
"""

import sys
from types import ModuleType

from beamish.node.face import Node, node
from beamish.node.runtime import NO_NODE, ProcessFailed, Runtime, current_runtime
from beamish.term import Atom

__all__ = ["NO_NODE", "Node", "ProcessFailed", "Runtime", "current_runtime", "node"]


class _CallableModule(ModuleType):
    """The import system binds this package to the name that users want for the function."""

    def __call__(self) -> Atom:
        return node()


sys.modules[__name__].__class__ = _CallableModule
