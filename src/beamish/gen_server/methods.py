"""`@call` and `@cast`: typed methods, their requests, and the client functions that send them.

A method `def increment(self, by: int = 1) -> int` takes the requests `(atom.increment, 5)` and `atom.increment`. On a handle it is
a function with the same parameters, whose defaults and keywords are bound before the request is sent.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar, overload

from beamish.errors import BeamishError
from beamish.gen_server.results import NoReply, Reply, Stop
from beamish.process import current_process
from beamish.process.gen import CALL_TIMEOUT
from beamish.process.gen import cast as send_cast
from beamish.term import Atom, atom
from beamish.term.convert import Converter, Mismatch, converter_of, exact_type, hints_of, shown_value

P = ParamSpec("P")
S = TypeVar("S")
R = TypeVar("R")

_POSITIONAL: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class CallsItself(BeamishError, RuntimeError):
    """A server called its own @call method: it would wait for itself for ever."""


class ArgumentMismatch(Mismatch):
    """A request whose argument cannot be made to fit the method's annotation."""


class Method:
    """One typed method: what a request is checked against, and how clients send it."""

    owner: type | None = None
    converters: tuple[Converter | None, ...] | None = None

    def __init__(
        self, function: Callable[..., Any], *, is_call: bool, timeout: float | None, raises: tuple[type[Exception], ...],
    ) -> None:  # fmt: skip
        self.function = function
        self.is_call = is_call
        self.timeout = timeout
        self.raises = raises
        self.__doc__ = function.__doc__
        self.name = function.__name__
        self.read_signature()

    def read_signature(self) -> None:
        """Which arguments a request may carry. Raises TypeError for a method that no request could call."""
        self.signature = inspect.signature(self.function)
        named = f"{getattr(self.function, '__qualname__', self.name)}: "
        parameters = list(self.signature.parameters.values())
        if not parameters or parameters[0].kind not in _POSITIONAL:
            raise TypeError(named + "a @call or @cast method needs self as its first parameter")
        tag = atom(self.name)
        if not isinstance(tag, Atom):
            raise TypeError(named + f"a method cannot be called {self.name}, for {tag!r} is no name of a request")
        self.tag = tag
        rest = parameters[1:]
        self.keywords = tuple(each.name for each in rest if each.kind is each.KEYWORD_ONLY)
        self.variadic = any(each.kind is each.VAR_POSITIONAL for each in rest)
        if any(each.kind is each.VAR_KEYWORD for each in rest):
            raise TypeError(named + "a request is a tuple and cannot carry **keywords; give the parameters names")
        if self.variadic and self.keywords:
            raise TypeError(named + "keyword parameters after *args would have no place in the request")
        self.kinds = tuple(each for each in rest if each.kind is not each.VAR_POSITIONAL)
        self.least = sum(each.default is each.empty for each in self.kinds)
        self.most = len(self.kinds)

    def __set_name__(self, owner: type, name: str) -> None:
        self.owner = owner
        if name != self.name:
            self.name = name
            self.read_signature()

    @property
    def described(self) -> str:
        """`Counter.increment`."""
        owner = f"{self.owner.__qualname__}." if self.owner is not None else ""
        return owner + self.name

    @property
    def takes(self) -> str:
        """How many arguments a request has, in words."""
        if self.variadic:
            return f"{self.least} or more arguments"
        count = str(self.least) if self.least == self.most else f"{self.least} to {self.most}"
        return f"{count} argument{'' if count == '1' else 's'}"

    def fits(self, count: int) -> bool:
        """Whether a request may have so many arguments."""
        return self.least <= count and (self.variadic or count <= self.most)

    def prepare(self) -> tuple[Converter | None, ...]:
        """The converters of the parameters, made when the first request comes: annotations may name later classes."""
        hints = hints_of(self.function)
        made = [converter_of(hints.get(each.name, Any)) for each in self.kinds]
        if self.variadic:
            (rest,) = (each for each in self.signature.parameters.values() if each.kind is each.VAR_POSITIONAL)
            made.append(converter_of(hints.get(rest.name, Any)))
        self.converters = tuple(made)
        return self.converters

    def prepared(self) -> tuple[tuple[type | None, ...], tuple[Converter | None, ...]]:
        """For each parameter a type whose instances need no conversion, and the converter."""
        hints = hints_of(self.function)
        return tuple(exact_type(hints.get(each.name, Any)) for each in self.kinds), self.converters or self.prepare()

    def invoke(self, instance: Any, args: tuple[Any, ...]) -> Any:
        """Call the method with a request's arguments, converted. Raises ArgumentMismatch."""
        converters = self.converters
        if converters is None:
            converters = self.prepare()
        changed: list[Any] | None = None
        last = len(converters) - 1
        for place, value in enumerate(args):
            converter = converters[place if place < last else last] if last >= 0 else None
            if converter is None:
                continue
            try:
                made = converter(value)
            except Mismatch as error:
                raise self.refused(place, value, error) from None
            if made is not value:
                if changed is None:
                    changed = list(args)
                changed[place] = made
        if changed is not None:
            args = tuple(changed)
        if self.keywords:
            plain = self.most - len(self.keywords)
            return self.function(instance, *args[:plain], **dict(zip(self.keywords, args[plain:], strict=False)))
        return self.function(instance, *args)

    def refused(self, place: int, value: Any, error: Mismatch) -> ArgumentMismatch:
        """The error for an argument that does not fit: which method, which argument, which value."""
        name = self.kinds[place].name if place < len(self.kinds) else f"{place + 1}"
        text = str(error)
        shown = shown_value(value)
        return ArgumentMismatch(f"{self.described}: argument {name}: {text}" + ("" if shown in text else f" (in {shown})"))

    def declared(self, error: BaseException) -> type[Exception] | None:
        """The class among `raises` under which an exception goes back to the caller; None if it is none of them."""
        if type(error) in self.raises:
            return type(error)  # type: ignore[return-value]
        for kind in self.raises:
            if isinstance(error, kind):
                return kind
        return None

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        if getattr(type(instance), self.name, None) is not self:
            return self.function.__get__(instance, owner)  # super().method(): the plain code of the class above
        return BoundMethod(self, instance)

    def __call__(self, instance: Any, *args: Any, **kwargs: Any) -> Any:
        """`Counter.increment(handle, 5)` is `handle.increment(5)`; with an instance it runs the plain code."""
        client = getattr(instance, "__target__", None)
        if client is not None:
            return getattr(instance, self.name)(*args, **kwargs)
        return self.function(instance, *args, **kwargs)

    def request(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The request for these arguments, defaults filled in."""
        bound = self.signature.bind(None, *args, **kwargs)
        bound.apply_defaults()
        values = (*bound.args[1:], *bound.kwargs.values())
        return (self.tag, *values) if values else self.tag

    def __repr__(self) -> str:
        return f"<@{'call' if self.is_call else 'cast'} {self.described}{self.signature}>"


class BoundMethod:
    """A typed method as the server's own code sees it, `self.increment`."""

    __slots__ = ("instance", "method")

    def __init__(self, method: Method, instance: Any) -> None:
        self.method = method
        self.instance = instance

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """A cast goes to the server itself; a call is refused, unless another process makes it."""
        method, instance = self.method, self.instance
        request = method.request(args, kwargs)
        here = current_process()
        if not method.is_call:
            send_cast(instance.pid, request)
            return None
        if here is not None and here.pid == instance.pid:
            raise CallsItself(
                f"{method.described} was called by its own server, which would wait for itself for ever: put the code that both "
                "need into a method without @call, or make it a @cast, or give Continue(...)")  # fmt: skip
        return getattr(type(instance).at(instance.pid), method.name)(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<{self.method!r} of {self.instance!r}>"


class CallDecorator(Protocol):
    """`@call(...)` with options."""

    # A method's result is what its callers get, less what only says how they get it. The first overload is for methods
    # that never answer themselves, the second for those that give nothing but a Reply.
    @overload
    def __call__(
        self, function: Callable[Concatenate[S, P], Coroutine[Any, Any, NoReply | Stop]], /
    ) -> Callable[Concatenate[S, P], Awaitable[Any]]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[S, P], Coroutine[Any, Any, Reply[R] | NoReply | Stop]], /
    ) -> Callable[Concatenate[S, P], Awaitable[R]]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[S, P], Coroutine[Any, Any, Reply[R] | NoReply | Stop | R]], /
    ) -> Callable[Concatenate[S, P], Awaitable[R]]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[S, P], NoReply | Stop], /
    ) -> Callable[Concatenate[S, P], Awaitable[Any]]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[S, P], Reply[R] | NoReply | Stop], /
    ) -> Callable[Concatenate[S, P], Awaitable[R]]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[S, P], Reply[R] | NoReply | Stop | R], /
    ) -> Callable[Concatenate[S, P], Awaitable[R]]: ...


@overload
def call(
    function: Callable[Concatenate[S, P], Coroutine[Any, Any, NoReply | Stop]], /
) -> Callable[Concatenate[S, P], Awaitable[Any]]: ...
@overload
def call(
    function: Callable[Concatenate[S, P], Coroutine[Any, Any, Reply[R] | NoReply | Stop]], /
) -> Callable[Concatenate[S, P], Awaitable[R]]: ...
@overload
def call(
    function: Callable[Concatenate[S, P], Coroutine[Any, Any, Reply[R] | NoReply | Stop | R]], /
) -> Callable[Concatenate[S, P], Awaitable[R]]: ...
@overload
def call(
    function: Callable[Concatenate[S, P], NoReply | Stop], /
) -> Callable[Concatenate[S, P], Awaitable[Any]]: ...
@overload
def call(
    function: Callable[Concatenate[S, P], Reply[R] | NoReply | Stop], /
) -> Callable[Concatenate[S, P], Awaitable[R]]: ...
@overload
def call(
    function: Callable[Concatenate[S, P], Reply[R] | NoReply | Stop | R], /
) -> Callable[Concatenate[S, P], Awaitable[R]]: ...
@overload
def call(*, timeout: float | None = CALL_TIMEOUT, raises: tuple[type[Exception], ...] = ()) -> CallDecorator: ...
def call(
    function: Any = None, /, *, timeout: float | None = CALL_TIMEOUT, raises: tuple[type[Exception], ...] = (),
) -> Any:  # fmt: skip
    """Make a method answer calls: on a handle it is awaited and gives what the method returned.

    timeout: seconds its callers wait by default, None for ever. raises: exceptions that are an answer and no crash: the caller
    gets `(atom.error, (atom.exception, Type, Message))`, and a handle raises the exception again.
    """
    raises = raises if isinstance(raises, tuple) else (raises,)
    for kind in raises:
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise TypeError(f"@call(raises=...) takes exception classes, not {kind!r}")
    if function is None:
        return lambda given: Method(given, is_call=True, timeout=timeout, raises=raises)
    return Method(function, is_call=True, timeout=timeout, raises=raises)


def cast(function: Callable[Concatenate[S, P], Any], /) -> Callable[Concatenate[S, P], None]:
    """Make a method answer casts: on a handle it sends and returns at once; what the method returns is as for `handle_cast`."""
    made: Any = Method(function, is_call=False, timeout=None, raises=())
    return made  # type: ignore[no-any-return]


def methods_of(cls: type) -> dict[Atom, Method]:
    """The typed methods of a class, by the atom that requests carry."""
    table = cls.__dict__.get("_typed_methods")
    if table is None:
        table = {}
        for name in dir(cls):
            found = inspect.getattr_static(cls, name, None)
            if isinstance(found, Method):
                table[found.tag] = found
        cls._typed_methods = table  # type: ignore[attr-defined]
    return table


def forget(cls: type) -> None:
    """The class was changed in place (its code was reloaded): look at it and its subclasses anew."""
    for name in ("_typed_methods", "_entries", "_handle_class"):
        if name in cls.__dict__:
            delattr(cls, name)
    below: type
    for below in type.__subclasses__(cls):
        forget(below)


__all__ = ["ArgumentMismatch", "BoundMethod", "CallDecorator", "CallsItself", "Method", "call", "cast", "forget", "methods_of"]
