"""Calls by name between us and real Erlang and Elixir nodes, both ways."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from beam import COOKIE, BeamError, BeamNode, ElixirNode, ErlNode, RealEpmd, unique_name
from beamish import rpc
from beamish.boot import start_node
from beamish.errors import CallTimeout, NodeError, RemoteError
from beamish.node import Node
from beamish.node.runtime import Runtime
from beamish.process import Process, monitor, receive, self, trap_exit
from beamish.term import Atom, atom, charlist

pytestmark = pytest.mark.interop
Body = Callable[[Runtime], Awaitable[Any]]


@pytest.fixture
def serve(real_epmd: RealEpmd) -> Callable[..., Any]:
    """Start a node of ours, run a coroutine function with it outside of any process, stop it."""

    def start(body: Body, exports: Any = None) -> Any:
        async def session() -> Any:
            runtime = await start_node(
                unique_name("py"), cookie=COOKIE, hidden=True, epmd_port=real_epmd.port, exports=exports
            )
            runtime.services["epmd_port"] = real_epmd.port
            try:
                return await asyncio.wait_for(body(runtime), 60)
            finally:
                await runtime.stop()

        return asyncio.run(session())

    return start


def q(name: Atom | str) -> str:
    """An atom in Erlang's notation."""
    return f"'{name}'"


async def failure(node: BeamNode, expression: str) -> str:
    with pytest.raises(BeamError) as raised:
        await node.atext(expression)
    return str(raised.value)


# ---- Erlang calls us


def test_erlang_calls_python(serve: Any, erl_node: ErlNode) -> None:
    async def body(runtime: Runtime) -> None:
        us = q(runtime.node)
        for expression, value in {
            f"net_adm:ping({us})": atom.pong,
            f"rpc:call({us}, math, sqrt, [4.0])": 2.0,
            f"rpc:call({us}, erlang, node, [])": runtime.node,
            f"erpc:call({us}, erlang, node, [])": runtime.node,
            f"erpc:call({us}, fun erlang:node/0)": runtime.node,
            f"rpc:block_call({us}, erlang, node, [])": runtime.node,
            f"gen_server:call({{rex, {us}}}, {{call, erlang, node, [], user}})": runtime.node,
            f"rpc:call({us}, called_by_beam, greet, [<<\"x\">>])": "hello x",
            f"rpc:multicall([node(), {us}], erlang, node, [])": ([atom(erl_node.name), runtime.node], []),
            f"rpc:multicall([{us}], inets, start, [])": ([atom.ok], []),
            f"rpc:call({us}, inets, start, [])": (atom.error, (atom.already_started, atom.inets)),
            f"rpc:yield(rpc:async_call({us}, timer, sleep, [10]))": atom.ok,
            f"begin K = rpc:async_call({us}, timer, sleep, [300]), [rpc:nb_yield(K), rpc:nb_yield(K, 5000)] end":
                [atom.timeout, (atom.value, atom.ok)],
            f"begin rpc:cast({us}, erlang, send, [self(), hi]), receive hi -> yes after 5000 -> no end end": atom.yes,
            f"begin erpc:cast({us}, erlang, send, [self(), ho]), receive ho -> yes after 5000 -> no end end": atom.yes,
            f"rpc:call({us}, timer, sleep, [5000], 50)": (atom.badrpc, atom.timeout),
            f"rpc:call({us}, rpc, call, [node(), erlang, node, []])": atom(erl_node.name),
            f"rpc:sbcast([{us}], rex, hi)": ([runtime.node], []),
            f"rpc:sbcast([{us}], nobody, hi)": ([], [runtime.node]),
            f"rpc:eval_everywhere([{us}], erlang, node, [])": atom.abcast,
            f"rpc:server_call({us}, rex, rex, {{sbcast, nobody, 1}})": (atom.nonexisting_name, atom.nobody),
            f"sys:get_state({{rex, {us}}})": {atom.running: 0, atom.waiting: 0},
        }.items():  # fmt: skip
            found = await erl_node.aeval(expression)
            assert (found.decode() if isinstance(found, bytes) else found) == value, expression

    serve(body)


FAILING_CALLS = (
    "nomod, f, [1]", "erlang, exit, [x]", "erlang, error, [x]", "erlang, throw, [x]", "erlang, node, [1, 2]",
    "erlang, exit, [normal]", "lists, no_such, []", "nomod, f, []",
)  # fmt: skip


def test_erlang_sees_erlangs_own_failures(serve: Any, erl_node: ErlNode) -> None:
    """Whatever a call does, the shapes are those that Erlang gives for a node of its own."""

    async def body(runtime: Runtime) -> None:
        us = q(runtime.node)
        for call in FAILING_CALLS:
            for verb in ("rpc:call", "rpc:block_call", "catch erpc:call"):
                theirs = await erl_node.aeval(f"{verb}({q(erl_node.name)}, {call})")
                ours = await erl_node.aeval(f"{verb}({us}, {call})")
                assert _without_places(ours) == _without_places(theirs), (verb, call)
            for expression in ("erpc:multicall([{node}], {call})", "rpc:multicall([{node}], {call})"):
                theirs = await erl_node.aeval(expression.format(node=q(erl_node.name), call=call))
                ours = await erl_node.aeval(expression.format(node=us, call=call))
                assert _without_places(ours) == _without_places(theirs), (expression, call)

    serve(body)


def _without_places(term: Any) -> Any:
    """A stack's files and lines, and the caller's own frames, are not the answer's."""
    match term:
        case (Atom(), Atom(), (int() | list()) as arity, list()):
            return term[0], term[1], len(arity) if isinstance(arity, list) else arity
        case tuple():
            return tuple(_without_places(part) for part in term)
        case list():
            shown = [_without_places(part) for part in term]
            callers = (atom.erpc, atom.rpc, atom.erl_eval, atom.erts_internal, atom.gen_server)
            return [part for part in shown if not (isinstance(part, tuple) and len(part) == 3 and part[0] in callers)]
    return term


def test_a_python_exception_is_readable_in_erlang(serve: Any, erl_node: ErlNode) -> None:
    async def body(runtime: Runtime) -> None:
        us = q(runtime.node)
        call = f'({us}, json, loads, [<<"{{">>])'
        badrpc, (_, (reason, stack)) = await erl_node.aeval("rpc:call" + call)
        assert badrpc is atom.badrpc
        assert reason.kind == "json.decoder.JSONDecodeError"
        assert reason.detail.startswith("Expecting property name")
        assert reason.traceback.startswith("Traceback (most recent call last):\n")
        assert "beamish" not in reason.traceback
        assert stack[-1][:3] == (atom.json, atom.loads, 1)
        assert "Expecting property name" in await failure(erl_node, "erpc:call" + call)

    serve(body)


def test_erlang_spawns_on_us(serve: Any, erl_node: ErlNode, caplog: pytest.LogCaptureFixture) -> None:
    async def body(runtime: Runtime) -> None:
        us = q(runtime.node)
        for expression, value in {
            f"begin spawn({us}, erlang, send, [self(), hi]), receive hi -> yes after 5000 -> no end end": atom.yes,
            f"begin {{P, R}} = spawn_monitor({us}, erlang, exit, [bye]), "
            "receive {'DOWN', R, process, P, Y} -> Y after 5000 -> no end end": atom.bye,
            f"begin process_flag(trap_exit, true), P = spawn_link({us}, erlang, exit, [bye]), "
            "receive {'EXIT', P, Y} -> Y after 5000 -> no end end": atom.bye,
            f"begin P = spawn_opt({us}, timer, sleep, [infinity], [link, {{priority, high}}, {{min_heap_size, 100}}]), "
            "unlink(P), exit(P, kill), M = monitor(process, P), "
            "receive {'DOWN', M, process, P, Y} -> Y after 5000 -> no end end": atom.noproc,
            f"begin P = spawn({us}, timer, sleep, [infinity]), M = monitor(process, P), exit(P, enough), "
            "receive {'DOWN', M, process, P, Y} -> Y after 5000 -> no end end": atom.enough,
            f"begin Q = spawn_request({us}, erlang, exit, [x], [{{monitor, [{{tag, hm}}]}}]), "
            "receive {spawn_reply, Q, ok, P} -> "
            "receive {hm, Q, process, P, Y} -> Y after 5000 -> no end end end": atom.x,
            f"begin {{P, R}} = spawn_monitor({us}, nomod, nofun, [1]), "
            "receive {'DOWN', R, process, P, Y} -> Y after 5000 -> no end end":
                (atom.undef, [(atom.nomod, atom.nofun, [1], [])]),
            f"begin P = spawn({us}, erlang, node, []), node(P) end": runtime.node,
        }.items():  # fmt: skip
            assert await erl_node.aeval(expression, spawn=True) == value, expression

    serve(body)
    assert [
        r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR and "nomod:nofun/1" not in r.getMessage()
    ] == []


def test_a_closure_fails_readably_and_at_once(serve: Any, erl_node: ErlNode) -> None:
    text = "cannot run on .*, which runs Python"

    async def body(runtime: Runtime) -> None:
        us = q(runtime.node)
        assert "which runs Python" in await failure(erl_node, f"erpc:call({us}, fun() -> 1 end)")
        badrpc, (_, ((badfun, why), _)) = await erl_node.aeval(f"rpc:call({us}, erlang, apply, [fun() -> 1 end, []])")
        assert (badrpc, badfun) == (atom.badrpc, atom.badfun)
        assert b"which runs Python" in why
        start = len(erl_node.lines)
        await erl_node.aeval(f"begin spawn({us}, fun() -> 1 end), ok end", spawn=True)
        await erl_node.await_line(text, start=start)

    serve(body)


def test_the_policy_is_obeyed_and_named(serve: Any, erl_node: ErlNode) -> None:
    async def body(runtime: Runtime) -> None:
        us = q(runtime.node)
        assert await erl_node.aeval(f"rpc:call({us}, math, sqrt, [4.0])") == 2.0
        for call in (f"rpc:call({us}, os, getpid, [])", f"rpc:call({us}, erlang, apply, [os, getpid, []])"):
            _, (_, ((notsup, why), stack)) = await erl_node.aeval(call)
            assert notsup is atom.notsup
            assert b"setting `exports`" in why
            assert stack == [(atom.os, atom.getpid, [], [])]

    serve(body, exports=["math"])


def test_output_appears_at_the_caller_and_not_here(
    serve: Any, erl_node: ErlNode, capfd: pytest.CaptureFixture[str]
) -> None:
    async def body(runtime: Runtime) -> None:
        us = q(runtime.node)
        start = len(erl_node.lines)
        await erl_node.aeval(f'rpc:call({us}, io, format, ["by rpc ~p~n", [{us}]])')
        await erl_node.await_line(f"by rpc '?{runtime.node}", start=start)
        await erl_node.aeval(f'begin spawn({us}, io, put_chars, ["by spawn\\n"]), ok end')
        await erl_node.await_line("by spawn", start=start)
        await erl_node.aeval(f'rpc:call({us}, builtins, print, [<<"by print">>])')
        await erl_node.await_line("by print", start=start)

    serve(body)
    assert "by " not in capfd.readouterr().out


def test_erlang_asks_what_node_this_is(serve: Any, erl_node: ErlNode) -> None:
    async def body(runtime: Runtime) -> None:
        us = q(runtime.node)
        assert await erl_node.aeval(f"rpc:call({us}, erlang, system_info, [process_count])") == pytest.approx(
            runtime.process_count, abs=3
        )
        assert await erl_node.aeval(f"rpc:call({us}, erlang, system_info, [otp_release])") == [ord(c) for c in "25"]
        memory = dict(await erl_node.aeval(f"rpc:call({us}, erlang, memory, [])"))
        assert memory[atom.total] == pytest.approx(rpc.memory(runtime)["total"], rel=0.2)
        rex = f"rpc:call({us}, erlang, whereis, [rex])"
        info = dict(await erl_node.aeval(f"rpc:pinfo({rex})"))
        assert info[atom.registered_name] is atom.rex
        assert await erl_node.aeval(f"rpc:pinfo({rex}, status)") == (atom.status, atom.waiting)
        ok, names = await erl_node.aeval(f"rpc:call({us}, net_adm, names, [])")
        assert ok is atom.ok
        assert {"".join(map(chr, name)) for name, _ in names} >= {str(runtime.node).partition("@")[0]}
        assert await erl_node.aeval(f"rpc:call({us}, net_adm, ping, [node()])") is atom.pong

    serve(body)


def test_many_callers_at_once(serve: Any, erl_node: ErlNode) -> None:
    async def body(runtime: Runtime) -> None:
        us = q(runtime.node)
        before = runtime.process_count
        sums = await erl_node.aeval(
            "begin Me = self(), "
            f"[spawn(fun() -> Me ! {{sum, erpc:call({us}, builtins, sum, [[N, N]])}} end) || N <- lists:seq(1, 500)], "
            "lists:sum([receive {sum, S} -> S after 10000 -> none end || _ <- lists:seq(1, 500)]) end"
        )
        assert sums == 500 * 501
        assert runtime.process_count == before, "the end of a process is the result of its call"
        (wire,) = runtime.routes.values()
        assert (wire.in_monitors, wire.out_monitors, wire.links) == ({}, {}, {})

    serve(body)


# ---- Elixir calls us


def test_elixir_calls_python(serve: Any, elixir_node: ElixirNode) -> None:
    async def body(runtime: Runtime) -> None:
        us = f":{runtime.node}"
        for expression, shown in {
            f"Node.connect({us})": "true",
            f"Node.ping({us})": ":pong",
            f":rpc.call({us}, :math, :sqrt, [4.0])": "2.0",
            f":erpc.call({us}, :math, :sqrt, [4.0])": "2.0",
            f':rpc.call({us}, :called_by_beam, :greet, ["x"])': '"hello x"',
            f":rpc.multicall([node(), {us}], :erlang, :node, [])": f"{{[:{elixir_node.name}, {us}], []}}",
            f":rpc.call({us}, Node, :self, [])": us,
            f":rpc.call({us}, Process, :whereis, [:nobody])": "nil",
            f"Node.spawn({us}, :erlang, :send, [self(), :hi]); receive do x -> x after 5000 -> :no end": ":hi",
            f":rpc.async_call({us}, :timer, :sleep, [10]) |> :rpc.yield()": ":ok",
            f"GenServer.call({{:rex, {us}}}, {{:call, :erlang, :node, [], :user}})": us,
            f":rpc.call({us}, :dict, :nothing, [])": "{:badrpc, {:EXIT, {:undef, [{:dict, :nothing, [], []}]}}}",
        }.items():
            assert await elixir_node.atext(expression) == shown, expression
        start = len(elixir_node.lines)
        await elixir_node.aeval(f'Node.spawn({us}, IO, :puts, ["from elixir"])')
        await elixir_node.await_line("from elixir", start=start)

    serve(body)


def test_elixir_shows_a_python_exception_readably(serve: Any, elixir_node: ElixirNode) -> None:
    async def body(runtime: Runtime) -> None:
        us = f':"{runtime.node}"'
        shown = await failure(elixir_node, f':erpc.call({us}, :json, :loads, ["{{"])')
        assert "(ErlangError) Erlang error:" in shown
        assert 'detail: "Expecting property name' in shown
        assert 'kind: :"json.decoder.JSONDecodeError"' in shown
        why = f'{{:badrpc, {{:EXIT, why}}}} = :rpc.call({us}, :json, :loads, ["{{"]); Exception.format_exit(why)'
        lines = (await elixir_node.aeval(why)).decode().splitlines()
        assert lines[:3] == [
            "an exception was raised:",
            "    ** (RuntimeError) json.decoder.JSONDecodeError: "
            "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
            "Traceback (most recent call last):",
        ]

    serve(body)


def test_elixirs_closures_fail_readably_and_at_once(serve: Any, elixir_node: ElixirNode) -> None:
    async def body(runtime: Runtime) -> None:
        us = f':"{runtime.node}"'
        assert "which runs Python" in await failure(elixir_node, f":erpc.call({us}, fn -> 1 end)")
        start = len(elixir_node.lines)
        assert await elixir_node.atext(f"is_pid(Node.spawn({us}, fn -> 1 end))") == "true"
        await elixir_node.await_line("which runs Python", start=start)

    serve(body)


def test_elixir_names_map_through_exports(serve: Any, elixir_node: ElixirNode) -> None:
    async def body(runtime: Runtime) -> None:
        us = f':"{runtime.node}"'
        assert await elixir_node.atext(f':rpc.call({us}, My.Text, :greet, ["x"])') == '"hello x"'
        assert "is not exported on" in await elixir_node.atext(f":rpc.call({us}, My.Other, :run, [])")

    serve(body, exports={"Elixir.My.Text": "called_by_beam"})


# ---- we call them


def as_process(body: Body) -> Body:
    """Run the body as a process of our node."""

    async def run(runtime: Runtime) -> Any:
        return await runtime.run(body, runtime)

    return run


def test_python_calls_erlang(serve: Any, erl_node: ErlNode) -> None:
    async def body(runtime: Runtime) -> None:
        peer = atom(erl_node.name)
        assert await rpc.call(peer, "erlang", "node") == peer
        assert await rpc.call(peer, "lists", "seq", [1, 3]) == [1, 2, 3]
        assert await rpc.block_call(peer, "erlang", "node") == peer
        assert await rpc.yield_(rpc.async_call(peer, "timer", "sleep", [10])) is atom.ok
        rpc.cast(peer, "erlang", "send", [self(), atom.hi])
        assert await receive(timeout=5) is atom.hi
        nobody = atom(unique_name("nobody"))
        assert await rpc.multicall([runtime.node, peer, nobody], "erlang", "node", []) == (
            [runtime.node, peer],
            [nobody],
        )
        with pytest.raises(NodeError):
            await rpc.call(nobody, "erlang", "node")
        with pytest.raises(CallTimeout):
            await rpc.call(peer, "timer", "sleep", [5000], timeout=0.05)
        assert await rpc.pinfo(await rpc.call(peer, "erlang", "whereis", [atom.rex]), "status") == (
            atom.status,
            atom.waiting,
        )
        assert await rpc.sbcast([peer], "rex", "x") == ([peer], [])
        assert await rpc.server_call(peer, "rex", atom.rex, (atom.sbcast, atom.nobody, 1)) == (
            atom.nonexisting_name,
            atom.nobody,
        )
        assert await rpc.net_adm.ping(peer) is atom.pong
        ok, names = await rpc.net_adm.names()
        assert ok is atom.ok
        assert str(peer).partition("@")[0] in [name for name, _ in names]

    serve(as_process(body))


@pytest.mark.parametrize(
    ("call", "kind", "reason", "text"),
    [
        (("erlang", "error", [atom.bad]), "error", atom.bad, "erlang:error/1 on {node} failed with bad"),
        (("erlang", "exit", [atom.bad]), "exit", atom.bad, "erlang:exit/1 on {node} exited with bad"),
        (("erlang", "throw", [atom.bad]), "throw", atom.bad, "erlang:throw/1 on {node} threw bad"),
        (
            ("nomod", "f", [1]),
            "error",
            atom.undef,
            "on {node} failed: no such function is exported there\n  in nomod:f/1",
        ),
        (
            ("binary", "copy", [7]),
            "error",
            atom.badarg,
            "on {node} failed with badarg\n  in binary:copy/1",
        ),
        (("lists", "map", [7, []]), "error", atom.function_clause, "in lists:map/2 (lists.erl, line "),
    ],
)
def test_erlangs_failures_are_exceptions(
    serve: Any, erl_node: ErlNode, call: Any, kind: str, reason: Any, text: str
) -> None:
    async def body(runtime: Runtime) -> None:
        with pytest.raises(RemoteError) as raised:
            await rpc.call(erl_node.name, *call)
        assert (raised.value.kind, raised.value.reason) == (kind, reason)
        assert text.format(node=erl_node.name) in str(raised.value)

    serve(as_process(body))


def test_erlangs_output_appears_here(serve: Any, erl_node: ErlNode, capfd: pytest.CaptureFixture[str]) -> None:
    async def body(runtime: Runtime) -> None:
        start = len(erl_node.lines)
        await rpc.call(erl_node.name, "io", "format", [charlist("printed ~p~n"), [atom.here]])
        assert [line for line in erl_node.lines[start:] if "printed" in line] == []

    serve(as_process(body))
    assert capfd.readouterr().out == "printed here\n"


def test_python_spawns_on_erlang(serve: Any, erl_node: ErlNode) -> None:
    async def body(runtime: Runtime) -> None:
        trap_exit()
        pid = await Node.spawn(erl_node.name, "erlang", "send", [self(), atom.hi])
        assert str(pid.node) == erl_node.name
        assert await receive(timeout=5) is atom.hi
        pid = await Node.spawn_link(erl_node.name, "timer", "sleep", [atom.infinity])
        Process.exit(pid, atom.enough)
        assert await receive(timeout=5) == (atom.EXIT, pid, atom.enough)
        pid, ref = await Node.spawn(erl_node.name, "erlang", "exit", [atom.bye], monitor=True)
        assert await receive(timeout=5) == (atom.DOWN, ref, atom.process, pid, atom.bye)
        ref = monitor((atom.nobody, erl_node.name))
        assert (await receive(ref, timeout=5))[4] is atom.noproc

    serve(as_process(body))


def test_a_caller_that_gives_up_leaves_no_monitor_in_erlang(serve: Any, erl_node: ErlNode) -> None:
    async def body(runtime: Runtime) -> None:
        await rpc.call(erl_node.name, "erlang", "register", [atom.sleeper, await sleeper(erl_node.name)])
        with pytest.raises(CallTimeout):
            await rpc.call(erl_node.name, "gen_server", "call", [atom.sleeper, atom.x, atom.infinity], timeout=0.05)
        pid = await rpc.call(erl_node.name, "erlang", "whereis", [atom.sleeper])
        _, watchers = await rpc.pinfo(pid, "monitored_by")
        for watcher in watchers:
            assert (await rpc.pinfo(watcher, "monitored_by"))[1] == []
        Process.exit(pid, atom.kill)

    serve(as_process(body))


async def sleeper(node: str) -> Any:
    return await Node.spawn(node, "timer", "sleep", [atom.infinity])


def test_python_calls_elixir(serve: Any, elixir_node: ElixirNode) -> None:
    async def body(runtime: Runtime) -> None:
        peer = elixir_node.name
        assert await rpc.call(peer, "Elixir.String", "upcase", ["abc"]) in (b"ABC", "ABC")
        assert await rpc.call(peer, "Elixir.Enum", "sum", [[1, 2]]) == 3
        with pytest.raises(RemoteError) as raised:
            await rpc.call(peer, "Elixir.String", "to_integer", ["x"])
        assert raised.value.reason is atom.badarg
        assert "erlang:binary_to_integer/1" in str(raised.value)

    serve(as_process(body))


def test_a_crash_there_is_logged_here(serve: Any, erl_node: ErlNode, caplog: pytest.LogCaptureFixture) -> None:
    async def body(runtime: Runtime) -> None:
        await Node.spawn(erl_node.name, "nomod", "crash", [])
        async with asyncio.timeout(5):
            while not any("nomod" in record.getMessage() for record in caplog.records):
                await Process.sleep(0.01)

    serve(as_process(body))
    (shown,) = [record.getMessage() for record in caplog.records if "nomod" in record.getMessage()]
    assert shown.startswith(f"{erl_node.name}: Error in process <")
    assert shown.endswith("{undef,[{nomod,crash,[],[]}]}")
