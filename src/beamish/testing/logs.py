"""What is logged while a block runs, kept from the screen."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


class CapturedLog(logging.Handler):
    """What `capture_log` has caught. `"text" in log` asks whether it stands in the text."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record."""
        self.records.append(record)

    @property
    def messages(self) -> list[str]:
        """The messages, without level and logger."""
        return [record.getMessage() for record in self.records]

    @property
    def text(self) -> str:
        """Everything, a line `LEVEL logger: message` for each record, tracebacks included."""
        written = logging.Formatter("%(levelname)s %(name)s: %(message)s")
        return "".join(written.format(record) + "\n" for record in self.records)

    def __contains__(self, text: str) -> bool:
        return text in self.text

    def __repr__(self) -> str:
        return f"<CapturedLog {len(self.records)} records>\n{self.text}".rstrip()


@contextmanager
def capture_log(level: int | str = logging.INFO, logger: str = "") -> Iterator[CapturedLog]:
    """Catch what `logger` and those below it log from `level` on; the default is every logger. Nothing of it is printed.

        with capture_log() as log:
            ...
        assert "crashed" in log
    """
    target = logging.getLogger(logger)
    caught = CapturedLog()
    before = (target.handlers, target.level, target.propagate)
    target.handlers = [caught]
    target.setLevel(level)
    target.propagate = False
    try:
        yield caught
    finally:
        target.handlers, _, target.propagate = before
        target.setLevel(before[1])


__all__ = ["CapturedLog", "capture_log"]
