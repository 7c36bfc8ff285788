"""Group leaders: the process that owns a terminal, and talking to one.

`start_user` starts the registered process `user`, the leader of every process that was given no other. What a process prints goes
to its leader, wherever that lives: work started from another node prints there (S68).

Source  STDLIB User's Guide, "The Erlang I/O Protocol"; facts section 16.
"""

from __future__ import annotations

from typing import Any

from beamish.io.devices import StandardDevice
from beamish.io.output_proxy import install_output_proxy, remove_output_proxy
from beamish.io.requests import Answerer, Device, Evaluate, io_reply, needs_input, parse_request
from beamish.node.runtime import Runtime, current_runtime
from beamish.process import receive, send, spawn_link
from beamish.term import Pid


async def start_user(runtime: Runtime, device: Device | None = None) -> Pid:
    """Start `user` on a device (standard input and output if None) and make it the default leader.

    `runtime.services["io_evaluate"]`, if there, makes text for requests that name a function.
    """
    shown: Device = device or StandardDevice()
    pid = runtime.spawn(serve, shown, name="user", system=True)
    runtime.user = pid
    runtime.services["io_device"] = shown
    install_output_proxy(runtime)

    async def give_stdout_back() -> None:
        remove_output_proxy(runtime)

    runtime.stopping.append(give_stdout_back)
    return pid


async def serve(device: Device) -> None:
    """Body of a group leader: output is answered at once and in order, input by a process of its own."""
    runtime = current_runtime()
    evaluate: Evaluate | None = runtime.services.get("io_evaluate")
    answerer = Answerer(device, own_node=runtime.node, evaluate=evaluate)
    reader: Pid | None = None
    while True:
        message = await receive()
        asked = parse_request(message)
        if asked is None:
            continue
        sender, reply_as, request = asked
        result = answerer.answer_output(request)
        if result is None and not needs_input(request):
            answerer.evaluate = runtime.services.get("io_evaluate")
            result = await answerer.answer(request)
        if result is not None:
            _reply(runtime, sender, reply_as, result)
            continue
        if reader is None or runtime.process_of(reader) is None:
            reader = spawn_link(_read, answerer)
        send(reader, (sender, reply_as, request))


async def _read(answerer: Answerer) -> None:
    """Answers the requests that wait for somebody to type, one after the other."""
    while True:
        sender, reply_as, request = await receive()
        _reply(current_runtime(), sender, reply_as, await answerer.answer(request))


def _reply(runtime: Runtime, sender: Any, reply_as: Any, result: Any) -> None:
    if isinstance(sender, Pid) and (sender.node is runtime.node or sender.node in runtime.routes):
        send(sender, io_reply(reply_as, result))
