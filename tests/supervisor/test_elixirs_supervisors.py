"""Our clients on real supervisors of Elixir, and theirs on ours with children by name."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import pytest

from beam import ElixirNode, RealEpmd, eventually, unique_name
from beamish.boot import new_event_loop, start_node
from beamish.errors import AlreadyStarted, StartError
from beamish.gen_server import CallFailed, GenServer, call
from beamish.node.runtime import Runtime
from beamish.process import Process
from beamish.supervisor import (
    BadChildSpec,
    ChildBusy,
    ChildSpec,
    DynamicSupervisor,
    NoChild,
    Supervisor,
    child_spec,
)
from beamish.term import atom
from beamish.testing import capture_log

COOKIE = "beamish-tests"
AGENT = (atom("Elixir.Agent"), atom.start_link, [atom("Elixir.Map"), atom.new, []])


def with_node(test: Callable[..., Any], epmd: RealEpmd, *args: Any) -> None:
    """Run a test as a process of a node of ours that Elixir's can reach."""

    async def main() -> None:
        runtime: Runtime = await start_node(unique_name("py"), cookie=COOKIE, epmd_port=epmd.port)
        try:
            async with asyncio.timeout(60):
                await runtime.run(test, runtime, *args)
        finally:
            await runtime.stop()

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main())


async def on_theirs(_runtime: Runtime, elixir: ElixirNode) -> None:
    children = "[{Task.Supervisor, name: :tasks}]"
    await elixir.aeval(f"{{:ok, s}} = Supervisor.start_link({children}, strategy: :rest_for_one); Process.register(s, :theirs)")
    top = Supervisor.at(("theirs", elixir.name))
    assert [(child.id, child.type) for child in await top.which_children()] == [(atom.tasks, atom.supervisor)]
    assert await top.count_children() == (1, 1, 1, 0)
    spec = await top.get_childspec(atom.tasks)
    assert (spec.type, spec.shutdown, spec.restart) == ("supervisor", math.inf, "permanent")
    pid = await top.start_child({"id": "agent", "start": AGENT, "shutdown": 2.5, "restart": "transient"})
    assert await GenServer.call(pid, (atom.get, (atom("Elixir.Map"), atom.size, []))) == 0
    assert (await top.get_childspec("agent")).shutdown == 2.5
    with pytest.raises(AlreadyStarted) as caught:
        await top.start_child({"id": "agent", "start": AGENT})
    assert caught.value.pid == pid
    with pytest.raises(ChildBusy):
        await top.restart_child("agent")
    await top.terminate_child("agent")
    with pytest.raises(StartError, match="does not run"):
        await top.start_child({"id": "agent", "start": AGENT})
    assert await top.restart_child("agent") != pid
    await top.terminate_child("agent")
    await top.delete_child("agent")
    with pytest.raises(NoChild):
        await top.delete_child("agent")
    with pytest.raises(StartError, match="badarg|undef|EXIT"):
        await top.start_child({"id": 1, "start": (atom.lists, atom.nothing, [])})
    with pytest.raises(BadChildSpec, match="at the top level"):
        await top.start_child(ChildSpec(1, lambda: None))
    await top.stop()
    with pytest.raises(CallFailed):
        await top.which_children()


async def on_their_dynamic_ones(_runtime: Runtime, elixir: ElixirNode) -> None:
    await elixir.aeval("{:ok, s} = DynamicSupervisor.start_link(max_children: 2); Process.register(s, :pool); :ok")
    pool = DynamicSupervisor.at(("pool", elixir.name))
    pids = [await pool.start_child({"id": 1, "start": AGENT, "restart": "temporary"}) for _ in range(2)]
    assert await pool.count_children() == (2, 2, 0, 2)
    assert {child.pid for child in await pool.which_children()} == set(pids)
    with pytest.raises(StartError, match="max_children"):
        await pool.start_child({"id": 1, "start": AGENT})
    await pool.terminate_child(pids[0])
    with pytest.raises(NoChild):
        await pool.terminate_child(pids[0])
    assert await pool.start_child(child_spec({"id": 1, "start": AGENT}, shutdown="brutal_kill"))
    await pool.stop()


class Till(GenServer):
    """What Elixir asks us to start by name."""

    def init(self, amount: int = 0) -> None:
        self.amount = amount

    @call
    def total(self) -> int:
        """What is in it."""
        return self.amount


async def theirs_on_ours(runtime: Runtime, elixir: ElixirNode) -> None:
    await Supervisor.start_link([Till.child_spec(1, name="till", id=atom.till)], name="ours")
    await DynamicSupervisor.start_link(name="our_pool")
    ours, pool = f'{{:ours, :"{runtime.node}"}}', f'{{:our_pool, :"{runtime.node}"}}'
    start = f'{{:"{__name__}", :"Till.start_link", [7]}}'

    async def ask(text: str) -> Any:
        return await elixir.atext(text)

    assert await ask(f"Supervisor.count_children({ours})") == "%{active: 1, specs: 1, supervisors: 0, workers: 1}"
    assert await ask(f"[{{:till, pid, :worker, _}}] = Supervisor.which_children({ours}); GenServer.call(pid, :total)") == "1"
    more = f"%{{id: :more, start: {start}, restart: :temporary}}"
    assert await ask(f"{{:ok, pid}} = Supervisor.start_child({ours}, {more}); GenServer.call(pid, :total)") == "7"
    assert await ask(
        f"{{:ok, pid}} = DynamicSupervisor.start_child({pool}, %{{id: 1, start: {start}}}); GenServer.call(pid, :total)"
    ) == "7"
    assert await ask(f"DynamicSupervisor.count_children({pool}).active") == "1"
    (before,) = await DynamicSupervisor.which_children("our_pool")
    with capture_log(logger="beamish"):
        await ask(f"[{{:undefined, pid, :worker, _}}] = DynamicSupervisor.which_children({pool}); Process.exit(pid, :kill)")
        await eventually(lambda: not Process.alive(before.pid))
        (after,) = await DynamicSupervisor.which_children("our_pool")
        assert after.pid not in (before.pid, atom.restarting)
    refused = await ask(f'Supervisor.start_child({ours}, %{{id: :x, start: {{:"no.such.module", :f, []}}}})')
    assert "undef" in refused
    assert await ask(f"is_map(:sys.get_state({ours}))") == "true"
    assert (await ask(f"Supervisor.stop({ours})")) == ":ok"
    assert await ask(f"catch_exit = try do Supervisor.which_children({ours}) catch :exit, _ -> :gone end; catch_exit") == ":gone"


@pytest.mark.interop
@pytest.mark.parametrize("test", [on_theirs, on_their_dynamic_ones, theirs_on_ours])
def test_with_elixir(test: Callable[..., Any], real_epmd: RealEpmd, elixir_node: ElixirNode) -> None:
    with_node(test, real_epmd, elixir_node)
