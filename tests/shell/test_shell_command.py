"""The command `beamish shell` as a user starts it: piped, on a terminal, beside a real Erlang node."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from beam import COOKIE, ErlNode, RealEpmd, unique_name

pytestmark = pytest.mark.interop

COMMAND = [sys.executable, "-c", "import sys; from beamish.cli import main; sys.exit(main())", "shell"]
PATIENCE = 20.0


def environment(epmd: RealEpmd, tmp_path: Path, **more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("BEAMISH_", "RELEASE_"))}
    return {
        **kept,
        "ERL_EPMD_PORT": str(epmd.port),
        "BEAMISH_COOKIE": COOKIE,
        "BEAMISH_HISTORY": str(tmp_path / "history"),
        "HOME": str(tmp_path),
        "TERM": "xterm",
        "NO_COLOR": "1",
        **more,
    }


def piped(source: str, *flags: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *flags], input=source, capture_output=True, text=True, env=env, timeout=PATIENCE, check=False)


def short(name: str) -> str:
    return name.partition("@")[0]


def test_piped_on_a_node(real_epmd: RealEpmd, tmp_path: Path) -> None:
    name = unique_name("piped")
    result = piped("Node.self()\nNode.list()\nprint('out')\n1/0\n'after'\n", "--sname", name, env=environment(real_epmd, tmp_path))
    assert result.stdout == f"atom('{name}')\n[]\nout\n'after'\n"
    assert result.stderr == "ZeroDivisionError: division by zero\n"
    assert result.returncode == 0


def test_piped_without_a_name(real_epmd: RealEpmd, tmp_path: Path) -> None:
    result = piped("Node.connect('x')\nself()\n", env=environment(real_epmd, tmp_path))
    assert result.stdout.splitlines()[0] == "atom.ignored"
    assert result.stderr == ""


def test_beside_erlang(real_epmd: RealEpmd, erl_node: ErlNode, tmp_path: Path) -> None:
    source = f"""
peer = {erl_node.name!r}
Node.connect(peer)
Node.list() == [atom(peer)]
rpc.call(peer, "lists", "reverse", [[1, 2, 3]])
pid = Node.spawn(peer, "io", "format", [charlist("spawned on ~p~n"), [atom(peer)]])
rpc.call(peer, "io", "format", [charlist("called~n"), []])
io.gets()
this line is read by the one before
rpc.call(peer, "io", "get_line", [atom("")])
and this one by Erlang
rpc.call(peer, "erlang", "error", [atom.oops])
"""
    result = piped(source, "--sname", unique_name("beside"), env=environment(real_epmd, tmp_path))
    lines = result.stdout.splitlines()
    assert lines[:3] == ["True", "True", "[3, 2, 1]"]
    assert f"spawned on {erl_node.name}" in lines
    assert "called" in lines
    assert "'this line is read by the one before\\n'" in lines
    assert str([ord(character) for character in "and this one by Erlang\n"])[1:20] in result.stdout.replace("\n ", " ")
    assert "oops" in result.stderr


def test_two_shells_share_functions(real_epmd: RealEpmd, tmp_path: Path) -> None:
    env = environment(real_epmd, tmp_path)
    other, third = unique_name("other"), unique_name("third")
    with contextlib.ExitStack() as stack:
        for name, *flags in ((other,), (third, "--no-remote-code")):
            process = subprocess.Popen(
                [*COMMAND, "--sname", name, *flags], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, env=env, text=True,
            )  # fmt: skip
            stack.enter_context(process)
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("'ready'\n")
            process.stdin.flush()
            assert process.stdout.readline() == "'ready'\n"
        source = f"""
who = "typed here"
pid, ref = Node.spawn({other!r}, lambda: print(who, "and run on", Node.self()), monitor=True)
receive((atom.DOWN, ref, ...,  ..., ...))[4]
rpc.call({other!r}, lambda a, b: a + b, [1, 2])
rpc.call({third!r}, lambda: 1, [])
"""
        result = piped(source, "--sname", unique_name("first"), env=env)
    assert f"typed here and run on {other}" in result.stdout
    assert "\n3\n" in result.stdout
    assert "--no-remote-code" in result.stderr


@pytest.mark.parametrize(
    ("flags", "problem", "status"),
    [
        (["--sname", "{taken}"], "is taken on this machine", 1),
        (["--sname", "a", "--cookie", "a b"], "contains a space", 1),
        (["--sname", "a@localhost", "--dist-port", "{port}"], "is in use", 1),
        (["--sname", "a", "--epmd-port", "{port}"], "not a port mapper", 1),
    ],
)
def test_starts_that_fail(
    real_epmd: RealEpmd, erl_node: ErlNode, tmp_path: Path, flags: list[str], problem: str, status: int
) -> None:
    import socket

    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        given = [flag.format(taken=erl_node.name, port=held.getsockname()[1]) for flag in flags]
        result = piped("1", *given, env=environment(real_epmd, tmp_path))
    assert problem in result.stderr
    assert result.stdout == ""
    assert result.returncode == status


def test_the_cookie_is_not_in_the_process_list(real_epmd: RealEpmd, tmp_path: Path) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux lets a process change its arguments")
    source = "open('/proc/self/cmdline').read().count('very-secret')\nNode.get_cookie()\n"
    env = environment(real_epmd, tmp_path)
    result = piped(source, "--sname", unique_name("hush"), "--cookie", "very-secret", env=env)
    assert result.stdout == "0\n'very-secret'\n"


class Terminal:
    """A shell on a pseudo-terminal."""

    def __init__(self, *flags: str, env: dict[str, str]) -> None:
        self.started = time.perf_counter()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(COMMAND[0], [*COMMAND, *flags], env)
        self.seen = ""

    def read_until(self, pattern: str, timeout: float = PATIENCE) -> str:
        """Everything up to where the pattern is found, without escape sequences; it is consumed."""
        deadline = time.monotonic() + timeout
        while not (match := re.search(pattern, self.plain)):
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self.fd], [], [], max(0.0, left))
            if not ready:
                raise AssertionError(f"{pattern!r} did not appear in:\n{self.plain}")
            try:
                data = os.read(self.fd, 65536).decode(errors="replace")
            except OSError:
                raise AssertionError(f"the shell ended before {pattern!r}:\n{self.plain}") from None
            if "\x1b[6n" in data:  # where is the cursor?
                os.write(self.fd, b"\x1b[1;1R")
            self.seen += data
        text = self.plain[: match.end()]
        self.seen = self.plain[match.end() :]
        return text

    @property
    def plain(self) -> str:
        """Without escape sequences; moving the cursor to the right is white space."""
        moved = re.sub(r"\x1b\[(\d*)C", lambda match: " " * int(match[1] or 1), self.seen)
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\r", "", moved)

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def close(self) -> int:
        """Wait for its end; the exit status."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                ready, _, _ = select.select([self.fd], [], [], 0.05)
                if ready and not os.read(self.fd, 65536):
                    pass
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self.fd)
                return os.waitstatus_to_exitcode(status)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)
        raise AssertionError("the shell did not end")


@pytest.fixture
def terminal(real_epmd: RealEpmd, tmp_path: Path) -> Iterator[Any]:
    pytest.importorskip("prompt_toolkit")
    opened: list[Terminal] = []

    def start(*flags: str) -> Terminal:
        opened.append(Terminal(*flags, env=environment(real_epmd, tmp_path)))
        return opened[-1]

    yield start
    for each in opened:
        with contextlib.suppress(OSError):
            os.kill(each.pid, signal.SIGKILL)
            os.waitpid(each.pid, 0)


def test_on_a_terminal(terminal: Any, tmp_path: Path) -> None:
    name = unique_name("term")
    prompt = re.escape(f"beamish({name})")
    shell = terminal("--sname", name)
    banner = shell.read_until(prompt + "1>")
    assert "exit() leaves" in banner
    assert f"node {name}, port " in banner
    shell.type("1 + 1\r")
    assert "\n2\n" in shell.read_until(prompt + "2>")
    shell.type("def f(a):\r")
    shell.read_until(r"\.\.\.>")
    shell.type("return a * 2\r\r")
    shell.read_until(prompt + "3>")
    shell.type("f(21)\r")
    assert "42" in shell.read_until(prompt + "4>")
    shell.type("Node.se\tset_never")  # completes to self( or set_cookie(: the common start stays
    shell.read_until("Node.se")
    shell.type("\x15print('go' + 'ing'); exec('while True: pass')\r")
    shell.read_until("going\n")
    shell.type("\x03")
    assert "** interrupted" in shell.read_until(prompt + "5>")
    shell.type("print('wait' + 'ing'); await receive()\r")
    shell.read_until("waiting\n")
    shell.type("\x03")
    assert "** interrupted" in shell.read_until(prompt + "6>")
    shell.type("half an input\x03")
    shell.read_until(prompt + "6>")
    shell.type("\x04")
    assert shell.close() == 0
    history = (tmp_path / "history").read_text()
    assert "+1 + 1\n" in history
    assert "+    return a * 2\n" in history


def test_output_comes_above_what_is_being_typed(terminal: Any, erl_node: ErlNode) -> None:
    name = unique_name("above")
    prompt = re.escape(f"beamish({name})")
    shell = terminal("--sname", name)
    shell.read_until(prompt + "1>")
    shell.type(f"Node.connect({erl_node.name!r})\r")
    assert "True" in shell.read_until(prompt + "2>")
    shell.type("half typed")
    shell.read_until("half typed")
    erl_node.eval(f"rpc:call('{name}', io, format, [user, \"from outside ~p~n\", [[1,2]]])")
    shell.read_until(r"from outside \[1,2\]\n")
    shell.read_until(prompt + "2> half typed")
    shell.type("\x15print('x')\r")
    shell.read_until("\nx\n")
    shell.read_until(prompt + "3>")
    shell.type("\x04")
    assert shell.close() == 0
