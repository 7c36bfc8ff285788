"""The cookie: the secret that lets nodes talk to each other, and where it comes from.

In this order: what the caller gave, the environment (BEAMISH_COOKIE, RELEASE_COOKIE), the file `.erlang.cookie` in the
home directory, the one in the user's configuration directory; created in the home directory when nowhere. The files are
Erlang's own, so that nodes of one user find each other without any setting.

A cookie never appears in a repr, a log line or an error.

Source  OTP 25, "Distributed Erlang", section Security; module auth (checks on the file).
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from beamish.errors import NodeError

FILE_NAME: Final = ".erlang.cookie"
VARIABLES: Final = ("BEAMISH_COOKIE", "RELEASE_COOKIE")
LONGEST: Final = 255
CREATED_LENGTH: Final = 20


class CookieError(NodeError, ValueError):
    """A cookie that cannot be used; says where it came from and what to change."""


class Cookie:
    """The secret, and where it came from. Its text is only in `text`."""

    __slots__ = ("origin", "text")

    def __init__(self, text: str, origin: str) -> None:
        self.text = _checked(text, origin)
        self.origin = origin

    def __repr__(self) -> str:
        return f"<Cookie from {self.origin}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cookie) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


def find_cookie(
    given: str | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    home: Path | None = None,
    letters: bytes | None = None,
) -> Cookie:
    """The cookie of a node that starts now.

    given: from a flag or a call; environ, home: of the user, the process's own if None; letters: 20 random bytes for a
    cookie that has to be made. Raises CookieError.
    """
    environ = os.environ if environ is None else environ
    if given is not None:
        return Cookie(given, "--cookie")
    for variable in VARIABLES:
        if variable in environ:
            return Cookie(environ[variable], f"the environment variable {variable}")
    home = home or home_directory(environ)
    path = home / FILE_NAME
    if (found := read_cookie(path)) is not None:
        return found
    configuration = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "erlang" / FILE_NAME
    if (found := read_cookie(configuration)) is not None:
        return found
    return create_cookie(path, letters or os.urandom(CREATED_LENGTH))


def home_directory(environ: Mapping[str, str]) -> Path:
    """The user's home, as Erlang finds it: the variable HOME."""
    if home := environ.get("HOME"):
        return Path(home)
    raise CookieError(
        f"the cookie file {FILE_NAME} is looked for in the home directory, and HOME is not set; set it, or give the"
        f" cookie in {VARIABLES[0]}"
    )


def read_cookie(path: Path) -> Cookie | None:
    """The cookie in a file, None if there is no such file. Nobody but the owner may have access to it."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read(4096)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CookieError(f"the cookie file {path} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):
        raise CookieError(f"the cookie file {path} is not a plain file")
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise CookieError(
            f"the cookie file {path} must be accessible by its owner only, but its mode is"
            f" {stat.S_IMODE(status.st_mode):04o}; run: chmod 400 {path}"
        )
    return Cookie(content.decode("latin-1").rstrip("\r\n\t ").lstrip(" \t"), f"the file {path}")


def create_cookie(path: Path, letters: bytes) -> Cookie:
    """Make a cookie file with mode 0400. If another node just made it, its cookie is ours as well."""
    text = "".join(chr(ord("A") + byte % 26) for byte in letters)
    draft = path.with_name(f"{path.name}.{os.urandom(6).hex()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)
        try:
            os.link(draft, path)  # appears whole, and never replaces what is there
        except FileExistsError:
            pass
        finally:
            os.unlink(draft)
    except OSError as error:
        raise CookieError(
            f"the cookie file {path} cannot be created: {error.strerror}; give the cookie in {VARIABLES[0]}"
        ) from error
    found = read_cookie(path)
    if found is None:
        raise CookieError(f"the cookie file {path} disappeared while it was made")
    return found


def _checked(text: str, origin: str) -> str:
    if not text:
        raise CookieError(f"the cookie from {origin} is empty")
    if len(text) > LONGEST:
        raise CookieError(f"the cookie from {origin} has {len(text)} characters; at most {LONGEST} are allowed")
    bad = sorted({character for character in text if not "!" <= character <= "~"})
    if bad:
        named = ", ".join("a space" if character == " " else repr(character) for character in bad[:3])
        raise CookieError(f"the cookie from {origin} contains {named}; use visible ASCII characters only")
    return text


def hide_argument(value: str) -> bool:
    """Overwrite an argument in what `ps` shows of this process. True if it was found and overwritten.

    Only Linux lets a process do so; elsewhere, and where /proc forbids it, this does nothing.
    """
    secret = os.fsencode(value)
    try:
        with open("/proc/self/stat", "rb") as file:
            fields = file.read().rpartition(b") ")[2].split()
        start, end = int(fields[45]), int(fields[46])  # arg_start, arg_end; proc(5)
        with open("/proc/self/mem", "r+b", buffering=0) as memory:
            memory.seek(start)
            arguments = memory.read(end - start)
            whole = rb"(?<=[\0= '\"])" + re.escape(secret) + rb"(?=[\0 '\"])"  # also inside --erl "-setcookie C"
            hidden = re.sub(whole, b"*" * len(secret), arguments)
            if hidden == arguments:
                return False
            memory.seek(start)
            memory.write(hidden)
    except (OSError, ValueError, IndexError):
        return False
    return True
