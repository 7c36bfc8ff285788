"""Erlang's modules on our node: called by name as a peer would, compared with the shapes OTP 25 gives."""

from __future__ import annotations

import time
from typing import Any

import pytest

from beamish.errors import RemoteError
from beamish.node.runtime import current_runtime
from beamish.process import Process, receive, register, self, send, spawn
from beamish.rpc import call, start_services, system_info
from beamish.rpc.modules.process_facts import CONSTANT, DEFAULT_FACTS
from beamish.term import Atom, Charlist, ExportFun, Pid, Ref, TermMap, atom, charlist
from beamish.testing import assert_receive
from loops import virtual

FAR = Pid(atom("far@vm"), 1, 2, 3)


async def erlang(function: str, *args: Any) -> Any:
    return await on("erlang", function, *args)


async def on(module: str, function: str, *args: Any) -> Any:
    runtime = current_runtime()
    if "rex" not in map(str, runtime.names):
        await start_services(runtime)
    return await call(runtime.node, module, function, list(args))


async def reason(module: str, function: str, *args: Any) -> Any:
    with pytest.raises(RemoteError) as raised:
        await on(module, function, *args)
    return raised.value.reason


async def rest() -> None:
    await receive()


# ---- erlang: nodes and processes


@virtual
async def test_nodes() -> None:
    node = current_runtime().node
    assert await erlang("node") is node
    assert await erlang("node", FAR) == atom("far@vm")
    assert await erlang("nodes") == []
    assert await erlang("nodes", atom.this) == [node]
    assert await erlang("nodes", [atom.this, atom.visible, atom.known]) == [node]
    assert await erlang("is_alive") is False
    for wrong in (atom.nothing, 7, [atom.visible, 7]):
        assert await reason("erlang", "nodes", wrong) is atom.badarg
    assert await reason("erlang", "node", 7) is atom.badarg


@virtual
async def test_names() -> None:
    assert await erlang("whereis", atom.rex) == current_runtime().names[atom.rex].pid
    assert await erlang("whereis", atom.nobody) is atom.undefined
    assert await reason("erlang", "whereis", 7) is atom.badarg
    assert atom.rex in await erlang("registered")
    assert await erlang("register", atom.tester, self()) is True
    assert await reason("erlang", "register", atom.tester, self()) is atom.badarg
    assert await erlang("unregister", atom.tester) is True
    assert await reason("erlang", "unregister", atom.tester) is atom.badarg


@virtual
async def test_the_process_of_the_call() -> None:
    pid = await erlang("self")
    assert pid.node is current_runtime().node
    assert await erlang("is_process_alive", pid) is False
    assert await erlang("is_process_alive", self()) is True
    assert self() in await erlang("processes")
    assert await reason("erlang", "is_process_alive", FAR) is atom.badarg


@virtual
async def test_sending_and_exits() -> None:
    assert await erlang("send", self(), 1) == 1
    assert await receive() == 1
    register("tester", self())
    assert await erlang("send", atom.tester, 2, []) is atom.ok
    assert await receive() == 2
    assert await reason("erlang", "send", atom.nobody, 1) is atom.badarg
    pid = spawn(rest)
    Process.flag("trap_exit", True)
    Process.link(pid)
    assert await erlang("exit", pid, atom.out) is True
    assert await assert_receive() == (atom.EXIT, pid, atom.out)
    assert await reason("erlang", "exit", 7, atom.out) is atom.badarg
    assert await reason("erlang", "exit", atom.bye) is atom.bye
    assert await reason("erlang", "exit", 1, 2, 3) is atom.undef


@virtual
async def test_throw_and_error() -> None:
    with pytest.raises(RemoteError) as raised:
        await erlang("throw", 7)
    assert (raised.value.kind, raised.value.reason) == ("throw", 7)
    assert await reason("erlang", "error", atom.bad, [1]) is atom.bad


@virtual
async def test_apply_and_spawn(crashes: Any) -> None:
    node = current_runtime().node
    assert await erlang("apply", atom.erlang, atom.node, []) is node
    assert await erlang("apply", ExportFun(atom.erlang, atom.node, 0), []) is node
    with pytest.raises(RemoteError) as raised:
        await erlang("apply", atom.nomod, atom.f, [1])
    assert raised.value.stack == [(atom.nomod, atom.f, [1], [])]
    assert await reason("erlang", "apply", atom.erlang, atom.node, 7) is atom.badarg
    assert await reason("erlang", "apply", 1) is atom.undef
    pid = await erlang("spawn", atom.erlang, atom.send, [self(), 1])
    assert (await receive(), pid.node) == (1, node)
    assert isinstance(await erlang("spawn", ExportFun(atom.erlang, atom.node, 0)), Pid)
    assert await reason("erlang", "spawn", 1) is atom.badarg
    assert isinstance(await erlang("spawn", atom.nomod, atom.f, []), Pid)
    await Process.sleep(0.1)
    assert len(crashes.texts) == 1


@virtual
async def test_the_dictionary_and_flags() -> None:
    async def inside(parent: Pid) -> None:
        from beamish.rpc.modules import erlang as bifs

        seen = [bifs.put(atom.k, 1), bifs.put(atom.k, 2), bifs.get(atom.k), bifs.get(atom.none), bifs.get()]
        send(parent, [*seen, bifs.process_flag(atom.trap_exit, True), bifs.process_flag(atom.trap_exit, False)])

    spawn(inside, self())
    assert await receive() == [atom.undefined, 1, 2, atom.undefined, [(atom.k, 2)], False, True]
    assert await reason("erlang", "process_flag", atom.priority, atom.high) is atom.badarg


@virtual
async def test_process_info_of_a_process() -> None:
    async def named() -> None:
        Process.put(atom.key, 1)
        Process.monitor(rested)
        await receive()

    rested = spawn(rest)
    pid = spawn(named, name="named")
    send(pid, None)
    await Process.sleep(0)
    pid = spawn(named)
    await Process.sleep(0.01)
    facts = await erlang("process_info", pid)
    assert [fact[0] for fact in facts] == [fact for fact in DEFAULT_FACTS if fact is not atom.registered_name]
    known = dict(facts)
    assert known[atom.dictionary] == [(atom.key, 1)]
    assert known[atom.status] is atom.waiting
    assert known[atom.message_queue_len] == 0
    module, function, arity = known[atom.initial_call]
    assert (module, arity) == (atom.test_erlang_modules, 0)
    assert isinstance(function, Atom)
    asked = [atom.monitors, atom.status, atom.links, (atom.dictionary, atom.key), atom.current_stacktrace]
    found = await erlang("process_info", pid, asked)
    assert [fact[0] for fact in found] == asked
    assert found[0][1] == [(atom.process, rested)]
    assert found[3][1] == 1
    ((_, _, _, place),) = found[4][1]
    assert place[0][0] is atom.file
    assert await erlang("process_info", rested, atom.monitored_by) == (atom.monitored_by, [pid])


@virtual
async def test_process_info_of_names_and_the_dead() -> None:
    assert await erlang("process_info", self(), atom.registered_name) == []
    assert await erlang("process_info", self(), [atom.registered_name]) == [(atom.registered_name, [])]
    register("tester", self())
    assert await erlang("process_info", self(), atom.registered_name) == (atom.registered_name, atom.tester)
    assert (await erlang("process_info", self()))[0] == (atom.registered_name, atom.tester)
    dead = await erlang("self")
    assert await erlang("process_info", dead) is atom.undefined
    assert await erlang("process_info", dead, atom.status) is atom.undefined
    for wrong in (atom.no_item, 7, (atom.x, 1, 2), [atom.status, 7]):
        assert await reason("erlang", "process_info", self(), wrong) is atom.badarg
    assert await reason("erlang", "process_info", FAR) is atom.badarg
    assert await reason("erlang", "process_info", atom.rex) is atom.badarg


OBSERVED = (
    "binary catchlevel current_function error_handler garbage_collection group_leader heap_size initial_call "
    "last_calls links memory message_queue_len monitored_by monitors priority reductions registered_name "
    "sequential_trace_token "
    "stack_size status suspending total_heap_size trace trap_exit messages dictionary current_stacktrace "
    "current_location parent backtrace"
)


@virtual
async def test_everything_an_observer_asks_for_is_answered() -> None:
    items = [atom(name) for name in OBSERVED.split()] + [atom(name) for name in CONSTANT]
    facts = await erlang("process_info", self(), items)
    assert [fact[0] for fact in facts] == items


# ---- erlang: the system


@virtual
async def test_memory() -> None:
    facts = await erlang("memory")
    assert [str(kind) for kind, _ in facts] == [
        "total", "processes", "processes_used", "system", "atom", "atom_used", "binary", "code", "ets",
    ]  # fmt: skip
    known = dict(facts)
    assert all(isinstance(size, int) and size >= 0 for size in known.values())
    assert known[atom.total] >= known[atom.processes] + known[atom.system] - 1
    assert await erlang("memory", atom.ets) == 0
    assert [kind for kind, _ in await erlang("memory", [atom.ets, atom.total])] == [atom.ets, atom.total]
    assert await reason("erlang", "memory", atom.nothing) is atom.badarg
    assert await reason("erlang", "memory", [[]]) is atom.badarg


@virtual
async def test_system_info() -> None:
    assert await erlang("system_info", atom.process_count) >= 6
    assert (
        await erlang("system_info", atom.wordsize) == await erlang("system_info", (atom.wordsize, atom.internal)) == 8
    )
    assert await erlang("system_info", atom.otp_release) == charlist("25")
    assert isinstance(await erlang("system_info", atom.system_version), Charlist)
    for wrong in (atom.no_such_key, 7, (atom.wordsize, atom.x), charlist("process_count")):
        assert await reason("erlang", "system_info", wrong) is atom.badarg
    assert await on("beamish", "system_info", "process_limit") == system_info("process_limit")
    assert (await on("beamish", "memory"))[atom.ets] == 0


@virtual
async def test_time() -> None:
    assert abs(await erlang("system_time", atom.second) - time.time()) <= 1
    assert abs(await erlang("system_time", 1000) / 1000 - time.time()) <= 1
    first = await erlang("monotonic_time")
    assert await erlang("monotonic_time") >= first
    native, offset = await erlang("system_time"), await erlang("time_offset")
    assert abs(native - offset - await erlang("monotonic_time")) < 10**9
    mega, seconds, _ = await erlang("timestamp")
    assert abs(mega * 10**6 + seconds - time.time()) <= 1
    (year, month, day), (_, _, _) = await erlang("universaltime")
    assert (year, month, day) >= (2024, 1, 1)
    for wrong in (atom.fortnight, 0, -1, []):
        assert await reason("erlang", "system_time", wrong) is atom.badarg


@virtual
async def test_terms() -> None:
    data = await erlang("term_to_binary", (atom.a, [1, b"x"]))
    assert data[0] == 131
    assert await erlang("binary_to_term", data) == (atom.a, [1, b"x"])
    assert await reason("erlang", "binary_to_term", b"\x83\xff") is atom.badarg
    assert await reason("erlang", "binary_to_term", 7) is atom.badarg
    assert await reason("erlang", "term_to_binary", object()) is atom.badarg
    assert await erlang("list_to_atom", charlist("abc")) is atom.abc
    assert await erlang("atom_to_list", atom.abc) == "abc"
    assert isinstance(await erlang("make_ref"), Ref)
    assert await erlang("unique_integer") != await erlang("unique_integer")


@virtual
async def test_what_is_refused_says_so() -> None:
    for function in ("get_cookie", "halt"):
        kind, text = await reason("erlang", function)
        assert kind is atom.notsup
        assert "beamish node" in text


@virtual
async def test_functions_and_modules() -> None:
    assert await erlang("function_exported", atom.erlang, atom.node, 0) is True
    assert await erlang("function_exported", atom.erlang, atom.node, 7) is False
    assert await erlang("module_loaded", atom.erlang) is True
    assert await erlang("module_loaded", atom.no_such_module) is False
    assert await on("code", "ensure_loaded", atom.math) == (atom.module, atom.math)
    assert await on("code", "ensure_loaded", atom.no_such_module) == (atom.error, atom.nofile)
    assert await on("code", "which", atom.erlang) is atom.preloaded
    assert await on("code", "which", atom.no_such_module) is atom.non_existing
    assert await on("code", "is_loaded", atom.no_such_module) is False
    assert (await on("code", "is_loaded", atom.pytest))[0] is atom.file


@virtual
async def test_nothing_is_loaded_that_is_not_exported() -> None:
    await start_services(current_runtime(), ["math"])
    runtime = current_runtime()
    from beamish.rpc.modules import code

    assert code.ensure_loaded(atom.math) == (atom.module, atom.math)
    assert code.ensure_loaded(atom.os) == (atom.error, atom.nofile)
    assert runtime.services["exports"].lists("math")


# ---- the others


@virtual
async def test_inets_starts_once() -> None:
    assert await on("inets", "stop") == (atom.error, (atom.not_started, atom.inets))
    assert await on("inets", "start") is atom.ok
    assert await on("inets", "start") == (atom.error, (atom.already_started, atom.inets))
    assert await on("inets", "start", atom.permanent) == (atom.error, (atom.already_started, atom.inets))
    assert await on("inets", "stop") is atom.ok
    assert await on("inets", "services") == []


@virtual
async def test_lists_and_maps() -> None:
    assert await on("lists", "reverse", [1, 2, 3]) == [3, 2, 1]
    assert await on("lists", "reverse", [1, 2], [3]) == [2, 1, 3]
    assert await on("lists", "seq", 1, 3) == [1, 2, 3]
    assert await on("lists", "seq", 5, 1, -2) == [5, 3, 1]
    assert await on("lists", "seq", 1, 0) == []
    assert await on("lists", "sum", [1, 2.5]) == 3.5
    assert await on("lists", "flatten", [1, [2, [], [[3]]]]) == [1, 2, 3]
    assert await on("lists", "duplicate", 2, atom.x) == [atom.x, atom.x]
    for function, args in (("reverse", [7]), ("seq", [1, 2, 0]), ("seq", [atom.a, 2]), ("duplicate", [-1, 1])):
        assert await reason("lists", function, *args) is atom.function_clause
    assert await reason("lists", "sum", [atom.x]) is atom.badarith
    assert await reason("lists", "seq", 1, 10**12) is atom.system_limit
    assert await on("maps", "get", atom.a, {atom.a: 1}) == 1
    assert await on("maps", "get", atom.b, {atom.a: 1}, 7) == 7
    assert await reason("maps", "get", atom.b, {}) == (atom.badkey, atom.b)
    assert await reason("maps", "keys", 7) == (atom.badmap, 7)
    assert await on("maps", "to_list", {1: 2}) == [(1, 2)]
    assert await on("maps", "put", 1, 2, {}) == TermMap([(1, 2)])
    assert await on("maps", "from_list", [(1, 2)]) == TermMap([(1, 2)])
    assert await on("maps", "size", {1: 2}) == 1
    assert await reason("maps", "from_list", [1]) is atom.badarg


@virtual
async def test_timer() -> None:
    assert await on("timer", "sleep", 10) is atom.ok
    assert await on("timer", "seconds", 2) == 2000
    assert await reason("timer", "sleep", -1) is atom.timeout_value


@virtual
async def test_output_goes_to_the_group_leader() -> None:
    printed: list[Any] = []

    async def leader() -> None:
        while True:
            _, sender, reply_as, request = await receive()
            printed.append(request)
            answer = 80 if request[0] is atom.get_geometry else atom.ok
            send(sender, (atom.io_reply, reply_as, answer))

    current_runtime().user = spawn(leader)
    me = current_runtime().process_of(self())
    assert me is not None
    me.leader = current_runtime().user
    assert await on("io", "format", charlist("~p and ~s~n"), [atom.a, charlist("b")]) is atom.ok
    assert await on("io", "put_chars", b"bytes") is atom.ok
    assert await on("io", "nl") is atom.ok
    assert await on("io", "write", (1, 2)) is atom.ok
    assert await on("io", "format", atom.user, charlist("to user"), []) is atom.ok
    assert await on("Elixir.IO", "puts", atom.hi) is atom.ok
    assert await on("Elixir.IO", "inspect", [1]) == [1]
    assert await on("io", "columns") == (atom.ok, 80)
    assert [request[2] for request in printed[:-1]] == ["a and b\n", "bytes", "\n", "{1,2}", "to user", "hi\n", "[1]\n"]
    assert await reason("io", "format", charlist("~p"), []) is atom.badarg
    assert await reason("io", "format", atom.nobody, charlist("x"), []) in (atom.badarg, atom.terminated)


@virtual
async def test_output_without_a_group_leader_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert await on("io", "put_chars", "plain\n") is atom.ok
    assert await on("io", "put_chars", atom.standard_error, "wrong\n") is atom.ok
    assert await on("io", "rows") == (atom.error, atom.enotsup)
    assert capsys.readouterr() == ("plain\n", "wrong\n")


@virtual
async def test_a_leader_that_dies_ends_the_wait() -> None:
    async def dies() -> None:
        await receive()

    me = current_runtime().process_of(self())
    assert me is not None
    me.leader = spawn(dies)
    assert await reason("io", "nl") is atom.terminated


@virtual
async def test_io_lib() -> None:
    assert await on("io_lib", "format", charlist("~3b"), [7]) == charlist("  7")
    assert await reason("io_lib", "format", charlist("~b"), [atom.x]) is atom.badarg
    assert await on("io_lib", "write", (1,)) == charlist("{1}")


@virtual
async def test_rpc_and_erpc_called_here() -> None:
    node = current_runtime().node
    args = [node, atom.erlang, atom.node, []]
    assert await on("rpc", "call", *args) is node
    assert await on("rpc", "call", *args, 1000) is node
    assert await on("rpc", "block_call", *args) is node
    assert await on("rpc", "multicall", atom.erlang, atom.node, []) == ([node], [])
    assert await on("rpc", "multicall", [node], atom.erlang, atom.node, [], atom.infinity) == ([node], [])
    assert await on("rpc", "cast", *args) is True
    assert await on("rpc", "call", atom("no@where"), atom.erlang, atom.node, []) == (atom.badrpc, atom.nodedown)
    assert await on("rpc", "call", node, atom.timer, atom.sleep, [1000], 10) == (atom.badrpc, atom.timeout)
    assert await on("rpc", "call", node, atom.erlang, atom.exit, [7]) == (atom.badrpc, (atom.EXIT, 7))
    assert await reason("rpc", "call", *args, atom.soon) is atom.badarg
    assert await on("erpc", "call", *args) is node
    assert await on("erpc", "cast", *args) is atom.ok
    assert await on("erpc", "multicall", [node], atom.erlang, atom.node, []) == [(atom.ok, node)]
    assert (await reason("erpc", "call", node, atom.erlang, atom.error, [7]))[:2] == (atom.exception, 7)
    assert await reason("erpc", "call", node, atom.erlang, atom.exit, [7]) == (atom.exception, 7)
    assert await reason("erpc", "call", node, atom.erlang, atom.throw, [7]) == 7
    assert await reason("erpc", "call", node, atom.timer, atom.sleep, [99], 1) == (atom.erpc, atom.timeout)


@virtual
async def test_elixirs_modules() -> None:
    node = current_runtime().node
    assert await on("Elixir.Node", "self") is node
    assert await on("Elixir.Node", "list") == []
    assert await on("Elixir.Node", "alive?") is False
    assert await on("Elixir.Process", "alive?", self()) is True
    assert await on("Elixir.Process", "whereis", atom.nobody) is None
    assert await on("Elixir.Process", "info", await erlang("self")) is None
    assert self() in await on("Elixir.Process", "list")
