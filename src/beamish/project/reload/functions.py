"""Functions that get new code and stay the same objects: whoever holds one calls the new code from then on."""

from __future__ import annotations

import types
from typing import Any

from beamish.project.reload.undo import UndoLog


def is_twin(old: Any, new: Any) -> bool:
    """Whether `new` is another making of the function `old`: the same place in the same module."""
    return (
        isinstance(old, types.FunctionType)
        and isinstance(new, types.FunctionType)
        and old is not new
        and old.__module__ == new.__module__
        and old.__qualname__ == new.__qualname__
        and old.__code__.co_freevars == new.__code__.co_freevars
    )


def patch_function(old: types.FunctionType, new: types.FunctionType, undo: UndoLog) -> None:
    """Give old the code, defaults, annotations, attributes and captured variables of its twin."""
    undo.set(old, "__code__", new.__code__)
    undo.set(old, "__defaults__", new.__defaults__)
    undo.set(old, "__kwdefaults__", new.__kwdefaults__)
    undo.set(old, "__doc__", new.__doc__)
    undo.set(old, "__annotations__", new.__annotations__)
    _patch_attributes(old, new, undo)
    for mine, theirs in zip(old.__closure__ or (), new.__closure__ or (), strict=True):
        _patch_cell(mine, theirs, undo)


def _patch_attributes(old: types.FunctionType, new: types.FunctionType, undo: UndoLog) -> None:
    for name in [name for name in vars(old) if name not in vars(new)]:
        undo.delete_item(vars(old), name)
    for name, value in vars(new).items():
        before: Any = vars(old).get(name)
        if is_twin(before, value):
            patch_function(before, value, undo)
        else:
            undo.set_item(vars(old), name, value)


def _patch_cell(old: types.CellType, new: types.CellType, undo: UndoLog) -> None:
    """A variable that a decorator's inner function has captured, most often the function under it."""
    if old is new:
        return
    try:
        before, after = old.cell_contents, new.cell_contents
    except ValueError:  # empty: not given a value yet
        return
    if before is after or _is_own_class(before, after):
        return
    if is_twin(before, after):
        patch_function(before, after, undo)
        return
    undo.set(old, "cell_contents", after)


def _is_own_class(before: Any, after: Any) -> bool:
    """`__class__`, which super() needs, or a class that holds itself: the old one is kept."""
    return (
        isinstance(before, type)
        and isinstance(after, type)
        and (before.__module__, before.__qualname__) == (after.__module__, after.__qualname__)
    )


def move_lines(function: Any, codes: dict[str, types.CodeType]) -> None:
    """Give an unchanged function the code of the same name compiled from the edited file, so that tracebacks show the
    lines where it stands now.

    codes: by qualified name. Needs no undoing: it behaves the same.
    """
    seen: set[int] = set()
    pending = [function]
    while pending:
        current = pending.pop()
        if isinstance(current, staticmethod | classmethod):
            current = current.__func__
        if isinstance(current, property):
            pending += [current.fget, current.fset, current.fdel]
        if not isinstance(current, types.FunctionType) or id(current) in seen:
            continue
        seen.add(id(current))
        code = codes.get(current.__code__.co_qualname)
        if code is not None and code.co_freevars == current.__code__.co_freevars:
            current.__code__ = code
        pending.append(vars(current).get("__wrapped__"))


def codes_in(code: types.CodeType) -> dict[str, types.CodeType]:
    """Every code object inside another, by qualified name; names that occur twice are left out."""
    found: dict[str, types.CodeType | None] = {}
    pending = [code]
    while pending:
        for constant in pending.pop().co_consts:
            if isinstance(constant, types.CodeType):
                found[constant.co_qualname] = None if constant.co_qualname in found else constant
                pending.append(constant)
    return {name: code for name, code in found.items() if code is not None}
