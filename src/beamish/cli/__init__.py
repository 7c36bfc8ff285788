"""The command `beamish`: one file per verb, loaded when it is asked for.

    main(["names", "--json"]) -> exit status

Status: 0 done, 1 it did not work (the message says what to do), 2 the command line is wrong, 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Final

from beamish.errors import BeamishError

VERBS: Final = {
    "new": "make a project",
    "run": "run the project's application, a file, a module",
    "test": "run the project's tests",
    "check": "would the project run in production?",
    "shell": "a Python shell on a node, or without one",
    "epmd": "the port mapper, in the foreground",
    "names": "the nodes registered on a machine",
    "ping": "does a node answer?",
    "nodes": "the nodes that a node is connected to",
    "call": "call a function on a node and print what it gives",
}
DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130

Verb = Callable[[Sequence[str]], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (without the program's name); the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _close_output()
        return FAILED
    except BeamishError as error:
        print(f"beamish: {error}", file=sys.stderr)
        return _status_of(error)


def _run(arguments: list[str]) -> int:
    verb = arguments[0] if arguments else "help"
    if verb in ("--version", "-V", "version"):
        from beamish import __version__

        print(f"beamish {__version__}")
        return DONE
    if verb in ("help", "--help", "-h"):
        if len(arguments) > 1 and arguments[1] in VERBS:
            return _verb(arguments[1])(["--help"])
        print(_help(), end="")
        return DONE if arguments else USAGE
    if verb not in VERBS:
        from beamish.cli.flags import UsageError, nearest

        hint = nearest(verb, [*VERBS, "help"])
        if verb.startswith("-"):
            raise UsageError(f"a command comes first: beamish shell {' '.join(arguments)}")
        raise UsageError(f"there is no command {verb!r}; " + (f"did you mean {hint}?" if hint else "see: beamish help"))
    return _verb(verb)(arguments[1:])


def _verb(name: str) -> Verb:
    run: Verb = import_module(f"beamish.cli.{name}").run
    return run


def _help() -> str:
    verbs = "\n".join(f"  {name:<8} {what}" for name, what in VERBS.items())
    return f"""usage: beamish COMMAND [ARGUMENTS]

{verbs}

beamish help COMMAND   what a command takes
beamish --version
"""


def _status_of(error: BeamishError) -> int:
    from beamish.cli.flags import UsageError
    from beamish.node.names import InvalidNodeName

    return USAGE if isinstance(error, UsageError | InvalidNodeName) else FAILED


def _close_output() -> None:
    """Whoever read our output has left; keep the interpreter from complaining about it at its end."""
    import os

    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
