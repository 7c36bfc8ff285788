"""The programs that the benchmarks drive answer every line they are asked, ours and their peers alike."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def bench() -> Iterator[SimpleNamespace]:
    """harness, otp and fairness, imported from the folder of the benchmarks."""
    before = list(sys.path)
    sys.path.insert(0, str(BENCHMARKS))
    yield SimpleNamespace(**{name: load(name) for name in ("harness", "otp", "fairness")})
    sys.path[:] = before


def load(name: str) -> Any:
    """benchmarks/NAME.py under its own name, once."""
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_our_driver_knows_every_row(bench: SimpleNamespace) -> None:
    with bench.harness.Child("beamish", bench.harness.python("otp_node.py"), bench.harness.python_env()) as child:
        for row in bench.otp.LOCAL:
            value = child.ask(row.key, 1000 if "bytes" not in row.unit else 20_000)
            assert value > 0, row.key


@pytest.mark.interop
def test_the_peers_know_every_row(bench: SimpleNamespace) -> None:
    with bench.otp.ExitStack() as stack:
        local = bench.otp.Local(stack)
        for row in bench.otp.LOCAL:
            for name in {row.peer, *row.also} & {bench.otp.ERLANG, bench.otp.ELIXIR}:
                assert local.get(name).ask(row.key, 1000) > 0, (name, row.key)


@pytest.mark.interop
@pytest.mark.parametrize("caller", ["beamish", "Erlang", "Elixir"])
@pytest.mark.parametrize("server", ["beamish", "Erlang"])
def test_any_caller_calls_any_server(bench: SimpleNamespace, caller: str, server: str) -> None:
    with bench.otp.ExitStack() as stack:
        nodes = bench.otp.Nodes(stack, stack.enter_context(bench.harness.Epmd()).env)
        child, (_, name) = nodes.get(caller, "main")[0], nodes.get(server, "serve")
        assert child.ask("calls_1", 100, name) > 0
        assert child.ask("calls_100", 200, name) > 0


def test_a_python_hog_does_not_stop_the_echo_unless_preemption_is_off(bench: SimpleNamespace) -> None:
    env = bench.fairness.driver_env()
    with bench.harness.Child("beamish", bench.harness.python("fairness_node.py"), env) as child:
        for kind in ("none", "python", "server", "dirty", "offload"):
            median, p99, maximum, count, units = child.ask_all("echo", 1, kind, 0.5)
            assert median <= p99 <= maximum < 400, kind  # milliseconds
            assert count > 5, kind
            assert (units > 0) is (kind != "none"), kind
        assert child.ask_all("due", 1, "python", 0.5)[2] < 400
        assert child.ask_all("timers", "python", 0.5)[3] > 5
        assert child.ask("work", 2, 100) > 0
        _, _, maximum, count, _ = child.ask_all("echo", 1, "python", 0.5, "nopreempt")
        assert maximum > 450
        assert count <= 2


def test_a_socket_is_served_beside_a_hog(bench: SimpleNamespace) -> None:
    with bench.otp.ExitStack() as stack:
        children = bench.fairness.Children(stack)
        figures = bench.fairness.ask_socket(children.get("beamish"), 0.5)
    assert figures.maximum < 400


@pytest.mark.interop
def test_the_peers_of_fairness_answer(bench: SimpleNamespace) -> None:
    with bench.otp.ExitStack() as stack:
        children = bench.fairness.Children(stack)
        for words in ("echo 1 python", "due 1 python", "timers python"):
            assert children.figures(bench.fairness.PEER, words, 0.2).maximum < 200
        assert children.figures("asyncio", "echo 1 python", 0.2).maximum > 190
        assert children.figures("asyncio", "echo 1 thread", 0.2).maximum < 190
        assert children.figures("pykka", "echo 0 python", 0.2).maximum < 190
        assert not math.isnan(bench.fairness.ask_socket(children.get(bench.fairness.PEER), 0.2).p99)


def test_figures_of_times(bench: SimpleNamespace) -> None:
    figures = bench.fairness.figures_of([n * 1_000_000 for n in range(100, 0, -1)])
    assert (figures.median, figures.p99, figures.maximum) == (51.0, 100.0, 100.0)
    assert str(figures) == "p50 51, p99 100, max 100 ms of 100"
