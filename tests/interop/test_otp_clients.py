"""Our clients on servers, supervisors and state machines of Elixir's: what they give is what they give with ours."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from oracle import Oracle
from servers_for_tests import Counter, Door, start_dynamic, start_supervisor

from beamish import rpc
from beamish.errors import AlreadyStarted, CallTimeout, RemoteError, StartError
from beamish.gen_server import CallFailed, GenServer
from beamish.gen_server import sys_client as sys
from beamish.gen_state_machine import GenStateMachine
from beamish.names import Global
from beamish.process import Process, monitor, receive, self, trap_exit
from beamish.supervisor import ChildBusy, DynamicSupervisor, NoChild, Supervisor
from beamish.term import ExportFun, Pid, Ref, atom, text

COUNTER = atom("Elixir.Counter")
Start = Callable[..., Awaitable[Any]]


class Home:
    """Where a case's servers run."""

    def __init__(self, oracle: Oracle, *, theirs: bool) -> None:
        self.theirs = theirs
        self.node = atom(oracle.elixir.name if theirs else oracle.here.name)

    async def counter(self, init: Any, name: str | None = None) -> Pid:
        """A Counter."""
        if not self.theirs:
            return (await Counter.start(init, name=name)).pid
        options = [] if name is None else [(atom.name, atom(name))]
        return await self.elixir("GenServer", "start", [COUNTER, init, options])

    async def supervisor(self) -> Pid:
        """A supervisor."""
        if not self.theirs:
            return (await start_supervisor({atom.strategy: atom.one_for_one})).pid
        return await self.unlinked("Supervisor", [[], [(atom.strategy, atom.one_for_one)]])

    async def dynamic(self) -> Pid:
        """A dynamic supervisor."""
        if not self.theirs:
            return (await start_dynamic({})).pid
        return await self.unlinked("DynamicSupervisor", [[(atom.strategy, atom.one_for_one)]])

    async def door(self) -> Pid:
        """A Door."""
        if not self.theirs:
            return (await Door.start(0)).pid
        return await self.elixir("gen_statem", "start", [atom("Elixir.Door"), 0, []])

    async def elixir(self, module: str, function: str, args: list[Any]) -> Any:
        """The pid in ``{ok, Pid}``."""
        module = module if module == "gen_statem" else f"Elixir.{module}"
        return (await rpc.call(self.node, module, function, args))[1]

    async def unlinked(self, module: str, args: list[Any]) -> Pid:
        """What a start_link gives when the caller lives on."""
        return await rpc.call(self.node, "Elixir.Same", "unlinked", [atom(f"Elixir.{module}"), args])

    def child(self, id: Any, init: Any, **rest: Any) -> dict[Any, Any]:
        """A Counter's child specification, in Elixir's form."""
        mfa = (atom("Elixir.GenServer"), atom.start_link, [COUNTER, init])
        if not self.theirs:
            mfa = (atom.servers_for_tests, atom("Counter.start_link"), [init])
        return {atom.id: id, atom.start: mfa, atom.modules: [COUNTER], **{atom(key): value for key, value in rest.items()}}


Case = Callable[[Home], Awaitable[Any]]
CASES: dict[str, Case] = {}


def case(function: Case) -> Case:
    CASES[function.__name__] = function
    return function


async def failure(awaitable: Awaitable[Any]) -> Any:
    """How a call fails."""
    try:
        return await awaitable
    except (RemoteError, StartError, ChildBusy) as error:
        return type(error), getattr(error, "reason", None)
    except (CallTimeout, NoChild) as error:
        return type(error)


@case
async def calls(home: Home) -> Any:
    pid = await home.counter(5)
    GenServer.cast(pid, (atom.add, 1))
    Process.send(pid, (atom.tell, self()))
    told = await receive((atom.told, ...))
    terms = [None, True, 1.5, b"x", [1], (), {atom.a: {}}, self(), Pid(atom("a@b"), 1, 2, 3)]
    return await GenServer.call(pid, atom.value), told, [await GenServer.call(pid, (atom.echo, term)) == term for term in terms]


@case
async def deferred_replies(home: Home) -> Any:
    pid = await home.counter(5)
    return await GenServer.call(pid, (atom.later, 10)), await GenServer.call(pid, atom.elsewhere)


@case
async def late_replies(home: Home) -> Any:
    pid = await home.counter(5)
    first = await failure(GenServer.call(pid, (atom.later, 40), timeout=0.01))
    await asyncio.sleep(0.08)
    return first, await GenServer.call(pid, atom.value), await left()


async def left() -> list[Any]:
    """What is in the mailbox."""
    found = []
    while True:
        try:
            found.append(await receive(timeout=0))
        except TimeoutError:
            return found


@case
async def ends(home: Home) -> Any:
    found = []
    for how in ((atom.stop, atom.normal), (atom.stop, (atom.shutdown, 1), 7), (atom.exit, atom.bad)):
        pid = await home.counter(5)
        ref = monitor(pid)
        found.append(await failure(GenServer.call(pid, how)))
        found.append((await receive((atom.DOWN, ref, ..., ..., ...)))[4])
        found.append(await failure(GenServer.call(pid, atom.value)))
    return found, await left()


@case
async def stops(home: Home) -> Any:
    pids = [await home.counter(5) for _ in range(4)]
    return [
        await failure(GenServer.stop(pids[0])),
        await failure(GenServer.stop(pids[1], (atom.shutdown, atom.x))),
        await failure(GenServer.stop(pids[2], (atom.slow, 100), timeout=0.02)),
        await failure(GenServer.stop(pids[0])),
        await failure(GenServer.stop(pids[3], (atom.tell, self()))),
        await receive((atom.terminated, ...)),
    ]


@case
async def names(home: Home) -> Any:
    pid = await home.counter(5, "clients_names")
    there = ("clients_names", home.node)
    replies, missing = await GenServer.multi_call([home.node, "nope@localhost"], "clients_names", atom.value, timeout=2.0)
    GenServer.abcast([home.node], "clients_names", (atom.add, 1))
    found = [await GenServer.call(there, atom.value), [value for _, value in replies], missing]
    await Global.register_name("clients_global", pid)
    found.append(await GenServer.call(("global", "clients_global"), atom.value))
    found.append(GenServer.whereis(Global.via("clients_global")) == pid)
    found += [await failure(GenServer.call(("missing", home.node), 1)), await failure(GenServer.call(("global", "missing"), 1))]
    await GenServer.stop(there)
    return found


@case
async def sys_states(home: Home) -> Any:
    pid = await home.counter([1, 2])
    return [
        await sys.get_state(pid),
        await sys.replace_state(pid, ExportFun(atom.lists, atom.reverse, 1)),
        await sys.get_state(pid),
        (await failure(sys.replace_state(await home.counter(atom.x), ExportFun(atom.lists, atom.reverse, 1))))[1][:2],
        (await failure(sys.get_state(("missing", home.node)))),
    ]


@case
async def sys_status(home: Home) -> Any:
    pid = await home.counter(5)
    status = await sys.get_status(pid)
    assert status.pid == status.parent == pid
    shown = [(text(label), value) for _, pairs in status.misc[1:] for label, value in pairs if value != pid]
    return status.module, status.state, sorted(str(key) for key, _ in status.dictionary), status.debug, shown


@case
async def sys_suspend(home: Home) -> Any:
    pid = await home.counter(5)
    found: list[Any] = [await failure(sys.change_code(pid, COUNTER, b"1", atom.x)), await sys.suspend(pid)]
    found += [await failure(GenServer.call(pid, atom.value, timeout=0.02)), (await sys.get_status(pid)).state]
    found += [await sys.change_code(pid, COUNTER, b"1", atom.x), await sys.resume(pid), await GenServer.call(pid, atom.value)]
    return found


@case
async def sys_debug(home: Home) -> Any:
    pid = await home.counter(5)
    found: list[Any] = [await sys.statistics(pid), await sys.statistics(pid, True), await sys.log(pid, 3)]
    await GenServer.call(pid, atom.value)
    GenServer.cast(pid, (atom.add, 1))
    counts = await sys.statistics(pid)
    assert counts is not None
    assert abs(counts.current_time - datetime.now()) < timedelta(seconds=60)
    found += [counts.messages_in, counts.messages_out, (await sys.log(pid))[1:]]
    found += [await sys.no_debug(pid), await sys.log(pid), await sys.statistics(pid)]
    return found


@case
async def sys_terminate(home: Home) -> Any:
    pid = await home.counter(5)
    ref = monitor(pid)
    await sys.terminate(pid, atom.normal)
    return (await receive((atom.DOWN, ref, ..., ..., ...)))[4]


@case
async def supervisors(home: Home) -> Any:
    top = await home.supervisor()
    pid = await Supervisor.start_child(top, home.child(atom.a, 1))
    found = [await GenServer.call(pid, atom.value), await Supervisor.count_children(top)]
    found += [[each._replace(pid=each.pid == pid) for each in await Supervisor.which_children(top)]]
    try:
        await Supervisor.start_child(top, home.child(atom.a, 1))
    except AlreadyStarted as error:
        found.append(error.pid == pid)
    found.append(await failure(Supervisor.start_child(top, home.child(atom.b, (atom.stop, atom.bad)))))
    for verb in ("delete_child", "restart_child", "terminate_child", "delete_child", "delete_child"):
        found.append(await failure(getattr(Supervisor, verb)(top, atom.a)))
    await Supervisor.stop(top)
    return found


@case
async def dynamic_supervisors(home: Home) -> Any:
    top = await home.dynamic()
    pid = await DynamicSupervisor.start_child(top, home.child(atom.a, 1))
    found = [await GenServer.call(pid, atom.value), await DynamicSupervisor.count_children(top)]
    found += [await DynamicSupervisor.terminate_child(top, pid), await failure(DynamicSupervisor.terminate_child(top, pid))]
    await DynamicSupervisor.stop(top)
    return found


@case
async def state_machines(home: Home) -> Any:
    pid = await home.door()
    found = [await GenStateMachine.call(pid, atom.state), await GenStateMachine.call(pid, atom.open)]
    found += [await GenStateMachine.call(pid, atom.open), await sys.get_state(pid)]
    GenStateMachine.cast(pid, atom.kick)
    found.append(await failure(GenStateMachine.call(pid, atom.never)))
    return found


def without_refs(value: Any) -> Any:
    """An outcome with what differs each time taken out."""
    if isinstance(value, list):
        return [without_refs(each) for each in value]
    if isinstance(value, tuple):
        return tuple(without_refs(each) for each in value)
    return "ref" if isinstance(value, Ref) else value


@pytest.mark.parametrize("name", CASES)
def test_a_client_of_ours_meets_no_difference(oracle: Oracle, name: str) -> None:
    async def both() -> list[Any]:
        trap_exit()
        found = []
        for theirs in (True, False):
            found.append(without_refs(await CASES[name](Home(oracle, theirs=theirs))))
        return found

    async def limited() -> list[Any]:
        async with asyncio.timeout(20):
            return list(await oracle.here.runtime.run(both))

    theirs, ours = oracle.runner.run(limited())
    assert ours == theirs


def test_python_functions_are_not_sent_to_other_nodes(oracle: Oracle) -> None:
    async def body() -> None:
        pid = await Home(oracle, theirs=True).counter(5)
        with pytest.raises(TypeError, match="name one of that node"):
            await sys.replace_state(pid, lambda state: state)
        here = await Counter.start(5)
        assert await sys.replace_state(here, lambda state: state + 1) == 6

    oracle.runner.run(oracle.here.runtime.run(body))


def test_sys_says_what_is_wrong(oracle: Oracle) -> None:
    async def body() -> None:
        with pytest.raises(CallFailed) as nobody:
            await sys.get_state("clients_missing")
        assert nobody.value.reason is atom.noproc
        pid = await Home(oracle, theirs=True).counter(5)
        with pytest.raises(RemoteError, match="knows no"):
            await sys._done(pid, (atom.debug, atom.dance), 1.0)
        with pytest.raises(RemoteError, match="unknown_system_msg"):
            await sys._value(pid, atom.dance, 1.0)
        deaf = await rpc.call(oracle.elixir.name, "erlang", "spawn", [atom.timer, atom.sleep, [5000]])
        with pytest.raises(CallTimeout):
            await sys.get_state(deaf, timeout=0.02)

    oracle.runner.run(oracle.here.runtime.run(body))
