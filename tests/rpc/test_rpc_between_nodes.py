"""Calls between two of our nodes over real wires: everything a caller sees, and what is left behind."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

import callables
import pytest
from two_nodes import A, B, Pair, pair

from beamish import rpc
from beamish.errors import BeamishError, CallTimeout, NodeError, RemoteError
from beamish.node import Node
from beamish.node.runtime import Runtime
from beamish.process import Process, exit, monitor, receive, self, send, spawn, trap_exit
from beamish.rpc.outcome import MFA
from beamish.term import Fun, Pid, atom, charlist

Run = Callable[[Coroutine[Any, Any, Any]], Any]
UNDEF = atom.undef


def between(run: Run, body: Callable[[Pair], Coroutine[Any, Any, Any]], **exports: Any) -> Any:
    """Run body(nodes) as a process of a."""

    async def session() -> Any:
        async with pair(**exports) as nodes:
            return await asyncio.wait_for(nodes.a.run(body, nodes), 20)

    return run(session())


async def settled(runtime: Runtime, count: int) -> None:
    """Wait until the runtime is back to so many processes."""
    async with asyncio.timeout(5):
        while runtime.process_count > count:
            await asyncio.sleep(0.001)


def test_a_call_gives_the_value(run: Run) -> None:
    async def body(nodes: Pair) -> None:
        assert await rpc.call(B, "math", "sqrt", [4.0]) == 2.0
        assert await rpc.call("b", "callables", "slowly", [{atom.a: [1, (2, b"x")]}]) == {atom.a: [1, (2, b"x")]}
        assert await rpc.call(str(B), atom.callables, atom.add, (1, 2)) == 3
        assert await rpc.call(B, "callables", "Job.run", [21]) == 42
        where, pid = await rpc.call(B, "callables", "where")
        assert (where, pid.node) == (B, B)

    between(run, body)


def test_a_function_is_called_by_reference(run: Run) -> None:
    async def body(nodes: Pair) -> None:
        assert await rpc.call(B, callables.add, [1, 2]) == 3
        assert (await rpc.call(B, callables.where))[0] == B
        assert (await rpc.call(A, callables.where))[0] == A
        with pytest.raises(NodeError, match="no name that another node could look up"):
            await rpc.call(B, lambda: 1)

    between(run, body)


def test_an_exception_comes_back_with_its_traceback(run: Run) -> None:
    async def body(nodes: Pair) -> None:
        for node in (A, B):
            with pytest.raises(RemoteError) as raised:
                await rpc.call(node, "callables", "fail", ["too much"])
            error = raised.value
            text = str(error)
            assert text.startswith(f"callables:fail/1 on {node} raised\nTraceback (most recent call last):\n")
            assert 'callables.py"' in text
            assert text.endswith("ValueError: too much")
            assert "rpc/apply.py" not in text
            assert error.kind == "error"
            assert (error.reason.kind, error.reason.detail) == ("builtins.ValueError", "too much")
            assert error.stack[0][:3] == (atom.callables, atom.fail, 1)

    between(run, body)


@pytest.mark.parametrize(
    ("function", "args", "kind", "reason"),
    [
        ("error", [atom.bad], "error", atom.bad),
        ("throw", [(1, 2)], "throw", (1, 2)),
        ("leave", [atom.bye], "exit", atom.bye),
        ("leave", [atom.normal], "exit", atom.normal),
        ("stop", [], "exit", (atom("SystemExit"), 3)),
        ("no_such_function", [1, 2], "error", UNDEF),
    ],
)
def test_other_ends_of_a_call(run: Run, function: str, args: list[Any], kind: str, reason: Any) -> None:
    async def body(nodes: Pair) -> None:
        for node in (A, B):
            with pytest.raises(RemoteError) as raised:
                await rpc.call(node, "callables", function, args)
            assert (raised.value.kind, raised.value.reason) == (kind, reason)
            if reason is UNDEF:
                assert raised.value.stack == [(atom.callables, atom(function), args, [])]

    between(run, body)


def test_what_is_not_exported_is_refused_and_the_setting_is_named(run: Run) -> None:
    async def body(nodes: Pair) -> None:
        assert await rpc.call(B, "math", "sqrt", [4.0]) == 2.0
        assert await rpc.call(B, "erlang", "node") == B
        with pytest.raises(RemoteError, match=r"os is not exported on b@127\.0\.0\.1: add .*setting `exports`"):
            await rpc.call(B, "os", "getpid")
        with pytest.raises(RemoteError, match="not exported"):
            await rpc.call(B, "erlang", "apply", [atom.os, atom.getpid, []])
        refused = (atom.badrpc, (atom.EXIT, ((atom.notsup, Anything()), Anything())))
        for node in (B, A):  # a peer that has a call passed on is still a peer; a itself exports everything
            there = [node, atom.os, atom.getpid, []]
            for through in ("call", "block_call"):
                answer = await rpc.call(B, "rpc", through, there)
                assert answer == refused if node is B else answer > 0
            answers, _ = await rpc.call(B, "rpc", "multicall", [[node], *there[1:]])
            assert answers == [refused] if node is B else answers[0] > 0
        for through in ("call", "multicall"):
            with pytest.raises(RemoteError) if through == "call" else contextlib.nullcontext():
                first = B if through == "call" else [B]
                ((kind, _),) = await rpc.call(B, "erpc", through, [first, atom.os, atom.getpid, []])
                assert kind is atom.error
        assert await rpc.call(A, "os", "getpid") > 0

    between(run, body, b_exports=["math"])


def test_an_unreachable_node_is_a_node_error(run: Run) -> None:
    async def body(nodes: Pair) -> None:
        with pytest.raises(NodeError, match=r"cannot call erlang:node/0 on c@127\.0\.0\.1"):
            await rpc.call("c", "erlang", "node")
        with pytest.raises(NodeError):
            await rpc.block_call("c", "erlang", "node")
        rpc.cast("c", "erlang", "node")

    between(run, body)


def test_a_connection_that_breaks_ends_the_calls_under_way(run: Run) -> None:
    async def body(nodes: Pair) -> None:
        under_way = rpc.async_call(B, "callables", "for_ever")
        blocked = spawn(rpc.call, B, "callables", "for_ever")
        ref = monitor(blocked)
        await rpc.call(B, "erlang", "node")
        nodes.wires[1].close()
        with pytest.raises(NodeError):
            await rpc.yield_(under_way)
        assert (await receive((atom.DOWN, ref, ..., ..., ...)))[4][0].kind == "beamish.errors.NodeError"

    caught: list[Any] = []
    between_quietly(run, body, caught)


def between_quietly(run: Run, body: Any, caught: list[Any]) -> None:
    """`between` for bodies in which a crash is part of the plan."""

    async def quiet(nodes: Pair) -> None:
        nodes.a.report = lambda *report: caught.append(report)
        await body(nodes)

    between(run, quiet)


def test_timeouts(run: Run) -> None:
    async def body(nodes: Pair) -> None:
        for node in (A, B):
            with pytest.raises(CallTimeout, match=r"timer:sleep/1 on .* within 0\.01 s"):
                await rpc.call(node, "timer", "sleep", [10_000], timeout=0.01)
            with pytest.raises(CallTimeout):
                await rpc.call(node, "timer", "sleep", [10_000], 0.01)
        assert await rpc.call(B, "erlang", "node", [], 5) == B
        assert await rpc.call(B, "erlang", "node", [], None) == B

    between(run, body)


def test_a_caller_that_gives_up_leaves_neither_monitor_nor_message(run: Run) -> None:
    async def body(nodes: Pair) -> None:
        callables.started.clear()
        with pytest.raises(CallTimeout):
            await rpc.call(B, "callables", "for_ever", timeout=0.05)
        (started,) = callables.started
        assert await rpc.pinfo(started, "monitored_by") == (atom.monitored_by, [])
        assert nodes.a.routes[B].out_monitors == {}
        await rpc.call(B, "erlang", "exit", [started, atom.kill])
        assert Process.info(self(), "message_queue_len") == 0
        assert nodes.a.routes[B].requests == {}

    between(run, body)


def test_a_caller_that_dies_takes_its_monitor_back(run: Run) -> None:
    async def body(nodes: Pair) -> None:
        callables.started.clear()
        caller = spawn(rpc.call, B, "callables", "for_ever")
        while not callables.started:
            await rpc.call(B, "erlang", "node")
        Process.exit(caller, atom.kill)
        assert (await rpc.pinfo(callables.started[0], "monitored_by"))[1] == []
        assert nodes.a.routes[B].out_monitors == {}

    between(run, body)


def test_nothing_is_left_behind_by_many_calls(run: Run) -> None:
    async def body(nodes: Pair) -> None:
        before = nodes.b.process_count, nodes.a.process_count

        async def caller(parent: Pid, number: int) -> None:
            send(parent, (number, await rpc.call(B, "callables", "slowly", [number])))

        for number in range(300):
            spawn(caller, self(), number)
        got = [await receive(timeout=10) for _ in range(300)]
        assert sorted(got) == [(number, number) for number in range(300)]
        await settled(nodes.a, before[1])
        await settled(nodes.b, before[0])
        for route in (nodes.a.routes[B], nodes.b.routes[A]):
            assert (route.out_monitors, route.in_monitors, route.requests, route.links) == ({}, {}, {}, {})

    between(run, body)


def test_multicall(run: Run) -> None:
    async def body(nodes: Pair) -> None:
        assert await rpc.multicall("erlang", "node") == ([A, B], [])
        assert await rpc.multicall("inets", "start", []) == ([atom.ok, atom.ok], [])
        assert await rpc.multicall([B, "nobody@127.0.0.1", A], "erlang", "node", []) == (
            [B, A],
            [atom("nobody@127.0.0.1")],
        )
        assert await rpc.multicall(callables.where) == ([PlaceOn(A), PlaceOn(B)], [])
        assert await rpc.multicall([A, B], "timer", "sleep", [5000], 0.01) == ([], [A, B])
        assert await rpc.multicall([B], "callables", "throw", [1]) == ([1], [])
        assert await rpc.multicall([B], "callables", "leave", [1]) == ([(atom.badrpc, (atom.EXIT, 1))], [])
        undef = (atom.badrpc, (atom.EXIT, (UNDEF, [(atom.nomod, atom.f, [1], [])])))
        assert await rpc.multicall([B], "nomod", "f", [1]) == ([undef], [])

    between(run, body)


class Anything:
    """Equal to anything."""

    def __eq__(self, other: object) -> bool:
        return True


class PlaceOn:
    """Equal to ``(node, some pid of it)``."""

    def __init__(self, node: Any) -> None:
        self.node = node

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tuple) and other[0] is self.node and other[1].node is self.node


def test_multicall_calls_at_the_same_time(run: Run) -> None:
    async def body(nodes: Pair) -> None:
        clock = asyncio.get_running_loop().time
        start = clock()
        assert await rpc.multicall([A, B, A, B, A, B], "timer", "sleep", [100]) == ([atom.ok] * 6, [])
        assert clock() - start < 0.4

    between(run, body)


def test_erpc_multicall_tells_results_from_failures(run: Run) -> None:
    async def body(nodes: Pair) -> None:
        erpc = rpc.erpc
        assert await erpc.multicall([A, B], "callables", "add", [1]) == [(atom.ok, 2)] * 2
        assert await erpc.multicall([B], "callables", "throw", [1]) == [(atom.throw, 1)]
        assert await erpc.multicall([B], "callables", "leave", [1]) == [(atom.exit, (atom.exception, 1))]
        ((error, (exception, reason, stack)),) = await erpc.multicall([B], "callables", "error", [atom.x])
        assert (error, exception, reason) == (atom.error, atom.exception, atom.x)
        assert stack == [(atom.callables, atom.error, [atom.x], [])]
        absent = await erpc.multicall(["nobody@127.0.0.1", B], "timer", "sleep", [5000], 0.05)
        assert absent == [(atom.error, (atom.erpc, atom.noconnection)), (atom.error, (atom.erpc, atom.timeout))]

    between(run, body)


def test_requests_and_responses(run: Run) -> None:
    async def body(nodes: Pair) -> None:
        erpc = rpc.erpc
        assert await erpc.receive_response(erpc.send_request(B, "callables", "add", [1, 1])) == 2
        slow = erpc.send_request(B, "timer", "sleep", [50])
        assert await erpc.wait_response(slow) is atom.no_response
        assert await erpc.wait_response(slow, 5) == (atom.response, atom.ok)
        with pytest.raises(BeamishError, match="was taken"):
            await erpc.receive_response(slow)
        third = erpc.send_request(B, "callables", "add", [1, 1])
        answers = []
        while len(answers) < 1:
            message = await receive()
            answer = erpc.check_response(message, third)
            answers += [] if answer is atom.no_response else [answer]
        assert answers == [(atom.response, 2)]
        assert erpc.check_response((atom.hello,), third) is atom.no_response
        erpc.multicast([A, B], "erlang", "send", [self(), atom.hi])
        assert [await receive(timeout=5) for _ in range(2)] == [atom.hi] * 2

    between(run, body)


def test_async_calls_are_yielded_in_any_order(run: Run) -> None:
    async def body(nodes: Pair) -> None:
        send(self(), "before")
        keys = [rpc.async_call(node, "callables", "slowly", [number]) for number, node in enumerate([A, B, B])]
        assert await receive() == "before"
        assert [await rpc.yield_(key) for key in reversed(keys)] == [2, 1, 0]
        slow = rpc.async_call(B, "timer", "sleep", [50])
        assert await rpc.nb_yield(slow) is atom.timeout
        assert await rpc.nb_yield(slow, 5) == (atom.value, atom.ok)
        failing = rpc.async_call(B, "callables", "fail", ["x"])
        with pytest.raises(RemoteError):
            await rpc.nb_yield(failing, 5)

        async def stranger() -> None:
            with pytest.raises(BeamishError, match="process that made the call"):
                await rpc.yield_(slow)

        ref = monitor(spawn(stranger))
        assert (await receive(ref))[4] is atom.normal

    between(run, body)


def test_cast_and_eval_everywhere(run: Run) -> None:
    async def body(nodes: Pair) -> None:
        me = self()
        for node in (A, B):
            rpc.cast(node, "erlang", "send", [me, node])
            assert await receive(timeout=5) == node
        rpc.cast(B, callables.add, [1])
        assert rpc.eval_everywhere("erlang", "send", [me, 1]) is atom.abcast
        assert [await receive(timeout=5) for _ in range(2)] == [1, 1]
        await rpc.call(B, "erlang", "node")
        assert Process.info(me, "message_queue_len") == 0, "no reply to a cast arrives"

    between(run, body)


def test_a_cast_that_crashes_is_logged_on_both_sides(run: Run, crashes: Any) -> None:
    async def body(nodes: Pair) -> None:
        rpc.cast(B, "callables", "fail", ["cast away"])
        while len(crashes.texts) < 2:
            await rpc.call(B, "erlang", "node")

    between(run, body)
    there, here = crashes.texts
    assert "callables:fail/1" in there
    assert here.startswith("b@127.0.0.1: Error in process <b@127.0.0.1.")
    assert "cast away" in there
    assert "cast away" in here


def test_block_calls_run_one_after_the_other(run: Run) -> None:
    async def body(nodes: Pair) -> None:
        clock = asyncio.get_running_loop().time
        start = clock()
        done = []

        async def caller(parent: Pid) -> None:
            send(parent, await rpc.block_call(B, "timer", "sleep", [50]))

        for _ in range(3):
            spawn(caller, self())
        done = [await receive(timeout=5) for _ in range(3)]
        assert done == [atom.ok] * 3
        assert clock() - start >= 0.15
        assert await rpc.block_call(B, "callables", "throw", [7]) == 7
        for function, kind in (("fail", "error"), ("leave", "exit")):
            with pytest.raises(RemoteError) as raised:
                await rpc.block_call(B, "callables", function, ["x"])
            assert raised.value.kind == kind
        with pytest.raises(RemoteError, match="killed"):
            await rpc.block_call(B, "erlang", "apply", [atom.callables, atom.kill_me, []])

    callables.kill_me = lambda: Process.exit(self(), atom.kill)  # type: ignore[attr-defined]
    try:
        between(run, body)
    finally:
        del callables.kill_me  # type: ignore[attr-defined]


def test_output_appears_at_the_caller(run: Run) -> None:
    async def body(nodes: Pair) -> None:
        await rpc.call(B, "io", "format", [charlist("from ~p~n"), [B]])
        await rpc.block_call(B, "io", "put_chars", ["blocked\n"])
        await rpc.multicall("Elixir.IO", "puts", ["twice"])
        pid = await Node.spawn(B, "io", "nl", [])
        ref = monitor(pid)
        await receive(ref)
        assert nodes.a_output.texts == ["from 'b@127.0.0.1'\n", "blocked\n", "twice\n", "twice\n", "\n"]
        assert nodes.b_output.texts == []
        assert await rpc.call(B, "callables", "leader") == nodes.a.user

    between(run, body)


def test_spawning_on_another_node(run: Run) -> None:
    async def body(nodes: Pair) -> None:
        me = self()
        pid = await Node.spawn(B, "erlang", "send", [me, atom.hello])
        assert pid.node == B
        assert await receive(timeout=5) is atom.hello
        await Node.spawn(B, callables.for_ever)
        pid, ref = await Node.spawn(B, "callables", "for_ever", [], monitor=True)
        Process.exit(pid, atom.enough)
        assert await receive(timeout=5) == (atom.DOWN, ref, atom.process, pid, atom.enough)
        trap_exit()
        pid = await Node.spawn_link(B, "callables", "leave", [atom.bye])
        assert await receive(timeout=5) == (atom.EXIT, pid, atom.bye)
        here = await Node.spawn(A, "erlang", "send", [me, atom.local])
        assert here.node == A
        assert await receive(timeout=5) is atom.local

    between(run, body)


def test_an_unknown_function_is_the_crash_of_the_new_process(run: Run, crashes: Any) -> None:
    async def body(nodes: Pair) -> None:
        pid, ref = await Node.spawn(B, "nomod", "nofun", [1, 2], monitor=True)
        assert await receive(timeout=5) == (
            atom.DOWN,
            ref,
            atom.process,
            pid,
            (UNDEF, [(atom.nomod, atom.nofun, [1, 2], [])]),
        )
        pid, ref = await Node.spawn(B, "callables", "throw", [1], monitor=True)
        reason = (await receive(timeout=5))[4]
        assert reason[0] == (atom.nocatch, 1)
        pid, ref = await Node.spawn(B, "callables", "fail", ["x"], monitor=True)
        reason = (await receive(timeout=5))[4]
        assert (reason[0].kind, reason[0].detail) == ("builtins.ValueError", "x")

    between(run, body)
    assert len([text for text in crashes.texts if "crashed" in text]) == 3


def test_a_closure_of_another_runtime_is_refused_readably(run: Run) -> None:
    async def body(nodes: Pair) -> None:
        fun = Fun(atom.erl_eval, 0, bytes(16), 1, 2, 3, self(), [])
        with pytest.raises(RemoteError, match=r"a closure of the module erl_eval cannot run on b@127\.0\.0\.1, which"):
            await rpc.call(B, "erlang", "apply", [fun, []])

    between(run, body)


def test_fun_references_are_applied(run: Run) -> None:
    from beamish.term import ExportFun

    async def body(nodes: Pair) -> None:
        add = ExportFun(atom.callables, atom.add, 2)
        assert await rpc.call(B, "erlang", "apply", [add, [1, 2]]) == 3
        with pytest.raises(RemoteError, match="badarity"):
            await rpc.call(B, "erlang", "apply", [add, [1]])
        with pytest.raises(RemoteError, match="badfun"):
            await rpc.call(B, "erlang", "apply", [7, [1]])

    between(run, body)


def test_a_result_that_is_no_term_is_told(run: Run) -> None:
    async def body(nodes: Pair) -> None:
        with pytest.raises(RemoteError, match="object object"):
            await rpc.call(B, "callables", "unsendable")
        with pytest.raises(RemoteError, match="object object"):
            await rpc.block_call(B, "callables", "unsendable")

    between(run, body)


def test_arguments_that_are_no_terms_fail_at_the_caller(run: Run) -> None:
    async def body(nodes: Pair) -> None:
        with pytest.raises(ValueError, match="object"):
            await rpc.call(B, "callables", "add", [object()])
        assert nodes.a.routes[B].requests == {}
        assert await rpc.call(B, "erlang", "node") == B

    between(run, body)


@pytest.mark.parametrize("what", [(), ("math",), ("math", 7), ("math", "sqrt", 4.0), (callables.add, [1], [2])])
def test_calls_that_make_no_sense_are_type_errors(run: Run, what: tuple[Any, ...]) -> None:
    async def body(nodes: Pair) -> None:
        with pytest.raises(TypeError, match=r"takes a function|are a list|positional"):
            await rpc.call(B, *what)

    between(run, body)


def test_a_cast_passed_on_obeys_the_policy(run: Run, crashes: Any) -> None:
    async def body(nodes: Pair) -> None:
        for module in ("rpc", "erpc"):
            await rpc.call(B, module, "cast", [B, atom.callables, atom.add, [1]])
        await Node.spawn(B, "erlang", "spawn", [atom.callables, atom.add, [1]])
        while len(crashes.texts) < 6:
            await rpc.call(B, "erlang", "node")

    between(run, body, b_exports=[])
    assert all("not exported" in text for text in crashes.texts)


def test_text_made_by_a_named_function_is_made_on_the_node_that_asked(run: Run) -> None:
    async def body(nodes: Pair) -> None:
        evaluate = nodes.b.services["io_evaluate"]

        async def on_b(pid: Pid, *mfa: Any) -> Any:
            return await nodes.b.run(evaluate, pid, *mfa)

        assert await on_b(self(), atom.callables, atom.add, [1, 1]) == 2
        with pytest.raises(RemoteError, match="not exported"):
            await on_b(nodes.b.user, atom.callables, atom.add, [1, 1])

    between(run, body, b_exports=[])


def test_server_call_abcast_and_sbcast(run: Run) -> None:
    async def body(nodes: Pair) -> None:
        assert await rpc.server_call(B, "rex", atom.rex, (atom.sbcast, atom.rex, atom.hi)) == B
        with pytest.raises(RemoteError, match="noproc"):
            await rpc.server_call(B, "nobody", atom.x, 1)

        async def named() -> None:
            for _ in range(2):
                exit_with = await receive()
            exit(exit_with)

        nodes.b.spawn(named, name="named")
        assert rpc.abcast([B], "named", 1) is atom.abcast
        assert await rpc.sbcast([A, B, "c"], "named", 2) == ([B], [A, atom("c@127.0.0.1")])

    between(run, body)


def test_links_to_spawned_processes_break_both_ways(run: Run) -> None:
    async def body(nodes: Pair) -> None:
        callables.started.clear()

        async def owner() -> None:
            await Node.spawn_link(B, "callables", "for_ever", [])
            await receive()

        pid = spawn(owner)
        while not callables.started:
            await rpc.call(B, "erlang", "node")
        ref = monitor(callables.started[0])
        Process.exit(pid, atom.gone)
        assert (await receive(ref, timeout=5))[4] is atom.gone

    between(run, body)


def test_mfas_read_well() -> None:
    assert str(MFA(atom.math, atom.sqrt, [1])) == "math:sqrt/1"
