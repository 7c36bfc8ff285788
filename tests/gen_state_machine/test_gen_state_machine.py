"""GenStateMachine as a process, on the virtual clock."""

from __future__ import annotations

import enum
import logging
import re
from typing import Any

import pytest
from machines import Door, Entering, Scripted

from beamish.errors import CallTimeout, Exit, StartError, StartIgnored
from beamish.gen_server import NO_REPLY, GenServer, Reply, call, cast
from beamish.gen_server.methods import forget
from beamish.gen_state_machine import (
    IGNORE,
    EventTimeout,
    GenStateMachine,
    Keep,
    NamedTimeout,
    Next,
    NextEvent,
    Repeat,
    ReplyTo,
    StateTimeout,
    Stop,
    StopAndReply,
    on,
    state,
)
from beamish.node.runtime import current_runtime
from beamish.process import Process, monitor, receive, self, send, spawn, trap_exit
from beamish.process.gen import CallFailed
from beamish.process.gen import call as gen_call
from beamish.supervisor import Supervisor
from beamish.term import atom
from beamish.testing import assert_receive, refute_receive
from loops import now, virtual


def keep(*_: Any) -> None:
    """Nothing changes."""


@virtual
async def test_the_door() -> None:
    door = await Door.start_link("1234", name="door")
    for digit in "1234":
        door.press(digit)
    assert await door.is_open() is True
    assert await GenStateMachine.call("door", atom.is_open) is True
    door.press("1")
    door.press("2")  # postponed until it is locked again
    await Process.sleep(9.9)
    assert await door.is_open()
    await Process.sleep(0.2)
    assert not await door.is_open()
    door.press("3")
    door.press("4")
    assert await door.is_open()
    await Process.sleep(10.1)
    door.press("1")
    await Process.sleep(5.1)  # forgotten
    for digit in "234":
        door.press(digit)
    assert not await door.is_open()


@virtual
async def test_every_kind_of_event_comes_to_handle_event() -> None:
    seen: list[Any] = []

    def answers(machine: Any, kind: Any, content: Any, state: Any) -> Any:
        match kind, content:
            case ("call", from_), _:
                return Keep(ReplyTo(from_, ("answer", content)), NextEvent("internal", 1))
            case "internal", _:
                return Keep(StateTimeout(1.0, 2), NamedTimeout("n", 2.0, 3))
            case ("timeout", "n"), _:
                return Keep(EventTimeout(1.0, 4))
        return None

    machine = await Scripted.start_link(answers, remember=seen)
    assert await GenStateMachine.call(machine, "question") == ("answer", "question")
    GenStateMachine.cast(machine, "cast")
    send(machine.pid, "info")
    await Process.sleep(10.0)
    assert seen == [
        ("call", "question", "a"), ("internal", 1, "a"), ("cast", "cast", "a"), ("info", "info", "a"),
        ("state_timeout", 2, "a"), (("timeout", "n"), 3, "a"), ("timeout", 4, "a"),
    ]  # fmt: skip


@virtual
async def test_enter_calls_of_handle_event() -> None:
    seen: list[Any] = []

    def answers(machine: Any, kind: Any, content: Any, state: Any) -> Any:
        return Next(content) if kind == "cast" else Repeat() if kind == "info" else None

    machine = await Entering.start_link(answers, remember=seen)
    GenStateMachine.cast(machine, "b")
    send(machine.pid, 1)
    GenStateMachine.cast(machine, "b")
    await Process.sleep(0.1)
    assert seen == [
        ("enter", "a", "a"), ("cast", "b", "a"), ("enter", "a", "b"), ("info", 1, "b"), ("enter", "b", "b"), ("cast", "b", "b"),
    ]  # fmt: skip


class Light(GenStateMachine):
    """State functions by decorator, beside special handlers."""

    def init(self) -> Any:
        self.seen: list[Any] = []
        return Next("red", NextEvent("internal", ("warm", 3, 4)))

    @state("red", "amber")
    def stopping(self, kind: Any, content: Any) -> Any:
        self.seen.append(("stopping", kind, content, self.state))
        return Next("green") if content is atom.go else None

    @state("green")
    async def going(self, kind: Any, content: Any) -> Any:
        self.seen.append(("going", kind, content))
        if isinstance(kind, tuple):
            return Next("amber", ReplyTo(kind[1], atom.ok))
        return None

    @on.internal()
    def warm(self, one: int, two: int) -> None:
        raise AssertionError("the named one comes first")

    @on.internal("warm")
    def warmed(self, one: int, two: int) -> None:
        self.seen.append(("warm", one, two))

    @on.info((atom.DOWN, ..., ..., ..., ...))
    def lost(self, message: Any) -> None:
        self.seen.append("lost")

    @on.info((atom.tick, int), state={"red"})
    def tick(self, message: Any) -> Keep:
        self.seen.append(message)
        return Keep(NamedTimeout("blink", 1.0))

    @on.timeout("blink")
    def blink(self) -> Keep:
        self.seen.append("blink")
        return Keep(EventTimeout(1.0, "quiet"))

    @on.event_timeout()
    def quiet(self, content: Any) -> None:
        self.seen.append(content)

    @on.call
    def all(self) -> list[Any]:
        return self.seen


@virtual
async def test_decorated_methods_and_state_functions() -> None:
    light = await Light.start_link()
    send(light.pid, (atom.tick, 1))
    send(light.pid, (atom.tick, "one"))
    await Process.sleep(5.0)
    GenStateMachine.cast(light, atom.go)
    send(light.pid, (atom.tick, 2))
    assert await GenStateMachine.call(light, "stop") is atom.ok
    send(light.pid, (atom.DOWN, 1, 2, 3, 4))
    stopped = (await light.all())[7]
    assert stopped[:2] == ("going", ("call", stopped[1][1]))
    assert await light.all() == [
        ("warm", 3, 4), (atom.tick, 1), ("stopping", "info", (atom.tick, "one"), "red"), "blink", "quiet",
        ("stopping", "cast", atom.go, "red"), ("going", "info", (atom.tick, 2)), stopped, "lost",
    ]  # fmt: skip


@virtual
async def test_methods_named_as_the_states() -> None:
    class Colour(enum.Enum):
        RED = "red"
        GREEN = "green"

    class Lamp(GenStateMachine):
        callback_mode = "state_functions"
        initial = Colour.RED

        def red(self, kind: Any, content: Any) -> Any:
            return Next(Colour.GREEN, ReplyTo(kind[1], "was red"))

        def green(self, kind: Any, content: Any) -> Any:
            return Next(atom.blue, reply="was green")

    lamp = await Lamp.start(name="lamp")
    assert await GenStateMachine.call(lamp, atom.next) == "was red"
    assert await gen_call("lamp", atom.get_state, label=atom.system) == (atom.green, {})
    assert await GenStateMachine.call("lamp", atom.next) == "was green"
    with pytest.raises(CallFailed, match=r"Lamp has no method blue\(kind, content\)"):
        await GenStateMachine.call(lamp, atom.next)


# ---- replies


class Clerk(GenStateMachine):
    """Answers in every way there is."""

    initial = "idle"

    def init(self) -> None:
        self.waiting: Any = None

    @on.call
    def plain(self, number: int = 1) -> int:
        return number

    @on.call
    def nothing(self) -> None:
        pass

    @on.call
    def go(self, where: str) -> Next[str]:
        return Next(where, reply=f"from {self.state}")

    @on.call
    async def wrapped(self) -> Reply[str]:
        return Reply("wrapped")

    @on.call(timeout=1.0)
    def later(self) -> Keep[str]:
        self.waiting = self.caller
        return Keep()

    @on.call(timeout=1.0)
    def never(self) -> Any:
        return NO_REPLY

    @on.cast
    def now(self, answer: str) -> Keep:
        return Keep(ReplyTo(self.waiting, answer))

    @on.call(raises=(LookupError,))
    def find(self, what: str) -> int:
        raise LookupError(what)

    @on.call("ask", state="idle")
    def ask_when_idle(self) -> str:
        return "idle"

    @on.call("ask")
    def ask_otherwise(self) -> str:
        return "busy"

    @on.call
    def stop_with(self, reason: Any) -> Stop:
        return Stop(reason, reply="bye")

    @on.call
    def stop_both(self) -> StopAndReply:
        return StopAndReply(atom.normal, ReplyTo(self.waiting, "you too"), ReplyTo(self.caller, "bye"))

    @call
    def of_gen_server(self) -> str:
        return f"in {self.state}"

    @cast
    def leave(self) -> Any:
        return Next("gone")


@virtual
async def test_replies() -> None:
    clerk = await Clerk.start_link()
    assert await clerk.plain() == 1
    assert await clerk.plain(number=5) == 5
    assert await GenStateMachine.call(clerk, (atom.plain, 6)) == 6
    assert await clerk.nothing() is None
    assert await clerk.wrapped() == "wrapped"
    assert await clerk.ask() == "idle"  # type: ignore[attr-defined]  # a handle has the request's name
    assert await clerk.go("busy") == "from idle"
    assert await GenStateMachine.call(clerk, atom.ask) == "busy"
    assert await clerk.of_gen_server() == "in busy"
    clerk.leave()
    assert await clerk.of_gen_server() == "in gone"
    with pytest.raises(LookupError, match="the key"):
        await clerk.find("the key")
    with pytest.raises(CallTimeout):
        await clerk.never()


@virtual
async def test_replies_that_come_later() -> None:
    clerk = await Clerk.start_link()
    starter = self()

    async def asks() -> None:
        send(starter, await clerk.later())

    spawn(asks)
    await refute_receive(timeout=0.5)
    clerk.now("here it is")
    await assert_receive()
    spawn(asks)
    await Process.sleep(0.1)
    assert await clerk.stop_both() == "bye"
    await assert_receive(timeout=0.1)


@virtual
async def test_stopping() -> None:
    ends: list[Any] = []

    class Ending(Clerk):
        def terminate(self, reason: Any) -> None:
            ends.append((self.state, reason))

    clerk = await Ending.start()
    ref = monitor(clerk.pid)
    assert await clerk.stop_with((atom.shutdown, "enough")) == "bye"
    assert (await receive((atom.DOWN, ref, ..., ..., ...)))[4] == (atom.shutdown, "enough")
    other = await Ending.start(name="other")
    await GenStateMachine.stop("other", atom.shutdown)
    assert not Process.alive(other.pid)
    assert ends == [("idle", (atom.shutdown, "enough")), ("idle", atom.shutdown)]


# ---- starting


class First(GenStateMachine):
    """Gives what it is told to as its first state."""

    def init(self, first: Any) -> Any:
        return first() if callable(first) else first


@virtual
async def test_ways_to_start() -> None:
    assert (await gen_call((await First.start(("counting", 3))).pid, atom.get_state, label=atom.system))[0] == ("counting", 3)
    with pytest.raises(StartIgnored):
        await First.start(IGNORE)
    with pytest.raises(StartError) as caught:
        await First.start(Stop((atom.no, "money")))
    assert caught.value.reason == (atom.no, "money")
    with pytest.raises(StartError, match="must give the first state.*it gave nothing, and the class has no `initial`"):
        await First.start(None)
    with pytest.raises(StartError, match=r"not Keep\(\)"):
        await First.start(Keep())

    def crashes() -> Any:
        raise LookupError("no code")

    with pytest.raises(StartError, match="no code") as failed:
        await First.start(crashes)
    assert isinstance(failed.value.__cause__, LookupError)


@virtual
async def test_names_and_child_specs() -> None:
    door = await Door.start_link("1", name="front")
    assert Process.whereis("front") == door.pid
    top = await Supervisor.start_link([(Door, "1"), Door.child_spec("2", id="back", name="back", restart="transient")])
    assert [str(child.id) for child in await top.which_children()] == ["back", "Door"]
    assert repr(Door.child_spec("2", name="back").start) == "Door.start_link('2', name='back')"
    Process.exit(Door.at("back").pid, atom.kill)
    await Process.sleep(0.1)
    assert await Door.at("back").is_open() is False


@virtual
async def test_the_first_enter_call_comes_after_the_start() -> None:
    trap_exit()

    class Failing(GenStateMachine):
        initial = "a"

        @on.enter("a")
        def entered(self) -> None:
            raise ValueError("not here")

    machine = await Failing.start_link()
    tag, pid, reason = await receive((atom.EXIT, ..., ...))
    assert pid == machine.pid
    assert "not here" in repr(reason)


# ---- timers


@virtual
async def test_timers_live_by_the_clock() -> None:
    seen: list[Any] = []

    def answers(machine: Any, kind: Any, content: Any, state: Any) -> Any:
        seen.append((round(now(), 2), kind, content))
        return Next("b", StateTimeout(2.0, "b")) if content == "go" else None

    machine = await Scripted.start_link(answers, "a", StateTimeout(3.0, "a"), NamedTimeout("n", 4.0, 1), EventTimeout(0.5, "e"))
    await Process.sleep(1.0)
    GenStateMachine.cast(machine, "go")
    await Process.sleep(10.0)
    assert seen == [
        (0.5, "timeout", "e"), (1.0, "cast", "go"), (3.0, "state_timeout", "b"), (4.0, ("timeout", "n"), 1),
    ]  # fmt: skip
    assert current_runtime().timers_by_ref == {}


@virtual
async def test_a_timer_that_fires_while_it_is_cancelled_is_nothing() -> None:
    seen: list[Any] = []

    def answers(machine: Any, kind: Any, content: Any, state: Any) -> Any:
        seen.append(kind)
        if kind == "cast":
            current_runtime().loop.advance(5.0)  # type: ignore[attr-defined]  # computes until after the timer's time
            return Keep(StateTimeout.cancel())
        return None

    machine = await Scripted.start_link(answers, "a", StateTimeout(1.0))
    GenStateMachine.cast(machine, 1)
    await Process.sleep(10.0)
    assert seen == ["cast"]


@virtual
async def test_a_forged_timer_message_is_nothing() -> None:
    seen: list[Any] = []
    machine = await Scripted.start_link(keep, "a", StateTimeout(100.0), remember=seen)
    for number in (99, "x", None):
        send(machine.pid, (atom("$state_machine_timer"), number))
    GenStateMachine.cast(machine, 1)
    await Process.sleep(1.0)
    assert seen == [("cast", 1, "a")]


@virtual
async def test_a_machine_that_talks_to_itself_lets_others_live() -> None:
    def answers(machine: Any, kind: Any, content: Any, state: Any) -> Any:
        return Stop(atom.normal) if content == "stop" else Keep(NextEvent("internal", content + 1))

    machine = await Scripted.start(answers, "a", NextEvent("internal", 0))
    await Process.sleep(0)
    Process.exit(machine.pid, atom.kill)
    assert not Process.alive(machine.pid)


# ---- what goes wrong


@pytest.mark.parametrize(
    ("given", "said", "reason"),
    [
        (7, "7 is no transition: give Next, Keep, Repeat, Stop or None", "bad_return_from_state_function"),
        (Keep(reply=1), "answers.*for which nobody waits", "bad_reply_action_from_state_function"),
        (Reply(1), "for which nobody waits", "bad_reply_action_from_state_function"),
    ],
)
def test_what_a_callback_must_not_give(given: Any, said: str, reason: str, caplog: pytest.LogCaptureFixture) -> None:
    @virtual
    async def test() -> None:
        machine = await Scripted.start(lambda *_: given)
        ref = monitor(machine.pid)
        GenStateMachine.cast(machine, "event")
        down = await receive((atom.DOWN, ref, ..., ..., ...))
        assert down[4][0][0] is atom(reason)

    test()
    (record,) = [record for record in caplog.records if record.name == "beamish.process"]
    assert re.search(said, record.getMessage(), re.DOTALL)
    assert "GenStateMachine Scripted: " in record.getMessage()
    assert "state: 'a'; last event: cast 'event'" in record.getMessage()


@virtual
async def test_a_crash_is_told_to_the_caller_with_all_that_helps(caplog: pytest.LogCaptureFixture) -> None:
    class Weak(Door):
        @on.call
        def kick(self) -> None:
            raise ValueError("it hurts")

    door = await Weak.start("1234", name="weak")
    with caplog.at_level(logging.ERROR), pytest.raises(CallFailed, match="it hurts"):
        await door.kick()
    said = caplog.text
    assert "weak" in said
    assert "last event: call atom.kick from" in said
    assert "'1234'" in said
    assert "ValueError: it hurts" in said


@virtual
async def test_events_that_nothing_takes() -> None:
    door = await Door.start("1")
    said = "Door .* in state 'locked' has nothing that takes the call atom.knock; its calls are is_open"
    with pytest.raises(CallFailed, match=said):
        await GenStateMachine.call(door, atom.knock)
    door = await Door.start("1")
    send(door.pid, "what?")  # dropped with a warning
    assert await door.is_open() is False
    ref = monitor(door.pid)
    GenStateMachine.cast(door, (atom.press, 1, 2, 3))
    assert "its casts are press" in repr((await receive((atom.DOWN, ref, ..., ..., ...)))[4])


@virtual
async def test_exit_signals() -> None:
    ends: list[Any] = []

    class Trapping(Door):
        def init(self, code: str) -> None:
            super().init(code)
            trap_exit()

        def terminate(self, reason: Any) -> None:
            ends.append(reason)

    async def parent() -> None:
        door = await Trapping.start_link("1")
        send(tester, door.pid)
        await receive()

    tester = self()
    starter = spawn(parent)
    pid = await receive()
    Process.exit(starter, atom.shutdown)
    await Process.sleep(0.1)
    assert not Process.alive(pid)
    assert ends == [atom.shutdown]


@virtual
async def test_exit_in_a_callback_ends_it_with_that_reason() -> None:
    def answers(*_: Any) -> Any:
        raise Exit((atom.shutdown, 1))

    machine = await Scripted.start(answers)
    ref = monitor(machine.pid)
    GenStateMachine.cast(machine, 1)
    assert (await receive((atom.DOWN, ref, ..., ..., ...)))[4] == (atom.shutdown, 1)


def test_two_methods_for_one_event_are_refused() -> None:
    with pytest.raises(TypeError, match="Twice: one and two take the same event in the same state"):

        class Twice(GenStateMachine):
            @on.call("x")
            def one(self) -> int:
                return 1

            @on.call("x")
            def two(self) -> int:
                return 2

    with pytest.raises(TypeError, match="take the same event"):

        class Again(GenStateMachine):
            @on.enter("a")
            def one(self) -> None: ...

            @on.enter(["b", "a"])
            def two(self) -> None: ...

    with pytest.raises(TypeError, match="are both for state 'a'"):

        class Both(GenStateMachine):
            @state("a")
            def one(self, kind: Any, content: Any) -> None: ...

            @state("a", "b")
            def two(self, kind: Any, content: Any) -> None: ...


def test_decorators_that_are_used_wrongly() -> None:
    with pytest.raises(TypeError, match="@state takes the states"):
        state()
    with pytest.raises(TypeError, match="needs parentheses"):
        on.enter(lambda self: None)
    with pytest.raises(TypeError, match="no state at all"):
        on.enter([])
    with pytest.raises(TypeError, match="callback_mode is handle_event_function or state_functions, not 'functions'"):

        class Odd(GenStateMachine):
            callback_mode = "functions"  # type: ignore[assignment]


# ---- sys


async def ask_system(machine: Any, request: Any) -> Any:
    """What `sys` sends."""
    return await gen_call(machine.pid, request, label=atom.system)


@virtual
async def test_state_and_status() -> None:
    door = await Door.start_link("12", name="door")
    door.press("1")
    assert await ask_system(door, atom.get_state) == (atom.locked, {atom.code: "12", atom.typed: "1"})
    status = await ask_system(door, atom.get_status)
    assert status[:3] == (atom.status, door.pid, (atom.module, atom.gen_statem))
    (header, _, (_, facts), (_, shown)) = status[3][4]
    assert header == (atom.header, "Status for state machine door")
    assert dict(facts)["Time-outs"] == (1, [(atom.state_timeout, None)])
    assert dict(facts)["Postponed"] == []
    assert shown == [("State", (atom.locked, {atom.code: "12", atom.typed: "1"}))]


@virtual
async def test_replacing_the_state() -> None:
    door = await Door.start_link("12")
    assert await ask_system(door, (atom.replace_state, lambda state: (atom.open, {**state[1], atom.code: "99"}))) == (
        atom.open, {atom.code: "99", atom.typed: ""},
    )  # fmt: skip
    assert await door.is_open()
    assert (await ask_system(door, (atom.replace_state, lambda state: 7)))[0] is atom.error
    assert await door.is_open()


@virtual
async def test_suspending() -> None:
    door = await Door.start_link("12")
    assert await ask_system(door, atom.suspend) is atom.ok
    door.press("1")
    with pytest.raises(CallTimeout):
        await Door.at(door, timeout=0.5).is_open()
    assert await ask_system(door, atom.get_state) == (atom.locked, {atom.code: "12", atom.typed: ""})
    assert await ask_system(door, atom.resume) is atom.ok
    assert not await door.is_open()
    assert (await ask_system(door, atom.get_state))[1][atom.typed] == "1"


@virtual
async def test_new_code() -> None:
    class Old(Door):
        def code_change(self, old_version: Any, state: Any, extra: Any) -> Any:
            self.code += extra
            return "open"

    door = await Old.start_link("12")
    await ask_system(door, atom.suspend)
    assert await ask_system(door, (atom.change_code, atom.old, "1.0", "3")) is atom.ok
    await ask_system(door, atom.resume)
    assert await ask_system(door, atom.get_state) == (atom.open, {atom.code: "123", atom.typed: ""})


@virtual
async def test_a_class_that_was_changed_in_place() -> None:
    class Changing(Door):
        @on.call
        def which(self) -> str:
            return "old"

    def which(self: Any) -> str:
        return "new"

    def more(self: Any) -> str:
        return "more"

    machine = await Changing.start_link("12")
    assert await machine.which() == "old"
    for name, made in (("which", on.call(which)), ("more", on.call(more))):
        made.__set_name__(Changing, name)
        setattr(Changing, name, made)
    forget(Changing)
    await ask_system(machine, atom.suspend)
    assert await ask_system(machine, (atom.change_code, atom.changing, "1.0", None)) is atom.ok
    await ask_system(machine, atom.resume)
    assert await Changing.at(machine).which() == "new"
    assert await Changing.at(machine).more() == "more"  # type: ignore[attr-defined]


@virtual
async def test_statistics_and_log() -> None:
    door = await Door.start_link("12")
    assert await ask_system(door, (atom.debug, (atom.log, True))) is atom.ok
    door.press("1")
    assert await door.is_open() is False
    tag, events = await ask_system(door, (atom.debug, (atom.log, atom.get)))
    assert tag is atom.ok
    assert [event[0] for event in events] == [atom("in"), atom.noreply, atom("in"), atom.out, atom.noreply]


def test_it_is_no_gen_server() -> None:
    assert not issubclass(GenStateMachine, GenServer)
