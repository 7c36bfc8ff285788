"""Commands that ask something of a node: a hidden node for the time of one question."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from beamish.cli.flags import HELP, Flag, Line, help_of, read_line
from beamish.cli.node_flags import NODE_FLAGS, NodeOptions, node_options, read_text

JSON: Final = Flag("--json", "print JSON")
TIMEOUT: Final = Flag("--timeout", "give up after so many seconds (default 10)", "SECONDS", float)
DEFAULT_TIMEOUT: Final = 10.0

_WANTED: Final = ("--sname", "--name", "--cookie", "--epmd-port", "--dist-port", "--dist-ports", "--vm-args", "--erl")
ONE_SHOT_FLAGS: Final = (JSON, TIMEOUT, *(flag for flag in NODE_FLAGS if flag.name in _WANTED))


def read_command(
    arguments: Sequence[str], usage: str, flags: Sequence[Flag], *, command: str, words_end_flags: bool = False
) -> Line | None:
    """Read a command line; None if it asked for help, which is printed then."""
    line = read_line(arguments, [HELP, *flags], command=command, words_end_flags=words_end_flags)
    if line.get("help"):
        print(f"{usage}\n{help_of([*flags, HELP])}")
        return None
    return line


def options_of(line: Line) -> NodeOptions:
    """What the flags, the files they name and the environment say. A cookie on the command line is hidden from `ps`."""
    options = node_options(line, environ=os.environ, read_file=read_text)
    if options.cookie is not None:
        from beamish.node.cookie import hide_argument

        hide_argument(options.cookie)
    return options


def start_arguments(options: NodeOptions) -> dict[str, Any]:
    """The options as `beamish.boot.start_node` takes them."""
    from beamish.node.cookie import find_cookie

    return {
        "long": options.long,
        "cookie": find_cookie(options.cookie).text,
        "hidden": options.hidden,
        "port_range": (options.port_min, options.port_max),
        "connect_all": options.connect_all,
        "net_ticktime": float(options.net_ticktime),
        "listen_address": options.listen_address,
        "epmd_port": options.epmd_port,
        "start_epmd": options.start_epmd,
        "preempt": options.preempt,
    }


def ask_node(line: Line, target: str, question: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
    """Start a hidden node whose kind of name goes with the target's, run the question on it as a process, stop it.

    question: takes the target's full name (an Atom). Raises NodeError and whatever the question raises.
    """
    from beamish.boot import run
    from beamish.node.host import addresses, full_hostname, is_loopback_address, short_hostname
    from beamish.node.names import InvalidNodeName, is_long_host, split

    options = options_of(line)
    host = target.partition("@")[2]
    if options.name is None:
        options.long = is_long_host(host) if host else False
        options.name = f"beamish-{os.getpid()}-{os.urandom(3).hex()}"
        if options.long:
            options.name += "@" + _own_host(host, full_hostname(), addresses, is_loopback_address)
    options.hidden, options.connect_all = True, False
    full = split(target if host else f"{target}@{short_hostname()}").full
    name = options.name
    assert name is not None

    async def session() -> Any:
        return await question(full)

    try:
        return run(session, name=name, **start_arguments(options))
    except InvalidNodeName:
        raise
    finally:
        sys.stdout.flush()


def _own_host(host: str, own: str, addresses: Callable[[str], list[str]], is_loopback: Callable[[str], bool]) -> str:
    """A host part with which a node of this machine can talk to that host."""
    there = addresses(host)
    if all(is_loopback(address) for address in there):
        return host if "." in host and not host[0].isdigit() else "127.0.0.1"
    if "." in own:
        return own
    import socket

    address = there[0]
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:  # nothing is sent: it only picks the way out
        probe.connect((address, 9))
        return str(probe.getsockname()[0])


def json_text(term: Any) -> str:
    """A term as JSON: atoms, binaries and printable charlists become strings, tuples become arrays."""
    import json

    return json.dumps(as_json(term), ensure_ascii=False)


def as_json(term: Any) -> Any:
    """A term in JSON's types."""
    from collections.abc import Mapping

    from beamish.io.measure import write
    from beamish.term import Atom

    if term is None or isinstance(term, bool | int | float):
        return term
    if isinstance(term, Atom):
        return term.text
    if isinstance(term, str):
        return str(term)
    if isinstance(term, bytes):
        try:
            return term.decode()
        except UnicodeDecodeError:
            return list(term)
    if isinstance(term, list | tuple):
        return [as_json(item) for item in term]
    if isinstance(term, Mapping):
        return {key if isinstance(key := as_json(k), str) else write(k): as_json(v) for k, v in term.items()}
    return write(term)
