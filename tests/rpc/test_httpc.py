"""`httpc` against a local HTTP server: Erlang's shapes, and that the node goes on meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from beam import ErlNode, free_port
from beamish.node.runtime import current_runtime
from beamish.rpc import call, start_services
from beamish.rpc.modules import httpc
from beamish.term import Charlist, atom, charlist, text
from loops import on_real_loops


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    together: ClassVar[threading.Barrier]

    def do_GET(self) -> None:
        match self.path:
            case "/redirect":
                self.reply(302, b"", {"Location": "/plain"})
            case "/loop":
                self.reply(302, b"", {"Location": "/loop"})
            case "/missing":
                self.reply(404, b"nothing here")
            case "/together":
                self.together.wait(10)
                self.reply(200, b"all at once")
            case "/never":
                self.rfile.read(1)
            case "/cut":
                self.close_connection = True
                self.connection.close()
            case "/chunks":
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.wfile.write(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
            case _:
                self.reply(200, b"caf\xc3\xa9 " + self.path.encode(), {"Content-Type": "text/plain", "X-Own": "Yes"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.reply(201, body[::-1], {"X-Type": self.headers["content-type"], "X-Agent": self.headers["user-agent"]})

    def reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


async def request(*args: Any) -> Any:
    runtime = current_runtime()
    if "rex" not in map(str, runtime.names):
        await start_services(runtime)
    return await call(runtime.node, "httpc", "request", list(args))


@on_real_loops
async def test_a_plain_request(site: str) -> None:
    for url in (charlist(site + "/x?y=1"), site + "/x?y=1", [ord(char) for char in site + "/x?y=1"]):
        ok, (status, headers, body) = await request(url)
        assert ok is atom.ok
        assert status == (charlist("HTTP/1.1"), 200, charlist("OK"))
        assert all(isinstance(part, Charlist) for header in headers for part in header)
        assert dict(headers)["content-type"] == "text/plain"
        assert dict(headers)["x-own"] == "Yes"
        assert isinstance(body, Charlist)
        assert body.encode("latin-1") == b"caf\xc3\xa9 /x?y=1"
        known = [name for name, _ in headers if name in httpc.HEADER_ORDER]
        assert known == sorted(known, key=httpc.HEADER_ORDER.__getitem__)
        assert headers[-1][0] == "x-own"


@on_real_loops
async def test_methods_headers_and_bodies(site: str) -> None:
    asked = (charlist(site), [(charlist("user-agent"), charlist("me"))], charlist("text/x"), b"abc")
    ok, (status, headers, body) = await request(atom.post, asked, [], [(atom.body_format, atom.binary)])
    assert (ok, status[1], body) == (atom.ok, 201, b"cba")
    assert dict(headers)["x-type"] == "text/x"
    assert dict(headers)["x-agent"] == "me"
    ok, (code, body) = await request(atom.get, (site, []), [], [(atom.full_result, False)])
    assert (ok, code, body) == (atom.ok, 200, charlist("caf\xc3\xa9 /"))
    assert (await request(site + "/missing"))[1][0][1] == 404
    assert (await request(site + "/chunks"))[1][2] == "abcde"


@on_real_loops
async def test_redirections(site: str) -> None:
    assert (await request(site + "/redirect"))[1][2] == charlist("caf\xc3\xa9 /plain")
    ok, (status, headers, _) = await request(atom.get, (site + "/redirect", []), [(atom.autoredirect, False)], [])
    assert (ok, status[1], dict(headers)["location"]) == (atom.ok, 302, "/plain")
    assert (await request(site + "/loop"))[1][0][1] == 302


@on_real_loops
async def test_many_at_once_and_the_node_goes_on(site: str) -> None:
    count = 8
    # The server answers once all requests are there, and this loop has gone on far enough to join them.
    Handler.together = threading.Barrier(count + 1)
    requests = [httpc.request(site + "/together") for _ in range(count)]
    *answers, _ = await asyncio.gather(*requests, asyncio.to_thread(Handler.together.wait, 10))
    assert [answer[1][2] for answer in answers] == ["all at once"] * count


@on_real_loops
async def test_failures(site: str) -> None:
    port = free_port()
    refused = (
        atom.failed_connect,
        [(atom.to_address, (charlist("127.0.0.1"), port)), (atom.inet, [atom.inet], atom.econnrefused)],
    )
    assert await request(f"http://127.0.0.1:{port}/") == (atom.error, refused)
    error, (failed, (_, (_, _, why))) = await request("http://no-such-host.invalid/")
    assert (error, failed, why) == (atom.error, atom.failed_connect, atom.nxdomain)
    assert await request("not a url") == (atom.error, (atom.no_scheme,))
    assert await request("ftp://x/y") == (atom.error, (atom.bad_scheme, charlist("ftp")))
    assert await request(atom.get, (site + "/never", []), [(atom.timeout, 50)], []) == (atom.error, atom.timeout)
    assert await request(site + "/cut") == (atom.error, atom.socket_closed_remotely)
    for strange in (7, (7, []), (site, [7]), ([[-1]], []), (site, 7)):
        assert (await request(atom.get, strange, [], []))[0] is atom.error
    assert (await request(1, 2, 3))[0] is atom.error
    answer = await request(atom.get, (site, []), [], [(atom.sync, False)])
    assert "synchronously" in text(answer[1][1])


@on_real_loops
async def test_headers_cannot_be_smuggled_in(site: str) -> None:
    for bad in ("x\r\ny: z", "x y"):
        assert (await request(atom.get, (site, [(bad, "v\r\nEvil: 1")]), [], []))[0] is atom.error
    assert (await request(site + "/a b\r\nHost: x"))[0] is atom.error


@on_real_loops
async def test_only_so_many_requests_run_at_a_time(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httpc, "_running", threading.BoundedSemaphore(1))
    first = asyncio.ensure_future(httpc.request(atom.get, (site + "/never", []), [(atom.timeout, 100)], []))
    await asyncio.sleep(0)
    assert await httpc.request(site) == (atom.error, (atom.system_limit, httpc.MAX_CONCURRENT))
    assert await first == (atom.error, atom.timeout)


@pytest.mark.interop
def test_erlangs_own_client_gives_the_same(site: str, erl_node: ErlNode) -> None:
    @on_real_loops_once
    async def check() -> None:
        await start_services(current_runtime())
        for path in ("/x", "/missing", "/redirect"):
            theirs = await erl_node.aeval(f'begin inets:start(), httpc:request("{site}{path}") end')
            ok, (status, headers, body) = await request(site + path)
            ours = (ok, (_chars(status), [_chars(header) for header in headers], _codes(body)))
            assert _undated(ours) == _undated(theirs)

    check()


def on_real_loops_once(function: Any) -> Any:
    from beamish.testing.running import run_on

    return lambda: run_on(asyncio.new_event_loop, function, limit=20)


def _codes(chars: Charlist) -> list[int]:
    return [ord(char) for char in chars]


def _chars(parts: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(_codes(part) if isinstance(part, Charlist) else part for part in parts)


def _undated(answer: Any) -> Any:
    """The date may differ by a second; `connection` tells how, not what, was asked."""
    ok, (status, headers, body) = answer
    varying = (_codes(charlist("date")), _codes(charlist("connection")))
    return ok, status, [header for header in headers if header[0] not in varying], body
