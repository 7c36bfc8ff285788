"""Three shells that find each other: barry, robin and maurice; with a real Erlang node as the fourth if `erl` is installed.

Each is an operating-system process of its own and runs the ordinary `beamish shell`; barry's is this one. What they are told to
evaluate, and what they print, appears here as it happens. On a terminal it ends in barry's shell; otherwise it exits 0 when
every step gave what it should.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from beamish.boot import new_event_loop, start_node
from beamish.cli.shell import offer_shell_services
from beamish.errors import NodeError
from beamish.io.devices import StandardDevice
from beamish.node.host import short_hostname
from beamish.shell.session import Session, logs_to

WAIT = 20.0
ERLANG = """
R = fun R(B) -> case io:get_line("") of eof -> halt();
  L -> {ok, T, _} = erl_scan:string(L), {ok, E} = erl_parse:parse_exprs(T),
       {value, V, B2} = erl_eval:exprs(E, B), io:format("~tp~n@@done~n", [V]), R(B2) end end,
io:format("@@done~n"), R([]).
"""


class StoryFailed(Exception):
    """A step did not give what it should."""


class Child:
    """A node in another operating-system process, fed through a pipe."""

    def __init__(self, name: str, host: str, command: list[str], env: dict[str, str], done: str) -> None:
        self.name, self.host = name, host
        self.done_line = done
        self.count = 1
        self.process = subprocess.Popen(
            command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
        )
        self.lines: asyncio.Queue[str | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        self.reader = threading.Thread(target=self._read, args=(loop,), daemon=True)
        self.reader.start()

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            loop.call_soon_threadsafe(self.lines.put_nowait, line.rstrip("\n"))
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self.lines.put_nowait, None)

    @property
    def prompt(self) -> str:
        return f"beamish({self.name}@{self.host}){self.count}> "

    def put(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text)
        self.process.stdin.flush()

    async def until_done(self) -> list[str]:
        """What it prints up to the mark."""
        got = []
        while (line := await asyncio.wait_for(self.lines.get(), WAIT)) != "@@done":
            if line is None:
                raise StoryFailed(f"{self.name} has ended:\n" + "\n".join(got))
            got.append(line)
        return got

    async def ready(self) -> None:
        if self.done_line:
            self.put(self.done_line)
        await self.until_done()

    async def evaluate(self, source: str) -> str:
        """Run one input there; shows it with its prompt, and what came of it."""
        print(self.prompt + source)
        self.put(source + "\n" + self.done_line)
        got = await self.until_done()
        self.count += 1
        for line in got:
            print(line)
        return "\n".join(got)

    async def unasked(self, text: str) -> None:
        """Wait for a line that it prints by itself."""
        line = await asyncio.wait_for(self.lines.get(), WAIT)
        print(f"{'':>10}(on {self.name}) {line}")
        if line is None or text not in line:
            raise StoryFailed(f"{self.name} printed {line!r}")

    def quiet(self) -> bool:
        return self.lines.empty()

    def stop(self) -> None:
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.join(5)
        if self.process.stdout is not None:
            self.process.stdout.close()


class ErlangChild(Child):
    """A real Erlang node."""

    @property
    def prompt(self) -> str:
        return f"({self.name}@{self.host}){self.count}> "


def say(text: str) -> None:
    print(f"\n# {text}", flush=True)


@contextlib.contextmanager
def web_server() -> Iterator[str]:
    """A page on this machine that tells every visitor something else."""
    texts = iter(["one", "two", "three", "four", "five", "six", "seven", "eight"] * 10)
    lock = threading.Lock()

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with lock:
                body = f"number {next(texts)}".encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()


class Barry:
    """The shell in this process."""

    name = "barry"

    def __init__(self, session: Session) -> None:
        self.session = session

    async def evaluate(self, source: str) -> Any:
        print(self.session.prompt + source, flush=True)
        await self.session.evaluate(source)
        return self.session.evaluator.namespace.get("_")


def expect(condition: bool, what: str) -> None:
    if not condition:
        raise StoryFailed(f"expected that {what}")


async def story(barry: Barry, robin: Child, maurice: Child, erlang: Child | None, url: str) -> None:
    python_nodes = [robin, maurice]
    others = [*python_nodes, erlang] if erlang else python_nodes
    say("Fresh nodes see nobody.")
    for node in (barry, *python_nodes):
        await node.evaluate("Node.list()")

    say("barry connects robin, robin connects maurice" + (", maurice connects a real Erlang node." if erlang else "."))
    expect(await barry.evaluate('await Node.connect("robin")') is True, "barry reaches robin")
    expect("True" in await robin.evaluate('await Node.connect("maurice")'), "robin reaches maurice")
    if erlang:
        expect("True" in await maurice.evaluate(f'await Node.connect("{erlang.name}")'), "maurice reaches the Erlang node")
    await _meshed(barry, len(others))

    say("Nobody introduced barry to maurice, yet everybody sees everybody.")
    for node in (barry, *python_nodes):
        shown = str(await node.evaluate("Node.list()"))
        expect(all(other.name in shown for other in (barry, *others) if other is not node), f"{node.name} sees the others")
    if erlang:
        await erlang.evaluate("nodes().")

    say("One call on all nodes: the results come to the caller, and the others print nothing.")
    await barry.evaluate('await rpc.multicall("inets", "start", [])')
    await barry.evaluate('await rpc.multicall("erlang", "node", [])')
    await barry.evaluate(f'results, missing = await rpc.multicall("httpc", "request", [charlist("{url}")])')
    bodies = await barry.evaluate("[text(body) for _, (status, headers, body) in results]")
    expect(len(set(bodies)) == len(others) + 1, "each node got another page")
    expect(all(node.quiet() for node in others), "nothing was printed on the other nodes")
    if erlang:
        await erlang.evaluate("rpc:multicall(erlang, node, []).")

    say("A function spawned on robin runs there and prints here.")
    await barry.evaluate('await Node.spawn("robin", lambda: print("running on", Node.self()))')
    await asyncio.sleep(0.3)
    if erlang:
        call = f'await Node.spawn("{erlang.name}", "io", "format", ["running on ~p, in Erlang~n", [atom("{erlang.name}")]])'
        await barry.evaluate(call)
        await asyncio.sleep(0.3)
    expect(all(node.quiet() for node in others), "nothing was printed where it ran")

    say("A name for the whole cluster: registered on maurice, found and used from everywhere.")
    await maurice.evaluate('async def server():\n    while True:\n        print("I got a message:", await receive())\n')
    await maurice.evaluate("await Global.register_name(atom.server, spawn(server))")
    await robin.evaluate("Global.whereis_name(atom.server)")
    await robin.evaluate('Global.send(atom.server, "hello from robin")')
    await maurice.unasked("hello from robin")
    await barry.evaluate('send(Global.whereis_name(atom.server), "hello from barry")')
    await maurice.unasked("hello from barry")
    if erlang:
        await erlang.evaluate("global:whereis_name(server).")
        await erlang.evaluate('global:send(server, <<"hello from Erlang">>).')
        await maurice.unasked("hello from Erlang")


async def _meshed(barry: Barry, count: int) -> None:
    deadline = asyncio.get_running_loop().time() + WAIT
    while len([peer for peer in barry.session.runtime.peers.values() if peer.visible]) < count:
        if asyncio.get_running_loop().time() > deadline:
            raise StoryFailed("the mesh did not close")
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.3)


class DemoFront(StandardDevice):
    """barry's output when there is no terminal; nobody types."""

    colour = False

    async def read_input(self, prompt: str) -> str | None:
        return None

    def attach(self, session: Session) -> None:
        pass

    def error(self, text: str) -> None:
        print(text, flush=True)

    complain = error


def front_end() -> Any:
    if sys.stdin.isatty() and sys.stdout.isatty():
        from beamish.shell.terminal import TerminalFront

        return TerminalFront()
    return DemoFront()


def demo_host() -> str:
    """The short host name, or localhost on a machine that does not know its own name."""
    host = short_hostname()
    try:
        socket.gethostbyname(host)
    except OSError:
        return "localhost"
    return host


def start_children(host: str, cookie: str, folder: Path) -> tuple[Child, Child, Child | None]:
    env = {**os.environ, "BEAMISH_COOKIE": cookie, "PYTHONUNBUFFERED": "1"}
    shells = [
        Child(name, host, [sys.executable, "-m", "beamish", "shell", "--sname", f"{name}@{host}"], env, 'print("@@done")\n')
        for name in ("robin", "maurice")
    ]
    erlang = None
    if shutil.which("erl"):
        arguments = folder / "erl.args"  # not the command line, which everybody on this machine can read
        arguments.touch(mode=0o600)
        arguments.write_text(f"-sname joe@{host}\n-setcookie {cookie}\n")
        one_line = " ".join(ERLANG.split())
        erlang = ErlangChild("joe", host, ["erl", "-args_file", str(arguments), "-noshell", "-eval", one_line], env, "")
    return shells[0], shells[1], erlang


async def main() -> int:
    host, cookie = demo_host(), secrets.token_hex(16)
    front = front_end()
    with tempfile.TemporaryDirectory() as folder, web_server() as url, logs_to(front):
        try:
            runtime = await start_node(f"barry@{host}", cookie=cookie, device=front)
        except NodeError as error:
            print(f"the demo cannot start: {error}", file=sys.stderr)
            return 1
        offer_shell_services(runtime)
        children = start_children(host, cookie, Path(folder))
        session = Session(runtime, front)
        try:
            print(f"three nodes: barry, robin and maurice on {host}" + (", and joe, who is Erlang" if children[2] else ""))
            for child in children:
                if child is not None:
                    await child.ready()
            await story(Barry(session), *children, url)
            say("That is the cluster." + (" This is barry's shell: try it, Ctrl-D leaves." if front.colour else ""))
            if sys.stdin.isatty() and sys.stdout.isatty():
                await session.run()
        except StoryFailed as failure:
            print(f"the demo failed: {failure}", file=sys.stderr)
            return 1
        finally:
            session.evaluator.closing = True
            for child in children:
                if child is not None:
                    await asyncio.to_thread(child.stop)
            await runtime.stop()
    return 0


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        sys.exit(runner.run(main()))
