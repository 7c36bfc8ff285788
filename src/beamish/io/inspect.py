"""Values as the shell shows them: Python's repr, over several lines if it is long, coloured on a terminal."""

from __future__ import annotations

import re
from typing import Any, Final

MAX_CHARACTERS: Final = 20_000

_TOKENS: Final = re.compile(
    r"""(?P<text>[bru]{0,2}(?:'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"))"""
    r"""|(?P<atom>\batom(?:\.\w+|\((?=['"])))"""
    r"""|(?P<identity><[^<>\s@]+@[^<>\s]+\.\d+\.\d+>|\#(?:Ref|Port)<[^<>\s]*>)"""
    r"""|(?P<number>(?<![\w.])-?\d[\w.]*(?:e[+-]?\d+)?)"""
    r"""|(?P<word>\b(?:True|False|None)\b)"""
)
_COLOURS: Final = {"text": "32", "atom": "36", "identity": "35", "number": "33", "word": "35"}


def inspect_term(value: Any, *, width: int = 80, colour: bool = False) -> str:
    """The text that shows a value. width: columns; colour: with ANSI sequences.

    Never raises: an object whose repr fails is shown as what it is.
    """
    try:
        shown = repr(value)
        if len(shown) > width and isinstance(value, _PRETTY):
            from pprint import pformat  # only for what is long

            shown = pformat(value, width=max(width, 20), sort_dicts=False)
    except RecursionError:
        shown = f"<{type(value).__name__} nested too deeply to be shown>"
    except Exception as error:
        shown = f"<{type(value).__name__} whose repr raised {type(error).__name__}: {error}>"
    if len(shown) > MAX_CHARACTERS:
        left_out = len(shown) - MAX_CHARACTERS
        shown = shown[:MAX_CHARACTERS] + f" … ({left_out} more characters)"
    return coloured(shown) if colour else shown


_PRETTY: Final = (list, tuple, dict, set, frozenset, str, bytes)


def coloured(shown: str) -> str:
    """ANSI colours for a repr."""

    def paint(match: re.Match[str]) -> str:
        return f"\x1b[{_COLOURS[match.lastgroup or 'word']}m{match.group()}\x1b[0m"

    return _TOKENS.sub(paint, shown)
