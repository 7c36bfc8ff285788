"""What converters are made of: the error, the plain types, and containers of converted members.

Pure; `convert` puts them together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, get_args

from beamish.errors import BeamishError
from beamish.term._atom import Atom, atom
from beamish.term.chardata import ChardataError, text

Converter = Callable[[Any], Any]
MAX_SHOWN: Final = 200


class Mismatch(BeamishError, TypeError):
    """A value that cannot be made to fit an annotation; the message says which part of it."""


def shown_value(value: Any) -> str:
    """A value for a message: its repr, cut. A value whose repr fails is named by its type."""
    try:
        made = repr(value)
    except Exception as error:
        return f"<{type(value).__name__} whose repr raised {type(error).__name__}>"
    return made if len(made) <= MAX_SHOWN else f"{made[:MAX_SHOWN]}… ({len(made)} characters)"


def annotation_name(annotation: Any) -> str:
    """An annotation as its author wrote it."""
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation.__qualname__ if annotation is not type(None) else "None"
    return str(annotation).replace("typing.", "")


def mismatch(value: Any, annotation: Any) -> Mismatch:
    """The error for a value that does not fit."""
    return Mismatch(f"{shown_value(value)} is no {annotation_name(annotation)}")


def inside(where: str, error: Mismatch) -> Mismatch:
    """The same error, seen from one level further out."""
    return Mismatch(f"{where}: {error}")


def to_none(value: Any) -> Any:
    """Only None."""
    if value is not None:
        raise mismatch(value, None)
    return None


def to_str(value: Any) -> Any:
    """Text, from any chardata."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes | list):
        try:
            return text(value)
        except ChardataError as error:
            raise Mismatch(f"{shown_value(value)} is no text: {error}") from None
    raise mismatch(value, str)


def to_int(value: Any) -> Any:
    """An integer."""
    if isinstance(value, int):
        return value
    raise mismatch(value, int)


def to_float(value: Any) -> Any:
    """A float, also from an integer."""
    if isinstance(value, float):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise mismatch(value, float) from None
    raise mismatch(value, float)


def instance_of(kind: type) -> Converter:
    """An instance of a class."""
    def convert(value: Any) -> Any:
        if isinstance(value, kind):
            return value
        raise mismatch(value, kind)

    return convert


SIMPLE: Final[dict[type, Converter | None]] = {str: to_str, int: to_int, float: to_float, object: None}


def hooked(kind: type, hook: Converter) -> Converter:
    """What a class's own `__from_term__` makes."""
    def convert(value: Any) -> Any:
        made = hook(value)
        if made is NotImplemented:
            raise mismatch(value, kind)
        return made

    return convert


def plain_text(value: Any) -> str | None:
    """The text of an atom, a binary or a str; None for anything else."""
    if isinstance(value, Atom):
        return value.text
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return None
    return None


def literal(annotation: Any) -> Converter:
    """One of several constants."""
    allowed = get_args(annotation)
    texts = {plain_text(value): value for value in allowed if plain_text(value) is not None}

    def convert(value: Any) -> Any:
        for one in allowed:
            if one is value or (type(one) is type(value) and one == value):
                return one
        found = plain_text(value)
        if found is None or found not in texts:
            raise mismatch(value, annotation)
        return texts[found]

    return convert


def member_of(kind: Any) -> Converter:
    """A member of an Enum."""
    texts: dict[str, Any] = {}
    for name, member in kind.__members__.items():
        texts.setdefault(name, member)
    for member in kind:
        found = plain_text(member.value)
        if found is not None:
            texts[found] = member  # a value counts before a name
    # atom("true") and atom("nil") are Python's own constants
    odd = [(atom(found), member) for found, member in texts.items() if found in ("true", "false", "nil")]

    def convert(value: Any) -> Any:
        if isinstance(value, kind):
            return value
        found = plain_text(value)
        if found is not None and found in texts:
            return texts[found]
        for one, member in odd:
            if one is value:
                return member
        if not isinstance(value, bool):
            try:
                return kind(value)
            except (ValueError, TypeError):
                pass
        raise mismatch(value, kind)

    return convert


def members(value: Any, converters: tuple[Converter | None, ...], make: Callable[[list[Any]], Any]) -> Any:
    """A sequence with its members converted; itself if nothing changed."""
    items: list[Any] | None = None
    for place, converter in enumerate(converters):
        if converter is None:
            continue
        item = value[place]
        try:
            made = converter(item)
        except Mismatch as error:
            raise inside(f"member {place + 1}", error) from None
        if made is not item:
            if items is None:
                items = list(value)
            items[place] = made
    if items is None and make in (tuple, list):
        return value
    return make(list(value) if items is None else items)


def listed(annotation: Any, each: Converter | None, *, strict: bool) -> Converter | None:
    """A list, or (not strict) another sequence as it is."""
    if not strict and each is None:
        return None

    def convert(value: Any) -> Any:
        if not isinstance(value, list):
            if strict:
                raise mismatch(value, annotation)
            return value  # some other sequence or iterable
        return value if each is None else members(value, (each,) * len(value), list)

    return convert


def set_of(annotation: Any, each: Converter | None) -> Converter:
    """A set."""
    def convert(value: Any) -> Any:
        if not isinstance(value, set | frozenset):
            raise mismatch(value, annotation)
        if each is None:
            return value
        made = [each(item) for item in value]
        return value if all(new is old for new, old in zip(made, value, strict=True)) else type(value)(made)

    return convert


def mapped(annotation: Any, key_of: Converter | None, value_of: Converter | None) -> Converter:
    """A mapping."""
    def convert(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise mismatch(value, annotation)
        if key_of is None and value_of is None:
            return value
        made: dict[Any, Any] = {}
        changed = False
        for key, item in value.items():
            try:
                new_key = key if key_of is None else key_of(key)
                new_item = item if value_of is None else value_of(item)
            except Mismatch as error:
                raise inside(f"key {shown_value(key)}", error) from None
            changed = changed or new_key is not key or new_item is not item
            made[new_key] = new_item
        return made if changed else value

    return convert


def fields_of(
    value: Mapping[Any, Any], kind: Any, keys: dict[str, str], fields: dict[str, Converter | None], required: Any,
) -> dict[str, Any]:  # fmt: skip
    """A map's items as keyword arguments."""
    made: dict[str, Any] = {}
    for key, item in value.items():
        found = plain_text(key)
        if found == "__struct__":
            continue
        name = keys.get(found) if found is not None else None
        if name is None:
            raise Mismatch(f"{kind.__name__} has no field {shown_value(key)}; its fields are {', '.join(keys)}")
        converter = fields[name]
        try:
            made[name] = item if converter is None else converter(item)
        except Mismatch as error:
            raise inside(f"field {name}", error) from None
    missing = [name for name in required if name not in made]
    if missing:
        raise Mismatch(f"{kind.__name__} needs {', '.join(sorted(missing))}, and {shown_value(value)} has not")
    return made


__all__ = [
    "SIMPLE",
    "Converter",
    "Mismatch",
    "annotation_name",
    "fields_of",
    "hooked",
    "inside",
    "instance_of",
    "listed",
    "literal",
    "mapped",
    "member_of",
    "members",
    "mismatch",
    "plain_text",
    "set_of",
    "shown_value",
    "to_float",
    "to_int",
    "to_none",
    "to_str",
]
