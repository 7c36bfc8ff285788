"""Classes that take over what a new making of them has, and stay the same objects: living instances see new methods.

What cannot be changed in place (slots, a base of another layout, the fields of a named tuple) is replaced: the name
stands for the new class from then on, and what was made before belongs to the old one.
"""

from __future__ import annotations

import abc
import dataclasses
import enum
import gc
import types
from typing import Any, Final

from beamish.project.reload.functions import is_twin, patch_function
from beamish.project.reload.undo import UndoLog

TABLES: Final = ("_typed_methods", "_entries", "_handle_class", "_event_table")
"""What gen_server and gen_state_machine keep on a class; `servers.refresh` makes it anew."""

_FIXED: Final = frozenset(
    ("__dict__", "__weakref__", "__slots__", "__module__", "__qualname__", "_abc_impl", "__abstractmethods__", "__bases__", *TABLES)
)
_OF_ENUMS: Final = frozenset(
    ("_member_map_", "_member_names_", "_value2member_map_", "_generate_next_value_", "_new_member_", "_use_args_",
     "_member_type_", "_value_repr_", "_unhashable_values_", "_hashable_values_")
)  # fmt: skip


class CannotPatch(Exception):
    """The class cannot be changed in place; the text says why."""


def is_making_of(old: Any, new: Any) -> bool:
    """Whether both are classes of one name and module."""
    return (
        isinstance(old, type)
        and isinstance(new, type)
        and old is not new
        and (old.__module__, old.__qualname__) == (new.__module__, new.__qualname__)
    )


def patch_class(old: type, new: type, undo: UndoLog, *, kept: frozenset[str] = frozenset()) -> list[str]:
    """Make old what new is; gives remarks for the user.

    kept: attributes that keep their values, since their source has not changed. Raises CannotPatch, with nothing changed.
    """
    _check(old, new)
    done = UndoLog()
    try:
        remarks = _patched(old, new, done, kept)
    except BaseException:
        done.roll_back()
        raise
    undo.take_over(done)
    return remarks


def _patched(old: type, new: type, undo: UndoLog, kept: frozenset[str]) -> list[str]:
    remarks = _dataclass_remarks(old, new)
    if old.__bases__ != new.__bases__:
        try:
            undo.set(old, "__bases__", new.__bases__)
        except TypeError as error:
            raise CannotPatch(f"its bases have changed ({error})") from None
    members: frozenset[str] = frozenset()
    if isinstance(old, enum.EnumMeta):
        members = frozenset([*old.__members__, *new.__members__])  # type: ignore[attr-defined]
        _patch_members(old, new, undo)
    skipped = _FIXED | members | (_OF_ENUMS if members else frozenset())
    _remove_attributes(old, new, undo, skipped)
    for name, value in list(vars(new).items()):
        if name in skipped or isinstance(value, types.MemberDescriptorType | types.GetSetDescriptorType):
            continue
        if name in kept and name in vars(old):
            continue
        _patch_attribute(old, name, value, undo, remarks)
    if hasattr(old, "__abstractmethods__") or hasattr(new, "__abstractmethods__"):
        undo.set(old, "__abstractmethods__", getattr(new, "__abstractmethods__", frozenset()))
    _adopt(old, new, undo)
    return remarks


def _check(old: type, new: type) -> None:
    if type(old) is not type(new):
        raise CannotPatch("its metaclass has changed")
    if not _is_known(type(old)):
        raise CannotPatch(f"its metaclass {type(old).__qualname__} keeps things of its own")
    if vars(old).get("__slots__") != vars(new).get("__slots__"):
        raise CannotPatch("its slots have changed")
    if issubclass(old, tuple) and getattr(old, "_fields", None) != getattr(new, "_fields", None):
        raise CannotPatch("the fields of the tuple have changed")
    if old.__itemsize__ != new.__itemsize__ or old.__basicsize__ != new.__basicsize__:
        raise CannotPatch("its instances are laid out differently")


def _is_known(metaclass: type) -> bool:
    """Whether a metaclass does nothing that a change in place would miss: a pydantic model, say, has a validator in C that
    makes instances of the class it was made for."""
    return metaclass in (type, abc.ABCMeta) or metaclass.__module__.partition(".")[0] in ("enum", "typing", "beamish")


def _remove_attributes(old: type, new: type, undo: UndoLog, skipped: frozenset[str]) -> None:
    for name, value in list(vars(old).items()):
        if name in vars(new) or name in skipped or isinstance(value, types.MemberDescriptorType | types.GetSetDescriptorType):
            continue
        undo.delete_on_class(old, name)


def _patch_attribute(old: type, name: str, value: Any, undo: UndoLog, remarks: list[str]) -> None:
    before: Any = vars(old).get(name)
    if is_twin(before, value):
        patch_function(before, value, undo)
        return
    if isinstance(before, staticmethod | classmethod) and type(before) is type(value):
        inner: tuple[Any, Any] = before.__func__, value.__func__
        if is_twin(*inner):
            patch_function(*inner, undo)
            return
    if is_making_of(before, value):
        try:
            remarks += patch_class(before, value, undo)
            return
        except CannotPatch as problem:
            remarks.append(replaced(before, problem))
    if before is value:
        return
    try:
        undo.set_on_class(old, name, value)
    except (AttributeError, TypeError):
        if not (name.startswith("__") and name.endswith("__")):
            raise


def replaced(cls: type, why: CannotPatch) -> str:
    """The remark on a class that could not be changed in place."""
    return f"{cls.__qualname__} was replaced, since {why}: what was made before belongs to the old class"


def _dataclass_remarks(old: type, new: type) -> list[str]:
    if not (dataclasses.is_dataclass(old) and dataclasses.is_dataclass(new)):
        return []
    before = {field.name for field in dataclasses.fields(old)}
    added = [
        field.name for field in dataclasses.fields(new)
        if field.name not in before and field.default is dataclasses.MISSING
    ]  # fmt: skip
    if not added:
        return []
    return [f"{old.__qualname__} values made before have no {' and no '.join(map(repr, added))}: give it a default, or set it"]


def _patch_members(old: Any, new: Any, undo: UndoLog) -> None:
    """Members that are still there stay the same objects; new ones move into the old class."""
    members: dict[str, Any] = {}
    for name, made in new.__members__.items():
        before = old.__members__.get(name)
        if before is not None and type(before.value) is type(made.value) and before.value == made.value:
            members[name] = before
            continue
        try:
            undo.set(made, "__class__", old)
        except TypeError as error:
            raise CannotPatch(f"the member {name} cannot be taken over ({error})") from None
        members[name] = made
    for name in old.__members__:
        if name not in members and name in vars(old):
            undo.delete_on_class(old, name)
    for name, member in members.items():
        if name in vars(new):  # from Python 3.12 on members are attributes of the class
            undo.set_on_class(old, name, vars(new)[name] if not isinstance(vars(new)[name], new) else member)
    by_value = {}
    for name in new._member_names_:
        try:
            by_value[members[name].value] = members[name]
        except TypeError:  # not hashable; Enum searches those one by one
            continue
    undo.set_on_class(old, "_member_map_", members)
    undo.set_on_class(old, "_member_names_", list(new._member_names_))
    undo.set_on_class(old, "_value2member_map_", by_value)


def _adopt(old: type, new: type, undo: UndoLog) -> None:
    """Let everybody who took hold of the new making (registries, `super()` in methods) hold the old class instead.

    No comprehension here: it would make `new` a cell, and that cell would be found among the holders.
    """
    for holder in gc.get_referrers(new):
        if isinstance(holder, types.CellType):
            undo.set(holder, "cell_contents", old)
        elif type(holder) is dict:
            _adopt_in_dict(holder, old, new, undo)
        elif type(holder) is list:
            _adopt_in_list(holder, old, new, undo)
        elif type(holder) is set:
            undo.add(holder.add, new)
            holder.discard(new)
            if old not in holder:
                undo.add(holder.discard, old)
            holder.add(old)
        elif type(holder) is new or _is_plain(holder):
            _adopt_in_object(holder, old, new, undo)


def _adopt_in_list(holder: list[Any], old: type, new: type, undo: UndoLog) -> None:
    for place, item in enumerate(holder):
        if item is new:
            undo.add(holder.__setitem__, place, new)
            holder[place] = old


def _adopt_in_dict(holder: dict[Any, Any], old: type, new: type, undo: UndoLog) -> None:
    # sys.modules, frames and the like are left alone: only entries that hold the class itself change.
    for key in [key for key, value in holder.items() if value is new]:
        undo.set_item(holder, key, old)
    if any(key is new for key in holder):
        undo.set_item(holder, old, undo.delete_item(holder, new))


def _is_plain(holder: Any) -> bool:
    return hasattr(holder, "__dict__") and not isinstance(holder, type | types.ModuleType | types.FunctionType)


def _adopt_in_object(holder: Any, old: type, new: type, undo: UndoLog) -> None:
    if type(holder) is new:
        try:
            undo.set(holder, "__class__", old)
        except TypeError:  # of another layout after all: it keeps working with the class it has
            return
    for name in [name for name, value in vars(holder).items() if value is new] if hasattr(holder, "__dict__") else []:
        undo.set_item(vars(holder), name, old)
