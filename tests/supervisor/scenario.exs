# The scenarios of tests/supervisor/scenarios.py, played by a real supervisor. `Scenario.play(term)` gives the record of each step.
defmodule Scenario.Child do
  use GenServer

  # script: what each start does in turn; the last entry counts for all further ones.
  def start_link(recorder, id, script, counter) do
    n = :counters.get(counter, 1)
    :counters.add(counter, 1, 1)

    case Enum.at(script, n) || List.last(script) do
      :ok -> GenServer.start_link(__MODULE__, {recorder, id})
      :ignore -> send(recorder, {:record, [:ignored, id]}); :ignore
      :error -> send(recorder, {:record, [:failed, id]}); {:error, :no_start}
      :deaf -> GenServer.start_link(__MODULE__, {recorder, id, :deaf})
    end
  end

  def init({recorder, id}) do
    Process.flag(:trap_exit, true)
    send(recorder, {:started, id, self()})
    {:ok, {recorder, id}}
  end

  def init({recorder, id, :deaf}) do
    Process.flag(:trap_exit, true)
    send(recorder, {:started, id, self()})
    {:ok, {recorder, id, :deaf}}
  end

  def handle_cast({:end, reason}, state), do: {:stop, reason, state}
  def handle_info(_, state), do: {:noreply, state}

  def terminate(reason, {recorder, id}), do: send(recorder, {:record, [:stopped, id, reason]})

  def terminate(reason, {recorder, id, :deaf}) do
    send(recorder, {:record, [:stopped, id, reason]})
    if reason == :shutdown, do: Process.sleep(:infinity)
  end
end

defmodule Scenario do
  def play(scenarios), do: scenarios |> Enum.map(&Task.async(fn -> one(&1) end)) |> Enum.map(&Task.await(&1, 60_000))

  # A dynamic supervisor: its children start in steps, and nothing is said of their order.
  defp one(%{options: %{kind: :dynamic} = options, steps: steps}) do
    Process.flag(:trap_exit, true)
    me = self()
    flags = options |> Map.drop([:kind, :strategy, :auto_shutdown]) |> Map.to_list()
    {:ok, sup} = DynamicSupervisor.start_link([{:strategy, :one_for_one} | flags])
    [[[:boot, :ok], unordered(collect(sup))] | Enum.map(steps, fn step -> [answer, state] = grow(step, sup, me); [answer, unordered(state)] end)]
  end

  defp one(%{options: options, children: children, steps: steps}) do
    Process.flag(:trap_exit, true)
    me = self()
    specs = Enum.map(children, &spec(me, &1))
    flags = Map.put(options, :intensity, options.max_restarts) |> Map.put(:period, options.max_seconds)
    flags = Map.drop(flags, [:max_restarts, :max_seconds])

    case :supervisor.start_link(Scenario.Top, {flags, specs}) do
      {:ok, sup} ->
        Process.put(:sup, sup)
        first = [[:boot, :ok], collect(sup)]
        [first | Enum.map(steps, fn step -> run(step, sup, me) end)]

      {:error, reason} ->
        receive do
          {:EXIT, _, _} -> :ok
        after 0 -> :ok
        end
        [[[:boot, short(reason)], collect(nil)]]
    end
  end

  defp spec(me, child) do
    counter = :counters.new(1, [])
    script = Map.get(child, :script, [:ok])

    child
    |> Map.take([:id, :restart, :shutdown, :significant, :type])
    |> Map.put(:start, {Scenario.Child, :start_link, [me, child.id, script, counter]})
  end

  defp unordered([events, {:dead, _} = state]), do: [Enum.sort(events), state]
  defp unordered([events, [children, counts]]), do: [Enum.sort(events), [Enum.sort(children), counts]]

  defp grow([:start_child, child], sup, me) do
    answer = try do short(DynamicSupervisor.start_child(sup, spec(me, child))) catch :exit, _ -> :noproc end
    [[answer], collect(sup)]
  end

  defp grow([:terminate_child, id], sup, _) do
    answer = try do DynamicSupervisor.terminate_child(sup, Process.get({:pid, id}) || self()) catch :exit, _ -> :noproc end
    [[answer], collect(sup)]
  end

  defp grow(step, sup, me), do: run(step, sup, me)

  defp run([:wait, ms], sup, _), do: (Process.sleep(ms); [[:waited], collect(sup)])

  defp run([:exit, id, reason], sup, _) do
    case Process.get({:pid, id}) do
      nil ->
        [[:nobody], collect(sup)]

      pid ->
        ref = Process.monitor(pid)
        if reason == :kill, do: Process.exit(pid, :kill), else: GenServer.cast(pid, {:end, reason})
        receive do
          {:DOWN, ^ref, _, _, _} -> :ok
        end
        [[:ended], collect(sup, pid)]
    end
  end

  defp run([:stop, reason], sup, _) do
    answer =
      try do
        Supervisor.stop(sup, reason, 20_000)
      catch
        :exit, {:noproc, _} -> :noproc
        :exit, other -> {:exit, other}
      end
    [[answer], collect(sup)]
  end

  defp run([:shutdown], sup, _) do
    ref = Process.monitor(sup)
    Process.exit(sup, :shutdown)
    receive do
      {:DOWN, ^ref, _, _, _} -> :ok
    end
    [[:ok], collect(sup)]
  end

  defp run([:start_child, child], sup, me), do: [call(sup, {:start_child, spec(me, child)}), collect(sup)]
  defp run([what, id], sup, _), do: [call(sup, {what, id}), collect(sup)]

  defp call(sup, request) do
    [short(GenServer.call(sup, request, 20_000))]
  catch
    :exit, _ -> [:noproc]
  end

  # Answers without pids and without what only one of the two languages has.
  defp short({:ok, pid}) when is_pid(pid), do: :started
  defp short({:error, {:already_started, _}}), do: {:error, :already_started}
  defp short({:error, {reason, child}}) when is_tuple(child) and elem(child, 0) == :child, do: {:error, reason}
  defp short({:ok, map}) when is_map(map), do: Map.drop(map, [:start, :modules])
  defp short(other), do: other

  # Everything that has happened until the supervisor has nothing more to do.
  defp collect(sup, dead \\ nil) do
    state = settle(sup, dead, 0)
    [events([]), state]
  end

  defp settle(nil, _, _), do: :none

  defp settle(sup, dead, n) do
    children = Supervisor.which_children(sup)

    if Enum.any?(children, fn {_, pid, _, _} -> pid == :restarting or (is_pid(pid) and (pid == dead or not Process.alive?(pid))) end) do
      if n > 5, do: Process.sleep(1)
      settle(sup, dead, n + 1)
    else
      [for({id, pid, type, _} <- children, do: [id, is_pid(pid), type]), Enum.sort(:maps.to_list(Supervisor.count_children(sup)))]
    end
  catch
    :exit, _ ->
      receive do
        {:EXIT, ^sup, reason} -> Process.put(:reason, reason)
      after 0 -> :ok
      end
      {:dead, Process.get(:reason)}
  end

  defp events(found) do
    receive do
      {:started, id, pid} -> Process.put({:pid, id}, pid); events([[:started, id] | found])
      {:record, event} -> events([event | found])
    after
      0 -> Enum.reverse(found)
    end
  end
end

defmodule Scenario.Top do
  def init({flags, specs}), do: {:ok, {flags, specs}}
end
