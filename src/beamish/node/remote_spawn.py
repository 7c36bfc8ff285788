"""Starting processes on other nodes: SPAWN_REQUEST from our side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from beamish.errors import Exit, NodeError, RemoteError
from beamish.node.runtime import Runtime
from beamish.process import current_process, mailbox_mark, receive, self, spawn
from beamish.term import Atom, Pid, Ref, atom

SPAWN_TIMEOUT = 30.0


def reference_of(function: Callable[..., Any]) -> tuple[Atom, Atom]:
    """The module and function atoms of a module-level function: what is sent instead of code (D4).

    Raises NodeError for lambdas and functions inside functions, which no other node can find by name.
    """
    module = getattr(function, "__module__", None)
    name = getattr(function, "__qualname__", None)
    if not module or not name or "<" in name:
        raise NodeError(
            f"{function!r} has no name that another node could look up; code never travels: "
            "define it at the top level of a module that both nodes have"
        )
    return atom(module), atom(name)


def mfa_of(runtime: Runtime, what: tuple[Any, ...]) -> tuple[Atom, Atom, list[Any]]:
    """(module, function, arguments) from ``function, *args`` or ``module, function, [args]``."""
    if not what:
        raise TypeError("Node.spawn() takes a function, or a module, a function name and a list of arguments")
    if callable(what[0]) and not isinstance(what[0], Atom):
        describe = runtime.services.get("describe_code")
        described = describe(what[0]) if describe is not None else None
        if described is not None:
            module, function, args = described
            return module, function, [*args, list(what[1:])]
        module, function = reference_of(what[0])
        return module, function, list(what[1:])
    if len(what) == 3 and isinstance(what[2], (list, tuple)):
        return atom(what[0]), atom(what[1]), list(what[2])
    raise TypeError("Node.spawn() takes a function and its arguments, or a module, a function name and a list of arguments")


def spawn_request(runtime: Runtime, node: Atom, mfa: tuple[Atom, Atom, list[Any]], *, link: bool = False, monitor: bool = False,
                  monitor_tag: Any = None) -> Ref:  # fmt: skip
    """Ask a node for a process; ``(atom.spawn_reply, ref, atom.ok, pid)`` or ``(…, atom.error, reason)`` comes as a message.

    With monitor the DOWN carries the same reference.
    """
    ref = runtime.new_ref()
    me = self()
    route = runtime.route(node)
    if route is None:
        runtime.deliver_pid(me, (atom.spawn_reply, ref, atom.error, atom.noconnection))
        return ref
    opts: list[Any] = []
    if link:
        opts.append(atom.link)
    if monitor:
        opts.append(atom.monitor)
    process = current_process()
    assert process is not None
    if process.done():
        raise Exit(process.rare_parts.exit_reason)  # a killed process that still unwinds starts nothing
    route.requests[ref] = (me, link, monitor, monitor_tag)
    try:
        route.spawn_request(ref, me, process.leader or me, (mfa[0], mfa[1], len(mfa[2])), mfa[2], opts)
    except BaseException:
        route.requests.pop(ref, None)
        raise
    return ref


async def spawn_on(runtime: Runtime, node: Atom, what: tuple[Any, ...], *, link: bool, monitor: bool) -> Any:
    """`Node.spawn`: wait for the reply and give the pid (and the monitor)."""
    if node is runtime.node:
        if callable(what[0]) and not isinstance(what[0], Atom):
            return spawn(what[0], *what[1:], link=link, monitor=monitor)
        start = runtime.services.get("local_apply")
        if start is None:
            raise NodeError("this runtime answers no calls by name (its rpc service is not running)")
        return spawn(start, *mfa_of(runtime, what), link=link, monitor=monitor)
    mark = mailbox_mark()
    ref = spawn_request(runtime, node, mfa_of(runtime, what), link=link, monitor=monitor)
    reply = await receive((atom.spawn_reply, ref, ..., ...), timeout=SPAWN_TIMEOUT, since=mark)
    if reply[2] is not atom.ok:
        if reply[3] is atom.noconnection:
            raise NodeError(f"cannot start a process on {node}: it is not reachable (Node.ping({str(node)!r}) tells the same)")
        raise RemoteError(f"{node} refused to start the process: {reply[3]}", kind="error", reason=reply[3])
    pid: Pid = reply[3]
    return (pid, ref) if monitor else pid
