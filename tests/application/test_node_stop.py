"""How a node ends: in order after SIGTERM, with a reason after the death of a permanent application, by force if it must."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from shops import Notes, Till, plain_top

from beam import Child
from beamish.application import Application, request_stop, run_until_stopped, shutdown, stop_node, stop_status
from beamish.application.node_stop import node_stop_of
from beamish.node.runtime import Runtime
from beamish.process import Process, receive, send
from beamish.term import atom
from beamish.testing import VirtualClockLoop, run_cluster

SCRIPT = str(Path(__file__).with_name("stopping_node.py"))
LOOPS = ["asyncio", "uvloop"] if sys.platform != "win32" else ["asyncio"]


@pytest.fixture
def loop() -> str:
    """The loop that nodes have by default; what depends on it is run on both."""
    return LOOPS[-1]


on_both_loops = pytest.mark.parametrize("loop", LOOPS)


class StoppingNode(Child):
    """stopping_node.py in a mode."""

    def __init__(self, mode: str, loop: str) -> None:
        source = str(Path(__file__).resolve().parents[2] / "src")
        super().__init__([sys.executable, SCRIPT, mode, loop], {"PYTHONPATH": source})

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def ended(self) -> tuple[int, list[str]]:
        """Its exit status and what it said, but for remarks on a slow machine."""
        status = self.process.wait(20)
        self._join()
        return status, [line for line in self.lines if "without giving way" not in line]


@pytest.fixture
def start(loop: str) -> Iterator[Any]:
    children: list[StoppingNode] = []

    def started(mode: str) -> StoppingNode:
        children.append(StoppingNode(mode, loop))
        return children[-1]

    yield started
    for child in children:
        child.kill()


IN_ORDER = ["up", "till 1 stopped", "till 0 stopped", "shop stopped", "stock stopped"]


@on_both_loops
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_stops_the_tree_in_order(start: Any, number: int, status: int) -> None:
    node = start("runs")
    node.wait_line("^up$")
    node.signal(number)
    assert node.ended() == (status, IN_ORDER)


def test_a_permanent_application_that_dies_stops_the_node_and_says_why(start: Any) -> None:
    status, lines = start("dies").ended()
    assert status == 1
    said = "\n".join(lines[lines.index(next(line for line in lines if line.startswith("application shop (permanent) ended"))) :])
    assert "child 'till 1'" in said
    assert "ValueError: the till is on fire" in said
    assert "is restarted too often" in said
    assert "stops with status 1" in said
    stopped = [line for line in lines if line.endswith(" stopped")]
    assert stopped[-3:] == ["till 0 stopped", "shop stopped", "stock stopped"]


def test_a_node_may_stop_itself(start: Any) -> None:
    assert start("stops itself").ended() == (3, IN_ORDER)


def test_a_start_that_fails_is_raised_when_all_has_stopped(start: Any) -> None:
    status, lines = start("start fails").ended()
    assert status == 1
    assert lines[0] == "stock stopped"
    assert lines[-1].endswith("application shop did not start: LookupError: no port is configured")


@pytest.mark.parametrize("mode", ["stuck", "hog"])
def test_what_does_not_go_in_time_is_named(start: Any, mode: str) -> None:
    node = start(mode)
    node.wait_line("^up$")
    node.signal(signal.SIGTERM)
    status, lines = node.ended()
    assert status == 1
    said = "\n".join(lines)
    assert "ended by force (0.3 s were over)" in said
    assert "till1 at Till.terminate in" in said
    assert "stopping_node.py" in said
    assert "till0 at" not in said


@on_both_loops
def test_a_second_signal_ends_it_at_once_and_says_what_was_left(start: Any) -> None:
    node = start("stuck twice")
    node.wait_line("^up$")
    node.signal(signal.SIGTERM)
    node.wait_line("^stuck$")
    node.signal(signal.SIGTERM)
    status, lines = node.ended()
    assert status == 128 + signal.SIGTERM
    said = "\n".join(lines)
    assert "ended by force (signal SIGTERM)" in said
    assert "till1 at Till.terminate in" in said


@on_both_loops
def test_even_a_node_whose_loop_is_busy_ends(start: Any) -> None:
    node = start("blocked")
    node.wait_line("^up$")
    node.signal(signal.SIGTERM)
    status, lines = node.ended()
    assert status == 1
    said = "\n".join(lines)
    assert "its event loop does not answer" in said
    assert "in terminate" in said


# ---- in one interpreter


def on_a_node(test: Any) -> None:
    """Run a test with a runtime on the virtual clock, outside of any process."""

    async def main() -> None:
        runtime = Runtime(slice=float("inf"))
        try:
            await test(runtime)
        finally:
            await runtime.stop()

    run_cluster(main)


def shop_of(note: Notes, *patience: float) -> type[Application]:
    class Shop(Application):
        def start(self, start_type: str, args: Any) -> Any:
            return [
                Till.child_spec(note, f"till {n}", seconds, id=n, name=f"till{n}", shutdown=100.0)
                for n, seconds in enumerate(patience)
            ]

    return Shop


def test_stopping_a_runtime_stops_its_applications_first() -> None:
    async def test(runtime: Runtime) -> None:
        note = Notes()
        await runtime.run(Application.start, shop_of(note, 1.0, 2.0))
        await runtime.stop()
        assert note == [("till 1", atom.shutdown), ("till 0", atom.shutdown)]

    on_a_node(test)


def test_shutdown_gives_what_was_left_when_the_time_was_over() -> None:
    async def test(runtime: Runtime) -> None:
        note = Notes()
        await runtime.run(Application.start, shop_of(note, 1.0, 200.0))
        begun = runtime.loop.time()
        first, second = await shutdown(runtime, limit=10.0)
        assert runtime.loop.time() - begun == pytest.approx(10.0, abs=0.1)
        assert first == "application shop:"
        assert "till1 at Till.terminate" in second
        assert runtime.closed
        assert note == []

    on_a_node(test)


def test_shutdown_gives_nothing_when_all_went() -> None:
    async def test(runtime: Runtime) -> None:
        assert await shutdown(runtime) == []

    on_a_node(test)


def test_an_application_that_is_starting_is_stopped_too() -> None:
    async def test(runtime: Runtime) -> None:
        note = Notes()

        class Slow(Application):
            async def start(self, start_type: str, args: Any) -> Any:
                plain_top(note, "half")
                await receive(("never",))

        runtime.spawn(Application.start, Slow)
        await asyncio.sleep(1.0)
        assert await shutdown(runtime) == []
        assert note == [("half", "down", atom.killed)]

    on_a_node(test)


def test_nothing_is_started_on_a_node_that_stops(caplog: pytest.LogCaptureFixture) -> None:
    async def test(runtime: Runtime) -> None:
        note = Notes()
        await runtime.run(Application.start, shop_of(note, 10.0))

        class Late(Application):
            def start(self, start_type: str, args: Any) -> Any:
                return plain_top(note, "late")

        stopping = asyncio.ensure_future(shutdown(runtime))
        await asyncio.sleep(1.0)
        with pytest.raises(Exception, match="late is not started: the node is stopping"):
            await runtime.run(Application.start, Late)
        await stopping

    on_a_node(test)


@pytest.mark.parametrize("kind", ["transient", "permanent"])
@pytest.mark.parametrize("reason", [atom.normal, atom.shutdown, atom.oops])
def test_what_the_end_of_an_application_means_for_the_node(kind: Any, reason: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def test(runtime: Runtime) -> None:
        class Brief(Application):
            def start(self, start_type: str, args: Any) -> Any:
                return plain_top(Notes(), "brief")

        async def end() -> None:
            await Application.start(Brief, kind)
            top = Application.top_supervisor("brief")
            assert top is not None
            send(top, ("end", reason))
            await Process.sleep(1.0)

        node_stop_of(runtime).awaited = True  # so that the node waits for us
        await runtime.run(end)
        stops = node_stop_of(runtime).requested
        if kind == "transient" and reason is atom.normal:
            assert not stops.done()
        else:
            assert stops.result() == 1
            assert f"application brief ({kind}) ended: its top process exited with {reason}" in node_stop_of(runtime).reason

    on_a_node(test)


def test_run_until_stopped_gives_the_first_status_that_was_asked_for() -> None:
    async def test(runtime: Runtime) -> None:
        async def twice() -> None:
            stop_node(7)
            stop_node(8)

        assert stop_status(runtime) is None
        assert await run_until_stopped(runtime, twice, signals=()) == 7
        assert stop_status(runtime) == 7
        assert runtime.closed

    on_a_node(test)


def test_run_until_stopped_ends_when_somebody_else_stops_the_node() -> None:
    async def test(runtime: Runtime) -> None:
        runtime.loop.call_later(1.0, lambda: tasks.append(asyncio.ensure_future(runtime.stop())))
        tasks: list[Any] = []
        assert await run_until_stopped(runtime, signals=()) == 0

    on_a_node(test)


def test_a_request_that_nobody_waits_for_stops_the_node_all_the_same() -> None:
    async def test(runtime: Runtime) -> None:
        note = Notes()
        await runtime.run(Application.start, shop_of(note, 0.0))
        request_stop(runtime, 1, "because")
        await runtime.stopped
        assert note == [("till 0", atom.shutdown)]

    on_a_node(test)


def test_a_node_without_its_controller_stops(caplog: pytest.LogCaptureFixture) -> None:
    async def test(runtime: Runtime) -> None:
        note = Notes()

        async def kill() -> None:
            await Application.start(shop_of(note, 0.0))
            pid = Process.whereis("application_controller")
            assert pid is not None
            Process.exit(pid, atom.kill)
            await Process.sleep(1.0)

        node_stop_of(runtime).awaited = True
        await runtime.run(kill)
        assert node_stop_of(runtime).requested.result() == 1
        assert note == [("till 0", atom.shutdown)]

    with caplog.at_level(logging.CRITICAL):
        on_a_node(test)
    assert "application_controller ended with" in caplog.text


def test_the_virtual_clock_is_what_these_run_on() -> None:
    async def test(runtime: Runtime) -> None:
        assert isinstance(runtime.loop, VirtualClockLoop)

    on_a_node(test)
