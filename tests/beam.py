"""Real Erlang and Elixir nodes, and a real epmd, as test fixtures.

    with RealEpmd() as epmd, ErlNode("peer@localhost", epmd=epmd) as peer:
        peer.eval("lists:sum([1, 2, 3])")                    6, through beamish's decoder
        peer.text("{node(), \"abc\"}")                       "{peer@localhost,\"abc\"}", as Erlang prints it
        await peer.aeval("net_adm:ping('me@localhost')")     without stopping the event loop

Expressions run one after the other in one lasting process of the node, so it can register itself and receive; variables
do not last. ``spawn=True`` runs an expression in a process of its own instead. What the node prints is in ``lines``.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Self

START_TIMEOUT = 30.0
EVAL_TIMEOUT = 20.0
COOKIE = "beamish-tests"
HAVE_ERLANG = shutil.which("erl") is not None and shutil.which("epmd") is not None
HAVE_ELIXIR = shutil.which("elixir") is not None

MARK = "\x01@@"
_serial = itertools.count(1)


def free_port() -> int:
    """A TCP port of the loopback interface that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def unique_name(stem: str = "peer", host: str = "localhost") -> str:
    """A node name that no other test of this machine uses."""
    return f"{stem}{next(_serial)}_{os.getpid()}@{host}"


async def eventually(condition: Callable[[], bool | Awaitable[bool]], timeout: float = EVAL_TIMEOUT) -> None:
    """Wait until a condition holds that nobody announces: the state of another process, of a socket's other end."""
    async with asyncio.timeout(timeout):
        for pause in itertools.chain([0.0, 0.001, 0.005], itertools.repeat(0.02)):
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(pause)


class BeamError(Exception):
    """An expression failed in the node; the message is Erlang's account of it."""


class Child:
    """A child process whose output is collected line by line."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self.lines: list[str] = []
        self._grown = threading.Condition()
        self._ended = False
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **env},
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_line(self, pattern: str, timeout: float = EVAL_TIMEOUT, *, start: int = 0) -> str:
        """The first collected line (from ``start`` on) in which the pattern is found; waits for it."""
        found: list[str] = []

        def search() -> bool:
            found[:] = [line for line in self.lines[start:] if re.search(pattern, line)]
            return bool(found) or self._ended

        with self._grown:
            self._grown.wait_for(search, timeout)
            if not found:
                why = "ended" if self._ended else f"printed no such line in {timeout:g} s"
                raise AssertionError(f"{pattern!r}: the child {why}; its output:\n" + "\n".join(self.lines[-40:]))
            return found[0]

    async def await_line(self, pattern: str, timeout: float = EVAL_TIMEOUT, *, start: int = 0) -> str:
        """The same without stopping the event loop."""
        return await asyncio.to_thread(self.wait_line, pattern, timeout, start=start)

    def kill(self) -> None:
        """End it with SIGKILL, as a crash of the machine would as far as sockets tell."""
        self.process.kill()
        self._join()

    def _join(self) -> None:
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()
        self.process.wait()
        self._reader.join()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for raw in self.process.stdout:
            self._take(raw.decode("utf-8", "replace").rstrip("\r\n"))
        with self._grown:
            self._ended = True
            self._grown.notify_all()
        self._on_end()

    def _take(self, line: str) -> None:
        with self._grown:
            self.lines.append(line)
            self._grown.notify_all()

    def _on_end(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        self.kill()


# epmd does not care about its standard input; the shell around it does, so that no epmd outlives a killed test run.
_UNTIL_STDIN_CLOSES = 'exec 3<&0; "$@" & epmd=$!; (cat <&3; kill $epmd) >/dev/null 2>&1 & exec 3<&-; wait $epmd'


class RealEpmd(Child):
    """Erlang's own epmd in the foreground, on a port of its own."""

    def __init__(self, port: int | None = None, *options: str) -> None:
        self.port = port or free_port()
        command = ["epmd", "-port", str(self.port), "-address", "127.0.0.1", "-d", "-d", *options]
        super().__init__(["sh", "-c", _UNTIL_STDIN_CLOSES, "sh", *command], {})
        self.wait_line("entering the main select", START_TIMEOUT)

    def kill(self) -> None:
        """End it with SIGKILL."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._join()


class BeamNode(Child):
    """What Erlang and Elixir nodes have in common: expressions in, terms out."""

    def __init__(self, name: str, command: list[str], epmd_port: int | None) -> None:
        self.name = name
        self._numbers = itertools.count(1)
        self._answers: dict[str, queue.SimpleQueue[str | None]] = {}
        self._lock = threading.Lock()
        self._over = False
        env = {"ERL_CRASH_DUMP_SECONDS": "0"}
        if epmd_port is not None:
            env["ERL_EPMD_PORT"] = str(epmd_port)
        super().__init__(command, env)
        try:
            self.wait_line("^node is up$", START_TIMEOUT)
        except BaseException:
            self.kill()
            raise

    def eval(self, expression: str, *, timeout: float = EVAL_TIMEOUT, spawn: bool = False) -> Any:
        """The value of an expression, decoded by beamish.

        Raises  BeamError if it failed there; AssertionError if there was no answer in time
        """
        from beamish.etf import decode

        return decode(self._ask("s" if spawn else "e", expression, timeout))

    def text(self, expression: str, *, timeout: float = EVAL_TIMEOUT, spawn: bool = False) -> str:
        """The value of an expression as the node prints it, on one line."""
        return self._ask("S" if spawn else "E", expression, timeout).decode("utf-8")

    async def aeval(self, expression: str, *, timeout: float = EVAL_TIMEOUT, spawn: bool = False) -> Any:
        """``eval`` without stopping the event loop, for expressions that make the node talk to us."""
        return await asyncio.to_thread(self.eval, expression, timeout=timeout, spawn=spawn)

    async def atext(self, expression: str, *, timeout: float = EVAL_TIMEOUT, spawn: bool = False) -> str:
        """``text`` without stopping the event loop."""
        return await asyncio.to_thread(self.text, expression, timeout=timeout, spawn=spawn)

    def stop(self) -> None:
        """End it in order: the node halts when its standard input closes. Kills it if it does not."""
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self._join()

    def _ask(self, kind: str, expression: str, timeout: float) -> bytes:
        number = str(next(self._numbers))
        answer: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        with self._lock:
            if self._over:
                raise AssertionError(f"{self.name} has ended; its output:\n" + "\n".join(self.lines[-40:]))
            self._answers[number] = answer
            assert self.process.stdin is not None
            code = base64.b64encode(expression.rstrip(". \n").encode("utf-8")).decode("ascii")
            self.process.stdin.write(f"{number} {kind} {code}\n".encode("ascii"))
            self.process.stdin.flush()
        try:
            text = answer.get(timeout=timeout)
        except queue.Empty:
            output = "\n".join(self.lines[-40:])
            raise AssertionError(
                f"{self.name}: no answer to {expression} in {timeout:g} s; output:\n{output}"
            ) from None
        finally:
            with self._lock:
                self._answers.pop(number, None)
        if text is None:
            raise AssertionError(f"{self.name} ended during {expression}; its output:\n" + "\n".join(self.lines[-40:]))
        status, data = text.split(" ", 1)
        if status != "ok":
            raise BeamError(f"{expression}: {base64.b64decode(data).decode('utf-8', 'replace')}")
        return base64.b64decode(data)

    def _take(self, line: str) -> None:
        before, mark, reply = line.partition(MARK)
        if not mark:
            super()._take(line)
            return
        if before:
            super()._take(before)
        number, text = reply.split(" ", 1)
        with self._lock:
            answer = self._answers.get(number)
        if answer is not None:
            answer.put(text)

    def _on_end(self) -> None:
        with self._lock:
            self._over = True
            for answer in self._answers.values():
                answer.put(None)


def _port_of(epmd: RealEpmd | int | None) -> int | None:
    return epmd.port if isinstance(epmd, RealEpmd) else epmd


def _name_option(name: str) -> str:
    host = name.partition("@")[2]
    return "name" if "." in host or ":" in host else "sname"


# Reads ``NUMBER KIND BASE64`` lines and answers ``\x01@@NUMBER ok|error BASE64``. Kinds: e and s give the external term
# format, E and S printed text; s and S run in a process of their own.
_ERLANG_LOOP = r"""
Evaluate = fun(Number, Kind, Code) ->
    {Status, Data} = try
        {ok, Tokens, _} = erl_scan:string(unicode:characters_to_list([base64:decode(Code), " ."])),
        {ok, Parsed} = erl_parse:parse_exprs(Tokens),
        {value, Value, _} = erl_eval:exprs(Parsed, erl_eval:new_bindings()),
        {ok, case Kind of
            _ when Kind =:= "e"; Kind =:= "s" -> term_to_binary(Value);
            _ -> unicode:characters_to_binary(io_lib:format("~0tp", [Value]))
        end}
    catch Class:Reason:Stack ->
        {error, unicode:characters_to_binary(io_lib:format("~tp: ~tp~n~tp", [Class, Reason, Stack]))}
    end,
    io:put_chars(user, [1, "@@", Number, " ", atom_to_list(Status), " ", base64:encode(Data), "\n"])
end,
Evaluator = spawn(fun() ->
    process_flag(trap_exit, true),
    (fun Serve() ->
        receive {'$evaluate', Number, Kind, Code} -> Evaluate(Number, Kind, Code), Serve() end
    end)()
end),
io:put_chars(user, "node is up\n"),
(fun Read() ->
    case io:get_line(standard_io, "") of
        Line when is_list(Line) ->
            [Number, Kind, Code] = string:lexemes(string:trim(Line), " "),
            case Kind =:= "s" orelse Kind =:= "S" of
                true -> spawn(fun() -> Evaluate(Number, Kind, Code) end);
                false -> Evaluator ! {'$evaluate', Number, Kind, Code}
            end,
            Read();
        _ ->
            erlang:halt(0)
    end
end)().
"""


class ErlNode(BeamNode):
    """A node of Erlang. ``options`` go to ``erl`` as they are."""

    def __init__(
        self,
        name: str | None = None,
        *options: str,
        epmd: RealEpmd | int | None = None,
        cookie: str = COOKIE,
        hidden: bool = False,
    ) -> None:
        name = name or unique_name("erl")
        command = ["erl", f"-{_name_option(name)}", name, "-setcookie", cookie, "-noshell", "-start_epmd", "false"]
        command += ["-hidden"] if hidden else []
        command += [*options, "-eval", _ERLANG_LOOP]
        super().__init__(name, command, _port_of(epmd))


_ELIXIR_LOOP = r"""
evaluate = fn number, kind, code ->
  {status, data} =
    try do
      {value, _} = code |> Base.decode64!() |> Code.eval_string([], __ENV__)
      whole = [limit: :infinity, printable_limit: :infinity, width: 1_000_000]
      {"ok", if(kind in ["e", "s"], do: :erlang.term_to_binary(value), else: inspect(value, whole))}
    catch
      kind, reason -> {"error", Exception.format(kind, reason, __STACKTRACE__)}
    end
  IO.binwrite(:user, [1, "@@", number, " ", status, " ", Base.encode64(data), "\n"])
end
defmodule BeamishTests.Serve do
  def serve(evaluate) do
    receive do
      {:"$evaluate", number, kind, code} -> evaluate.(number, kind, code)
    end
    serve(evaluate)
  end
  def read(evaluate, evaluator) do
    case IO.gets("") do
      line when is_binary(line) ->
        [number, kind, code] = String.split(line)
        if kind in ["s", "S"],
          do: spawn(fn -> evaluate.(number, kind, code) end),
          else: send(evaluator, {:"$evaluate", number, kind, code})
        read(evaluate, evaluator)
      _ ->
        System.halt(0)
    end
  end
end
evaluator = spawn(fn -> Process.flag(:trap_exit, true); BeamishTests.Serve.serve(evaluate) end)
IO.puts(:user, "node is up")
BeamishTests.Serve.read(evaluate, evaluator)
"""


class ElixirNode(BeamNode):
    """A node of Elixir; expressions are Elixir. ``options`` go to ``erl``, in one word each."""

    def __init__(
        self,
        name: str | None = None,
        *options: str,
        epmd: RealEpmd | int | None = None,
        cookie: str = COOKIE,
        hidden: bool = False,
    ) -> None:
        name = name or unique_name("elixir")
        command = ["elixir", f"--{_name_option(name)}", name, "--cookie", cookie]
        command += ["--hidden"] if hidden else []
        command += ["--erl", " ".join(["-start_epmd false", *options]), "-e", _ELIXIR_LOOP]
        super().__init__(name, command, _port_of(epmd))


class ThreadedServer:
    """A loopback listener whose connections are served by a function, each in a thread, for blocking test drivers."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._serve = serve
        self.port = int(self._listener.getsockname()[1])
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._run, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, connection: socket.socket) -> None:
        with connection:
            self._serve(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        # Closing alone does not wake a thread that waits in accept().
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join()
        for thread in self._threads:
            thread.join(10)
