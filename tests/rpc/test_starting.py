"""`beamish:start_link` between nodes in memory: who the server belongs to, and what the answers are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from beamish import rpc
from beamish.errors import AlreadyStarted, StartError, StartIgnored
from beamish.gen_server import IGNORE, GenServer, Stop, call
from beamish.node.runtime import current_runtime
from beamish.process import Process, monitor, receive, self, spawn, trap_exit
from beamish.process.exits import PythonException
from beamish.rpc.modules.starting import _caller
from beamish.rpc.outcome import ErlangError
from beamish.supervisor import Supervisor, remote_server
from beamish.term import Pid, atom
from beamish.testing import MemoryCluster, clustered

B = "b@memory"
HERE = __name__


@dataclass
class Limits:
    most: int
    label: str = "none"


class Till(GenServer):
    """Shows what `init` got."""

    def init(self, limits: Limits | None = None, *, label: str = "") -> Any:
        self.limits, self.label = limits, label
        if label == "stop":
            return Stop(atom.bad)
        if label == "ignore":
            return IGNORE
        if label == "raise":
            raise ValueError("no till")
        if label == "trap":
            trap_exit()
        return None

    @call
    def shown(self) -> Any:
        if self.limits is None:
            return self.label
        return type(self.limits).__name__, self.limits.most, self.limits.label


async def begin(label: str) -> Any:
    """A start function."""
    return await Till.start_link(label=label)


def other(what: Any) -> Any:
    """A start function that starts nothing."""
    return what


async def start(*args: Any, verb: str = "start_link") -> Any:
    return await rpc.call(B, "beamish", verb, list(args))


@clustered("a", "b")
async def test_the_server_belongs_to_the_caller(cluster: MemoryCluster) -> None:
    async def test() -> None:
        ok, pid = await start(f"{HERE}:Till")
        assert ok is atom.ok
        status = await rpc.call(B, "sys", "get_status", [pid])
        assert status[3][2] == self()
        assert await rpc.call(B, "erlang", "process_info", [pid, atom.links]) == (atom.links, [self()])
        trap_exit()
        Process.exit(pid, atom.kill)
        assert await receive() == (atom.EXIT, pid, atom.killed)

    await cluster.run("a", test)


@clustered("a", "b")
async def test_it_ends_with_the_caller(cluster: MemoryCluster) -> None:
    async def test() -> None:
        found: list[Pid] = []

        async def short() -> None:
            found.append((await start(f"{HERE}:Till", {atom.label: b"trap"}))[1])
            await receive()

        child = spawn(short)
        await Process.sleep(0.1)
        ref = monitor(found[0])
        Process.exit(child, (atom.shutdown, 1))
        assert (await receive(ref))[4] == (atom.shutdown, 1)

    await cluster.run("a", test)


@clustered("a", "b")
async def test_without_a_link(cluster: MemoryCluster) -> None:
    async def test() -> None:
        _, pid = await start(f"{HERE}:Till", [], {atom.name: atom.free}, verb="start")
        assert (await rpc.call(B, "sys", "get_status", [pid]))[3][2] == pid
        assert await rpc.call(B, "erlang", "process_info", [pid, atom.links]) == (atom.links, [])
        assert await rpc.call(B, "erlang", "whereis", [atom.free]) == pid

    await cluster.run("a", test)


@pytest.mark.parametrize(
    ("args", "shown"),
    [
        (([],), ""),
        (([{atom.most: 5}],), ("Limits", 5, "none")),
        (([{b"most": 5, b"label": b"x"}],), ("Limits", 5, "x")),
        (({atom.label: b"kwik"},), "kwik"),
        (({b"label": b"kwik"}, [(atom.timeout, atom.infinity)]), "kwik"),
        (([], [(atom.timeout, 500), (atom.name, None)]), ""),
    ],
)
@clustered("a", "b")
async def test_arguments_are_what_the_annotations_say(cluster: MemoryCluster, args: Any, shown: Any) -> None:
    async def test() -> None:
        _, pid = await start(f"{HERE}.Till", *args)
        assert await Till.at(pid).shown() == shown

    await cluster.run("a", test)


REFUSED: list[tuple[tuple[Any, ...], Any, str]] = [
    ((f"{HERE}:Till", {atom.label: b"stop"}), atom.bad, ""),
    ((f"{HERE}:Till", [5]), atom.badarg, "5 is no"),
    ((f"{HERE}:Till", {atom.cheese: 5}), PythonException, "unexpected keyword argument 'cheese'"),
    ((f"{HERE}:Till", {atom.label: b"raise"}), PythonException, "no till"),
    ((f"{HERE}:Till", {7: 8}), atom.badarg, "is no name"),
    ((f"{HERE}:Till", atom.none), atom.badarg, "the arguments are a list"),
    ((f"{HERE}:Till", [], atom.none), atom.badarg, "the options are a keyword list"),
    ((f"{HERE}:Till", [], [(atom.name, b"x")]), atom.badarg, "a name is an atom"),
    ((f"{HERE}:Till", [], [(atom.timeout, -1)]), atom.badarg, "start_link has the options"),
    ((f"{HERE}:Missing",), atom.undef, "that could be started"),
    ((f"{HERE}:begin",), atom.undef, "a function of 0 arguments"),
    ((f"{HERE}:other", [5]), atom.bad_return, "gives a handle or a pid, not 5"),
    (("Till",), atom.badarg, "write module:Class"),
    ((5,), atom.badarg, "is no name"),
]


@pytest.mark.parametrize(("args", "kind", "text"), REFUSED)
@clustered("a", "b")
async def test_what_cannot_be_started(cluster: MemoryCluster, args: tuple[Any, ...], kind: Any, text: str) -> None:
    async def test() -> None:
        trap_exit()
        error, reason = await start(*args)
        assert error is atom.error
        head = reason[0] if isinstance(reason, tuple) else reason
        assert isinstance(head, PythonException) if kind is PythonException else head is kind
        assert text in str(reason)

    await cluster.run("a", test)


@clustered("a", "b")
async def test_functions_and_what_they_give(cluster: MemoryCluster) -> None:
    async def test() -> None:
        _, pid = await start(f"{HERE}:begin", [b"x"])
        assert (await rpc.call(B, "sys", "get_status", [pid]))[3][2] == self()
        for answer in (atom.ignore, (atom.ok, pid), (atom.ok, pid, 5), (atom.error, 5)):
            assert await start(f"{HERE}:other", [answer]) == answer
        assert await start(f"{HERE}:other", [pid]) == (atom.ok, pid)
        assert await start(f"{HERE}:Till", {atom.label: b"ignore"}) is atom.ignore
        assert (await start(f"{HERE}:Till", [], [(atom.name, atom.one)]))[0] is atom.ok
        taken = await start(f"{HERE}:Till", [], [(atom.name, (atom.local, atom.one))])
        assert taken == (atom.error, (atom.already_started, await rpc.call(B, "erlang", "whereis", [atom.one])))

    await cluster.run("a", test)


@clustered("a", "b")
async def test_a_start_in_the_caller_s_own_process_is_its_own(cluster: MemoryCluster) -> None:
    """As a supervisor does that was given ``{beamish, start_link, Args}`` as a child's start function."""

    async def test() -> None:
        assert _caller() is None
        spec = {atom.id: atom.till, atom.start: (atom.beamish, atom.start_link, [f"{HERE}:Till".encode()])}
        top = await Supervisor.start_link([spec])
        ((_, pid, _, _),) = await top.which_children()
        process = current_runtime().process_of(pid)
        assert process is not None
        assert process.parent == top.pid

    await cluster.run("a", test)


@clustered("a", "b")
async def test_a_supervisor_with_a_server_on_another_node_of_ours(cluster: MemoryCluster) -> None:
    async def test() -> None:
        trap_exit()
        top = await Supervisor.start_link([remote_server(B, f"{HERE}:Till", label="far", id="far", name="far")])
        ((_, pid, _, _),) = await top.which_children()
        assert await Till.at(("far", B)).shown() == "far"
        ref = monitor(pid)
        Process.exit(pid, atom.kill)
        await receive(ref)
        await Process.sleep(0.1)
        ((_, again, _, _),) = await top.which_children()
        assert again != pid
        assert await Till.at(again).shown() == "far"
        ref = monitor(again)
        await top.stop()
        assert (await receive(ref))[4] is atom.shutdown

    await cluster.run("a", test)


@clustered("a", "b")
async def test_starts_elsewhere_that_fail(cluster: MemoryCluster) -> None:
    async def test() -> None:
        trap_exit()
        with pytest.raises(StartError, match=r"on b@memory did not start: bad$"):
            await remote_server(B, f"{HERE}:Till", label="stop").start()
        with pytest.raises(StartIgnored):
            await remote_server(B, f"{HERE}:Till", label="ignore").start()
        with pytest.raises(StartError, match="ValueError: no till"):
            await remote_server(B, f"{HERE}:Till", label="raise").start()
        pid = await remote_server(B, f"{HERE}:Till", name="one").start()
        with pytest.raises(AlreadyStarted) as taken:
            await remote_server(B, f"{HERE}:Till", name="one").start()
        assert taken.value.pid == pid
        with pytest.raises(StartError, match="that is this node"):
            await remote_server("a@memory", f"{HERE}:Till").start()
        with pytest.raises(TypeError, match="either positional arguments or keywords"):
            await remote_server(B, f"{HERE}:Till", 1, label="x").start()

    await cluster.run("a", test)


@clustered("a", "b")
async def test_a_lost_node_is_waited_for(cluster: MemoryCluster) -> None:
    async def test() -> None:
        trap_exit()
        spec = remote_server(B, f"{HERE}:Till", label="trap", wait=2.0)
        top = await Supervisor.start_link([spec])
        ((_, pid, _, _),) = await top.which_children()
        ref = monitor(pid)
        cluster.cut("a", "b")
        assert (await receive(ref))[4] is atom.noconnection
        with pytest.raises(StartError, match=r"could not be reached within 0\.5 s") as away:
            await remote_server(B, f"{HERE}:Till", wait=0.5).start()
        assert away.value.reason == (atom.nodedown, atom(B))
        cluster.heal("a", "b")
        await Process.sleep(3)
        ((_, again, _, _),) = await top.which_children()
        assert isinstance(again, Pid)
        assert again != pid

    await cluster.run("a", test)


@clustered("a", "b")
async def test_a_policy_is_asked(cluster: MemoryCluster) -> None:
    async def test() -> None:
        from beamish.rpc.exports import Exports

        runtime = current_runtime()
        runtime.services["exports"] = Exports(["json"]).for_node(str(runtime.node), runtime.services["exports"].builtin)
        from beamish.rpc.modules import starting

        error, (kind, text) = await starting.start_link(f"{HERE}:Till")
        assert (error, kind) == (atom.error, atom.notsup)
        assert "not exported" in text
        with pytest.raises(ErlangError):
            starting._started(object())

    await cluster.run("a", test)
