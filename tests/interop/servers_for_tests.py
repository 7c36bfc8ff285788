"""Servers of ours that real nodes talk to, and the same ones written in Elixir (`ELIXIR`), so that answers can be compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from beamish.agent import Agent
from beamish.gen_server import IGNORE, NO_REPLY, Continue, GenServer, NoReply, Reply, Stop, Timeout, call, cast
from beamish.gen_state_machine import POSTPONE, GenStateMachine, Keep, Next, ReplyTo, StateTimeout
from beamish.process import exit, receive, send, send_after, spawn, trap_exit
from beamish.supervisor import DynamicSupervisor, Supervisor
from beamish.task import TaskSupervisor
from beamish.term import Atom, Pid, atom


class Counter(GenServer):
    """Speaks the protocol of `ELIXIR`'s Counter, by raw callbacks."""

    def init(self, start: Any) -> Any:
        match start:
            case (atom.stop, reason):
                return Stop(reason)
            case (atom.trap, count):
                trap_exit()
                self.n = count
            case (atom.then, count):
                self.n = count
                return Continue(count)
            case (atom.idle, count):
                self.n = count
                return Timeout(0.02)
            case _:
                self.n = start
        return None

    def get_state(self) -> Any:
        return self.n

    def set_state(self, state: Any) -> None:
        self.n = state

    def handle_continue(self, argument: Any) -> Any:
        self.n += argument

    def handle_call(self, request: Any, from_: Any) -> Any:
        match request:
            case atom.value:
                return self.n
            case (atom.add, by):
                self.n += by
                return self.n
            case (atom.echo, term):
                return term
            case (atom.later, milliseconds):
                send_after(milliseconds / 1000, self.pid, (atom.answer, from_))
                return NO_REPLY
            case atom.elsewhere:
                spawn(answer_for, from_, self.n)
                return NO_REPLY
            case atom.never:
                return NoReply()
            case (atom.stop, reason):
                return Stop(reason)
            case (atom.stop, reason, reply):
                return Stop(reason, reply=reply)
            case atom.then:
                return Reply(self.n, then=100)
            case atom.idle:
                return Reply(self.n, timeout=0.02)
            case (atom.exit, reason):
                exit(reason)
            case atom.boom:
                raise ValueError("no cheese")
        raise AssertionError(request)

    def handle_cast(self, request: Any) -> Any:
        match request:
            case (atom.add, by):
                self.n += by
            case (atom.stop, reason):
                return Stop(reason)
        return None

    def handle_info(self, message: Any) -> Any:
        match message:
            case (atom.answer, to):
                GenServer.reply(to, self.n)
            case (atom.tell, pid):
                send(pid, (atom.told, self.n))
            case atom.timeout:
                self.n = atom.idle
            case (atom.stop, reason):
                return Stop(reason)
        return None

    async def terminate(self, reason: Any) -> None:
        if isinstance(reason, tuple) and reason[0] is atom.slow:
            try:
                await receive(lambda message: message is atom.never, timeout=reason[1] / 1000)
            except TimeoutError:
                pass
        if isinstance(reason, tuple) and reason[0] is atom.tell:
            send(reason[1], (atom.terminated, self.n))
        if isinstance(self.n, Pid):
            send(self.n, (atom.terminated, reason))

    def code_change(self, old_version: Any, extra: Any) -> None:
        self.n = (self.n, extra)


async def answer_for(to: Any, value: Any) -> None:
    """A process that answers in the server's place."""
    GenServer.reply(to, (atom.elsewhere, value))


ELIXIR = r"""
defmodule Counter do
  use GenServer
  def init({:stop, reason}), do: {:stop, reason}
  def init({:trap, n}) do
    Process.flag(:trap_exit, true)
    {:ok, n}
  end
  def init({:then, n}), do: {:ok, n, {:continue, n}}
  def init({:idle, n}), do: {:ok, n, 20}
  def init(n), do: {:ok, n}
  def handle_continue(by, n), do: {:noreply, n + by}
  def handle_call(:value, _, n), do: {:reply, n, n}
  def handle_call({:add, by}, _, n), do: {:reply, n + by, n + by}
  def handle_call({:echo, term}, _, n), do: {:reply, term, n}
  def handle_call({:later, ms}, from, n) do
    Process.send_after(self(), {:answer, from}, ms)
    {:noreply, n}
  end
  def handle_call(:elsewhere, from, n) do
    spawn(fn -> GenServer.reply(from, {:elsewhere, n}) end)
    {:noreply, n}
  end
  def handle_call(:never, _, n), do: {:noreply, n}
  def handle_call({:stop, reason}, _, n), do: {:stop, reason, n}
  def handle_call({:stop, reason, reply}, _, n), do: {:stop, reason, reply, n}
  def handle_call(:then, _, n), do: {:reply, n, n, {:continue, 100}}
  def handle_call(:idle, _, n), do: {:reply, n, n, 20}
  def handle_call({:exit, reason}, _, _), do: exit(reason)
  def handle_call(:boom, _, _), do: raise "no cheese"
  def handle_cast({:add, by}, n), do: {:noreply, n + by}
  def handle_cast({:stop, reason}, n), do: {:stop, reason, n}
  def handle_info({:answer, to}, n) do
    GenServer.reply(to, n)
    {:noreply, n}
  end
  def handle_info({:tell, pid}, n) do
    send(pid, {:told, n})
    {:noreply, n}
  end
  def handle_info(:timeout, _), do: {:noreply, :idle}
  def handle_info({:stop, reason}, n), do: {:stop, reason, n}
  def handle_info(_, n), do: {:noreply, n}
  def terminate({:slow, ms}, _), do: Process.sleep(ms)
  def terminate({:tell, pid}, n), do: send(pid, {:terminated, n})
  def terminate(_, _), do: :ok
  def code_change(_, n, extra), do: {:ok, {n, extra}}
end

defmodule Door do
  @behaviour :gen_statem
  def callback_mode, do: :handle_event_function
  def init(opened), do: {:ok, :locked, opened}
  def handle_event({:call, from}, :state, state, opened), do: {:keep_state_and_data, [{:reply, from, {state, opened}}]}
  def handle_event({:call, from}, :open, :locked, opened),
    do: {:next_state, :open, opened + 1, [{:state_timeout, 30, :lock}, {:reply, from, :ok}]}
  def handle_event({:call, _}, :open, :open, _), do: {:keep_state_and_data, [:postpone]}
  def handle_event(:state_timeout, :lock, :open, opened), do: {:next_state, :locked, opened}
  def handle_event(:cast, :kick, _, _), do: {:stop, :kicked}
  def handle_event(_, _, _, _), do: :keep_state_and_data
end

defmodule Ignoring do
  def init(_), do: :ignore
end

defmodule Same do
  @moduledoc "Runs a function and gives its outcome with everything in it that depends on the node replaced."
  def outcome(node, function) do
    parent = self()
    {_, monitor} =
      spawn_monitor(fn ->
        result =
          try do
            function.()
          catch
            kind, reason -> {:raised, kind, reason}
          end
        send(parent, {:outcome, shown(result, node)})
      end)
    outcome =
      receive do
        {:outcome, text} -> text
        {:DOWN, ^monitor, _, _, reason} -> shown({:died, reason}, node)
      end
    Process.demonitor(monitor, [:flush])
    outcome
  end

  def shown(term, node), do: inspect(plain(term, node), limit: :infinity, printable_limit: :infinity, width: 120)

  defp plain(pid, node) when is_pid(pid), do: if(pid == self(), do: :ME, else: if(node(pid) == node, do: :SERVER, else: :PID))
  defp plain(ref, _) when is_reference(ref), do: :REF
  defp plain(node, node), do: :NODE
  defp plain(fun, _) when is_function(fun), do: :FUN
  defp plain({{year, _, _}, {_, _, _}}, _) when year in 2020..2100, do: :TIME
  defp plain({:reductions, n}, _) when is_integer(n), do: :REDUCTIONS
  defp plain(%{__exception__: true}, _), do: :EXCEPTION
  defp plain([{m, f, a, l} | _], _) when is_atom(m) and is_atom(f) and is_list(l) and (is_integer(a) or is_list(a)), do: :STACK
  defp plain([head | tail], node), do: [plain(head, node) | plain(tail, node)]
  defp plain(tuple, node) when is_tuple(tuple), do: tuple |> Tuple.to_list() |> plain(node) |> List.to_tuple()
  defp plain(map, node) when is_map(map) and not is_struct(map), do: Map.new(map, &plain(&1, node))
  defp plain(other, _), do: other

  def unlinked(module, args) do
    {:ok, pid} = apply(module, :start_link, args)
    Process.unlink(pid)
    pid
  end

  def pair_and_plus(value, other), do: {value, value + other}

  def receive_one(ms \\ 2000) do
    receive do
      message -> message
    after
      ms -> :silence
    end
  end
end
:ok
"""


@dataclass(frozen=True)
class Item:
    """What a typed method takes."""

    name: str
    price: float
    tags: list[str]
    count: int = 1


class Shop(GenServer):
    """Typed methods: what Elixir sends becomes what the annotations say."""

    def init(self, *, label: str = "shop") -> None:
        self.label = label
        self.items: list[Item] = []

    @call
    def add(self, item: Item) -> int:
        self.items.append(item)
        return len(self.items)

    @call(raises=(LookupError,))
    def price(self, name: str, default: float | None = None) -> float:
        for item in self.items:
            if item.name == name:
                return item.price
        if default is None:
            raise LookupError(f"no {name}")
        return default

    @call
    def kinds(self, name: str, level: Atom, flag: bool = False) -> tuple[str, str, bool]:
        return (f"{type(name).__name__} {name}", f"{type(level).__name__} {level}", flag)

    @call
    async def first(self) -> Item | None:
        return self.items[0] if self.items else None

    @cast
    def rename(self, label: str) -> None:
        self.label = label

    @call
    def named(self) -> str:
        return self.label


# ---- supervisors, as remote callers start them


async def start_supervisor(options: Any) -> Any:
    """A supervisor without children; its options come from Elixir as a map."""
    return await Supervisor.start_link([], **_options(options))


async def start_dynamic(options: Any) -> Any:
    """A dynamic one."""
    return await DynamicSupervisor.start_link(**_options(options))


def _options(options: dict[Atom, Any]) -> dict[str, Any]:
    return {str(key): str(value) if isinstance(value, Atom) else value for key, value in options.items()}


async def start_tasks(options: Any) -> Any:
    """A task supervisor."""
    return await TaskSupervisor.start_link(**_options(options))


async def start_agent(value: Any) -> Any:
    """An agent with a value."""
    return await Agent.start_link(lambda: value)


def plus(value: int, other: int) -> int:
    """For agents."""
    return value + other


def pair_and_plus(value: int, other: int) -> tuple[int, int]:
    """For agents: the old value, and the new one."""
    return value, value + other


class Door(GenStateMachine):
    """`ELIXIR`'s Door."""

    def init(self, opened: int) -> Any:
        self.opened = opened
        return atom.locked

    def get_state(self) -> Any:
        return self.opened

    def handle_event(self, kind: Any, content: Any, state: Any) -> Any:
        match kind, content, state:
            case ("call", from_), atom.state, _:
                return Keep(ReplyTo(from_, (state, self.opened)))
            case ("call", from_), atom.open, atom.locked:
                self.opened += 1
                return Next(atom.open, StateTimeout(0.03, atom.lock), ReplyTo(from_, atom.ok))
            case ("call", _), atom.open, atom.open:
                return Keep(POSTPONE)
            case "state_timeout", atom.lock, atom.open:
                return Next(atom.locked)
            case "cast", atom.kick, _:
                return Stop(atom.kicked)
        return None


class Slow(GenServer):
    """Takes long to start."""

    async def init(self) -> None:
        await receive(lambda message: message is atom.never)


class Ignoring(GenServer):
    """Does not want to run."""

    def init(self) -> Any:
        return IGNORE


async def wait_for_end() -> None:
    """Ends when it is told."""
    while await receive() is not atom.end:
        pass
