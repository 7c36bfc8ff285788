"""What a spawn request makes us send, signal by signal, on a route that only writes down."""

from __future__ import annotations

from typing import Any

import callables
import pytest
from two_nodes import Recorder

from beamish.node.runtime import Runtime, current_runtime
from beamish.process import Process, link, self
from beamish.rpc import start_services
from beamish.term import Pid, Ref, atom
from beamish.testing import flush
from loops import virtual

ERLANG = atom("erl@vm")
CALLER = Pid(ERLANG, 100, 0, 5)
LEADER = Pid(ERLANG, 50, 0, 5)
REQUEST = Ref(ERLANG, 5, (1, 2, 3))
RES = Ref(ERLANG, 5, (4, 5, 6))
RETURN = atom("return")


class Asked:
    """A runtime that was asked for a process by erl@vm."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.route = Recorder(ERLANG)
        runtime.routes[ERLANG] = self.route

    def ask(self, module: str, function: str, args: list[Any], opts: list[Any] | None = None) -> None:
        mfa = (atom(module), atom(function), len(args))
        self.runtime.services["spawn_requested"](self.route, REQUEST, CALLER, LEADER, mfa, args, opts or [])

    def call(self, module: str, function: str, args: list[Any]) -> None:
        self.ask("erpc", "execute_call", [RES, atom(module), atom(function), args], [atom.monitor])

    async def end(self) -> Any:
        """The reason of the DOWN that goes to the caller."""
        while not self.route.of("monitor_down"):
            await Process.sleep(0.01)
        ((target, remote, ref, reason),) = self.route.of("monitor_down")
        assert (remote, ref) == (CALLER, REQUEST)
        ((_, _, _, pid),) = self.route.of("spawn_reply")
        assert target == pid
        return reason


async def asked(exports: Any = None) -> Asked:
    await start_services(current_runtime(), exports)
    return Asked(current_runtime())


@virtual
async def test_the_reply_goes_first_and_carries_what_was_made() -> None:
    there = await asked()
    there.ask("callables", "leave", [atom.bye], [atom.link, atom.monitor])
    assert [signal[0] for signal in there.route.signals] == ["spawn_reply"], "before the process has run"
    await there.end()
    ((ref, remote, flags, pid),) = there.route.of("spawn_reply")
    assert (ref, remote, flags, pid.node) == (REQUEST, CALLER, 3, there.runtime.node)
    assert there.route.of("exit_linked") == [(pid, CALLER, atom.bye)]
    assert there.route.signals[0][0] == "spawn_reply"


@pytest.mark.parametrize(
    ("opts", "flags"),
    [
        ([], 0),
        (["link"], 1),
        (["monitor"], 2),
        ([("monitor", ["alias"])], 2),
        (["monitor", ("tag", "t")], 2),
        (["link", ("priority", "high"), ("reply", "error_only"), "unknown", 7, ()], 1),
    ],
)
def test_options(opts: list[Any], flags: int) -> None:
    def term(option: Any) -> Any:
        if isinstance(option, tuple):
            return tuple(term(part) for part in option)
        return (
            [term(part) for part in option]
            if isinstance(option, list)
            else atom(option)
            if isinstance(option, str)
            else option
        )

    @virtual
    async def check() -> None:
        there = await asked()
        there.ask("timer", "sleep", [1000], [term(option) for option in opts])
        ((_, _, given, pid),) = there.route.of("spawn_reply")
        assert given == flags
        assert Process.info(pid, "links") == ([CALLER] if flags & 1 else [])
        assert Process.info(pid, "monitored_by") == ([CALLER] if flags & 2 else [])
        assert Process.info(pid, "group_leader") == LEADER
        assert Process.info(pid, "parent") == CALLER

    check()


@pytest.mark.parametrize(
    ("function", "args", "rest"),
    [
        ("add", [1, 2], (RETURN, 3)),
        ("slowly", [atom.x], (RETURN, atom.x)),
        ("throw", [1], (atom.throw, 1)),
        ("leave", [1], (atom.exit, 1)),
        ("error", [1], (atom.error, 1, [(atom.callables, atom.error, [1], [])])),
        ("nothing", [1], (atom.error, atom.undef, [(atom.callables, atom.nothing, [1], [])])),
    ],
)
def test_the_result_of_erpc_is_the_exit_reason(function: str, args: list[Any], rest: tuple[Any, ...]) -> None:
    @virtual
    async def check() -> None:
        there = await asked()
        there.call("callables", function, args)
        assert await there.end() == (RES, *rest)

    check()


@virtual
async def test_a_python_exception_is_an_error_with_traceback_and_stack() -> None:
    there = await asked()
    there.call("callables", "fail", ["oh"])
    res, kind, error, stack = await there.end()
    assert (res, kind) == (RES, atom.error)
    assert (error.kind, error.detail) == ("builtins.ValueError", "oh")
    assert error.message.endswith("ValueError: oh")
    assert [frame[:3] for frame in stack] == [(atom.callables, atom.fail, 1)]


@virtual
async def test_a_call_that_is_stopped_from_outside_ends_with_that_reason() -> None:
    there = await asked()
    there.call("callables", "for_ever", [])
    ((_, _, _, pid),) = there.route.of("spawn_reply")
    await Process.sleep(0.1)
    Process.exit(pid, atom.enough)
    assert await there.end() is atom.enough


@pytest.mark.parametrize("args", [7, atom.x, (1, 2, 3), b"abc"])
def test_arguments_that_are_no_list(args: Any) -> None:
    @virtual
    async def check() -> None:
        there = await asked()
        there.call("erlang", "node", args)
        outcome = await there.end()
        assert outcome[:2] == (RES, atom.error)
        assert outcome[2] in (atom.badarg, atom.undef)

    check()


@virtual
async def test_an_unknown_function_is_replied_to_with_a_pid(crashes: Any) -> None:
    there = await asked()
    there.ask("nomod", "nofun", [1], [atom.monitor])
    assert await there.end() == (atom.undef, [(atom.nomod, atom.nofun, [1], [])])
    assert "nomod:nofun/1" in crashes.texts[0]


@virtual
async def test_what_is_not_exported_says_so_to_whoever_spawned_it(crashes: Any) -> None:
    there = await asked(["math"])
    there.ask("os", "getpid", [], [atom.monitor])
    (notsup, text), stack = await there.end()
    assert notsup is atom.notsup
    assert "setting `exports`" in text
    assert stack == [(atom.os, atom.getpid, [], [])]


@virtual
async def test_a_crash_is_told_to_the_logger_of_the_leaders_node(crashes: Any) -> None:
    there = await asked()
    there.ask("callables", "fail", ["away"], [atom.monitor])
    reason = await there.end()
    ((sender, to, message),) = there.route.of("send")
    ((_, _, _, pid),) = there.route.of("spawn_reply")
    assert (sender, to) == (pid, atom.logger_proxy)
    log, level, pattern, args, meta = message
    assert (log, level, str(pattern)) == (atom.log, atom.error, "Error in process ~p on node ~p with exit value:~n~p~n")
    assert args == [pid, there.runtime.node, reason]
    assert meta[atom.gl] == LEADER
    assert meta[atom.pid] == pid
    assert meta[atom.error_logger] == {atom.emulator: True, atom.tag: atom.error}


@virtual
async def test_exits_and_results_are_no_crashes() -> None:
    there = await asked()
    for function, args in (("leave", [atom.x]), ("add", [1]), ("leave", [atom.normal])):
        there.ask("callables", function, args)
    there.ask("erpc", "execute_cast", [atom.callables, atom.add, [1]])
    await Process.sleep(1)
    assert there.route.of("send") == []


@virtual
async def test_the_process_limit_is_answered_as_such(crashes: Any) -> None:
    there = await asked()
    limit = there.runtime.process_limit
    there.runtime.process_limit = 256
    spawned = 0
    while not any(flags_reply[3] is atom.system_limit for flags_reply in there.route.of("spawn_reply")[-1:]):
        there.ask("timer", "sleep", [60_000])
        spawned += 1
        assert spawned <= 256
    there.runtime.process_limit = limit
    assert there.route.of("spawn_reply")[-1] == (REQUEST, CALLER, 0, atom.system_limit)
    assert "refused to start" in crashes.texts[0]


@virtual
async def test_the_caller_gives_up_and_the_call_goes_on() -> None:
    from beamish.process._signals import in_demonitor

    there = await asked()
    callables.started.clear()
    there.call("callables", "for_ever", [])
    await Process.sleep(0.1)
    (pid,) = callables.started
    assert in_demonitor(there.runtime, there.route, REQUEST)
    assert Process.alive(pid)
    Process.exit(pid, atom.kill)
    await Process.sleep(0.1)
    assert there.route.of("monitor_down") == []


@virtual
async def test_a_death_with_the_link_reaches_both_ends() -> None:
    there = await asked()
    there.ask("callables", "for_ever", [], [atom.link])
    ((_, _, _, pid),) = there.route.of("spawn_reply")
    link(pid)
    Process.flag("trap_exit", True)
    Process.exit(pid, atom.gone)
    await Process.sleep(0.1)
    assert there.route.of("exit_linked") == [(pid, CALLER, atom.gone)]
    assert await flush() == [(atom.EXIT, pid, atom.gone)]
    assert self().node is there.runtime.node
