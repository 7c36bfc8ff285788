"""What is known of an application before it runs: `ApplicationSpec`, Erlang's ``.app`` file.

    class Shop(Application):                        the same in a mapping, as in TOML
        name = "shop"                               {"name": "shop",
        applications = ("catalogue",)                "applications": ["catalogue"],
        env = {"port": 4000}                         "env": {"port": 4000},
                                                     "module": "shop.application:Shop"}

Source  OTP 25, kernel: the application resource file (app(4)).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final

from beamish.application.errors import SpecError
from beamish.term import Atom

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
MODULE: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


@dataclass(frozen=True, slots=True)
class ApplicationSpec:
    """An application's name and what it needs.

    module: its `Application` subclass, or "package.module:Class"; None for a library application, which has no processes.
    applications: started before it. optional_applications: likewise, if they can be found. included_applications: loaded
    with it and run by its own tree. env: defaults, below configuration. registered: the names its processes take.
    args: given to `start`. classes: the Application subclasses behind names of others, where they were given so.
    start_phases: ``(phase, args)`` pairs for `start_phase`. directory: where its files are (`app_dir`), None: its package's.
    """

    name: str
    description: str = ""
    version: str = "0.0.0"
    module: type[Any] | str | None = None
    args: Any = ()
    applications: tuple[str, ...] = ()
    optional_applications: tuple[str, ...] = ()
    included_applications: tuple[str, ...] = ()
    registered: tuple[str, ...] = ()
    env: Mapping[str, Any] = field(default_factory=dict)
    start_phases: tuple[tuple[str, Any], ...] = ()
    directory: Path | None = None
    classes: Mapping[str, type[Any]] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not NAME.fullmatch(self.name):
            raise SpecError(f"an application is named as a Python package is, not {self.name!r}")
        if isinstance(self.module, str) and not MODULE.fullmatch(self.module):
            raise SpecError(f"application {self.name}: module is written 'package.module:Class', not {self.module!r}")
        for key in ("applications", "optional_applications", "included_applications", "registered"):
            self._check_names(key)
        if not isinstance(self.env, Mapping):
            raise SpecError(f"application {self.name}: env is a table of keys and values, not {self.env!r}")
        if self.name in self.needed:
            raise SpecError(f"application {self.name} names itself among the applications it needs")
        for name in self.included_applications:
            if name in self.needed:
                raise SpecError(f"application {self.name}: {name} is included, so it cannot be started before it too")

    def _check_names(self, key: str) -> None:
        names = getattr(self, key)
        if isinstance(names, str) or not isinstance(names, Iterable):
            raise SpecError(f"application {self.name}: {key} is a list of names, not {names!r}")
        for name in names:
            if not isinstance(name, str):
                raise SpecError(f"application {self.name}: {key} holds names, not {name!r}")
        object.__setattr__(self, key, tuple(names))

    @property
    def needed(self) -> tuple[str, ...]:
        """What is started before it, optional ones too."""
        return tuple(dict.fromkeys((*self.applications, *self.optional_applications)))

    def with_changes(self, **changes: Any) -> ApplicationSpec:
        """A copy with other values."""
        return replace(self, **changes)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], *, where: str = "the specification", **more: Any) -> ApplicationSpec:
        """Of a table as TOML or JSON gives it. `where` is named in errors; `more` are values that it does not hold.

        Raises SpecError, with the nearest known key for a misspelt one.
        """
        known = [each.name for each in fields(cls) if each.name != "classes"]
        for key in mapping:
            if key not in known:
                raise SpecError(f"{where}: unknown key {key!r}{_nearest(key, known)}")
        values = {**more, **mapping}
        if "name" not in values:
            raise SpecError(f"{where}: the application's name is missing")
        phases = values.get("start_phases", ())
        try:
            values["start_phases"] = tuple((str(phase), args) for phase, args in phases)
        except (TypeError, ValueError):
            raise SpecError(f"{where}: start_phases is a list of [phase, arguments] pairs, not {phases!r}") from None
        if "directory" in values and values["directory"] is not None:
            values["directory"] = Path(values["directory"])
        try:
            return cls(**values)
        except SpecError as error:
            raise SpecError(f"{where}: {error}") from None


def name_of(app: Any) -> str:
    """The name of an application given as a name, an Atom, an Application subclass or a specification."""
    if isinstance(app, str):
        return app
    if isinstance(app, Atom):
        return str(app)
    if isinstance(app, ApplicationSpec):
        return app.name
    if isinstance(app, type) and hasattr(app, "application_name"):
        return str(app.application_name())
    raise TypeError(f"an application is given by its name or its Application class, not {app!r}")


def default_name(qualified: str, module: str) -> str:
    """The name of an Application subclass that does not say one: ShopFront -> shop_front, ShopApplication -> shop, and the
    package's name for a class that is called just Application or App."""
    bare = qualified.rpartition(".")[2]
    short = bare.removesuffix("Application") if bare != "Application" else ""
    if not short or short == "App":
        return module.partition(".")[0].strip("_") or "main"
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", short).lower()


def _nearest(word: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(word, names, 1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(names)}"


__all__ = ["ApplicationSpec", "default_name", "name_of"]
