"""The I/O protocol as plain function calls."""

import asyncio
from typing import Any

import pytest
from devices_for_tests import RecordingDevice
from hypothesis import given
from hypothesis import strategies as st

from beamish.io.requests import (
    Answerer,
    answer,
    get_line,
    io_reply,
    io_request,
    needs_input,
    parse_reply,
    parse_request,
    put_chars,
)
from beamish.term import Charlist, atom

ok, error, unicode, latin1 = atom.ok, atom.error, atom.unicode, atom.latin1


def ask(request: Any, *lines: str | None, **settings: Any) -> tuple[Any, RecordingDevice]:
    async def run() -> tuple[Any, RecordingDevice]:
        device = RecordingDevice(*lines, **settings)
        return await answer(request, device), device

    return asyncio.run(run())


def test_messages() -> None:
    assert io_request("pid", "tag", put_chars("x")) == (
        atom.io_request,
        "pid",
        "tag",
        (atom.put_chars, unicode, "x"),
    )
    assert get_line("? ") == (atom.get_line, unicode, "? ")
    assert parse_request(io_request("pid", "tag", atom.getopts)) == ("pid", "tag", atom.getopts)
    assert parse_request((atom.io_request, "pid", "tag")) is None
    assert parse_request("io_request") is None
    assert parse_reply(io_reply("tag", ok), "tag") == (ok,)
    assert parse_reply(io_reply("tag", ok), "other") is None
    assert parse_reply((atom.ok,), "tag") is None


@pytest.mark.parametrize(
    ("request_", "written"),
    [
        ((atom.put_chars, unicode, "é"), "é"),
        ((atom.put_chars, unicode, "é".encode()), "é"),
        ((atom.put_chars, unicode, [104, [b"i"], 0x20AC]), "hi€"),
        ((atom.put_chars, latin1, b"\xe9"), "é"),
        ((atom.put_chars, b"old\xe9"), "oldé"),
        ((atom.put_chars, unicode, atom.io_lib, atom.format, [Charlist("~p~n"), [[1]]]), "[1]\n"),
        ((atom.put_chars, unicode, atom.io_lib, atom.fwrite, ["~ts", ["é"]]), "é"),
        ((atom.put_chars, atom.io_lib, atom.format, ["~w", [atom.x]]), "x"),
        ((atom.requests, [(atom.put_chars, unicode, "a"), (atom.put_chars, unicode, "b")]), "ab"),
        ((atom.requests, []), ""),
    ],
)
def test_writing(request_: Any, written: str) -> None:
    result, device = ask(request_)
    assert result is ok
    assert device.text == written


@pytest.mark.parametrize(
    ("request_", "result"),
    [
        ((atom.put_chars, unicode, b"\xff"), (error, (atom.put_chars, unicode, b"\xff"))),
        ((atom.put_chars, latin1, [300]), (error, (atom.put_chars, latin1, [300]))),
        ((atom.put_chars, unicode, atom.io_lib, atom.format, ["~p", []]), (error, atom.format)),
        ((atom.put_chars, unicode, atom.io_lib, atom.format, [1]), (error, atom.format)),
        ((atom.put_chars, unicode, atom.m, atom.f, []), (error, atom.enotsup)),
        ((atom.get_until, unicode, "", atom.m, atom.f, []), (error, atom.enotsup)),
        ((atom.get_password, unicode), (error, atom.enotsup)),
        ((atom.get_geometry, atom.columns), (error, atom.enotsup)),
        ((atom.get_geometry, atom.depth), (error, atom.request)),
        ((atom.setopts, [(atom.colour, True)]), (error, atom.enotsup)),
        ((atom.setopts, atom.x), (error, atom.request)),
        ((atom.get_line, unicode, 5), (error, atom.request)),
        ((atom.get_chars, unicode, "", -1), (error, atom.request)),
        ((atom.get_chars, unicode, "", 10**9), (error, atom.request)),
        ((atom.requests, atom.x), (error, atom.request)),
        ((atom.requests, [(atom.requests, [])]), (error, atom.request)),
        (atom.nonsense, (error, atom.request)),
        ((), (error, atom.request)),
        (17, (error, atom.request)),
    ],
)
def test_refusals(request_: Any, result: Any) -> None:
    given_, device = ask(request_)
    assert given_ == result
    assert device.text == ""


def test_a_batch_stops_at_the_first_error() -> None:
    batch = [(atom.put_chars, unicode, "a"), (atom.nonsense,), (atom.put_chars, unicode, "b")]
    result, device = ask((atom.requests, batch))
    assert result == (error, atom.request)
    assert device.text == "a"


def test_geometry() -> None:
    assert ask((atom.get_geometry, atom.columns), size=(80, 24))[0] == 80
    assert ask((atom.get_geometry, atom.rows), size=(80, 24))[0] == 24


@pytest.mark.parametrize(
    ("prompt", "shown"),
    [
        ("? ", "? "),
        (atom.name, "name"),
        (None, "nil"),
        (Charlist("x"), "x"),
        ((atom.format, Charlist("~w>"), [1]), "1>"),
    ],
)
def test_prompts(prompt: Any, shown: str) -> None:
    result, device = ask((atom.get_line, unicode, prompt), "line\n")
    assert result == Charlist("line\n")
    assert type(result) is Charlist
    assert device.prompts == [shown]


def test_reading_keeps_what_was_not_asked_for() -> None:
    async def run() -> None:
        device = RecordingDevice("abcdef\n", "gh\n", "ij", None, None, None)
        answerer = Answerer(device)
        assert await answerer.answer((atom.get_chars, unicode, "1", 3)) == "abc"
        assert await answerer.answer((atom.get_line, unicode, "2")) == "def\n"
        assert await answerer.answer((atom.get_chars, unicode, "3", 4)) == "gh\ni"
        assert device.prompts == ["1", "3", ""]
        assert await answerer.answer((atom.get_line, "4")) == "j"
        assert await answerer.answer((atom.get_line, unicode, "5")) is atom.eof
        assert await answerer.answer((atom.get_chars, unicode, "6", 0)) is atom.eof

    asyncio.run(run())


def test_options() -> None:
    async def run() -> None:
        answerer = Answerer(RecordingDevice("é\n", "x\n"))
        assert await answerer.answer((atom.setopts, [atom.binary, (atom.encoding, unicode), (atom.echo, False)])) is ok
        line = await answerer.answer((atom.get_line, unicode, ""))
        assert (line, type(line)) == ("é\n", str)  # sent as a binary
        options = await answerer.answer(atom.getopts)
        assert options == [(atom.binary, True), (atom.encoding, unicode), (atom.echo, False)]
        assert await answerer.answer((atom.setopts, [atom.list, (atom.nonsense, 1)])) == (error, atom.enotsup)
        assert answerer.binary  # nothing of a refused request is done
        assert await answerer.answer((atom.setopts, [atom.list])) is ok
        assert type(await answerer.answer((atom.get_line, unicode, ""))) is Charlist

    asyncio.run(run())


def test_functions_of_others() -> None:
    calls: list[Any] = []

    async def evaluate(module: Any, function: Any, arguments: list[Any]) -> Any:
        calls.append((module, function, arguments))
        if function is atom.crash:
            raise RuntimeError("boom")
        if function is atom.tokens:
            state, line, *_ = arguments
            return (atom.done, (ok, [*state, line]), Charlist("rest")) if line == ".\n" else (atom.more, [*state, line])
        return [b"made", 33]

    async def run() -> None:
        device = RecordingDevice("a\n", ".\n")
        answerer = Answerer(device, evaluate=evaluate)
        assert await answerer.answer((atom.put_chars, unicode, atom.m, atom.make, [1])) is ok
        assert device.text == "made!"
        assert await answerer.answer((atom.put_chars, unicode, atom.m, atom.crash, [])) == (error, atom.crash)
        asked = (atom.get_until, unicode, "> ", atom.erl_scan, atom.tokens, [1])
        assert await answerer.answer(asked) == (ok, ["a\n", ".\n"])
        assert await answerer.answer((atom.get_chars, unicode, "", 4)) == "rest"

    asyncio.run(run())
    assert calls[-1] == (atom.erl_scan, atom.tokens, [["a\n"], Charlist(".\n"), 1])


def test_which_requests_wait() -> None:
    assert needs_input((atom.get_line, unicode, ""))
    assert needs_input((atom.requests, [(atom.put_chars, unicode, ""), (atom.get_line, "")]))
    assert not needs_input((atom.put_chars, unicode, atom.get_line))
    assert not needs_input(atom.get_line)


terms = st.recursive(
    st.sampled_from([atom.put_chars, atom.get_line, atom.get_chars, atom.requests, unicode, latin1, atom.setopts])
    | st.integers(-5, 300)
    | st.binary(max_size=3)
    | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.lists(inner, max_size=6).map(tuple),
    max_leaves=12,
)


@given(terms)
def test_no_request_breaks_it(request_: Any) -> None:
    async def run() -> None:
        device = RecordingDevice(*["x\n"] * 3, *[None] * 40)
        await answer(request_, device)

    asyncio.run(run())
