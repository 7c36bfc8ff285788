"""Colours while typing lose no character."""

from hypothesis import given
from hypothesis import strategies as st

from beamish.shell.colours import pieces


@given(st.text("abc def'\"#\\\n1.atom_ok(){}éfr", max_size=60))
def test_every_character_stays(source: str) -> None:
    assert "\n".join("".join(text for _, text in line) for line in pieces(source)) == source


def test_kinds() -> None:
    styles = {text: style for line in pieces("await f(1, 'x', atom.ok) # c") for style, text in line}
    assert styles["await"] == "ansimagenta"
    assert styles["1"] == "ansiyellow"
    assert styles["'x'"] == "ansigreen"
    assert styles["atom.ok"] == "ansicyan"
    assert styles["# c"].startswith("ansibrightblack")
    assert styles["f"] == ""
