"""The files of a new project. Pure: names in, texts out.

Every file is one that a real project would keep: nothing in it has to be deleted before work begins.
"""

from __future__ import annotations

from typing import Final

from beamish.project.names import class_name

PYPROJECT: Final = """\
[project]
name = "@project@"
version = "0.1.0"
description = "An application on beamish."
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["beamish"]

[dependency-groups]
dev = ["beamish[reload,shell]", "pytest>=8"]

[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[tool.setuptools.packages.find]
include = ["@package@*"]

[tool.beamish]
application = "@package@.application:@class@"

[tool.pytest.ini_options]
testpaths = ["tests"]
addopts = "-p beamish.project.pytest_plugin"
"""

INIT: Final = '''\
"""@class@."""
'''

APPLICATION: Final = '''\
"""What runs when `beamish run` runs this project."""

from __future__ import annotations

from typing import Any

from beamish import Application, Supervisor

from @package@.counter import Counter


class @class@(Application):
    """The application. Its environment is the table [@package@] in config/."""

    name = "@package@"

    async def start(self, start_type: str, args: Any) -> Any:
        """Start the tree of processes and give its top."""
        lifetime = Application.get_env("@package@", "lifetime", 60.0)
        children = [
            Counter.child_spec(lifetime, name="counter"),
        ]
        return await Supervisor.start_link(
            children,
            strategy="one_for_one",
            name="@package@_supervisor",
        )
'''

COUNTER: Final = '''\
"""Counts words, and forgets them after a while."""

from __future__ import annotations

from typing import Any

from beamish import GenServer, atom, call, cast, send_after


class Counter(GenServer):
    """A server that holds how often each word was counted lately.

    Elixir calls it with GenServer.call({:counter, node}, {:count, "word"}).
    """

    def init(self, lifetime: float) -> None:
        """lifetime: seconds after which a word that was counted is forgotten again."""
        self.lifetime = lifetime
        self.counts: dict[str, int] = {}

    @call
    def count(self, word: str) -> int:
        """Count a word once; gives how often it was counted lately."""
        self.counts[word] = self.counts.get(word, 0) + 1
        send_after(self.lifetime, self.pid, (atom.forget, word))
        return self.counts[word]

    @call
    def lately(self, word: str) -> int:
        """How often a word was counted lately."""
        return self.counts.get(word, 0)

    @cast
    def reset(self) -> None:
        """Forget everything."""
        self.counts.clear()

    def handle_info(self, message: Any) -> None:
        """The time of a word is over."""
        match message:
            case (atom.forget, word):
                self.counts[word] = max(0, self.counts.get(word, 0) - 1)
'''

TEST: Final = '''\
"""The counter, on a virtual clock: a minute passes at once."""

from __future__ import annotations

import asyncio

from beamish.testing import start_supervised, virtual

from @package@.counter import Counter


@virtual
async def test_words_are_counted() -> None:
    counter = await start_supervised((Counter, 60.0))
    assert await counter.count("hello") == 1
    assert await counter.count("hello") == 2
    assert await counter.lately("goodbye") == 0


@virtual
async def test_words_are_forgotten_after_a_minute() -> None:
    counter = await start_supervised((Counter, 60.0))
    await counter.count("hello")
    await asyncio.sleep(59)
    assert await counter.lately("hello") == 1
    await asyncio.sleep(2)
    assert await counter.lately("hello") == 0


@virtual
async def test_reset() -> None:
    counter = await start_supervised((Counter, 60.0))
    await counter.count("hello")
    counter.reset()
    assert await counter.lately("hello") == 0
'''

CONFIG: Final = """\
# For every environment. The file of the environment comes on top of it: dev.toml, test.toml or prod.toml,
# as BEAMISH_ENV says (dev if it is not set).

[@package@]
lifetime = 60.0

[node]
exports = ["@package@.*"]
"""

DEV: Final = """\
[logger]
level = "debug"
"""

TEST_CONFIG: Final = """\
[logger]
level = "warning"
"""

PROD: Final = """\
[logger]
level = "info"

[node]
sname = "@package@"
"""

README: Final = """\
# @class@

    uv sync                     # or: pip install -e . --group dev
    beamish test
    beamish run                 # Ctrl-C stops it
    beamish run --reload        # takes in what you save
    beamish shell --app         # a shell on a node that runs it
    beamish check               # would it run in production?

In the shell: `from @package@.counter import Counter`, then `Counter.at("counter").count("hello")`.

As a node that others see: `beamish run --sname @package@`. An Elixir node that has the same cookie can then call

    GenServer.call({:counter, :"@package@@HOST"}, {:count, "hello"})

| where | what |
|---|---|
| `@package@/application.py` | the application and its tree of processes |
| `@package@/counter.py` | a server |
| `config/` | settings: `config.toml`, and `dev.toml`, `test.toml` or `prod.toml` over it (`BEAMISH_ENV`) |
| `tests/` | tests, on a virtual clock |
"""

GITIGNORE: Final = """\
__pycache__/
*.egg-info/
/.venv/
/build/
/dist/
/.pytest_cache/
/.mypy_cache/
/.ruff_cache/
.coverage

# Secrets are never committed.
.env
.erlang.cookie
/config/*.secret.toml
*.pem
*.key
"""

PYTHON_VERSION: Final = "3.11\n"

_FILES: Final = {
    "pyproject.toml": PYPROJECT,
    "README.md": README,
    ".gitignore": GITIGNORE,
    ".python-version": PYTHON_VERSION,
    "@package@/__init__.py": INIT,
    "@package@/application.py": APPLICATION,
    "@package@/counter.py": COUNTER,
    "@package@/py.typed": "",
    "config/config.toml": CONFIG,
    "config/dev.toml": DEV,
    "config/test.toml": TEST_CONFIG,
    "config/prod.toml": PROD,
    "tests/test_counter.py": TEST,
}


def project_files(project: str, package: str) -> dict[str, str]:
    """The files of a project: path below its folder to text."""
    words = {"@project@": project, "@package@": package, "@class@": class_name(package)}
    return {_filled(path, words): _filled(text, words) for path, text in _FILES.items()}


def _filled(text: str, words: dict[str, str]) -> str:
    for mark, word in words.items():
        text = text.replace(mark, word)
    return text
