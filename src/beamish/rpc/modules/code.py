"""`code`: whether a module is there. Source: OTP 25, kernel: code."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from beamish.node.runtime import current_runtime
from beamish.rpc.apply import exports_of
from beamish.rpc.outcome import badarg
from beamish.term import Atom, atom, charlist

__all__ = ["ensure_loaded", "is_loaded", "which"]


def _file(name: str) -> Any:
    """The file of a loaded module that peers may know of, else None."""
    exports = exports_of(current_runtime())
    if name in exports.builtin:
        return atom.preloaded
    module = sys.modules.get(exports.aliases.get(name, name))
    if module is None or not exports.lists(module.__name__):
        return None
    return charlist(getattr(module, "__file__", None) or name)


def ensure_loaded(module: Any) -> Any:
    """``{module, Module}`` or ``{error, nofile}``. Loads nothing that is not exported."""
    if not isinstance(module, Atom):
        raise badarg()
    exports = exports_of(current_runtime())
    name = exports.aliases.get(module.text, module.text)
    if _file(module.text) is None and exports.lists(name):
        try:
            importlib.import_module(name)
        except ImportError:
            return (atom.error, atom.nofile)
    return (atom.error, atom.nofile) if _file(module.text) is None else (atom.module, module)


def is_loaded(module: Any) -> Any:
    """``{file, Name}`` or false."""
    found = _file(str(module))
    return False if found is None else (atom.file, found)


def which(module: Any) -> Any:
    """The module's file, or `non_existing`."""
    return _file(str(module)) or atom.non_existing
