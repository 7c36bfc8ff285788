"""gen.call, cast and reply: the convention of gen_server and its kin."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from beamish.errors import CallTimeout, NoProcess, RemoteError
from beamish.process import Process, current_scheduler, exit, receive, self, send, spawn
from beamish.process.gen import GEN_CALL, GEN_CAST, CallFailed, call, cast, reply
from beamish.term import ImproperList, Pid, Ref, atom
from beamish.testing import flush
from loops import now, on_every_loop, virtual


async def server(answer: Any = None) -> None:
    """Answers what it is asked."""
    while True:
        match await receive():
            case (tag, sender, request) if tag is GEN_CALL:
                reply(sender, (atom.ok, request))
            case (tag, message) if tag is GEN_CAST:
                if message is atom.stop:
                    return


async def idle() -> None:
    while True:
        await receive()


def leftovers() -> tuple[int, int, int]:
    """Aliases, timers and messages: what a call must not leave."""
    home = current_scheduler()
    assert home is not None
    return len(home.aliases), len(home.timers_by_ref), Process.info(self(), "message_queue_len")


@on_every_loop
async def test_a_call_is_answered() -> None:
    pid = spawn(server, name="server")
    for target in (pid, "server", atom.server, ("server", self().node)):
        assert await call(target, "question") == (atom.ok, "question")
    assert leftovers() == (0, 0, 0)
    assert Process.info(pid, "monitored_by") == []
    assert Process.info(self(), "monitors") == []


@virtual
async def test_the_request_has_erlang_s_shape() -> None:
    async def caller() -> None:
        await call(tester, "question", None)

    tester = self()
    pid = spawn(caller)
    tag, (sender, mark), request = await receive()
    assert tag is atom("$gen_call")
    assert sender == pid
    assert isinstance(mark, ImproperList)
    assert mark.elements == (atom.alias,)
    assert isinstance(mark.tail, Ref)
    assert request == "question"
    Process.exit(pid, atom.kill)


@pytest.mark.parametrize("way", ["alias", "pid", "request collection"])
def test_replies_through_the_alias_and_to_the_pid(way: str) -> None:
    @virtual
    async def test() -> None:
        async def answers() -> None:
            _, (sender, mark), request = await receive()
            match way:
                case "alias":
                    reply((sender, mark), request)
                case "pid":  # what does not know aliases answers the pid
                    send(sender, (mark, request))
                case _:
                    reply((sender, ImproperList((mark,), 7)), "to a collection")
                    send(mark.tail, (mark, request))

        pid = spawn(answers)
        if way == "request collection":
            with pytest.raises((CallFailed, CallTimeout)):
                await call(pid, "question", 1)
        else:
            assert await call(pid, "question") == "question"
            assert leftovers() == (0, 0, 0)

    test()


@virtual
async def test_older_mail_and_other_mail_stay() -> None:
    pid = spawn(server)
    send(self(), "old")
    send(self(), (current_ref(), "not the answer"))
    before = Process.info(self(), "messages")
    assert await call(pid, 1) == (atom.ok, 1)
    assert await flush() == before


def current_ref() -> Ref:
    home = current_scheduler()
    assert home is not None
    return home.new_ref()


@virtual
async def test_a_call_that_is_not_answered_times_out() -> None:
    pid = spawn(idle)
    with pytest.raises(CallTimeout, match=f"no reply from {pid} within 5 s"):
        await call(pid, "question")
    assert now() == 5
    pid = spawn(idle, name="silent")
    with pytest.raises(CallTimeout, match=r"no reply from silent within 0\.5 s"):
        await call("silent", "question", 0.5)
    assert now() == 5.5
    assert leftovers() == (0, 0, 0)


@virtual
async def test_a_late_reply_disappears() -> None:
    async def slow() -> None:
        _, sender, request = await receive()
        await asyncio.sleep(10)
        reply(sender, request)

    pid = spawn(slow)
    with pytest.raises(CallTimeout):
        await call(pid, "question", 1)
    await asyncio.sleep(20)
    assert await flush() == []


@virtual
async def test_without_a_timeout_it_waits() -> None:
    async def slow() -> None:
        _, sender, request = await receive()
        await asyncio.sleep(1000)
        reply(sender, request)

    assert await call(spawn(slow), "question", None) == "question"
    assert now() == 1000


@virtual
async def test_nobody_there() -> None:
    pid = spawn(receive)
    Process.exit(pid, atom.kill)
    for target in (pid, "nobody", ("nobody", self().node)):
        with pytest.raises(CallFailed, match="noproc") as caught:
            await call(target, "question")
        assert caught.value.reason is atom.noproc
        assert isinstance(caught.value, (NoProcess, RemoteError))
    with pytest.raises(CallFailed, match="name on nowhere@host failed: noconnection"):
        await call(("name", "nowhere@host"), "question")
    assert leftovers() == (0, 0, 0)
    assert now() == 0


@virtual
async def test_death_during_the_call() -> None:
    async def dies() -> None:
        await receive()
        exit((atom.shutdown, "busy"))

    with pytest.raises(CallFailed) as caught:
        await call(spawn(dies), "question")
    assert caught.value.reason == (atom.shutdown, "busy")
    assert leftovers() == (0, 0, 0)


@virtual
async def test_a_crash_during_the_call_shows_its_traceback(crashes: Any) -> None:
    async def fails() -> None:
        await receive()
        raise ValueError("server bug")

    with pytest.raises(CallFailed, match="ValueError: server bug"):
        await call(spawn(fails), "question")
    assert len(crashes.texts) == 1


@virtual
async def test_an_answer_from_the_dying_counts() -> None:
    async def last_words() -> None:
        _, sender, request = await receive()
        reply(sender, request)

    assert await call(spawn(last_words), "question") == "question"
    await asyncio.sleep(1)
    assert leftovers() == (0, 0, 0)


@virtual
async def test_a_call_that_is_cancelled_leaves_nothing() -> None:
    pid = spawn(idle)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await call(pid, "question", 100)
    assert leftovers() == (0, 0, 0)
    assert Process.info(pid, "monitored_by") == []


@virtual
async def test_casts() -> None:
    cast(self(), "message")
    assert await receive() == (atom("$gen_cast"), "message")
    cast("nobody", "lost")
    cast(("nobody", "nowhere@host"), "lost")


@virtual
async def test_a_reply_never_connects() -> None:
    home = current_scheduler()
    assert home is not None
    asked: list[Any] = []
    home.connector = asked.append
    nowhere = Pid(atom("nowhere@host"), 1, 0, 1)
    reply((nowhere, current_ref()), "answer")
    assert asked == []


@virtual
async def test_many_callers_at_once() -> None:
    pid = spawn(server)

    async def caller(number: int, to: Pid) -> None:
        for round_ in range(20):
            assert await call(pid, (number, round_)) == (atom.ok, (number, round_))
        send(to, number)

    for number in range(100):
        spawn(caller, number, self())
    assert sorted([await receive() for _ in range(100)]) == list(range(100))
    assert leftovers() == (0, 0, 0)
