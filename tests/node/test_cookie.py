"""Cookies: where they come from, what a file must be like, and that they stay secret."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from beamish.node.cookie import Cookie, CookieError, create_cookie, find_cookie, read_cookie

LETTERS = bytes(range(20))


def cookie_file(path: Path, text: str = "SECRET", mode: int = 0o400) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def test_order(tmp_path: Path) -> None:
    environ = {"BEAMISH_COOKIE": "ours", "RELEASE_COOKIE": "release", "HOME": str(tmp_path)}
    cookie_file(tmp_path / ".erlang.cookie", "home")
    cookie_file(tmp_path / ".config/erlang/.erlang.cookie", "config")
    assert find_cookie("given", environ=environ).text == "given"
    assert find_cookie(environ=environ).text == "ours"
    del environ["BEAMISH_COOKIE"]
    assert find_cookie(environ=environ).text == "release"
    del environ["RELEASE_COOKIE"]
    assert find_cookie(environ=environ).text == "home"
    (tmp_path / ".erlang.cookie").unlink()
    assert find_cookie(environ=environ).text == "config"
    environ["XDG_CONFIG_HOME"] = str(tmp_path / "elsewhere")
    cookie_file(tmp_path / "elsewhere/erlang/.erlang.cookie", "xdg")
    assert find_cookie(environ=environ).text == "xdg"


def test_created_when_nowhere(tmp_path: Path) -> None:
    made = find_cookie(environ={"HOME": str(tmp_path)}, letters=LETTERS)
    path = tmp_path / ".erlang.cookie"
    assert made.text == "ABCDEFGHIJKLMNOPQRST"
    assert path.read_text() == made.text
    assert path.stat().st_mode & 0o777 == 0o400
    assert find_cookie(environ={"HOME": str(tmp_path)}) == made
    assert [entry.name for entry in tmp_path.iterdir()] == [".erlang.cookie"]


def test_random_cookies_differ(tmp_path: Path) -> None:
    texts = {create_cookie(tmp_path / f"c{number}", os.urandom(20)).text for number in range(5)}
    assert len(texts) == 5
    assert all(len(text) == 20 and text.isupper() for text in texts)


def test_two_nodes_that_make_it_at_the_same_time_agree(tmp_path: Path) -> None:
    path = tmp_path / ".erlang.cookie"
    made: list[str] = []
    threads = [threading.Thread(target=lambda n=n: made.append(create_cookie(path, bytes([n]) * 20).text)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {*made, path.read_text()} == {made[0]}


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o644, 0o666, 0o410])
def test_others_must_not_read_it(tmp_path: Path, mode: int) -> None:
    path = cookie_file(tmp_path / ".erlang.cookie", mode=mode)
    with pytest.raises(CookieError, match=rf"owner only, but its mode is {mode:04o}; run: chmod 400"):
        find_cookie(environ={"HOME": str(tmp_path)})
    path.chmod(0o600)
    assert find_cookie(environ={"HOME": str(tmp_path)}).text == "SECRET"


def test_line_ends_do_not_count(tmp_path: Path) -> None:
    found = read_cookie(cookie_file(tmp_path / "c", "  se&cret!@-\r\n"))
    assert found is not None
    assert found.text == "se&cret!@-"


def test_no_file_is_no_cookie(tmp_path: Path) -> None:
    assert read_cookie(tmp_path / "none") is None
    with pytest.raises(CookieError, match=r"not a plain file|cannot be read"):
        read_cookie(tmp_path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        ("a b", "a space"),
        ("é", "visible ASCII"),
        ("a\x00b", "visible ASCII"),
        ("x" * 256, "at most 255"),
    ],
)
def test_what_is_no_cookie(text: str, problem: str) -> None:
    with pytest.raises(CookieError, match=problem):
        Cookie(text, "somewhere")


def test_no_home() -> None:
    with pytest.raises(CookieError, match=r"HOME is not set.*BEAMISH_COOKIE"):
        find_cookie(environ={})


def test_it_cannot_be_created(tmp_path: Path) -> None:
    with pytest.raises(CookieError, match="cannot be created: No such file"):
        find_cookie(environ={"HOME": str(tmp_path / "missing")})


def test_it_stays_secret(tmp_path: Path) -> None:
    cookie = Cookie("hush-hush", "--cookie")
    assert "hush" not in repr(cookie)
    assert repr(cookie) == "<Cookie from --cookie>"
    with pytest.raises(CookieError) as caught:
        Cookie("hush hush", "the environment")
    assert "hush" not in str(caught.value)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux lets a process change its arguments")
def test_arguments_are_overwritten() -> None:
    code = (
        "import sys; from beamish.node.cookie import hide_argument; print(hide_argument('se&cret'));"
        "print(open('/proc/self/cmdline').read().split(chr(0))[3:])"
    )
    arguments = ["--cookie", "se&cret", "--cookie=se&cret", "-setcookie se&cret -hidden", "nose&cretno"]
    result = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    shown, left = result.stdout.splitlines()
    assert shown == "True"
    stars = "*" * 7
    assert eval(left)[:5] == ["--cookie", stars, f"--cookie={stars}", f"-setcookie {stars} -hidden", "nose&cretno"]
