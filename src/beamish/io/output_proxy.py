"""sys.stdout inside processes: print() goes to the group leader of whoever prints.

A process whose leader is its own node's `user` prints on that node's device; any other leader, usually on another node,
is sent an io request that nobody waits for. Outside of processes text goes where it always went.

What a process prints is collected up to the end of the line, so that one print() is one message, in order with the
process's other messages. The replies go to the node's own `user`, which ignores them.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TextIO
from weakref import WeakKeyDictionary

from beamish.errors import BeamishError
from beamish.io.requests import io_request, put_chars
from beamish.process import ControlBlock, current_process
from beamish.term import Pid

if TYPE_CHECKING:
    from beamish.node.runtime import Runtime

MAX_HELD = 8192
"""Characters of an unfinished line after which it is sent on."""


class OutputProxy:
    """Stands in for sys.stdout while nodes run. Everything but writing is the real stream's."""

    def __init__(self, target: TextIO) -> None:
        self.beamish_target = target
        self.runtimes: list[Runtime] = []
        self._held: WeakKeyDictionary[ControlBlock, str] = WeakKeyDictionary()

    def write(self, text: str) -> int:
        process = current_process()
        if process is None or process.home not in self.runtimes:
            return self.beamish_target.write(text)
        leader = process.leader
        home: Any = process.home
        if leader is None or leader is home.user or leader == home.user:
            home.services["io_device"].write(text)
            return len(text)
        self._send(process, leader, text)
        return len(text)

    def _send(self, process: ControlBlock, leader: Pid, text: str) -> None:
        text = self._held.pop(process, "") + text
        whole, newline, rest = text.rpartition("\n")
        if len(rest) > MAX_HELD:
            whole, newline, rest = text, "", ""
        if whole or newline:
            _ask(process.home, leader, whole + newline)
        if rest:
            self._held[process] = rest
            process.home.loop.call_soon(self._flush_later, process, leader)

    def _flush_later(self, process: ControlBlock, leader: Pid) -> None:
        """Send an unfinished line that nothing was added to while its process ran on."""
        if text := self._held.pop(process, ""):
            _ask(process.home, leader, text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush_own(self) -> None:
        """Send what the current process holds of an unfinished line."""
        process = current_process()
        if process is not None and process.leader is not None and (text := self._held.pop(process, "")):
            _ask(process.home, process.leader, text)

    def flush(self) -> None:
        self.flush_own()
        try:
            self.beamish_target.flush()
        except ValueError:  # closed
            pass

    def __getattr__(self, name: str) -> Any:
        return getattr(self.beamish_target, name)

    def __iter__(self) -> Any:
        return iter(self.beamish_target)


def _ask(home: Any, leader: Pid, text: str) -> None:
    """Send text to a group leader; a leader that cannot be reached loses it, as it does in Erlang."""
    try:
        home.send(leader, io_request(home.user, home.new_ref(), put_chars(text)))
    except (BeamishError, ValueError):
        pass


def flush_own_output() -> None:
    """Send what the current process printed and did not end with a line break."""
    if isinstance(sys.stdout, OutputProxy):
        sys.stdout.flush_own()


def install_output_proxy(runtime: Runtime) -> None:
    """Let sys.stdout follow group leaders in this node's processes."""
    current = sys.stdout
    if not isinstance(current, OutputProxy):
        current = OutputProxy(current)
        sys.stdout = current
    current.runtimes.append(runtime)


def remove_output_proxy(runtime: Runtime) -> None:
    """Undo it for this node, and altogether after the last one."""
    current = sys.stdout
    if isinstance(current, OutputProxy) and runtime in current.runtimes:
        current.runtimes.remove(runtime)
        if not current.runtimes:
            sys.stdout = current.beamish_target
