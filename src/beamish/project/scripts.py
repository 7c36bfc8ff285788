"""A file or a module as the work of a node: its `main` runs as a process.

A file without `main` is a script: its statements are the work. Both see the arguments in sys.argv.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from types import ModuleType
from typing import Any, Final

from beamish.project.errors import ProjectError
from beamish.project.manifest import import_module, nearest_hint

MAIN: Final = "main"
Body = Callable[[], Coroutine[Any, Any, int]]


def is_file(word: str) -> bool:
    """Whether a word of the command line names a file and not a module."""
    return word.endswith(".py") or os.sep in word or os.path.isfile(word)


def file_body(path: str, arguments: Sequence[str]) -> Body:
    """The work that a file is. Raises ProjectError if there is no such file."""
    if not os.path.isfile(path):
        what = "is a folder; give a file in it" if os.path.isdir(path) else "does not exist"
        raise ProjectError(f"{path} {what}")

    def load() -> ModuleType:
        sys.argv[:] = [path, *arguments]
        folder = os.path.dirname(os.path.abspath(path))
        if folder not in sys.path:
            sys.path.insert(0, folder)
        return _load(path)

    return _body(load, MAIN, needed=False)


def module_body(name: str, arguments: Sequence[str]) -> Body:
    """The work that a module is: `my_app.jobs`, whose `main` is run, or `my_app.jobs:nightly`.

    The module is imported here. Raises ProjectError if it or the function does not exist, BrokenCode.
    """
    module_name, _, function = name.partition(":")
    if not all(part.isidentifier() for part in module_name.split(".")):
        raise ProjectError(f"{name!r} is neither a file nor the name of a module")
    module: ModuleType = import_module(module_name, wanted=f"beamish run {name}")
    _function_of(module, function or MAIN)

    def load() -> ModuleType:
        sys.argv[:] = [getattr(module, "__file__", None) or module_name, *arguments]
        return module

    return _body(load, function or MAIN, needed=True)


def _function_of(module: ModuleType, name: str) -> Callable[..., Any]:
    found = getattr(module, name, None)
    if callable(found):
        return found  # type: ignore[no-any-return]
    own = [
        key for key, value in vars(module).items()
        if callable(value) and not key.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]  # fmt: skip
    raise ProjectError(f"{module.__name__} has no function {name}{nearest_hint(name, own) if own else ''}")


def status_of(value: Any) -> int:
    """A result of `main`, or what SystemExit was given, as an exit status; a text is printed, as Python does."""
    if value is None:
        return 0
    if isinstance(value, int) and not isinstance(value, bool):
        return value & 0xFF if value else 0
    if isinstance(value, str):
        print(value, file=sys.stderr)
        return 1
    return 0


def _body(load: Callable[[], ModuleType], name: str, *, needed: bool) -> Body:
    async def body() -> int:
        try:
            module = load()
            if not needed and not hasattr(module, name):
                return 0
            result = _function_of(module, name)()
            if hasattr(result, "__await__"):
                result = await result
        except SystemExit as leave:
            return status_of(leave.code)
        return status_of(result) if isinstance(result, int) else 0

    return body


def _load(path: str) -> ModuleType:
    """Run a file as a module that its own functions can be found in, by other nodes too."""
    stem = os.path.splitext(os.path.basename(path))[0]
    name = stem if stem.isidentifier() and stem not in sys.modules and stem not in sys.stdlib_module_names else "beamish_script"
    spec = importlib.util.spec_from_loader(name, importlib.machinery.SourceFileLoader(name, path))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
