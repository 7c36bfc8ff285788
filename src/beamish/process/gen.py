"""The calling convention of gen_server and its kin: request, reply, and the tag between them.

Source  OTP 25, stdlib: gen.erl (do_call, reply); facts section 8.
"""

from __future__ import annotations

from typing import Any

from beamish.errors import CallTimeout, NoProcess, RemoteError
from beamish.process._core import current_scheduler, mailbox_mark, receive, self_, send
from beamish.process._signals import demonitor, monitor
from beamish.process.exits import text_of
from beamish.term import Atom, ImproperList, Pid, Ref, atom

GEN_CALL = atom("$gen_call")
GEN_CAST = atom("$gen_cast")
CALL_TIMEOUT = 5.0


class CallFailed(RemoteError, NoProcess):
    """The called process was not there or died before it answered; `reason` is its exit reason."""


def _shown(target: Any) -> str:
    return f"{target[0]} on {target[1]}" if isinstance(target, tuple) else str(target)


async def call(target: Any, request: Any, timeout: float | None = CALL_TIMEOUT, *, label: Atom = GEN_CALL) -> Any:
    """Send ``{label, {self, Tag}, request}`` and wait for the reply.

    target: a pid, a local name, or (name, node). Raises CallFailed when it is not there, dies or the connection breaks,
    CallTimeout after `timeout` seconds (None: never). A late reply is dropped, for the alias is gone by then.
    """
    mark = mailbox_mark()
    ref = monitor(target, alias="reply_demonitor")
    try:
        send(target, (label, (self_(), ImproperList((atom.alias,), ref)), request))
    except NoProcess:
        pass  # the monitor has already said so
    try:
        answer = await receive(ref, timeout=timeout, since=mark)
    except TimeoutError:
        raise CallTimeout(f"no reply from {_shown(target)} within {timeout:g} s") from None
    finally:
        demonitor(ref, flush=True)
    if len(answer) == 2:
        return answer[1]
    reason = answer[4]
    raise CallFailed(f"the call to {_shown(target)} failed: {text_of(reason)}", kind="exit", reason=reason)


def cast(target: Any, message: Any) -> None:
    """Send ``{'$gen_cast', message}``; nobody answers, and an absent name is no error."""
    try:
        send(target, (GEN_CAST, message))
    except NoProcess:
        pass


def reply(to: tuple[Pid, Any], answer: Any) -> None:
    """Answer a call. `to` is the ``{Pid, Tag}`` of the request; the tag is echoed bit by bit, to the alias when it names one."""
    pid, tag = to
    home = current_scheduler()
    assert home is not None
    dest: Pid | Ref = pid
    head = tag
    # [alias|Ref], or [[alias|Ref]|_] from request collections.
    if isinstance(head, ImproperList) and isinstance(head.elements[0], ImproperList):
        head = head.elements[0]
    if isinstance(head, ImproperList) and head.elements[0] is atom.alias and isinstance(head.tail, Ref):
        dest = head.tail
    if dest.node is home.node or dest.node in home.routes:  # a reply never connects
        send(dest, (tag, answer))
