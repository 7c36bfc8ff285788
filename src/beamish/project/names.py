"""Names of projects and of their packages. Pure.

    "my-shop" -> package my_shop, application class MyShop
"""

from __future__ import annotations

import keyword
import re
import sys
from typing import Final

_PROJECT: Final = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_PACKAGE: Final = re.compile(r"[a-z][a-z0-9_]*")
_TAKEN: Final = frozenset(("beamish", "config", "tests", "pytest", "python"))
"""Names that mean something else in a project's folder."""


class BadName(ValueError):
    """A name that cannot be used; the text says why and proposes another."""


def package_name(project: str) -> str:
    """The package of a project of that name. Raises BadName."""
    if not _PROJECT.fullmatch(project):
        raise BadName(f"{project!r} is no name for a project: lower-case letters, digits and _ are{_proposal(project)}")
    return checked_package(project.replace("-", "_"))


def checked_package(name: str) -> str:
    """The name itself, if a package can have it. Raises BadName."""
    if not _PACKAGE.fullmatch(name):
        raise BadName(f"{name!r} is no name for a package: lower-case letters, digits and _ are{_proposal(name)}")
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        raise BadName(f"{name!r} is a word of Python's own; call it my_{name}, or give --module another name")
    if name in sys.stdlib_module_names:
        raise BadName(f"{name!r} is a module of Python's standard library; call it my_{name}, or give --module another name")
    if name in _TAKEN:
        raise BadName(f"{name!r} has another meaning in a project; call it my_{name}, or give --module another name")
    return name


def class_name(package: str) -> str:
    """my_shop as a class: MyShop."""
    return "".join(part.capitalize() for part in package.split("_") if part)


def _proposal(name: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    proposed = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
    proposed = re.sub(r"^\d+_*", "", proposed)
    return f"; how about {proposed}?" if len(proposed) > 2 and proposed != name else ""
