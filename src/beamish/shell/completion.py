"""Completion from what is really there: names of the session, attributes of live objects, keywords, node names.

    complete("Node.con", namespace, nodes) -> (8 - 3, ["connect("])

Nothing that is completed runs code: attributes are found with dir() on objects reached through plain attribute access
of modules, classes and instance dictionaries; properties and __getattr__ are not triggered.
"""

from __future__ import annotations

import builtins
import inspect
import keyword
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

MAX_CANDIDATES: Final = 500

_DOTTED: Final = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*\.?$|$")
_IN_NODE_STRING: Final = re.compile(r"""(?:Node\.\w+|(?:rpc|erpc)\.\w+|node|send)\(\s*(?:\([^()]*,\s*)?(['"])([\w@.\-]*)$""")
_ATOMS: Final = ("DOWN", "EXIT", "error", "kill", "killed", "nodedown", "nodeup", "normal", "ok", "shutdown", "timeout")


def complete(text: str, namespace: Mapping[str, Any], nodes: Iterable[str] = ()) -> tuple[int, list[str]]:
    """Where the word before the cursor starts, and what it may become. text: the input up to the cursor."""
    if match := _IN_NODE_STRING.search(text):
        prefix = match[2]
        return len(text) - len(prefix), sorted(name for name in set(nodes) if name.startswith(prefix))
    if _inside_string(text):
        return len(text), []
    found = _DOTTED.search(text)
    word = found.group() if found else ""
    if not word:
        return len(text), []
    path, dot, prefix = word.rpartition(".")
    start = len(text) - len(prefix)
    if not dot:
        return start, _names(prefix, namespace)
    target = _resolve(path, namespace)
    if target is _MISSING:
        return start, []
    return start, _attributes(target, prefix)


_MISSING: Final = object()


def _inside_string(text: str) -> bool:
    line = text.rpartition("\n")[2]
    stripped = re.sub(r"""\\.|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", "", line)
    return "'" in stripped or '"' in stripped


def _resolve(path: str, namespace: Mapping[str, Any]) -> Any:
    first, *rest = path.split(".")
    value = namespace.get(first, getattr(builtins, first, _MISSING))
    for name in rest:
        if value is _MISSING:
            break
        value = _static_attribute(value, name)
    return value


def _static_attribute(value: Any, name: str) -> Any:
    if inspect.ismodule(value) or inspect.isclass(value):
        return getattr(value, name, _MISSING)  # modules may load lazily; both are what the user named
    found = inspect.getattr_static(value, name, _MISSING)
    if isinstance(found, property) or inspect.isdatadescriptor(found):
        return _MISSING
    return found


def _names(prefix: str, namespace: Mapping[str, Any]) -> list[str]:
    names = set(namespace) | set(dir(builtins))
    if not prefix.startswith("_"):
        names = {name for name in names if not name.startswith("_")}
    shown = {_called(name, namespace.get(name, getattr(builtins, name, None))) for name in names if name.startswith(prefix)}
    shown |= {word for word in (*keyword.kwlist, *keyword.softkwlist) if word.startswith(prefix) and word != "_"}
    return sorted(shown, key=str.lower)[:MAX_CANDIDATES]


def _attributes(target: Any, prefix: str) -> list[str]:
    try:
        names = [name for name in dir(target) if isinstance(name, str)]
    except Exception:
        return []
    if type(target).__name__ == "AtomFactory":
        names += _ATOMS
    hidden = prefix.startswith("_")
    chosen = sorted({name for name in names if name.startswith(prefix) and (hidden or not name.startswith("_"))}, key=str.lower)
    return [_called(name, _static_attribute(target, name)) for name in chosen[:MAX_CANDIDATES]]


def _called(name: str, value: Any) -> str:
    if isinstance(value, staticmethod | classmethod):
        value = value.__func__
    return name + "(" if inspect.isroutine(value) and not keyword.iskeyword(name) else name
