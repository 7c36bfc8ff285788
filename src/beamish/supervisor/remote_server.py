"""Servers on other nodes as children: the supervisor here, the server there, linked to it across the wire.

    remote_server("robin@frankel", "Elixir.Shop.Till", [atom.main])                     a GenServer, by its callback module
    remote_server("robin@frankel", ("Elixir.Shop.Till", "start_link"), [atom.main])     by its start function
    remote_server("robin@frankel", "shop.till:Till", "main", name="till")               a class of a beamish node

| written as | the child's pid | its parent, whose exit signal it obeys |
|---|---|---|
| callback module | the server's | this supervisor |
| ``(module, function)`` | of a bridge that holds it, and ends as it ends | the bridge, which passes signals on |
| ``module:Class`` | the server's | this supervisor |

No code travels: an Erlang node runs its own `gen` for a callback module, and `erl_eval` for the bridge's few lines.

Source  OTP 25, stdlib: gen (init_it/6,7), proc_lib (init_p/5, init_ack/2; from OTP 26 init_fail/3 sends nack), erl_eval (exprs/2).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from beamish.errors import AlreadyStarted, StartError, StartIgnored
from beamish.gen_server.child_spec import ChildSpec
from beamish.gen_server.target import is_global
from beamish.node.names import complete_peer
from beamish.node.remote_spawn import spawn_request
from beamish.node.runtime import current_runtime
from beamish.process import demonitor, mailbox_mark, receive, self, unlink
from beamish.process._signals import send_exit
from beamish.process.exits import text_of
from beamish.term import Atom, Pid, Ref, atom

WAIT: Final = 5.0
"""Seconds for which a start waits for a node that cannot be reached. As long as restarts are counted by default, so that a node
that is away does not use up the restart intensity."""

RETURN: Final = atom("return")
FIRST_PAUSE: Final = 0.05
MOST_PAUSE: Final = 1.0
"""Seconds between two attempts to reach it: they grow from the first to the second."""

DEATH: Final = 5.0
"""Seconds in which a process that said that it could not start must be gone."""


def remote_server(
    node: str | Atom, start: Any, *args: Any, name: Any = None, id: Any = None, restart: Any = "permanent", shutdown: Any = None,
    type: Any = "worker", significant: bool = False, wait: float = WAIT, start_timeout: float | None = None, **keywords: Any,
) -> ChildSpec:  # fmt: skip
    """The specification of a child that runs on another node.

    start: a GenServer's callback module (``"Elixir.Shop.Till"``, with one argument for its `init`); ``(module, function)`` that
    gives ``{ok, Pid}`` and links; or ``"module:Class"`` of a beamish node (which also takes keywords). name: a name there, or
    ``("global", x)``. wait: seconds to wait for the node if it cannot be reached. The rest is as in `ChildSpec`.
    """
    made = RemoteStart(str(node), start, args, keywords, name, wait)
    return ChildSpec(
        id=id if id is not None else made.described, start=made, restart=restart, type=type, significant=significant,
        shutdown=(math.inf if type == "supervisor" else 5.0) if shutdown is None else shutdown, start_timeout=start_timeout,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class RemoteStart:
    """The start function of a child on another node."""

    node: str
    start: Any
    args: tuple[Any, ...]
    keywords: dict[str, Any]
    name: Any
    wait: float

    def __post_init__(self) -> None:
        kind = self.kind
        if kind != "class" and self.keywords:
            raise TypeError(f"remote_server: only a class of a beamish node takes keywords, not {self.start!r}")
        if kind == "callbacks" and len(self.args) != 1:
            raise TypeError(f"remote_server: init of {self.start} takes one argument, {len(self.args)} are given; write a list")
        if kind == "function" and self.name is not None:
            raise TypeError(f"remote_server: {self.start!r} chooses its name itself; give it among the arguments")

    @property
    def kind(self) -> str:
        """How it is written: "callbacks", "function" or "class"."""
        if isinstance(self.start, str | Atom):
            return "class" if ":" in str(self.start) else "callbacks"
        if isinstance(self.start, tuple) and len(self.start) == 2 and all(isinstance(each, str | Atom) for each in self.start):
            return "function"
        raise TypeError(
            f"remote_server: what to start is \"Elixir.Module\", (\"Elixir.Module\", \"start_link\") or \"module:Class\", "
            f"not {self.start!r}")  # fmt: skip

    @property
    def described(self) -> str:
        """`Elixir.Shop.Till on robin@frankel`."""
        what = ":".join(map(str, self.start)) if isinstance(self.start, tuple) else str(self.start)
        return f"{what} on {self.node}"

    def __repr__(self) -> str:
        return f"remote_server({self.described})"

    async def __call__(self) -> Pid:
        """Start it, linked to the current process. Raises StartError and its kinds."""
        node = await reached(self.node, self.wait, self.described)
        match self.kind:
            case "callbacks":
                return await started(node, _callbacks(self), self.described)
            case "function":
                return await started(node, _bridge(self), self.described)
        return await _class(node, self)


async def reached(name: str, wait: float, what: str = "the child") -> Atom:
    """The node's full name once there is a connection to it. Raises StartError, with ``{nodedown, Node}``, after `wait` seconds."""
    runtime = current_runtime()
    node = complete_peer(name, runtime.node)
    if node is runtime.node:
        raise StartError(f"{what}: that is this node; start the child here", (atom.badarg, node))
    if runtime.net is None:
        raise StartError(f"{what}: this node has no name, so it cannot reach others", (atom.nodedown, node))
    end = runtime.loop.time() + wait
    pause = FIRST_PAUSE
    while node not in runtime.peers and not await runtime.net.connect(node):
        left = end - runtime.loop.time()
        if left <= 0:
            why = getattr(runtime.net, "failure_text", str)(node)
            raise StartError(f"{what}: {node} could not be reached within {wait:g} s: {why}", (atom.nodedown, node))
        await asyncio.sleep(min(pause, left))
        pause = min(2 * pause, MOST_PAUSE)
    return node


async def started(node: Atom, mfa: tuple[Atom, Atom, list[Any]], what: str) -> Pid:
    """Have a node run a process, linked to us, that tells as proc_lib's do when it is up.

    Raises AlreadyStarted, StartIgnored, or StartError with the reason.
    """
    mark = mailbox_mark()
    ref = spawn_request(current_runtime(), node, mfa, link=True, monitor=True)
    try:
        reply = await receive((atom.spawn_reply, ref, ..., ...), since=mark)
        if reply[2] is not atom.ok:
            reason = (atom.nodedown, node) if reply[3] is atom.noconnection else reply[3]
            raise StartError(f"{what}: {node} did not start a process: {text_of(reason)}", reason)
        pid: Pid = reply[3]
        message = await receive(_news(pid, ref), since=mark)
    except asyncio.CancelledError:  # a start_timeout: the supervisor kills what is linked to it
        demonitor(ref, flush=True)
        raise
    if message[0] is atom.DOWN:
        await _gone(pid, ref, mark, down=message)
        why = (atom.nodedown, node) if message[4] is atom.noconnection else message[4]
        raise StartError(f"{what} ended before it was up: {text_of(why)}", why)
    match message[2]:
        case (atom.ok, Pid()) | (atom.ok, Pid(), _):
            demonitor(ref, flush=True)
            return pid
    await _gone(pid, ref, mark)
    raise _failure(what, message[2])


def _news(pid: Pid, ref: Ref) -> Callable[[Any], bool]:
    def of_it(message: Any) -> bool:
        match message:
            case (atom.ack | atom.nack, other, _):
                return bool(other == pid)
            case (atom.DOWN, other, _, _, _):
                return bool(other == ref)
        return False

    return of_it


async def _gone(pid: Pid, ref: Ref, mark: int, down: Any = None) -> None:
    """Wait until a process that could not start is gone, and take out what it left in our mailbox."""
    try:
        if down is None:
            await receive((atom.DOWN, ref, ..., ..., ...), timeout=DEATH, since=mark)
    except TimeoutError:
        send_exit(pid, atom.kill)
    demonitor(ref, flush=True)
    unlink(pid)
    try:
        await receive((atom.EXIT, pid, ...), timeout=0, since=mark)
    except TimeoutError:
        pass


def _failure(what: str, answer: Any) -> StartError:
    match answer:
        case atom.ignore:
            return StartIgnored(f"{what} chose not to start", atom.ignore)
        case (atom.error, (atom.already_started, Pid() as holder)):
            return AlreadyStarted(f"{what}: its name belongs to {holder}", (atom.already_started, holder), holder)
        case (atom.error, reason):
            return StartError(f"{what} did not start: {text_of(reason)}", reason)
        case (atom.EXIT, reason):
            return StartError(f"{what}: its start function failed: {text_of(reason)}", (atom.EXIT, reason))
    return StartError(f"{what}: its start gave {answer!r}", (atom.bad_return, answer))


# ---- a GenServer by its callback module


def _callbacks(start: RemoteStart) -> tuple[Atom, Atom, list[Any]]:
    """What gen:start would have proc_lib run, with us as the starter and the parent."""
    me = self()
    module = atom(str(start.start))
    named = [] if start.name is None else [_name(start.name)]
    given = [atom.gen_server, me, me, *named, module, start.args[0], []]
    return (atom.proc_lib, atom.init_p, [me, [], atom.gen, atom.init_it, given])


def _name(name: Any) -> Any:
    if is_global(name):
        return (atom("global"), name[1])
    return (atom.local, atom(name))


# ---- by a start function


def _bridge(start: RemoteStart) -> tuple[Atom, Atom, list[Any]]:
    module, function = start.start
    bindings = {atom.S: self(), atom.M: atom(str(module)), atom.F: atom(str(function)), atom.A: list(start.args)}
    return (atom.erl_eval, atom.exprs, [BRIDGE, bindings])


def _var(name: str) -> tuple[Any, ...]:
    return (atom.var, 1, atom(name))


def _atom(name: str) -> tuple[Any, ...]:
    return (atom.atom, 1, atom(name))


def _tuple(*parts: Any) -> tuple[Any, ...]:
    return (atom.tuple, 1, list(parts))


def _call(function: str, *args: Any) -> tuple[Any, ...]:
    return (atom.call, 1, (atom.remote, 1, _atom("erlang"), _atom(function)), list(args))


def _clause(pattern: Any, *body: Any) -> tuple[Any, ...]:
    return (atom.clause, 1, [pattern], [], list(body))


def _exit_of(who: str, reason: str) -> tuple[Any, ...]:
    return _tuple(_atom("EXIT"), _var(who), _var(reason))


_AWAIT_END: Final = (atom.receive, 1, [_clause(_exit_of("P", "V"), _call("exit", _var("V")))])
_HOLD: Final = (
    atom.receive, 1, [
        _clause(_exit_of("P", "W"), _call("exit", _var("W"))),
        _clause(_exit_of("S", "W"), _call("exit", _var("P"), _var("W")), _AWAIT_END),
    ],
)  # fmt: skip
BRIDGE: Final = [
    _call("process_flag", _atom("trap_exit"), (atom.atom, 1, True)),
    (atom.match, 1, _var("R"), (atom("catch"), 1, _call("apply", _var("M"), _var("F"), _var("A")))),
    (atom.op, 1, atom("!"), _var("S"), _tuple(_atom("ack"), _call("self"), _var("R"))),
    (atom("case"), 1, _var("R"), [
        _clause(_tuple(_atom("ok"), _var("P")), _HOLD),
        _clause(_tuple(_atom("ok"), _var("P"), _var("_")), _HOLD),
        _clause(_var("_"), _atom("ok")),
    ]),
]  # fmt: skip
"""Erlang's abstract form of the bridge:

    process_flag(trap_exit, true),
    R = (catch apply(M, F, A)),
    S ! {ack, self(), R},
    case R of
        {ok, P} -> receive {'EXIT', P, W} -> exit(W);
                           {'EXIT', S, W} -> exit(P, W), receive {'EXIT', P, V} -> exit(V) end
                   end;
        … the same for {ok, P, _} …
        _ -> ok
    end
"""


# ---- a class of a beamish node


async def _class(node: Atom, start: RemoteStart) -> Pid:
    """Ask the other node's `beamish:start_link`, which links what it starts to us."""
    options = [] if start.name is None else [(atom.name, _name(start.name))]
    args: Any = list(start.args)
    if start.keywords:
        if args:
            raise TypeError("remote_server: give a class on another node either positional arguments or keywords")
        args = {atom(key): value for key, value in start.keywords.items()}
    runtime = current_runtime()
    mark = mailbox_mark()
    tag = runtime.new_ref()
    request = [tag, atom.beamish, atom.start_link, [str(start.start), args, options]]
    ref = spawn_request(runtime, node, (atom.erpc, atom.execute_call, request), monitor=True)
    reply = await receive((atom.spawn_reply, ref, ..., ...), since=mark)
    why = reply[3]
    if reply[2] is atom.ok:
        why = (await receive((atom.DOWN, ref, ..., ..., ...), since=mark))[4]
    match why:
        case (back, kind, answer, *_) if back == tag:
            if kind is not RETURN:
                answer = (atom.error, answer)
            elif answer.__class__ is tuple and answer[0] is atom.ok:
                pid: Pid = answer[1]
                return pid
            raise _failure(start.described, answer)
    reason = (atom.nodedown, node) if why is atom.noconnection else why
    raise StartError(f"{start.described} did not start: {text_of(reason)}", reason)


__all__ = ["BRIDGE", "RemoteStart", "reached", "remote_server", "started"]
