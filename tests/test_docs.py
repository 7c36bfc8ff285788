"""Every block of the documentation does what it says: Python, Elixir, shell, transcripts. See `doc_pages`."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from beam import COOKIE, HAVE_ELIXIR, ElixirNode, RealEpmd, free_port
from beamish import atom
from doc_pages import Page, Piece, read_page
from doc_runner import HERE, PYTHON, differs, inputs, normal

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
PAGES = {path.stem: read_page(path) for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]}
MOST_NOT_RUN = 5
"""Blocks of one page that may be illustrations only."""


def some(*kinds: str, beside: bool | None = None) -> list[Any]:
    """The pages that have such pieces, as parameters."""
    return [
        pytest.param(page, id=name)
        for name, page in PAGES.items()
        if page.of(*kinds) and (beside is None or bool(page.beside) == beside)
    ]


def python(*args: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    """Run an interpreter that finds what tests find."""
    path = os.pathsep.join([str(ROOT / "src"), str(TESTS)])
    return subprocess.run(
        [sys.executable, *args], capture_output=True, text=True, timeout=100, check=False, cwd=cwd,
        env={**os.environ, "PYTHONPATH": path, **env},
    )  # fmt: skip


@pytest.mark.parametrize("page", [pytest.param(page, id=name) for name, page in PAGES.items()])
def test_every_block_is_run_or_says_why_not(page: Page) -> None:
    assert page.wrong == []
    assert len(page.reasons) <= MOST_NOT_RUN, f"too much is not run: {page.reasons}"


@pytest.mark.parametrize("page", some("python", "console", "row", beside=False))
def test_python(page: Page, tmp_path: Path) -> None:
    done = python("-W", "error", str(TESTS / "doc_runner.py"), str(page.path), cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "piece",
    [
        pytest.param(piece, id=f"{name}-{piece.line}")
        for name, page in PAGES.items()
        for piece in page.of("program")
    ],
)
def test_programs(piece: Piece, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(piece.code)
    done = python("-W", "error", "program.py", cwd=tmp_path)
    if piece.raises:
        assert done.returncode != 0
        assert piece.raises in done.stderr
    else:
        assert done.returncode == 0, done.stderr
    if piece.output is not None:
        assert differs(piece.output, done.stdout) == ""


@pytest.mark.parametrize("page", some("pytest"))
def test_pytest_blocks(page: Page, tmp_path: Path) -> None:
    for piece in page.of("pytest"):
        (tmp_path / f"test_line_{piece.line}.py").write_text(piece.code)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    done = python("-m", "pytest", "-v", "-p", "no:cacheprovider", "-W", "error", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    for piece in page.of("pytest"):
        assert f"test_line_{piece.line}.py::" in done.stdout, "a block without a test"


# ---- shell commands

MARK = "@@ block"


def only_make(code: str) -> bool:
    """Whether a block has nothing but calls of make, which scripts/check_docs.py looks up, and comments."""
    return all(re.match(r"make |#|$", line) for line in code.splitlines())


def shell_pages() -> list[Any]:
    """The pages with shell blocks that are more than calls of make."""
    return [param for param in some("sh") if any(not only_make(piece.code) for piece in param.values[0].of("sh"))]


@pytest.mark.parametrize("page", shell_pages())
def test_shell_blocks(page: Page, tmp_path: Path) -> None:
    pieces = [piece for piece in page.of("sh") if not only_make(piece.code)]
    script = "set -eu\n" + "".join(f"echo '{MARK}'\n{piece.code}" for piece in pieces)
    env = {
        **os.environ,
        "HOME": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "ERL_EPMD_PORT": str(free_port()),
        "PYTHONPATH": str(ROOT / "src"),
    }
    done = subprocess.run(
        ["bash", "-c", script.replace(".venv/bin/", "")], capture_output=True, text=True, timeout=100, check=False,
        cwd=tmp_path, env=env, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    parts = done.stdout.split(f"{MARK}\n")[1:]
    last = pieces[len(parts) - 1]
    assert done.returncode == 0, f"{page.path.name}:{last.line}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
    for piece, printed in zip(pieces, parts, strict=True):
        if piece.output is not None:
            assert differs(piece.output, printed) == "", f"{page.path.name}:{piece.line}"



# ---- Elixir

RUNNER = """
defmodule BeamishDocs do
  # One process for each page, which keeps the page's variables.
  def start() do
    parent = self()
    worker = spawn(fn ->
      {:ok, io} = StringIO.open("")
      Process.group_leader(self(), io)
      send(parent, :ready)
      serve(io, [], Code.env_for_eval([]))
    end)
    receive do :ready -> :persistent_term.put(__MODULE__, worker) end
  end

  def stop() do
    Process.exit(:persistent_term.get(__MODULE__), :shutdown)
  end

  def eval(code) do
    worker = :persistent_term.get(__MODULE__)
    ref = Process.monitor(worker)
    send(worker, {__MODULE__, self(), Base.decode64!(code)})
    receive do
      {__MODULE__, result} -> result
      {:DOWN, ^ref, _, _, reason} -> {:error, Exception.format_exit(reason), nil, ""}
    after
      15_000 -> {:error, "it waits: " <> inspect(Process.info(worker, [:current_stacktrace, :messages])), nil, ""}
    end
  end

  defp serve(io, binding, env) do
    {from, code} = receive do {__MODULE__, from, code} -> {from, code} end
    {value, binding, env} = Code.string_to_quoted!(code) |> Code.eval_quoted_with_env(binding, env)
    send(from, {__MODULE__, {:ok, inspect(value), keep(value), StringIO.flush(io)}})
    serve(io, binding, env)
  end

  defp keep(value) when is_function(value), do: nil
  defp keep(value), do: value
end
Code.compiler_options(ignore_module_conflict: true)
"""


@pytest.fixture(scope="module")
def elixir() -> Iterator[ElixirNode]:
    """A node of its own for the lines of the documentation, with a second one beside it."""
    if not HAVE_ELIXIR:
        pytest.skip("Elixir is not installed")
    with RealEpmd() as epmd, ElixirNode("barry@localhost", epmd=epmd) as node:
        node.eval(RUNNER + "nil")
        yield node


@pytest.mark.interop
@pytest.mark.parametrize("page", some("elixir", "row", beside=False))
def test_elixir(page: Page, elixir: ElixirNode) -> None:
    for peer in page.nodes[1:]:
        name = peer.partition("@")[0]
        elixir.eval(f"{{:ok, _, _}} = :peer.start(%{{name: :{name}, host: 'localhost', args: ['-setcookie', '{COOKIE}']}})\nnil")
    elixir.eval("BeamishDocs.start()")
    try:
        for piece in page.of("elixir", "row", "console"):
            wrong = run_elixir(page, piece, elixir)
            assert not wrong, wrong
    finally:
        elixir.eval("BeamishDocs.stop()")
        for peer in page.nodes[1:]:
            elixir.eval(f":erpc.cast(:'{peer.replace(HERE, 'localhost')}', :erlang, :halt, [])")


def run_elixir(page: Page, piece: Piece, node: ElixirNode) -> str:
    """Run the Elixir of one piece; gives what is wrong."""
    codes: list[tuple[str, str | None]] = [(piece.elixir or piece.code, None)]
    if piece.kind == "console":
        codes = list(inputs(piece.code, "iex"))
    for code, expected in codes:
        where = f"{page.path.name}:{piece.line}: {code}\n"
        sent = base64.b64encode(code.replace(HERE, "localhost").encode()).decode()
        outcome, text, value, printed = node.eval(f'BeamishDocs.eval("{sent}")', spawn=True)
        if outcome is atom.error:
            return where + text.decode()
        if expected is not None:
            shown = printed.decode() + text.decode() + "\n"
            difference = differs(expected.replace(HERE, "localhost") + "\n", shown)
        elif piece.output is not None:
            difference = differs(piece.output, printed.decode())
        else:
            same = not piece.given or normal(value) == normal(given(piece.given.replace(HERE, "localhost")))
            difference = "" if same else f"gives {text.decode()} instead of {piece.given}"
        if difference:
            return where + difference
    return ""


def given(text: str) -> Any:
    """The value of the column `gives`."""
    return eval(text, {"atom": atom})


@pytest.mark.interop
@pytest.mark.parametrize("page", some("python", "console", "elixir", beside=True))
def test_pages_with_a_real_node_beside(page: Page, tmp_path: Path) -> None:
    """The page's Python runs on a beamish node and its Elixir on an Elixir node, in the order of the page."""
    if not HAVE_ELIXIR:
        pytest.skip("Elixir is not installed")
    name = page.beside.replace(HERE, "localhost")
    with RealEpmd() as epmd, ElixirNode(name, epmd=epmd) as node:
        node.eval(RUNNER + "BeamishDocs.start()")
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(TESTS)])}
        command = [sys.executable, str(TESTS / "doc_runner.py"), str(page.path), str(epmd.port), COOKIE]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env,
                              cwd=tmp_path) as child:  # fmt: skip
            assert child.stdin is not None
            assert child.stdout is not None
            wrong = ""
            for number, piece in enumerate(page.pieces):
                if piece.kind in PYTHON:
                    child.stdin.write(f"{number}\n")
                    child.stdin.flush()
                    wrong = json.loads(child.stdout.readline() or '"it has ended"')
                if piece.kind in ("elixir", "console") and not wrong:
                    wrong = run_elixir(page, piece, node)
                if wrong:
                    break
            child.stdin.close()
            child.stdin = None
            _, errors = child.communicate(timeout=60)
        assert not wrong, f"{wrong}\n{errors}"
        assert child.returncode == 0, errors


# ---- the reading of pages itself

SAMPLE = """
# A page

<!-- page: cluster barry@frankel robin@frankel -->
<!-- setup: python
x = 1
-->

```python
print(x)
```

prints

```text
1
```

<!-- not run: a sketch -->
```python
no python at all
```

<!-- raises: ValueError -->
```python
raise ValueError
```

<!-- run -->
```python
print("program")
```

| Elixir | beamish | gives |
|---|---|---|
| `1 + 1` | `1 + 1` | `2` |
| `a \\|> f` | `f(a)`, `g(a)` | |

| other | table |
|---|---|
| `1` | `2` |

```console
beamish(barry@frankel)1> 1 + \\
1
iex(barry@frankel)1> f.(1)
2
```
"""


def test_pages_are_read() -> None:
    page = read_page(Path("page.md"), SAMPLE)
    assert page.wrong == []
    assert page.nodes == ["barry@frankel", "robin@frankel"]
    assert list(page.reasons.values()) == ["a sketch"]
    assert [(piece.kind, piece.code, piece.output, piece.raises) for piece in page.pieces[:4]] == [
        ("python", "x = 1", None, ""),
        ("python", "print(x)\n", "1\n", ""),
        ("python", "raise ValueError\n", None, "ValueError"),
        ("program", 'print("program")\n', None, ""),
    ]
    rows = page.of("row")
    assert [(row.elixir, row.code, row.given) for row in rows] == [("1 + 1", "1 + 1", "2"), ("a |> f", "f(a)\ng(a)", "")]
    (console,) = page.of("console")
    assert inputs(console.code, "iex") == [("f.(1)", "2")]


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("<!-- not run -->\n```python\n1\n```\n", "not run, but why?"),
        ("```ruby\n1\n```\n", "nothing runs blocks of ruby"),
        ("<!-- page: alone -->\n", "a page is `cluster` or `beside`"),
        ("<!-- hidden: x -->\n", "what is <!-- hidden -->?"),
        ("<!-- setup: ruby\n1\n-->\n", "setup in python or elixir"),
    ],
)
def test_what_a_page_says_wrongly_is_found(text: str, finding: str) -> None:
    (wrong,) = read_page(Path("page.md"), text).wrong
    assert finding in wrong


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("```python\nprint(1)\n```\n\n```text\n2\n```\n", "page.md:2: prints\n1\ninstead of\n2"),
        ("```python\n1 / 0\n```\n", "ZeroDivisionError"),
        ("<!-- raises: KeyError -->\n```python\n1 / 0\n```\n", "ZeroDivisionError"),
        ("<!-- raises: KeyError -->\n```python\n1\n```\n", "raises nothing, instead of KeyError"),
        ("| Elixir | beamish | gives |\n|---|---|---|\n| `1` | `2` | `3` |\n", "gives 2 instead of 3"),
        ("```python\n(1 +\n 1)  # => 3\n2\n```\n", "page.md:3: gives 2 instead of 3"),
        ("```console\nbeamish> 1 + 1\n3\n```\n", "prints\n2\ninstead of\n3"),
    ],
)
def test_what_a_page_promises_wrongly_is_found(text: str, finding: str, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(text)
    done = python(str(TESTS / "doc_runner.py"), "page.md", cwd=tmp_path)
    assert done.returncode == 1
    assert finding in done.stderr
