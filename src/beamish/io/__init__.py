"""Text in and out: group leaders, Erlang's formats, chardata, terms as text."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from beamish.io.client import DeviceError as DeviceError
    from beamish.io.client import columns as columns
    from beamish.io.client import gets as gets
    from beamish.io.client import puts as puts
    from beamish.io.client import request as request
    from beamish.io.client import rows as rows
    from beamish.io.client import write as write
    from beamish.io.format import FormatError as FormatError
    from beamish.io.group_leader import start_user as start_user
    from beamish.io.term_text import TermSyntaxError as TermSyntaxError
    from beamish.io.term_text import consult as consult
    from beamish.io.term_text import parse_term as parse_term

_HOMES = {
    "client": ("DeviceError", "columns", "gets", "puts", "request", "rows", "write"),
    "format": ("FormatError",),
    "group_leader": ("start_user",),
    "term_text": ("TermSyntaxError", "consult", "parse_term"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'beamish.io' has no attribute {name!r}")
    value = getattr(import_module(f"beamish.io.{home}"), name)
    globals()[name] = value
    return value
