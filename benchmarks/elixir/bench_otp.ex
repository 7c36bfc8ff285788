# One Elixir node: the peer of drivers/otp_node.py, otp_cluster_node.py and memory_node.py where Elixir has what Erlang has
# not, and a figure for orientation elsewhere.

defmodule BenchOtp.Counter do
  use GenServer

  def start_link(count), do: GenServer.start_link(__MODULE__, count)

  @impl true
  def init(count), do: {:ok, count}

  @impl true
  def handle_call({:increment, by}, _from, count), do: {:reply, count + by, count + by}
  def handle_call(:value, _from, count), do: {:reply, count, count}

  @impl true
  def handle_cast({:add, by}, count), do: {:noreply, count + by}
end

defmodule BenchOtp do
  alias BenchOtp.Counter

  # Reads lines "bench count" or "bench count target-node" and answers each with one number.
  def main do
    IO.puts("ready")
    loop()
  end

  # A node with 100 supervised servers that stays until standard input ends.
  def memory do
    children = for i <- 1..100, do: Supervisor.child_spec({Counter, i}, id: i)
    {:ok, _} = Supervisor.start_link(children, strategy: :one_for_one)
    IO.puts("ready")
    IO.gets("")
    System.halt(0)
  end

  defp loop do
    case IO.gets("") do
      :eof ->
        System.halt(0)

      line ->
        [bench, count | node] = String.split(line)
        IO.puts(measure([bench, String.to_integer(count) | Enum.map(node, &String.to_atom/1)]))
        loop()
    end
  end

  # In a process of its own with a fresh heap.
  defp measure(work) do
    me = self()
    {_, monitor} = spawn_monitor(fn -> send(me, {:result, run(work)}) end)

    receive do
      {:result, value} ->
        Process.demonitor(monitor, [:flush])
        :erlang.garbage_collect()
        value

      {:DOWN, ^monitor, :process, _, reason} ->
        exit(reason)
    end
  end

  defp run(["call", count]) do
    {:ok, server} = GenServer.start(Counter, 0)
    rate = rate(count, fn -> calls(server, count) end)
    GenServer.stop(server)
    rate
  end

  defp run(["call_raw", count]), do: run(["call", count])

  defp run(["cast", count]) do
    {:ok, server} = GenServer.start(Counter, 0)
    rate = rate(count, fn -> casts(server, count) end)
    GenServer.stop(server)
    rate
  end

  defp run(["idle_bytes", count]) do
    :erlang.garbage_collect()
    before = :erlang.memory(:processes)
    servers = for i <- 1..count, do: elem(GenServer.start(Counter, i), 1)
    :erlang.garbage_collect()
    bytes = (:erlang.memory(:processes) - before) / count - 2 * :erlang.system_info(:wordsize)
    Enum.each(servers, &GenServer.stop/1)
    bytes
  end

  defp run(["start_children", count]) do
    {:ok, supervisor} = DynamicSupervisor.start_link(strategy: :one_for_one)
    rate = rate(count, fn -> start_children(supervisor, count) end)
    DynamicSupervisor.stop(supervisor)
    rate
  end

  defp run(["child_bytes", count]) do
    {:ok, supervisor} = DynamicSupervisor.start_link(strategy: :one_for_one)
    start_children(supervisor, 1)
    Enum.each([supervisor, self()], &:erlang.garbage_collect/1)
    before = :erlang.memory(:processes)
    start_children(supervisor, count)
    Enum.each([supervisor, self()], &:erlang.garbage_collect/1)
    bytes = (:erlang.memory(:processes) - before) / count
    DynamicSupervisor.stop(supervisor)
    bytes
  end

  # Tasks started and awaited per second, one after the other.
  defp run(["task", count]), do: rate(count, fn -> tasks(count) end)

  # Look-ups per second among 1,000 unique keys.
  defp run(["registry", count]) do
    {:ok, _} = Registry.start_link(keys: :unique, name: BenchOtp.Registry)
    for key <- 0..999, do: {:ok, _} = Registry.register(BenchOtp.Registry, key, nil)
    rate(count, fn -> lookups(count) end)
  end

  # Calls per second to the server `bench_counter` of another node: one caller, or 100 at once.
  defp run(["calls_1", count, node]), do: rate(count, fn -> calls({:bench_counter, node}, count) end)

  defp run(["calls_100", count, node]) do
    each = div(count, 100)

    rate(each * 100, fn ->
      callers = for _ <- 1..100, do: spawn_monitor(fn -> calls({:bench_counter, node}, each) end)
      for {pid, monitor} <- callers, do: receive(do: ({:DOWN, ^monitor, :process, ^pid, :normal} -> :ok))
    end)
  end

  defp rate(count, work) do
    start = System.monotonic_time(:nanosecond)
    work.()
    count * 1.0e9 / (System.monotonic_time(:nanosecond) - start)
  end

  defp calls(_, 0), do: :ok

  defp calls(server, count) do
    GenServer.call(server, {:increment, 1})
    calls(server, count - 1)
  end

  defp casts(_, count) when count <= 0, do: :ok

  defp casts(server, count) do
    thousand(server, 1000)
    GenServer.call(server, :value)
    casts(server, count - 1000)
  end

  defp thousand(_, 0), do: :ok

  defp thousand(server, count) do
    GenServer.cast(server, {:add, 1})
    thousand(server, count - 1)
  end

  defp start_children(_, 0), do: :ok

  defp start_children(supervisor, count) do
    {:ok, _} = DynamicSupervisor.start_child(supervisor, {Counter, count})
    start_children(supervisor, count - 1)
  end

  defp tasks(0), do: :ok

  defp tasks(count) do
    Task.await(Task.async(fn -> count end))
    tasks(count - 1)
  end

  defp lookups(0), do: :ok

  defp lookups(count) do
    [{_, nil}] = Registry.lookup(BenchOtp.Registry, rem(count, 1000))
    lookups(count - 1)
  end
end
