"""Elixir's `Process` on our nodes."""

from __future__ import annotations

from typing import Any

from beamish.rpc.modules import erlang
from beamish.rpc.modules.timer import sleep
from beamish.term import Pid, atom

__all__ = ["exit", "info", "list", "registered", "sleep", "whereis"]

exit = erlang.exit
registered = erlang.registered
list = erlang.processes
SPELLINGS = {"alive?": erlang.is_process_alive}


def info(pid: Pid, items: Any = ...) -> Any:
    """process_info, with nil for a dead process."""
    found = erlang.process_info(pid) if items is ... else erlang.process_info(pid, items)
    return None if found is atom.undefined else found


def whereis(name: Any) -> Any:
    """The pid, or nil."""
    found = erlang.whereis(name)
    return None if found is atom.undefined else found
