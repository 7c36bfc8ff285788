"""What has been changed so far, so that a reload that fails half-way leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

MISSING = object()


class UndoLog:
    """Steps back, the last one first. Kept as functions and arguments: closures would hold classes in cells, and those are
    looked through when a class takes over from its new making."""

    def __init__(self) -> None:
        self._steps: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []

    def add(self, step: Callable[..., Any], *args: Any) -> None:
        """Remember how to take back what is done next."""
        self._steps.append((step, args))

    def take_over(self, other: UndoLog) -> None:
        """What another log could take back, this one can now."""
        self._steps += other._steps

    def roll_back(self) -> None:
        """Take everything back."""
        while self._steps:
            step, args = self._steps.pop()
            step(*args)

    def set(self, owner: Any, name: str, value: Any) -> None:
        """setattr that can be taken back."""
        old = getattr(owner, name, MISSING)
        if old is MISSING:
            self.add(delattr, owner, name)
        else:
            self.add(setattr, owner, name, old)
        setattr(owner, name, value)

    def set_item(self, mapping: dict[Any, Any], key: Any, value: Any) -> None:
        """mapping[key] = value that can be taken back."""
        old = mapping.get(key, MISSING)
        if old is MISSING:
            self.add(mapping.pop, key, None)
        else:
            self.add(mapping.__setitem__, key, old)
        mapping[key] = value

    def delete_item(self, mapping: dict[Any, Any], key: Any) -> Any:
        """mapping.pop(key) that can be taken back."""
        value = mapping.pop(key)
        self.add(mapping.__setitem__, key, value)
        return value

    def set_on_class(self, cls: type, name: str, value: Any) -> None:
        """Set an attribute of a class, whatever its metaclass thinks of it."""
        old = vars(cls).get(name, MISSING)
        if old is MISSING:
            self.add(type.__delattr__, cls, name)
        else:
            self.add(type.__setattr__, cls, name, old)
        type.__setattr__(cls, name, value)

    def delete_on_class(self, cls: type, name: str) -> None:
        """Remove an attribute of a class."""
        self.add(type.__setattr__, cls, name, vars(cls)[name])
        type.__delattr__(cls, name)
