"""`Application`: the base class of applications, and Elixir's `Application` functions on it.

    class Shop(Application):
        name = "shop"
        applications = ("catalogue",)
        env = {"port": 4000}

        async def start(self, start_type, args):
            port = Application.get_env("shop", "port")
            return await Supervisor.start_link([(Till, port), Clock], strategy="one_for_one")

    await Application.ensure_all_started(Shop)      # ["catalogue", "shop"]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from beamish.application import controller
from beamish.application.errors import UnknownApplication
from beamish.application.locate import directory_of
from beamish.application.spec import ApplicationSpec, default_name, name_of
from beamish.application.table import ApplicationInfo, Applications, applications_of, required
from beamish.node.runtime import current_runtime
from beamish.process import current_process
from beamish.process.gen import CallFailed
from beamish.term import Atom, Pid

StartType = Literal["permanent", "transient", "temporary"]
App = Any
"""An application: its name (str or Atom), its Application subclass, or an ApplicationSpec."""


class ApplicationFunctions(type):
    """What can be done with applications, as functions of the class `Application` itself.

    They live in its metaclass so that an application's own `start` and `stop` do not hide them: `Application.start(Shop)`
    starts one, `Shop.start` is its callback. All work on the node of the current process.
    """

    def __dir__(cls) -> list[str]:
        """With the functions, which Python does not look for in a metaclass."""
        return sorted({*super().__dir__(), *(name for name in vars(ApplicationFunctions) if not name.startswith("_"))})

    # ---- specifications

    def application_name(cls) -> str:
        """The name of this Application subclass: its attribute `name`, or its own name as `shop_front`."""
        return str(cls.__dict__.get("name") or default_name(cls.__qualname__, cls.__module__))

    def spec(cls, app: App = None) -> ApplicationSpec | None:
        """The specification of a loaded application, None if it is not loaded; without one that of this class."""
        if app is not None:
            return _table().specs.get(name_of(app))
        own = {key: getattr(cls, key) for key in SPEC_KEYS}
        classes: dict[str, type] = {}
        for key in ("applications", "optional_applications", "included_applications"):
            if not isinstance(own[key], str):
                classes |= {name_of(each): each for each in own[key] if isinstance(each, type)}
                own[key] = tuple(each if isinstance(each, str) else name_of(each) for each in own[key])
        return ApplicationSpec.from_mapping(
            own, where=cls.__qualname__, name=cls.application_name(), module=cls, classes=classes
        )

    def load(cls, app: App) -> ApplicationSpec:
        """Load an application and its environment without starting it. Raises ApplicationError if it is already loaded."""
        return _table().load(app)

    def ensure_loaded(cls, app: App) -> ApplicationSpec:
        """Load an application unless it is."""
        return _table().loaded(app)

    def unload(cls, app: App) -> None:
        """Forget an application that does not run."""
        _table().unload(name_of(app))

    def loaded_applications(cls) -> list[ApplicationInfo]:
        """``(name, description, version)`` of each, the latest first."""
        return _table().info(_table().specs)

    def started_applications(cls) -> list[ApplicationInfo]:
        """The same of those that run; Erlang's which_applications."""
        return _table().info(_table().started)

    which_applications = started_applications

    # ---- starting and stopping

    async def start(cls, app: App, type: StartType = "temporary") -> None:
        """Start one application, whose dependencies must be running, and wait until its `start` has returned.

        type: what its end means. permanent: the node stops with it; transient: unless its reason was normal; temporary: it
        is reported. Raises ApplicationError: already started, a dependency that is not, or what went wrong in `start`.
        """
        await controller.start(current_runtime(), app, type)

    async def ensure_started(cls, app: App, type: StartType = "temporary") -> None:
        """`start`, but one that runs is no error."""
        await controller.ensure_started(current_runtime(), app, type)

    async def ensure_all_started(cls, apps: App | Iterable[App], type: StartType = "temporary") -> list[str]:
        """Start applications after everything they depend on; the names of those that this call started, in order.

        If one does not start, those that were started for it are stopped again. Raises ApplicationError with the chain of
        dependencies: a missing one, a cycle, or a start that failed.
        """
        return await controller.ensure_all_started(current_runtime(), _several(apps), type)

    async def stop(cls, app: App) -> None:
        """Stop an application: its `prep_stop`, its tree in reverse order within the shutdown times, its `stop`."""
        await controller.stop(current_runtime(), name_of(app))

    # ---- environment

    def get_env(cls, app: App, key: str | Atom, default: Any = None) -> Any:
        """A value of an application's environment."""
        return _table().env.get(name_of(app), {}).get(str(key), default)

    def fetch_env(cls, app: App, key: str | Atom) -> tuple[Literal[True], Any] | tuple[Literal[False], None]:
        """``(True, value)``, or ``(False, None)`` if the key has no value."""
        values = _table().env.get(name_of(app), {})
        return (True, values[str(key)]) if str(key) in values else (False, None)

    def fetch_env_required(cls, app: App, key: str | Atom) -> Any:
        """A value that must be there: Elixir's fetch_env!. Raises LookupError with what to configure."""
        name, table = name_of(app), _table()
        values = table.env.get(name, {})
        if str(key) in values:
            return values[str(key)]
        why = f"it has {', '.join(values) or 'no keys'}" if name in table.specs else f"application {name} is not loaded"
        raise UnknownApplication(
            f"application {name} has no value for {key} in its environment ({why}); configure it as {key} of {name}, "
            f"or give it a default in the application's env", application=name,
        )  # fmt: skip

    def put_env(cls, app: App, key: str | Atom, value: Any, *, persistent: bool = False) -> None:
        """Set a value. Loading the application sets its defaults and configuration anew; a persistent value stays."""
        _table().put(name_of(app), str(key), value, persistent=persistent)

    def put_all_env(cls, config: Mapping[Any, Mapping[Any, Any]], *, persistent: bool = False) -> None:
        """Set many values: ``{application: {key: value}}``."""
        for app, values in config.items():
            for key, value in values.items():
                cls.put_env(app, key, value, persistent=persistent)

    def delete_env(cls, app: App, key: str | Atom, *, persistent: bool = False) -> None:
        """Remove a value."""
        _table().delete(name_of(app), str(key), persistent=persistent)

    def get_all_env(cls, app: App) -> dict[str, Any]:
        """A copy of an application's environment."""
        return dict(_table().env.get(name_of(app), {}))

    async def configure(cls, config: Mapping[str, Mapping[str, Any]]) -> None:
        """Make this the configuration, over the defaults of loaded and later applications. Running ones whose environment it
        changes get `config_change`."""
        await controller.configure(current_runtime(), config)

    # ---- looking

    def get_application(cls, of: Pid | type[Any] | str | None = None) -> str | None:
        """The application of a local process (default: the current one), of a class or of a module; None if it has none."""
        table = _table()
        if of is None or isinstance(of, Pid):
            process = current_process() if of is None else table.runtime.process_of(of)
            return None if process is None else table.owner_of(process.leader)
        module = of.__module__ if isinstance(of, type) else str(of)
        for spec in table.specs.values():
            home = spec.module.__module__ if isinstance(spec.module, type) else ""
            if home and home.partition(".")[0] == module.partition(".")[0]:
                return spec.name
        return None

    def app_dir(cls, app: App, *parts: str) -> Path:
        """The folder of an application's package, or a path below it. Raises UnknownApplication if it is not loaded."""
        spec = app if isinstance(app, ApplicationSpec) else required(_table(), name_of(app))
        return directory_of(spec).joinpath(*parts)

    def priv_dir(cls, app: App, *parts: str) -> Path:
        """The folder ``priv`` of an application, for files that are not code."""
        return cls.app_dir(app, "priv", *parts)

    def top_supervisor(cls, app: App) -> Pid | None:
        """The top process of a running application's tree; None if it has none, or does not run."""
        return controller.top_of(current_runtime(), name_of(app))


class Application(metaclass=ApplicationFunctions):
    """A part of a system that is started and stopped as a whole: a tree of processes, an environment and dependencies.

    Subclass it and write `start`; the attributes are those of `ApplicationSpec`. Dependencies are names or Application
    subclasses.

        async def start(self, start_type, args)
            Start the tree and give its top: the handle or pid of a supervisor, or a list of children, which then run below a
            supervisor made of the attributes strategy, max_restarts and max_seconds. May give ``(top, state)``.
            start_type: "normal". args: those of the specification.
        async def prep_stop(self, state)            before the tree is stopped; gives the state for `stop`
        async def stop(self, state)                 after the tree has stopped, however that came
        async def config_change(self, changed, new, removed)    the environment was configured anew
        async def start_phase(self, phase, start_type, args)    once per start phase, after `start`

    All may be plain functions. They run in the application master's own process, which traps exits; what the tree prints
    goes to the master, and on to where the node prints. Any other state is kept best in `self`.
    """

    name: ClassVar[str] = ""
    description: ClassVar[str] = ""
    version: ClassVar[str] = "0.0.0"
    applications: ClassVar[tuple[Any, ...]] = ()
    optional_applications: ClassVar[tuple[Any, ...]] = ()
    included_applications: ClassVar[tuple[Any, ...]] = ()
    registered: ClassVar[tuple[str, ...]] = ()
    env: ClassVar[Mapping[str, Any]] = {}
    args: ClassVar[Any] = ()
    start_phases: ClassVar[tuple[tuple[str, Any], ...]] = ()
    strategy: ClassVar[str] = "one_for_one"
    max_restarts: ClassVar[int] = 3
    max_seconds: ClassVar[float] = 5.0


SPEC_KEYS = (
    "description", "version", "args", "applications", "optional_applications", "included_applications", "registered", "env",
    "start_phases",
)  # fmt: skip


def _table() -> Applications:
    return applications_of(current_runtime())


def _several(apps: Any) -> list[Any]:
    if isinstance(apps, Iterable) and not isinstance(apps, str | type):
        return list(apps)
    return [apps]


__all__ = ["Application", "ApplicationFunctions", "CallFailed", "StartType"]
