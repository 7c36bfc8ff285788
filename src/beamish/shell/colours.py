"""Colours for Python source as it is typed."""

from __future__ import annotations

import keyword
import re
from typing import Final

_TOKENS: Final = re.compile(
    r"""(?P<comment>\#[^\n]*)"""
    r"""|(?P<text>[bBrRuUfF]{0,2}(?:'''(?:[^\\]|\\.)*?(?:'''|\Z)|\"\"\"(?:[^\\]|\\.)*?(?:\"\"\"|\Z)"""
    r"""|'(?:[^'\\\n]|\\.)*'?|"(?:[^"\\\n]|\\.)*"?))"""
    r"""|(?P<atom>\batom\.[^\W\d]\w*)"""
    r"""|(?P<number>(?<![\w.])\d[\w.]*)"""
    r"""|(?P<word>[^\W\d]\w*)""",
    re.DOTALL,
)
_STYLES: Final = {"comment": "ansibrightblack italic", "text": "ansigreen", "atom": "ansicyan", "number": "ansiyellow"}
_KEYWORDS: Final = frozenset(keyword.kwlist)


def pieces(source: str) -> list[list[tuple[str, str]]]:
    """The lines of a source, each as pieces of (style, text)."""
    flat: list[tuple[str, str]] = []
    place = 0
    for match in _TOKENS.finditer(source):
        if match.start() > place:
            flat.append(("", source[place : match.start()]))
        kind = match.lastgroup or ""
        style = _STYLES.get(kind, "ansimagenta" if match.group() in _KEYWORDS else "")
        flat.append((style, match.group()))
        place = match.end()
    flat.append(("", source[place:]))
    lines: list[list[tuple[str, str]]] = [[]]
    for style, text in flat:
        first, *rest = text.split("\n")
        lines[-1].append((style, first))
        lines.extend([(style, line)] for line in rest)
    return lines
