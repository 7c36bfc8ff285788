"""Elixir structs and the Python classes that stand for them.

A struct is a map with the module's atom under `__struct__`. A registered class replaces the map on both sides, under
one law: nothing may be lost. So a reader that cannot rebuild the very same map from its value returns None, and the
term stays a dict.

    @struct("Elixir.Shop.Order")
    @dataclass(frozen=True)
    class Order:
        id: int
        total: Decimal
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

from beamish.term._atom import Atom, atom

ToMap = Callable[[Any], dict[Any, Any]]
FromMap = Callable[[dict[Any, Any]], Any]
C = TypeVar("C", bound=type)

STRUCT = atom("__struct__")

# Filled when modules load, as copyreg's table is; not state of a node.
_readers: dict[Any, FromMap] = {}
_writers: dict[type, ToMap] = {}
_classes: dict[Any, type] = {}


def register_struct(name: Atom | str, cls: type, *, to_map: ToMap | None = None, from_map: FromMap | None = None) -> None:
    """Let cls stand for the struct of that module, "Elixir.My.Thing".

    to_map gives the map (with atom keys, `__struct__` may be left out); from_map gives the value, or None where it
    would lose something. A dataclass needs neither: its fields are the keys, and a field whose key is not a Python
    name says so with `field(metadata={"key": "valid?"})`. Raises TypeError for another class without the two
    functions, ValueError if the struct already has another class; the same class may come again, from reloaded code.
    """
    module = atom(name)
    known = _classes.get(module, cls)
    if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ValueError(f"the struct {module} is already {known.__qualname__}; register each struct once")
    if to_map is None or from_map is None:
        if not dataclasses.is_dataclass(cls):
            raise TypeError(f"{cls.__name__} is not a dataclass: give register_struct its to_map and from_map")
        to_map, from_map = _dataclass_functions(cls)
    read_struct(module, from_map)
    write_struct(module, cls, to_map)
    _classes[module] = cls


def read_struct(name: Atom | str, from_map: FromMap) -> None:
    """Have structs of that module read by from_map, which gives None where it would lose something."""
    _readers[atom(name)] = from_map


def write_struct(name: Atom | str, cls: type, to_map: ToMap) -> None:
    """Have values of cls sent as structs of that module. to_map may name another module under `__struct__`."""
    module = atom(name)
    _writers[cls] = lambda value: {STRUCT: module, **to_map(value)}


def struct(name: Atom | str) -> Callable[[C], C]:
    """Class decorator: this dataclass stands for the struct of that module."""

    def register(cls: C) -> C:
        register_struct(name, cls)
        return cls

    return register


def from_map(fields: dict[Any, Any]) -> Any:
    """The registered value of a map with `__struct__`, or the map itself. Never raises."""
    name = fields.get(STRUCT)
    reader = _readers.get(name) if isinstance(name, Atom) else None
    if reader is None:
        return fields
    try:
        value = reader(fields)
    except Exception:
        # A peer may send anything under a known name; what does not fit the class is still a map.
        return fields
    return fields if value is None else value


def to_map_of(cls: type) -> ToMap | None:
    """The function that turns a value of cls, or of a registered parent class, into its map."""
    writer = _writers.get(cls)
    if writer is None:
        for parent in cls.__mro__[1:-1]:
            writer = _writers.get(parent)
            if writer is not None:
                break
    return writer


def _dataclass_functions(cls: type) -> tuple[ToMap, FromMap]:
    names: dict[Any, str] = {}
    for field in dataclasses.fields(cls):
        if not field.init:
            raise TypeError(f"{cls.__name__}.{field.name} has init=False: it could not be read back")
        names[atom(field.metadata.get("key", field.name))] = field.name
    keys = frozenset(names) | {STRUCT}

    def to_map(value: Any) -> dict[Any, Any]:
        return {key: getattr(value, name) for key, name in names.items()}

    def from_map(fields: dict[Any, Any]) -> Any:
        if fields.keys() != keys:
            return None
        return cls(**{name: fields[key] for key, name in names.items()})

    return to_map, from_map
