"""The flags of a node, the same in every command that opens one, and what they come to.

Later sources win: configuration files, then vm.args, then --erl, then beamish's own flags. Pure: files are read by a
function that is handed in.

    options = node_options(line, environ=os.environ, read_file=read_text)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from beamish.cli.flags import Flag, Line, UsageError, nearest, port_number

if TYPE_CHECKING:
    from beamish.cli.erlang_flags import ErlangFlags

DEFAULT_TICK_SECONDS: Final = 60
_MAX_CONFIG_DEPTH: Final = 10


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise ValueError("a port is 1 to 65535")
    return int(text)


def _ports(text: str) -> tuple[int, int]:
    low, dash, high = text.partition("-")
    try:
        first, last = _port(low), _port(high) if dash else _port(low)
    except ValueError:
        raise ValueError("a range of ports is written MIN-MAX, for example 9100-9155") from None
    if first > last:
        raise ValueError(f"the range is empty; write {last}-{first}")
    return first, last


def _seconds(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError("a number of seconds is wanted, at least 1")
    return int(text)


NODE_FLAGS: Final = (
    Flag("--sname", "short name: barry, or barry@pi", "NAME"),
    Flag("--name", "long name: barry@pi.example.org, or barry@192.0.2.7", "NAME"),
    Flag("--cookie", "shared secret; better in BEAMISH_COOKIE or ~/.erlang.cookie", "TEXT"),
    Flag("--hidden", "connect without becoming a visible member"),
    Flag("--no-connect-all", "do not connect to the nodes that others know (Erlang: -connect_all false)"),
    Flag("--dist-port", "listen on this port", "PORT", _port),
    Flag("--dist-ports", "listen on a port of this range", "MIN-MAX", _ports),
    Flag("--epmd-port", "port of the port mapper (also ERL_EPMD_PORT)", "PORT", _port),
    Flag("--tick-time", "seconds of silence after which a node is gone (60)", "SECONDS", _seconds),
    Flag("--no-preempt", "do not interrupt processes that compute for long"),
    Flag("--config", "a sys.config file, or kernel settings in TOML", "FILE", many=True),
    Flag("--vm-args", "a vm.args file", "FILE", many=True),
    Flag("--erl", 'flags as Erlang spells them, in one argument: --erl "-hidden"', "FLAGS", many=True),
)


@dataclass(slots=True)
class NodeOptions:
    """How a node is to be started. port_min, port_max: 0 for any port; listen_address: None for the name's own."""

    name: str | None = None
    long: bool = False
    cookie: str | None = field(default=None, repr=False)
    peer_cookies: dict[str, str] = field(default_factory=dict, repr=False)
    hidden: bool = False
    connect_all: bool = True
    port_min: int = 0
    port_max: int = 0
    listen: bool = True
    listen_address: str | None = None
    epmd_port: int | None = None
    start_epmd: bool = True
    net_ticktime: int = DEFAULT_TICK_SECONDS
    preempt: bool = True
    remsh: str | None = None
    kernel: dict[str, Any] = field(default_factory=dict)
    applications: dict[str, dict[str, Any]] = field(default_factory=dict)
    extra: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def node_options(line: Line, *, environ: Mapping[str, str], read_file: Callable[[str], str]) -> NodeOptions:
    """Everything a command line, the files it names and the environment say about the node. Raises UsageError."""
    options = NodeOptions()
    if any(line.get(key) for key in ("vm_args", "erl", "config")):
        _apply_files(options, line, environ, read_file)
    _apply_environment(options, environ)
    _apply_own(options, line)
    if options.name is None and (options.port_min or options.hidden):
        options.notes.append("without --sname or --name the node is not distributed; the other node flags do nothing")
    return options


def _apply_files(options: NodeOptions, line: Line, environ: Mapping[str, str], read_file: Callable[[str], str]) -> None:
    """What is said in Erlang's notation. Loaded when it is needed: most nodes are started without."""
    from beamish.cli.erlang_flags import ErlangFlags, read_erlang_flags
    from beamish.cli.vm_args import split

    erlang = ErlangFlags()
    for path in line.get("vm_args", []):
        words = split(_text_of(path, "--vm-args", read_file), path, environ)
        _merge(erlang, read_erlang_flags(words, path, read_file=read_file, environ=environ))
    for flags in line.get("erl", []):
        found = read_erlang_flags(split(flags, "--erl", comments=False), "--erl", read_file=read_file, environ=environ)
        _merge(erlang, found)
    options.notes = erlang.notes
    for path in [*erlang.configs, *line.get("config", [])]:
        for application, values in _configuration(path, read_file, 0).items():
            options.applications.setdefault(application, {}).update(values)
    options.kernel = {**options.applications.pop("kernel", {}), **erlang.kernel}
    _apply_kernel(options)
    _apply_erlang(options, erlang)


def read_text(path: str) -> str:
    """A file's text, or a UsageError that says why not."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read(16 * 1024 * 1024)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text (byte {error.start})") from None


def _text_of(path: str, flag: str, read_file: Callable[[str], str]) -> str:
    try:
        return read_file(path)
    except UsageError as error:
        raise UsageError(f"{flag}: {error}") from None


def _merge(into: ErlangFlags, later: ErlangFlags) -> None:
    """Let later Erlang flags win over earlier ones."""
    if later.name is not None:
        into.name, into.long = later.name, later.long
    for attribute in ("cookie", "connect_all", "epmd_port", "remsh", "schedulers"):
        if (value := getattr(later, attribute)) is not None:
            setattr(into, attribute, value)
    into.hidden = into.hidden or later.hidden
    into.tls = into.tls or later.tls
    into.listen = into.listen and later.listen
    into.start_epmd = into.start_epmd and later.start_epmd
    into.peer_cookies.update(later.peer_cookies)
    into.kernel.update(later.kernel)
    into.configs.extend(later.configs)
    into.extra.extend(later.extra)
    into.notes.extend(later.notes)


def _configuration(path: str, read_file: Callable[[str], str], depth: int) -> dict[str, dict[str, Any]]:
    """A configuration file: application to its settings. The ending .config may be left out, as with erl."""
    if depth > _MAX_CONFIG_DEPTH:
        raise UsageError(f"--config {path}: files include each other")
    if path.endswith(".toml"):
        return _toml(path, _text_of(path, "--config", read_file))
    if not path.endswith(".config"):
        path += ".config"
    from beamish.io.term_text import TermSyntaxError, consult

    try:
        terms = consult(_text_of(path, "--config", read_file), file=path)
    except TermSyntaxError as error:
        raise UsageError(str(error)) from None
    if len(terms) != 1 or not isinstance(terms[0], list):
        raise UsageError(f"{path}: a system configuration is one list, ended by a full stop")
    found: dict[str, dict[str, Any]] = {}
    for item in terms[0]:
        if isinstance(item, str):  # another file, next to this one
            beside = item if os.path.isabs(item) else os.path.join(os.path.dirname(path), item)
            for application, values in _configuration(beside, read_file, depth + 1).items():
                found.setdefault(application, {}).update(values)
            continue
        application, values = _section(path, item)
        found.setdefault(application, {}).update(values)
    return found


def _check_kernel(values: dict[str, Any], where: str) -> None:
    from beamish.cli.erlang_flags import check_kernel_key

    for key in values:
        check_kernel_key(key, where)


def _section(path: str, item: Any) -> tuple[str, dict[str, Any]]:
    match item:
        case (application, list(pairs)) if all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs):
            name = str(application)
            values = {str(key): value for key, value in pairs}
            if name == "kernel":
                _check_kernel(values, f"{path}: kernel")
            return name, values
    raise UsageError(f"{path}: every entry looks like {{application, [{{key, value}}]}}, but this one is {item!r}")


def _toml(path: str, text: str) -> dict[str, dict[str, Any]]:
    import tomllib

    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: {error}") from None
    found: dict[str, dict[str, Any]] = {}
    for application, values in content.items():
        if not isinstance(values, dict):
            raise UsageError(f"{path}: {application} stands outside of a table such as [kernel]")
        if application == "kernel":
            _check_kernel(values, f"{path}: [kernel]")
        found[application] = values
    return found


_ACTED_ON: Final = frozenset(
    ("connect_all", "inet_dist_listen_max", "inet_dist_listen_min", "inet_dist_use_interface", "net_ticktime")
)


def _apply_kernel(options: NodeOptions) -> None:
    from beamish.cli.erlang_flags import plain

    kernel = {key: plain(value) for key, value in options.kernel.items()}
    low, high = kernel.get("inet_dist_listen_min"), kernel.get("inet_dist_listen_max")
    if (low is None) != (high is None):
        given, missing = ("min", "max") if high is None else ("max", "min")
        raise UsageError(f"kernel: inet_dist_listen_{given} is set, but inet_dist_listen_{missing} is not")
    if low is not None:
        options.port_min = port_number(low, "kernel: inet_dist_listen_min")
        options.port_max = port_number(high, "kernel: inet_dist_listen_max")
        if options.port_min > options.port_max:
            raise UsageError(f"kernel: the range of ports {low}-{high} is empty")
    if "net_ticktime" in kernel:
        seconds = kernel["net_ticktime"]
        if not isinstance(seconds, int) or isinstance(seconds, bool) or seconds < 1:
            raise UsageError(f"kernel: net_ticktime is a number of seconds, not {seconds}")
        options.net_ticktime = seconds
    if "connect_all" in kernel:
        options.connect_all = kernel["connect_all"] is True
    if "inet_dist_use_interface" in kernel:
        options.listen_address = _address(kernel["inet_dist_use_interface"])
    for key in sorted(set(kernel) - _ACTED_ON):
        options.notes.append(f"kernel: {key} is known, but this version does nothing with it yet")


def _address(value: Any) -> str:
    """{127,0,0,1} or an IPv6 tuple of eight numbers as text."""
    if isinstance(value, str):
        return value
    if isinstance(value, tuple) and all(isinstance(part, int) for part in value):
        if len(value) == 4 and all(0 <= part <= 255 for part in value):
            return ".".join(map(str, value))
        if len(value) == 8 and all(0 <= part <= 0xFFFF for part in value):
            return ":".join(f"{part:x}" for part in value)
    raise UsageError(f"kernel: inet_dist_use_interface is an address such as {{127,0,0,1}}, not {value!r}")


def _apply_erlang(options: NodeOptions, erlang: ErlangFlags) -> None:
    if erlang.tls:
        raise UsageError("-proto_dist inet_tls: this version has no TLS distribution yet")
    options.name, options.long = erlang.name, erlang.long
    options.cookie = erlang.cookie
    options.peer_cookies = erlang.peer_cookies
    options.hidden = erlang.hidden
    options.listen = erlang.listen
    if not erlang.listen:
        options.notes.append("-dist_listen false: accepted; a beamish node always listens")
    options.epmd_port = erlang.epmd_port
    options.start_epmd = erlang.start_epmd
    options.remsh = erlang.remsh
    options.extra = erlang.extra
    if erlang.connect_all is not None:
        options.connect_all = erlang.connect_all


VARIABLES: Final = frozenset(
    ("BEAMISH_ANNOTATE", "BEAMISH_ASAN", "BEAMISH_COOKIE", "BEAMISH_ENV", "BEAMISH_EXT", "BEAMISH_HISTORY", "BEAMISH_SEED")
)
"""Environment variables of ours; ANNOTATE, ASAN and EXT only concern building."""


def _apply_environment(options: NodeOptions, environ: Mapping[str, str]) -> None:
    for variable in sorted(environ):
        if variable.startswith("BEAMISH_") and variable not in VARIABLES:
            hint = nearest(variable.removeprefix("BEAMISH_"), [known.removeprefix("BEAMISH_") for known in VARIABLES])
            advice = f"did you mean BEAMISH_{hint}?" if hint else f"there are {', '.join(sorted(VARIABLES))}"
            raise UsageError(f"unknown environment variable {variable}; {advice}")
    if options.epmd_port is None and (text := environ.get("ERL_EPMD_PORT")):
        options.epmd_port = port_number(text, "the environment variable ERL_EPMD_PORT")


def _apply_own(options: NodeOptions, line: Line) -> None:
    name, short = line.get("name"), line.get("sname")
    if name is not None and short is not None:
        raise UsageError(
            f"--name {name} and --sname {short} cannot both be given: a node has a long name or a short one, and all"
            " nodes of a cluster must have the same kind"
        )
    if name is not None or short is not None:
        options.name, options.long = name or short, name is not None
    if "dist_port" in line.flags and "dist_ports" in line.flags:
        raise UsageError("--dist-port and --dist-ports cannot both be given")
    if port := line.get("dist_port"):
        options.port_min = options.port_max = port
    if ports := line.get("dist_ports"):
        options.port_min, options.port_max = ports
    options.cookie = line.get("cookie", options.cookie)
    options.hidden = options.hidden or line.get("hidden", False)
    options.connect_all = options.connect_all and not line.get("no_connect_all", False)
    options.preempt = not line.get("no_preempt", False)
    options.epmd_port = line.get("epmd_port", options.epmd_port)
    options.net_ticktime = line.get("tick_time", options.net_ticktime)
