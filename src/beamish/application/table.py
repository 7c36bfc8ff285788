"""What a node knows of applications: which are loaded, which run, and their environments.

Reading the environment asks no process: it is a table of the runtime, as Erlang's is. What runs is changed by the
application controller alone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from beamish.application.errors import ApplicationError, UnknownApplication
from beamish.application.locate import spec_named
from beamish.application.spec import ApplicationSpec
from beamish.node.runtime import Runtime
from beamish.term import Pid, atom

log = logging.getLogger("beamish.application")

SERVICE: Final = "applications"


class ApplicationInfo(NamedTuple):
    """Erlang's ``{Application, Description, Vsn}``."""

    name: str
    description: str
    version: str


@dataclass(slots=True)
class Running:
    """A started application. master, child: its application master and that one's process in which the callbacks run; top: of
    its tree. None for an application without processes."""

    name: str
    type: str
    master: Pid | None = None
    child: Pid | None = None
    top: Pid | None = None


class Applications:
    """The tables of one node (`runtime.services["applications"]`).

    owners: application master -> application. failures: what `start` raised last, which no message can carry.
    changes: new environments under way to `config_change`.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.specs: dict[str, ApplicationSpec] = {}
        self.started: dict[str, Running] = {}
        self.starting: dict[str, Running] = {}
        self.env: dict[str, dict[str, Any]] = {}
        self.configured: dict[str, dict[str, Any]] = {}
        self.pinned: dict[str, dict[str, Any]] = {}
        self.owners: dict[Pid, str] = {}
        self.failures: dict[str, BaseException] = {}
        self.changes: dict[str, Change] = {}
        for spec in _own_applications():
            self.specs[spec.name] = spec
            self.env[spec.name] = {}
            self.started[spec.name] = Running(spec.name, "permanent")

    # ---- loading

    def load(self, app: Any) -> ApplicationSpec:
        """Load an application and those it includes. Raises UnknownApplication, SpecError, and ApplicationError if another of
        its name is loaded already."""
        spec = spec_named(app)
        there = self.specs.get(spec.name)
        if there is not None:
            raise ApplicationError(
                f"application {spec.name} is already loaded", (atom.already_loaded, atom(spec.name)), application=spec.name
            )
        included = [spec_named(spec.classes.get(name, name)) for name in spec.included_applications if name not in self.specs]
        self.specs[spec.name] = spec
        self.env[spec.name] = self._environment(spec)
        self._warn_of_shared_names(spec)
        for each in included:
            self.load(each)
        return spec

    def loaded(self, app: Any) -> ApplicationSpec:
        """The specification of an application that is loaded, or is now."""
        if isinstance(app, str) and app in self.specs:
            return self.specs[app]
        for spec in self.specs.values():
            if isinstance(app, type) and spec.module is app:
                return spec
        spec = spec_named(app)
        there = self.specs.get(spec.name)
        if there is None:
            return self.load(spec)
        if there.module is not spec.module and not isinstance(app, str):
            raise ApplicationError(
                f"another application named {spec.name} is loaded ({_shown(there)}); {_shown(spec)} needs a name of its own",
                (atom.already_loaded, atom(spec.name)), application=spec.name,
            )  # fmt: skip
        return there

    def unload(self, name: str) -> None:
        """Forget an application that does not run, and its environment. Raises ApplicationError."""
        if name not in self.specs:
            raise ApplicationError(f"application {name} is not loaded", (atom.not_loaded, atom(name)), application=name)
        if name in self.started or name in self.starting:
            raise ApplicationError(
                f"application {name} is running: stop it before it is unloaded", (atom.running, atom(name)), application=name
            )
        spec = self.specs.pop(name)
        self.env.pop(name, None)
        for each in spec.included_applications:
            if each in self.specs and each not in self.started:
                self.unload(each)

    def _warn_of_shared_names(self, spec: ApplicationSpec) -> None:
        for other in self.specs.values():
            shared = set(spec.registered) & set(other.registered) if other is not spec else ()
            if shared:
                log.warning("applications %s and %s both register the name %s", other.name, spec.name, min(shared))

    # ---- environment

    def put(self, name: str, key: str, value: Any, *, persistent: bool) -> None:
        """Set a value; a persistent one stays when the application is loaded (again)."""
        self.env.setdefault(name, {})[key] = value
        if persistent:
            self.pinned.setdefault(name, {})[key] = value

    def delete(self, name: str, key: str, *, persistent: bool) -> None:
        """Remove a value."""
        self.env.get(name, {}).pop(key, None)
        if persistent:
            self.pinned.get(name, {}).pop(key, None)

    def _environment(self, spec: ApplicationSpec) -> dict[str, Any]:
        """What a freshly loaded application sees: its defaults, configuration over them, and what was set to last."""
        return {**spec.env, **self.configured.get(spec.name, {}), **self.pinned.get(spec.name, {})}

    def configure(self, config: Mapping[str, Mapping[str, Any]]) -> dict[str, Change]:
        """Put configuration over the defaults, for loaded and future applications; what changed for each loaded one."""
        before = {name: dict(values) for name, values in self.env.items() if name in self.specs}
        self.configured = {str(name): {str(key): value for key, value in each.items()} for name, each in config.items()}
        for name, each in self.configured.items():
            if name not in self.specs:
                self.env[name] = {**each, **self.pinned.get(name, {})}
        for name, spec in self.specs.items():
            self.env[name] = self._environment(spec)
        changes = {name: Change.between(old, self.env[name]) for name, old in before.items()}
        return {name: change for name, change in changes.items() if change}

    # ---- what runs

    def info(self, names: Iterable[str]) -> list[ApplicationInfo]:
        """Name, description and version, the latest first as Erlang lists them."""
        found = [self.specs[name] for name in names if name in self.specs]
        return [ApplicationInfo(spec.name, spec.description, spec.version) for spec in reversed(found)]

    def owner_of(self, leader: Pid | None) -> str | None:
        """The application whose master this group leader is."""
        return None if leader is None else self.owners.get(leader)


@dataclass(frozen=True, slots=True)
class Change:
    """What a new configuration changes for one application."""

    changed: Mapping[str, Any]
    new: Mapping[str, Any]
    removed: tuple[str, ...]

    @classmethod
    def between(cls, old: Mapping[str, Any], now: Mapping[str, Any]) -> Change:
        """The difference of two environments."""
        changed = {key: value for key, value in now.items() if key in old and old[key] != value}
        new = {key: value for key, value in now.items() if key not in old}
        return cls(changed, new, tuple(key for key in old if key not in now))

    def __bool__(self) -> bool:
        return bool(self.changed or self.new or self.removed)


def applications_of(runtime: Runtime) -> Applications:
    """The tables of a runtime, made when first asked for."""
    found = runtime.services.get(SERVICE)
    if found is None:
        found = runtime.services[SERVICE] = Applications(runtime)
    assert isinstance(found, Applications)
    return found


def required(table: Applications, name: str) -> ApplicationSpec:
    """The specification of a loaded application. Raises UnknownApplication."""
    spec = table.specs.get(name)
    if spec is None:
        raise UnknownApplication(
            f"application {name} is not loaded; Application.load({name!r}) loads it", (atom.not_loaded, atom(name)),
            application=name,
        )  # fmt: skip
    return spec


def _own_applications() -> list[ApplicationSpec]:
    """What runs on every node: ours, under its own name and those that Erlang's applications depend on."""
    from beamish import __version__

    return [
        ApplicationSpec("kernel", "the kernel of beamish", __version__),
        ApplicationSpec("stdlib", "behaviours and terms of beamish", __version__),
        ApplicationSpec("beamish", "OTP for Python", __version__),
    ]


def _shown(spec: ApplicationSpec) -> str:
    module = spec.module
    return f"{module.__module__}:{module.__qualname__}" if isinstance(module, type) else str(module or "no module")


__all__ = ["ApplicationInfo", "Applications", "Change", "Running", "applications_of", "required"]
