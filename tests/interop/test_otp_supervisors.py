"""Elixir's and Erlang's clients on supervisors, agents and state machines of ours, beside the same on Elixir's own."""

from __future__ import annotations

import pytest
from oracle import Oracle

SCRIPTS = {
    "an empty supervisor": "s = supervisor.(%{}); {list.(s), Supervisor.count_children(s), :supervisor.count_children(s)}",
    "children": """
        s = supervisor.(%{})
        a = add.(s, :a, 1, %{}); b = add.(s, "b", 2, %{restart: :temporary, type: :supervisor})
        {a, b, Enum.sort(list.(s)), Supervisor.count_children(s), :supervisor.which_children(s) == list.(s)}
    """,
    "they are servers": """
        s = supervisor.(%{}); {:ok, a} = add.(s, :a, 1, %{}); {GenServer.call(a, :value), :sys.get_state(a)}
    """,
    "start_child again": """
        s = supervisor.(%{}); add.(s, :a, 1, %{}); a = add.(s, :a, 1, %{})
        b = Supervisor.terminate_child(s, :a); {a, b, add.(s, :a, 1, %{}), list.(s), Supervisor.count_children(s)}
    """,
    "terminate, restart, delete": """
        s = supervisor.(%{}); add.(s, :a, 1, %{})
        for what <- [:delete_child, :restart_child, :terminate_child, :terminate_child, :restart_child, :terminate_child,
                     :delete_child, :delete_child, :restart_child, :terminate_child], do: {what, apply(Supervisor, what, [s, :a])}
    """,
    "erlang's child specification": """
        s = supervisor.(%{}); a = :supervisor.start_child(s, {:a, mfa.(1), :transient, 2000, :worker, [Counter]})
        {:ok, spec} = :supervisor.get_childspec(s, :a); {a, Map.delete(spec, :start), :supervisor.get_childspec(s, :b)}
    """,
    "a child that does not start": """
        s = supervisor.(%{}); {:error, {reason, _}} = add.(s, :a, {:stop, :bad}, %{}); {reason, list.(s)}
    """,
    "bad specifications": """
        s = supervisor.(%{})
        for spec <- [%{id: :a}, %{start: mfa.(1)}, child.(:a, 1, %{restart: :always}), child.(:a, 1, %{shutdown: -1}),
                     child.(:a, 1, %{type: :boss}), child.(:a, 1, %{modules: 1}), child.(:a, 1, %{significant: 1}), 5],
            do: :supervisor.start_child(s, spec)
    """,
    "a child is started again": """
        s = supervisor.(%{}); {:ok, a} = add.(s, :a, 1, %{}); add.(s, :b, 1, %{})
        before = pids.(s); Process.exit(a, :kill); changed.(before, settle.(s, before))
    """,
    "restart types": """
        s = supervisor.(%{max_restarts: 10})
        for {id, restart} <- [p: :permanent, t: :transient, y: :temporary], reason <- [:normal, {:shutdown, 1}, :bad] do
          {:ok, pid} = add.(s, {id, reason}, 1, %{restart: restart})
          m = Process.monitor(pid); GenServer.cast(pid, {:stop, reason})
          receive do {:DOWN, ^m, _, _, _} -> :ok end
          Supervisor.count_children(s)
        end
    """,
    "one_for_all": """
        s = supervisor.(%{strategy: :one_for_all}); for id <- [:a, :b, :c], do: add.(s, id, 1, %{})
        before = pids.(s); Process.exit(before[:b], :kill); changed.(before, settle.(s, before))
    """,
    "rest_for_one": """
        s = supervisor.(%{strategy: :rest_for_one}); for id <- [:a, :b, :c], do: add.(s, id, 1, %{})
        before = pids.(s); Process.exit(before[:b], :kill); changed.(before, settle.(s, before))
    """,
    "too many restarts": """
        Process.flag(:trap_exit, true); s = supervisor.(%{max_restarts: 0}); {:ok, a} = add.(s, :a, 1, %{})
        Process.exit(a, :kill); Same.receive_one()
    """,
    "stop": """
        Process.flag(:trap_exit, true); s = supervisor.(%{}); {:ok, a} = add.(s, :a, {:trap, 1}, %{})
        Process.monitor(a); {Supervisor.stop(s), Same.receive_one(), Same.receive_one()}
    """,
    "stop with a reason": """
        Process.flag(:trap_exit, true); s = supervisor.(%{}); {Supervisor.stop(s, {:shutdown, :x}), Same.receive_one()}
    """,
    "the parent ends": """
        me = self()
        p = spawn(fn -> s = supervisor.(%{}); {:ok, a} = add.(s, :a, 1, %{}); send(me, {s, a}); Process.sleep(9000) end)
        {s, a} = Same.receive_one(); Process.monitor(s); Process.exit(p, :shutdown); {Same.receive_one(), is_pid(a)}
    """,
    "auto_shutdown": """
        Process.flag(:trap_exit, true); s = supervisor.(%{auto_shutdown: :any_significant})
        {:ok, a} = add.(s, :a, 1, %{restart: :temporary, significant: true})
        add.(s, :b, 1, %{}); GenServer.cast(a, {:stop, :normal}); Same.receive_one()
    """,
    "status of a supervisor": """
        s = supervisor.(%{}); {:status, _, module, [_, state, parent, _, _]} = :sys.get_status(s); {module, state, parent}
    """,
    "an empty dynamic supervisor": """
        s = dynamic.(%{}); {DynamicSupervisor.which_children(s), DynamicSupervisor.count_children(s)}
    """,
    "dynamic children": """
        s = dynamic.(%{}); {:ok, a} = grow.(s, 1); {:ok, _} = grow.(s, 1)
        {DynamicSupervisor.which_children(s), DynamicSupervisor.count_children(s), DynamicSupervisor.terminate_child(s, a),
         DynamicSupervisor.terminate_child(s, a), DynamicSupervisor.count_children(s)}
    """,
    "a dynamic child is started again": """
        s = dynamic.(%{}); {:ok, a} = grow.(s, 1); before = pids.(s); Process.exit(a, :kill)
        length(settle.(s, before))
    """,
    "dynamic children that do not start": """
        s = dynamic.(%{max_children: 1}); a = grow.(s, {:stop, :bad})
        grow.(s, 1); {a, grow.(s, 1)}
    """,
    "stop of a dynamic supervisor": """
        Process.flag(:trap_exit, true); s = dynamic.(%{}); {:ok, a} = grow.(s, 1); Process.monitor(a)
        {DynamicSupervisor.stop(s), Enum.sort([Same.receive_one(), Same.receive_one()])}
    """,
    "agent": """
        {:ok, a} = begin.(:agent, :start_link, 5, []); {m, f} = plus; {pm, pf} = pair_and_plus
        {Agent.get(a, m, f, [1]), Agent.update(a, m, f, [2]), Agent.get_and_update(a, pm, pf, [3]), Agent.cast(a, m, f, [1]),
         Agent.get(a, m, f, [0]), :sys.get_state(a), Agent.stop(a)}
    """,
    "tasks": """
        {:ok, t} = begin.(:tasks, :start_link, %{}, []); {m, f} = plus
        a = Task.Supervisor.async(t, m, f, [1, 2]); b = Task.Supervisor.async_nolink(t, m, f, [3, 4])
        {Task.await(a), Task.yield(b), Task.Supervisor.children(t), Same.receive_one(10), DynamicSupervisor.count_children(t)}
    """,
    "tasks that fail": """
        {:ok, t} = begin.(:tasks, :start_link, %{}, []); {m, f} = plus; Process.flag(:trap_exit, true)
        a = Task.Supervisor.async_nolink(t, m, f, [1, :x]); {:exit, {_, [_ | _]}} = Task.yield(a)
        b = Task.Supervisor.async(t, m, f, [1, :x]); {:EXIT, _, {_, [_ | _]}} = Same.receive_one()
        {:exit, {_, [_ | _]}} = Task.yield(b)
        {:ok, c} = Task.Supervisor.start_child(t, m, f, [1, 2]); Process.monitor(c); {:DOWN, _, _, _, why} = Same.receive_one()
        {why in [:normal, :noproc], is_pid(c)}
    """,
    "tasks that are stopped": """
        {:ok, t} = begin.(:tasks, :start_link, %{}, []); {m, f} = never
        a = Task.Supervisor.async_nolink(t, m, f, []); [c] = Task.Supervisor.children(t); k = Task.shutdown(a, :brutal_kill)
        {:ok, c2} = Task.Supervisor.start_child(t, m, f, []); Process.monitor(c2)
        {is_pid(c), k, Task.Supervisor.terminate_child(t, c2), Same.receive_one(), Task.Supervisor.terminate_child(t, c2)}
    """,
    "a stream of tasks": """
        {:ok, t} = begin.(:tasks, :start_link, %{}, []); {m, f} = plus
        Task.Supervisor.async_stream(t, 1..20, m, f, [100], max_concurrency: 4) |> Enum.to_list()
    """,
    "state machine": """
        {:ok, d} = begin.(:door, :start, 0, [name: :door])
        a = :gen_statem.call(d, :state); b = :gen_statem.call({:door, node_of.()}, :open); c = :gen_statem.call(d, :open)
        {a, b, c, :gen_statem.call(d, :state), :sys.get_state(d), :gen_statem.stop(d)}
    """,
    "a state machine dies": """
        {:ok, d} = begin.(:door, :start, 0, []); a = try do :gen_statem.call(d, :nothing, 20) catch :exit, why -> why end
        Process.monitor(d); :gen_statem.cast(d, :kick)
        {a, Same.receive_one(), try do :gen_statem.call(d, :state) catch :exit, why -> why end}
    """,
    "requests to a state machine": """
        {:ok, d} = begin.(:door, :start, 0, []); r = :gen_statem.send_request(d, :state)
        {:gen_statem.receive_response(r, 1000), :gen_statem.stop(d)}
    """,
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_process_of_ours_answers_as_elixir_s_own(oracle: Oracle, script: str) -> None:
    theirs, ours = oracle.outcomes(SCRIPTS[script])
    assert ours == theirs
