"""The configuration of a project: files over files, and errors with line and proposal."""

from __future__ import annotations

from pathlib import Path

import pytest

from beamish.project.configuration import environment_name, read_configuration
from beamish.project.errors import ProjectError
from beamish.project.manifest import Project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    return Project(tmp_path, "shop", "1.0", "shop.application:Shop")


def write(project: Project, name: str, text: str) -> None:
    (project.root / "config" / f"{name}.toml").write_text(text)


def test_the_environments_file_is_laid_over_the_other(project: Project) -> None:
    write(project, "config", '[shop]\na = 1\nb = {x = 1, y = 2}\n[node]\nexports = ["shop.*"]\n[other.deep]\nz = 1\n')
    write(project, "prod", '[shop]\nb = {y = 3}\nc = [1]\n[logger]\nlevel = "error"\n[node]\nsname = "shop"\n')
    prod = read_configuration(project, "prod")
    assert prod.applications == {"shop": {"a": 1, "b": {"x": 1, "y": 3}, "c": [1]}, "other": {"deep": {"z": 1}}}
    assert prod.node == {"exports": ["shop.*"], "sname": "shop"}
    assert (prod.level, prod.exports, prod.strict_messages) == ("error", ["shop.*"], False)
    assert [path.name for path in prod.files] == ["config.toml", "prod.toml"]
    dev = read_configuration(project, "dev")
    assert (dev.applications["shop"]["b"], dev.level, dev.strict_messages) == ({"x": 1, "y": 2}, None, True)
    assert dev.overlaid({"shop": {"a": 9}, "more": {"q": 1}})["shop"]["a"] == 9


def test_no_files_at_all(project: Project) -> None:
    found = read_configuration(project, "test")
    assert (found.applications, found.node, found.exports, found.strict_messages) == ({}, {}, None, True)


def test_an_environment_of_ones_own_has_a_file(project: Project) -> None:
    write(project, "staging", "[node]\nstrict_messages = true\n")
    assert read_configuration(project, "staging").strict_messages is True
    with pytest.raises(ProjectError, match=r"there is no config/stagin\.toml; did you mean staging\?"):
        read_configuration(project, "stagin")
    with pytest.raises(ProjectError, match="there are dev, prod, staging, test"):
        read_configuration(project, "xyz")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[node]\nsnam = 'x'\n", "config/dev.toml:2: unknown key snam in [node]; did you mean sname?"),
        ("\n[node]\nhidden = 1\n", "config/dev.toml:3: hidden is true or false, not 1"),
        ("[node]\ndist_port = true\n", "dist_port is a whole number, not True"),
        ("[node]\nexports = 'shop'\n", "exports is a list of texts, not 'shop'"),
        ("[node]\ncookie = 'x'\n", "config/dev.toml:2: no cookie in files that are committed"),
        ("[node]\nname = 'x@y.z'\nsname = 'x'\n", "name and sname cannot both be given"),
        ("[node]\ndist_port = 1\ndist_ports = '1-2'\n", "dist_port and dist_ports cannot both be given"),
        ("[logger]\nlevel = 'loud'\n", "config/dev.toml:2: the level is one of debug, info"),
        ("[logger]\nlvl = 'info'\n", "unknown key lvl in [logger]"),
        ("[nod]\n", "config/dev.toml:1: unknown table [nod]; did you mean [node]?"),
        ("[shopp]\n", "unknown table [shopp]; did you mean [shop]?"),
        ("[kernel]\n", "[kernel] is Erlang's; here the table is [node]"),
        ("x = 1\n", "config/dev.toml:1: x stands outside of a table such as [shop]"),
        ("[shop\n", "config/dev.toml"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(project: Project, text: str, problem: str) -> None:
    write(project, "dev", text)
    with pytest.raises(ProjectError) as caught:
        read_configuration(project, "dev")
    assert problem in str(caught.value)


def test_the_environments_name() -> None:
    assert environment_name({}) == "dev"
    assert environment_name({"BEAMISH_ENV": ""}, "test") == "test"
    assert environment_name({"BEAMISH_ENV": " prod "}) == "prod"
    for wrong in ("../x", "config", "a b"):
        with pytest.raises(ProjectError, match=f"BEAMISH_ENV={wrong}"):
            environment_name({"BEAMISH_ENV": wrong})
