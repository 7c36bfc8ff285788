"""Saved code in a running node: what servers keep, what is told, and what a broken edit does."""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
import textwrap
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from beamish.gen_server import sys_client
from beamish.node.runtime import Runtime
from beamish.process import whereis
from beamish.project.reload.watching import Reloading
from beamish.supervisor import Supervisor
from beamish.term import atom
from beamish.testing import run_on

SERVER = """
    from beamish.gen_server import GenServer, call, cast
    from shelf.prices import price

    class Till(GenServer):
        vsn = 1

        def init(self):
            self.total = 0
            self.changes = []

        @call
        def add(self, what: str) -> int:
            self.total += price(what)
            return self.total

        @call
        def seen(self) -> list:
            return self.changes

        def code_change(self, old_version, extra):
            self.changes.append((old_version, extra))
    """
PRICES = """
    BASE = 1
    TABLE = {"tea": 3 * BASE}
    def price(what):
        return TABLE.get(what, 0)
    """


class Shelf:
    """A project's package in a folder, edited under a running node."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.package = root / "shelf"
        self.package.mkdir()
        self.write("__init__", "")
        self.write("prices", PRICES)
        self.write("till", SERVER)
        self.reloading = Reloading(root)
        self.runtime: Any = None

    def write(self, name: str, text: str) -> str:
        path = self.package / f"{name}.py"
        path.write_text(textwrap.dedent(text))
        return str(path)

    def replace(self, name: str, *changes: tuple[str, str]) -> str:
        path = self.package / f"{name}.py"
        text = path.read_text()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path.write_text(text)
        return str(path)

    def module(self, name: str) -> Any:
        return importlib.import_module(f"shelf.{name}")

    async def save(self, *paths: str) -> None:
        """What happens when these files were saved. The reload is no process, so it runs as a task."""
        await asyncio.ensure_future(self.reloading.take_in(self.runtime, paths))


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield Shelf(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "shelf"]:
        del sys.modules[name]


@pytest.fixture
def play(shelf: Shelf) -> Callable[[Callable[[], Awaitable[None]]], None]:
    def run(story: Callable[[], Awaitable[None]]) -> None:
        async def told() -> None:
            from beamish.node.runtime import current_runtime

            shelf.runtime = current_runtime()
            await story()

        run_on(asyncio.new_event_loop, told, limit=30)

    return run


def test_state_survives(shelf: Shelf, play: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def story() -> None:
        till = await shelf.module("till").Till.start(name="till")
        assert await till.add("tea") == 3
        pid = till.pid
        await shelf.save(shelf.replace("till", ("vsn = 1", "vsn = 2"), ("self.total += ", "self.total += 100 + ")))
        assert await till.add("tea") == 106
        assert till.pid == pid
        assert await till.seen() == [(1, atom.reload)]
        await shelf.save(shelf.replace("till", ("vsn = 2", "vsn = 3")))
        assert [old for old, _ in await till.seen()] == [1, 2]

    play(story)
    assert "reloaded shelf.till: Till" in caplog.text
    assert "1 server of Till changed over" in caplog.text


def test_methods_come_and_go(shelf: Shelf, play: Any) -> None:
    async def story() -> None:
        till = await shelf.module("till").Till.start()
        await till.add("tea")
        await shelf.save(shelf.replace("till", (
            "    @call\n    def seen(self)",
            "    @call\n    def total_now(self, times: int = 1) -> int:\n        return self.total * times\n\n"
            "    @call\n    def notes(self)",
        )))  # fmt: skip
        assert await till.total_now(2) == 6  # a handle that was made before
        assert await shelf.module("till").Till.at(till.pid).total_now() == 3
        assert not hasattr(till, "seen")
        assert len(await till.notes()) == 1

    play(story)


def test_a_subclass_in_another_module_changes_over_with_its_base(shelf: Shelf, play: Any) -> None:
    shelf.write("big", "from shelf.till import Till\nclass BigTill(Till):\n    vsn = 'big'\n")
    shelf.reloading = Reloading(shelf.root)

    async def story() -> None:
        till = await shelf.module("big").BigTill.start()
        edit = ("return self.changes", "return [len(self.changes)]"), ("self.total += ", "self.total -= ")
        await shelf.save(shelf.replace("till", *edit))
        assert await till.add("tea") == -3
        assert await till.seen() == [1]

    play(story)


def test_a_dependency_between_two_changed_modules(shelf: Shelf, play: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        till = await shelf.module("till").Till.start()
        prices = shelf.write("prices", "BASE = 2\nTABLE = {'tea': 3 * BASE}\ndef cost(what):\n    return TABLE[what]\n")
        await shelf.save(prices)  # till still imports `price`
        assert await till.add("tea") == 3
        assert "cannot import name 'price'" in caplog.text
        assert shelf.module("prices").BASE == 1
        await shelf.save(shelf.replace("till", ("prices import price", "prices import cost"), ("price(what)", "cost(what)")))
        assert await till.add("tea") == 9  # both at once: the file that was held back is taken in, too
        assert not hasattr(shelf.module("prices"), "price")

    play(story)


def test_an_importer_computes_anew_what_it_computed_from_changed_data(shelf: Shelf, play: Any) -> None:
    shelf.write("offers", "from shelf.prices import TABLE\nHALF = {k: v / 2 for k, v in TABLE.items()}\nCACHE = []\n")
    shelf.reloading = Reloading(shelf.root)

    async def story() -> None:
        offers = shelf.module("offers")
        offers.CACHE.append("kept")
        await shelf.save(shelf.replace("prices", ("BASE = 1", "BASE = 4")))
        assert offers.HALF == {"tea": 6.0}
        assert offers.CACHE == ["kept"]

    play(story)


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (("def add(self, what: str) -> int:", "def add(self, what: str) -> int"), "till.py:13: SyntaxError: expected ':'"),
        (("vsn = 1", "vsn = 1 / 0"), "ZeroDivisionError: division by zero"),
        (("from shelf.prices import price", "import nowhere"), "till.py:3: ModuleNotFoundError: No module named 'nowhere'"),
        (("vsn = 1", "vsn = 1\x00"), "null bytes"),
    ],
)
def test_a_broken_edit_says_so_and_the_old_code_goes_on(
    shelf: Shelf, play: Any, caplog: pytest.LogCaptureFixture, edit: tuple[str, str], told: str
) -> None:
    async def story() -> None:
        till = await shelf.module("till").Till.start()
        await shelf.save(shelf.replace("till", edit, ("self.total += ", "self.total += 1000 + ")))
        assert await till.add("tea") == 3
        assert await till.seen() == []
        await shelf.save(shelf.replace("till", (edit[1], edit[0])))
        assert await till.add("tea") == 1006

    play(story)
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.getMessage().startswith("not reloaded, the old code goes on: ")
    assert told in record.getMessage()


def test_a_server_that_cannot_change_over_is_started_anew(shelf: Shelf, play: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        await Supervisor.start_link([shelf.module("till").Till.child_spec(name="till")], strategy="one_for_one")
        till = shelf.module("till").Till.at("till")
        await till.add("tea")
        before = till.pid
        await shelf.save(shelf.replace("till", ("self.changes.append((old_version, extra))", "raise ValueError('no way')")))
        async with asyncio.timeout(5):
            while whereis("till") in (None, before):
                await asyncio.sleep(0.01)
        assert await till.add("tea") == 3

    play(story)
    assert "till (Till): code_change failed; its supervisor starts it anew" in caplog.text
    assert "ValueError: no way" in caplog.text


def test_a_busy_server_changes_over_when_it_is_done(
    shelf: Shelf, play: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from beamish.project.reload import servers

    monkeypatch.setattr(servers, "SUSPEND_TIMEOUT", 0.05)
    shelf.replace("till", (
        "    @call\n    def seen",
        "    @call\n    async def wait(self, gate: object) -> int:\n        await self.gate.wait()\n        return 1\n\n"
        "    @call\n    def seen"))  # fmt: skip
    shelf.reloading = Reloading(shelf.root)

    async def story() -> None:
        cls = shelf.module("till").Till
        till = await cls.start()
        gate = cls.gate = asyncio.Event()
        waiting = shelf.runtime.spawn(till.wait, 1)
        await asyncio.sleep(0.01)
        await shelf.save(shelf.replace("till", ("self.total += ", "self.total += 100 + ")))
        gate.set()
        assert await till.add("tea") == 103
        assert [old for old, _ in await till.seen()] == [1]
        assert (await sys_client.get_status(till.pid)).state == "running"
        assert shelf.runtime.process_of(waiting) is None

    play(story)
    assert "is busy: it changes over when it is done" in caplog.text


def test_a_state_machine_changes_over(shelf: Shelf, play: Any) -> None:
    shelf.write("door", """
        from beamish.gen_state_machine import GenStateMachine, Next, on

        class Door(GenStateMachine):
            initial = "locked"

            def init(self):
                self.turned = 0

            @on.call
            def turn(self) -> int:
                self.turned += 1
                return self.turned

            @on.cast(state="locked")
            def unlock(self):
                return Next("open")

            def code_change(self, old_version, old_state, extra):
                self.turned += 1000
        """)
    shelf.reloading = Reloading(shelf.root)

    async def story() -> None:
        door = await shelf.module("door").Door.start()
        assert await door.turn() == 1
        door.unlock()
        await shelf.save(shelf.replace("door", ("self.turned += 1\n", "self.turned += 10\n"), (
            "    def code_change",
            "    @on.call\n    def where(self) -> str:\n        return str(self.state)\n\n    def code_change")))  # fmt: skip
        assert await door.turn() == 1011
        assert await door.where() == "open"

    play(story)


def test_a_changed_tree_is_told(shelf: Shelf, play: Any, caplog: pytest.LogCaptureFixture) -> None:
    shelf.write("tree", "from beamish.application import Application\nclass ShelfApp(Application):\n    name = 'shelf'\n")
    shelf.reloading = Reloading(shelf.root)

    async def story() -> None:
        shelf.module("tree")
        await shelf.save(shelf.replace("tree", ("name = 'shelf'", "name = 'shelf'\n    async def start(self, kind, args): ...")))

    play(story)
    assert "ShelfApp changed: its tree stays as it was started; restart the node to run the new one" in caplog.text


def test_new_gone_and_untouched_files(shelf: Shelf, play: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def story() -> None:
        shelf.module("till")
        await shelf.save(shelf.write("fresh", "x = 1\n"))
        await shelf.save(str(shelf.package / "till.py"))
        (shelf.package / "prices.py").unlink()
        await shelf.save(str(shelf.package / "prices.py"))

    play(story)
    messages = [record.getMessage() for record in caplog.records if record.name == "beamish.reload"]
    assert [message.rpartition("/")[2] for message in messages] == [
        "fresh.py is not imported yet", "prices.py was removed; its module stays until the node is restarted",
    ]  # fmt: skip


def test_saved_files_are_noticed(shelf: Shelf, play: Any) -> None:
    async def story() -> None:
        till = await shelf.module("till").Till.start()
        shelf.reloading.start(shelf.runtime)
        await asyncio.sleep(0.3)  # the watcher has its own thread and does not say when it is ready
        shelf.replace("till", ("self.total += ", "self.total += 100 + "))
        async with asyncio.timeout(10):
            while not await till.seen():
                await asyncio.sleep(0.02)
        assert await till.add("tea") == 103
        await asyncio.ensure_future(shelf.reloading.stop())

    play(story)


def test_files_in_a_new_folder_are_noticed(shelf: Shelf, play: Any) -> None:
    async def story() -> None:
        till = await shelf.module("till").Till.start()
        shelf.reloading.start(shelf.runtime)
        await asyncio.sleep(0.3)
        (shelf.package / "deep").mkdir()
        (shelf.root / ".venv").mkdir()
        (shelf.package / "deep" / "__init__.py").write_text("")
        (shelf.package / "deep" / "far.py").write_text("x = 1\n")
        far = shelf.module("deep.far")
        async with asyncio.timeout(10):
            while far.x == 1:
                await asyncio.sleep(0.3)
                (shelf.package / "deep" / "far.py").write_text("x = 2\n# " + "." * len(shelf.reloading.code.sources.texts) + "\n")
        shelf.replace("till", ("self.total += ", "self.total += 100 + "))
        async with asyncio.timeout(10):
            while not await till.seen():
                await asyncio.sleep(0.02)
        await asyncio.ensure_future(shelf.reloading.stop())

    play(story)


def test_configuration_is_read_again(
    shelf: Shelf, play: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("BEAMISH_ENV", raising=False)
    (shelf.root / "pyproject.toml").write_text('[tool.beamish]\napplication = "shelf.tree:Shelf"\n')
    (shelf.root / "config").mkdir()

    async def story() -> None:
        from beamish.application import Application

        path = shelf.root / "config" / "dev.toml"
        path.write_text("[shelf]\nboards = 3\n")
        await shelf.save(str(path))
        assert Application.get_env("shelf", "boards") == 3
        path.write_text("[shelf\n")
        await shelf.save(str(path))
        assert Application.get_env("shelf", "boards") == 3

    play(story)
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "dev.toml" in record.getMessage()


def test_changed_functions_are_called_with_their_new_arity_by_peers(shelf: Shelf, play: Any) -> None:
    async def story() -> None:
        from beamish.rpc import start_services

        runtime: Runtime = shelf.runtime
        exports = await start_services(runtime)
        shelf.module("prices")
        assert exports.resolve("shelf.prices", "price", 1)("tea") == 3
        await shelf.save(shelf.replace("prices", ("def price(what):\n    return TABLE.get(what, 0)", "def price():\n    return 7")))
        assert exports.resolve("shelf.prices", "price", 0)() == 7

    play(story)
