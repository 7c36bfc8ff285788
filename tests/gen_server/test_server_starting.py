"""Starting: names, failures of init, time limits, starters that die; what children specs say."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from beamish.errors import AlreadyStarted, Exit, NameTaken, NoProcess, NotAProcess, StartError, StartIgnored, StartTimeout
from beamish.gen_server import IGNORE, ChildSpec, GenServer, Stop, call, enter
from beamish.process import Process, exit, receive, self, send, spawn, spawn_link, trap_exit, whereis
from beamish.process.exits import is_exception_reason
from beamish.term import Pid, atom
from beamish.testing import assert_receive, flush
from loops import now, virtual


class Starting(GenServer):
    """Does in init what it is told."""

    async def init(self, how: str = "fine", tester: Pid | None = None) -> Any:
        if tester is not None:
            send(tester, (atom.init, self.pid, whereis("starting")))
        match how:
            case "raise":
                raise ValueError("no luck")
            case "exit":
                exit(atom.why)
            case "stop":
                return Stop(atom.why)
            case "ignore":
                return IGNORE
            case "hang":
                await asyncio.sleep(1000)
            case "hang and trap":
                trap_exit()
                await asyncio.sleep(1000)
            case "slow":
                await asyncio.sleep(1)
            case "bad":
                return 5
        return None

    def terminate(self, reason: Any) -> None:
        assert reason is atom.normal, "a server that never came up is not terminated"


@virtual
async def test_the_starter_waits_for_init() -> None:
    server = await Starting.start_link("slow")
    assert now() == pytest.approx(1)
    assert Process.alive(server.pid)
    assert Process.info(server.pid, "links") == [self()]
    assert Process.info(self(), "monitors") == []
    assert await flush() == []


@virtual
async def test_the_name_is_there_before_init() -> None:
    server = await Starting.start_link("fine", self(), name="starting")
    assert await receive() == (atom.init, server.pid, server.pid)
    assert whereis("starting") == server.pid


@pytest.mark.parametrize(
    ("how", "reason"),
    [("exit", atom.why), ("stop", atom.why), ("bad", (atom.bad_return_value, 5)), ("ignore", atom.normal)],
)
def test_what_init_says_reaches_the_starter(how: str, reason: Any) -> None:
    @virtual
    async def body() -> None:
        trap_exit()
        for start in (Starting.start, Starting.start_link):
            kind = StartIgnored if how == "ignore" else StartError
            with pytest.raises(kind) as failure:
                await start(how, self(), name="starting")
            assert failure.value.reason == (atom.ignore if how == "ignore" else reason)
            (_, pid, _) = await receive((atom.init, ..., ...))
            assert not Process.alive(pid)
            assert whereis("starting") is None
            linked = start == Starting.start_link
            assert await flush() == ([(atom.EXIT, pid, reason)] if linked else [])

    body()


@virtual
async def test_an_exception_of_init_is_the_cause_of_the_start_error() -> None:
    with pytest.raises(StartError, match="no luck") as failure:
        await Starting.start("raise")
    assert isinstance(failure.value.__cause__, ValueError)
    assert is_exception_reason(failure.value.reason)


@virtual
async def test_a_linked_starter_that_does_not_trap_dies_with_it_and_the_log_says_why(crashes: Any) -> None:
    async def starter() -> None:
        await Starting.start_link("raise")

    trap_exit()
    pid = spawn_link(starter)
    await assert_receive((atom.EXIT, pid, ...))
    (text,) = crashes.texts
    assert "Starting in init" in text
    assert "no luck" in text


@virtual
async def test_one_name_for_one_server() -> None:
    first = await Starting.start_link(name="starting")
    for again in (Starting.start_link, Starting.start):
        with pytest.raises(AlreadyStarted) as failure:
            await again("raise", name="starting")
        assert failure.value.pid == first.pid
        assert failure.value.reason == (atom.already_started, first.pid)
        assert isinstance(failure.value, NameTaken)
    await GenServer.stop(first)
    await Starting.start_link(name="starting")


@pytest.mark.parametrize("how", ["hang", "hang and trap"])
def test_an_init_that_hangs_is_killed(how: str) -> None:
    @virtual
    async def body() -> None:
        trap_exit()
        with pytest.raises(StartTimeout, match=r"Starting \(starting\) was not up within 2 s and was killed") as failure:
            await Starting.start_link(how, self(), name="starting", timeout=2)
        assert failure.value.reason is atom.timeout
        assert now() == pytest.approx(2)
        (_, pid, _) = await receive()
        assert not Process.alive(pid)
        assert whereis("starting") is None
        assert await flush() == []

    body()


@virtual
async def test_a_starter_that_is_cancelled_leaves_nothing() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await Starting.start_link("hang", self())
    (_, pid, _) = await receive()
    assert not Process.alive(pid)
    assert await flush() == []


@pytest.mark.parametrize("reason", ["kill", "enough"])
def test_a_starter_that_dies_leaves_no_half_started_server(reason: str) -> None:
    @virtual
    async def body() -> None:
        starter = spawn(Starting.start_link, "hang", self())
        (_, pid, _) = await receive()
        Process.exit(starter, atom(reason))
        await asyncio.sleep(0)
        assert not Process.alive(pid)

    body()


@virtual
async def test_start_needs_a_process() -> None:
    async def task() -> None:
        with pytest.raises(NotAProcess):
            await Starting.start_link()

    await asyncio.create_task(task())


@virtual
async def test_init_that_fails_does_not_keep_the_name_from_the_next() -> None:
    for _ in range(3):
        with pytest.raises(StartError):
            await Starting.start("stop", name="starting")
    assert (await Starting.start(name="starting")).pid == whereis("starting")


class Names:
    """A registry with one name."""

    def __init__(self) -> None:
        self.pid: Pid | None = None
        self.released = 0

    async def register(self, pid: Pid) -> bool:
        await asyncio.sleep(1)
        if self.pid is not None:
            return False
        self.pid = pid
        return True

    def unregister(self) -> None:
        self.pid = None
        self.released += 1

    def whereis(self) -> Pid | None:
        return self.pid

    def send(self, message: Any) -> None:
        if self.pid is not None:
            send(self.pid, message)


class Echo(GenServer):
    @call
    def echo(self, value: Any) -> Any:
        return value


@virtual
async def test_a_registered_name_object_names_a_server() -> None:
    name = Names()
    server = await Echo.start_link(name=name)
    assert name.pid == server.pid
    assert await Echo.at(name).echo(1) == 1
    assert await GenServer.call(name, (atom.echo, 2)) == 2
    with pytest.raises(AlreadyStarted) as failure:
        await Echo.start_link(name=name)
    assert failure.value.pid == server.pid
    await GenServer.stop(name)


@virtual
async def test_a_registered_name_object_is_released_when_init_fails() -> None:
    name = Names()
    with pytest.raises(StartError):
        await Starting.start("stop", name=name)
    assert (name.pid, name.released) == (None, 1)


@virtual
async def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(TypeError, match="a name is a str, an atom"):
        await Echo.start_link(name=5)
    with pytest.raises(NoProcess, match="no global names"):
        await Echo.start_link(name=("global", "x"))


@virtual
async def test_enter_gives_the_value_of_ack() -> None:
    async def body(ack: Any, value: int) -> None:
        ack(value + 1)
        await receive()

    pid, value = await enter(body, 1, name="entered")
    assert value == 2
    assert whereis("entered") == pid


@virtual
async def test_enter_tells_of_every_other_end() -> None:
    async def returns(ack: Any) -> None:
        pass

    async def fails(ack: Any) -> None:
        ack.fail((atom.no, 1), KeyError("k"))

    async def ignores(ack: Any) -> None:
        ack.ignore()

    with pytest.raises(StartError, match="ended before it was up"):
        await enter(returns, link=False)
    with pytest.raises(StartError) as failure:
        await enter(fails, link=False)
    assert failure.value.reason == (atom.no, 1)
    assert isinstance(failure.value.__cause__, KeyError)
    with pytest.raises(StartIgnored):
        await enter(ignores, link=False)


def test_a_child_spec_says_how_to_start_the_server() -> None:
    spec = Echo.child_spec(1, name="echo", restart="transient", shutdown=2.0, key=3)
    assert isinstance(spec, ChildSpec)
    assert (spec.id, spec.restart, spec.shutdown, spec.type, spec.modules) == (atom.Echo, "transient", 2.0, "worker", (Echo,))
    assert repr(spec.start) == "Echo.start_link(1, key=3, name='echo')"


@pytest.mark.parametrize(
    "wrong",
    [{"restart": "always"}, {"shutdown": -1}, {"shutdown": "never"}, {"significant": True}],
)
def test_a_wrong_child_spec_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="child"):
        Echo.child_spec(**wrong)


@virtual
async def test_the_start_function_of_a_child_spec_starts_it() -> None:
    spec = Echo.child_spec(name="echo")
    server = await spec.start()  # type: ignore[operator]
    assert await server.echo(5) == 5
    assert whereis("echo") == server.pid


@virtual
async def test_a_server_is_told_to_exit_while_it_starts() -> None:
    async def starter() -> None:
        try:
            await Starting.start_link("hang and trap", tester)
        except Exit:
            send(tester, atom.unwound)
            raise

    tester = self()
    pid = spawn(starter)
    (_, child, _) = await receive()
    Process.exit(pid, atom.enough)
    assert await receive() is atom.unwound
    assert Process.alive(child)  # it traps exits: it finishes its init first, as in OTP
    Process.exit(child, atom.kill)
