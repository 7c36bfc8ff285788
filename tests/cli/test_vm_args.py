"""Cutting vm.args into words, compared with Erlang where there is one."""

import shutil
import subprocess
from pathlib import Path

import pytest

from beamish.cli.flags import UsageError
from beamish.cli.vm_args import split

TEXTS = [
    ("-name a@b -hidden", ["-name", "a@b", "-hidden"]),
    ("", []),
    ("## comment\n-x # more\n-y", ["-x", "-y"]),
    ("-a 'one two' \"three four\"", ["-a", "one two", "three four"]),
    ("-a x'y z'w", ["-a", "xy zw"]),
    ("-a one\\ two", ["-a", "one two"]),
    ('-a "it\'s" \'say "hi"\'', ["-a", "it's", 'say "hi"']),
    ('-a "back\\slash" \\"x\\\\', ["-a", "back\\slash", '"x\\']),
    ("-a 'back\\slash'", ["-a", "back\\slash"]),
    ("-a b#c", ["-a", "b"]),
    ("-a 'no # comment'", ["-a", "no # comment"]),
    ("-setcookie a&b!c@d-e", ["-setcookie", "a&b!c@d-e"]),
    ("-a ''", ["-a", ""]),
    ("-a\tb\r\n-c", ["-a", "b", "-c"]),
]


@pytest.mark.parametrize(("text", "words"), TEXTS)
def test_words(text: str, words: list[str]) -> None:
    assert split(text, "vm.args") == words


def test_lines_that_go_on() -> None:
    assert split("-kernel a 1 \\\n b 2\n-x", "vm.args") == ["-kernel", "a", "1", "b", "2", "-x"]
    assert split("-a 'one\ntwo' -b", "vm.args") == ["-a", "one\ntwo", "-b"]


def test_without_comments() -> None:
    assert split("-setcookie a#b # c", "--erl", comments=False) == ["-setcookie", "a#b", "#", "c"]


def test_variables() -> None:
    assert split("-name ${NODE}@${HOST}", "vm.args", {"NODE": "a", "HOST": "b"}) == ["-name", "a@b"]
    assert split("-name ${NODE}", "--erl") == ["-name", "${NODE}"]
    with pytest.raises(UsageError, match=r"vm\.args, line 2: the environment variable NODE is not set"):
        split("# x\n-name ${NODE}", "vm.args", {})


@pytest.mark.parametrize("text", ["-a 'x", '-a "x'])
def test_what_does_not_end(text: str) -> None:
    with pytest.raises(UsageError, match="line 1: a quote or backslash that does not end"):
        split(text, "vm.args")


@pytest.mark.interop
@pytest.mark.skipif(shutil.which("erl") is None, reason="Erlang is not installed")
def test_erlang_cuts_the_same_way(tmp_path: Path) -> None:
    """Words behind -extra come back as they are."""
    for number, (text, words) in enumerate(TEXTS):
        if "''" in text:  # Erlang drops an empty word
            continue
        file = tmp_path / f"vm{number}.args"
        file.write_text("-extra\n" + text + "\n")
        expression = 'io:format("~p~n", [init:get_plain_arguments()]), halt().'
        result = subprocess.run(
            ["erl", "-noshell", "-noinput", "-eval", expression, "-args_file", str(file)],
            capture_output=True, text=True, check=True, timeout=30,
        )  # fmt: skip
        expected = "[" + ",".join('"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in words) + "]"
        answer = "".join(line.strip() for line in result.stdout.splitlines())
        assert answer.replace(',"--"', "").replace('"--"', "") == expected, text  # erl puts it in by itself
