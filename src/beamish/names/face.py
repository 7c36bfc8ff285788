"""`Global`: names and locks of the whole cluster, as seen from the current process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from beamish.errors import NoProcess
from beamish.names import messages as m
from beamish.names.locks import del_lock, set_lock
from beamish.names.resolve import Resolver
from beamish.names.server import GlobalServer, server_of
from beamish.names.strand import Activity, CallNodes, Sleep
from beamish.node.names import complete_peer
from beamish.node.runtime import current_runtime
from beamish.process import Process, demonitor, mailbox_mark, monitor, receive, self, send
from beamish.process.gen import GEN_CALL, call
from beamish.term import Atom, Pid, Ref, atom
from beamish.term.identity import identity

if TYPE_CHECKING:
    from beamish.names.via import GlobalName

T = TypeVar("T")
NodeNames = Iterable[Atom | str]


def _server() -> GlobalServer:
    return server_of(current_runtime())


class Global:
    """Erlang's `global` for the current process's node. Names and lock resources may be any terms.

    await Global.register_name("server", pid)        True, and every node of the cluster knows it
    Global.send("server", message)
    await Global.trans(("backup", self()), run_backup)
    """

    def __init__(self) -> None:
        raise TypeError("Global is a namespace; its functions work on the node of the current process")

    # names

    @staticmethod
    async def register_name(name: Any, pid: Pid, resolve: Resolver | str | Any = None) -> bool:
        """Give a process a name on all nodes; False if the name is taken or the process has one already.

        resolve: who keeps the name if clusters meet in which it stands for two processes: "random_exit_name"
        (default: one of them is killed), "random_notify_name", "notify_all_name", "none", or a function of (name,
        pid, pid2) that gives the pid to keep or None.
        """
        return await _change(m.REGISTER, name, pid, resolve) is m.YES

    @staticmethod
    async def re_register_name(name: Any, pid: Pid, resolve: Resolver | str | Any = None) -> None:
        """Give a process a name on all nodes, whoever had it."""
        await _change(m.RE_REGISTER, name, pid, resolve)

    @staticmethod
    async def unregister_name(name: Any) -> None:
        """Take a name from all nodes; one that nobody has is no error."""
        identity(name)
        _server()
        await call(m.NAME_SERVER, (m.REGISTRAR, (m.UNREGISTER, name)), None)

    @staticmethod
    def whereis_name(name: Any) -> Pid | None:
        """The process of that name, as this node knows it: nobody is asked."""
        return _server().core.whereis(name)

    @staticmethod
    def registered_names() -> list[Any]:
        """All global names, as this node knows them."""
        return _server().core.registered_names()

    @staticmethod
    def send(name: Any, message: Any) -> Pid:
        """Send to the process of that name and give its pid. Raises NoProcess if there is none."""
        pid = Global.whereis_name(name)
        if pid is None:
            raise NoProcess(f"no process has the global name {name!r}")
        send(pid, message)
        return pid

    @staticmethod
    def via(name: Any) -> GlobalName:
        """The name as that of a server: ``Counter.start_link(name=Global.via("till"))``, ``Counter.at(Global.via("till"))``."""
        from beamish.names.via import GlobalName

        return GlobalName(name)

    # locks

    @staticmethod
    async def set_lock(id: Any, nodes: NodeNames | None = None, retries: int | None = None) -> bool:
        """Lock a resource for a requester; False when the retries are used up.

        id: (resource, requester), or a resource that is no pair, for the current process. nodes: this and all visible
        ones. retries: None tries for ever, pausing up to 8 s. The lock goes when this process ends; the same
        requester may set it again.
        """
        server = _server()
        core = server.core
        where = _nodes(server, nodes)
        return await _run(set_lock(_lock_id(id), where, core.state.node, core.locks.can_set, retries, core.state.rng))

    @staticmethod
    async def del_lock(id: Any, nodes: NodeNames | None = None) -> None:
        """Let go of a lock."""
        await _run(del_lock(_lock_id(id), _nodes(_server(), nodes)))

    @staticmethod
    async def trans(
        id: Any, function: Callable[[], Awaitable[T] | T], nodes: NodeNames | None = None, retries: int | None = None
    ) -> T | Atom:
        """Run a function while the lock is set; `atom.aborted`, without running it, when the lock cannot be had."""
        server = _server()
        where, lock_id = _nodes(server, nodes), _lock_id(id)
        if not await Global.set_lock(lock_id, where, retries):
            return atom.aborted
        try:
            result = function()
            return await result if isinstance(result, Awaitable) else result
        finally:
            await Global.del_lock(lock_id, where)

    # the mesh

    @staticmethod
    async def sync(nodes: NodeNames | None = None) -> None:
        """Wait until this node agrees about all names with those nodes (default: all connected ones), or they are
        gone."""
        server = _server()
        wanted = _nodes(server, nodes) if nodes is not None else list(server.core.lock_nodes())
        await call(m.NAME_SERVER, (m.SYNC, wanted), None)

    @staticmethod
    async def disconnect() -> list[Atom]:
        """Leave the mesh in order: close all connections without alarm on our side; gives the nodes that were
        connected."""
        _server()
        left: list[Atom] = await call(m.NAME_SERVER, m.DISCONNECT, None)
        return left


async def _change(kind: Atom, name: Any, pid: Any, resolve: Any) -> Any:
    """Ask our registrar for a change of a name."""
    if not isinstance(pid, Pid):
        raise TypeError(f"a global name stands for a process: give a Pid, not {pid!r}")
    identity(name)  # raises for what is no term
    method = _server().core.methods.term_of(resolve)
    return await call(m.NAME_SERVER, (m.REGISTRAR, (kind, name, pid, method)), None)


def _lock_id(id: Any) -> tuple[Any, Any]:
    lock_id = id if isinstance(id, tuple) and len(id) == 2 else (id, self())
    identity(lock_id)
    return lock_id


def _nodes(server: GlobalServer, nodes: NodeNames | None) -> list[Atom]:
    if nodes is None:
        return server.core.lock_nodes()
    return [node if isinstance(node, Atom) else complete_peer(node, server.runtime.node) for node in nodes]


async def _run(activity: Activity[T]) -> T:
    """Carry out the steps of taking or giving back a lock, from the current process: it is the one that holds it."""
    outcome: Any = None
    while True:
        try:
            step = activity.send(outcome)
        except StopIteration as stop:
            result: T = stop.value
            return result
        match step:
            case CallNodes(nodes, request):
                outcome = await _call_all(nodes, request)
            case Sleep(seconds):
                await Process.sleep(seconds)
                outcome = None
            case _:
                raise AssertionError(f"no step for a user's process: {step!r}")


async def _call_all(nodes: Iterable[Atom], request: Any) -> dict[Atom, Any]:
    """Call the name servers of several nodes at once; those that cannot answer are left out."""
    me, here = self(), current_runtime().node
    mark = mailbox_mark()
    asked: dict[Ref, Atom] = {}
    answers: dict[Atom, Any] = {}
    try:
        for node in nodes:
            target = m.NAME_SERVER if node is here else (m.NAME_SERVER, node)
            ref = monitor(target)
            asked[ref] = node
            try:
                send(target, (GEN_CALL, (me, ref), request))
            except NoProcess:
                pass  # the monitor says so
        while asked:
            answer = await receive(lambda message: _answers(message, asked), since=mark)
            if answer[0] is atom.DOWN:
                del asked[answer[1]]
            else:
                answers[asked.pop(answer[0])] = answer[1]
                demonitor(answer[0], flush=True)
    finally:
        for ref in asked:
            demonitor(ref, flush=True)
    return answers


def _answers(message: Any, asked: dict[Ref, Atom]) -> bool:
    match message:
        case (Ref() as ref, _):
            return ref in asked
        case (atom.DOWN, Ref() as ref, _, _, _):
            return ref in asked
    return False
