"""Functions typed into a shell, described as terms and revived from them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from beamish import etf
from beamish.shell.prelude import prelude
from beamish.shell.remote_code import NotPortable, describe, described_call, refuse, revive, run
from beamish.shell.source_text import run_input
from beamish.term import Atom, atom


class Shell:
    """Runs inputs as a shell does, and gives the names they made."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {**prelude(), "__name__": "__shell__"}
        self.number = 0

    def __call__(self, source: str) -> Any:
        self.number += 1
        return asyncio.run(run_input(source, f"<beamish {id(self)}-{self.number}>", self.names))


def travelled(function: Any) -> Any:
    """The function after a trip over the wire."""
    described = describe(function)
    assert described is not None
    return revive(etf.decode(etf.encode(described)))


@pytest.fixture
def shell() -> Shell:
    return Shell()


@pytest.mark.parametrize(
    ("source", "arguments", "result"),
    [
        ("lambda: 42", (), 42),
        ("lambda x, y=2: x * y", (5,), 10),
        ("(lambda a: a + 1, lambda a: a + 2)[1]", (1,), 3),
        ("[lambda x, i=i: x + i for i in range(3)][2]", (10,), 12),
        ("max([lambda: 1, lambda: 2], key=lambda f: f())", (), 2),
        ("lambda: (lambda z: z + 1)(1)", (), 2),
        ("lambda *a, k=1, **kw: (a, k, kw)", (1, 2), ((1, 2), 1, {})),
        ("lambda: '''multi\nline'''", (), "multi\nline"),
        ("lambda x: (\n    x,\n    'é')", (1,), (1, "é")),
    ],
)
def test_lambdas(shell: Shell, source: str, arguments: tuple[Any, ...], result: Any) -> None:
    assert travelled(shell(source))(*arguments) == result


@pytest.mark.parametrize(
    ("source", "arguments", "result"),
    [
        ("def f(a, b=2):\n    return a + b\n", (1,), 3),
        ("def f(n):\n    return n * f(n - 1) if n else 1\n", (5,), 120),
        ("x = 1\ndef f(): return x + 1\n", (), 2),
        ("import math\ndef f(): return math.floor(2.5)\n", (), 2),
        ("def g(x): return x * 2\ndef f(x): return g(x) + 1\n", (4,), 9),
        ("def f(x: 'undefined name' = 3, *, y: int = 4) -> nothing: return x + y\n", (), 7),
        ("if True:\n    def f():\n        return 'inner'\n", (), "inner"),
        ("y = 0\ndef f(): return 1\n", (), 1),
        ("def deco(g): return g\n@deco\ndef f(): return 5\n", (), 5),
        ("def f():\n    def g():\n        return a\n    return g()\na = ['x', {'b': (1, 2.5)}]\n", (), ["x", {"b": (1, 2.5)}]),
        ("def f(): return type(atom.ok).__name__, text(b'x')\n", (), ("Atom", "x")),
    ],
)  # fmt: skip
def test_functions(shell: Shell, source: str, arguments: tuple[Any, ...], result: Any) -> None:
    if "nothing:" in source:
        shell.names["nothing"] = None
    shell(source)
    assert travelled(shell.names["f"])(*arguments) == result


def test_closures_carry_their_variables(shell: Shell) -> None:
    shell("def outer(z):\n    def inner(y):\n        return y + z\n    return inner, lambda y: y * z\n")
    inner, times = shell("outer(5)")
    assert travelled(inner)(1) == 6
    assert travelled(times)(3) == 15


def test_coroutine_functions(shell: Shell) -> None:
    shell("async def f(x):\n    return x + 1\n")
    described = describe(shell.names["f"])
    assert asyncio.run(run(described, [1])) == 2
    assert asyncio.run(run(describe(shell("lambda x: x")), [b"x"])) == b"x"


def test_only_what_was_typed_is_described(shell: Shell) -> None:
    assert describe(len) is None
    assert describe(describe) is None
    assert describe(shell("len")) is None
    assert described_call(len) is None
    assert describe(5) is None


def test_the_call_for_another_node(shell: Shell) -> None:
    called = described_call(shell("lambda: 1"))
    assert called is not None
    module, function, (described,) = called
    assert isinstance(module, Atom)
    assert (str(module), str(function)) == ("beamish_shell", "run")
    assert described[0] is atom.beamish_code


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("f = object()\nlambda: f", "uses f, and that cannot be sent"),
        ("def f(x=object()): return x\nf", "uses a default, and that cannot be sent"),
        ("def f(): return g()\ndef g(): return f()\nf", "use each other"),
        ("def f():\n    return late\n    late = 1\ndef outer():\n    def inner(): return v\n    return inner\n    v = 1\nouter()",
         "v, which has no value yet"),
    ],
)  # fmt: skip
def test_what_cannot_travel(shell: Shell, source: str, problem: str) -> None:
    function = shell(source)
    with pytest.raises(NotPortable, match=problem):
        describe(function)


@pytest.mark.parametrize(
    "term",
    [
        atom.x,
        (),
        (atom.beamish_code, 2, "f", "lambda: 1", [], [], []),
        (atom.beamish_code, 1, "f", "lambda: 1", [], []),
        (atom.beamish_code, 1, "<lambda>", "1 +", [], [], []),
        (atom.beamish_code, 1, "<lambda>", "17", [], [], []),
        (atom.beamish_code, 1, "f", "x = 1", [], [], []),
        (atom.beamish_code, 1, "f", "def f(): pass" + " " * 100_000, [], [], []),
        (atom.beamish_code, 1, "<lambda>", "lambda: x", [("x", (atom.nonsense, 1))], [], []),
        (atom.beamish_code, 1, "<lambda>", "lambda: x", [("x", (atom.module, "no_such_module"))], [], []),
    ],
)
def test_what_is_no_function(term: Any) -> None:
    with pytest.raises(ValueError):
        revive(term)


def test_refusing(shell: Shell) -> None:
    with pytest.raises(NotPortable, match="--no-remote-code"):
        asyncio.run(refuse(describe(shell("lambda: 1")), []))


def test_shell_commands_do_not_travel_but_their_names_work(shell: Shell) -> None:
    from beamish.shell.commands import SHELL_COMMANDS

    shell.names.update(SHELL_COMMANDS)
    described = describe(shell("lambda: exit"))
    assert described is not None
    assert described[4] == []
