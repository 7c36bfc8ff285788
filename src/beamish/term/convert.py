"""Terms into what annotations ask for: the converter of every typed border (design, D3). Pure.

    converter_of(list[str])([b"a", "b"])        ["a", "b"]
    converter_of(Point)({atom.x: 1, b"y": 2})   Point(x=1, y=2)

Terms say less than Python's types: text comes as bytes or a list of code points, a struct as a map, an enum's member as an
atom. A value that fits the annotation already is given back as it is. One that cannot be made to fit raises `Mismatch`, which
says where in the value the fault is. Annotations that say nothing a term could be held to (Any, protocols, type variables,
callables) convert nothing.

| annotation | takes besides its own values |
|---|---|
| str | UTF-8 bytes, charlists |
| float | int |
| Enum, Literal | atoms, and text, of the value or (Enum) the member's name |
| dataclass, TypedDict | maps with atom, bytes or str keys |
| NamedTuple, tuple[...], list[T], set[T], dict[K, V] | the same with members that can be converted |
| Union, Optional | what its first member that takes the value makes of it |
| a class with `__from_term__` | what that gives; it raises Mismatch or gives NotImplemented for what it does not know |
"""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Final

from beamish.term._atom import Atom
from beamish.term.conversions import (
    SIMPLE,
    Converter,
    Mismatch,
    annotation_name,
    fields_of,
    hooked,
    inside,
    instance_of,
    listed,
    literal,
    mapped,
    member_of,
    members,
    mismatch,
    set_of,
    shown_value,
    to_none,
)

_UNIONS: Final = (typing.Union, types.UnionType)
_SEQUENCES: Final = (list, collections.abc.Sequence, collections.abc.MutableSequence, collections.abc.Iterable,
                     collections.abc.Collection)  # fmt: skip
_MAPPINGS: Final = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_SETS: Final = (set, frozenset, collections.abc.Set, collections.abc.MutableSet)
_FREE: Final = (object, Any)


def hints_of(function: Callable[..., Any], *, extras: bool = False) -> dict[str, Any]:
    """A function's annotations, resolved; those that cannot be are left out, each by itself."""
    try:
        return typing.get_type_hints(function, include_extras=extras)
    except Exception:  # one name that is only known to a type checker shall not take the others along
        pass
    found: dict[str, Any] = {}
    inner = function
    while hasattr(inner, "__wrapped__"):
        inner = inner.__wrapped__
    scope = getattr(inner, "__globals__", {})
    for name, annotation in getattr(function, "__annotations__", {}).items():
        if not isinstance(annotation, str):
            found[name] = annotation
            continue
        try:
            found[name] = eval(annotation, scope)  # what get_type_hints does: the text is the program's own source
        except Exception:  # an annotation that cannot be read is as good as none
            continue
    return found


def exact_type(annotation: Any) -> type | None:
    """A type whose own instances always fit, so that a look at the type is the whole check; None if there is none."""
    plain = (int, str, bytes, bool, Atom, list, dict, tuple, set)
    if isinstance(annotation, type) and annotation in plain:
        return annotation
    if annotation is float:
        return float
    return None


def converter_of(annotation: Any) -> Converter | None:
    """What turns a term into what the annotation says; None where nothing is to be done."""
    return _Builder().converter(annotation)


class _Builder:
    """Makes converters; knows the dataclasses under way, for they may contain themselves."""

    def __init__(self) -> None:
        self.made: dict[Any, Converter] = {}

    def converter(self, annotation: Any) -> Converter | None:
        if annotation in _FREE if _hashable(annotation) else False:
            return None
        if annotation is None or annotation is type(None):
            return to_none
        origin = typing.get_origin(annotation)
        if origin is typing.Annotated or origin in (typing.Final, typing.ClassVar, typing.Required, typing.NotRequired):
            return self.converter(typing.get_args(annotation)[0])
        if origin is typing.Literal:
            return literal(annotation)
        if origin in _UNIONS:
            return self.union(annotation)
        if origin is not None:
            return self.generic(annotation, origin)
        supertype = getattr(annotation, "__supertype__", None)
        if supertype is not None:  # NewType
            return self.converter(supertype)
        if isinstance(annotation, type):
            return self.plain(annotation)
        return None

    def plain(self, kind: type) -> Converter | None:
        if kind in SIMPLE:
            return SIMPLE[kind]
        if kind in self.made:
            return self.made[kind]
        hook = getattr(kind, "__from_term__", None)
        if hook is not None:
            return hooked(kind, hook)
        if issubclass(kind, enum.Enum):
            return member_of(kind)
        if dataclasses.is_dataclass(kind):
            return self.dataclass(kind)
        if typing.is_typeddict(kind):
            return self.typed_dict(kind)
        if issubclass(kind, tuple) and hasattr(kind, "_fields"):
            return self.named_tuple(kind)
        if getattr(kind, "_is_protocol", False) or kind in (type, types.FunctionType):
            return None
        return instance_of(kind)

    def union(self, annotation: Any) -> Converter | None:
        members = typing.get_args(annotation)
        converters = [self.converter(member) for member in members]
        if any(converter is None for converter in converters):
            return None
        exact = tuple(member for member in members if isinstance(member, type) and typing.get_origin(member) is None
                      and not typing.is_typeddict(member) and not getattr(member, "_is_protocol", False))  # fmt: skip

        origins = [typing.get_origin(member) for member in members]

        def convert(value: Any) -> Any:
            if isinstance(value, exact):
                return value
            for likely in (True, False):  # a list goes to list[int] before it is read as text
                for origin, converter in zip(origins, converters, strict=True):
                    if (isinstance(origin, type) and isinstance(value, origin)) is not likely:
                        continue
                    try:
                        return converter(value)  # type: ignore[misc]
                    except Mismatch:
                        continue
            raise mismatch(value, annotation)

        return convert

    def generic(self, annotation: Any, origin: Any) -> Converter | None:
        inner = typing.get_args(annotation)
        if origin in _SEQUENCES and len(inner) == 1:
            return listed(annotation, self.converter(inner[0]), strict=origin is list)
        if origin is tuple:
            return self.tuple(annotation, inner)
        if origin in _MAPPINGS and len(inner) == 2:
            return mapped(annotation, self.converter(inner[0]), self.converter(inner[1]))
        if origin in _SETS and len(inner) == 1:
            return set_of(annotation, self.converter(inner[0]))
        if isinstance(origin, type) and dataclasses.is_dataclass(origin):
            return self.dataclass(origin)
        if isinstance(origin, type) and origin.__module__ not in ("collections.abc", "typing", "builtins"):
            return self.plain(origin)
        return None

    def tuple(self, annotation: Any, inner: tuple[Any, ...]) -> Converter:
        if len(inner) == 2 and inner[1] is Ellipsis:
            each = self.converter(inner[0])

            def every(value: Any) -> Any:
                if not isinstance(value, tuple):
                    raise mismatch(value, annotation)
                return value if each is None else members(value, (each,) * len(value), tuple)

            return every
        converters = tuple(self.converter(member) for member in inner)

        def convert(value: Any) -> Any:
            if not isinstance(value, tuple) or len(value) != len(converters):
                raise mismatch(value, annotation)
            return members(value, converters, tuple)

        return convert

    def named_tuple(self, kind: Any) -> Converter:
        hints = hints_of(kind)
        converters = tuple(self.converter(hints.get(name, Any)) for name in kind._fields)

        def convert(value: Any) -> Any:
            if isinstance(value, kind):
                return value
            if not isinstance(value, tuple) or len(value) != len(converters):
                raise mismatch(value, kind)
            return members(value, converters, lambda items: kind(*items))

        return convert

    def dataclass(self, kind: Any) -> Converter:
        fields: dict[str, Converter | None] = {}
        required: set[str] = set()
        keys: dict[str, str] = {}

        def convert(value: Any) -> Any:
            if isinstance(value, kind):
                return value
            if not isinstance(value, Mapping):
                raise mismatch(value, kind)
            return kind(**fields_of(value, kind, keys, fields, required))

        self.made[kind] = convert
        hints = hints_of(kind)
        for field in dataclasses.fields(kind):
            if not field.init:
                continue
            keys[str(field.metadata.get("key", field.name))] = field.name
            fields[field.name] = self.converter(hints.get(field.name, Any))
            if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
                required.add(field.name)
        return convert

    def typed_dict(self, kind: Any) -> Converter:
        fields: dict[str, Converter | None] = {}
        keys: dict[str, str] = {}
        required: set[str] = set(kind.__required_keys__)

        def convert(value: Any) -> Any:
            if not isinstance(value, Mapping):
                raise mismatch(value, kind)
            return fields_of(value, kind, keys, fields, required)

        self.made[kind] = convert
        hints = hints_of(kind, extras=True)
        for name, hint in hints.items():
            keys[name] = name
            fields[name] = self.converter(hint)
            # Under postponed annotations Python does not see these two by itself.
            if typing.get_origin(hint) is typing.Required:
                required.add(name)
            elif typing.get_origin(hint) is typing.NotRequired:
                required.discard(name)
        return convert


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


__all__ = [
    "Converter", "Mismatch", "annotation_name", "converter_of", "exact_type", "hints_of", "inside", "mismatch", "shown_value",
]  # fmt: skip
