"""Servers: `GenServer`, its decorators and results, and what clients do with a server."""

from beamish.gen_server.child_spec import ChildSpec
from beamish.gen_server.client import From
from beamish.gen_server.handle import Handle
from beamish.gen_server.methods import ArgumentMismatch, CallsItself, call, cast
from beamish.gen_server.results import IGNORE, NO_REPLY, Continue, NoReply, Reply, Stop, Timeout
from beamish.gen_server.server import GenServer
from beamish.gen_server.start import Ack, Started, enter
from beamish.gen_server.target import RegisteredName, pid_of
from beamish.gen_server.unhandled import BadReturnValue, NoClause
from beamish.process.gen import CallFailed

__all__ = [
    "IGNORE",
    "NO_REPLY",
    "Ack",
    "ArgumentMismatch",
    "BadReturnValue",
    "CallFailed",
    "CallsItself",
    "ChildSpec",
    "Continue",
    "From",
    "GenServer",
    "Handle",
    "NoClause",
    "NoReply",
    "RegisteredName",
    "Reply",
    "Started",
    "Stop",
    "Timeout",
    "call",
    "cast",
    "enter",
    "pid_of",
]
