"""`httpc`: an HTTP client whose results have the shape of Erlang's.

    {ok, {{"HTTP/1.1", 200, "OK"}, [{"content-type", "text/plain"}, …], Body}}    {error, Reason}

Text is charlists; Body too, unless ``{body_format, binary}`` asks for a binary. Each request runs in a thread of its
own, so that the node goes on meanwhile; names are looked up, TLS certificates checked and proxies ignored as Python's
http.client does.

Source  OTP 25, inets: httpc:request/1,4 (results compared).
"""

from __future__ import annotations

import asyncio
import errno
import http.client
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from beamish.term import Atom, Charlist, atom, charlist, text
from beamish.term.chardata import ChardataError

__all__ = ["request", "set_options"]

MAX_BODY: Final = 256 << 20
MAX_REDIRECTS: Final = 20
MAX_CONCURRENT: Final = 256
USER_AGENT: Final = "beamish"

_running = threading.BoundedSemaphore(MAX_CONCURRENT)

KNOWN_HEADERS: Final = (
    "cache-control", "connection", "date", "pragma", "trailer", "transfer-encoding", "upgrade", "via", "warning",
    "accept-ranges", "age", "etag", "location", "proxy-authenticate", "retry-after", "server", "vary",
    "www-authenticate", "allow", "content-encoding", "content-language", "content-length", "content-location",
    "content-md5", "content-range", "content-type", "expires", "last-modified",
)  # fmt: skip
"""httpc gives headers it knows first, in this order."""

HEADER_ORDER: Final = {name: place for place, name in enumerate(KNOWN_HEADERS)}


@dataclass(frozen=True, slots=True)
class Request:
    """One request, in Python's types; timeouts in seconds."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    timeout: float | None = None
    connect_timeout: float | None = None
    redirect: bool = True
    verify: bool = True


class _UnusableError(Exception):
    """A request that Erlang refuses too; args[0] is the reason."""


async def request(*args: Any) -> Any:
    """``request(Url)``, ``request(Method, Request, HTTPOptions, Options)``, either with a profile (ignored) behind."""
    if len(args) in (1, 2):
        args = (atom.get, (args[0], []), [], [])
    elif len(args) not in (4, 5):
        return (atom.error, atom.badarg)
    method, what, http_options, options = args[:4]
    try:
        made = read_request(method, what, _proplist(http_options))
    except _UnusableError as error:
        return (atom.error, error.args[0])
    wanted = _proplist(options)
    if wanted.get(atom.sync, True) is not True or wanted.get(atom.stream, atom.none) is not atom.none:
        return (atom.error, (atom.notsup, "a beamish node answers httpc requests synchronously and whole"))
    try:
        status, headers, body = await _in_thread(made)
    except _UnusableError as error:
        return (atom.error, error.args[0])
    shown: Any = body if wanted.get(atom.body_format) is atom.binary else Charlist(body.decode("latin-1"))
    if wanted.get(atom.full_result, True) is False:
        return (atom.ok, (status[1], shown))
    return (atom.ok, (status, headers, shown))


def set_options(options: Any, profile: Any = None) -> Any:
    """Taken and ignored."""
    return atom.ok


# ---- reading what was asked


def _proplist(options: Any) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for option in options if isinstance(options, list) else ():
        if isinstance(option, tuple) and len(option) == 2 and isinstance(option[0], Atom):
            found[option[0]] = option[1]
        elif isinstance(option, Atom):
            found[option] = True
    return found


def _chars(value: Any) -> str:
    try:
        return value.text if isinstance(value, Atom) else text(value)
    except ChardataError:
        raise _UnusableError((atom.invalid_request, value)) from None


def read_request(method: Any, what: Any, options: dict[Any, Any]) -> Request:
    """Raises _UnusableError with Erlang's reason."""
    body: bytes | None = None
    match what:
        case (url, list() as headers):
            kind = None
        case (url, list() as headers, kind, content):
            body = content if isinstance(content, bytes) else _chars(content).encode("utf-8")
        case _:
            raise _UnusableError(atom.invalid_request)
    pairs = []
    for header in headers:
        if not isinstance(header, tuple) or len(header) != 2:
            raise _UnusableError((atom.headers_error, atom.invalid_field))
        pairs.append((_chars(header[0]), _chars(header[1])))
    if kind is not None:
        pairs.append(("content-type", _chars(kind)))
    address = _chars(url)
    scheme = urlsplit(address).scheme.lower()
    if not scheme:
        raise _UnusableError((atom.no_scheme,))
    if scheme not in ("http", "https"):
        raise _UnusableError((atom.bad_scheme, charlist(scheme)))
    return Request(
        _chars(method).upper(), address, tuple(pairs), body, _seconds(options.get(atom.timeout)),
        _seconds(options.get(atom.connect_timeout)), options.get(atom.autoredirect, True) is not False,
        not _unverified(options.get(atom.ssl)),
    )  # fmt: skip


def _seconds(value: Any) -> float | None:
    return value / 1000 if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _unverified(options: Any) -> bool:
    return isinstance(options, list) and (atom.verify, atom.verify_none) in options


# ---- the exchange, in a thread


async def _in_thread(made: Request) -> Any:
    """Run the exchange in a daemon thread: an unfinished request keeps neither the node nor the interpreter from
    ending."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def settle(setter: Callable[[Any], object], value: Any) -> None:
        if not done.done():
            setter(value)

    def work() -> None:
        try:
            result = exchange(made)
        except BaseException as error:
            outcome: tuple[Any, Any] = (done.set_exception, error)
        else:
            outcome = (done.set_result, result)
        finally:
            slots.release()
        try:
            loop.call_soon_threadsafe(settle, *outcome)
        except RuntimeError:
            pass  # the loop has ended; nobody waits

    slots = _running
    if not slots.acquire(blocking=False):
        raise _UnusableError((atom.system_limit, MAX_CONCURRENT))
    threading.Thread(target=work, daemon=True, name="beamish-httpc").start()
    try:
        async with asyncio.timeout(made.timeout):
            return await done
    except TimeoutError:
        raise _UnusableError(atom.timeout) from None


def exchange(made: Request) -> tuple[Any, list[Any], bytes]:
    """Send, follow redirections, and read: (status line, headers, body). Blocks. Raises _UnusableError."""
    for _ in range(MAX_REDIRECTS):
        status, headers, body = _once(made)
        where = next((value for name, value in headers if name == "location"), None)
        if not made.redirect or where is None or status[1] not in (301, 302, 303, 307, 308):
            break
        if status[1] == 303 or made.method == "POST":
            made = replace(made, method="GET", body=None)
        made = replace(made, url=urljoin(made.url, where))
    ordered = sorted(headers, key=lambda pair: HEADER_ORDER.get(pair[0], len(HEADER_ORDER)))
    return status, [(charlist(name), charlist(value)) for name, value in ordered], body


def _once(made: Request) -> tuple[tuple[Charlist, int, Charlist], list[tuple[str, str]], bytes]:
    parts = urlsplit(made.url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    connection = _connection(made, parts.scheme, host, port)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        try:
            connection.connect()
        except (OSError, UnicodeError) as error:
            raise _UnusableError(_failed_connect(host, port, error)) from None
        connection.sock.settimeout(made.timeout)
        names = {name.lower() for name, _ in made.headers}
        connection.putrequest(made.method, path, skip_accept_encoding=True, skip_host="host" in names)
        for name, value in made.headers:
            connection.putheader(name, value)
        if "user-agent" not in names:
            connection.putheader("user-agent", USER_AGENT)
        if "connection" not in names:
            connection.putheader("connection", "close")
        if made.body is not None and "content-length" not in names:
            connection.putheader("content-length", str(len(made.body)))
        connection.endheaders(made.body)
        answer = connection.getresponse()
        body = answer.read(MAX_BODY + 1)
        if len(body) > MAX_BODY:
            raise _UnusableError((atom.body_too_large, MAX_BODY))
        version = "HTTP/1.0" if answer.version == 10 else "HTTP/1.1"
        headers = [(name.lower(), value) for name, value in answer.getheaders()]
        return (charlist(version), answer.status, charlist(answer.reason)), headers, body
    except TimeoutError:
        raise _UnusableError(atom.timeout) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        if isinstance(error, http.client.RemoteDisconnected | ConnectionResetError | http.client.IncompleteRead):
            raise _UnusableError(atom.socket_closed_remotely) from None
        raise _UnusableError((atom.could_not_parse_as_http, f"{type(error).__name__}: {error}")) from None
    finally:
        connection.close()


def _connection(made: Request, scheme: str, host: str, port: int) -> http.client.HTTPConnection:
    if scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=made.connect_timeout or made.timeout)
    context = ssl.create_default_context()
    if not made.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=made.connect_timeout or made.timeout, context=context)


def _failed_connect(host: str, port: int, error: Exception) -> Any:
    match error:
        case socket.gaierror() | UnicodeError():
            why: Any = atom.nxdomain
        case TimeoutError():
            why = atom.timeout
        case ssl.SSLError():
            why = (atom.tls_alert, str(error))
        case ConnectionRefusedError():
            why = atom.econnrefused
        case OSError() if error.errno is not None:
            why = atom(errno.errorcode.get(error.errno, "error").lower())
        case _:
            why = atom.error
    return (atom.failed_connect, [(atom.to_address, (charlist(host), port)), (atom.inet, [atom.inet], why)])
