"""`beamish:start_link` and `beamish:start`: how supervisors of other nodes start servers here.

    {erpc, call, [Node, beamish, start_link, [<<"my_app.counter:Counter">>, [10], [{name, counter}]]]}

is the start function of a child specification: Erlang's supervisor calls it in its own process, so the process that we run for
the call was started by the supervisor. The server is linked to the supervisor, and the supervisor is its parent.

Source  OTP 25, stdlib: supervisor (start_child/2, what a start function gives); kernel: erpc (call/4).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from beamish.errors import StartError, StartIgnored
from beamish.gen_server.handle import Handle
from beamish.gen_server.start import STARTS_FOR
from beamish.gen_server.target import is_global
from beamish.node.runtime import current_runtime
from beamish.process import Process, current_process
from beamish.process.exits import reason_of
from beamish.process.info import info_of
from beamish.rpc.apply import execute_call, execute_function, exports_of
from beamish.rpc.outcome import ErlangError
from beamish.term import Atom, Pid, TermMap, atom, text
from beamish.term.chardata import ChardataError
from beamish.term.convert import Mismatch, converter_of, hints_of

__all__ = ["start", "start_link"]

_CALLS: Final = {(each.__module__, each.__qualname__) for each in (execute_call, execute_function)}


async def start_link(what: Any, args: Any = (), options: Any = ()) -> Any:
    """Start a server that is linked to the caller: ``{ok, Pid}``, `ignore` or ``{error, Reason}``.

    what: ``module:Class`` or ``module:function``. args: a list, or a map for keywords. options: ``[{name, Name}, {timeout, Ms}]``
    or a map; Name is an atom, ``{local, Atom}`` or ``{global, Term}``. Exported must be ``module:Class.start_link``.
    """
    return await _start("start_link", what, args, options)


async def start(what: Any, args: Any = (), options: Any = ()) -> Any:
    """The same without a link."""
    return await _start("start", what, args, options)


async def _start(verb: str, what: Any, args: Any, options: Any) -> Any:
    # Whatever goes wrong is an answer: the supervisor that asked reports it, and what it would make of an exception nobody reads.
    try:
        plain, keywords = _arguments(args)
        function = _starter(verb, what, len(plain) + len(keywords))
        named = _options(options)
        if verb == "start_link":
            caller = _caller()
            if caller is not None:
                Process.put(STARTS_FOR, caller)
        return _started(await _called(function, plain, {**keywords, **named}))
    except StartIgnored:
        return atom.ignore
    except StartError as error:
        return (atom.error, error.reason)
    except ErlangError as error:
        return (atom.error, error.reason)
    except Mismatch as error:
        return (atom.error, _refusal(str(error)))
    except Exception as error:
        return (atom.error, reason_of(error))


def _refusal(text: str) -> tuple[Atom, str]:
    return (atom.badarg, text)


def _caller() -> Pid | None:
    """Who made the call that this process runs; None where it was made in the process itself."""
    process = current_process()
    assert process is not None
    module, name, _ = info_of(process, ("initial_call",))["initial_call"]
    return process.parent if (module, name) in _CALLS else None


def _starter(verb: str, what: Any, arity: int) -> Callable[..., Any]:
    """The function behind ``module:Class`` (its `start_link` or `start`) or ``module:function``."""
    name = _text(what)
    module, colon, path = name.partition(":")
    if not colon:
        module, _, path = name.rpartition(".")
    if not module or not path:
        raise ErlangError(_refusal(f'{name!r} names nothing to start: write module:Class, as in "my_app.counter:Counter"'))
    policy = exports_of(current_runtime())
    for found in (f"{path}.{verb}", path):
        try:
            return policy.resolve(atom(module), atom(found), arity)
        except ErlangError as error:
            if error.reason is not atom.undef:
                raise
    node = current_runtime().node
    missing = f"{module}:{path} that could be started: a class with {verb}, or a function of {arity} arguments"
    raise ErlangError((atom.undef, f"{node} has no {missing}"))


def _text(name: Any) -> str:
    if isinstance(name, Atom):
        return name.text
    try:
        return text(name)
    except ChardataError:
        raise ErlangError(_refusal(f"{name!r} is no name: write \"module:Class\"")) from None


def _arguments(args: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(args, list | tuple):
        return tuple(args), {}
    if isinstance(args, dict | TermMap):
        return (), {_text(key): value for key, value in args.items()}
    raise ErlangError(_refusal(f"the arguments are a list, or a map for keywords, not {args!r}"))


def _options(options: Any) -> dict[str, Any]:
    """Options as `start_link` takes them. Raises ErlangError for one that does not exist."""
    pairs = list(options.items()) if isinstance(options, dict | TermMap) else options
    if not isinstance(pairs, list | tuple) or not all(isinstance(each, tuple) and len(each) == 2 for each in pairs):
        raise ErlangError(_refusal(f"the options are a keyword list or a map, not {options!r}"))
    found: dict[str, Any] = {}
    for key, value in pairs:
        match key:
            case atom.name:
                if value is not None:
                    found["name"] = _name(value)
            case atom.timeout if value is atom.infinity:
                pass
            case atom.timeout if type(value) is int and value >= 0:
                found["timeout"] = value / 1000
            case _:
                raise ErlangError(_refusal(f"start_link has the options name and timeout, not {key} => {value!r}"))
    return found


def _name(value: Any) -> Any:
    match value:
        case Atom():
            return value
        case (atom.local, Atom() as name):
            return name
        case tuple() if is_global(value):
            return ("global", value[1])
    raise ErlangError(_refusal(f"a name is an atom, {{local, Atom}} or {{global, Term}}, not {value!r}"))


async def _called(function: Callable[..., Any], args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    owner = getattr(function, "__self__", None)
    init = getattr(owner, "init", None) if isinstance(owner, type) else function
    if init is not None:
        args, keywords = _converted(init, args, keywords)
    value = function(*args, **keywords)
    return await value if hasattr(value, "__await__") else value


def _converted(init: Callable[..., Any], args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """The arguments as the annotations of `init` want them: text as str, maps as dataclasses. Raises Mismatch."""
    hints = hints_of(init)
    code = getattr(init, "__code__", None)
    if code is None or not hints:
        return args, keywords
    names = [name for name in code.co_varnames[: code.co_argcount] if name != "self"]
    made = {name: converter_of(hint) for name, hint in hints.items()}

    def fit(name: str | None, value: Any) -> Any:
        converter = made.get(name) if name is not None else None
        return value if converter is None else converter(value)

    plain = tuple(fit(names[place] if place < len(names) else None, value) for place, value in enumerate(args))
    return plain, {name: fit(name, value) for name, value in keywords.items()}


def _started(value: Any) -> Any:
    """What a start function gave, as a supervisor wants it."""
    if isinstance(value, Handle):
        return (atom.ok, value.pid)
    if isinstance(value, Pid):
        return (atom.ok, value)
    pid = getattr(value, "pid", None)
    if isinstance(pid, Pid):
        return (atom.ok, pid)
    match value:
        case atom.ignore | (atom.ok, Pid()) | (atom.ok, Pid(), _) | (atom.error, _):
            return value
    raise ErlangError((atom.bad_return, f"a start function gives a handle or a pid, not {value!r}"))
