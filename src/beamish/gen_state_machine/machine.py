"""The process of a state machine: mailbox, timers, callbacks and `sys` around the rules of `core`.

    starting -> handling <-> waiting -> terminating -> dead         beside it, suspended (sys)

How it ends is as for a GenServer; see `gen_server.loop`.

Source  OTP 25, stdlib: gen_statem (loop_receive, loop_event, terminate/7, format_status/2).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from beamish.errors import Exit
from beamish.gen_server.crash import is_silent
from beamish.gen_server.debug import IN, NOREPLY, OUT
from beamish.gen_server.results import NOTHING, Ignore, NoReply, Reply, Stop
from beamish.gen_server.start import Ack
from beamish.gen_server.system import System, is_system_message, term_or_text
from beamish.gen_state_machine.actions import CALL, CAST, INFO, KEEP, Keep, Next, Repeat, ReplyTo, StopAndReply, Transition
from beamish.gen_state_machine.core import Answer, BadTransition, CancelTimer, Core, Effect, Event, StartTimer
from beamish.gen_state_machine.crash import report_crash, shown_event
from beamish.gen_state_machine.handlers import EventMethod, Table
from beamish.gen_state_machine.terms import event_term, like_state, state_term
from beamish.process import ControlBlock, cancel_timer, current_process, receive, send_after
from beamish.process.exits import exit_within, reason_of, type_name
from beamish.process.gen import GEN_CALL, GEN_CAST, reply
from beamish.term import Pid, Ref, atom, charlist

SPECIAL: Final = frozenset({Next, Keep, Repeat, Stop, StopAndReply, NoReply, Reply})
"""What a callback gives to say more than a reply."""

TIMER: Final = atom("$state_machine_timer")
FUEL: Final = 1000
"""Events of its own that a machine handles in a row before others have their turn."""


class Ending(Exception):
    """A callback asked for the end, or failed; leaves the loop."""

    def __init__(self, reason: Any, error: BaseException | None = None, replies: tuple[ReplyTo, ...] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.error = error
        self.replies = replies


class Machine:
    """The running side of one GenStateMachine."""

    __slots__ = (
        "_system", "caller", "core", "fuel", "instance", "last", "parent", "pid", "process", "table", "timer_kinds", "timer_refs",
    )  # fmt: skip

    def __init__(self, instance: Any, table: Table, parent: Pid | None) -> None:
        process = current_process()
        assert process is not None
        self.process: ControlBlock = process
        self.pid = process.pid
        self.parent = parent
        self.instance = instance
        self.table = table
        self.core = Core(None)
        self.caller: Any = None
        self.last: Any = NOTHING
        self.fuel = FUEL
        self.timer_refs: dict[int, Ref] = {}
        self.timer_kinds: dict[int, Any] = {}
        self._system: System | None = None

    @property
    def name(self) -> Any:
        """How logs and traces call it: its registered name, or its pid."""
        rare = self.process.details["rare"]
        return rare.names[0] if rare is not None and rare.names else self.pid

    @property
    def system(self) -> System:
        """The part that `sys` talks to, made when it is first needed."""
        if self._system is None:
            self._system = System(self, self.parent or self.pid, self.name, kind="state machine", module=atom.gen_statem)
        return self._system

    # ---- init

    async def begin(self, ack: Ack, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Run `init` and tell the starter; the first enter call comes after that, as in gen_statem."""
        instance = self.instance
        kind = type(instance).__qualname__
        try:
            result = instance.init(*args, **kwargs)
            if hasattr(result, "__await__"):
                result = await result
            result = instance.initial if result is None else result
            if isinstance(result, Ignore):
                ack.ignore()
            if isinstance(result, Stop):
                ack.fail(result.reason)
            if result is None or isinstance(result, Keep | StopAndReply):
                raise TypeError(
                    f"{kind}.init must give the first state, as a plain value or as Next(state, *actions)"
                    + ("; it gave nothing, and the class has no `initial`" if result is None else f", not {result!r}"))  # fmt: skip
            first = result if isinstance(result, Next) else Next(result)
            self.core = Core(first.state, enter_calls=self.table.enters or instance.state_enter)
            self.carry_out(self.core.begin(first.actions))
        except BaseException as error:
            self.init_failed(ack, error)
        ack(None)

    def init_failed(self, ack: Ack, error: BaseException) -> NoReturn:
        """The starter hears why, and the process ends with that reason."""
        if self.told_to_exit() or isinstance(error, KeyboardInterrupt | SystemExit):
            raise error
        exiting = exit_within(error)
        reason = exiting.reason if exiting is not None else reason_of(error)
        ack.failed(reason, None if isinstance(error, Exit) else error)
        if exiting is None and not ack.heard():
            report_crash(self, reason, error, "init")
        raise Exit(reason) from error

    # ---- the loop

    async def run(self) -> None:
        """Handle events until something ends the machine."""
        try:
            while True:
                asked = self.core.pending()
                if asked is None:
                    await self.once()
                else:
                    self.fuel -= 1
                    if self.fuel <= 0:
                        self.fuel = FUEL
                        await asyncio.sleep(0)
                    await self.handle(asked)
        except Ending as ending:
            end = ending
        await self.terminate(end)

    async def once(self) -> None:
        """Wait for one message; what is an event goes to the core."""
        system = self._system
        message = await (system.next_suspended() if system is not None and system.suspended else receive())
        self.fuel = FUEL
        if type(message) is tuple and message:
            tag = message[0]
            if tag is GEN_CALL and len(message) == 3 and type(message[1]) is tuple and len(message[1]) == 2:
                self.arrived((CALL, message[1]), message[2], message)
                return
            if tag is GEN_CAST and len(message) == 2:
                self.arrived(CAST, message[1], message)
                return
            if tag is TIMER and len(message) == 2:
                self.timer_fired(message[1])
                return
            if is_system_message(message):
                ended = await self.system.handle(message[1], message[2])
                if ended is not None:
                    raise Ending(ended.reason)
                return
            if self.parent is not None and tag is atom.EXIT and len(message) == 3 and message[1] == self.parent:
                raise Ending(message[2])
        self.arrived(INFO, message, message)

    def arrived(self, kind: Any, content: Any, message: Any) -> None:
        """An event from outside."""
        if self._system is not None:
            self.noted((IN, message))
        self.core.receive(kind, content)

    def timer_fired(self, number: Any) -> None:
        """The time of one of our timers has come, unless it was cancelled while the message was under way."""
        kind = self.timer_kinds.pop(number, None) if isinstance(number, int) else None
        if kind is not None:
            del self.timer_refs[number]
            self.core.fired(kind, number)

    async def handle(self, asked: Event) -> None:
        """One event or enter call: find who takes it, call it, do what it gives."""
        self.last = asked
        kind = asked.type
        from_ = kind[1] if type(kind) is tuple and kind[0] == CALL else None
        self.caller = from_
        method: EventMethod | None = None
        try:
            if from_ is not None or kind == CAST:
                method = self.table.request(CAST if from_ is None else CALL, asked.content, self.core.state)
            result = self.called(asked, method)
            if result is not None and hasattr(result, "__await__"):
                result = await result
        except BaseException as error:
            declared = method.declared(error) if method is not None and method.raises else None
            if declared is None or self.told_to_exit():
                self.failed(error)
            said = error.args[0] if len(error.args) == 1 and isinstance(error.args[0], str) else str(error)
            result = Keep(reply=(atom.error, (atom.exception, atom(type_name(declared)), said)))
        self.caller = None
        self.follow(result, from_, typed=method is not None and from_ is not None)

    def called(self, asked: Event, method: EventMethod | None) -> Any:
        """The callback's result, or its coroutine."""
        kind, content = asked
        instance, state = self.instance, self.core.state
        if method is not None:
            return method.invoke(instance, content[1:] if type(content) is tuple else ())
        if type(kind) is not tuple or kind[0] != CALL:
            handler = self.table.handler(kind, content, state)
            if handler is not None:
                return handler.invoke(instance, content)
        function = self.table.functions.get(state) if self.table.functions else None
        if function is not None:
            return function.function(instance, kind, content)
        if instance.callback_mode == "state_functions":
            return instance.function_of(state)(kind, content)
        return instance.handle_event(kind, content, state)

    def follow(self, result: Any, from_: Any, *, typed: bool) -> None:
        """Do what a callback gave. typed: a plain value is the reply to the caller."""
        if typed and type(result) not in SPECIAL:
            self.answer(from_, result)
            self.carry_out(self.core.answer(KEEP))
            if self._system is not None:
                self.noted((NOREPLY, NOTHING))
            return
        match result:
            case Transition():
                pass
            case Stop(reason=reason, reply=answer):
                raise Ending(reason, replies=() if answer is NOTHING else (ReplyTo(self.asker(from_, result), answer),))
            case StopAndReply(reason=reason, replies=replies):
                raise Ending(reason, replies=replies)
            case NoReply(timeout=None, then=then) if then is NOTHING:
                result = KEEP
            case Reply(value=value, timeout=None, then=then) if then is NOTHING:
                result = Keep(reply=value)
            case None:
                result = KEEP
        if isinstance(result, Transition) and result.reply is not NOTHING:
            self.answer(self.asker(from_, result), result.reply)
        try:
            effects = self.core.answer(result)
        except BadTransition as error:
            raise Ending(self.reason_of(error), error) from error
        self.carry_out(effects)
        if self._system is not None:
            self.noted((NOREPLY, NOTHING))

    def asker(self, from_: Any, result: Any) -> Any:
        """Who waits for a reply to the event."""
        if from_ is None:
            error = BadTransition(
                f"{result!r} answers the event {shown_event(self.last)}, for which nobody waits; use ReplyTo(from_, value)",
                "bad_reply_action_from_state_function", result)  # fmt: skip
            raise Ending(self.reason_of(error), error)
        return from_

    def carry_out(self, effects: Sequence[Effect]) -> None:
        """Replies and timers."""
        for effect in effects:
            if isinstance(effect, Answer):
                self.answer(effect.from_, effect.value)
            elif isinstance(effect, StartTimer):
                self.timer_kinds[effect.number] = effect.kind
                self.timer_refs[effect.number] = send_after(effect.seconds, self.pid, (TIMER, effect.number))
            elif isinstance(effect, CancelTimer):
                self.timer_kinds.pop(effect.number, None)
                ref = self.timer_refs.pop(effect.number, None)
                if ref is not None:
                    cancel_timer(ref)

    def answer(self, to: Any, value: Any) -> None:
        """Send a reply."""
        reply(to, value)
        if self._system is not None:
            self.noted((OUT, value, to, NOTHING))

    def noted(self, event: tuple[Any, ...]) -> None:
        """An event for `sys`'s debug options."""
        system = self.system
        if system.debug is not None:
            state = self.system_state()
            system.debug.happened(system.name, tuple(state if each is NOTHING else each for each in event), state)

    # ---- the end

    def told_to_exit(self) -> bool:
        """Whether an exit signal, and not the callback's own exit, is what unwinds the process."""
        return self.process.status in ("exiting", "dead")

    def reason_of(self, error: BaseException) -> Any:
        """The exit reason for an error; gen_statem's own for what a callback must not give."""
        if isinstance(error, BadTransition):
            return ((atom(error.reason), term_or_text(error.value)), [])
        return reason_of(error)

    def failed(self, error: BaseException) -> NoReturn:
        """A callback raised: an exit signal and the interpreter's own endings go on, the rest ends the machine in order."""
        if isinstance(error, KeyboardInterrupt | SystemExit) or self.told_to_exit():
            raise error
        exiting = exit_within(error)
        if exiting is not None:
            raise Ending(exiting.reason) from error
        raise Ending(reason_of(error), error) from error

    async def terminate(self, end: Ending) -> NoReturn:
        """Answer who is still to be answered, call `terminate`, report what is no ordinary end, exit."""
        reason, error = end.reason, end.error
        for each in end.replies:
            self.answer(each.from_, each.value)
        try:
            result = self.instance.terminate(reason)
            if result is not None and hasattr(result, "__await__"):
                await result
        except BaseException as failure:
            if isinstance(failure, KeyboardInterrupt | SystemExit) or self.told_to_exit():
                raise
            exiting = exit_within(failure)
            reason, error = (reason_of(failure), failure) if exiting is None else (exiting.reason, None)
        if self._system is not None and self._system.debug is not None:
            self._system.debug.close_file()
        if not is_silent(reason):
            report_crash(self, reason, error, "terminate" if error is not end.error else "")
        raise Exit(reason)

    # ---- what `sys` asks

    def system_state(self) -> Any:
        """``{State, Data}``."""
        return (state_term(self.core.state), self.instance.get_state())

    def system_replace_state(self, change: Any) -> Any:
        """Put `change((state, data))` in the place of both, without a transition."""
        changed = change(self.system_state())
        if not isinstance(changed, tuple) or len(changed) != 2:
            raise TypeError(f"the state of a state machine is (state, data), not {changed!r}")
        state, data = changed
        self.core.state = like_state(state, self.core.state)
        self.instance.set_state(data)
        return self.system_state()

    def system_status(self, kind: str) -> list[Any]:
        """Timers, postponed events and the state, as `sys:get_status` shows them."""
        core = self.core
        timers = [(event_term(each), timer.content) for each, timer in core.timers.items()]
        postponed = [(event_term(each.type), each.content) for each in reversed(core.postponed)]
        facts = [
            (charlist("Modules"), [atom(type_name(type(self.instance)))]),
            (charlist("Time-outs"), (len(timers), timers)),
            (charlist("Postponed"), postponed),
        ]
        return [(atom.data, facts), (atom.data, [(charlist("State"), (state_term(core.state), self.instance.format_status()))])]

    async def system_code_change(self, module: Any, old_version: Any, extra: Any) -> None:
        """New code."""
        self.table = table_of(type(self.instance))
        result = self.instance.code_change(old_version, self.core.state, extra)
        if hasattr(result, "__await__"):
            result = await result
        if result is not None:
            self.core.state = result


def table_of(cls: type) -> Table:
    """The handlers of a class, looked up once; again when what clients know of the class was forgotten (new code)."""
    table = cls.__dict__.get("_event_table")
    if not isinstance(table, Table) or cls.__dict__.get("_typed_methods") is not table.clients:
        table = Table(cls)
        cls._event_table = table  # type: ignore[attr-defined]
        cls._typed_methods = table.clients  # type: ignore[attr-defined]
    return table


async def serve(ack: Ack, cls: type, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """The body of a machine's process, for `start.enter`."""
    table = table_of(cls)
    try:
        instance: Any = cls()
    except Exception as error:
        ack.fail(reason_of(error), error)
    machine = Machine(instance, table, ack.parent)
    instance._machine = machine
    await machine.begin(ack, args, kwargs)
    await machine.run()


__all__ = ["Ending", "Machine", "serve", "table_of"]
