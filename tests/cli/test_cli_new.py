"""`beamish new`: what it writes passes its own tests, the linter and the type checker; what it refuses, and how."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from project_commands import Folder

from beamish.cli import main
from beamish.cli.new import make
from beamish.project.configuration import read_configuration
from beamish.project.manifest import require_project


def test_the_new_project_passes_its_tests(tmp_path: Path) -> None:
    here = Folder(tmp_path)
    made = here.beamish("new", "my_app")
    assert (made.returncode, made.stderr) == (0, "")
    assert "cd my_app" in made.stdout
    tested = here.below("my_app").beamish("test")
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "3 passed" in tested.stdout
    assert "BEAMISH_ENV=test, strict_messages on" in tested.stdout


def test_plain_pytest_does_the_same(tmp_path: Path) -> None:
    make(tmp_path / "my-shop")
    folder = Folder(tmp_path).below("my-shop")
    tested = subprocess.run(
        [sys.executable, "-m", "pytest"], cwd=folder.root, env=folder.environ, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert "3 passed" in tested.stdout, tested.stdout + tested.stderr
    assert "strict_messages on" in tested.stdout


def test_linter_formatter_and_type_checker_have_nothing_to_say(tmp_path: Path) -> None:
    make(tmp_path / "order_desk")
    for command in ("ruff check .", "ruff format --check .", "mypy --strict --cache-dir /dev/null tests"):
        pytest.importorskip(command.partition(" ")[0])
        found = subprocess.run(
            [sys.executable, "-m", *command.split()], cwd=tmp_path / "order_desk", capture_output=True, text=True,
            timeout=100, check=False,
        )  # fmt: skip
        assert found.returncode == 0, found.stdout + found.stderr


def test_every_file_can_be_read(tmp_path: Path) -> None:
    written = make(tmp_path / "my-shop", package="counters")
    names = {str(path.relative_to(tmp_path / "my-shop")) for path in written}
    assert {"pyproject.toml", "README.md", ".gitignore", ".python-version", "counters/application.py"} <= names
    left = [mark for path in written for mark in re.findall(r"@\w+@?", path.read_text())]
    assert set(left) <= {"@virtual", "@call", "@cast", "@HOST"}
    project = require_project(tmp_path / "my-shop")
    assert (project.name, project.application) == ("my-shop", "counters.application:Counters")
    for environment in ("dev", "test", "prod"):
        assert read_configuration(project, environment).exports == ["counters.*"]
    assert tomllib.loads((tmp_path / "my-shop" / "pyproject.toml").read_text())["project"]["requires-python"] == ">=3.11"
    assert ".env" in (tmp_path / "my-shop" / ".gitignore").read_text().splitlines()


def test_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / ".git").mkdir()
    monkeypatch.chdir(tmp_path / "shop")
    assert main(["new", "."]) == 0
    assert "cd " not in capsys.readouterr().out
    assert (tmp_path / "shop" / "shop" / "application.py").is_file()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "takes the path of the new project"),
        (["a", "b"], "takes the path of the new project"),
        (["MyApp"], "how about my_app?"),
        (["email"], "call it my_email"),
        (["shop", "--module", "class"], "call it my_class"),
        (["shop", "--web"], "this version makes no web endpoint yet"),
        (["full"], "is not empty: it holds a, b, c and 1 more"),
        (["file"], "exists and is no folder"),
        (["shop", "--modul", "x"], "did you mean --module?"),
    ],
)
def test_what_is_refused(
    arguments: list[str], problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in "abcd":
        (tmp_path / "full" / name).mkdir(parents=True)
    (tmp_path / "file").write_text("")
    assert main(["new", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("beamish: ")
    assert problem in captured.err
    assert not (tmp_path / "shop").exists()
