from collections.abc import Iterator

import pytest
from erl_oracle import ErlangOracle, needs_erlang


@pytest.fixture(scope="session")
def erlang() -> Iterator[ErlangOracle]:
    """Erlang as `erl` starts it: what is printable is Latin-1."""
    needs_erlang()
    oracle = ErlangOracle(printable_unicode=False)
    yield oracle
    oracle.close()


@pytest.fixture(scope="session")
def wide_erlang() -> Iterator[ErlangOracle]:
    """Erlang as `iex` starts it: all of Unicode is printable."""
    needs_erlang()
    oracle = ErlangOracle(printable_unicode=True)
    yield oracle
    oracle.close()
