"""System messages: ``{system, From, Request}``, as `sys` and supervisors' release handling send them.

`System` answers them for any behaviour that implements `Behaviour`; its loop calls `handle` for each message that
`is_system_message`, and while `suspended` takes nothing else but the parent's exit (`await next_suspended()`).

Source  OTP 25, stdlib: sys (handle_system_msg/6, do_cmd/6, get_status/5), gen_server (format_status/2).
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from beamish.errors import EncodeError
from beamish.etf import encode
from beamish.gen_server.debug import Debug
from beamish.process import current_process, receive
from beamish.process.exits import reason_of
from beamish.process.gen import reply
from beamish.term import Atom, ExportFun, Pid, TermMap, atom, charlist
from beamish.term.convert import shown_value

SYSTEM: Final = atom.system
EXIT: Final = atom.EXIT
ERROR: Final = atom.error


class Behaviour(Protocol):
    """What a behaviour tells about itself."""

    def system_state(self) -> Any:
        """The state, for `sys:get_state`."""

    def system_replace_state(self, change: Any) -> Any:
        """Put `change(state)` in its place and give the new state."""

    def system_status(self, kind: str) -> list[Any]:
        """The last items of `sys:get_status`: ``[{data, [{'State', State}]}]``."""

    async def system_code_change(self, module: Any, old_version: Any, extra: Any) -> None:
        """The code has changed while the process was suspended."""


class Terminate:
    """What `handle` gives when the process shall end with `reason`."""

    __slots__ = ("reason",)

    def __init__(self, reason: Any) -> None:
        self.reason = reason


def is_system_message(message: Any) -> bool:
    """Whether this is ``{system, {Pid, Tag}, Request}``."""
    return (
        type(message) is tuple and len(message) == 3 and message[0] is SYSTEM
        and type(message[1]) is tuple and len(message[1]) == 2 and type(message[1][0]) is Pid
    )  # fmt: skip


def term_or_text(value: Any, depth: int = 4) -> Any:
    """A value as a term: what is none becomes its repr, so that looking at a server cannot crash it."""
    try:
        encode(value)
    except EncodeError:
        pass
    except RecursionError:
        return shown_value(value)
    else:
        return value
    if depth > 0:
        if isinstance(value, dict | TermMap):
            return {term_or_text(key, 0): term_or_text(item, depth - 1) for key, item in value.items()}
        if isinstance(value, list | set | frozenset):
            return [term_or_text(item, depth - 1) for item in value]
        if isinstance(value, tuple):
            return tuple(term_or_text(item, depth - 1) for item in value)
    return shown_value(value)


def _exported(function: ExportFun) -> Any:
    """The function of this node that ``fun Module:Function/1`` names. Raises what the exports policy raises."""
    here = current_process()
    exports = getattr(here.home, "services", {}).get("exports") if here is not None else None
    if exports is None:
        raise LookupError(f"{function} is not known here: this node answers no calls by name")
    return exports.resolve(function.module, function.function, function.arity)


class System:
    """The part of a behaviour's process that `sys` talks to.

    parent: who started it with a link, or the process itself. name: how status and traces call it. kind: as in the header
    "Status for <kind> <name>". module: what `sys` is told the behaviour's module is.
    """

    __slots__ = ("behaviour", "debug", "kind", "module", "name", "parent", "suspended")

    def __init__(
        self, behaviour: Behaviour, parent: Pid, name: Any, *, kind: str = "generic server", module: Atom = atom.gen_server,
    ) -> None:  # fmt: skip
        self.behaviour = behaviour
        self.parent = parent
        self.name = name
        self.kind = kind
        self.module = module
        self.debug: Debug | None = None
        self.suspended = False

    async def handle(self, from_: tuple[Pid, Any], request: Any) -> Terminate | None:
        """Carry out one request and answer it. A `Terminate` is answered already."""
        answer, end = await self._carry_out(from_[0], request)
        reply(from_, answer)
        return end

    async def _carry_out(self, who: Pid, request: Any) -> tuple[Any, Terminate | None]:
        match request:
            case atom.get_state:
                return self._state(who), None
            case (atom.replace_state, change):
                return self._replaced(who, change), None
            case atom.get_status:
                return self._status(who), None
            case atom.suspend:
                self.suspended = True
                return atom.ok, None
            case atom.resume:
                self.suspended = False
                return atom.ok, None
            case (atom.terminate, reason):
                return atom.ok, Terminate(reason)
            case (atom.change_code, module, old_version, extra) if self.suspended:
                return await self._code_change(module, old_version, extra), None
            case (atom.debug, what):
                debug = self.debug or Debug()
                answer = debug.command(what, self.name)
                self.debug = None if debug.idle else debug
                return answer, None
        return (ERROR, (atom.unknown_system_msg, request)), None

    def _visible(self, who: Pid, value: Any) -> Any:
        """A value for whoever asks: any object at home, a term abroad."""
        here = current_process()
        return value if here is not None and who.node is here.home.node else term_or_text(value)

    def _failed(self, function: str, error: Exception) -> Any:
        reason = getattr(error, "reason", None)  # errors that stand for a reason of Erlang's
        if reason is None:
            reason = reason_of(error)[0]
        return (ERROR, (atom.callback_failed, (self.module, atom(function)), (ERROR, reason)))

    def _state(self, who: Pid) -> Any:
        try:
            return self._visible(who, self.behaviour.system_state())
        except Exception as error:
            return self._failed("system_get_state", error)

    def _replaced(self, who: Pid, change: Any) -> Any:
        try:
            if isinstance(change, ExportFun):
                change = _exported(change)
            if not callable(change):
                raise TypeError(f"{shown_value(change)} is a function of another runtime and cannot run here")
            return self._visible(who, self.behaviour.system_replace_state(change))
        except Exception as error:
            return self._failed("system_replace_state", error)

    async def _code_change(self, module: Any, old_version: Any, extra: Any) -> Any:
        try:
            await self.behaviour.system_code_change(module, old_version, extra)
        except Exception as error:
            return (ERROR, (EXIT, reason_of(error)))
        return atom.ok

    def _status(self, who: Pid) -> Any:
        """``{status, Pid, {module, M}, [PDict, SysState, Parent, Debug, Misc]}``."""
        process = current_process()
        assert process is not None
        state = atom.suspended if self.suspended else atom.running
        logged = self.debug.logged() if self.debug is not None else []
        header = charlist(f"Status for {self.kind} {self.name}")
        misc = [
            (atom.header, header),
            (atom.data, [
                (charlist("Status"), state), (charlist("Parent"), self.parent), (charlist("Logged events"), logged)]),
            *self.behaviour.system_status("normal"),
        ]  # fmt: skip
        options = self.debug.term() if self.debug is not None else []
        found = [self.dictionary(), state, self.parent, options, misc]
        return (atom.status, process.pid, (atom.module, self.module), self._visible(who, found))

    def dictionary(self) -> list[tuple[Any, Any]]:
        """The process dictionary as Erlang shows it, with proc_lib's entries, which a process here has no need to keep."""
        process = current_process()
        assert process is not None
        rare = process.details["rare"]
        items = list((rare.dictionary or {}).items()) if rare is not None else []
        instance = getattr(self.behaviour, "instance", None)
        cls = type(self.behaviour if instance is None else instance)
        first = (atom(cls.__module__[:255]), atom(f"{cls.__qualname__}.init"[:255]), 1)
        ancestors = [process.parent] if process.parent is not None else []
        return [(atom("$initial_call"), first), (atom("$ancestors"), ancestors), *items]

    def is_parent_exit(self, message: Any) -> bool:
        """Whether this is the news that the parent has ended."""
        return type(message) is tuple and len(message) == 3 and message[0] is EXIT and message[1] == self.parent

    async def next_suspended(self) -> Any:
        """The next message that a suspended process may handle."""
        return await receive(lambda message: is_system_message(message) or self.is_parent_exit(message))


__all__ = ["SYSTEM", "Behaviour", "System", "Terminate", "is_system_message", "term_or_text"]
