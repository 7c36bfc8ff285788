"""Scripts of real clients that run twice: against a server of Elixir's own, and against one of ours that does the same.

What depends on the node (pids, references, times, stacks) is replaced before the outcomes are compared; see Same in
`servers_for_tests.ELIXIR`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from cluster import Here, Member
from servers_for_tests import ELIXIR

from beam import COOKIE, ElixirNode, RealEpmd, unique_name
from beamish.boot import new_event_loop, start_node

STARTERS = """
node_of = fn -> NODE end
catch_exit = fn function -> try do function.() catch :exit, why -> why end end
status = fn {:status, pid, module, [dictionary, state, parent, debug, misc]} ->
  [{:header, header} | rest] = misc
  title = header |> List.to_string() |> String.replace(~r/<.*>/, "PID")
  {:status, pid, module, Keyword.keys(dictionary) |> Enum.sort(), state, parent, Enum.map(debug, &elem(&1, 0)), title, rest}
end
"""

THEIRS = """
begin = fn
  :counter, how, init, options -> apply(GenServer, how, [Counter, init, options])
  :door, how, init, options -> apply(:gen_statem, how, if(n = options[:name], do: [{:local, n}], else: []) ++ [Door, init, []])
  :supervisor, _, init, _ ->
    flags = %{strategy: init.strategy, intensity: init[:max_restarts] || 3, auto_shutdown: init[:auto_shutdown] || :never}
    :supervisor.start_link(Supervisor.Default, {:ok, {flags, []}})
  :dynamic, _, init, _ -> DynamicSupervisor.start_link([strategy: :one_for_one] ++ Map.to_list(init))
  :tasks, _, init, _ -> Task.Supervisor.start_link(Map.to_list(init))
  :agent, how, init, _ -> apply(Agent, how, [fn -> init end])
end
mfa = fn init -> {GenServer, :start_link, [Counter, init]} end
plus = {Kernel, :+}
never = {Same, :receive_one}
pair_and_plus = {Same, :pair_and_plus}
"""
OURS = """
begin = fn kind, how, init, options ->
  name = %{counter: "Counter", door: "Door", supervisor: "start_supervisor", dynamic: "start_dynamic", tasks: "start_tasks",
           agent: "start_agent"}[kind]
  :erpc.call(NODE, :beamish, how, ["servers_for_tests:" <> name, [init], options])
end
mfa = fn init -> {:beamish, :start_link, ["servers_for_tests:Counter", [init]]} end
plus = {:servers_for_tests, :plus}
never = {:servers_for_tests, :wait_for_end}
pair_and_plus = {:servers_for_tests, :pair_and_plus}
"""
FACES = """
start = fn init -> {:ok, pid} = begin.(:counter, :start, init, []); pid end
start_link = fn init -> {:ok, pid} = begin.(:counter, :start_link, init, []); pid end
start_named = fn init, name -> {:ok, pid} = begin.(:counter, :start, init, [name: name]); pid end
start_global = fn init, name -> {:ok, pid} = begin.(:counter, :start, init, [name: {:global, name}]); pid end
try_start = fn init, options -> begin.(:counter, :start, init, options) end
child = fn id, init, rest -> Map.merge(%{id: id, start: mfa.(init), modules: [Counter]}, rest) end
supervisor = fn init -> {:ok, pid} = begin.(:supervisor, :start_link, Map.merge(%{strategy: :one_for_one}, init), []); pid end
dynamic = fn init -> {:ok, pid} = begin.(:dynamic, :start_link, init, []); pid end
add = fn sup, id, init, rest -> Supervisor.start_child(sup, child.(id, init, rest)) end
grow = fn sup, init -> DynamicSupervisor.start_child(sup, child.(:any, init, %{})) end
list = fn sup -> Supervisor.which_children(sup) end
pids = fn sup -> for {id, pid, _, _} <- Enum.sort(Supervisor.which_children(sup)), do: {id, pid} end
settle = fn sup, before -> Enum.find_value(1..100, fn _ ->
  now = pids.(sup)
  if now != before and Enum.all?(now, fn {_, p} -> p != :restarting end), do: now, else: (Process.sleep(5); nil) end) end
changed = fn before, later -> for {id, pid} <- before, do: {id, Keyword.get(later, id) != pid} end
"""


class Oracle(NamedTuple):
    """An Elixir node, and one of ours in this interpreter, connected to it."""

    elixir: ElixirNode
    here: Here
    runner: asyncio.Runner

    def literal(self, term: Any) -> str:
        """A term in an expression of Elixir's."""
        return Member("elixir", self.elixir).literal(term)

    def outcomes(self, script: str) -> tuple[str, str]:
        """What a script gives with servers of Elixir's own, and with ours."""
        return self._outcome(script, self.elixir.name, THEIRS), self._outcome(script, self.here.name, OURS)

    def _outcome(self, script: str, node: str, start: str) -> str:
        setting = (STARTERS + start + FACES).replace("NODE", f':"{node}"')
        text = f"{setting}Same.outcome(node_of.(), fn -> {script} end)"
        return bytes(self.runner.run(self.elixir.aeval(text))).decode()


@pytest.fixture(scope="module")
def oracle(real_epmd: RealEpmd) -> Iterator[Oracle]:
    """The two nodes."""
    with ElixirNode(epmd=real_epmd) as elixir, asyncio.Runner(loop_factory=new_event_loop) as runner:
        here = Here(runner.run(start_node(unique_name("here"), cookie=COOKIE, epmd_port=real_epmd.port)))
        elixir.eval("Logger.configure(level: :none); " + ELIXIR)
        assert runner.run(elixir.aeval(f':erpc.call(:"{here.name}", :erlang, :node, [])')) == here.runtime.node
        runner.run(elixir.aeval(":global.sync()"))
        try:
            yield Oracle(elixir, here, runner)
        finally:
            runner.run(here.runtime.stop())
