"""Erlang's own command line: what `erl`, `iex --erl` and vm.args files take.

`read_erlang_flags` says what the words mean for a beamish node. Flags that only a BEAM can act on are accepted with a
note; what no Erlang knows is an error, because a misspelt flag that is silently ignored is how nodes end up on random
ports.

Source  ERTS Reference Manual: erl (flags, plus flags, -args_file); Kernel Reference Manual: kernel_app.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from beamish.cli.erlang_tables import APPLICATIONS, BEAM_ONLY, EMULATOR, KERNEL_KEYS, OURS
from beamish.cli.flags import UsageError, nearest, port_number
from beamish.cli.vm_args import split
from beamish.io.term_text import TermSyntaxError, parse_term
from beamish.term import Atom, Charlist

MAX_FILES: Final = 20


@dataclass(slots=True)
class ErlangFlags:
    """What Erlang flags asked for, in beamish's words. None: not said."""

    name: str | None = None
    long: bool = False
    cookie: str | None = None
    peer_cookies: dict[str, str] = field(default_factory=dict)
    hidden: bool = False
    connect_all: bool | None = None
    epmd_port: int | None = None
    start_epmd: bool = True
    listen: bool = True
    remsh: str | None = None
    schedulers: str | None = None
    tls: bool = False
    kernel: dict[str, Any] = field(default_factory=dict)
    configs: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_erlang_flags(
    words: Sequence[str],
    where: str,
    *,
    read_file: Callable[[str], str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> ErlangFlags:
    """Understand words as erl does. where: for errors, "--erl" or a file's name; read_file: for -args_file."""
    reader = _Reader(where, read_file, environ)
    reader.read(list(words))
    return reader.found


class _Reader:
    def __init__(self, where: str, read_file: Callable[[str], str] | None, environ: Mapping[str, str] | None) -> None:
        self.found = ErlangFlags()
        self.where = where
        self.read_file = read_file
        self.environ = environ
        self.files = 0
        self.words: list[str] = []

    def fail(self, problem: str) -> UsageError:
        return UsageError(f"{self.where}: {problem}")

    def note(self, text: str) -> None:
        note = f"{self.where}: {text}"
        if note not in self.found.notes:
            self.found.notes.append(note)

    def read(self, words: list[str]) -> None:
        self.words = words[::-1]
        while self.words:
            flag = self.words.pop()
            if flag in ("-extra", "--extra"):
                self.found.extra = self.words[::-1]
                self.note("-extra and what follows is left to the application")
                return
            if flag == "--":
                self.values()
            elif flag.startswith("+"):
                self.emulator(flag)
            elif flag.startswith("-"):
                self.flag(flag)
            else:
                raise self.fail(f"{flag!r} belongs to no flag")

    def values(self) -> list[str]:
        """The words up to the next flag."""
        taken: list[str] = []
        while self.words and not _is_flag(self.words[-1]):
            taken.append(self.words.pop())
        return taken

    def value(self, flag: str, what: str) -> str:
        if not self.words or _is_flag(self.words[-1]):
            raise self.fail(f"{flag} needs a value: {flag} {what}")
        return self.words.pop()

    def emulator(self, flag: str) -> None:
        if flag[1:2] not in EMULATOR:
            raise self.fail(f"unknown emulator flag {flag}; emulator flags start with + and one of {EMULATOR}")
        given = " ".join([flag, *self.values()])
        self.note(f"{given} only concerns a BEAM and changes nothing here")

    def flag(self, flag: str) -> None:
        method = getattr(self, "flag_" + flag[1:], None)
        if method is not None and flag in OURS:
            method(flag)
        elif flag in BEAM_ONLY:
            self.beam_only(flag)
        elif flag[1:] in APPLICATIONS:
            values = self.values()
            self.note(f"{' '.join([flag, *values])} configures an application that does not run here")
        else:
            hint = nearest(flag, [*OURS, *BEAM_ONLY])
            advice = f"did you mean {hint}?" if hint else "put an application's own arguments behind -extra"
            raise self.fail(f"unknown flag {flag}; {advice}")

    def beam_only(self, flag: str) -> None:
        count = BEAM_ONLY[flag]
        values = self.values() if count is None else [self.value(flag, "VALUE") for _ in range(count)]
        given = " ".join([flag, *values])
        if flag == "-proto_dist" and values == ["inet_tls"]:
            self.found.tls = True
        elif flag == "-proto_dist" and values not in (["inet_tcp"], ["inet6_tcp"]):
            raise self.fail(f"{given}: only inet_tcp, inet6_tcp and inet_tls are known")
        elif flag == "-start_epmd" and values == ["false"]:
            self.found.start_epmd = False
        elif flag == "-smp":
            self.found.schedulers = values[0] if values else "auto"
            self.note(f"{given}: a node runs on one core; more nodes use more cores")
        elif flag not in ("-proto_dist", "-start_epmd"):
            self.note(f"{given} only concerns a BEAM and changes nothing here")

    def flag_name(self, flag: str) -> None:
        if self.found.name is not None:
            raise self.fail(f"{flag} gives a second name; the first is {self.found.name}")
        self.found.name = self.value(flag, "NAME")
        self.found.long = flag == "-name"

    flag_sname = flag_name

    def flag_setcookie(self, flag: str) -> None:
        values = self.values()
        if len(values) == 1:
            self.found.cookie = values[0]
        elif len(values) == 2:
            self.found.peer_cookies[values[0]] = values[1]
        else:
            raise self.fail("-setcookie takes a cookie, or a node and its cookie")

    def flag_hidden(self, flag: str) -> None:
        self.found.hidden = True

    def flag_connect_all(self, flag: str) -> None:
        self.found.connect_all = self.truth(flag)

    def flag_dist_listen(self, flag: str) -> None:
        self.found.listen = self.truth(flag)

    def truth(self, flag: str) -> bool:
        value = self.value(flag, "true|false")
        if value not in ("true", "false"):
            raise self.fail(f"{flag} takes true or false, not {value}")
        return value == "true"

    def flag_remsh(self, flag: str) -> None:
        self.found.remsh = self.value(flag, "NODE")

    def flag_erl_epmd_port(self, flag: str) -> None:
        self.found.epmd_port = port_number(self.value(flag, "PORT"), f"{self.where}: {flag}")

    def flag_epmd_module(self, flag: str) -> None:
        raise self.fail(f"{flag} {self.value(flag, 'MODULE')}: Erlang modules cannot run here")

    def flag_config(self, flag: str) -> None:
        files = self.values()
        if not files:
            raise self.fail("-config needs the name of a file")
        self.found.configs.extend(files)

    def flag_args_file(self, flag: str) -> None:
        name = self.value(flag, "FILE")
        self.files += 1
        if self.read_file is None or self.files > MAX_FILES:
            raise self.fail(f"-args_file {name}: files nest too deeply here")
        outer = self.where
        self.where = name
        words = split(self.read_file(name), name, self.environ)
        rest, self.words = self.words, []
        self.read(words)
        self.where, self.words = outer, rest

    def flag_kernel(self, flag: str) -> None:
        values = self.values()
        if len(values) % 2:
            raise self.fail(f"-kernel takes pairs of a key and a value; {values[-1]} has no value")
        for key, text in zip(values[::2], values[1::2], strict=True):
            check_kernel_key(key, f"{self.where}: -kernel")
            try:
                self.found.kernel[key] = parse_term(text)
            except TermSyntaxError as error:
                raise self.fail(f"-kernel {key} {text}: {error.problem}") from None


def _is_flag(word: str) -> bool:
    return len(word) > 1 and word[0] in "-+" and not word[1].isdigit()


def check_kernel_key(key: str, where: str) -> None:
    """Refuse a key that Erlang's kernel application does not have."""
    if key not in KERNEL_KEYS:
        hint = nearest(key, KERNEL_KEYS)
        raise UsageError(f"{where}: unknown key {key}" + (f"; did you mean {hint}?" if hint else ""))


def plain(value: Any) -> Any:
    """A term as a flag's value: atoms and charlists as str."""
    if isinstance(value, Atom | Charlist):
        return str(value)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
