"""The calling convention of gen_server and its kin: request, reply, and the tag between them.

Source  OTP 25, stdlib: gen.erl (do_call, reply); facts section 8.
"""

from __future__ import annotations

import asyncio
from typing import Any

from beamish.errors import CallTimeout, NoProcess, NotAProcess, RemoteError
from beamish.process._call import call, reply
from beamish.process._core import mailbox_mark, receive, self_, send
from beamish.process._signals import demonitor, monitor
from beamish.process.exits import text_of
from beamish.term import Atom, ImproperList, atom

GEN_CALL = atom("$gen_call")
GEN_CAST = atom("$gen_cast")
CALL_TIMEOUT = 5.0


class CallFailed(RemoteError, NoProcess):
    """The called process was not there or died before it answered; `reason` is its exit reason."""


def _shown(target: Any) -> str:
    return f"{target[0]} on {target[1]}" if isinstance(target, tuple) else str(target)


def failure(target: Any, reason: Any) -> CallFailed:
    """The error for a server that was not there or died."""
    if reason is atom.calling_self:
        return CallFailed(f"{_shown(target)} called itself, and would wait for itself for ever", kind="exit", reason=reason)
    return CallFailed(f"the call to {_shown(target)} failed: {text_of(reason)}", kind="exit", reason=reason)


def late(target: Any, timeout: float) -> str:
    """What a CallTimeout says."""
    return f"no reply from {_shown(target)} within {timeout:g} s"


async def call_abroad(target: Any, request: Any, timeout: float | None, label: Atom) -> Any:
    """The long way: with a monitor whose reference is an alias for the reply. A late reply is dropped, for the alias is gone."""
    mark = mailbox_mark()
    ref = monitor(target, alias="reply_demonitor")
    try:
        send(target, (label, (self_(), ImproperList((atom.alias,), ref)), request))
    except NoProcess:
        pass  # the monitor has already said so
    try:
        answer = await receive(ref, timeout=timeout, since=mark)
    except TimeoutError:
        assert timeout is not None
        raise CallTimeout(late(target, timeout)) from None
    finally:
        demonitor(ref, flush=True)
    if len(answer) == 2:
        return answer[1]
    raise failure(target, answer[4])


async def call_from_task(home: Any, target: Any, request: Any, timeout: float | None, label: Atom) -> Any:
    """A call awaited by an asyncio task, through a process of its own on the runtime `home`."""
    if asyncio.get_running_loop() is not home.loop:
        raise NotAProcess(f"{_shown(target)} lives on another event loop: use asyncio.run_coroutine_threadsafe(…, runtime.loop)")
    return await home.run(lambda: call(target, request, timeout, label=label))


def cast(target: Any, message: Any) -> None:
    """Send ``{'$gen_cast', message}``; nobody answers, and an absent name is no error."""
    try:
        send(target, (GEN_CAST, message))
    except NoProcess:
        pass


__all__ = [
    "CALL_TIMEOUT", "GEN_CALL", "GEN_CAST", "CallFailed", "call", "call_abroad", "call_from_task", "cast", "failure", "late",
    "reply",
]  # fmt: skip
