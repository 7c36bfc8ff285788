"""A project's settings: config/config.toml, and over it the file of the environment, which BEAMISH_ENV names.

    [node]                          how the node is started; flags win over it
    sname = "my_app"

    [logger]
    level = "info"

    [my_app]                        the application's environment: Application.get_env("my_app", "lifetime")
    lifetime = 60.0

A table of the later file is laid over the same table of the earlier one, key by key. Other tables are the environments of
other applications.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from beamish.project.errors import ProjectError, relative
from beamish.project.manifest import Project, at_key, nearest_hint

VARIABLE: Final = "BEAMISH_ENV"
DEV: Final = "dev"
TEST: Final = "test"
PROD: Final = "prod"
FOLDER: Final = "config"
BASE: Final = "config"
LEVELS: Final = ("debug", "info", "warning", "error", "critical")

_TEXT, _NUMBER, _SWITCH, _NAMES = "text", "a whole number", "true or false", "a list of texts"
NODE_KEYS: Final[dict[str, str]] = {
    "name": _TEXT,
    "sname": _TEXT,
    "hidden": _SWITCH,
    "connect_all": _SWITCH,
    "dist_port": _NUMBER,
    "dist_ports": _TEXT,
    "epmd_port": _NUMBER,
    "tick_time": _NUMBER,
    "exports": _NAMES,
    "strict_messages": _SWITCH,
    "preempt": _SWITCH,
}
LOGGER_KEYS: Final = ("level",)


@dataclass(frozen=True, slots=True)
class Configuration:
    """Settings of one environment.

    node: the keys of NODE_KEYS that are given. level: of the log. applications: environments by application. files: those
    that were read.
    """

    environment: str
    node: Mapping[str, Any] = field(default_factory=dict)
    level: str | None = None
    applications: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    files: tuple[Path, ...] = ()

    @property
    def strict_messages(self) -> bool:
        """Whether local messages are checked as if they went over the wire: by default in dev and test."""
        return bool(self.node.get("strict_messages", self.environment in (DEV, TEST)))

    @property
    def exports(self) -> list[str] | None:
        """What peers may call; None for everything."""
        found: list[str] | None = self.node.get("exports")
        return found

    def overlaid(self, others: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
        """The applications' environments with those of files from the command line over them."""
        return _overlay(self.applications, others)


def environment_name(environ: Mapping[str, str], default: str = DEV) -> str:
    """The environment that BEAMISH_ENV names."""
    name = environ.get(VARIABLE, "").strip() or default
    if name == BASE:
        raise ProjectError(f"{VARIABLE}={name}: {BASE}.toml is for every environment; name one of them, for example {PROD}")
    if not name.replace("_", "").isalnum():
        raise ProjectError(f"{VARIABLE}={name}: an environment is named with letters, digits and _, for example {PROD}")
    return name


def read_configuration(project: Project, environment: str) -> Configuration:
    """Read the files of an environment. Raises ProjectError with file, line and the nearest valid name."""
    folder = project.root / FOLDER
    files = [path for path in (folder / f"{BASE}.toml", folder / f"{environment}.toml") if path.is_file()]
    if environment not in (DEV, TEST, PROD) and folder / f"{environment}.toml" not in files:
        known = sorted({DEV, TEST, PROD, *(path.stem for path in folder.glob("*.toml") if path.stem != BASE)})
        close = get_close_matches(environment, known, 1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
        raise ProjectError(f"{VARIABLE}={environment}: there is no {relative(str(folder))}/{environment}.toml; {hint}")
    merged: Mapping[str, Any] = {}
    for path in files:
        merged = _overlay(merged, _checked(path, _read(path), project))
    return Configuration(
        environment,
        merged.get("node", {}),
        merged.get("logger", {}).get("level"),
        {name: values for name, values in merged.items() if name not in ("node", "logger")},
        tuple(files),
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ProjectError(f"{path}: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(f"{path} cannot be read: {error}") from None


def _overlay(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _overlay(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def _checked(path: Path, content: dict[str, Any], project: Project) -> dict[str, Any]:
    own = ("node", "logger", project.package)
    for table, values in content.items():
        where = at_key(path, table, "")
        if not isinstance(values, dict):
            raise ProjectError(f"{where}: {table} stands outside of a table such as [{project.package}]")
        if table == "kernel":
            raise ProjectError(f"{where}: [kernel] is Erlang's; here the table is [node], with the keys {', '.join(NODE_KEYS)}")
        close = get_close_matches(table, own, 1, 0.8)
        if close and table not in own:
            raise ProjectError(f"{where}: unknown table [{table}]; did you mean [{close[0]}]?")
    for key, value in content.get("node", {}).items():
        _check_node(path, key, value)
    for key, value in content.get("logger", {}).items():
        where = at_key(path, key, "logger")
        if key not in LOGGER_KEYS:
            raise ProjectError(f"{where}: unknown key {key} in [logger]{nearest_hint(key, LOGGER_KEYS)}")
        if value not in LEVELS:
            raise ProjectError(f"{where}: the level is one of {', '.join(LEVELS)}, not {value!r}")
    node = content.get("node", {})
    for one, other in (("name", "sname"), ("dist_port", "dist_ports")):
        if one in node and other in node:
            raise ProjectError(f"{at_key(path, one, 'node')}: {one} and {other} cannot both be given")
    return content


def _check_node(path: Path, key: str, value: Any) -> None:
    where = at_key(path, key, "node")
    if key == "cookie":
        raise ProjectError(f"{where}: no cookie in files that are committed: set BEAMISH_COOKIE, or use ~/.erlang.cookie")
    kind = NODE_KEYS.get(key)
    if kind is None:
        raise ProjectError(f"{where}: unknown key {key} in [node]{nearest_hint(key, NODE_KEYS)}")
    fits = {
        _TEXT: isinstance(value, str),
        _NUMBER: isinstance(value, int) and not isinstance(value, bool) and value > 0,
        _SWITCH: isinstance(value, bool),
        _NAMES: isinstance(value, list) and all(isinstance(each, str) for each in value),
    }
    if not fits[kind]:
        raise ProjectError(f"{where}: {key} is {kind}, not {value!r}")
