"""examples/otp/bank.py prints what it says, and its crashes are in the log."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BANK = ROOT / "examples" / "otp" / "bank.py"


def test_it_prints_what_its_first_lines_say() -> None:
    promised = re.search(r"prints\n\n(.*?)\n\n", BANK.read_text(), re.S)
    assert promised is not None
    done = subprocess.run(
        [sys.executable, "-W", "error", str(BANK)], capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [line[4:] for line in promised[1].splitlines()]
    assert "Account" in done.stderr
    assert "ValueError: what is half a coin?" in done.stderr
    assert "the supervisor starts it again" in done.stderr
