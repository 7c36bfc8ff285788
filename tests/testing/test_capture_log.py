from __future__ import annotations

import logging
import sys

import pytest

from beamish.process import spawn
from beamish.testing import capture_log, settle, virtual


def test_it_catches_and_restores(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("beamish.made_up")
    root = logging.getLogger()
    before = (list(root.handlers), root.level, root.propagate)
    with capture_log() as caught:
        log.info("one %s", "thing")
        log.debug("too fine")
        log.error("another")
    log.error("not caught")
    assert (list(root.handlers), root.level, root.propagate) == before
    assert caught.messages == ["one thing", "another"]
    assert caught.text == "INFO beamish.made_up: one thing\nERROR beamish.made_up: another\n"
    assert "another" in caught
    assert "not caught" not in caught
    assert repr(caught).startswith("<CapturedLog 2 records>\nINFO")
    assert caplog.messages == ["not caught"]


def test_one_logger_and_nesting(caplog: pytest.LogCaptureFixture) -> None:
    with capture_log() as outer, capture_log("ERROR", "beamish.made_up") as inner:
        logging.getLogger("beamish.made_up.below").error("inside")
        logging.getLogger("beamish.made_up.below").warning("finer")
        logging.getLogger("beamish.other").error("outside")
    assert inner.messages == ["inside"]
    assert outer.messages == ["outside"]
    assert caplog.messages == []


def test_it_restores_after_an_error() -> None:
    root = logging.getLogger()
    before = list(root.handlers)
    with pytest.raises(KeyError), capture_log():
        raise KeyError
    assert root.handlers == before


@virtual
async def test_a_crash_is_caught_with_its_traceback() -> None:
    async def crashes() -> None:
        raise ValueError("boom")

    with capture_log() as log:
        spawn(crashes)
        await settle()
    (record,) = log.records
    assert record.levelno == logging.ERROR
    assert "ValueError: boom" in log
    assert "in crashes" in log
    assert sys.exc_info() == (None, None, None)
