"""Sequential activities inside the core: each has a mailbox and reads like a process, but only acts when it is told.

Erlang's name server is a server, a *locker* and a *registrar* that block while they wait for locks. Here the last
two, and the resolver of every session, are generators that yield what they wait for (a `Step`) and are resumed with
the outcome. A `Receive` is selective: messages that it does not want stay in the mailbox, in order, for a later one.
That matters: a `lock_set` that arrives while locks are still being acquired must be found by the step after it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from beamish.names.actions import Term
from beamish.names.state import State
from beamish.term import Atom

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Receive:
    """Wait for a message that `wanted` accepts (None: any). Outcome: the message, or None after `timeout` seconds."""

    wanted: Callable[[Any], bool] | None = None
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class CallNodes:
    """Ask the name servers of all those nodes. Outcome: node -> reply, without the nodes that could not answer."""

    nodes: tuple[Atom, ...]
    request: Term


@dataclass(frozen=True, slots=True)
class Sleep:
    """Let that many seconds pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Await:
    """Start something with `start(then)`; `then(ok, value)` is called once. Outcome: (ok, value)."""

    start: Callable[[Callable[[bool, Term], None]], object]


Step: TypeAlias = Receive | CallNodes | Sleep | Await
Activity: TypeAlias = Generator[Step, Any, T]


class Strand:
    """One running activity."""

    __slots__ = ("activity", "alive", "mailbox", "name", "pending", "replies", "timer", "token", "waiting")

    def __init__(self, name: str, activity: Activity[None]) -> None:
        self.name = name
        self.activity = activity
        self.mailbox: deque[Any] = deque()
        self.waiting: Step | None = None
        self.timer: int | None = None
        self.pending: set[Atom] = set()
        self.replies: dict[Atom, Term] = {}
        self.token = 0
        self.alive = True


class Strands:
    """Runs the activities of one core.

    serve(request) answers a gen call that a strand makes to its own node.
    """

    def __init__(self, state: State, serve: Callable[[Term], Term]) -> None:
        self._state = state
        self._serve = serve
        self._ready: deque[tuple[Strand, int, Any]] = deque()
        self._posted: deque[Strand] = deque()

    def spawn(self, name: str, activity: Activity[None]) -> Strand:
        """Start an activity; it runs in the next `run`."""
        strand = Strand(name, activity)
        self._ready.append((strand, strand.token, None))
        return strand

    def kill(self, strand: Strand) -> None:
        """End an activity where it stands."""
        strand.alive = False
        strand.token += 1
        self._state.cancel_timer(strand.timer)
        strand.activity.close()

    def post(self, strand: Strand, message: Any) -> None:
        """Put a message into a mailbox; it is looked at in the next `run`."""
        strand.mailbox.append(message)
        self._posted.append(strand)

    def run(self) -> None:
        """Advance everything that can be advanced."""
        while self._ready or self._posted:
            if self._ready:
                strand, token, outcome = self._ready.popleft()
                if strand.alive and strand.token == token:
                    self._advance(strand, outcome)
                continue
            strand = self._posted.popleft()
            if strand.alive and isinstance(strand.waiting, Receive):
                found, message = self._take(strand, strand.waiting)
                if found:
                    self._advance(strand, message)

    def _resume(self, strand: Strand, token: int, outcome: Any) -> None:
        """Something a strand waits for has come; it is advanced in the next `run`."""
        self._ready.append((strand, token, outcome))

    def _advance(self, strand: Strand, outcome: Any) -> None:
        """Run an activity until it has to wait."""
        self._state.cancel_timer(strand.timer)
        strand.timer = None
        while True:
            strand.token += 1
            strand.waiting = None
            try:
                step = strand.activity.send(outcome)
            except StopIteration:
                strand.alive = False
                return
            blocked, outcome = self._begin(strand, step)
            if blocked:
                return

    def _begin(self, strand: Strand, step: Step) -> tuple[bool, Any]:
        """Start a step; gives (must wait, outcome)."""
        token = strand.token
        match step:
            case Receive(timeout=timeout):
                found, message = self._take(strand, step)
                if found:
                    return False, message
                if timeout is not None and timeout <= 0:
                    return False, None
                if timeout is not None:
                    strand.timer = self._state.after(timeout, lambda: self._resume(strand, token, None))
            case CallNodes(nodes, request):
                strand.pending, strand.replies = set(nodes), {}
                for node in dict.fromkeys(nodes):
                    self._ask(strand, token, node, request)
                if not strand.pending:
                    return False, strand.replies
            case Sleep(seconds):
                strand.timer = self._state.after(seconds, lambda: self._resume(strand, token, None))
            case Await(start):
                start(lambda ok, value: self._resume(strand, token, (ok, value)))
        strand.waiting = step
        return True, None

    def _ask(self, strand: Strand, token: int, node: Atom, request: Term) -> None:
        if node is self._state.node:
            strand.pending.discard(node)
            strand.replies[node] = self._serve(request)
        elif not self._state.connected(node) and node not in self._state.known:
            strand.pending.discard(node)
        else:
            self._state.call(node, request, lambda ok, value: self._answered(strand, token, node, ok, value))

    def _answered(self, strand: Strand, token: int, node: Atom, ok: bool, value: Term) -> None:
        if strand.token != token:
            return
        strand.pending.discard(node)
        if ok:
            strand.replies[node] = value
        if not strand.pending:
            self._resume(strand, token, strand.replies)

    def _take(self, strand: Strand, step: Receive) -> tuple[bool, Any]:
        """The first message that the step wants."""
        for place, message in enumerate(strand.mailbox):
            if step.wanted is None or step.wanted(message):
                del strand.mailbox[place]
                return True, message
        return False, None


def call_nodes(nodes: Iterable[Atom], request: Term) -> Activity[dict[Atom, Term]]:
    """Ask several name servers at once; gives node -> reply of those that answered."""
    replies: dict[Atom, Term] = yield CallNodes(tuple(nodes), request)
    return replies
