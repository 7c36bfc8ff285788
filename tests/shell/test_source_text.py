"""When an input is whole, how a pipe is cut into inputs, and running them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from beamish.shell.source_text import NOTHING, awaited, run_input, state_of, statements


@pytest.mark.parametrize(
    ("source", "state"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        ("1 + 1", "whole"),
        ("await x", "whole"),
        ("1 +", "whole"),  # an error to be shown, not text to be waited for
        ("1 1", "whole"),
        ("'abc", "whole"),
        ("for i in x: y", "whole"),
        ("x = [1,\n2]", "whole"),
        ("(1,", "unfinished"),
        ("'''abc", "unfinished"),
        ("def f():", "unfinished"),
        ("@decorated", "unfinished"),
        ("x = \\", "unfinished"),
        ("if x:\n    1\nelse:", "unfinished"),
        ("def f():\n    return 1", "open"),
        ("async def f():\n    await x", "open"),
        ("def f():\n    return 1\n", "whole"),
        ("match x:\n    case 1:\n        2", "open"),
    ],
)
def test_states(source: str, state: str) -> None:
    assert state_of(source) == state


PROGRAM = """\

x = 1
def f(a):
    # a comment

    return a + 1

f(x)
if x:
    y = 1
else:
    y = 2
z = (1,
     2)
@staticmethod
def g():
    pass
for i in range(2): y += i
try:
    pass
finally:
    y
text = '''
def not code():
'''
1 1
last"""


def test_a_pipe_is_cut_into_inputs() -> None:
    cut = list(statements(PROGRAM.splitlines(keepends=True)))
    assert "".join(cut).replace("\n", "") == PROGRAM.replace("\n", "")
    assert [part.split("\n")[0] for part in cut] == [
        "x = 1", "def f(a):", "f(x)", "if x:", "z = (1,", "@staticmethod", "for i in range(2): y += i", "try:", "text = '''",
        "1 1", "last",
    ]  # fmt: skip


def test_an_input_is_given_as_soon_as_it_is_whole() -> None:
    read: list[str] = []

    def lines() -> Any:
        for line in ("a = 1\n", "def f():\n", "    return 1\n", "b\n", "c\n"):
            read.append(line)
            yield line

    cut = statements(lines())
    assert next(cut) == "a = 1\n"
    assert len(read) == 1
    assert next(cut) == "def f():\n    return 1\n"
    assert len(read) == 4
    assert next(cut) == "b\n"


def run(source: str, **names: Any) -> tuple[Any, dict[str, Any]]:
    namespace = dict(names)
    return asyncio.run(run_input(source, "<beamish 1>", namespace)), namespace


async def seven() -> int:
    await asyncio.sleep(0)
    return 7


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("1 + 1", 2),
        ("x = 3; x * 2", 6),
        ("seven()", 7),
        ("await seven() + 1", 8),
        ("import asyncio\nasyncio.sleep(0, 'slept')", "slept"),
        ("[await seven() for _ in range(2)]", [7, 7]),
        ("seven(), 1, seven()", (7, 1, 7)),
        ("[seven()]", [7]),
        ("x = 1", NOTHING),
        ("def f(): pass", NOTHING),
        ("pass", NOTHING),
        ("None", None),
    ],
)
def test_values(source: str, value: Any) -> None:
    assert run(source, seven=seven)[0] == value


def test_assigned_coroutines_are_awaited() -> None:
    assert run("x = seven()", seven=seven)[1]["x"] == 7
    assert run("x = y = seven()", seven=seven)[1]["y"] == 7
    assert run("x = seven()\nx + 1", seven=seven)[0] == 8
    assert run("x, y = seven(), 2\nx, y", seven=seven)[0] == (7, 2)

    async def pair() -> tuple[int, int]:
        return 1, 2

    assert run("a, *b = pair()\na, b", pair=pair)[0] == (1, [2])
    assert run("import asyncio; f = asyncio.get_running_loop().create_future(); f.done()")[0] is False

    async def fails() -> None:
        raise KeyError("no")

    namespace: dict[str, Any] = {"fails": fails, "x": 1}
    with pytest.raises(KeyError):
        asyncio.run(run_input("x = fails()", "<beamish 1>", namespace))
    assert namespace["x"] == 1


def test_errors_come_through() -> None:
    with pytest.raises(ZeroDivisionError):
        run("1/0")
    with pytest.raises(SyntaxError):
        run("1 1")


def test_other_values_stay_as_they_are() -> None:
    async def check() -> None:
        marker = object()
        assert await awaited(marker) is marker
        nested = ([1],)
        assert await awaited(nested) is nested

    asyncio.run(check())
