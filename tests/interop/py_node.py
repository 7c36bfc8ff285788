"""A node of ours as an OS process of its own, driven as `beam.BeamNode` drives Erlang's: ``py_node.py NAME COOKIE EPMD OPTIONS``.

Reads ``NUMBER KIND BASE64`` lines, answers ``\\x01@@NUMBER ok|error BASE64``. The text is Python, run in a process of the node (one
lasting process; kinds s and S each in one of their own): an expression whose value is the answer, or statements. ``await``
works in both. What statements define lasts. OPTIONS are start_node's, in JSON. The log goes to the output.
"""

from __future__ import annotations

import ast
import asyncio
import base64
import json
import logging
import os
import sys
import threading
import traceback
from typing import Any

import beamish
from beamish import errors, etf
from beamish.boot import new_event_loop, start_node
from beamish.node import Node
from beamish.node.runtime import Runtime
from beamish.process import Process, receive, spawn, trap_exit
from beamish.process.gen import call, reply
from beamish.term import atom

MARK = "\x01@@"
WAKE = atom("$evaluate")


def fresh_namespace(runtime: Runtime) -> dict[str, Any]:
    """What expressions can use."""
    public = {name: getattr(beamish, name) for name in beamish.__all__}
    return {
        **public,
        **vars(errors),
        "asyncio": asyncio,
        "base64": base64,
        "runtime": runtime,
        "Node": Node,
        "Process": Process,
        "gen_call": call,
        "gen_reply": reply,
    }


async def evaluate(source: str, namespace: dict[str, Any]) -> Any:
    """The value of an expression, or None after statements."""
    try:
        code = compile(source, "<test>", "eval", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except SyntaxError:
        code = compile(source, "<test>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    value = eval(code, namespace)
    return await value if hasattr(value, "__await__") else value


async def answer(number: str, kind: str, source: str, namespace: dict[str, Any]) -> None:
    try:
        value = await evaluate(source, namespace)
        status, data = "ok", etf.encode(value) if kind in "es" else repr(value).encode()
    except BaseException:
        status, data = "error", traceback.format_exc().encode()
    os.write(1, f"{MARK}{number} {status} {base64.b64encode(data).decode()}\n".encode())


async def serve(namespace: dict[str, Any]) -> None:
    trap_exit()
    while True:
        _, number, kind, source = await receive((WAKE, str, str, str))
        if kind in "sS":
            spawn(answer, number, kind, source, namespace)
        else:
            await answer(number, kind, source, namespace)


async def main(name: str, cookie: str, epmd_port: int, options: dict[str, Any]) -> None:
    runtime = await start_node(name, cookie=cookie, epmd_port=epmd_port, **options)
    runtime.services["epmd_port"] = epmd_port
    over = asyncio.Event()
    pid = runtime.spawn(serve, fresh_namespace(runtime))

    def read() -> None:
        for line in sys.stdin:
            number, kind, code = line.split()
            request = (WAKE, number, kind, base64.b64decode(code).decode())
            runtime.loop.call_soon_threadsafe(runtime.deliver_pid, pid, request)
        runtime.loop.call_soon_threadsafe(over.set)

    threading.Thread(target=read, daemon=True).start()
    os.write(1, b"node is up\n")
    try:
        await over.wait()
    finally:
        await runtime.stop()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(levelname)s %(name)s %(message)s")
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4])))
