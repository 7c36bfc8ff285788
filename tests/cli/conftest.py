import pytest

from beam import free_port


@pytest.fixture
def unused_port() -> int:
    """A port that nobody listens on."""
    return free_port()
