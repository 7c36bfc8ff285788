"""`init` on our nodes: stopping the node in order, if its policy lets peers do that.

``exports = ["init:stop"]`` allows it, and so does a development shell; Elixir's `System.stop` is the same.

Source  OTP 25, erts: init.
"""

from __future__ import annotations

from typing import Any

from beamish.application.node_stop import request_stop
from beamish.node.runtime import current_runtime
from beamish.process import current_process
from beamish.rpc.outcome import badarg
from beamish.term import Atom, atom, text
from beamish.term.chardata import ChardataError

__all__ = ["get_status", "stop"]

MAX_STATUS = 255


def stop(status: Any = 0) -> Atom:
    """Ask the node to stop its applications and itself; returns at once. status: the exit status, or text for status 1."""
    runtime = current_runtime()
    process = current_process()
    asked = process.parent if process is not None else None
    reason = f"asked by {asked}"
    if isinstance(status, list | bytes | str):
        try:
            reason = f"{reason}: {text(status)}"
        except ChardataError:
            raise badarg() from None
        status = 1
    if type(status) is not int or not 0 <= status <= MAX_STATUS:
        raise badarg()
    # The answer goes out before the node does.
    runtime.loop.call_soon(request_stop, runtime, status, "" if status == 0 else reason)
    return atom.ok


def get_status() -> tuple[Atom, Atom]:
    """``{started | stopping, started}``."""
    going = current_runtime().services.get("node_is_going")
    return (atom.stopping if going else atom.started, atom.started)
