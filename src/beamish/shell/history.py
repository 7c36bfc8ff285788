"""Where a user's history is kept: one file, readable by its owner only."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def history_file(environ: Mapping[str, str]) -> Path | None:
    """The history's file, made with mode 0600 if it is new. None if there is no place for one."""
    if "BEAMISH_HISTORY" in environ:
        if not environ["BEAMISH_HISTORY"]:
            return None
        path = Path(environ["BEAMISH_HISTORY"])
    else:
        state = environ.get("XDG_STATE_HOME") or (os.path.join(environ["HOME"], ".local", "state") if environ.get("HOME") else None)
        if state is None:
            return None
        path = Path(state, "beamish", "history")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
    except OSError:
        return None
    return path
