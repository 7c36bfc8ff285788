"""Command lines: flags, and errors that name the nearest spelling."""

import pytest

from beamish.cli.flags import HELP, Flag, Line, UsageError, help_of, nearest, port_number, read_line

FLAGS = (
    Flag("--sname", "a name", "NAME"),
    Flag("--cookie", "a secret", "TEXT"),
    Flag("--hidden", "a switch"),
    Flag("--count", "a number", "N", int),
    Flag("--config", "files", "FILE", many=True),
    HELP,
)


def read(*arguments: str, **settings: bool) -> Line:
    return read_line(arguments, FLAGS, command="beamish test", **settings)


def test_flags_and_words() -> None:
    line = read("one", "--sname", "barry", "--hidden", "two", "--cookie=a=b", "--config", "x", "--config=y", "--count", "3")
    assert line.words == ["one", "two"]
    assert line.flags == {"sname": "barry", "hidden": True, "cookie": "a=b", "config": ["x", "y"], "count": 3}
    assert line.get("sname") == "barry"
    assert line.get("help") is None


def test_values_that_look_like_flags() -> None:
    assert read("--cookie", "-x").get("cookie") == "-x"
    assert read("--cookie", "--hidden").flags == {"cookie": "--hidden"}


def test_the_end_of_flags() -> None:
    assert read("--hidden", "--", "--sname", "x").words == ["--sname", "x"]
    assert read("-", "-5", "--hidden").words == ["-", "-5"]
    line = read("--hidden", "node", "--sname", "-h", words_end_flags=True)
    assert (line.flags, line.words) == ({"hidden": True}, ["node", "--sname", "-h"])


def test_short_form() -> None:
    assert read("-h").get("help") is True


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--snam", "x"], r"unknown flag --snam; did you mean --sname\?"),
        (["--nmae=x"], r"did you mean --sname\?"),
        (["--hiden"], r"did you mean --hidden\?"),
        (["--xyzzy"], r"unknown flag --xyzzy; see: beamish test --help"),
        (["-x"], "unknown flag -x"),
        (["--sname"], "--sname needs a value: --sname NAME"),
        (["--hidden=yes"], "--hidden takes no value, but 'yes' was given"),
        (["--count", "x"], "--count x: invalid literal"),
        (["--sname", "a", "--sname", "b"], "--sname is given twice"),
    ],
)
def test_errors(arguments: list[str], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        read(*arguments)


def test_nearest() -> None:
    assert nearest("conect_all", ["connect_all", "net_ticktime"]) == "connect_all"
    assert nearest("HIDDEN", ["hidden"]) == "hidden"
    assert nearest("banana", ["hidden", "name"]) is None


def test_ports() -> None:
    assert port_number("9100", "x") == 9100
    assert port_number(0, "x") == 0
    for bad in ("x", 65536, -1, True, None, "-5"):
        with pytest.raises(UsageError, match=r"x: .* is not a port"):
            port_number(bad, "x")


def test_help_is_aligned() -> None:
    rows = help_of(FLAGS).splitlines()
    assert len(rows) == len(FLAGS)
    assert rows[0].startswith("  --sname NAME")
    assert rows[-1].startswith("  -h, --help")
    assert len({row.rstrip().find(flag.help) for row, flag in zip(rows, FLAGS, strict=True)}) == 1
