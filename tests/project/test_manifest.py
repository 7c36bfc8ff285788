"""Finding a project, reading its pyproject.toml, importing its application; and what is said when that fails."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from beamish.project.errors import BrokenCode, NoProject, ProjectError
from beamish.project.manifest import find_project, load_application, make_importable, require_project

APPLICATION = "from beamish.application import Application\nclass Shop(Application):\n    name = 'shop_x'\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.chdir(tmp_path)
    write(tmp_path, '[project]\nname = "shop-x"\nversion = "1.2"\n\n[tool.beamish]\napplication = "shop_x.application:Shop"\n')
    (tmp_path / "shop_x").mkdir()
    (tmp_path / "shop_x" / "__init__.py").write_text("")
    (tmp_path / "shop_x" / "application.py").write_text(APPLICATION)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "shop_x"]:
        del sys.modules[name]


def write(root: Path, text: str) -> None:
    (root / "pyproject.toml").write_text(text)


def test_it_is_found_from_below(root: Path) -> None:
    below = root / "shop_x" / "deep"
    below.mkdir()
    project = find_project(below)
    assert project is not None
    assert (project.root, project.name, project.version, project.package) == (root, "shop-x", "1.2", "shop_x")


def test_a_pyproject_of_something_else_is_passed_by(root: Path) -> None:
    inner = root / "inner"
    inner.mkdir()
    write(inner, '[project]\nname = "inner"\n')
    found = find_project(inner)
    assert found is not None
    assert found.root == root
    write(root, "[project]\nname = 'x'\n")
    assert find_project(inner) is None
    with pytest.raises(NoProject, match="`beamish new my_app` makes a project"):
        require_project(inner)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[tool.beamish]\n", "lacks the application"),
        ('[tool.beamish]\napplication = "shop_x.app"\n', 'pyproject.toml:2: the application is written "package.module:Class"'),
        ('[tool.beamish]\n# here\naplication = "a:B"\n', "pyproject.toml:3: unknown key aplication in [tool.beamish]; did you "),
        ("[tool]\nbeamish = 3\n", "is a table"),
        ("[tool.beamish\n", "pyproject.toml: "),
    ],
)
def test_what_is_wrong_is_said_with_its_line(root: Path, text: str, problem: str) -> None:
    write(root, text)
    with pytest.raises(ProjectError) as caught:
        find_project(root)
    assert problem in str(caught.value)


def test_the_application_is_imported(root: Path) -> None:
    project = require_project(root)
    make_importable(project)
    make_importable(project)
    assert sys.path.count(str(root)) == 1
    assert load_application(project).application_name() == "shop_x"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("class Shop: ...\n", "shop_x.application:Shop is not a subclass of beamish.Application"),
        (APPLICATION.replace("Shop", "Shopp"), "shop_x.application:Shop does not exist; shop_x.application has Shopp"),
        (None, "there is no module shop_x.application; looked in "),
    ],
)
def test_an_application_that_is_not_there(root: Path, source: str | None, problem: str) -> None:
    path = root / "shop_x" / "application.py"
    path.unlink()
    if source is not None:
        path.write_text(source)
    project = require_project(root)
    make_importable(project)
    with pytest.raises(ProjectError) as caught:
        load_application(project)
    assert "pyproject.toml:6: " in str(caught.value)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("import json\nx = json.loads('{')\n", ['  File "shop_x/application.py", line 2, in <module>', "JSONDecodeError"]),
        ("import nothing_like_this\n", ["No module named 'nothing_like_this'"]),
        ("raise SystemExit(3)\n", ["SystemExit: 3"]),
        ("def f(:\n", ['File "shop_x/application.py", line 1', "SyntaxError"]),
    ],
)
def test_code_that_cannot_be_imported_is_shown_short(root: Path, source: str, lines: list[str]) -> None:
    (root / "shop_x" / "application.py").write_text(source)
    project = require_project(root)
    make_importable(project)
    with pytest.raises(BrokenCode) as caught:
        load_application(project)
    text = str(caught.value)
    assert text.startswith("shop_x.application cannot be imported\n")
    assert all(line in text for line in lines)
    assert "importlib" not in text
    assert "manifest.py" not in text
