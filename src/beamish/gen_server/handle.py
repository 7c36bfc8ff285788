"""Handles: a server as its clients hold it, with the methods of its class.

Each server class has a handle class, made when it is first needed. Its methods are ordinary functions with the server
methods' own signatures, so that editors, `help` and type checkers see the same, and a call costs one function call.
"""

from __future__ import annotations

import inspect
from typing import Any, Final

from beamish.errors import NoProcess
from beamish.gen_server._server import HandleBase, handle_call, handle_cast
from beamish.gen_server.client import typed_call
from beamish.gen_server.methods import Method, methods_of
from beamish.gen_server.target import RegisteredName, address, is_global, pid_of, shown
from beamish.process import current_scheduler
from beamish.term import Pid

UNSET: Final = -1.0
"""The timeout of a handle whose calls wait as long as their methods say."""


class Handle(HandleBase):
    """Stands for a server. `__target__` is what it was made of; two handles of one target are equal."""

    __slots__ = ("__weakref__",)

    server_class: type

    def __init__(self, target: Any, timeout: float | None = UNSET) -> None:
        if type(target) is not Pid:
            target = getattr(target, "__target__", target)
            if not is_global(target) and not isinstance(target, RegisteredName):
                target = address(target)
        super().__init__(target, -1 if timeout is None else timeout if timeout >= 0 else -2, current_scheduler())

    @property
    def pid(self) -> Pid:
        """The server's pid. Raises NoProcess if nobody has the name now, ValueError for a name on another node."""
        target = self.__target__
        if type(target) is Pid:
            return target
        found = pid_of(target, self._home)
        if found is None:
            raise NoProcess(f"no process is registered as {shown(target)}")
        return found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Handle) and self.__target__ == other.__target__

    def __hash__(self) -> int:
        return hash(self.__target__)

    def __repr__(self) -> str:
        return f"<{self.server_class.__qualname__} {shown(self.__target__)}>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        kind = self.server_class.__qualname__
        raise AttributeError(
            f"a handle of {kind} has the methods that {kind} marks with @call or @cast, and {name!r} is none of them; "
            "the server's own attributes live in its process")  # fmt: skip


def handle_class(cls: type) -> type[Handle]:
    """The handle class of a server class."""
    made: type[Handle] | None = cls.__dict__.get("_handle_class")
    if made is None:
        body: dict[str, Any] = {"__slots__": (), "__doc__": cls.__doc__, "server_class": cls, "__module__": cls.__module__}
        for method in methods_of(cls).values():
            if method.name in Handle.__dict__:
                raise TypeError(f"{method.described}: handles have a {method.name} of their own; give the method another name")
            body[method.name] = client_function(method)
        made = type(f"{cls.__name__}Handle", (Handle,), body)
        cls._handle_class = made  # type: ignore[attr-defined]
    return made


def client_function(method: Method) -> Any:
    """The function on the handle: the method's signature, the request as its body."""
    scope: dict[str, Any] = {"_call": handle_call, "_typed": typed_call, "_cast": handle_cast, "_tag": method.tag,
                             "_timeout": -1.0 if method.timeout is None else float(method.timeout),
                             "_raises": method.raises}  # fmt: skip
    parameters = []
    values = []
    star = False
    previous = None
    for place, each in enumerate(method.signature.parameters.values()):
        if previous is each.POSITIONAL_ONLY and each.kind is not each.POSITIONAL_ONLY:
            parameters.append("/")
        previous = each.kind
        if place == 0:
            parameters.append("_self_")
            continue
        if each.kind is each.VAR_POSITIONAL:
            parameters.append(f"*{each.name}")
            values.append(f"*{each.name}")
            star = True
            continue
        if each.kind is each.KEYWORD_ONLY and not star:
            parameters.append("*")
            star = True
        default = ""
        if each.default is not each.empty:
            scope[f"_default_{place}"] = each.default
            default = f"=_default_{place}"
        parameters.append(each.name + default)
        values.append(each.name)
    if previous is inspect.Parameter.POSITIONAL_ONLY:
        parameters.append("/")
    request = f"(_tag, {', '.join(values)})" if values else "_tag"
    if len(values) == 1 and values[0].startswith("*"):
        request = f"{request} if {values[0][1:]} else _tag"
    if not method.is_call:
        text = f"_cast(_self_, {request})"
    else:
        text = f"_call(_self_, {request}, _timeout)"
        text = f"_typed({text}, _raises)" if method.raises else text
    source = f"def {method.name}({', '.join(parameters)}):\n    return {text}\n"
    exec(compile(source, f"<handle of {method.described}>", "exec"), scope)
    made = scope[method.name]
    made.__doc__ = method.__doc__
    made.__module__ = method.function.__module__
    made.__qualname__ = f"{method.described}"
    made.__annotations__ = dict(getattr(method.function, "__annotations__", {}))
    return made


__all__ = ["Handle", "client_function", "handle_class"]
