"""The version in pyproject.toml is the application's, unless its class has one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from beamish.project.manifest import Project, load_application, make_importable


@pytest.mark.parametrize(("line", "version"), [("", "1.2.3"), ("version = '9.9'", "9.9")])
def test_the_version_of_the_project_is_the_applications(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, version: str
) -> None:
    name = f"versioned_{version.replace('.', '_')}"
    (tmp_path / f"{name}.py").write_text(
        f"from beamish import Application\n\nclass App(Application):\n    name = '{name}'\n    {line or 'pass'}\n"
    )
    (tmp_path / "pyproject.toml").write_text(f"[project]\nname = '{name}'\n[tool.beamish]\napplication = '{name}:App'\n")
    monkeypatch.setattr(sys, "path", list(sys.path))
    project = Project(tmp_path, name, "1.2.3", f"{name}:App")
    make_importable(project)
    assert load_application(project).version == version  # type: ignore[attr-defined]
