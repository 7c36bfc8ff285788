"""The repository's own promises: documents that exist, links that lead somewhere, examples that do what they say."""

from __future__ import annotations

import importlib.util
import json
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent


def load(path: str) -> ModuleType:
    """Import a script of the repository that is in no package."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


check_docs = load("scripts/check_docs.py")


@pytest.mark.parametrize(
    "path",
    ["README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile", ".ci/run"]
    + [f"docs/{page}.md" for page in ("index", "glossary", "shell", "calling-elixir", "protocol", "decisions")]
    + ["docs/benchmarks.md", "docs/internals.md"],
)
def test_it_is_there(path: str) -> None:
    assert (ROOT / path).stat().st_size > 0


def test_every_page_can_be_reached_from_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    missing = [
        page.name for page in (ROOT / "docs").glob("*.md") if page.name != "index.md" and f"]({page.name})" not in index
    ]
    assert missing == []


def test_documentation_has_no_dead_link_and_no_unknown_make_target() -> None:
    assert check_docs.check(ROOT) == []


def test_the_checker_finds_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("setup:\n\ttrue\n")
    (tmp_path / "there.md").write_text("# A heading: `code`\n\n# A heading: `code`\n")
    (tmp_path / "page.md").write_text(
        "[good](there.md) [good](there.md#a-heading-code-1) [good](#here) [good](https://example.org/x)\n"
        "# Here\n"
        "[bad](gone.md) [bad](there.md#nowhere)\n"
        "```\n[code](gone.md)\nmake nothing\n```\n"
        "`make setup` and we make things\n"
    )
    assert check_docs.check(tmp_path) == [
        "page.md:3: link to gone.md: there is no gone.md",
        "page.md:3: link to there.md#nowhere: no heading of there.md gives #nowhere",
        "page.md:6: `make nothing`: the Makefile has no such target",
    ]


def test_the_scripts_can_be_run() -> None:
    for path in [ROOT / ".ci" / "run", *(ROOT / "scripts").glob("*.sh")]:
        text = path.read_text()
        if text.startswith("#!"):
            assert path.stat().st_mode & stat.S_IXUSR, f"{path}: not executable"
            assert "set -euo pipefail" in text, f"{path}: would go on after an error"


def test_ci_runs_nothing_that_a_user_could_not() -> None:
    commands = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line and not line.startswith("#")]
    assert commands == ["set -euo pipefail", 'cd "$(dirname "${BASH_SOURCE[0]}")/.."', "exec make test"]


def test_changelog_has_a_place_for_the_next_change() -> None:
    assert "\n## [Unreleased]\n" in (ROOT / "CHANGELOG.md").read_text()


# --- the benchmark runner, without running a benchmark ---


@pytest.fixture(scope="module")
def bench() -> Iterator[ModuleType]:
    """benchmarks/run.py, which puts its own folder on the path."""
    before = list(sys.path)
    yield load("benchmarks/run.py")
    sys.path[:] = before


@pytest.mark.parametrize(
    ("target", "ours", "ratio", "met"),
    [
        (1.5, 3.0, 1.5, True),
        (1.5, 3.0, 1.49, False),
        ("<= 1.4", 40.0, 1.4, True),
        ("<= 1.4", 40.0, 1.41, False),
        ("<= 700 bytes", 700.0, 0.2, True),
        ("<= 700 bytes", 701.0, 0.2, False),
        (None, 3.0, 1.0, None),
        (1.5, None, None, None),
        ("<= 1.4", None, None, None),
    ],
)
def test_targets_are_judged(
    bench: ModuleType, target: float | str | None, ours: float, ratio: float, met: bool
) -> None:
    assert bench.target_met(target, ours, ratio) is met


def test_a_target_that_cannot_be_read_is_an_error(bench: ModuleType) -> None:
    with pytest.raises(ValueError, match="write a number"):
        bench.target_met("< 3", 1.0, 1.0)


def test_rows_become_entries_with_all_keys(bench: ModuleType) -> None:
    row = bench.Row("a", "x/s", 3.0, 2.0, "Erlang", 1.5)
    same = {"name": "a", "unit": "x/s", "ours": 3.0, "peer": 2.0, "peer_name": "Erlang", "target": 1.5}
    entries = [bench.normalise(row), bench.normalise(same)]
    assert [list(entry) for entry in entries] == [bench.KEYS, bench.KEYS]
    assert [(entry["ratio"], entry["met"], entry["better"]) for entry in entries] == [(1.5, True, "higher")] * 2
    json.dumps(entries)


def test_the_table_is_aligned_and_shows_misses(bench: ModuleType) -> None:
    entries = [
        bench.normalise(bench.Row("ping-pong", "round trips/s", 1_234_567.0, 1_000_000.0, "Erlang", 1.5)),
        bench.normalise(bench.Row("idle", "bytes", 345.6, None, "Erlang", "<= 700 bytes", "lower", "asyncio 4,000")),
    ]
    lines = bench.table(entries).splitlines()
    assert lines[2].endswith("NOT MET")
    assert "1,234,567" in lines[2]
    assert lines[2].index("Erlang") == lines[3].index("Erlang")
    assert lines[-1] == "  idle: asyncio 4,000"


@pytest.mark.interop
def test_a_benchmark_runs_beside_erlang(
    bench: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(bench, "MODULES", ["local"])
    output = tmp_path / "bench.json"
    assert bench.main(["--quick", "--only", "local ping-pong", "--output", str(output)]) == 0
    (entry,) = json.loads(output.read_text())
    assert entry["ours"] > 0
    assert entry["peer"] > 0
    assert entry["peer_name"].startswith("Erlang")
    assert entry["name"] in capsys.readouterr().out


def test_a_benchmark_that_does_not_exist_is_an_error(
    bench: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "MODULES", ["local", "cluster", "startup"])
    assert bench.main(["--only", "no such row"]) == 2
    assert "no row of" in capsys.readouterr().err
