"""The same scenarios on Elixir's supervisors and on ours, compared step by step."""

from __future__ import annotations

import base64
import logging
from pathlib import Path
from typing import Any

import pytest
from scenarios import SCENARIOS, play

from beam import ElixirNode
from beamish import etf

pytestmark = pytest.mark.interop
SCRIPT = Path(__file__).with_name("scenario.exs")


@pytest.fixture(scope="module")
def played_by_elixir(elixir_node: ElixirNode) -> dict[str, Any]:
    """What Elixir's supervisors do, all scenarios at once."""
    elixir_node.eval(f'Logger.configure(level: :none); Code.compile_file("{SCRIPT}"); :ok')
    data = base64.b64encode(etf.encode(list(SCENARIOS.values()))).decode()
    records = elixir_node.eval(f'Scenario.play(:erlang.binary_to_term(Base.decode64!("{data}")))', timeout=90.0, spawn=True)
    elixir_node.eval("Logger.configure(level: :debug); :ok")
    return dict(zip(SCENARIOS, records, strict=True))


@pytest.mark.parametrize("name", SCENARIOS)
def test_ours_do_what_elixirs_do(name: str, played_by_elixir: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.CRITICAL):
        ours = play(SCENARIOS[name])
    theirs = played_by_elixir[name]
    for number, (our, their) in enumerate(zip(ours, theirs, strict=False)):
        assert our == their, f"record {number} of {name}"
    assert len(ours) == len(theirs)


def test_there_are_enough_of_them() -> None:
    assert len(SCENARIOS) >= 60
