"""The command itself: verbs, help, exit statuses, and how little it loads."""

from __future__ import annotations

import subprocess
import sys

import pytest

from beamish import __version__
from beamish.cli import VERBS, main


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"beamish {__version__}\n"


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help"]) == 0
    out = capsys.readouterr().out
    assert all(f"  {verb} " in out for verb in VERBS)
    assert len(out.splitlines()) < 24
    assert main([]) == 2
    assert capsys.readouterr().out == out


@pytest.mark.parametrize("verb", list(VERBS))
def test_help_of_each_verb(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([verb, "--help"], [verb, "-h"], ["help", verb]):
        assert main(arguments) == 0
        out = capsys.readouterr().out
        assert out.startswith(f"usage: beamish {verb}")
        assert "--help" in out


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["nams"], "there is no command 'nams'; did you mean names?"),
        (["xyzzy"], "there is no command 'xyzzy'; see: beamish help"),
        (["--sname", "a"], "a command comes first: beamish shell --sname a"),
        (["names", "--jsn"], "unknown flag --jsn; did you mean --json?"),
        (["names", "a", "b"], "one host at a time"),
        (["ping"], "takes the name of one node"),
        (["nodes"], "takes the name of one node"),
        (["call", "a"], "takes NODE MODULE FUNCTION"),
        (["call", "a", "m", "f", "[x"], "argument 1, '[x', is not a term"),
        (["shell", "barry"], "'barry' is none (a name goes behind --sname)"),
        (["shell", "--snme", "x"], "did you mean --sname?"),
        (["shell", "--sname", "a.b"], "use letters, digits, - and _, for example a_b"),
        (["shell", "--sname", "a", "--name", "b@c.d"], "cannot both be given"),
        (["shell", "--erl", "-hiden"], "did you mean -hidden?"),
        (["epmd", "now"], "takes no argument 'now'"),
    ],
)
def test_wrong_command_lines(arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("beamish: ")
    assert problem in captured.err


def test_an_unreachable_port_mapper(capsys: pytest.CaptureFixture[str], unused_port: int) -> None:
    assert main(["names", "--epmd-port", str(unused_port)]) == 1
    assert f"no port mapper listens at 127.0.0.1:{unused_port}" in capsys.readouterr().err


def test_small_commands_load_little() -> None:
    code = "import sys; from beamish.cli import main; main(['--version']); print(sorted(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = eval(result.stdout.splitlines()[-1])
    assert not {"asyncio", "argparse", "typer", "rich", "beamish.node", "prompt_toolkit"} & set(loaded)


def test_nobody_reads_our_output() -> None:
    code = "import sys; from beamish.cli import main; sys.exit(main(['help']))"
    process = subprocess.Popen([sys.executable, "-u", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()
    process.wait()
