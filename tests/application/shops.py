"""Applications for tests, and a note of what happened to them."""

from __future__ import annotations

from typing import Any

from beamish.application import Application
from beamish.gen_server import GenServer, call, cast
from beamish.process import Process, exit, receive, self, spawn_link, trap_exit
from beamish.term import Pid, atom


class Notes(list[Any]):
    """What happened, in order."""

    def taken(self) -> list[Any]:
        """All of it, and it is empty again."""
        found = list(self)
        self.clear()
        return found


def plain_top(note: Notes, name: str) -> Pid:
    """A process that could be a supervisor: it ends with its parent, and notes how."""

    async def body(parent: Pid) -> None:
        trap_exit()
        while True:
            match await receive():
                case (atom.EXIT, pid, reason) if pid == parent:
                    note.append((name, "down", reason))
                    exit(reason)
                case ("end", reason):
                    exit(reason)

    return spawn_link(body, self())


class Till(GenServer):
    """A worker that notes its end."""

    def init(self, note: Notes, name: str, patience: float = 0.0) -> None:
        trap_exit()
        self.note, self.name, self.patience = note, name, patience

    @call
    def application(self) -> str | None:
        return Application.get_application()

    @cast
    def burn(self) -> None:
        raise ValueError("the till is on fire")

    async def terminate(self, reason: Any) -> None:
        if self.patience:
            await Process.sleep(self.patience)
        self.note.append((self.name, reason if reason is atom.shutdown else "crash"))


__all__ = ["Notes", "Till", "plain_top"]
