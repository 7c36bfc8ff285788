"""Supervision across the border: Elixir's supervisors with children of ours, ours with children on other nodes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster import Here
from oracle import Oracle

from beam import COOKIE, ErlNode, RealEpmd, eventually, unique_name
from beamish import rpc
from beamish.boot import start_node
from beamish.errors import AlreadyStarted, StartError, StartIgnored
from beamish.gen_server import GenServer
from beamish.process import Process, monitor, receive, self, trap_exit, unlink
from beamish.process.exits import text_of
from beamish.supervisor import Supervisor
from beamish.supervisor.remote_server import remote_server
from beamish.term import Pid, atom

PAGE = Path(__file__).parents[2] / "docs" / "elixir-supervisor.md"
CHILD = re.findall(r"```elixir\n(defmodule Beamish\.Child.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
TIME = 20.0
HELPERS = r"""
defmodule Trees do
  def start(specs, options \\ []) do
    {:ok, top} = Supervisor.start_link(specs, [strategy: :one_for_one] ++ options)
    Process.unlink(top)
    top
  end
  def start_error(specs) do
    Process.flag(:trap_exit, true)
    {:error, {:shutdown, {:failed_to_start_child, _, reason}}} = Supervisor.start_link(specs, strategy: :one_for_one)
    reason
  end
  def child(top), do: with([{_, pid, _, _} | _] <- Supervisor.which_children(top), do: pid)
  def next(top, old) do
    case child(top) do
      pid when is_pid(pid) and pid != old -> pid
      _ -> (Process.sleep(5); next(top, old))
    end
  end
end
:ok
"""


@pytest.fixture(scope="module")
def nodes(oracle: Oracle) -> Oracle:
    """The nodes, and what these tests need in Elixir."""
    (source,) = CHILD
    oracle.elixir.eval(HELPERS + source + "\n:ok")
    return oracle


@pytest.fixture
def logs(nodes: Oracle) -> Iterator[Callable[[str], list[str]]]:
    """What Elixir's Logger prints in a test, once a pattern was found."""
    nodes.elixir.eval("Logger.configure(level: :error); Process.flag(:trap_exit, true)")
    start = len(nodes.elixir.lines)

    def read(pattern: str) -> list[str]:
        nodes.elixir.wait_line(pattern, start=start)
        nodes.elixir.eval("Logger.flush()")
        return nodes.elixir.lines[start:]

    yield read
    nodes.elixir.eval("Logger.configure(level: :none)")


def ask(nodes: Oracle, code: str) -> Any:
    """The value of Elixir code, which talks to our node."""
    return nodes.runner.run(nodes.elixir.aeval(code, spawn=True))


def inside(nodes: Oracle, body: Callable[[], Awaitable[Any]]) -> Any:
    """Run a process of ours that traps exits."""

    async def limited() -> Any:
        async with asyncio.timeout(TIME):
            return await nodes.here.runtime.run(trapping)

    async def trapping() -> Any:
        trap_exit()
        return await body()

    return nodes.runner.run(limited())


def spec(nodes: Oracle, what: str = "Counter", args: str = "[5]", options: str = "[]") -> str:
    """A child specification without any Elixir code of ours."""
    call = f'[:"{nodes.here.name}", :beamish, :start_link, ["servers_for_tests:{what}", {args}, {options}]]'
    return f"%{{id: :child, start: {{:erpc, :call, {call}}}}}"


# ---- an Elixir supervisor with a server of ours


def test_a_server_of_ours_is_a_child_of_an_elixir_supervisor(nodes: Oracle) -> None:
    top, pid, value, links, parent = ask(
        nodes,
        f"""
        top = Trees.start([{spec(nodes)}]); pid = Trees.child(top)
        {{:status, _, _, [_, _, parent, _, _]}} = :sys.get_status(pid)
        {{top, pid, GenServer.call(pid, :value), Process.info(top, :links), parent}}
        """,
    )
    assert pid.node is nodes.here.runtime.node
    assert (value, links, parent) == (5, (atom.links, [pid]), top)
    process = nodes.here.runtime.process_of(pid)
    assert process is not None
    assert list(process.rare_parts.links or ()) == [top]
    assert process.parent == top
    assert process.leader is not None
    assert process.leader.node is atom(nodes.elixir.name)
    nodes.runner.run(nodes.elixir.aeval(f"Supervisor.stop({nodes.literal(top)})"))
    assert nodes.here.runtime.process_of(pid) is None


@pytest.mark.parametrize("death", ["Process.exit(pid, :kill)", "GenServer.cast(pid, {:stop, :bad})", "GenServer.stop(pid)"])
def test_it_is_started_again(nodes: Oracle, death: str) -> None:
    code = f"top = Trees.start([{spec(nodes)}]); pid = Trees.child(top); {death}; new = Trees.next(top, pid)"
    old, new, value = ask(nodes, code + "; {pid, new, GenServer.call(new, :value)}")
    assert old != new
    assert value == 5


def test_the_crash_is_readable_in_elixir_s_log(nodes: Oracle, logs: Callable[[str], list[str]]) -> None:
    code = f"top = Trees.start([{spec(nodes)}]); pid = Trees.child(top); "
    ask(nodes, code + "Task.start(fn -> GenServer.call(pid, :boom) end); Trees.next(top, pid); :ok")
    lines = logs(r"GenServer\.call\(")
    assert lines.count("Traceback (most recent call last):") == 2  # of the server, and of the caller that it took along
    assert '    raise ValueError("no cheese")' in lines
    assert "** (RuntimeError) ValueError: no cheese" in lines
    assert "        ** (RuntimeError) ValueError: no cheese" in lines
    assert any(line.endswith(':servers_for_tests."Counter.handle_call"/3') for line in lines)
    assert not any("\\n" in line for line in lines)


def test_shutting_down_calls_terminate(nodes: Oracle) -> None:
    code = f"""
        top = Trees.start([{spec(nodes, args="[{:trap, self()}]")}]); pid = Trees.child(top); Process.monitor(pid)
        Supervisor.stop(top); {{Same.receive_one(), Same.receive_one()}}
    """
    told, down = ask(nodes, code)
    assert told == (atom.terminated, atom.shutdown)
    assert (down[0], down[4]) == (atom.DOWN, atom.shutdown)


def test_it_ends_with_its_supervisor(nodes: Oracle) -> None:
    for args in ("[5]", "[{:trap, 5}]"):
        code = f"""
            top = Trees.start([{spec(nodes, args=args)}]); pid = Trees.child(top); Process.monitor(pid); Process.exit(top, :kill)
            Same.receive_one()
        """
        assert ask(nodes, code)[4] is atom.killed


def test_names(nodes: Oracle) -> None:
    code = f"""
        named = {spec(nodes, options="[name: :elixirs_child]")}; there = {{:elixirs_child, :"{nodes.here.name}"}}
        top = Trees.start([named]); value = GenServer.call(there, :value); taken = Trees.start_error([named])
        {{value, taken, Trees.child(top), Supervisor.stop(top), Trees.start([{spec(nodes, options="[name: {:global, 9}]")}]),
          GenServer.call({{:global, 9}}, :value)}}
    """
    value, taken, pid, _, top, again = ask(nodes, code)
    assert (value, again) == (5, 5)
    assert taken == (atom.already_started, pid)
    ask(nodes, f"Supervisor.stop({nodes.literal(top)})")


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"args": "[{:stop, :bad}]"}, "bad"),
        ({"args": "[{:stop, {:shutdown, 1}}]"}, "(atom.shutdown, 1)"),
        ({"args": "[1, 2]"}, "TypeError: Counter.init"),
        ({"what": "Missing"}, "has no servers_for_tests:Missing that could be started"),
        ({"what": "Shop", "args": "%{label: 5}"}, "5 is no str"),
        ({"what": "Shop", "args": "%{cheese: 5}"}, "unexpected keyword argument 'cheese'"),
        ({"args": ":none"}, "the arguments are a list, or a map for keywords, not atom.none"),
        ({"options": "[nam: :a]"}, "start_link has the options name and timeout, not nam"),
        ({"options": '[name: "a"]'}, "a name is an atom"),
        ({"options": ":none"}, "the options are a keyword list or a map"),
    ],
)
def test_a_start_that_fails_says_why(nodes: Oracle, given: dict[str, str], reason: str) -> None:
    assert reason in text_of(ask(nodes, f"Trees.start_error([{spec(nodes, **given)}])"))


def test_what_is_not_exported_is_not_started(real_epmd: RealEpmd, nodes: Oracle) -> None:
    async def body() -> Any:
        runtime = await start_node(unique_name("closed"), cookie=COOKIE, epmd_port=real_epmd.port, exports=["json"])
        try:
            return await nodes.elixir.aeval(f"Trees.start_error([{spec(nodes)}])".replace(nodes.here.name, str(runtime.node)))
        finally:
            await runtime.stop()

    kind, text = nodes.runner.run(body())
    assert kind is atom.notsup
    assert b"servers_for_tests is not exported" in text
    assert b"setting `exports`" in text


def test_a_slow_init_is_given_up(nodes: Oracle) -> None:
    reason = ask(nodes, f"Trees.start_error([{spec(nodes, what='Slow', args='[]', options='[timeout: 30]')}])")
    assert reason is atom.timeout


def test_typed_arguments_of_init(nodes: Oracle) -> None:
    code = f"""top = Trees.start([{spec(nodes, what="Shop", args='%{label: "Kwik"}')}]); GenServer.call(Trees.child(top), :named)"""
    assert ask(nodes, code) == b"Kwik"


def test_spawn_link_is_enough_for_a_function(nodes: Oracle) -> None:
    code = f"""
        defmodule Spawned do
          def start_link(node), do: {{:ok, Node.spawn_link(node, :servers_for_tests, :wait_for_end, [])}}
        end
        top = Trees.start([%{{id: :s, start: {{Spawned, :start_link, [:"{nodes.here.name}"]}}}}]); pid = Trees.child(top)
        send(pid, :end); new = Trees.next(top, pid); {{pid, new, Supervisor.stop(top)}}
    """
    old, new, _ = ask(nodes, code)
    assert old.node is new.node is nodes.here.runtime.node


# ---- Beamish.Child, as the docs have it


def test_the_documented_child_waits_for_its_node(real_epmd: RealEpmd, nodes: Oracle) -> None:
    async def begin(name: str) -> Here:
        return Here(await start_node(name, cookie=COOKIE, epmd_port=real_epmd.port))

    async def body() -> None:
        name = unique_name("away")
        child = f'{{Beamish.Child, node: :"{name}", start: "servers_for_tests:Counter", args: [5], name: :waited, '
        missing = await nodes.elixir.aeval(f"Trees.start_error([{child} wait: 0}}])")
        assert missing == (atom.nodedown, atom(name))
        starting = asyncio.ensure_future(nodes.elixir.aeval(f"Process.register(Trees.start([{child} id: :c}}]), :waiting)"))
        first = await begin(name)
        await starting
        old, value = await nodes.elixir.aeval("{Trees.child(:waiting), GenServer.call(Trees.child(:waiting), :value)}")
        assert value == 5
        await first.runtime.stop()
        second = await begin(name)
        try:
            new = await nodes.elixir.aeval(f"Trees.next(:waiting, {nodes.literal(old)})")
            assert new.node is second.runtime.node
            assert new.creation != old.creation
            assert await nodes.elixir.aeval(f'GenServer.call({{:waited, :"{name}"}}, :value)') == 5
            await nodes.elixir.aeval("Supervisor.stop(:waiting)")
            assert second.runtime.process_of(new) is None
        finally:
            await second.runtime.stop()

    nodes.runner.run(body())


# ---- a supervisor of ours with children elsewhere

FORMS = {
    "callbacks": ("Elixir.Counter", 5),
    "function": (("Elixir.GenServer", "start_link"), atom("Elixir.Counter"), 5),
    "class": ("servers_for_tests:Counter", 5),
}


@pytest.fixture(scope="module")
def third(real_epmd: RealEpmd, nodes: Oracle) -> Iterator[Here]:
    """Another node of ours."""
    here = Here(nodes.runner.run(start_node(unique_name("third"), cookie=COOKIE, epmd_port=real_epmd.port)))
    yield here
    nodes.runner.run(here.runtime.stop())


async def only_child(top: Any, but: Any = None) -> Pid:
    """The running child of a supervisor, another one than `but`."""
    found: list[Any] = []

    async def there() -> bool:
        found[:] = [each.pid for each in await Supervisor.which_children(top)]
        return isinstance(found[0], Pid) and found[0] != but

    await eventually(there)
    pid: Pid = found[0]
    return pid


@pytest.mark.parametrize("form", FORMS)
def test_a_child_elsewhere(nodes: Oracle, third: Here, form: str) -> None:
    where = third.name if form == "class" else nodes.elixir.name

    async def body() -> None:
        top = await Supervisor.start_link([remote_server(where, *FORMS[form])], strategy="one_for_one")
        pid = await only_child(top)
        assert str(pid.node) == where
        if form != "function":
            assert await GenServer.call(pid, atom.value) == 5
            assert (await rpc.call(where, "sys", "get_status", [pid]))[3][2] == top.pid
        ref = monitor(pid)
        Process.exit(pid, atom.kill)
        assert (await receive((atom.DOWN, ref, ..., ..., ...)))[4] is atom.killed
        new = await only_child(top, pid)
        ref = monitor(new)
        await Supervisor.stop(top)
        assert (await receive((atom.DOWN, ref, ..., ..., ...)))[4] is atom.shutdown

    inside(nodes, body)


@pytest.mark.parametrize("form", ["callbacks", "function"])
def test_a_child_elsewhere_ends_in_order(nodes: Oracle, form: str) -> None:
    async def body() -> None:
        start, *args = FORMS[form]
        counter = remote_server(nodes.elixir.name, start, *args[:-1], (atom.trap, 5))
        pid = await counter.start()
        Process.exit(pid, (atom.tell, self()))
        assert await receive((atom.terminated, ...)) == (atom.terminated, 5)
        assert await receive((atom.EXIT, pid, ...)) == (atom.EXIT, pid, (atom.tell, self()))

    inside(nodes, body)


@pytest.mark.parametrize("form", FORMS)
def test_a_start_elsewhere_that_fails(nodes: Oracle, third: Here, form: str) -> None:
    where = third.name if form == "class" else nodes.elixir.name
    start, *args = FORMS[form]

    async def body() -> None:
        with pytest.raises(StartError, match=r"did not start: bad$") as failed:
            await remote_server(where, start, *args[:-1], (atom.stop, atom.bad)).start()
        assert failed.value.reason is atom.bad
        with pytest.raises(StartIgnored):
            await remote_server(where, *ignoring(form)).start()
        if form != "function":
            pid = await remote_server(where, *FORMS[form], name="twice").start()
            with pytest.raises(AlreadyStarted) as taken:
                await remote_server(where, *FORMS[form], name="twice").start()
            assert taken.value.pid == pid
            unlink(pid)
            await GenServer.stop(("twice", where))
        assert [message for message in await drained() if message[0] is not atom.EXIT] == []

    inside(nodes, body)


def ignoring(form: str) -> Any:
    """A server that does not want to run."""
    given = {"callbacks": ("Elixir.Ignoring", 1), "class": ("servers_for_tests:Ignoring",)}
    return given.get(form, (("Elixir.GenServer", "start_link"), atom("Elixir.Ignoring"), 1))


async def drained() -> list[Any]:
    """What is in the mailbox."""
    found = []
    while True:
        try:
            found.append(await receive(timeout=0))
        except TimeoutError:
            return found


def test_a_child_on_an_erlang_node(real_epmd: RealEpmd, nodes: Oracle) -> None:
    """Nothing of Elixir is needed there; when the node dies the child's reason is noconnection, and its start waits for it."""

    async def body() -> None:
        name = unique_name("erl")
        children = [remote_server(name, ("gen_event", "start_link"), wait=TIME), remote_server(name, "code_server", 1, wait=0.0)]
        node = await asyncio.to_thread(ErlNode, name, epmd=real_epmd)
        try:
            with pytest.raises(StartError):
                await children[1].start()
            top = await Supervisor.start_link(children[:1], strategy="one_for_one")
            old = await only_child(top)
        finally:
            await asyncio.to_thread(node.kill)
        node = await asyncio.to_thread(ErlNode, name, epmd=real_epmd)
        try:
            assert (await only_child(top, old)).creation != old.creation
            await Supervisor.stop(top)
        finally:
            await asyncio.to_thread(node.stop)
        with pytest.raises(StartError, match=r"could not be reached within 0 s") as away:
            await children[1].start()
        assert away.value.reason == (atom.nodedown, atom(name))

    inside(nodes, body)


def test_mistakes_in_a_specification() -> None:
    for given in ((1,), (("a", "b", "c"),), ("Elixir.A",), ("Elixir.A", 1, 2)):
        with pytest.raises(TypeError, match="remote_server"):
            remote_server("a@b", *given)
    with pytest.raises(TypeError, match="takes keywords"):
        remote_server("a@b", "Elixir.A", 1, label=2)
    with pytest.raises(TypeError, match="its name itself"):
        remote_server("a@b", ("Elixir.A", "start_link"), 1, name="x")
    made = remote_server("a@b", "shop:Till", 1, type="supervisor")
    assert (made.id, made.shutdown) == ("shop:Till on a@b", float("inf"))
