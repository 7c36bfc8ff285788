"""The port mapper that a node starts for itself."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from beam import RealEpmd, eventually, free_port
from beamish.epmd import start
from beamish.epmd.client import EpmdUnreachable, NotEpmd, kill, names, register
from beamish.epmd.start import ensure_epmd
from beamish.errors import EpmdError

Run = Callable[[Any], Any]
ROOT = Path(start.__file__).parents[2]


async def answers(port: int) -> bool:
    """Whether a port mapper answers on that port."""
    try:
        await names(epmd_port=port)
    except EpmdError:
        return False
    return True


async def ended(port: int) -> None:
    """Wait until no port mapper answers on that port."""

    async def silent() -> bool:
        return not await answers(port)

    await eventually(silent)


def test_starts_one_that_outlives_its_starter_and_ends_when_unused(run: Run) -> None:
    async def go() -> None:
        port = free_port()
        assert await ensure_epmd("localhost", epmd_port=port, exit_when_idle=0.5) is True
        assert await ensure_epmd("localhost", epmd_port=port) is False
        registration = await register("barry", 5000, epmd_port=port)
        assert registration.creation > 1_600_000_000
        await asyncio.sleep(0.8)  # longer than it would stay without a name
        assert await names(epmd_port=port) == [("barry", 5000)]
        await registration.wait_closed()
        await ended(port)

    run(asyncio.wait_for(go(), 60))


def test_several_at_once_get_the_same_one() -> None:
    async def go() -> None:
        port = free_port()
        await asyncio.gather(*(ensure_epmd("localhost", epmd_port=port, exit_when_idle=1.0) for _ in range(3)))
        one = await register("one", 5000, epmd_port=port)
        two = await register("two", 5001, epmd_port=port)
        assert len(await names(epmd_port=port)) == 2
        await one.wait_closed()
        await two.wait_closed()
        await ended(port)

    asyncio.run(asyncio.wait_for(go(), 60))


@pytest.mark.interop
def test_uses_erlangs_if_it_runs(real_epmd: RealEpmd) -> None:
    assert asyncio.run(ensure_epmd("localhost", epmd_port=real_epmd.port)) is False


def test_port_held_by_someone_else() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def go() -> None:
        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(NotEpmd, match=rf"127\.0\.0\.1:{port} is not a port mapper"):
            await ensure_epmd("localhost", epmd_port=port)
        server.close()

    asyncio.run(go())


def test_port_that_cannot_be_bound_is_explained() -> None:
    async def hold() -> None:
        # Bound but not listening: nobody answers and nobody else can have it.
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            with pytest.raises(EpmdError, match=r"is in use.*ss -ltnp"):
                await ensure_epmd("localhost", epmd_port=sock.getsockname()[1])

    asyncio.run(hold())


def test_address_that_a_running_one_does_not_serve_is_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, real_epmd: RealEpmd
) -> None:
    monkeypatch.setattr(start, "addresses", lambda host: ["203.0.113.1"])
    asked: list[str] = []

    async def answer(host: str, *, epmd_port: int) -> list[tuple[str, int]]:
        asked.append(host)
        if host == "203.0.113.1":
            raise EpmdUnreachable("nobody there")
        return []

    monkeypatch.setattr(start, "names", answer)
    with caplog.at_level(logging.WARNING, "beamish.epmd"):
        asyncio.run(ensure_epmd("pi", epmd_port=real_epmd.port))
    assert asked == ["127.0.0.1", "203.0.113.1"]
    assert "beamish epmd --address 203.0.113.1" in caplog.text


def test_interpreter_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with pytest.raises(EpmdError, match=r"start one by hand with `beamish epmd`"):
        asyncio.run(ensure_epmd("localhost", epmd_port=free_port()))


def command(*options: str) -> list[str]:
    return [sys.executable, "-S", "-m", "beamish.epmd", *options]


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_in_the_foreground_until_a_signal(number: int) -> None:
    port = free_port()
    with subprocess.Popen(command("--port", str(port)), env=ENVIRONMENT, stderr=subprocess.PIPE) as process:
        asyncio.run(eventually(lambda: answers(port)))
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert errors == b""


def test_daemon_can_be_told_to_end() -> None:
    async def go() -> None:
        port = free_port()
        await ensure_epmd("localhost", epmd_port=port, exit_when_idle=30)
        assert await kill(epmd_port=port) is True
        await ended(port)

    asyncio.run(asyncio.wait_for(go(), 60))


def test_second_one_in_the_foreground_says_who_is_in_the_way(real_epmd: RealEpmd) -> None:
    done = subprocess.run(
        command("--port", str(real_epmd.port)), env=ENVIRONMENT, capture_output=True, timeout=30, check=False, text=True
    )
    assert done.returncode == 1
    assert "is in use, perhaps by another port mapper" in done.stderr
    assert "Traceback" not in done.stderr


def test_daemon_loads_little() -> None:
    code = "import sys, beamish.epmd.__main__; print(*sorted(m for m in sys.modules if m.startswith('beamish')))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], env=ENVIRONMENT, capture_output=True, timeout=30, check=True, text=True
    )
    assert set(done.stdout.split()) == {
        "beamish",
        "beamish.epmd",
        "beamish.epmd.__main__",
        "beamish.epmd.client",
        "beamish.epmd.directory",
        "beamish.epmd.packets",
        "beamish.epmd.server",
        "beamish.errors",
    }
