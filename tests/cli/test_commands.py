"""names, ping, nodes and call beside a real Erlang node, as a script uses them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from beam import COOKIE, ErlNode, RealEpmd, free_port

pytestmark = pytest.mark.interop

COMMAND = [sys.executable, "-c", "import sys; from beamish.cli import main; sys.exit(main())"]


@pytest.fixture
def beamish(real_epmd: RealEpmd, tmp_path: Path):
    def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "ERL_EPMD_PORT": str(real_epmd.port), "BEAMISH_COOKIE": COOKIE, "HOME": str(tmp_path), **environ}
        return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, env=env, timeout=60, check=False)

    return run


def test_names(beamish, erl_node: ErlNode) -> None:
    alive = erl_node.name.partition("@")[0]
    shown = beamish("names")
    assert shown.returncode == 0
    assert alive in shown.stdout
    listed = json.loads(beamish("names", "--json").stdout)
    assert alive in [entry["name"] for entry in listed]
    assert all(entry["port"] > 0 for entry in listed)


def test_ping(beamish, erl_node: ErlNode) -> None:
    answered = beamish("ping", erl_node.name)
    assert answered.stdout.startswith("pong (")
    assert answered.returncode == 0
    assert json.loads(beamish("ping", "--json", erl_node.name).stdout)["pong"] is True
    assert erl_node.eval("nodes()") == []  # a hidden node came and went


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["nosuch@localhost"], "nosuch"),
        (["someone@no.such.host.invalid"], "does not resolve"),
        (["{node}", "--cookie", "wrong"], "cookie"),
    ],
)
def test_ping_says_why_not(beamish, erl_node: ErlNode, arguments: list[str], problem: str) -> None:
    refused = beamish("ping", *[argument.format(node=erl_node.name) for argument in arguments])
    assert refused.returncode == 1
    assert problem in refused.stdout + refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (["math", "sqrt", "16"], "4.0\n"),
        (["lists", "reverse", "[1,2,3]"], "[3,2,1]\n"),
        (["lists", "reverse", '~c"abc"'], '~c"cba"\n'),
        (["erlang", "byte_size", '"é"'], "2\n"),
        (["erlang", "tuple_size", "{a,b}"], "2\n"),
        (["maps", "get", "k", '#{k => {"x", true, nil}}'], '{"x",true,nil}\n'),
        (["io", "format", '"printed ~p~n"', "[[1]]"], "printed [1]\nok\n"),
        (["erlang", "abs", "-5"], "5\n"),
    ],
)
def test_call(beamish, erl_node: ErlNode, arguments: list[str], output: str) -> None:
    called = beamish("call", erl_node.name, *arguments)
    assert (called.stdout, called.stderr, called.returncode) == (output, "", 0)


def test_call_for_scripts(beamish, erl_node: ErlNode) -> None:
    assert beamish("call", erl_node.name, "erlang", "node").stdout.strip().strip("'") == erl_node.name
    called = beamish("call", "--json", erl_node.name, "lists", "zip", '["a"]', "[{ok,1}]")
    assert json.loads(called.stdout) == [["a", ["ok", 1]]]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["lists", "reverse", "a"], "function_clause"),
        (["nosuch", "f"], "nosuch"),
        (["erlang", "error", "{my, reason}"], "my"),
    ],
)
def test_call_that_fails(beamish, erl_node: ErlNode, arguments: list[str], problem: str) -> None:
    called = beamish("call", erl_node.name, *arguments)
    assert called.returncode == 1
    assert called.stdout == ""
    assert called.stderr.startswith("beamish: ")
    assert problem in called.stderr
    assert "Traceback" not in called.stderr


def test_call_that_takes_too_long(beamish, erl_node: ErlNode) -> None:
    called = beamish("call", "--timeout", "0.3", erl_node.name, "timer", "sleep", "60000")
    assert called.returncode == 1
    assert "within 0.3 s" in called.stderr


def test_nodes(beamish, erl_node: ErlNode, start_erl) -> None:
    other = start_erl()
    assert erl_node.text(f"net_adm:ping('{other.name}')") == "pong"
    assert beamish("nodes", erl_node.name).stdout.split() == [erl_node.name, other.name]
    assert json.loads(beamish("nodes", "--json", other.name).stdout) == [other.name, erl_node.name]
    erl_node.eval(f"erlang:disconnect_node('{other.name}')")


def test_epmd_serves_until_it_is_stopped(beamish, tmp_path: Path) -> None:
    port = free_port()
    env = {**os.environ, "ERL_EPMD_PORT": str(port), "HOME": str(tmp_path)}
    with subprocess.Popen([*COMMAND, "epmd"], stderr=subprocess.PIPE, env=env, text=True) as served:
        assert served.stderr is not None
        assert f"port mapper on port {port}" in served.stderr.readline()
        assert beamish("names", ERL_EPMD_PORT=str(port)).stdout == f"port mapper on 127.0.0.1 port {port}: 0 nodes\n"
        second = beamish("epmd", ERL_EPMD_PORT=str(port))
        assert second.returncode == 1
        assert f"port {port}" in second.stderr
        served.terminate()
        assert served.wait(10) == 0


def test_a_command_line_does_not_take_long(beamish) -> None:
    started = time.perf_counter()
    assert beamish("--version").returncode == 0
    assert time.perf_counter() - started < 5  # a sixteenth of it is usual
