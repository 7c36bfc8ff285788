"""A real Erlang that decodes, encodes, makes and compares terms for us, thousands at a time, through a pipe."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "echo.erl"


class Erlang:
    """One running `erl` with echo.erl. Every method takes and gives encoded terms, and goes over the pipe once."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("erlc") is None:
            pytest.skip("Erlang is not installed")
        subprocess.run(["erlc", "-o", str(folder), str(SOURCE)], check=True)
        self.process = subprocess.Popen(
            ["erl", "-noinput", "-boot", "start_clean", "-pa", str(folder), "-run", "echo", "main"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def _ask(self, operation: bytes, entries: Iterable[bytes]) -> list[bytes]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        packet = operation + b"".join(struct.pack(">I", len(entry)) + entry for entry in entries)
        self.process.stdin.write(struct.pack(">I", len(packet)) + packet)
        self.process.stdin.flush()
        head = self.process.stdout.read(4)
        assert len(head) == 4, "the Erlang side stopped"
        answer = self.process.stdout.read(struct.unpack(">I", head)[0])
        return list(_entries(answer))

    def echo(self, encoded: list[bytes]) -> list[bytes]:
        """Each term as Erlang encodes it again; empty where Erlang refuses the bytes."""
        return self._ask(b"e", encoded)

    def make(self, seed: int, count: int) -> list[bytes]:
        """Random terms, encoded by Erlang in several ways, which remembers them for `same_as_made`."""
        return self._ask(b"m", [struct.pack(">II", seed, count)])

    def same_as_made(self, encoded: list[bytes]) -> list[bool]:
        """Whether each is `=:=` to the made term of that number."""
        return [answer == b"\1" for answer in self._ask(b"c", encoded)]

    def same(self, pairs: Iterable[tuple[bytes, bytes]]) -> list[bool]:
        """Whether the two of each pair are `=:=`."""
        return [answer == b"\1" for answer in self._ask(b"s", [entry for pair in pairs for entry in pair])]

    def values(self, expressions: list[str]) -> list[bytes]:
        """What the expressions evaluate to."""
        return self._ask(b"x", [expression.encode() for expression in expressions])

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(10)
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()


def _entries(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 4 + size]
        at += 4 + size
