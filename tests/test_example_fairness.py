"""examples/fairness/busy_neighbour.py: answers come while the neighbour computes, and none without preemption."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "fairness" / "busy_neighbour.py"


def run(*arguments: str) -> str:
    return subprocess.run(
        [sys.executable, str(EXAMPLE), *arguments], capture_output=True, text=True, timeout=60, check=True
    ).stdout


def test_answers_come_while_the_neighbour_computes() -> None:
    found = re.match(r"(\d+) answers in 1 s while a neighbour computed: p50 ", run("1"))
    assert found is not None
    assert int(found[1]) > 20


def test_without_preemption_none_does() -> None:
    assert run("0.5", "--no-preempt") == "no answer in 0.5 s\n"
