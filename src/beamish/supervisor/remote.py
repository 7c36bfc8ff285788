"""A function on another node as a child: a process there whose whole life it is, linked to the supervisor here.

    remote_child("robin@host", "my_app.jobs", "run", [7], restart="transient")

Its crash, and the loss of the connection (reason `noconnection`), reach the supervisor, which starts it again as its restart type
says; when the supervisor ends, so does the child. Servers, which answer when they are up, are `remote_server`'s.

Source  ERTS, Distribution Protocol, SPAWN_REQUEST (erlang:spawn_request/5).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from beamish.errors import NodeError, RemoteError, StartError
from beamish.gen_server.child_spec import ChildSpec
from beamish.node.face import Node
from beamish.supervisor.child_spec import BadChildSpec, child_spec
from beamish.supervisor.remote_server import WAIT, reached
from beamish.term import Atom, Pid, atom


def remote_child(
    node: str | Atom, module: str | Atom, function: str | Atom, args: Sequence[Any] = (), *, id: Any = None, wait: float = WAIT,
    **changes: Any,
) -> ChildSpec:  # fmt: skip
    """A child that is one function, run by a process on another node.

    id: ``{Module, Function, Node}`` unless given. wait: seconds to wait for the node when it cannot be reached. The other keys of a
    ChildSpec may be given. Raises BadChildSpec.
    """
    if not isinstance(args, list | tuple):
        raise BadChildSpec(f"child {module}:{function} on {node}: args must be a list, not {args!r}", (atom.badarg, repr(args)))
    home, name = atom(module), atom(function)
    return child_spec({
        "id": (home, name, atom(node)) if id is None else id, "start": (_start, (str(node), home, name, list(args), wait)),
        "modules": [home], **changes,
    })  # fmt: skip


async def _start(node: str, module: Atom, function: Atom, args: list[Any], wait: float) -> Pid:
    what = f"{module}:{function} on {node}"
    peer = await reached(node, wait, what)
    try:
        return await Node.spawn_link(peer, module, function, args)
    except (NodeError, RemoteError, TimeoutError) as error:
        reason = getattr(error, "reason", None) or (atom.nodedown, peer)
        raise StartError(f"{what} could not be started: {error}", reason) from error


__all__ = ["remote_child"]
