"""State machines: `GenStateMachine`, its decorators `on` and `state`, and what its callbacks give."""

from beamish.gen_server.results import IGNORE, Stop
from beamish.gen_state_machine.actions import (
    POSTPONE,
    EventTimeout,
    Keep,
    NamedTimeout,
    Next,
    NextEvent,
    Repeat,
    ReplyTo,
    StateTimeout,
    StopAndReply,
    Transition,
)
from beamish.gen_state_machine.handlers import on, state
from beamish.gen_state_machine.state_machine import GenStateMachine

__all__ = [
    "IGNORE",
    "POSTPONE",
    "EventTimeout",
    "GenStateMachine",
    "Keep",
    "NamedTimeout",
    "Next",
    "NextEvent",
    "Repeat",
    "ReplyTo",
    "StateTimeout",
    "Stop",
    "StopAndReply",
    "Transition",
    "on",
    "state",
]
