"""What other nodes may call here, and how a name becomes a function (design, D4).

    Exports()                                              everything: a development shell
    Exports(["my_app.*", "my_app:status", "math"])         a release: what its project lists
    Exports({"Elixir.MyApp.Jobs": "my_app.jobs"})          under a name of its own; listed by that

    my_app          the module            my_app.*         modules below it         *    all modules
    my_app:run      one function of it    my_app:Job.run   a method of a class in it

A module atom is a Python module (`math`, `my_app.jobs`); `Elixir.MyApp.Jobs` is my_app.jobs if that is exported. The
policy is asked before anything is imported. A name with a leading underscore is private unless it is listed itself; a
name imported from elsewhere counts as exported only where the module it comes from is, or `__all__` names it.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, Final, NamedTuple

from beamish.errors import BeamishError
from beamish.rpc.boundary import typed
from beamish.rpc.outcome import ErlangError, badarg, undefined
from beamish.term import Atom

SETTING: Final = "exports"
_NAME: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_PATTERN: Final = re.compile(r"\*|[^\W\d]\w*(\.[^\W\d]\w*)*(\.\*|:[^\W\d]\w*(\.[^\W\d]\w*)*)?")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
MAX_NAME: Final = 255
ASKS_THE_POLICY: Final = frozenset(
    {"httpc", "init:stop", "Elixir.System:stop"}
    | {f"application:{name}" for name in ("ensure_all_started", "ensure_started", "set_env", "start", "stop", "unset_env")}
    | {f"Elixir.Application:{name}" for name in ("delete_env", "ensure_all_started", "ensure_started", "put_env", "start", "stop")}
)
"""Erlang modules, and functions of them, that do something for a peer which it might not be able to do itself, or change this
node; the others may always be called."""

Listed = Iterable[str] | Mapping[str, str] | None


class BadExport(BeamishError, ValueError):
    """An entry of the `exports` setting that cannot be read."""


class Found(NamedTuple):
    """A function, and where it was found: a call looks there again, so that a reloaded module is called in its new
    form.

    call: the function, or one that first converts its arguments (`beamish.rpc.boundary`).
    """

    function: Callable[..., Any]
    namespace: Mapping[str, Any]
    name: str
    call: Callable[..., Any]


class Exports:
    """The policy of one node."""

    def __init__(self, listed: Listed = None, *, aliases: Mapping[str, str] | None = None) -> None:
        """listed: patterns, or {name used by callers: module}; None exports everything. Raises BadExport."""
        self.everything = False
        self.modules: set[str] = set()
        self.packages: list[str] = []
        self.functions: dict[str, set[str]] = {}
        self.aliases: dict[str, str] = dict(aliases or {})
        self.builtin: dict[str, Any] = {}
        self.node = ""
        self._found: dict[tuple[Any, Any, int], Found] = {}
        if isinstance(listed, str):
            raise BadExport(f"{SETTING} is a list of patterns, not the text {listed!r}; write [{listed!r}]")
        if isinstance(listed, Mapping):
            self.aliases.update(listed)
        for pattern in ["*"] if listed is None else listed if not isinstance(listed, Mapping) else ():
            self._add(pattern)
        for name, module in self.aliases.items():
            if not isinstance(module, str) or not _NAME.fullmatch(module):
                raise BadExport(f"{SETTING}: {name!r} stands for {module!r}, which is not the name of a Python module")
            self.modules.add(module)

    def _add(self, pattern: Any) -> None:
        if not isinstance(pattern, str) or not _PATTERN.fullmatch(pattern):
            raise BadExport(f"{SETTING}: {pattern!r} is none of module, package.*, module:function and *")
        module, colon, function = pattern.partition(":")
        if pattern == "*":
            self.everything = True
        elif colon:
            self.functions.setdefault(module, set()).add(function)
        elif module.endswith(".*"):
            self.packages.append(module[:-1])
        else:
            self.modules.add(module)

    def for_node(self, node: str, builtin: Mapping[str, Any]) -> Exports:
        """The same policy for one node, which answers these modules of Erlang's as well."""
        made = copy.copy(self)
        made.node = node
        made.builtin = {**builtin, **self.builtin}
        made._found = {}
        return made

    def forget(self) -> None:
        """Look every function up anew: code was reloaded, and a function may take other arguments now."""
        self._found.clear()

    # ---- policy

    def lists(self, module: str) -> bool:
        """Whether the module is exported as a whole."""
        if module in self.modules:
            return True
        if any(part.startswith("_") for part in module.split(".")) and module != "__main__":
            return False
        return self.everything or any(module.startswith(package) for package in self.packages)

    def allows(self, module: str, function: str) -> bool:
        """Whether peers may call that function of that module, as far as names tell."""
        if function in self.functions.get(module, ()):
            return True
        return self.lists(module) and not any(part.startswith("_") for part in function.split("."))

    # ---- from names to functions

    def resolve(self, module: Any, function: Any, arity: int) -> Callable[..., Any]:
        """The function behind a name, which takes that many arguments.

        Raises ErlangError: `undef`, or ``{notsup, Text}`` where the policy says no.
        """
        try:
            found = self._found.get((module, function, arity))
        except TypeError:  # a list or a map is no name
            raise badarg() from None
        if found is not None and found.namespace.get(found.name, undefined) is found.function:
            return found.call
        fresh = self._resolve(_text(module), _text(function), arity)
        self._found[module, function, arity] = fresh
        return fresh.call

    def _resolve(self, module: str | None, name: str | None, arity: int) -> Found:
        if module is None or name is None:
            raise badarg()
        builtin = self.builtin.get(module)
        if builtin is not None:
            asks = module in ASKS_THE_POLICY or f"{module}:{name}" in ASKS_THE_POLICY
            if asks and not self.allows(module, name):
                raise self._refusal(module, name)
            return self._in_builtin(builtin, name, arity)
        home = self._python_module(module, name)
        function, namespace, attribute = _walk(home, name)
        if not self._may_lend(home, name, function):
            raise self._refusal(function.__module__, name)
        if not takes(function, arity):
            raise undefined()
        return Found(function, namespace, attribute, typed(function, arity))

    def _in_builtin(self, builtin: Any, name: str, arity: int) -> Found:
        """A function of one of the modules that answer in Erlang's shapes."""
        if isinstance(builtin, str):
            builtin = importlib.import_module(builtin)
        namespace: Mapping[str, Any] = builtin if isinstance(builtin, Mapping) else vars(builtin)
        spellings: Mapping[str, Any] = namespace.get("SPELLINGS", {})  # names that Python cannot spell
        if name in spellings:
            namespace = spellings
        public = namespace.get("__all__", namespace)
        function = namespace.get(name)
        if name not in public or not callable(function) or not takes(function, arity):
            raise undefined()
        return Found(function, namespace, name, function)

    def _python_module(self, module: str, function: str) -> ModuleType:
        name = self.aliases.get(module)
        if name is None and module.startswith("Elixir."):
            name = snake_case(module.removeprefix("Elixir."))
            # Elixir's Enum or Code is not Python's enum or code.
            if name.partition(".")[0] in sys.stdlib_module_names and name not in self.modules:
                raise undefined()
        elif name is None:
            name = module
        if len(name) > MAX_NAME or not _NAME.fullmatch(name):
            raise undefined()
        if not self.allows(name, function):
            raise self._refusal(name, function)
        loaded = sys.modules.get(name)
        if loaded is not None:
            return loaded
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
                raise undefined() from None
            raise

    def _may_lend(self, home: ModuleType, name: str, function: Any) -> bool:
        """Whether a function that another module defines may be called through this one."""
        if self.everything or name in self.functions.get(home.__name__, ()) or name in getattr(home, "__all__", ()):
            return True
        if not isinstance(function, FunctionType | BuiltinFunctionType | type):
            return True
        origin = getattr(function, "__module__", None)
        return origin is None or origin == home.__name__ or self.allows(origin, name.rpartition(".")[2])

    def _refusal(self, module: str, function: str) -> ErlangError:
        if any(part.startswith("_") for part in function.split(".")):
            why = f"{module}:{function} is private"
            how = f"'{module}:{function}'"
        else:
            why = f"{module} is not exported"
            how = f"'{module}' or '{module}:{function}'"
        return undefined(f"{why} on {self.node or 'this node'}: add {how} to its setting `{SETTING}`")


def _text(name: Any) -> str | None:
    """The text of a module or function atom; true, false and nil come as Python's constants."""
    if isinstance(name, Atom):
        return name.text
    if name is None or isinstance(name, bool):
        return "nil" if name is None else str(name).lower()
    return name if isinstance(name, str) else None


def _walk(home: ModuleType, dotted: str) -> tuple[Any, Mapping[str, Any], str]:
    """Find `function` or `Class.method` in a module; only classes are walked through, never other modules or
    objects."""
    place: Any = home
    parts = dotted.split(".")
    for part in parts[:-1]:
        place = vars(place).get(part) if inspect.ismodule(place) else getattr(place, part, None)
        if not inspect.isclass(place):
            raise undefined()
    name = parts[-1]
    if inspect.ismodule(place):
        function = getattr(place, name, None)  # a module may make names on demand
    else:
        function = getattr(place, name, None) if any(name in vars(base) for base in place.__mro__[:-1]) else None
    if not callable(function):
        raise undefined()
    # A method is bound anew each time it is looked up, so it is never found unchanged, and is looked up again.
    return function, vars(place), name


def takes(function: Callable[..., Any], arity: int) -> bool:
    """Whether a callable takes that many arguments by position; a C function that does not say is believed to."""
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):
        return True
    try:
        signature.bind(*[None] * arity)
    except TypeError:
        return False
    return True


def snake_case(alias: str) -> str:
    """`MyApp.HTTPJobs` as Python spells it: my_app.http_jobs."""
    return ".".join(_CAMEL.sub("_", part).lower() for part in alias.split("."))
