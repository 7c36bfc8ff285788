"""`rex`: the server of rpc calls for block_call, for C nodes, and for peers that do not use erpc.

    gen call  {call, M, F, A, GL}          Result | {badrpc, {'EXIT', Reason}}
    gen call  {block_call, M, F, A, GL}    the same, one after the other
    gen cast  {cast, M, F, A, GL}
    {From, {call, M, F, A, GL}}            {rex, Result} to From
    {From, features_request}               {features_reply, Node, [erpc]} to From
    {From, {sbcast | send, Name, Message}} {rex, Node, …} to From

GL is a pid, or an atom for this node's own output. Source  OTP 25, kernel: rpc; facts section 10.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from beamish.node.runtime import Runtime
from beamish.process import send
from beamish.process.gen import reply
from beamish.rpc.apply import run_mfa
from beamish.rpc.exports import Exports
from beamish.rpc.outcome import BADRPC, EXIT, MFA, failure_of, rex_result
from beamish.rpc.servers import Server
from beamish.term import Atom, Pid, Ref, atom

Answer = Callable[[Any], None]
MAX_WAITING = 10_000


async def answer_call(exports: Exports, answer: Answer, module: Any, function: Any, args: Any) -> None:
    """Body of a process that makes one call and sends its result."""
    try:
        if not isinstance(args, list | tuple):
            args = [args]
        value = exports.resolve(module, function, len(args))(*args)
        if hasattr(value, "__await__"):
            value = await value
    except (GeneratorExit, KeyboardInterrupt):
        raise
    except BaseException as error:
        value = rex_result(failure_of(error, MFA(module, function, args)))
    try:
        answer(value)
    except ValueError as error:
        answer((BADRPC, (EXIT, (atom.unsendable_result, repr(value)[:1000], str(error)[:1000]))))


class Rex(Server):
    """The server: hands every call to a process of its own and answers for those that die."""

    name = atom.rex

    def __init__(self, runtime: Runtime, exports: Exports) -> None:
        super().__init__(runtime)
        self.exports = exports
        self.running: dict[Ref, Answer] = {}
        self.waiting: deque[tuple[Answer, Any, Any, Any, Any]] = deque()
        self.blocking: Ref | None = None

    def call(self, to: Any, request: Any) -> None:
        match request:
            case (atom.call, module, function, args, leader):
                self.begin(lambda result: reply(to, result), module, function, args, leader)
            case (atom.block_call, module, function, args, leader):
                if len(self.waiting) >= MAX_WAITING:
                    reply(to, (BADRPC, (EXIT, atom.system_limit)))
                    return
                self.waiting.append((lambda result: reply(to, result), module, function, args, leader))
                self.next_blocking()
            case _:
                super().call(to, request)

    def cast(self, request: Any) -> None:
        match request:
            case (atom.cast, module, function, args, leader):
                chosen = leader if isinstance(leader, Pid) else self.runtime.user
                self.runtime.spawn(run_mfa, self.runtime, self.exports, module, function, args, leader=chosen)
            case _:
                self.unknown(request)

    def info(self, message: Any) -> None:
        node = self.runtime.node
        match message:
            case (Pid() as sender, atom.features_request):
                self.tell(sender, (atom.features_reply, node, [atom.erpc]))
            case (Pid() as sender, (atom.call, module, function, args, leader)):
                self.begin(lambda result: self.tell(sender, (atom.rex, result)), module, function, args, leader)
            case (Pid() as sender, ((atom.sbcast | atom.send) as verb, Atom() as name, forwarded)):
                if name not in self.runtime.names:
                    self.tell(sender, (atom.rex, node, (atom.nonexisting_name, name)))
                    return
                send(name, forwarded)
                if verb is atom.sbcast:
                    self.tell(sender, (atom.rex, node, node))
            case (atom.features_reply, _, _):
                pass  # we ask nobody: every release that can connect knows erpc
            case _:
                self.unknown(message)

    def tell(self, dest: Pid, message: Any) -> None:
        """Answers never connect."""
        if dest.node is self.runtime.node or dest.node in self.runtime.routes:
            send(dest, message)

    def begin(self, answer: Answer, module: Any, function: Any, args: Any, leader: Any) -> Ref:
        """Make a call in a process of its own."""
        ref = self.start(answer_call, self.exports, answer, module, function, args, leader=leader)
        self.running[ref] = answer
        return ref

    def next_blocking(self) -> None:
        """Start the oldest waiting block_call unless one is under way."""
        if self.blocking is None and self.waiting:
            self.blocking = self.begin(*self.waiting.popleft())

    def down(self, ref: Ref, reason: Any) -> None:
        answer = self.running.pop(ref, None)
        if answer is not None and reason is not atom.normal:
            answer((BADRPC, (EXIT, reason)))
        if ref == self.blocking:
            self.blocking = None
            self.next_blocking()

    def state(self) -> Any:
        return {atom.running: len(self.running), atom.waiting: len(self.waiting)}
