from __future__ import annotations

import asyncio

import pytest

from beamish.process import Process, monitor, receive, register, self, send, send_after, spawn, spawn_monitor
from beamish.term import atom
from beamish.testing import (
    advance,
    assert_down,
    assert_receive,
    assert_received,
    eventually,
    flush,
    now,
    refute_receive,
    refute_received,
    run_virtual,
    settle,
    virtual,
)


@virtual
async def test_assert_receive_gives_the_message_and_leaves_others() -> None:
    send(self(), "other")
    send_after(0.9, self(), (atom.ok, 1))
    assert await assert_receive((atom.ok, int)) == (atom.ok, 1)
    assert await flush() == ["other"]


@virtual
async def test_assert_receive_shows_the_mailbox_when_nothing_comes() -> None:
    for number in range(25):
        send(self(), number)
    with pytest.raises(AssertionError, match=r"(?s)no message that fits <class 'str'> within 2 s.*25:\n  0\n.*and 5 more"):
        await assert_receive(str, timeout=2)
    assert now() == 2
    await flush()
    with pytest.raises(AssertionError, match="no message at all within 1 s; the mailbox held nothing"):
        await assert_receive()


@virtual
async def test_refute_receive() -> None:
    send(self(), "other")
    await refute_receive(int)
    assert now() == 0.1
    send_after(0.05, self(), 7)
    with pytest.raises(AssertionError, match="received 7, though no message that fits <class 'int'>"):
        await refute_receive(int)
    assert await receive() == "other"
    await refute_receive(timeout=0)


@virtual
async def test_flush_takes_everything() -> None:
    assert await flush() == []
    for number in range(100):
        send(self(), number)
    assert await flush() == list(range(100))
    assert await flush() == []


# ---- messages that are plain values, and those that have come already


@virtual
async def test_any_value_is_a_pattern() -> None:
    for message in ("hello", 7, [1, 2], {"a": 1}, 2.5, True, (atom.ok, "x", 3)):
        send(self(), message)
    assert await assert_receive({"a": 1}) == {"a": 1}
    assert await assert_receive(True) is True
    assert await assert_receive(7) == 7
    assert await assert_receive((atom.ok, str, ...)) == (atom.ok, "x", 3)
    with pytest.raises(AssertionError, match=r"no message that fits 2 within"):
        await assert_receive(2)
    assert await flush() == ["hello", [1, 2], 2.5]


@virtual
async def test_assert_received_does_not_wait() -> None:
    send(self(), "now")
    send_after(0.5, self(), "later")
    assert await assert_received("now") == "now"
    with pytest.raises(AssertionError, match="no message that fits 'later' has come; the mailbox held nothing"):
        await assert_received("later")
    await refute_received("later")
    assert now() == 0
    await advance(0.5)
    with pytest.raises(AssertionError, match="received 'later', though no message at all was to come"):
        await refute_received()


@virtual
async def test_a_predicate_is_named_in_the_message() -> None:
    with pytest.raises(AssertionError, match=r"that fits .*<lambda> \(.*test_asserts.py:\d+\) within"):
        await assert_receive(lambda message: message > 7)


# ---- the end of processes


async def crashes() -> None:
    await receive(atom.go)
    raise ValueError("boom")


@virtual
async def test_assert_down_gives_the_reason() -> None:
    pid = spawn(crashes)
    send(pid, atom.go)
    assert (await assert_down(pid, ValueError))[0].kind == "builtins.ValueError"
    pid = spawn(receive)
    Process.exit(pid, (atom.because, 5))
    assert await assert_down(pid) in ((atom.because, 5), atom.noproc)
    pid, ref = spawn_monitor(receive)
    Process.exit(pid, (atom.because, 5))
    await settle()
    assert await assert_down(ref, (atom.because, int)) == (atom.because, 5)
    pid, ref = spawn_monitor(receive)
    send(pid, "done")
    assert await assert_down(ref, lambda reason: reason is atom.normal) is atom.normal


@virtual
async def test_assert_down_of_a_process_that_has_crashed_before_it_looked() -> None:
    pid = spawn(crashes)
    send(pid, atom.go)
    await settle()
    assert not Process.alive(pid)
    await assert_down(pid, ValueError)


@virtual
async def test_assert_down_shows_another_reason_with_its_traceback() -> None:
    pid = spawn(crashes)
    send(pid, atom.go)
    message = r"(?s)ended with reason.*in crashes.*boom.*does not fit\n  a crash with KeyError"
    with pytest.raises(AssertionError, match=message):
        await assert_down(pid, KeyError)
    pid = spawn(receive)
    Process.exit(pid, atom.kill)
    await settle()
    with pytest.raises(AssertionError, match=r"(?s)reason\n  noproc\n.*Make the monitor earlier"):
        await assert_down(pid, atom.killed)


@virtual
async def test_assert_down_says_where_the_living_waits() -> None:
    pid = spawn(crashes)
    register("lively", pid)
    for target in (pid, "lively", monitor(pid)):
        message = r"has not ended within 1 s:\n  lively <.*> test_asserts:crashes is waiting, at .*in crashes"
        with pytest.raises(AssertionError, match=message):
            await assert_down(target)
    assert now() == 3


# ---- what tells nobody


@virtual
async def test_eventually() -> None:
    async def later() -> str:
        return "three" if now() >= 3 else ""

    assert await eventually(later, timeout=5) == "three"
    assert 3 <= now() < 3.1

    def asserted() -> bool:
        assert now() >= 4, "too early"
        return True

    assert await eventually(asserted, timeout=5)
    with pytest.raises(AssertionError, match=r"not within 1 s: .*<lambda> \(.*:\d+\); at last it gave 0"):
        await eventually(lambda: 0)
    with pytest.raises(AssertionError, match=r"asserted_never.*; at last it says: no, never"):

        def asserted_never() -> None:
            raise AssertionError("no, never")

        await eventually(asserted_never)
    with pytest.raises(ZeroDivisionError):
        await eventually(lambda: 1 // 0)


# ---- what was forgotten


def test_an_assertion_that_is_not_awaited_fails_the_test() -> None:
    async def test() -> None:
        assert_receive("never")  # type: ignore[unused-coroutine]
        refute_receive()  # type: ignore[unused-coroutine]
        await refute_received()

    message = r"checked nothing: assert_receive\(\) at .*test_asserts.py:\d+, refute_receive\(\) at"
    with pytest.raises(AssertionError, match=message):
        run_virtual(test)


@virtual
async def test_an_assertion_is_awaited_once() -> None:
    assertion = refute_received()
    await assertion
    with pytest.raises(RuntimeError, match=r"refute_received\(\) at .* was awaited before"):
        await assertion


def test_assertions_need_a_process() -> None:
    async def outside() -> None:
        with pytest.raises(RuntimeError):
            await assert_receive()

    asyncio.run(outside())
