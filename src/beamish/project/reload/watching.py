"""Waiting for files to be saved, and telling what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from beamish.application import Application
from beamish.node.runtime import Runtime
from beamish.project.configuration import FOLDER, environment_name, read_configuration
from beamish.project.errors import ProjectError, relative, short_traceback
from beamish.project.manifest import FILE, find_project
from beamish.project.reload import servers
from beamish.project.reload.code_reload import BrokenEdit, CodeReload, Plan, Result
from beamish.project.reload.sources import folders, is_source, python_files
from beamish.term import Pid

log = logging.getLogger("beamish.reload")


class Reloading:
    """Takes in what is saved below a folder, for as long as a node runs.

    Made before the program's modules are imported: what the files say then is what the first edit is compared with.
    Raises ProjectError if watchfiles is not installed.
    """

    def __init__(self, root: Path) -> None:
        try:
            import watchfiles  # noqa: F401
        except ImportError:
            raise ProjectError("--reload needs watchfiles: pip install 'beamish[reload]'") from None
        self.root = root.resolve()
        self.code = CodeReload(self.root)
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, runtime: Runtime) -> None:
        """Begin to watch."""
        self._task = asyncio.ensure_future(self._watch(runtime))

    async def stop(self) -> None:
        """Watch no longer."""
        self._stop.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self, runtime: Runtime) -> None:
        try:
            while not (runtime.closed or self._stop.is_set()):
                for folder in await self._watch_folders(runtime):
                    await self.take_in(runtime, python_files(Path(folder)))
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("saved code is not taken in any longer")

    async def _watch_folders(self, runtime: Runtime) -> list[str]:
        """Watch the folders that there are, one by one, so that none of a virtual environment's is among them; ends when there
        are new ones, and gives them."""
        from watchfiles import awatch

        watching = awatch(
            *folders(self.root), watch_filter=self._concerns_us, stop_event=self._stop, debounce=400, step=30, recursive=False
        )
        async with contextlib.aclosing(watching) as changing:
            async for changes in changing:
                if runtime.closed:
                    break
                paths = [path for _, path in changes]
                await self.take_in(runtime, paths)
                if new := self._folders_among(paths):
                    return new
        return []

    def _concerns_us(self, change: Any, path: str) -> bool:
        return is_source(path, self.root) or self._is_configuration(path) or bool(self._folders_among([path]))

    def _folders_among(self, paths: Iterable[str]) -> list[str]:
        return [path for path in paths if os.path.isdir(path) and is_source(os.path.join(path, "x.py"), self.root)]

    def _is_configuration(self, path: str) -> bool:
        folder, name = os.path.split(path)
        return path.endswith(".toml") and (folder == str(self.root / FOLDER) or (folder == str(self.root) and name == FILE))

    def _sorted(self, paths: Iterable[str]) -> tuple[list[str], bool]:
        """The sources among the files, and whether configuration is among them."""
        real = [os.path.realpath(path) for path in paths]
        sources = [path for path in real if is_source(path, self.root)]
        for path in sources:
            if not os.path.exists(path) and path in self.code.sources.modules():
                log.warning("%s was removed; its module stays until the node is restarted", relative(path))
        return sources, any(self._is_configuration(path) for path in real)

    async def take_in(self, runtime: Runtime, paths: Iterable[str]) -> None:
        """Take in what has changed in these files, and say so in the log. A failure leaves the old code running."""
        sources, configured = self._sorted(paths)
        try:
            if configured:
                await runtime.run(_configure, self.root)
            await reload_code(runtime, self.code, sources)
        except BrokenEdit as broken:
            log.error("not reloaded, the old code goes on: %s", broken)
        except ProjectError as error:
            log.error("%s", error)
        except Exception as error:
            log.error("not reloaded: %s", short_traceback(error))


async def _configure(root: Path) -> None:
    project = find_project(root)
    if project is not None:
        configuration = read_configuration(project, environment_name(os.environ))
        await Application.configure(configuration.applications)
        log.info("configuration read again; what is in [node] and pyproject.toml takes effect when the node is restarted")


async def reload_code(runtime: Runtime, code: CodeReload, paths: Iterable[str]) -> Result | None:
    """Take in changed sources: the whole way, servers included. Raises BrokenEdit.

    Not to be run in a process: what takes long here is nobody's long step, and no import is interrupted.
    """
    plan = code.plan(paths)
    if plan is None:
        return None
    candidates = servers.living(runtime, plan.modules.keys())
    suspended, busy = await runtime.run(servers.suspend, candidates)
    try:
        try:
            result = code.carry_out(plan)
        except BrokenEdit:
            suspended += busy  # they will be, by the request that is in their mailboxes
            raise
        remarks = servers.refresh(result.classes)
        held = {pid: candidates[pid] for pid in suspended}
        change = await runtime.run(servers.change_over, runtime, held, result.classes)
    finally:
        await runtime.run(servers.resume, suspended)
    for pid in busy:
        change.busy.append(f"{servers.name_of(runtime, pid, candidates[pid])} is busy: it changes over when it is done")
        runtime.spawn(_later, runtime, pid, candidates[pid], result.classes)
    exports = runtime.services.get("exports")
    if exports is not None:
        exports.forget()
    _tell(plan, result, change, [*remarks, *servers.needs_restart(result.classes)])
    return result


async def _later(runtime: Runtime, pid: Pid, cls: type, classes: Mapping[type, Any]) -> None:
    _tell_change(await servers.change_over_later(runtime, pid, cls, classes))


def _tell(plan: Plan, result: Result, change: servers.Change, remarks: list[str]) -> None:
    for update in result.updates.values():
        names = [name for name in update.changed if not name.startswith("__")]
        what = ", ".join([*names, *(f"-{name}" for name in update.removed)])
        log.info("reloaded %s%s", update.name, f": {what}" if what else "")
        for remark in update.remarks:
            log.warning("%s: %s", update.name, remark)
    _tell_change(change)
    for line in remarks:
        log.warning("%s", line)
    for path in plan.idle:
        log.info("%s is not imported yet", relative(path))


def _tell_change(change: servers.Change) -> None:
    for cls, count in change.changed.items():
        log.info("%d %s of %s changed over", count, "server" if count == 1 else "servers", cls)
    for line in change.busy:
        log.warning("%s", line)
    for line in change.failed:
        log.error("%s", line)


__all__ = ["Reloading", "reload_code"]
