"""The project around the current folder, as its pyproject.toml describes it.

    [project]
    name = "my_app"
    version = "0.1.0"

    [tool.beamish]
    application = "my_app.application:MyApp"
"""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from beamish.project.errors import BrokenCode, NoProject, ProjectError, relative, short_traceback

FILE: Final = "pyproject.toml"
KEYS: Final = ("application",)
_APPLICATION: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


@dataclass(frozen=True, slots=True)
class Project:
    """A project. root: its folder; application: "package.module:Class"."""

    root: Path
    name: str
    version: str
    application: str

    @property
    def package(self) -> str:
        """The top package of the application, which is also the name of its section in the configuration."""
        return self.application.partition(":")[0].partition(".")[0]

    @property
    def import_paths(self) -> list[str]:
        """Where its modules are: the folder, and `src` in it."""
        return [str(path) for path in (self.root / "src", self.root) if path.is_dir()]


def find_project(start: Path | None = None) -> Project | None:
    """The project that a folder (default: the current one) belongs to, None if it belongs to none. Raises ProjectError."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        path = folder / FILE
        if path.is_file() and "beamish" in (content := _read(path)).get("tool", {}):
            return _project(path, content)
    return None


def require_project(start: Path | None = None) -> Project:
    """The same, where there must be one. Raises NoProject."""
    found = find_project(start)
    if found is None:
        raise NoProject(
            f"{(start or Path.cwd()).resolve()} is not inside a beamish project: no {FILE} with a table [tool.beamish] here or "
            "above; `beamish new my_app` makes a project"
        )
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ProjectError(f"{path}: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(f"{path} cannot be read: {error}") from None


def _project(path: Path, content: Mapping[str, Any]) -> Project:
    own = content["tool"]["beamish"]
    if not isinstance(own, dict):
        raise ProjectError(f"{path}: [tool.beamish] is a table")
    for key in own:
        if key not in KEYS:
            raise ProjectError(f"{at_key(path, key, 'tool.beamish')}: unknown key {key} in [tool.beamish]{nearest_hint(key, KEYS)}")
    application = own.get("application")
    if application is None:
        raise ProjectError(f'{path}: [tool.beamish] lacks the application, as in application = "my_app.application:MyApp"')
    if not isinstance(application, str) or not _APPLICATION.fullmatch(application):
        raise ProjectError(
            f"{at_key(path, 'application', 'tool.beamish')}: the application is written \"package.module:Class\", "
            f"not {application!r}"
        )
    about = content.get("project", {})
    return Project(
        path.parent, str(about.get("name", path.parent.name)), str(about.get("version", "0.0.0")), application
    )


def at_key(path: Path, key: str, table: str) -> str:
    """`pyproject.toml:12`: where a key of a table stands in a TOML file, as far as that is easily found."""
    inside = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        header = re.match(r"\s*\[+\s*([^\]]+?)\s*\]", line)
        if header:
            inside = header[1].replace('"', "").replace(" ", "") == table
            if header[1].replace('"', "") == f"{table}.{key}" or (not table and header[1] == key):
                return f"{relative(str(path))}:{number}"
        elif (inside or not table) and re.match(rf"""\s*["']?{re.escape(key)}["']?\s*[.=]""", line):
            return f"{relative(str(path))}:{number}"
    return relative(str(path))


def nearest_hint(word: str, known: Any) -> str:
    """`; did you mean this?`, or what there is."""
    close = get_close_matches(word, list(known), 1, 0.6)
    return f"; did you mean {close[0]}?" if close else f"; known: {', '.join(known)}"


def make_importable(project: Project) -> None:
    """Put the project's folders first on the import path."""
    for path in reversed(project.import_paths):
        if path not in sys.path:
            sys.path.insert(0, path)


def load_application(project: Project) -> type[Any]:
    """Import the application's class. Raises BrokenCode with a short traceback, ProjectError if it is not there."""
    module_name, _, class_name = project.application.partition(":")
    where = at_key(project.root / FILE, "application", "tool.beamish")
    module = import_module(module_name, wanted=f"{where}: application = {project.application!r}")
    found = getattr(module, class_name, None)
    if isinstance(found, type) and hasattr(found, "application_name"):
        # Whoever asks for the applications of a node sees the project's version, unless the class has one of its own.
        if not any("version" in vars(base) for base in found.__mro__ if base.__module__.partition(".")[0] != "beamish"):
            found.version = project.version  # type: ignore[attr-defined]
        return found
    candidates = [
        name for name, value in vars(module).items()
        if isinstance(value, type) and hasattr(value, "application_name") and value.__module__ == module_name
    ]  # fmt: skip
    problem = "is not a subclass of beamish.Application" if found is not None else "does not exist"
    hint = f"; {module_name} has {', '.join(candidates)}" if candidates else ""
    raise ProjectError(f"{where}: {module_name}:{class_name} {problem}{hint}")


def import_module(name: str, *, wanted: str) -> Any:
    """Import a module of the user. Raises ProjectError if there is none, BrokenCode if importing it fails.

    wanted: who names it, for messages.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name + ".").startswith(error.name + "."):
            where = f"{sys.path[0]} and among what is installed"
            raise ProjectError(f"{wanted}: there is no module {error.name}; looked in {where}") from None
        raise _broken(name, error) from error
    except (Exception, SystemExit) as error:
        raise _broken(name, error) from error


def _broken(name: str, error: BaseException) -> BrokenCode:
    return BrokenCode(f"{name} cannot be imported\n{short_traceback(error)}")
