"""The process `user`: the group leader of everything a node starts, serving io requests on a device.

    runtime -- start_user(runtime) --> runtime.user, registered as `user`

Output is answered in the order of arrival, at once. Whatever takes time (input, text made by a function) waits in a
second process, so that a question that nobody answers does not silence the node. Requests that name a function of the
asking node are evaluated through `runtime.services["io_evaluate"]`, an `async (From, module, function, arguments) ->
term`, where there is one.

Source  STDLIB User's Guide, "The Erlang I/O Protocol"; kernel: user, group.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Any

from beamish.errors import BeamishError
from beamish.io.client import DeviceError, gets, puts, request
from beamish.io.devices import StandardDevice
from beamish.io.output_proxy import install_output_proxy, remove_output_proxy
from beamish.io.requests import Answerer, Device, io_reply, parse_request
from beamish.node.runtime import Runtime
from beamish.process import receive, self, send, spawn_link
from beamish.term import Pid, Ref, atom

__all__ = ["MAX_WAITING", "DeviceError", "gets", "puts", "request", "serve", "start_user"]

MAX_WAITING = 1000
"""Requests that may wait for input at the same time; one more is refused."""


async def start_user(runtime: Runtime, device: Device | None = None, *, redirect_output: bool = True) -> Pid:
    """Start the `user` process of a node on a device (default: the standard streams) and make it the leader of all
    processes started from now on.

    redirect_output: let print() inside a process follow its group leader, for as long as the node runs.
    """
    device = device or StandardDevice()
    runtime.services["io_device"] = device
    pid = runtime.spawn(serve, runtime, device, name="user", system=True)
    runtime.user = pid
    process = runtime.process_of(pid)
    assert process is not None
    process.leader = pid
    if redirect_output:
        install_output_proxy(runtime)

        async def give_output_back() -> None:
            remove_output_proxy(runtime)

        runtime.stopping.append(give_output_back)
    return pid


async def serve(runtime: Runtime, device: Device) -> None:
    """Body of a group leader: answer io requests on a device for ever."""
    answerer = Answerer(device, own_node=runtime.node)
    waiting: deque[tuple[Any, Any, Any]] = deque()
    reader: Pid | None = None
    busy = False
    while True:
        message = await receive()
        if reader is not None and message == (atom.beamish_read, reader):
            busy = bool(waiting)
            if waiting:
                send(reader, waiting.popleft())
            continue
        asked = parse_request(message)
        if asked is None:
            continue  # replies to what print() sent elsewhere, and whatever else comes to a registered name
        sender, reply_as, what = asked
        result = answerer.answer_output(what)
        if result is not None:
            reply(runtime, sender, reply_as, result)
        elif len(waiting) >= MAX_WAITING:
            reply(runtime, sender, reply_as, (atom.error, atom.system_limit))
        elif busy:
            waiting.append(asked)
        else:
            if reader is None:
                reader = spawn_link(_answer_slowly, runtime, self(), answerer)
            busy = True
            send(reader, asked)


async def _answer_slowly(runtime: Runtime, leader: Pid, answerer: Answerer) -> None:
    """Answer requests that take their time, one after the other."""
    while True:
        sender, reply_as, what = await receive()
        evaluate = runtime.services.get("io_evaluate")
        answerer.evaluate = partial(evaluate, sender) if evaluate is not None and isinstance(sender, Pid) else None
        try:
            result = await answerer.answer(what)
        except OSError as error:  # the device is gone
            result = (atom.error, atom(error.strerror or "eio"))
        reply(runtime, sender, reply_as, result)
        send(leader, (atom.beamish_read, self()))


def reply(runtime: Runtime, sender: Any, reply_as: Any, result: Any) -> None:
    """Answer whoever asked. One that is gone gets nothing, and no connection is made for a reply."""
    if not isinstance(sender, Pid | Ref) or (sender.node is not runtime.node and sender.node not in runtime.routes):
        return
    try:
        send(sender, io_reply(reply_as, result))
    except (BeamishError, ValueError):
        pass
