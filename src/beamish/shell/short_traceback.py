"""Exceptions of an evaluation, without the frames that are the shell's and beamish's own."""

from __future__ import annotations

import os
import re
import traceback
from typing import Any, Final

from beamish.errors import BeamishError, Exit

FILENAME: Final = "<beamish {number}>"
"""The file name of the input with that number."""

_PACKAGE: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def describe_error(error: BaseException) -> str:
    """What to print for an exception that ended an evaluation, without a line break at the end."""
    if isinstance(error, Exit):
        return f"** exit: {error.reason!r}"
    summary = traceback.TracebackException.from_exception(error, compact=True)
    _strip(summary)
    parts = summary.format_exception_only() if _says_it_all(summary, error) else summary.format()
    text = "".join(parts)
    return re.sub(r"^beamish(\.\w+)*\.(?=\w+(:|$))", "", text, flags=re.MULTILINE).rstrip("\n")


def _says_it_all(summary: Any, error: BaseException) -> bool:
    """No frames are needed if the only one is the line that was just typed."""
    chained = summary.__cause__ is not None or (summary.__context__ is not None and not summary.__suppress_context__)
    if chained and not isinstance(error, BeamishError):
        return False
    frames = summary.stack
    return not frames or (len(frames) == 1 and frames[0].name == "<module>" and frames[0].lineno == 1)


def _strip(summary: Any) -> None:
    """Take out the frames before the input and those inside beamish, all along the chain."""
    seen: set[int] = set()
    pending = [summary]
    while pending:
        current = pending.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        frames = list(current.stack)
        nowhere = len(frames) if current is summary else 0  # a compiler's complaint has no frame of the input
        inputs = (number for number, frame in enumerate(frames) if frame.filename.startswith("<beamish "))
        start = next(inputs, nowhere)
        kept = [frame for frame in frames[start:] if not _is_ours(frame.filename)]
        current.stack = traceback.StackSummary.from_list(kept)
        pending += [current.__cause__, current.__context__, *(getattr(current, "exceptions", None) or ())]


def _is_ours(filename: str) -> bool:
    return filename.startswith((_PACKAGE, "src/beamish/", "beamish/"))
