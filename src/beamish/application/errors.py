"""What can go wrong with applications, as errors that name the application and the chain that led to it."""

from __future__ import annotations

from typing import Any

from beamish.errors import BeamishError, NoProcess, StartError


class ApplicationError(StartError):
    """An application could not be loaded, started or stopped; `reason` is the term of Erlang's ``{error, Reason}``.

    application: its name.
    """

    def __init__(self, message: str, reason: Any = None, *, application: str = "") -> None:
        super().__init__(message, reason)
        self.application = application


class UnknownApplication(ApplicationError, NoProcess):
    """No application of this name is loaded, and none can be found; the message says where it was looked for."""


class SpecError(BeamishError, ValueError):
    """A specification is wrong: the message says which key of which application, and what to write instead."""


__all__ = ["ApplicationError", "SpecError", "UnknownApplication"]
