"""Reading a command line: a table of flags, and errors that name the nearest spelling.

Written here instead of using argparse or typer because both get in the way of what node flags need: values that start
with a dash (`--erl "-hidden"`, cookies), a proposal for every misspelt flag, and a start that costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from beamish.errors import BeamishError


class UsageError(BeamishError, ValueError):
    """A command line that cannot be meant; the command ends with exit code 2."""


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag. value: the name of its value in the help, None for a switch; convert: text to value, raising
    ValueError; many: may be given several times and collects a list; short: a one-letter form, "-h"."""

    name: str
    help: str
    value: str | None = None
    convert: Callable[[str], Any] = str
    many: bool = False
    short: str | None = None

    @property
    def key(self) -> str:
        """The name under which the value is found."""
        return self.name.lstrip("-").replace("-", "_")


@dataclass(slots=True)
class Line:
    """A command line that was read: flags by key (only those given), and the rest in order."""

    flags: dict[str, Any] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a flag, or default."""
        return self.flags.get(key, default)


HELP: Final = Flag("--help", "show this text and leave", short="-h")


def read_line(arguments: Sequence[str], flags: Iterable[Flag], *, command: str, words_end_flags: bool = False) -> Line:
    """Sort arguments into flags and words. Raises UsageError.

    words_end_flags: after the first word nothing is a flag any more, so that words may start with a dash.
    """
    table = {flag.name: flag for flag in flags}
    table.update({flag.short: flag for flag in table.values() if flag.short})
    line = Line()
    pending = list(arguments)[::-1]
    while pending:
        argument = pending.pop()
        if argument == "--":
            line.words.extend(reversed(pending))
            break
        if not argument.startswith("-") or argument == "-" or _is_number(argument):
            line.words.append(argument)
            if words_end_flags:
                line.words.extend(reversed(pending))
                break
            continue
        name, equals, value = argument.partition("=")
        flag = table.get(name)
        if flag is None:
            raise UsageError(unknown_flag(name, [key for key in table if key.startswith("--")], command))
        _set(line, flag, value if equals else None, pending)
    return line


def _set(line: Line, flag: Flag, value: str | None, pending: list[str]) -> None:
    if flag.value is None:
        if value is not None:
            raise UsageError(f"{flag.name} takes no value, but {value!r} was given")
        line.flags[flag.key] = True
        return
    if value is None:
        if not pending:
            raise UsageError(f"{flag.name} needs a value: {flag.name} {flag.value}")
        value = pending.pop()
    try:
        converted = flag.convert(value)
    except ValueError as error:
        raise UsageError(f"{flag.name} {value}: {error}") from None
    if flag.many:
        line.flags.setdefault(flag.key, []).append(converted)
    elif flag.key in line.flags:
        raise UsageError(f"{flag.name} is given twice")
    else:
        line.flags[flag.key] = converted


def unknown_flag(name: str, known: Sequence[str], command: str) -> str:
    """The message for a flag nobody knows."""
    hint = nearest(name, known)
    return f"unknown flag {name}" + (f"; did you mean {hint}?" if hint else f"; see: {command} --help")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most like this one, if any is."""
    from difflib import get_close_matches  # only once something is wrong

    choices = {choice.lower(): choice for choice in known}
    matches = get_close_matches(word.lower(), list(choices), n=1, cutoff=0.7)
    return choices[matches[0]] if matches else None


def port_number(value: Any, where: str) -> int:
    """A TCP port, 0 for any, from a term or text."""
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 65535:
        raise UsageError(f"{where}: {value} is not a port; a port is 1 to 65535")
    return value


def help_of(flags: Iterable[Flag]) -> str:
    """The flags as lines of a help text."""
    listed = list(flags)
    rows = [(f"{flag.short}, " if flag.short else "") + flag.name + (f" {flag.value}" if flag.value else "") for flag in listed]
    width = max(map(len, rows), default=0)
    return "\n".join(f"  {row:<{width}}  {flag.help}" for row, flag in zip(rows, listed, strict=True))


def _is_number(argument: str) -> bool:
    return argument[1:2].isdigit()
