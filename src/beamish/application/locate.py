"""Finding an application by its name, and the class behind "package.module:Class".

A name is looked for, in this order: among the entry points "beamish.applications" of installed packages, in the module
``NAME.application``, in the package ``NAME``.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import sys
from dataclasses import MISSING, fields
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from beamish.application.errors import SpecError, UnknownApplication
from beamish.application.spec import ApplicationSpec, name_of
from beamish.term import charlist

ENTRY_POINTS: Final = "beamish.applications"


def spec_named(app: Any) -> ApplicationSpec:
    """The specification of an application given as a name, an Application subclass or a specification.

    Its module is the class itself, and what the specification leaves out is taken from the class's attributes.
    Raises UnknownApplication, SpecError.
    """
    if isinstance(app, ApplicationSpec):
        return _resolved(app)
    if isinstance(app, type):
        name_of(app)
        return _resolved(app.spec())  # type: ignore[attr-defined]
    return _found(name_of(app))


def class_at(place: str, *, wanted_by: str) -> type[Any]:
    """The class behind "package.module:Class". Raises SpecError, with what could not be imported."""
    module, _, path = place.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise SpecError(f"{wanted_by}: {place} cannot be loaded: {error}") from error
    if not isinstance(found, type) or not hasattr(found, "application_name"):
        raise SpecError(f"{wanted_by}: {place} is {found!r}, not a subclass of Application")
    return found


def _resolved(spec: ApplicationSpec) -> ApplicationSpec:
    kind = class_at(spec.module, wanted_by=f"application {spec.name}") if isinstance(spec.module, str) else spec.module
    if kind is None:
        return spec
    own: ApplicationSpec = kind.spec()
    filled = {each.name: getattr(own, each.name) for each in fields(spec) if getattr(spec, each.name) == _default(each)}
    return spec.with_changes(**{**filled, "module": kind})


def _default(each: Any) -> Any:
    return each.default_factory() if each.default_factory is not MISSING else each.default


def _found(name: str) -> ApplicationSpec:
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS, name=name):
        return _resolved(ApplicationSpec(name, module=entry.value, version=_version(entry)))
    looked = [f"entry points {ENTRY_POINTS!r}"]
    for module_name in (f"{name}.application", name):
        looked.append(f"module {module_name}")
        module = _import(module_name)
        if module is None:
            continue
        for value in vars(module).values():
            if isinstance(value, type) and hasattr(value, "application_name") and value.application_name() == name:
                return _resolved(value.spec())  # type: ignore[attr-defined]
        if module_name == name:
            raise UnknownApplication(
                f"the package {name} has no application named {name}: a package that starts no processes needs not be named",
                not_found(name), application=name,
            )  # fmt: skip
    raise UnknownApplication(f"there is no application {name}; looked in {', '.join(looked)}", not_found(name), application=name)


def _import(name: str) -> ModuleType | None:
    """The module, None if there is none; one that cannot be imported for other reasons raises."""
    try:
        if name not in sys.modules and importlib.util.find_spec(name) is None:
            return None
        return importlib.import_module(name)
    except ValueError:  # a module without a specification, such as __main__
        return None
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name is not None and (name + ".").startswith(error.name + "."):
            return None
        raise SpecError(f"application {name.partition('.')[0]}: its module {name} cannot be imported: {error}") from error


def _version(entry: importlib.metadata.EntryPoint) -> str:
    dist = entry.dist
    return dist.version if dist is not None else "0.0.0"


def not_found(name: str) -> Any:
    """As Erlang's code server says it: ``{"no such file or directory", "name.app"}``."""
    return (charlist("no such file or directory"), charlist(f"{name}.app"))


def directory_of(spec: ApplicationSpec) -> Path:
    """Where an application's files are: the folder of its package. Raises SpecError when it has none."""
    if spec.directory is not None:
        return spec.directory
    module = spec.module.__module__ if isinstance(spec.module, type) else (spec.module or spec.name).partition(":")[0]
    package = module.partition(".")[0]
    loaded = sys.modules.get(package)
    file = getattr(loaded, "__file__", None)
    paths = list(getattr(loaded, "__path__", ()))
    if file is None and not paths:
        try:
            found = importlib.util.find_spec(package)
        except (ImportError, ValueError):
            found = None
        if found is not None:
            file, paths = found.origin, list(found.submodule_search_locations or ())
    if paths:
        return Path(paths[0]).resolve()
    if file is not None:
        return Path(file).resolve().parent
    raise SpecError(f"application {spec.name} has no folder: {package} is no package; give its specification a directory")


__all__ = ["ENTRY_POINTS", "class_at", "directory_of", "not_found", "spec_named"]
