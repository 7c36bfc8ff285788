"""Group leaders as processes, print() inside processes, and the client's side."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from typing import Any

import pytest
from devices_for_tests import RecordingDevice

from beamish.io.client import DeviceError, columns, gets, puts, request, rows, write
from beamish.io.devices import StandardDevice
from beamish.io.group_leader import serve, start_user
from beamish.io.output_proxy import OutputProxy
from beamish.io.requests import io_request, put_chars
from beamish.node.runtime import Runtime, current_runtime
from beamish.process import current_process, receive, self, send, set_group_leader, spawn, spawn_monitor, whereis
from beamish.term import Pid, atom
from loops import on_every_loop, on_real_loops


async def with_user(device: RecordingDevice) -> Runtime:
    """Give this runtime a `user` on the device, and make it ours."""
    runtime = current_runtime()
    runtime.user = None
    await start_user(runtime, device)
    me = current_process()
    assert me is not None
    me.leader = runtime.user
    return runtime


def other_leader(device: RecordingDevice) -> Pid:
    return spawn(partial(serve, current_runtime(), device))


async def turn() -> None:
    """Wait until the loop has run what it was going to run next."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    loop.call_soon(done.set_result, None)
    await done


@on_every_loop
async def test_user_is_registered_and_leads() -> None:
    device = RecordingDevice(size=(100, 30))
    runtime = await with_user(device)
    assert whereis("user") == runtime.user
    await puts("hello")
    await write(["a", b"b", 99])
    assert device.text == "hello\nabc"
    assert (await columns(), await rows()) == (100, 30)
    await puts("by name", "user")
    assert device.text.endswith("by name\n")


@on_every_loop
async def test_print_goes_to_the_own_nodes_device() -> None:
    device = RecordingDevice()
    await with_user(device)
    print("one", 2)
    print("no newline", end="")
    assert device.text == "one 2\nno newline"


@on_every_loop
async def test_print_follows_the_group_leader_in_order() -> None:
    mine, theirs = RecordingDevice(), RecordingDevice()
    await with_user(mine)

    async def work() -> None:
        print("first", "line")
        print("second ", end="")
        await puts("third")
        print("last", end="")

    set_group_leader(self(), other_leader(theirs))
    pid, ref = spawn_monitor(work)
    await receive((atom.DOWN, ref, atom.process, pid, ...))
    await turn()  # an unfinished line goes out at the end of the loop's turn
    await write("")  # the leader has answered this one, so it has seen the others
    assert theirs.text == "first line\nsecond third\nlast"
    assert mine.text == ""


@on_every_loop
async def test_a_print_is_one_message() -> None:
    await with_user(RecordingDevice())
    set_group_leader(self(), self())
    print("a", "b", 3)
    message = await receive(timeout=1.0)
    assert message[0] is atom.io_request
    assert message[3] == put_chars("a b 3\n")
    print("x" * 10_000, end="")
    message = await receive(timeout=1.0)
    assert message[3] == put_chars("x" * 10_000)


@on_every_loop
async def test_replies_to_print_do_not_come_to_the_printer() -> None:
    await with_user(RecordingDevice())
    leader = other_leader(RecordingDevice())
    set_group_leader(self(), leader)
    print("hello")
    await write("and wait")
    me = current_process()
    assert me is not None
    assert me.peek_messages() == []


@on_every_loop
async def test_output_does_not_wait_for_input() -> None:
    device = RecordingDevice()
    await with_user(device)

    async def asker() -> None:
        await puts("got " + repr(await gets("? ")))

    asking = [spawn_monitor(asker)[1] for _ in range(2)]
    await write("still alive\n")
    assert device.text == "still alive\n"
    device.type("one\n")
    device.type(None)
    for ref in asking:
        await receive((atom.DOWN, ref, ..., ..., atom.normal), timeout=1.0)
    assert device.text == "still alive\ngot 'one\\n'\ngot None\n"
    assert device.prompts == ["? ", "? "]


@on_every_loop
async def test_a_device_that_fails_to_read() -> None:
    class Broken(RecordingDevice):
        async def read_line(self, prompt: str) -> str | None:
            raise OSError(5, "Input/output error")

    await with_user(Broken())
    with pytest.raises(DeviceError, match="refused to read"):
        await gets()
    await puts("goes on")


@on_every_loop
async def test_a_leader_that_is_gone() -> None:
    await with_user(RecordingDevice())

    async def nothing() -> None:
        pass

    pid, ref = spawn_monitor(nothing)
    await receive((atom.DOWN, ref, ..., ..., ...))
    with pytest.raises(DeviceError, match="is gone"):
        await puts("x", pid)
    with pytest.raises(DeviceError):
        await puts("x", "nobody")


@on_every_loop
async def test_garbage_to_user_is_ignored() -> None:
    device = RecordingDevice()
    runtime = await with_user(device)
    for message in (
        atom.x,
        (),
        (atom.io_request,),
        (atom.io_reply, 1, 2),
        io_request(5, 1, put_chars("from nobody\n")),
    ):
        send(runtime.user, message)
    await puts("alive")
    assert device.text == "from nobody\nalive\n"


@on_every_loop
async def test_unknown_requests_are_answered() -> None:
    await with_user(RecordingDevice())
    assert await request((atom.nonsense, 1)) == (atom.error, atom.request)


@on_real_loops
async def test_stdout_is_given_back() -> None:
    runtime = current_runtime()
    before = sys.stdout
    await start_user(runtime, RecordingDevice())
    assert isinstance(sys.stdout, OutputProxy)
    assert sys.stdout.encoding == before.encoding
    assert sys.stdout.isatty() == before.isatty()
    for stop in runtime.stopping:
        await stop()
    runtime.stopping.clear()
    assert sys.stdout is before


def test_standard_device(tmp_path: Any) -> None:
    path = tmp_path / "out"
    with path.open("w", encoding="ascii") as stream:
        device = StandardDevice(stream)
        device.write("plain é\n")
        assert device.geometry() is None
    device.write("closed: nobody minds")
    assert path.read_text() == "plain \\xe9\n"


def test_standard_device_reads(tmp_path: Any) -> None:
    import io

    out = io.StringIO()

    async def run() -> None:
        device = StandardDevice(out, io.StringIO("line\n"))
        assert await device.read_line("? ") == "line\n"
        assert await device.read_line("") is None

    asyncio.run(run())
    assert out.getvalue() == "? "
