from __future__ import annotations

from collections.abc import Iterator

import pytest

from etf.erlang_echo import Erlang


@pytest.fixture(scope="session")
def erlang(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Erlang]:
    """A real Erlang for the whole session."""
    made = Erlang(tmp_path_factory.mktemp("echo"))
    yield made
    made.close()
