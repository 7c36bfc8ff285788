"""What can be wrong with a project, and user code's exceptions as its author wants to read them."""

from __future__ import annotations

import os
import traceback
from typing import Final

from beamish.errors import BeamishError

_PACKAGE: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
MAX_LINES: Final = 60


class ProjectError(BeamishError):
    """The project, its configuration or its code is not as it must be; the message says where, and what to do."""


class NoProject(ProjectError):
    """There is no project here."""


class BrokenCode(ProjectError):
    """The project's own code failed; the message ends with a short traceback."""


def short_traceback(error: BaseException, *, limit: int = MAX_LINES) -> str:
    """An exception with the frames of its author's code: those of beamish and of the import machinery are left out.

    Paths are relative to the current folder. limit: lines, cut in the middle.
    """
    summary = traceback.TracebackException.from_exception(error, compact=True)
    _strip(summary)
    lines = "".join(summary.format()).rstrip("\n").splitlines()
    if len(lines) > limit:
        lines[limit // 2 : -limit // 2] = [f"  … {len(lines) - limit} lines …"]
    return "\n".join(lines)


def place_of(error: BaseException) -> str | None:
    """`my_app/server.py:12`: where the author's code raised it, or where it does not compile."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{relative(error.filename)}:{error.lineno}"
    own = [
        frame for frame in traceback.extract_tb(error.__traceback__)
        if not is_foreign(frame.filename) and not frame.filename.startswith("<")
    ]  # fmt: skip
    return f"{relative(own[-1].filename)}:{own[-1].lineno}" if own else None


def is_from_user(error: BaseException) -> bool:
    """Whether an error of beamish's came out of a call in the author's code, so that its frames tell something."""
    return place_of(error) is not None


def explained(error: BeamishError) -> str:
    """The text of an error of beamish's, with the traceback of the author's code where it lacks that."""
    text = str(error)
    cause = error.__cause__
    while cause is not None and place_of(cause) is None:
        cause = cause.__cause__
    if cause is None or isinstance(error, ProjectError) or "Traceback (most" in text:
        return text
    return f"{text}\n{short_traceback(cause)}"


def is_foreign(filename: str) -> bool:
    """Whether a frame of this file tells the author nothing."""
    return filename.startswith((_PACKAGE, "<frozen ")) or f"{os.sep}importlib{os.sep}" in filename


def relative(path: str) -> str:
    """A path as it is shorter."""
    try:
        shorter = os.path.relpath(path)
    except ValueError:  # another drive
        return path
    return path if shorter.startswith(os.pardir) else shorter


def _strip(summary: traceback.TracebackException) -> None:
    seen: set[int] = set()
    pending: list[traceback.TracebackException | None] = [summary]
    while pending:
        current = pending.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        kept = [frame for frame in current.stack if not is_foreign(frame.filename)]
        for frame in kept:
            frame.filename = relative(frame.filename)
        current.stack = traceback.StackSummary.from_list(kept)
        if isinstance(current, traceback.TracebackException) and getattr(current, "filename", None):
            current.filename = relative(str(current.filename))
        pending += [current.__cause__, current.__context__, *(getattr(current, "exceptions", None) or ())]
