"""rex, net_kernel and the loggers, spoken to as peers do."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from beamish.node.runtime import Runtime, current_runtime
from beamish.process import Process, receive, self, send, spawn, whereis
from beamish.process.gen import GEN_CALL, GEN_CAST, call, cast
from beamish.rpc import start_services
from beamish.rpc.loggers import read_event
from beamish.term import ImproperList, Pid, atom, charlist
from beamish.testing import assert_receive, flush, refute_receive
from loops import virtual

NAMES = ["net_kernel", "rex", "logger", "logger_proxy", "error_logger"]


async def serving(exports: Any = None) -> Runtime:
    await start_services(current_runtime(), exports)
    return current_runtime()


def rex_call(module: str, function: str, args: list[Any], verb: str = "call") -> tuple[Any, ...]:
    return (atom(verb), atom(module), atom(function), args, atom.user)


@virtual
async def test_every_name_is_there_and_marked_as_part_of_the_system() -> None:
    runtime = await serving()
    assert [name for name in NAMES if whereis(name) is None] == []
    processes = [runtime.process_of(whereis(name)) for name in NAMES]
    assert all(process is not None and process.system for process in processes)


@virtual
async def test_a_name_somebody_has_taken_is_left_alone() -> None:
    async def mine() -> None:
        await receive()

    pid = current_runtime().spawn(mine, name="logger")
    await serving()
    assert whereis("logger") == pid


@virtual
async def test_rex_answers_calls() -> None:
    runtime = await serving()
    assert await call("rex", rex_call("erlang", "node", [])) is runtime.node
    assert await call("rex", rex_call("callables", "throw", [7])) == 7
    assert await call("rex", rex_call("callables", "leave", [7])) == (atom.badrpc, (atom.EXIT, 7))
    stack = [(atom.callables, atom.error, [7], [])]
    assert await call("rex", rex_call("callables", "error", [7])) == (atom.badrpc, (atom.EXIT, (7, stack)))
    undef = (atom.undef, [(atom.nomod, atom.f, [1], [])])
    assert await call("rex", rex_call("nomod", "f", [1])) == (atom.badrpc, (atom.EXIT, undef))


@virtual
async def test_rex_obeys_the_policy() -> None:
    await serving(["math"])
    badrpc, (_, ((notsup, _), _)) = await call("rex", rex_call("os", "getpid", []))
    assert (badrpc, notsup) == (atom.badrpc, atom.notsup)


@virtual
async def test_rex_goes_on_while_calls_run() -> None:
    await serving()

    async def caller(parent: Pid) -> None:
        send(parent, await call("rex", rex_call("timer", "sleep", [1000]), None))

    spawn(caller, self())
    assert await call("rex", rex_call("callables", "add", [1]), 0.5) == 2
    assert await receive(timeout=2) is atom.ok


@virtual
async def test_a_call_that_is_killed_is_answered() -> None:
    await serving()
    runtime = current_runtime()
    before = set(runtime.pids())

    async def caller(parent: Pid) -> None:
        send(parent, await call("rex", rex_call("callables", "for_ever", []), None))

    spawn(caller, self())
    await Process.sleep(0.1)
    (victim,) = [pid for pid in set(runtime.pids()) - before if Process.info(pid, "initial_call")[1] == "answer_call"]
    Process.exit(victim, atom.kill)
    assert await receive(timeout=1) == (atom.badrpc, (atom.EXIT, atom.killed))
    assert await call("rex", rex_call("callables", "add", [1])) == 2


@virtual
async def test_block_calls_wait_for_each_other() -> None:
    await serving()

    async def caller(parent: Pid, number: int) -> None:
        await call("rex", rex_call("timer", "sleep", [1000], "block_call"), None)
        send(parent, number)

    for number in range(3):
        spawn(caller, self(), number)
    await Process.sleep(1.5)
    assert await flush() == [0]
    await Process.sleep(1)
    assert await flush() == [1]
    await Process.sleep(1)
    assert await flush() == [2]


@virtual
async def test_rex_casts() -> None:
    await serving()
    cast("rex", (atom.cast, atom.erlang, atom.send, [self(), atom.hi], self()))
    assert await assert_receive() is atom.hi


@virtual
async def test_the_forms_of_c_nodes() -> None:
    runtime = await serving()
    send("rex", (self(), atom.features_request))
    assert await assert_receive() == (atom.features_reply, runtime.node, [atom.erpc])
    send("rex", (self(), rex_call("callables", "add", [1])))
    assert await assert_receive() == (atom.rex, 2)
    send("rex", (self(), (atom.sbcast, atom.nobody, 1)))
    assert await assert_receive() == (atom.rex, runtime.node, (atom.nonexisting_name, atom.nobody))
    send("rex", (self(), (atom.send, atom.nobody, 1)))
    assert await assert_receive() == (atom.rex, runtime.node, (atom.nonexisting_name, atom.nobody))
    Process.register(self(), "somebody")
    send("rex", (self(), (atom.send, atom.somebody, 1)))
    assert await assert_receive() == 1
    send("rex", (self(), (atom.sbcast, atom.somebody, 2)))
    assert await flush_both() == {2, (atom.rex, runtime.node, runtime.node)}


async def flush_both() -> set[Any]:
    return {await assert_receive(), await assert_receive()}


@virtual
async def test_the_group_leader_of_a_call() -> None:
    runtime = await serving()
    runtime.user = self()
    assert await call("rex", (atom.call, atom.callables, atom.leader, [], atom.user)) == self()
    stranger = Pid(atom("erl@vm"), 1, 2, 3)
    assert await call("rex", (atom.call, atom.callables, atom.leader, [], stranger)) == stranger
    assert await call("rex", (atom.call, atom.callables, atom.leader, [], atom.send_stdout_to_caller)) == self()


@virtual
async def test_net_kernel_answers_pings() -> None:
    await serving()
    assert await call("net_kernel", (atom.is_auth, atom("x@y"))) is atom.yes


@virtual
async def test_net_kernel_spawns_for_old_peers(crashes: Any) -> None:
    await serving()
    leader = self()
    Process.flag("trap_exit", True)
    pid = await call("net_kernel", (atom.spawn, atom.erlang, atom.send, [self(), atom.hi], leader))
    assert await assert_receive() is atom.hi
    pid = await call("net_kernel", (atom.spawn_link, atom.callables, atom.leave, [atom.bye], leader))
    assert await assert_receive() == (atom.EXIT, pid, atom.bye)
    pid = await call("net_kernel", (atom.spawn_opt, atom.callables, atom.leave, [atom.bye], [], atom.link, leader))
    assert await assert_receive() == (atom.EXIT, pid, atom.bye)
    pid = await call("net_kernel", (atom.spawn_opt, atom.nomod, atom.f, [], [], atom.no_link, leader))
    assert isinstance(pid, Pid)
    await refute_receive()


@virtual
async def test_net_kernel_forwards() -> None:
    await serving()
    send("net_kernel", (self(), atom.registered_send, self(), 1))
    assert await assert_receive() == 1
    send("net_kernel", (self(), atom.registered_send, atom.nobody, 1))
    await refute_receive()


STRANGE = [
    None, 7, b"x", [], (), (1,), (atom.x, 1), (GEN_CALL, 1, 2), (GEN_CALL, (1, 2), 3), (GEN_CAST, atom.x),
    {atom.a: 1}, [1, 2, 3],
    (atom.DOWN, 1, 2, 3, 4), (atom.EXIT, 1, 2), (GEN_CAST, (atom.cast, 1, 2, 3, 4)),
    (atom.log, 1, 2, 3, 4), (atom.notify, 1),
    ImproperList((1,), 2), (atom.log, atom.error, charlist("~p ~p"), [1], {}), (atom.log, atom.error, 7, [1], {}),
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_nothing_a_peer_sends_ends_a_server(name: str, crashes: Any) -> None:
    @virtual
    async def check() -> None:
        await serving()
        before = whereis(name)
        for message in STRANGE:
            send(name, message)
            send(name, (self(), message))
            send(name, (GEN_CAST, message))
        await Process.sleep(0.1)
        await flush()
        assert await call(name, (atom.no_such, atom.request)) == (
            atom.error, (atom.unknown_request, (atom.no_such, atom.request))
        )  # fmt: skip
        Process.exit(before, atom.go_away)
        await Process.sleep(0.1)
        assert whereis(name) == before

    check()


@pytest.mark.parametrize("name", NAMES)
def test_a_server_that_was_killed_is_started_again(name: str) -> None:
    @virtual
    async def check() -> None:
        await serving()
        before = whereis(name)
        Process.exit(before, atom.kill)
        await Process.sleep(0.1)
        assert whereis(name) not in (None, before)
        assert await call(name, atom.x) == (atom.error, (atom.unknown_request, atom.x))

    check()


@virtual
async def test_sys_messages_are_answered() -> None:
    await serving()
    assert await call("rex", atom.get_state, label=atom.system) == {atom.running: 0, atom.waiting: 0}
    assert await call("net_kernel", atom.get_state, label=atom.system) is atom.undefined
    assert (await call("rex", atom.suspend, label=atom.system))[0] is atom.error


# ---- loggers

ORIGIN = Pid(atom("erl@vm"), 1, 2, 3)
GL = Pid(atom("erl@vm"), 1, 1, 3)


@pytest.mark.parametrize(
    ("message", "level", "text"),
    [
        ((atom.log, atom.error, charlist("bad ~p"), [1], {atom.pid: ORIGIN}), logging.ERROR, "bad 1"),
        ((atom.log, atom.notice, (atom.string, charlist("note")), {}), logging.INFO, "note"),
        ((atom.log, atom.warning, (atom.report, {atom.a: 1}), {}), logging.WARNING, "#{a => 1}"),
        ((atom.log, atom.alert, (charlist("~s!"), [b"x"]), {}), logging.CRITICAL, "x!"),
        ((atom.notify, (atom.error, GL, (ORIGIN, charlist("~w"), [atom.x]))), logging.ERROR, "x"),
        ((atom.notify, (atom.info_report, GL, (ORIGIN, atom.std_info, [(atom.a, 1)]))), logging.INFO, "[{a,1}]"),
        ((atom.info_msg, GL, (ORIGIN, charlist("hello"), [])), logging.INFO, "hello"),
        ((atom.log, atom.strange_level, charlist("x"), [], {}), logging.ERROR, "x"),
    ],
)
def test_log_events_are_read(message: Any, level: int, text: str) -> None:
    event = read_event(message)
    assert event is not None
    assert event[:2] == (level, text)


def test_a_format_that_does_not_fit_is_shown_as_it_came() -> None:
    event = read_event((atom.log, atom.error, charlist("~p ~p"), [1], {}))
    assert event is not None
    assert "~p ~p" in event[1]


@virtual
async def test_reports_of_remote_crashes_are_logged(caplog: Any, crashes: Any) -> None:
    await serving()
    pattern = charlist("Error in process ~p on node ~p with exit value:~n~p~n")
    meta = {atom.pid: ORIGIN, atom.gl: self(), atom.time: 1}
    for name in ("logger_proxy", "logger"):
        send(name, (atom.log, atom.error, pattern, [ORIGIN, ORIGIN.node, atom.boo], meta))
    await Process.sleep(0.1)
    assert all(shown.startswith("erl@vm: Error in process <") and shown.endswith("boo") for shown in crashes.texts)
    assert len(crashes.texts) == 2
