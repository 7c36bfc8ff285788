"""Text across a call: Erlang's and Elixir's strings arrive as bytes or lists of code points, Python wants str.

A parameter annotated ``str`` (or ``str | None``, ``list[str]``) gets one, whatever form of text the caller sent; other
parameters get the term as it is, and a function without such annotations is called directly (design, D3).
"""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable
from typing import Any, Final

from beamish.term import text
from beamish.term.chardata import ChardataError

Converter = Callable[[Any], Any]
_UNIONS: Final = (typing.Union, types.UnionType)


def _to_str(value: Any) -> Any:
    return text(value) if isinstance(value, bytes | list) else value


def _to_strs(value: Any) -> Any:
    return [_to_str(item) for item in value] if isinstance(value, list) else value


def converter_of(annotation: Any) -> Converter | None:
    """What turns a term into what the annotation says; None where nothing is to be done."""
    if annotation is str:
        return _to_str
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in _UNIONS and set(inner) == {str, type(None)}:
        return _to_str
    if origin is list and inner == (str,):
        return _to_strs
    return None


def converters_of(function: Callable[..., Any], arity: int) -> list[Converter | None]:
    """A converter, or None, for each of so many arguments."""
    called = function if inspect.isroutine(function) else getattr(type(function), "__call__", function)  # noqa: B004
    try:
        hints = typing.get_type_hints(called)
        parameters = list(inspect.signature(function).parameters.values())
    except (NameError, TypeError, ValueError, AttributeError):  # annotations that cannot be read are as good as none
        return [None] * arity
    found: list[Converter | None] = []
    for parameter in parameters:
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            found.append(converter_of(hints.get(parameter.name)))
        elif parameter.kind is parameter.VAR_POSITIONAL:
            found += [converter_of(hints.get(parameter.name))] * max(0, arity - len(found))
    return (found + [None] * arity)[:arity]


def typed(function: Callable[..., Any], arity: int) -> Callable[..., Any]:
    """The function itself, or one that converts its arguments first. Raises TypeError for text that cannot be read."""
    converters = converters_of(function, arity)
    if not any(converters):
        return function

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        return function(*(_convert(args, place, each) for place, each in enumerate(converters)))

    return call


def _convert(args: tuple[Any, ...], place: int, converter: Converter | None) -> Any:
    if converter is None:
        return args[place]
    try:
        return converter(args[place])
    except ChardataError as error:
        raise TypeError(f"argument {place + 1} is to be text, but {error}") from None
