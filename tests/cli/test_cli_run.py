"""`beamish run`, `test` and `check` in a project: what starts, what is said, and the exit statuses."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest
from project_commands import Folder, Lines, read_until

from beam import RealEpmd, unique_name
from beamish.cli import main
from beamish.cli.new import make

INDENT = " " * 8


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture
def project(folder: Folder) -> Folder:
    make(folder.root / "my_app")
    return folder.below("my_app")


# ---- the application


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_the_application_runs_until_a_signal(project: Folder, number: signal.Signals, status: int) -> None:
    with project.start("run") as running:
        said = read_until(running, "Ctrl-C stops it")
        assert "my_app 0.1.0 (dev) runs on a node without a name; Ctrl-C stops it" in said
        assert "application my_app started (temporary)" in said
        running.send_signal(number)
        read_until(running, "application my_app stopped")
        assert running.wait(20) == status


def test_a_dead_application_ends_a_production_node_with_its_reason(project: Folder) -> None:
    project.replace("config/prod.toml", 'sname = "my_app"', "hidden = false")
    project.replace("my_app/counter.py", "self.lifetime = life", f"send_after(0.01, self.pid, 1)\n{INDENT}self.lifetime = life")
    project.replace("my_app/counter.py", "match message:", f"raise ValueError('a bad day')\n{INDENT}match message:")
    ended = project.beamish("run", BEAMISH_ENV="prod")
    assert ended.returncode == 1
    assert "a bad day" in ended.stderr
    assert "stops with status 1" in ended.stderr
    with project.start("run") as running:  # in dev the node stays
        read_until(running, "Ctrl-C stops it")
        read_until(running, "application my_app")
        running.send_signal(signal.SIGTERM)
        assert running.communicate(timeout=20)[1] is not None
        assert running.returncode == 0


def test_a_named_node(project: Folder, real_epmd: RealEpmd) -> None:
    name = unique_name("run")
    project.environ = {**project.environ, "ERL_EPMD_PORT": str(real_epmd.port), "BEAMISH_COOKIE": "c"}
    result = project.beamish("run", "--sname", name, "--eval", "print(Node.self())")
    assert (result.stdout, result.returncode) == (f"{name}\n", 0), result.stderr


# ---- files, modules, expressions

SCRIPT = """
import sys
from beamish import receive, self, send

async def main():
    send(self(), ("got", sys.argv[1:]))
    print(await receive())
    return 7
"""


@pytest.mark.parametrize(
    ("source", "out", "err", "status"),
    [
        (SCRIPT, "('got', ['--a', 'b'])\n", "", 7),
        ("from beamish import self\nprint('top', __name__, self())\n", "top script <nonode@nohost.7.0>\n", "", 0),
        ("def main():\n    print('plain')\n", "plain\n", "", 0),
        ("import sys\ndef main():\n    sys.exit('no good')\n", "", "no good\n", 1),
        ("raise SystemExit(9)\n", "", "", 9),
        ("def main():\n    return {}['x']\n", "", "KeyError: 'x'\n", 1),
        ("from beamish import exit\ndef main():\n    exit('why')\n", "", "the process ended with reason 'why'\n", 1),
        ("async def main(:\n", "", "SyntaxError: ", 1),
    ],
)
def test_a_file(folder: Folder, source: str, out: str, err: str, status: int) -> None:
    (folder.root / "script.py").write_text(source)
    result = folder.beamish("run", "script.py", "--a", "b")
    assert result.returncode == status, result.stderr
    assert result.stdout.partition("<")[0] == out.partition("<")[0]
    assert err in result.stderr
    assert "src/beamish" not in result.stderr


def test_a_module_and_a_function_of_it(project: Folder) -> None:
    (project.root / "my_app" / "jobs.py").write_text(
        "from my_app.counter import Counter\n"
        "async def main():\n    print(await Counter.at('counter').count('x'))\n"
        "def nightly():\n    return 3\n"
    )
    counted = project.beamish("run", "my_app.jobs")
    assert (counted.stdout, counted.returncode) == ("1\n", 0), counted.stderr
    assert project.beamish("run", "--module", "my_app.jobs:nightly").returncode == 3
    assert "did you mean nightly?" in project.beamish("run", "my_app.jobs:nightl").stderr
    missing = project.beamish("run", "my_app.job")
    assert (missing.returncode, "there is no module my_app.job" in missing.stderr) == (1, True)


def test_an_expression_beside_the_application(project: Folder) -> None:
    code = "from my_app.counter import Counter as C; c = C.at('counter'); await c.count('a'); print(await c.count('a'))"
    result = project.beamish("run", "--eval", code)
    assert (result.stdout, result.returncode) == ("2\n", 0), result.stderr
    without = project.beamish("run", "--no-start", "--eval", "print(whereis('counter'))")
    assert without.stdout == "None\n"


def test_no_halt(folder: Folder) -> None:
    with folder.start("run", "--no-halt", "--eval", "import sys; print('done', file=sys.stderr, flush=True)") as running:
        read_until(running, "done")
        with pytest.raises(Exception, match="timed out"):
            running.wait(0.5)
        running.send_signal(signal.SIGTERM)
        assert running.wait(20) == 0


def test_settings_reach_the_application(project: Folder) -> None:
    code = "print(Application.get_env('my_app', 'lifetime'))"
    project.replace("config/dev.toml", "[logger]", "[my_app]\nlifetime = 5.5\n\n[logger]")
    assert project.beamish("run", "--eval", code).stdout == "5.5\n"
    assert project.beamish("run", "--eval", code, BEAMISH_ENV="test").stdout == "60.0\n"
    (project.root / "more.toml").write_text("[my_app]\nlifetime = 7.0\n")
    assert project.beamish("run", "--config", "more.toml", "--eval", code).stdout == "7.0\n"


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_messages_are_strict_in_dev(project: Folder, environment: str) -> None:
    project.replace("config/prod.toml", 'sname = "my_app"', "hidden = false")
    result = project.beamish("run", "--eval", "send(self(), object()); print('sent')", BEAMISH_ENV=environment)
    assert (result.returncode, "strict_messages is on" in result.stderr) == ((1, True) if environment == "dev" else (0, False))


# ---- what is wrong


@pytest.mark.parametrize("verb", ["run", "test", "check"])
def test_there_is_no_project(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([verb]) == 1
    assert "is not inside a beamish project" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status", "problem"),
    [
        (["run", "nofile.py"], 1, "nofile.py does not exist"),
        (["run", "."], 1, "neither a file nor the name of a module"),
        (["run", "/tmp"], 1, "is a folder; give a file in it"),
        (["run", "--evl", "1"], 2, "did you mean --eval?"),
        (["run", "--eval", "x ="], 2, "--eval: invalid syntax"),
        (["run", "--eval", "1", "-m", "x"], 2, "cannot both be given"),
        (["run", "--eval", "1", "--sname", "a", "--name", "b@c.d"], 2, "cannot both be given"),
        (["check", "all"], 2, "takes no argument 'all'"),
    ],
)
def test_misuse(
    arguments: list[str], status: int, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert main(arguments) == status
    assert problem in capsys.readouterr().err


def test_an_error_in_the_users_code_is_shown_short(project: Folder) -> None:
    project.replace("my_app/application.py", "        children = [", "        1 / 0\n        children = [")
    failed = project.beamish("run")
    assert failed.returncode == 1
    assert "beamish: application my_app did not start: ZeroDivisionError: division by zero\n" in failed.stderr
    assert 'File "my_app/application.py", line ' in failed.stderr
    assert "src/beamish" not in failed.stderr


# ---- test


def test_the_status_is_pytests(project: Folder) -> None:
    (project.root / "tests" / "test_more.py").write_text(
        "import os\nfrom beamish.testing import virtual\nfrom beamish import self, send\n"
        "@virtual\nasync def test_strict():\n    send(self(), object())\n"
        "def test_env():\n    assert os.environ['BEAMISH_ENV'] == 'test'\n"
    )
    failed = project.beamish("test", "-q")
    assert failed.returncode == 1
    assert "1 failed, 4 passed" in failed.stdout
    assert "strict_messages is on" in failed.stdout
    below = Folder(project.root / "tests")
    assert below.beamish("test", "test_more.py", "-k", "env").returncode == 0
    assert project.beamish("test", "-k", "nothing_like_it").returncode == 5
    project.replace("config/config.toml", "exports", "exprots")
    broken = project.beamish("test")
    assert (broken.returncode, "did you mean exports?" in broken.stderr) == (1, True)


def test_without_pytest(project: Folder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(project.root)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["test"]) == 1
    assert "pytest is not installed for " in capsys.readouterr().err


# ---- check


def test_check_passes_on_a_new_project(project: Folder) -> None:
    checked = project.beamish("check", "--json")
    assert checked.returncode == 0, checked.stdout
    found = {each["check"]: each for each in json.loads(checked.stdout)}
    assert list(found) == ["configuration", "imports", "dependencies", "exports", "start", "stop"]
    assert all(each["ok"] for each in found.values())
    assert "prod.toml" in found["configuration"]["detail"]


@pytest.mark.parametrize(
    ("path", "old", "new", "name", "detail"),
    [
        ("config/prod.toml", "sname", "snme", "configuration", "config/prod.toml:5: unknown key snme"),
        ("my_app/counter.py", "import Any\n", "import Any\nimport nothing_at_all\n", "imports", "No module named 'nothing_at_all'"),
        ("my_app/counter.py", "import Any\n", "import Any\nimport pytest\n", "dependencies", "counter.py:6 imports pytest, but"),
        ("config/config.toml", '"my_app.*"', '"my_app.counter:Countr"', "exports", "my_app.counter has no function Countr"),
        ("config/config.toml", '"my_app.*"', '"my_ap.*"', "exports", "there is no module my_ap"),
        ("config/config.toml", '"my_app.*"', '"my app"', "configuration", "'my app' is none of module"),
        ("my_app/application.py", "lifetime = App", "lifetime = {}['x']\n        lifetime = App", "start", "KeyError: 'x'"),
        ("my_app/counter.py", "self.counts:", f"send_after(0, self.pid, 0)\n{INDENT}self.counts:", "run", "right after"),
    ],
)
def test_check_finds(project: Folder, path: str, old: str, new: str, name: str, detail: str) -> None:
    if name == "run":
        project.replace("my_app/counter.py", "match message:", f"raise ValueError\n{INDENT}match message:")
    project.replace(path, old, new)
    checked = project.beamish("check")
    assert checked.returncode == 1
    lines = checked.stdout.splitlines()
    (start,) = [number for number, line in enumerate(lines) if line.startswith("  FAILED")]
    assert lines[start].split()[1] == name
    assert detail in "\n".join(lines[start:])
    assert "checks failed" in checked.stderr


# ---- a shell in the project


def test_a_shell_with_the_application(project: Folder) -> None:
    source = "from my_app.counter import Counter\nCounter.at('counter').count('a')\n"
    shown = project.beamish("shell", "--app", source=source)
    assert (shown.stdout, shown.stderr, shown.returncode) == ("1\n", "", 0)
    bare = project.beamish("shell", source="from my_app.counter import Counter\nwhereis('counter') is None\n")
    assert bare.stdout == "True\n"


def test_reload_in_a_running_project(project: Folder) -> None:
    pytest.importorskip("watchfiles")
    with project.start("run", "--reload") as running:
        read_until(running, "Ctrl-C stops it")
        lines = Lines(running)
        path = project.root / "my_app" / "counter.py"
        text = path.read_text()
        for _ in range(20):  # until the watcher watches
            path.write_text(text + f"\nVERSION = {os.urandom(4).hex()!r}\n")
            line = lines.within(1.0)
            if line:
                break
        running.send_signal(signal.SIGTERM)
        assert running.wait(20) == 0
    assert "reloaded my_app.counter: VERSION" in line
