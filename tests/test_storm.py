"""benchmarks/drivers/otp_storm.py with small counts: the storm holds, and it would notice if something did not."""

from __future__ import annotations

import importlib.util
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from beamish import atom, send
from beamish.gen_server import GenServer, call
from beamish.term import Atom
from beamish.testing import run_on, run_virtual
from loops import REAL_LOOPS

SCRIPT = Path(__file__).resolve().parent.parent / "benchmarks" / "drivers" / "otp_storm.py"


def load() -> ModuleType:
    """The script as a module; not run."""
    spec = importlib.util.spec_from_file_location("otp_storm", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


otp_storm: Any = load()


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Hundreds of crash reports help nobody."""
    log = logging.getLogger("beamish")
    level = log.level
    logging.disable()
    yield
    logging.disable(logging.NOTSET)
    log.setLevel(level)  # its main() changes it


def small_storm(seed: int, **options: Any) -> Any:
    """A storm on the virtual clock, where a seed always gives the same one."""
    return run_virtual(lambda: otp_storm.storm(4000, seed, clients=8, crash_every=40, **options))


@pytest.mark.parametrize("seed", range(1, 6))
def test_nothing_that_was_acknowledged_is_lost(seed: int) -> None:
    report = small_storm(seed)
    assert report.violations == []
    assert report.messages == 4000
    assert report.acknowledged <= report.recorded <= 4000
    assert report.acknowledged > 2000
    assert report.crashes > 20
    assert report.kills > 10
    assert report.restarts > 20


@pytest.mark.parametrize("loop_factory", REAL_LOOPS.values(), ids=REAL_LOOPS)
def test_nor_on_real_loops(loop_factory: Any) -> None:
    report = run_on(loop_factory, lambda: otp_storm.storm(4000, 7, clients=8, crash_every=40))
    assert report.violations == []
    assert report.restarts > 20


def test_the_same_seed_is_the_same_storm() -> None:
    first, second = small_storm(3), small_storm(3)
    assert (first.acknowledged, first.recorded, first.crashes, first.kills, first.restarts) == (
        second.acknowledged,
        second.recorded,
        second.crashes,
        second.kills,
        second.restarts,
    )


# --- it can fail ---


class Forgetful(otp_storm.Ledger):  # type: ignore[misc]
    """Loses one message."""

    def record(self, client: int, number: int, worker: int) -> None:
        if (client, number) != (1, 17):
            super().record(client, number, worker)


class Stammering(otp_storm.Ledger):  # type: ignore[misc]
    """Writes one message twice."""

    def record(self, client: int, number: int, worker: int) -> None:
        super().record(client, number, worker)
        if (client, number) == (1, 17):
            super().record(client, number, worker)


class Impatient(otp_storm.Worker):  # type: ignore[misc]
    """Acknowledges before it records: what crashes in between is lost."""

    def take(self, client: int, number: int, fate: Atom) -> None:
        if fate is otp_storm.FINE:
            super().take(client, number, fate)

    def crashing(self, fate: Atom) -> bool:
        if fate is otp_storm.FINE:
            return False
        GenServer.cast(otp_storm.LEDGER, atom.crashing)
        return True


class Confused(otp_storm.Worker):  # type: ignore[misc]
    """Answers another request than it was asked."""

    @call
    def record(self, client: int, number: int, fate: Atom) -> Any:
        self.take(client, number, otp_storm.FINE)
        return number + 1


class Chatty(otp_storm.Worker):  # type: ignore[misc]
    """Says more than it owes."""

    def note(self, sender: Any, client: int, number: int, fate: Atom) -> None:
        super().note(sender, client, number, fate)
        send(sender, atom.hello)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"ledger": Forgetful}, "message 17 of client 1 was acknowledged and is lost"),
        ({"ledger": Stammering}, "message 17 of client 1 was handled twice"),
        ({"worker": Impatient}, "was acknowledged and is lost"),
        ({"worker": Confused}, "was answered"),
        ({"worker": Chatty}, "which nobody owed it"),
    ],
)
def test_the_storm_notices(broken: dict[str, Any], words: str) -> None:
    # With seed 1 message 17 of client 1 is acknowledged.
    violations = small_storm(1, **broken).violations
    assert any(words in violation for violation in violations), violations[:3]


def test_workers_that_are_preempted_and_killed_in_the_midst_of_their_work_lose_nothing() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--messages", "8000", "--crash-every", "50", "--busy-every", "20", "--seed", "4"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"([\d,]+) preemptions", done.stdout)
    assert found is not None
    assert int(found[1].replace(",", "")) > 10


def test_the_script_prints_what_happened_and_ends_well() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--messages", "2000", "--crash-every", "50", "--seed", "2"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("2,000 messages in ")
    assert "seed 2" in done.stdout


def test_the_script_fails_when_a_rule_is_broken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def broken(*_: Any) -> Any:
        return otp_storm.Report(10, 1, 1.0, 9, 8, 1, 1, 2, 0, ["message 3 of client 0 was acknowledged and is lost"])

    monkeypatch.setattr(otp_storm, "storm", broken)
    monkeypatch.setattr(sys, "argv", ["otp_storm.py", "--messages", "10"])
    assert otp_storm.main() == 1
    assert "BROKEN: message 3 of client 0 was acknowledged and is lost" in capsys.readouterr().out
