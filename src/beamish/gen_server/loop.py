"""The life of a server's process: init, messages one by one, the end.

    starting → waiting ⇄ handling → terminating → dead            beside it: suspended (sys)

| what happens | terminate is called | exit reason | reported |
|---|---|---|---|
| a callback gives Stop(reason) | yes | reason | unless normal, shutdown, {shutdown, _} |
| a callback raises | yes | reason_of(error) | yes |
| a callback calls exit(reason) | yes | reason | unless normal, … |
| the parent ends, exits are trapped | yes | the parent's reason | unless normal, … |
| `sys:terminate`, GenServer.stop | yes | reason | unless normal, … |
| an exit signal, exits not trapped | no | the signal's | no |
| kill | no | killed | no |
| init fails | no | as it failed | only if the starter dies of it unheard |

The server itself is `_server.Server`; it handles what is common by itself and comes here with the rest. These coroutines run inside
the server's process, as part of it, and are complete: a server whose messages are traced is handled by them alone.

Source  OTP 25, stdlib: gen_server (loop/7, decode_msg/9, handle_msg/6, terminate/10).
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final, NoReturn

from beamish.errors import Exit
from beamish.gen_server import _server
from beamish.gen_server._server import Server
from beamish.gen_server.client import call as client_call
from beamish.gen_server.client import cast
from beamish.gen_server.crash import is_silent, report_crash
from beamish.gen_server.debug import IN, NOREPLY, OUT
from beamish.gen_server.methods import Method, methods_of
from beamish.gen_server.results import NO_REPLY, NOTHING, Continue, Ignore, NoReply, Reply, Stop, Timeout
from beamish.gen_server.start import Ack, prepared
from beamish.gen_server.system import System, is_system_message
from beamish.gen_server.target import settled
from beamish.gen_server.unhandled import BadReturnValue
from beamish.process import current_process
from beamish.process._preempt import mark_transparent
from beamish.process.exits import exit_within, reason_of, type_name
from beamish.process.gen import GEN_CALL, GEN_CAST
from beamish.term import Atom, atom, charlist
from beamish.term.convert import shown_value

TIMEOUT: Final = atom.timeout
ERROR: Final = atom.error
EXCEPTION: Final = atom.exception
BAD_RETURN: Final = atom.bad_return_value
CONTINUE: Final = atom("continue")


class Ending(Exception):
    """A callback asked for the end, or failed."""

    def __init__(self, reason: Any, error: BaseException | None = None, *, to: Any = None, answer: Any = NOTHING) -> None:
        super().__init__(reason)
        self.reason = reason
        self.error = error
        self.to = to
        self.answer = answer


async def awaited(value: Awaitable[Any]) -> Any:
    """An awaitable that is no coroutine, as one."""
    return await value


def called(handle: Any, request: Any, timeout: float | None) -> Awaitable[Any]:
    """A call through a handle of a registered name object, or from outside any process."""
    return client_call(handle, request, timeout)


# ---- init


async def prepare(server: Server) -> Any:
    """`init` of a server that needs more than a spawn: a name that is not local, a parent that is not its starter."""

    async def init() -> Any:
        result = server.instance.init(*server.args, **server.kwargs)
        return await result if hasattr(result, "__await__") else result

    return await prepared(server.ack, init)


async def begun(server: Server, ack: Ack, result: Any) -> None:
    """`init` gave something else than None."""
    if ack.via is not None and not isinstance(result, Continue | Timeout | NoReply):
        await settled(ack.via.unregister())
    match result:
        case Continue(argument=argument):
            ack(None)
            await ended_by(server, go_on(server, argument))
        case Timeout(seconds=seconds):
            server.wait = seconds
            ack(None)
        case NoReply(timeout=timeout, then=argument):
            server.wait = timeout
            ack(None)
            if argument is not NOTHING:
                await ended_by(server, go_on(server, argument))
        case Ignore():
            ack.ignore()
        case Stop(reason=reason):
            ack.fail(reason)
        case _:
            ack.fail((BAD_RETURN, result), BadReturnValue(
                f"{server.cls.__qualname__}.init gave {shown_value(result)}: it gives None, Continue, Timeout, Stop or IGNORE; "
                "state is kept in attributes"))  # fmt: skip


def init_failed(server: Server, error: BaseException) -> NoReturn:
    """`init` raised: the starter hears why, and the process ends with that reason."""
    if told_to_exit() or isinstance(error, KeyboardInterrupt | SystemExit):
        raise error
    exiting = exit_within(error)
    reason = exiting.reason if exiting is not None else reason_of(error)
    ack = server.ack
    ack.failed(reason, None if isinstance(error, Exit) else error)
    if exiting is None and not ack.heard():
        report_crash(server, reason, error, "init")
    raise Exit(reason) from error


# ---- messages


async def ended_by(server: Server, work: Awaitable[None]) -> None:
    """Do some work; if it ends the server, end it."""
    try:
        await work
    except Ending as ending:
        end = ending
    else:
        return
    # Outside the except block: what happens below is not "during handling of" the end.
    await terminate(server, end)


async def handled(server: Server, message: Any) -> None:
    """One message, from beginning to end."""
    await ended_by(server, handle(server, message))


async def handle(server: Server, message: Any) -> None:
    """One message, of whatever kind."""
    if type(message) is tuple:
        tag = message[0] if message else None
        if tag is GEN_CALL and len(message) == 3 and type(message[1]) is tuple and len(message[1]) == 2:
            await call(server, message)
            return
        if tag is GEN_CAST and len(message) == 2:
            await callback(server, message, cast_taker(server, message[1]), message[1])
            return
        if is_system_message(message):
            await system_message(server, message)
            return
        if server.parent is not None and tag is atom.EXIT and len(message) == 3 and message[1] == server.parent:
            server.last = message
            raise Ending(message[2])
    await callback(server, message, server.instance.handle_info, message)


async def system_message(server: Server, message: Any) -> None:
    """`sys` asks; while it has the server suspended, nothing but `sys` and the parent's exit is taken."""
    system = system_of(server)
    while True:
        ended = await system.handle(message[1], message[2])
        server.watched = system.debug is not None
        if ended is not None:
            raise Ending(ended.reason)
        if not system.suspended:
            return  # a timeout that was asked for starts anew, as in OTP
        message = await system.next_suspended()
        if not is_system_message(message):
            server.last = message
            raise Ending(message[2])


def method_for(server: Server, request: Any, is_call: bool) -> Method | None:
    """The typed method that takes this request, or None."""
    tag, count = request, 0
    if type(request) is tuple and request:
        tag, count = request[0], len(request) - 1
    if type(tag) is not Atom:
        return None
    method = methods_of(type(server.instance)).get(tag)
    return method if method is not None and method.is_call is is_call and method.fits(count) else None


def cast_taker(server: Server, request: Any) -> Callable[[Any], Any]:
    """What takes this cast."""
    method = method_for(server, request, False)
    if method is None:
        return server.instance.handle_cast  # type: ignore[no-any-return]
    return lambda given: method.invoke(server.instance, given[1:] if type(given) is tuple else ())


async def call(server: Server, message: Any) -> None:
    """One call: to its method or to handle_call, then the reply."""
    _, from_, request = message
    server.last = message
    server.wait = None
    noted(server, (IN, message))
    method = method_for(server, request, True)
    try:
        if method is None:
            result = server.instance.handle_call(request, from_)
        else:
            result = method.invoke(server.instance, request[1:] if type(request) is tuple else ())
        if hasattr(result, "__await__"):
            result = await result
    except BaseException as error:
        result = declared(method, error) if method is not None and not told_to_exit() else None
        if result is None:
            raise_ending(error)
    await act(server, from_, result)


def declared(method: Method, error: BaseException) -> Any:
    """The answer that stands for an exception the method declared; None for any other."""
    kind = method.declared(error) if method.raises else None
    if kind is None:
        return None
    said = error.args[0] if len(error.args) == 1 and isinstance(error.args[0], str) else str(error)
    return (ERROR, (EXCEPTION, atom(type_name(kind)), said))


async def acted(server: Server, from_: Any, result: Any) -> None:
    """What a call's method gave, if it is no plain value."""
    await ended_by(server, act(server, from_, result))


async def act(server: Server, from_: Any, result: Any) -> None:
    """Answer, or not, and go on as the result says."""
    match result:
        case Reply(value=value, timeout=timeout, then=then):
            answer(server, from_, value)
            server.wait = timeout
            if then is not NOTHING:
                await go_on(server, then)
        case Stop(reason=reason, reply=value):
            raise Ending(reason, to=from_, answer=value)
        case NoReply() | Continue() | Timeout():
            await rest(server, result)
        case _:
            answer(server, from_, result)


async def callback(server: Server, last: Any, function: Callable[[Any], Any], argument: Any) -> None:
    """A callback that answers nobody."""
    server.last = last
    server.wait = None
    noted(server, (IN, last) if type(last) is not tuple or not last or last[0] is not CONTINUE else last)
    try:
        result = function(argument)
        if result is not None and hasattr(result, "__await__"):
            result = await result
    except BaseException as error:
        raise_ending(error)
    await rest(server, result)


async def go_on(server: Server, argument: Any) -> None:
    """handle_continue, before any other message."""
    await callback(server, (CONTINUE, argument), server.instance.handle_continue, argument)


async def rested(server: Server, result: Any) -> None:
    """What a callback wants next, if it wants something."""
    await ended_by(server, rest(server, result))


async def rest(server: Server, result: Any) -> None:
    """Go on as the result of a callback says."""
    noted(server, (NOREPLY, NOTHING))
    if result is None or result is NO_REPLY:
        return
    match result:
        case NoReply(timeout=timeout, then=then):
            server.wait = timeout
            if then is not NOTHING:
                await go_on(server, then)
        case Continue(argument=argument):
            await go_on(server, argument)
        case Timeout(seconds=seconds):
            server.wait = seconds
        case Stop(reason=reason, reply=value):
            if value is not NOTHING:
                raise Ending((BAD_RETURN, atom.stop), BadReturnValue(f"{result!r} after a message that nobody waits for"))
            raise Ending(reason)
        case _:
            raise Ending((BAD_RETURN, result), BadReturnValue(
                f"{type(server.instance).__qualname__} gave {shown_value(result)} for {shown_value(server.last)}: what answers "
                "nobody gives None, NoReply, Continue, Timeout or Stop"))  # fmt: skip


def answer(server: Server, to: Any, value: Any) -> None:
    """Send a reply."""
    server.answer(to, value)
    noted(server, (OUT, value, to, NOTHING))


def noted(server: Server, event: tuple[Any, ...]) -> None:
    """An event for `sys`'s debug options."""
    system: System | None = server.system_
    if system is not None and system.debug is not None:
        state = server.instance.get_state()
        system.debug.happened(system.name, tuple(state if each is NOTHING else each for each in event), state)


# ---- the end


def told_to_exit() -> bool:
    """Whether an exit signal, and not the callback's own exit, is what unwinds the process."""
    process = current_process()
    return process is None or process.status in ("exiting", "dead")


def raise_ending(error: BaseException) -> NoReturn:
    """A callback raised: an exit signal and the interpreter's own endings go on, the rest ends the server in order."""
    if isinstance(error, KeyboardInterrupt | SystemExit) or told_to_exit():
        raise error
    exiting = exit_within(error)
    if exiting is not None:
        raise Ending(exiting.reason) from error
    raise Ending(reason_of(error), error) from error


async def failed(server: Server, error: BaseException) -> None:
    """A callback raised."""
    try:
        raise_ending(error)
    except Ending as ending:
        end = ending
    await terminate(server, end)


async def terminate(server: Server, end: Ending) -> NoReturn:
    """Call `terminate`, report what is no ordinary end, answer who still waits, exit."""
    reason, error = end.reason, end.error
    try:
        result = server.instance.terminate(reason)
        if result is not None and hasattr(result, "__await__"):
            await result
    except BaseException as failure:
        if isinstance(failure, KeyboardInterrupt | SystemExit) or told_to_exit():
            raise
        exiting = exit_within(failure)
        reason, error = (reason_of(failure), failure) if exiting is None else (exiting.reason, None)
    if server.system_ is not None and server.system_.debug is not None:
        server.system_.debug.close_file()
    if not is_silent(reason):
        report_crash(server, reason, error, "terminate" if error is not end.error else "")
    if end.answer is not NOTHING:
        answer(server, end.to, end.answer)
    raise Exit(reason)


# ---- what `sys` asks


class Seen:
    """A server as `sys` sees it (`system.Behaviour`)."""

    __slots__ = ("server",)

    def __init__(self, server: Server) -> None:
        self.server = server

    @property
    def instance(self) -> Any:
        """The server's own object."""
        return self.server.instance

    def system_state(self) -> Any:
        """The state, for people and tools."""
        return self.instance.get_state()

    def system_replace_state(self, change: Any) -> Any:
        """Put `change(state)` in the place of the state."""
        self.instance.set_state(change(self.system_state()))
        return self.system_state()

    def system_status(self, kind: str) -> list[Any]:
        """The state as `sys:get_status` shows it."""
        return [(atom.data, [(charlist("State"), self.instance.format_status())])]

    async def system_code_change(self, module: Any, old_version: Any, extra: Any) -> None:
        """New code."""
        self.server.renew()
        result = self.instance.code_change(old_version, extra)
        if hasattr(result, "__await__"):
            await result


def system_of(server: Server) -> System:
    """The part that `sys` talks to, made when it is first needed."""
    if server.system_ is None:
        server.system_ = System(Seen(server), server.parent or server.pid, server.name)
    made: System = server.system_
    return made


def serve(cls: type, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Server:
    """The body of a server's process: ``await enter(serve, cls, args, kwargs, link=…)``."""
    return Server(cls, args, kwargs)


serve.makes_body = True  # type: ignore[attr-defined]

_server.use(sys.modules[__name__])
for _each in (
    awaited, prepare, begun, ended_by, handled, handle, call, acted, act, callback, go_on, rested, rest, failed, terminate,
):  # fmt: skip
    mark_transparent(_each)  # they call the application: a handler that computes for long may be interrupted under them
mark_transparent(Method.invoke)

__all__ = ["Ending", "Server", "cast", "methods_of", "serve"]
