"""The compiled numbers and the table of tags are one."""

from __future__ import annotations

import re
from pathlib import Path

from beamish.etf import tags

SOURCE = Path(tags.__file__).with_name("_tags.pxd")


def test_the_compiled_numbers_are_the_tables() -> None:
    compiled = {name: int(number) for name, number in re.findall(r"^    (\w+) = (\d+)$", SOURCE.read_text(), re.M)}
    assert compiled.pop("VERSION") == tags.VERSION
    assert compiled == {name: tag.number for name, tag in tags.TAGS.items()}


def test_numbers_and_uses_are_sound() -> None:
    numbers = [tag.number for tag in tags.TAGS.values()]
    assert len(set(numbers)) == len(numbers)
    assert {tag.use for tag in tags.TAGS.values()} == {"both", "read", "refused", "connection"}
