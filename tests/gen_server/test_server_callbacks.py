"""Every callback and every result a callback can give."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from beamish.errors import CallTimeout
from beamish.gen_server import (
    NO_REPLY,
    CallFailed,
    Continue,
    From,
    GenServer,
    NoReply,
    Reply,
    Stop,
    Timeout,
    call,
)
from beamish.process import receive, self, send, spawn, trap_exit
from beamish.process.gen import GEN_CALL
from beamish.term import Pid, atom
from beamish.testing import assert_receive, flush
from loops import now, on_every_loop, virtual


class Raw(GenServer):
    """Gives what it is asked to give."""

    def init(self, result: Any = None, tester: Pid | None = None) -> Any:
        self.tester = tester
        self.seen: list[Any] = []
        return result

    def note(self, *what: Any) -> None:
        if self.tester is not None:
            send(self.tester, what)
        self.seen.append(what)

    def handle_call(self, request: Any, from_: From) -> Any:
        match request:
            case atom.seen:
                return list(self.seen)
            case (atom.give, result):
                return result
            case (atom.keep, value):
                self.kept = (from_, value)
                return NO_REPLY
            case atom.who:
                return from_[0]
        return super().handle_call(request, from_)

    def handle_cast(self, request: Any) -> Any:
        match request:
            case (atom.give, result):
                return result
            case atom.release:
                GenServer.reply(*self.kept)
                return None
            case (atom.note, what):
                self.note(atom.cast, what)
                return None
        return super().handle_cast(request)

    def handle_info(self, message: Any) -> Any:
        match message:
            case (atom.give, result):
                return result
            case (atom.note, _) | atom.timeout:
                self.note(atom.info, message, now())
                return None
        return super().handle_info(message)

    def handle_continue(self, argument: Any) -> Any:
        if isinstance(argument, Stop | Continue):
            return argument
        self.note(atom("continue"), argument)
        return None

    def terminate(self, reason: Any) -> None:
        self.note(atom.terminate, reason)


class Async(GenServer):
    """The same with async callbacks that wait."""

    async def init(self, tester: Pid) -> Continue:
        await asyncio.sleep(1)
        self.tester = tester
        return Continue(1)

    async def handle_call(self, request: Any, from_: From) -> Any:
        await asyncio.sleep(1)
        return (atom.ok, request)

    async def handle_cast(self, request: Any) -> Timeout:
        await asyncio.sleep(1)
        send(self.tester, (atom.cast, request))
        return Timeout(3)

    async def handle_info(self, message: Any) -> None:
        await asyncio.sleep(1)
        send(self.tester, (atom.info, message, now()))

    async def handle_continue(self, argument: Any) -> None:
        send(self.tester, (atom("continue"), argument))

    async def terminate(self, reason: Any) -> None:
        await asyncio.sleep(1)
        send(self.tester, (atom.terminate, reason))


@on_every_loop
async def test_a_call_gets_what_handle_call_returns() -> None:
    server = await Raw.start_link()
    assert await GenServer.call(server, (atom.give, 5)) == 5
    assert await GenServer.call(server.pid, (atom.give, None)) is None
    assert await GenServer.call(server, (atom.give, Reply(6))) == 6
    assert await GenServer.call(server, atom.who) == self()


@virtual
async def test_async_callbacks_are_awaited() -> None:
    server = await Async.start_link(self())
    assert now() == pytest.approx(1)
    assert await receive() == (atom("continue"), 1)
    assert await GenServer.call(server, 2) == (atom.ok, 2)
    GenServer.cast(server, 3)
    assert await receive() == (atom.cast, 3)
    assert await receive() == (atom.info, atom.timeout, pytest.approx(now()))
    await GenServer.stop(server)
    assert await receive() == (atom.terminate, atom.normal)


@virtual
async def test_a_reply_can_be_put_off_and_come_from_elsewhere() -> None:
    server = await Raw.start_link()
    answers: list[Any] = []

    async def caller() -> None:
        answers.append(await GenServer.call(server, (atom.keep, "late")))

    spawn(caller)
    await asyncio.sleep(1)
    assert answers == []
    assert await GenServer.call(server, (atom.give, "not blocked")) == "not blocked"
    GenServer.cast(server, atom.release)
    await asyncio.sleep(0)
    assert answers == ["late"]


@virtual
async def test_another_process_may_answer() -> None:
    class Delegating(GenServer):
        def handle_call(self, request: Any, from_: From) -> Any:
            spawn(GenServer.reply, from_, (self.pid, request))
            return NO_REPLY

    server = await Delegating.start_link()
    assert await GenServer.call(server, 1) == (server.pid, 1)


@virtual
async def test_continue_runs_before_the_next_message() -> None:
    class Continuing(GenServer):
        def init(self) -> Continue:
            self.order: list[Any] = []
            GenServer.cast(self.pid, "early")
            return Continue("first")

        def handle_continue(self, argument: Any) -> Any:
            self.order.append(argument)
            return Continue("second") if argument == "first" else None

        def handle_cast(self, request: Any) -> Any:
            self.order.append(request)
            return NoReply(then="after cast")

        def handle_call(self, request: Any, from_: From) -> Any:
            self.order.append(request)
            return Reply(list(self.order), then="after reply")

    server = await Continuing.start_link()
    assert await GenServer.call(server, "one") == ["first", "second", "early", "after cast", "one"]
    assert (await GenServer.call(server, "two"))[-2:] == ["after reply", "two"]


@virtual
async def test_a_timeout_comes_as_a_message() -> None:
    server = await Raw.start_link(Timeout(2), self())
    assert await receive(timeout=3) == (atom.info, atom.timeout, pytest.approx(2))
    for give in (Timeout(2), NoReply(timeout=2)):
        start = now()
        GenServer.cast(server, (atom.give, give))
        assert await receive(timeout=3) == (atom.info, atom.timeout, pytest.approx(start + 2))
        start = now()
        send(server.pid, (atom.give, give))
        assert await receive(timeout=3) == (atom.info, atom.timeout, pytest.approx(start + 2))
    start = now()
    assert await GenServer.call(server, (atom.give, Reply(1, timeout=2))) == 1
    assert await receive(timeout=3) == (atom.info, atom.timeout, pytest.approx(start + 2))


@virtual
async def test_any_message_ends_a_timeout() -> None:
    server = await Raw.start_link(Timeout(2), self())
    await asyncio.sleep(1)
    send(server.pid, (atom.note, 1))
    await asyncio.sleep(10)
    assert [each[1] for each in await flush()] == [(atom.note, 1)]


@virtual
async def test_a_timeout_of_zero_lets_waiting_messages_go_first() -> None:
    server = await Raw.start_link(None, self())
    GenServer.cast(server, (atom.give, Timeout(0)))
    GenServer.cast(server, (atom.note, 1))
    await asyncio.sleep(1)
    assert [each[:2] for each in await flush()] == [(atom.cast, 1)]
    GenServer.cast(server, (atom.give, Timeout(0)))
    await asyncio.sleep(1)
    assert [each[:2] for each in await flush()] == [(atom.info, atom.timeout)]


@virtual
async def test_a_system_message_does_not_end_a_timeout() -> None:
    server = await Raw.start_link(Timeout(2), self())
    await asyncio.sleep(1)
    await GenServer.call(server, atom.get_state, label=atom.system)
    assert await receive(timeout=5) == (atom.info, atom.timeout, pytest.approx(3))


@virtual
async def test_stop_ends_after_terminate_and_then_replies() -> None:
    trap_exit()
    server = await Raw.start_link(None, self())
    assert await GenServer.call(server, (atom.give, Stop(atom.normal, reply="bye"))) == "bye"
    assert await flush() == [(atom.terminate, atom.normal), (atom.EXIT, server.pid, atom.normal)]


@virtual
async def test_stop_without_a_reply_fails_the_call() -> None:
    trap_exit()
    server = await Raw.start_link(None, self())
    with pytest.raises(CallFailed) as failure:
        await GenServer.call(server, (atom.give, Stop(atom.shutdown)))
    assert failure.value.reason is atom.shutdown


@virtual
async def test_casts_messages_and_continuations_can_stop() -> None:
    trap_exit()
    for how in ("cast", "info", "continue"):
        server = await Raw.start_link()
        stop = Stop((atom.shutdown, how))
        if how == "cast":
            GenServer.cast(server, (atom.give, stop))
        elif how == "info":
            send(server.pid, (atom.give, stop))
        else:
            GenServer.cast(server, (atom.give, Continue(stop)))
        await assert_receive((atom.EXIT, server.pid, (atom.shutdown, how)))


@virtual
async def test_an_unexpected_message_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    server = await Raw.start_link()
    with caplog.at_level(logging.WARNING):
        send(server.pid, atom.weird)
        assert await GenServer.call(server, (atom.give, 1)) == 1
    (record,) = caplog.records
    assert record.getMessage() == f"Raw {server.pid} received unexpected message in handle_info: atom.weird"
    assert record.levelno == logging.WARNING


@virtual
async def test_a_request_that_nobody_takes_ends_the_server(crashes: Any) -> None:
    trap_exit()
    server = await Raw.start_link(name="raw")
    with pytest.raises(CallFailed):
        await GenServer.call(server, atom.unknown)
    assert "attempted to call GenServer raw with atom.unknown" in crashes.texts[-1]
    assert "no @call method" in crashes.texts[-1]
    server = await Raw.start_link(name="raw")
    GenServer.cast(server, atom.unknown)
    await assert_receive((atom.EXIT, server.pid, ...))
    assert "attempted to cast GenServer raw with atom.unknown" in crashes.texts[-1]


@pytest.mark.parametrize("how", ["cast", "info", "continue"])
def test_a_result_that_means_nothing_ends_the_server(how: str, crashes: Any) -> None:
    @virtual
    async def body() -> None:
        class Wrong(GenServer):
            def handle_cast(self, request: Any) -> Any:
                return Continue(1) if how == "continue" else 5

            def handle_info(self, message: Any) -> Any:
                return 5

            def handle_continue(self, argument: Any) -> Any:
                return 5

        trap_exit()
        server = await Wrong.start_link()
        send(server.pid, atom.x) if how == "info" else GenServer.cast(server, 1)
        await assert_receive((atom.EXIT, server.pid, (atom.bad_return_value, 5)))
        assert "Wrong gave 5 for" in crashes.texts[0]

    body()


@virtual
async def test_state_attributes_are_what_get_state_shows() -> None:
    class Plain(GenServer):
        def init(self, count: int) -> None:
            self.count = count

    class Own(GenServer):
        def get_state(self) -> Any:
            return (atom.mine, 1)

    assert await GenServer.call(await Plain.start_link(5), atom.get_state, label=atom.system) == {atom.count: 5}
    assert await GenServer.call(await Own.start_link(), atom.get_state, label=atom.system) == (atom.mine, 1)


@virtual
async def test_a_handler_may_receive_selectively() -> None:
    class Nested(GenServer):
        def init(self) -> None:
            self.order: list[Any] = []

        async def handle_call(self, request: Any, from_: From) -> Any:
            self.order.append(await receive((atom.wanted, ...)))
            return self.order

        def handle_info(self, message: Any) -> None:
            self.order.append(message)

    server = await Nested.start_link()

    async def caller() -> None:
        send(tester, (atom.answer, await GenServer.call(server, 1)))

    tester = self()
    spawn(caller)
    await asyncio.sleep(1)
    for message in (1, 2, (atom.wanted, 0), 3):
        send(server.pid, message)
    await asyncio.sleep(1)
    assert await receive() == (atom.answer, [(atom.wanted, 0), 1, 2, 3])


@virtual
async def test_a_server_calls_others_while_its_messages_wait() -> None:
    class Front(GenServer):
        def init(self, back: Any) -> None:
            self.back = back
            self.order: list[Any] = []

        @call
        async def ask(self, value: int) -> Any:
            answer = await GenServer.call(self.back, (atom.give, value))
            self.order.append(answer)
            return list(self.order)

        def handle_cast(self, request: Any) -> None:
            self.order.append(request)

    front = await Front.start_link(await Raw.start_link())
    spawn(GenServer.call, front, (atom.ask, 1))
    await asyncio.sleep(0)
    GenServer.cast(front, "meanwhile")
    assert await front.ask(2) == [1, "meanwhile", 2]


@virtual
async def test_a_call_has_erlangs_shape_on_both_sides() -> None:
    async def caller() -> None:
        send(tester, await GenServer.call(tester, "question"))

    tester = self()
    pid = spawn(caller)
    tag, (sender, mark), request = await receive()
    assert (tag, sender, request) == (GEN_CALL, pid, "question")
    GenServer.reply((sender, mark), "answer")
    assert await receive() == "answer"


@virtual
async def test_a_flooded_server_lets_others_run() -> None:
    server = await Raw.start_link()
    for _ in range(10_000):
        GenServer.cast(server, (atom.give, None))
    steps: list[int] = []

    async def other() -> None:
        for step in range(3):
            steps.append(step)
            await asyncio.sleep(0)

    spawn(other)
    with pytest.raises(CallTimeout):
        await GenServer.call(server, (atom.keep, 1), timeout=1)
    assert steps == [0, 1, 2]
