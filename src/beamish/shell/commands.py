"""What only a shell has: h(), flush(), exit()."""

from __future__ import annotations

import inspect
from typing import Any, Final, NoReturn

from beamish.errors import Exit, ReceiveTimeout
from beamish.process import receive

_NOTHING: Final = object()

_HELP: Final = """\
h(thing)            what a name is, its arguments and its documentation
self()              this shell's pid            flush()            show and drop the messages it got
_                   the last value              exit() or Ctrl-D   leave; Ctrl-C ends an evaluation

pid = spawn(f, *args)        send(pid, message)           await receive(timeout=1.0)
link(pid)  monitor(pid)      exit("reason")               register("name", pid)  whereis("name")
Node.connect("robin")        Node.list()  Node.self()     Node.ping("robin")
Node.spawn("robin", f)       rpc.call("robin", "math", "sqrt", [16])
rpc.multicall("platform", "node")                         Global.register_name("name", pid)
atom.ok  atom("not ok")      charlist("abc")              text(chardata)

What can be awaited is awaited for you; await also works anywhere. Nodes without a host are on this machine.
"""


def h(thing: Any = _NOTHING) -> None:
    """Help: an overview, or what a thing is."""
    print(_HELP if thing is _NOTHING else describe(thing), end="")


def describe(thing: Any) -> str:
    """Name, arguments and documentation of anything."""
    named = inspect.isroutine(thing) or inspect.isclass(thing) or inspect.ismodule(thing)
    name = getattr(thing, "__qualname__", None) or getattr(thing, "__name__", None)
    if not named or name is None:
        document = inspect.getdoc(type(thing)) or ""
        return f"{thing!r}\n{type(thing).__name__}: {document}\n"
    head = str(name)
    try:
        if not inspect.ismodule(thing):
            head += str(inspect.signature(thing))
    except (ValueError, TypeError):
        pass
    if inspect.iscoroutinefunction(thing):
        head = "await " + head
    body = inspect.getdoc(thing) or "no documentation"
    members = _members(thing)
    return f"{head}\n\n{body}\n" + (f"\n{members}" if members else "")


def _members(thing: Any) -> str:
    """The public functions of a module or class, each with the first line of its documentation."""
    if not (inspect.isclass(thing) or inspect.ismodule(thing)):
        return ""
    chosen = getattr(thing, "__all__", None) if inspect.ismodule(thing) else None
    rows = []
    for name in chosen or [name for name in vars(thing) if not name.startswith("_")]:
        value = getattr(thing, name, None)
        if callable(value):
            first = (inspect.getdoc(value) or "").partition("\n")[0]
            rows.append((name, first))
    width = max((len(name) for name, _ in rows), default=0)
    return "".join(f"  {name:<{width}}  {first}\n" for name, first in rows)


async def flush() -> None:
    """Show the messages in the shell's mailbox and drop them."""
    while True:
        try:
            message = await receive(timeout=0)
        except ReceiveTimeout:
            return
        print(repr(message))


class _Exit:
    """exit() leaves the shell; exit(reason) ends the evaluation, as it would end a process."""

    of_the_shell = True

    def __call__(self, reason: Any = _NOTHING) -> NoReturn:
        if reason is _NOTHING:
            raise SystemExit(0)
        raise Exit(reason)

    def __repr__(self) -> str:
        return "exit() leaves; Ctrl-D does as well"


class _Quit(_Exit):
    """quit() leaves the shell."""


h.of_the_shell = True  # type: ignore[attr-defined]
flush.of_the_shell = True  # type: ignore[attr-defined]

SHELL_COMMANDS: Final = {"h": h, "flush": flush, "exit": _Exit(), "quit": _Quit()}
