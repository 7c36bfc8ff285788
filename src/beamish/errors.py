"""Every error beamish raises.

    BeamishError
    ├── ProtocolError
    │   ├── LocalProtocolError      our mistake; nothing was sent
    │   └── RemoteProtocolError     the peer's mistake; its connection is closed
    ├── DecodeError (ValueError)    offset, tag
    ├── EncodeError (ValueError)    path to the offending value
    ├── NoRuntime (RuntimeError)    a verb was used outside a node
    ├── NotAProcess (RuntimeError)  a verb that needs a mailbox was used outside a process
    ├── NoProcess (LookupError)     a local name or process that does not exist
    ├── NameTaken (ValueError)      a registered name is in use
    ├── ReceiveTimeout (TimeoutError)
    ├── CallTimeout (TimeoutError)
    ├── StartError                  a process that was to be started did not come up; `reason`
    │   ├── AlreadyStarted (NameTaken)  the name is in use; `pid` holds it
    │   ├── StartIgnored            `init` gave IGNORE
    │   └── StartTimeout (TimeoutError)  `init` took too long; the process was killed
    ├── RemoteError                 a call ended badly on the other node
    ├── ConnectionBusy (BlockingIOError)
    └── NodeError
        └── EpmdError (OSError)

`Exit` is a BaseException: it is how a process ends on purpose, and no `except Exception` may eat it.
"""

from __future__ import annotations

from typing import Any


class BeamishError(Exception):
    """Root of beamish's errors."""


class ProtocolError(BeamishError):
    """Somebody broke a protocol."""


class LocalProtocolError(ProtocolError):
    """We were asked to do what the protocol forbids. Nothing was sent."""


class RemoteProtocolError(ProtocolError):
    """The peer did what the protocol forbids. Its connection is closed."""


class DecodeError(BeamishError, ValueError):
    """Bytes that are not a term, or break a limit.

    offset: where in the input, in bytes; tag: the tag being read, or None.
    """

    def __init__(self, message: str, offset: int = 0, tag: int | None = None) -> None:
        where = f" at byte {offset}" + (f" (tag {tag})" if tag is not None else "")
        super().__init__(message + where)
        self.offset = offset
        self.tag = tag


class EncodeError(BeamishError, ValueError):
    """A value that is not a term."""


class NoRuntime(BeamishError, RuntimeError):
    """A verb that needs a running node was used where there is none."""


class NotAProcess(BeamishError, RuntimeError):
    """A verb that needs a mailbox was used outside a process."""


class NoProcess(BeamishError, LookupError):
    """A local name or process that does not exist."""


class NameTaken(BeamishError, ValueError):
    """The registered name is in use, or the process already has one."""


class ReceiveTimeout(BeamishError, TimeoutError):
    """No wanted message arrived in time."""


class CallTimeout(BeamishError, TimeoutError):
    """A call was not answered in time."""


class ConnectionBusy(BeamishError, BlockingIOError):
    """More is queued for a peer than the limit allows; wait before sending more."""


class StartError(BeamishError):
    """A process that was to be started did not come up; `reason` is the term of Erlang's ``{error, Reason}``."""

    def __init__(self, message: str, reason: Any = None) -> None:
        super().__init__(message)
        self.reason = reason


class AlreadyStarted(StartError, NameTaken):
    """The name belongs to a living process, `pid`."""

    def __init__(self, message: str, reason: Any = None, pid: Any = None) -> None:
        super().__init__(message, reason)
        self.pid = pid


class StartIgnored(StartError):
    """The process chose not to start: its `init` gave IGNORE."""


class StartTimeout(StartError, TimeoutError):
    """`init` took longer than allowed; the process was killed."""


class RemoteError(BeamishError):
    """A call ended badly on the other node.

    kind: "error", "exit" or "throw"; reason: the term; stack: text or term from the other side.
    """

    def __init__(self, message: str, kind: str = "error", reason: Any = None, stack: Any = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.reason = reason
        self.stack = stack


class NodeError(BeamishError):
    """A node could not start or be reached; the message says what to do."""


class EpmdError(NodeError, OSError):
    """The port mapper refused or could not be reached."""


class Exit(BaseException):
    """Ends the current process with a reason (a term)."""

    def __init__(self, reason: Any) -> None:
        super().__init__(reason)
        self.reason = reason
