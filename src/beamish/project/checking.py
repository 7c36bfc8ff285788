"""What `beamish check` looks at, one finding each. A check that needs what failed before is left out."""

from __future__ import annotations

import ast
import asyncio
import importlib.metadata
import logging
import re
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from beamish.application import shutdown
from beamish.application.table import applications_of
from beamish.boot import start_local
from beamish.errors import BeamishError
from beamish.project.configuration import Configuration, read_configuration
from beamish.project.errors import ProjectError, explained, relative, short_traceback
from beamish.project.manifest import FILE, Project, import_module, load_application, make_importable
from beamish.project.session import prepare_node, start_application
from beamish.rpc.exports import Exports

MOMENT: Final = 0.3
"""Seconds that the application runs: enough for what fails right after the start."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check."""

    name: str
    ok: bool
    detail: str


@dataclass(slots=True)
class Findings:
    """All outcomes; each is shown when it is known."""

    show: Callable[[str, bool, str], None]
    all: list[Finding] = field(default_factory=list)

    def add(self, name: str, ok: bool, detail: str) -> bool:
        """Note an outcome; gives `ok`."""
        self.all.append(Finding(name, ok, detail))
        self.show(name, ok, detail)
        return ok


async def check_project(project: Project, environment: str, findings: Findings) -> None:
    """Check everything."""
    make_importable(project)
    try:
        configuration = read_configuration(project, environment)
        exports = Exports(configuration.exports)
    except BeamishError as error:
        findings.add("configuration", False, str(error))
        return
    files = ", ".join(relative(str(path)) for path in configuration.files) or f"no files; {environment} runs with the defaults"
    findings.add("configuration", True, files)
    imported = _check_imports(project, findings)
    _check_dependencies(project, findings)
    if imported:
        _check_exports(exports, configuration, findings)
        await _check_run(project, configuration, findings)


# ---- imports


def _sources(project: Project) -> dict[str, Path]:
    """The modules of the project's package, by name."""
    for folder in project.import_paths:
        package = Path(folder) / project.package
        if package.is_dir():
            files = sorted(package.rglob("*.py"))
            return {_module_name(path.relative_to(folder)): path for path in files if path.name != "__main__.py"}
        if package.with_suffix(".py").is_file():
            return {project.package: package.with_suffix(".py")}
    return {}


def _module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _check_imports(project: Project, findings: Findings) -> bool:
    problems = []
    names = _sources(project)
    for name in names:
        try:
            import_module(name, wanted=relative(str(names[name])))
        except ProjectError as error:
            problems.append(str(error))
    if not problems:
        try:
            load_application(project)
        except ProjectError as error:
            problems.append(str(error))
    return findings.add("imports", not problems, "\n".join(problems) or f"{len(names)} modules of {project.package}")


# ---- dependencies


def _check_dependencies(project: Project, findings: Findings) -> None:
    listed = _listed(project)
    if listed is None:
        return
    available = _with_theirs(listed)
    owners = importlib.metadata.packages_distributions()
    problems = []
    for path in _sources(project).values():
        for line, top in _needed_imports(path):
            if top in sys.stdlib_module_names or top in (project.package, "beamish"):
                continue
            homes = {_normal(each) for each in owners.get(top, ())}
            if homes and not homes & available:
                problems.append(
                    f"{relative(str(path))}:{line} imports {top}, but the dependencies in {FILE} do not bring "
                    f"{' or '.join(sorted(homes))}: it would be missing in production"
                )
    findings.add("dependencies", not problems, "\n".join(problems) or f"{len(listed)} listed")


def _listed(project: Project) -> set[str] | None:
    about = tomllib.loads((project.root / FILE).read_text(encoding="utf-8")).get("project", {})
    if "dependencies" in about.get("dynamic", ()):
        return None
    return {_normal(each) for each in about.get("dependencies", ())}


def _normal(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement.strip())
    return re.sub(r"[-_.]+", "-", name[0]).lower() if name else ""


def _with_theirs(listed: set[str]) -> set[str]:
    """The listed distributions and all that they need themselves, extras included."""
    found: set[str] = set()
    pending = list(listed)
    while pending:
        name = pending.pop()
        if name in found:
            continue
        found.add(name)
        try:
            pending += [_normal(each) for each in importlib.metadata.requires(name) or () if "extra ==" not in each]
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _needed_imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and top package of each import that fails where the package is missing: not those under `if` or `try`."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    except (SyntaxError, ValueError):
        return  # told by the check of imports
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.lineno, node.module.partition(".")[0]


# ---- exports


def _check_exports(exports: Exports, configuration: Configuration, findings: Findings) -> None:
    if exports.everything:
        findings.add("exports", True, "everything may be called by connected nodes; list what may in [node] exports")
        return
    problems = []
    for package in exports.packages:
        problems += _missing(package.rstrip("."), f"{package}*")
    for module in sorted(exports.modules):
        problems += _missing(module, module)
    for module, functions in exports.functions.items():
        missing = _missing(module, module)
        problems += missing
        for function in () if missing else sorted(functions):
            place: Any = sys.modules[module]
            for part in function.split("."):
                place = getattr(place, part, None)
            if not callable(place):
                problems.append(f"exports: {module} has no function {function}")
    findings.add("exports", not problems, "\n".join(problems) or ", ".join(configuration.exports or ()) or "nothing")


def _missing(module: str, pattern: str) -> list[str]:
    try:
        import_module(module, wanted=f"exports: {pattern!r}")
    except ProjectError as error:
        return [str(error)]
    return []


# ---- start and stop


class _Errors(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


async def _check_run(project: Project, configuration: Configuration, findings: Findings) -> None:
    log = logging.getLogger()
    errors = _Errors()
    log.addHandler(errors)
    try:
        await _start_and_stop(project, configuration, findings, errors)
    finally:
        log.removeHandler(errors)


async def _start_and_stop(project: Project, configuration: Configuration, findings: Findings, errors: _Errors) -> None:
    application = load_application(project)
    runtime = await start_local(exports=configuration.exports)
    prepare_node(runtime, configuration)
    name = str(application.application_name())
    before = time.perf_counter()
    try:
        try:
            started = await start_application(runtime, application, configuration.environment)
        except Exception as error:
            findings.add("start", False, explained(error) if isinstance(error, BeamishError) else short_traceback(error))
            return
        took = time.perf_counter() - before
        findings.add("start", True, f"{', '.join(started)} in {took * 1000:.0f} ms, {runtime.process_count} processes")
        await asyncio.sleep(MOMENT)
        if name not in applications_of(runtime).started:
            findings.add("run", False, "\n".join(["it ended by itself right after the start", *errors.lines]))
            return
        if errors.lines:
            findings.add("run", False, "\n".join(errors.lines))
        before = time.perf_counter()
        left = await shutdown(runtime)
        took = time.perf_counter() - before
        findings.add("stop", not left, "\n".join(left) or f"in {took * 1000:.0f} ms")
    finally:
        await runtime.stop()


__all__ = ["MOMENT", "Finding", "Findings", "check_project"]
