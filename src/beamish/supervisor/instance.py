"""A child of a dynamic supervisor that is written ``(Class, arguments...)``: the class's own specification, shared by all of them,
and the arguments of this one. A million such children cost a million argument tuples, and not as many specifications."""

from __future__ import annotations

from typing import Any

from beamish.gen_server.child_spec import ChildSpec


class Instance:
    """Has what a ChildSpec has."""

    __slots__ = ("args", "cls", "spec")

    def __init__(self, cls: Any, args: tuple[Any, ...], spec: ChildSpec) -> None:
        self.cls = cls
        self.args = args
        self.spec = spec

    @property
    def start(self) -> Any:
        """The start function with this one's arguments."""
        return self.cls.start_link, self.args

    def __getattr__(self, name: str) -> Any:
        return getattr(self.spec, name)

    def __repr__(self) -> str:
        return f"Instance({self.cls.__qualname__}, {self.args!r})"


__all__ = ["Instance"]
