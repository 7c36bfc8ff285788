"""`sys`: the messages {system, From, Request}, in OTP's shapes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from beamish.errors import CallTimeout
from beamish.gen_server import GenServer, call, cast
from beamish.gen_server.system import term_or_text
from beamish.process import Process, exit, monitor, receive, self, send, spawn, trap_exit
from beamish.process.gen import call as gen_call
from beamish.term import Pid, atom, charlist
from beamish.testing import assert_receive, flush
from loops import virtual


class Counter(GenServer):
    def init(self, count: int = 0, tester: Pid | None = None) -> None:
        self.count, self.tester = count, tester

    @call
    def increment(self, by: int = 1) -> int:
        self.count += by
        return self.count

    @cast
    def reset(self) -> None:
        self.count = 0

    async def code_change(self, old_version: Any, extra: Any) -> None:
        if extra == "fail":
            raise ValueError("no way")
        self.count = (old_version, extra)  # type: ignore[assignment]

    def terminate(self, reason: Any) -> None:
        if self.tester is not None:
            send(self.tester, (atom.terminate, reason))

    def format_status(self) -> Any:
        return {atom.count: self.count}


async def sys(server: Any, request: Any, timeout: float | None = 5.0) -> Any:
    return await gen_call(server.pid, request, timeout, label=atom.system)


@virtual
async def test_get_and_replace_state() -> None:
    server = await Counter.start_link(5)
    state = {atom.count: 5, atom.tester: None}
    assert await sys(server, atom.get_state) == state
    assert await sys(server, (atom.replace_state, lambda old: {**old, atom.count: 7})) == {**state, atom.count: 7}
    assert await server.increment() == 8
    for wrong in (lambda old: 1 / 0, lambda old: 5, atom.no_function):
        match await sys(server, (atom.replace_state, wrong)):
            case (atom.error, (atom.callback_failed, (atom.gen_server, atom.system_replace_state), (atom.error, _))):
                pass
            case other:
                pytest.fail(repr(other))
    assert await server.increment() == 9


@virtual
async def test_get_status_is_nested_as_observer_expects() -> None:
    server = await Counter.start_link(5, name="counter")
    status, pid, module, items = await sys(server, atom.get_status)
    assert (status, pid, module) == (atom.status, server.pid, (atom.module, atom.gen_server))
    dictionary, state, parent, debug, misc = items
    first = (atom(__name__), atom("Counter.init"), 1)
    assert dictionary == [(atom("$initial_call"), first), (atom("$ancestors"), [self()])]
    assert (state, parent, debug) == (atom.running, self(), [])
    assert misc == [
        (atom.header, charlist("Status for generic server counter")),
        (atom.data, [(charlist("Status"), atom.running), (charlist("Parent"), self()), (charlist("Logged events"), [])]),
        (atom.data, [(charlist("State"), {atom.count: 5})]),
    ]
    other = await Counter.start()
    assert (await sys(other, atom.get_status))[3][2] == other.pid


@virtual
async def test_a_suspended_server_handles_only_system_messages() -> None:
    server = await Counter.start_link()
    assert await sys(server, atom.suspend) is atom.ok
    with pytest.raises(CallTimeout):
        await Counter.at(server, timeout=1).increment()
    assert (await sys(server, atom.get_status))[3][1] is atom.suspended
    assert await sys(server, atom.get_state) == {atom.count: 0, atom.tester: None}
    assert await sys(server, atom.suspend) is atom.ok
    assert await sys(server, atom.resume) is atom.ok
    assert await server.increment() == 2  # the one that nobody waited for was handled, too


@virtual
async def test_a_suspended_server_obeys_its_parent() -> None:
    async def parent() -> None:
        class Trapping(Counter):
            def init(self, count: int = 0, tester: Pid | None = None) -> None:
                super().init(count, tester)
                trap_exit()

        server = await Trapping.start_link(0, tester)
        await sys(server, atom.suspend)
        send(tester, server.pid)
        await receive()
        exit(atom.shutdown)

    tester = self()
    pid = spawn(parent)
    server = await receive()
    send(server, "waits")
    ref = monitor(server)
    send(pid, 1)
    await assert_receive((atom.DOWN, ref, ..., ..., atom.shutdown))
    assert await flush() == [(atom.terminate, atom.shutdown)]


@virtual
async def test_terminate_ends_in_order() -> None:
    server = await Counter.start(0, self())
    ref = monitor(server.pid)
    assert await sys(server, (atom.terminate, atom.shutdown)) is atom.ok
    await assert_receive((atom.DOWN, ref, ..., ..., atom.shutdown))
    assert await flush() == [(atom.terminate, atom.shutdown)]


@virtual
async def test_code_changes_while_suspended() -> None:
    server = await Counter.start_link()
    request = (atom.change_code, atom("Elixir.Counter"), "1.0", "extra")
    assert await sys(server, request) == (atom.error, (atom.unknown_system_msg, request))
    await sys(server, atom.suspend)
    assert await sys(server, request) is atom.ok
    assert (await sys(server, atom.get_state))[atom.count] == ("1.0", "extra")
    failed = await sys(server, (atom.change_code, atom.x, "1.0", "fail"))
    assert failed[0] is atom.error
    assert await sys(server, atom.resume) is atom.ok


@virtual
async def test_unknown_requests_are_answered() -> None:
    server = await Counter.start_link()
    assert await sys(server, atom.hello) == (atom.error, (atom.unknown_system_msg, atom.hello))
    for what in (atom.hello, (atom.log, atom.hello), (atom.log, (True, 0)), (atom.statistics, 5), (atom.install, 5)):
        assert await sys(server, (atom.debug, what)) is atom.unknown_debug
    assert Process.alive(server.pid)


@virtual
async def test_the_log_keeps_the_last_events() -> None:
    server = await Counter.start_link()
    assert await sys(server, (atom.debug, (atom.log, (True, 3)))) is atom.ok
    assert await server.increment() == 1
    server.reset()
    ok, events = await sys(server, (atom.debug, (atom.log, atom.get)))
    state = {atom.count: 0, atom.tester: None}
    assert ok is atom.ok
    assert len(events) == 3
    assert events[0][:2] == (atom.out, 1)
    assert events[0][3] == {**state, atom.count: 1}
    assert events[1:] == [(atom("in"), (atom("$gen_cast"), (atom.reset,))), (atom.noreply, state)] or events[1:] == [
        (atom("in"), (atom("$gen_cast"), atom.reset)), (atom.noreply, state)]  # fmt: skip
    assert await sys(server, (atom.debug, (atom.log, False))) is atom.ok
    assert await sys(server, (atom.debug, (atom.log, atom.get))) == (atom.ok, [])


@virtual
async def test_statistics_count() -> None:
    server = await Counter.start_link()
    assert await sys(server, (atom.debug, (atom.statistics, atom.get))) == (atom.ok, atom.no_statistics)
    assert await sys(server, (atom.debug, (atom.statistics, True))) is atom.ok
    await server.increment()
    server.reset()
    ok, items = await sys(server, (atom.debug, (atom.statistics, atom.get)))
    found = dict(items)
    assert (found[atom.messages_in], found[atom.messages_out]) == (2, 1)
    assert found[atom.reductions] >= 2
    assert len(found[atom.start_time]) == 2
    assert await sys(server, (atom.debug, atom.no_debug)) is atom.ok
    assert await sys(server, (atom.debug, (atom.statistics, atom.get))) == (atom.ok, atom.no_statistics)


@virtual
async def test_a_log_file_is_written(tmp_path: Path) -> None:
    server = await Counter.start_link(name="counter")
    path = tmp_path / "log"
    assert await sys(server, (atom.debug, (atom.log_to_file, charlist(str(path))))) is atom.ok
    await server.increment()
    assert await sys(server, (atom.debug, (atom.log_to_file, False))) is atom.ok
    assert path.read_text().splitlines()[0] == f"*DBG* counter got call (atom.increment, 1) from {self()}"
    assert await sys(server, (atom.debug, (atom.log_to_file, str(tmp_path / "no" / "x")))) == (atom.error, atom.open_file)


@virtual
async def test_installed_functions_see_events_until_they_are_done() -> None:
    server = await Counter.start_link()
    seen: list[Any] = []

    def watch(count: int, event: Any, state: Any) -> Any:
        seen.append((count, event[0]))
        return atom.done if count == 2 else count + 1

    assert await sys(server, (atom.debug, (atom.install, (watch, 0)))) is atom.ok
    for _ in range(3):
        await server.increment()
    assert [count for count, _ in seen] == [0, 1, 2]


@virtual
async def test_a_trace_is_printed_to_the_group_leader() -> None:
    process = Process
    server = await Counter.start_link(name="counter")
    from beamish.process import set_group_leader

    set_group_leader(server.pid, self())
    assert await sys(server, (atom.debug, (atom.trace, True))) is atom.ok
    assert await server.increment() == 1
    _, sender, mark, request = await receive((atom.io_request, ..., ..., ...), timeout=5)
    assert f"*DBG* counter got call (atom.increment, 1) from {self()}" in str(request)
    send(sender, (atom.io_reply, mark, atom.ok))
    await asyncio.sleep(0)
    assert process.alive(server.pid)


@virtual
async def test_a_state_that_is_no_term_is_shown_as_text() -> None:
    value = {atom.socket: object(), atom.fine: [1, (2, object())], "set": {1}}
    shown = term_or_text(value)
    assert shown[atom.socket].startswith("<object object")
    assert shown[atom.fine][0] == 1
    assert shown[atom.fine][1][1].startswith("<object")
