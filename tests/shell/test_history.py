"""The history's file."""

from pathlib import Path

from beamish.shell.history import history_file


def test_where(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    path = history_file(home)
    assert path == tmp_path / ".local/state/beamish/history"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o077 == 0
    assert history_file({**home, "XDG_STATE_HOME": str(tmp_path / "x")}) == tmp_path / "x/beamish/history"
    assert history_file({**home, "BEAMISH_HISTORY": str(tmp_path / "h")}) == tmp_path / "h"
    assert history_file({**home, "BEAMISH_HISTORY": ""}) is None
    assert history_file({}) is None


def test_an_open_file_is_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "h"
    path.write_text("+old\n")
    path.chmod(0o644)
    assert history_file({"BEAMISH_HISTORY": str(path)}) == path
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text() == "+old\n"


def test_no_place_for_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert history_file({"BEAMISH_HISTORY": str(tmp_path / "file/h")}) is None
