"""Functions for tests to call by name."""

from __future__ import annotations

import asyncio
import os
from math import sqrt
from typing import Any

from beamish.errors import Exit
from beamish.node.runtime import current_runtime
from beamish.process import current_process, receive, self
from beamish.rpc import ErlangError, Throw
from beamish.term import atom

system = os.system  # from elsewhere
root = sqrt
answer = 42
started: list[Any] = []


def add(left: Any, right: Any = 1) -> Any:
    return left + right


async def slowly(value: Any) -> Any:
    await asyncio.sleep(0.001)
    return value


async def for_ever() -> None:
    started.append(self())
    await receive()


def fail(message: str) -> None:
    raise ValueError(message)


def error(reason: Any) -> None:
    raise ErlangError(reason)


def throw(value: Any) -> None:
    raise Throw(value)


def leave(reason: Any) -> None:
    raise Exit(reason)


def stop() -> None:
    raise SystemExit(3)


def where() -> Any:
    return current_runtime().node, self()


def leader() -> Any:
    process = current_process()
    assert process is not None
    return process.leader


def unsendable() -> Any:
    return object()


def only_keyword(*, value: int) -> int:
    return value


def _private() -> str:
    return "private"


class Job:
    limit = 3

    @staticmethod
    def run(count: int) -> int:
        return count * 2

    @classmethod
    def name(cls) -> str:
        return cls.__name__

    def _hidden(self) -> None: ...


class _Inner:
    @staticmethod
    def run() -> int:
        return 1


done = atom.done
