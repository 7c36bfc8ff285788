"""A shell's session on a runtime, with a front end made for tests."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from front_for_tests import ScriptedFront

from beamish.boot import start_local
from beamish.node.runtime import Runtime
from beamish.shell.session import Session, banner, logs_to, serve_session

Run = Callable[[Coroutine[Any, Any, Any]], Any]


async def shell(*inputs: str) -> ScriptedFront:
    """Run a session over inputs and give its front end."""
    front = ScriptedFront()
    runtime = await start_local(device=front)
    for text in inputs:
        front.inputs.put_nowait(text)
    front.inputs.put_nowait(None)
    await serve_session(runtime, front)
    assert runtime.closed
    return front


def test_values_and_names(run: Run) -> None:
    front = run(shell("1 + 1", "x = 20", "x + _", "None", "_", "f'{_!r}'", "   "))
    assert front.shown == ["2\n", "22\n", "22\n", "'22'\n"]
    assert front.errors == []


def test_prompts_count(run: Run) -> None:
    front = run(shell("1", "x = 1", "", "1/0"))
    assert front.prompts == [f"beamish{number}> " for number in (1, 2, 3, 3, 4)]


def test_errors_do_not_end_it(run: Run) -> None:
    front = run(shell("1/0", "1 1", "nope", "exit('why')", "raise KeyboardInterrupt", "'alive'"))
    assert front.errors[0] == "ZeroDivisionError: division by zero"
    assert "SyntaxError" in front.errors[1]
    assert front.errors[2:] == ["NameError: name 'nope' is not defined", "** exit: 'why'", "** interrupted"]
    assert front.shown == ["'alive'\n"]


def test_it_is_a_process(run: Run) -> None:
    front = run(
        shell(
            "me = self()",
            "send(me, (atom.hello, 1))",
            "1/0",
            "self() == me",
            "await receive(timeout=1)",
            "spawn(lambda: send(me, 'from another')) and None",
            "receive(timeout=1)",
            "send(me, 1); send(me, 2)",
            "flush()",
            "receive(timeout=0)",
        )
    )
    assert "".join(front.shown) == "True\n(atom.hello, 1)\n'from another'\n1\n2\n"
    assert front.errors[1].startswith("ReceiveTimeout")


def test_awaiting(run: Run) -> None:
    front = run(
        shell(
            "import asyncio",
            "asyncio.sleep(0, 'slept')",
            "async def f(x): return x * 2\n",
            "f(4)",
            "y = f(5)",
            "y",
            "[await f(n) for n in range(3)]",
            "f(1), f(2)",
        )
    )
    assert "".join(front.shown) == "'slept'\n8\n10\n[0, 2, 4]\n(2, 4)\n"


def test_functions_and_classes_know_their_source(run: Run) -> None:
    front = run(
        shell(
            "import inspect, dataclasses",
            "def f(a):\n    return a + 1\n",
            "print(inspect.getsource(f), end='')",
            "@dataclasses.dataclass\nclass P:\n    x: 'int'\n",
            "P(1)",
            "f('x')",
        )
    )
    assert "".join(front.shown) == "def f(a):\n    return a + 1\nP(x=1)\n"
    assert "    return a + 1" in front.errors[0]


def test_a_broken_link_gives_a_new_process(run: Run) -> None:
    front = run(
        shell(
            "me = self(); x = 1",
            "async def crash(): raise SystemError('boom')\n",
            "spawn_link(crash) and await receive()",
            "self() != me, x",
        )
    )
    assert "".join(front.shown) == "(True, 1)\n"
    ended = [error for error in front.errors if error.startswith("** the shell's process was ended")]
    assert len(ended) == 1
    assert "boom" in ended[0]


def test_an_exit_signal_to_itself(run: Run) -> None:
    front = run(shell("Process.exit(self(), 'bye')", "1"))
    assert len(front.errors) == 1
    assert front.errors[0].startswith("** the shell's process was ended by an exit signal: 'bye'")
    assert front.shown == ["1\n"]


@pytest.mark.parametrize("leaving", ["exit()", "quit()", "raise SystemExit", "import sys; sys.exit(0)"])
def test_leaving(run: Run, leaving: str) -> None:
    front = run(shell(leaving, "1"))
    assert front.shown == []
    assert front.errors == []


def test_leaving_with_a_message(run: Run) -> None:
    assert run(shell("raise SystemExit('done')", "1")).errors == ["done"]


def test_help(run: Run) -> None:
    front = run(shell("h()", "h(Node)", "h(spawn)", "h(1)", "h", "exit"))
    text = "".join(front.shown)
    assert "Node.connect" in text
    assert "connect  " in text
    assert "exit() leaves" in text


def test_print_and_output_of_others(run: Run) -> None:
    front = run(shell("print('a', 'b')", "spawn(lambda: print('from a process')) and None", "import asyncio", "asyncio.sleep(0)"))
    assert "".join(front.shown) == "a b\nfrom a process\n"


def interrupted_after(front: ScriptedFront, act: Callable[[], None]) -> Coroutine[Any, Any, list[str]]:
    """Run a session that is sent one interrupt when its input asks for it by calling `now`."""

    async def session() -> list[str]:
        runtime = await start_local(device=front)
        session = Session(runtime, front)
        session.evaluator.namespace["now"] = act
        serving = asyncio.ensure_future(session.run())
        await serving
        session.evaluator.closing = True
        await runtime.stop()
        return front.errors

    return session()


def test_ctrl_c_ends_a_tight_loop(run: Run) -> None:
    async def go() -> list[str]:
        front = ScriptedFront()
        for text in ("x = 0", "now()\nwhile True: x += 1", "x >= 0", None):
            front.inputs.put_nowait(text)
        # the signal comes while Python code is running: a timer of the operating system sends it
        errors = await interrupted_after(front, lambda: signal.setitimer(signal.ITIMER_REAL, 0.1) and None)
        assert front.shown == ["True\n"]
        return errors

    before = signal.signal(signal.SIGALRM, lambda number, frame: os.kill(os.getpid(), signal.SIGINT))
    try:
        assert run(go()) == ["** interrupted"]
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, 0)


@pytest.mark.parametrize("waiting", ["await receive()", "import asyncio; await asyncio.sleep(1000)"])
def test_ctrl_c_ends_waiting(run: Run, waiting: str) -> None:
    async def go() -> list[str]:
        front = ScriptedFront()
        for text in (f"now(); {waiting}", "'alive'", "send(self(), 1); receive(timeout=1)", None):
            front.inputs.put_nowait(text)
        loop = asyncio.get_running_loop()
        errors = await interrupted_after(front, lambda: loop.call_later(0.05, os.kill, os.getpid(), signal.SIGINT) and None)
        assert front.shown == ["'alive'\n", "1\n"]
        return errors

    assert run(go()) == ["** interrupted"]


def test_ctrl_c_with_nothing_to_interrupt(run: Run) -> None:
    async def go() -> None:
        front = ScriptedFront()
        runtime = await start_local(device=front)
        session = Session(runtime, front)
        serving = asyncio.ensure_future(session.run())
        front.inputs.put_nowait("1")
        await front.something_shown.wait()
        session.evaluator.interrupt()
        os.kill(os.getpid(), signal.SIGINT)
        front.inputs.put_nowait("2")
        front.inputs.put_nowait(None)
        await serving
        session.evaluator.closing = True
        await runtime.stop()
        assert front.shown == ["1\n", "2\n"]
        assert front.errors == []

    run(go())


def test_the_session_ends_with_its_node(run: Run) -> None:
    async def go() -> None:
        front = ScriptedFront()
        runtime = await start_local(device=front)
        serving = asyncio.ensure_future(serve_session(runtime, front))
        front.inputs.put_nowait("1")
        await front.something_shown.wait()
        await runtime.stop()
        async with asyncio.timeout(5):
            await serving

    run(go())


def test_sigterm_leaves_in_order(run: Run) -> None:
    async def go() -> None:
        front = ScriptedFront()
        runtime = await start_local(device=front)
        serving = asyncio.ensure_future(serve_session(runtime, front))
        front.inputs.put_nowait("1")
        await front.something_shown.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(5):
            await serving
        assert runtime.closed

    run(go())


def test_log_lines_are_shown() -> None:
    front = ScriptedFront()
    with logs_to(front):
        logging.getLogger("beamish.process").error("something %s", "broke")
        logging.getLogger("beamish.node").info("not this")
    assert front.errors == ["[error] something broke"]


def test_banner(run: Run) -> None:
    async def go() -> str:
        runtime = Runtime()
        text = banner(runtime, None)
        await runtime.stop()
        return text

    text = run(go())
    assert "Python 3." in text
    assert "exit() leaves" in text
    assert "start with --sname NAME" in text
