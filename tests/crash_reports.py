"""Fixtures for folders of tests in which a crash that nobody expected fails the test in which it was logged.

    from crash_reports import crashes, nothing_crashes_unseen  # noqa: F401     (in a conftest.py)
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


class Crashes:
    """What the runtimes logged as errors; a test that asks for this expects crashes and looks at them itself."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    @property
    def texts(self) -> list[str]:
        return [r.getMessage() for r in self._caplog.records if r.name.startswith("beamish") and r.levelno >= logging.ERROR]


@pytest.fixture
def crashes(caplog: pytest.LogCaptureFixture) -> Crashes:
    """The crashes of this test so far."""
    return Crashes(caplog)


@pytest.fixture(autouse=True)
def nothing_crashes_unseen(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fails a test that does not ask for `crashes` and has some."""
    yield
    if "crashes" not in request.fixturenames:
        assert Crashes(caplog).texts == []
