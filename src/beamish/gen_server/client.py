"""What clients do with a server: call, cast, reply, stop, and the same to many nodes.

All take targets (`beamish.gen_server.target`). A call needs a mailbox for its answer: made from an asyncio task that is no
process (a web handler), it goes through a short-lived process on the runtime of the handle it was made with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any

from beamish.errors import CallTimeout, NoProcess, NotAProcess, RemoteError
from beamish.gen_server.target import address, pid_of, shown
from beamish.process import Kernel, current_process, demonitor, mailbox_mark, monitor, receive, self, send, unalias
from beamish.process import alias as make_alias
from beamish.process.exits import text_of, type_name
from beamish.process.gen import CALL_TIMEOUT, GEN_CALL, GEN_CAST, CallFailed
from beamish.process.gen import call as gen_call
from beamish.process.gen import reply as gen_reply
from beamish.term import Atom, ImproperList, Pid, Ref, atom

From = tuple[Pid, Any]


def call(server: Any, request: Any, timeout: float | None = CALL_TIMEOUT, *, label: Atom = GEN_CALL) -> Awaitable[Any]:
    """Send a request and wait for the reply, `timeout` seconds at most (None: for ever).

    Raises CallFailed when the server is not there or dies before it answers (`reason` says how), CallTimeout when the answer
    takes too long; a late answer is dropped.
    """
    if current_process() is None and type(server) is not Pid:
        return _from_outside(server, request, timeout, label)
    where = address(server)
    if where is None:
        return _nobody(server)
    return gen_call(where, request, timeout, label=label)


async def _nobody(server: Any) -> Any:
    """A call to a name that stands for nobody."""
    raise _failed(f"the call to {shown(server)} failed: noproc", atom.noproc)


def _failed(message: str, reason: Any) -> CallFailed:
    return CallFailed(message, kind="exit", reason=reason)


def home_of(server: Any) -> Kernel:
    """The runtime behind a target, for callers outside any process. Raises NotAProcess if it cannot be known."""
    home: Kernel | None = getattr(server, "_home", None)
    if home is None:
        raise NotAProcess(
            f"a call to {shown(server)} needs a mailbox for its answer: make it inside a process (spawn, beamish.run), with "
            "a handle that was made in one (Counter.at(…), Counter.start_link(…)), or through runtime.run(function)")  # fmt: skip
    if asyncio.get_running_loop() is not home.loop:
        raise NotAProcess(f"{shown(server)} lives on another event loop: use asyncio.run_coroutine_threadsafe(…, runtime.loop)")
    return home


async def _from_outside(server: Any, request: Any, timeout: float | None, label: Atom) -> Any:
    home = home_of(server)
    run = getattr(home, "run", None)
    assert run is not None
    return await run(lambda: call(server, request, timeout, label=label))


def cast(server: Any, message: Any) -> None:
    """Send `message` to be handled by `handle_cast` or a @cast method. Never waits; a server that is not there is no error."""
    deliver(server, (GEN_CAST, message))


def deliver(server: Any, message: Any) -> None:
    """Send a message to any target, from a process or with a handle from outside; absence is no error."""
    where = address(server)
    if where is None:
        return
    if current_process() is None:
        home = home_of(server)
        try:
            home.send(where, message)
        except NoProcess:
            pass
        return
    try:
        send(where, message)
    except NoProcess:
        pass


def reply(to: From, answer: Any) -> None:
    """Answer a call whose method gave NO_REPLY. `to` is the `from_` of `handle_call`, or `self.caller` in a @call method; any
    process may answer."""
    gen_reply(to, answer)


async def stop(server: Any, reason: Any = atom.normal, timeout: float | None = None) -> None:
    """Ask a server to terminate with `reason` and wait until it is gone.

    Raises CallFailed if it is not there or ends for another reason, CallTimeout if it takes too long.
    """
    where = address(server)
    if where is None:
        raise _failed(f"{shown(server)} cannot be stopped: it is not there", atom.noproc)
    if where == self():
        raise _failed("a server cannot stop itself with GenServer.stop: return Stop(reason)", atom.calling_self)
    mark = mailbox_mark()
    ref = monitor(where)
    answer_to = make_alias()
    try:
        deliver(where, (atom.system, (self(), ImproperList((atom.alias,), answer_to)), (atom.terminate, reason)))
        down = await receive((atom.DOWN, ref, ..., ..., ...), timeout=timeout, since=mark)
    except TimeoutError:
        raise CallTimeout(f"{shown(server)} did not stop within {timeout:g} s") from None
    finally:
        demonitor(ref, flush=True)
        unalias(answer_to)
        await _drop_answer(answer_to, mark)
    ended = down[4]
    if ended != reason:
        raise _failed(f"{shown(server)} ended with {text_of(ended)}, not with {text_of(reason)}", ended)


async def _drop_answer(ref: Ref, mark: int) -> None:
    """Take out the `ok` that came before the DOWN."""
    try:
        await receive((ImproperList((atom.alias,), ref), ...), timeout=0, since=mark)
    except TimeoutError:
        pass


async def multi_call(
    nodes: Iterable[Atom | str], name: Atom | str, request: Any, timeout: float | None = None,
) -> tuple[list[tuple[Atom, Any]], list[Atom]]:  # fmt: skip
    """Call the servers registered as `name` on several nodes at once: ``([(node, reply), …], [nodes that did not answer])``.

    timeout: seconds for all of them together. Late answers are dropped.
    """
    asked: dict[Ref, Atom] = {}
    replies: dict[Atom, Any] = {}
    wanted = [_node(node) for node in nodes]
    me = self()
    mark = mailbox_mark()
    try:
        for node in dict.fromkeys(wanted):
            ref = monitor((name, node), alias="reply_demonitor")
            asked[ref] = node
            deliver((name, node), (GEN_CALL, (me, ImproperList((atom.alias,), ref)), request))
        await _gather(asked, replies, timeout, mark)
    except TimeoutError:
        pass
    finally:
        for ref in asked:
            demonitor(ref, flush=True)
    return [(node, replies[node]) for node in wanted if node in replies], [node for node in wanted if node not in replies]


async def _gather(asked: dict[Ref, Atom], replies: dict[Atom, Any], timeout: float | None, mark: int) -> None:
    loop = asyncio.get_running_loop()
    end = None if timeout is None else loop.time() + timeout
    while asked:
        left = None if end is None else max(0.0, end - loop.time())
        message = await receive(lambda each: _ref_in(each) in asked, timeout=left, since=mark)
        ref = _ref_in(message)
        assert ref is not None
        if len(message) == 2:
            replies[asked[ref]] = message[1]
        del asked[ref]


def _ref_in(message: Any) -> Ref | None:
    match message:
        case (ImproperList(_, Ref() as ref), _) | (Ref() as ref, _):
            return ref
        case (atom.DOWN, Ref() as ref, _, _, _):
            return ref
    return None


def _node(node: Atom | str) -> Atom:
    made = atom(node)
    if not isinstance(made, Atom):
        raise TypeError(f"{node!r} is not the name of a node")
    return made


def abcast(nodes: Iterable[Atom | str], name: Atom | str, message: Any) -> None:
    """Cast to the servers registered as `name` on several nodes; nobody says which were there."""
    for node in nodes:
        deliver((name, _node(node)), (GEN_CAST, message))


def whereis(server: Any) -> Any:
    """The pid of a local or global server, ``(name, node)`` for one elsewhere, None if there is none."""
    where = address(server)
    if type(where) is tuple:
        me = current_process()
        if me is None or where[1] is not me.home.node:
            return where
    return pid_of(server) if where is not None else None


def raised_again(answer: Any, raises: tuple[type[Exception], ...]) -> Any:
    """An answer, or the declared exception that it stands for, raised."""
    match answer:
        case (atom.error, (atom.exception, Atom() as kind, str() | bytes() as message)):
            said = message.decode("utf-8", "replace") if isinstance(message, bytes) else message
            for each in raises:
                if type_name(each) == kind.text:
                    raise _made(each, said)
    return answer


def _made(kind: type[Exception], message: str) -> Exception:
    try:
        return kind(message)
    except Exception:  # its constructor wants more than a message
        return RemoteError(f"{type_name(kind)}: {message}", kind="error", reason=message)


async def typed_call(answer: Awaitable[Any], raises: tuple[type[Exception], ...]) -> Any:
    """A call that raises what its method declared."""
    return raised_again(await answer, raises)


__all__ = ["CALL_TIMEOUT", "CallFailed", "From", "abcast", "call", "cast", "deliver", "home_of", "multi_call", "reply",
           "stop", "typed_call", "whereis"]  # fmt: skip
