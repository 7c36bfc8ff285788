"""Running a function that was named by somebody else: in the calling process, or as the body of a fresh one."""

from __future__ import annotations

from collections.abc import Callable
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final

from beamish.errors import Exit
from beamish.process import ControlBlock, current_process
from beamish.rpc.exports import Exports
from beamish.rpc.outcome import (
    MFA,
    RETURN,
    ErlangError,
    Failure,
    badarg,
    badfun_text,
    crash_reason,
    erpc_reason,
    failure_of,
)
from beamish.term import ExportFun, Fun, atom

if TYPE_CHECKING:
    from beamish.node.runtime import Runtime

SERVICE: Final = "exports"
"""The runtime's policy is its service of this name."""


def exports_of(runtime: Runtime) -> Exports:
    """The policy of a runtime. A runtime whose rpc was not started exports nothing but what Erlang's own modules
    answer."""
    found = runtime.services.get(SERVICE)
    if found is None:
        found = runtime.services[SERVICE] = Exports([])
    assert isinstance(found, Exports)
    return found


def local_exports(runtime: Runtime) -> Exports:
    """For calls that this node makes to itself: everything, for the policy is about what other nodes may call."""
    found = runtime.services.get("local_exports")
    if found is None:
        found = runtime.services["local_exports"] = Exports()
        found.builtin = exports_of(runtime).builtin
    assert isinstance(found, Exports)
    return found


async def apply_mfa(runtime: Runtime, module: Any, function: Any, args: Any) -> Any:
    """Call module:function(*args) in the current process, awaiting it if need be.

    Raises what it raises; ErlangError (`undef`, ``{notsup, Text}``) when it does not exist or is not exported.
    """
    if not isinstance(args, list | tuple):
        raise badarg()
    try:
        called = exports_of(runtime).resolve(module, function, len(args))
    except ErlangError as error:
        raise ErlangError(error.reason, [(module, function, list(args), [])]) from None
    value = called(*args)
    return await value if hasattr(value, "__await__") else value


async def apply_fun(runtime: Runtime, fun: Any, args: Any) -> Any:
    """Call a function value: ``fun M:F/A``, or ``{M, F}``. Closures of other runtimes are refused, readably."""
    called: list[Any] = [(atom.erlang, atom.apply, [fun, args], [])]
    if not isinstance(args, list | tuple):
        raise ErlangError(atom.badarg, called)
    if isinstance(fun, Fun):
        raise ErlangError((atom.badfun, badfun_text(str(fun.module), str(runtime.node))), called)
    if not isinstance(fun, ExportFun):
        raise ErlangError((atom.badfun, fun), called)
    if fun.arity != len(args):
        raise ErlangError((atom.badarity, (fun, list(args))), called)
    return await apply_mfa(runtime, fun.module, fun.function, args)


async def execute_call(exports: Exports, res: Any, module: Any, function: Any, args: Any) -> None:
    """Body of a process that erpc asks for: its exit reason is the result (facts section 11)."""
    try:
        value = exports.resolve(module, function, len(args))(*args)
        if type(value) is CoroutineType or hasattr(value, "__await__"):
            value = await value
    except (GeneratorExit, KeyboardInterrupt):
        raise
    except BaseException as raised:
        error = raised if isinstance(args, list | tuple) else badarg()
        reason = erpc_reason(res, failure_of(error, MFA(module, function, args)))
    else:
        reason = (res, RETURN, value)
    raise Exit(reason)


async def execute_function(res: Any, function: Callable[..., Any], args: Any) -> None:
    """`execute_call` of a function that is at hand."""
    name = MFA(atom(function.__module__ or "?"), atom(getattr(function, "__qualname__", "?")), args)
    try:
        value = function(*args)
        if hasattr(value, "__await__"):
            value = await value
    except (GeneratorExit, KeyboardInterrupt):
        raise
    except BaseException as error:
        reason = erpc_reason(res, failure_of(error, name))
    else:
        reason = (res, RETURN, value)
    raise Exit(reason)


async def run_mfa(runtime: Runtime, exports: Exports, module: Any, function: Any, args: Any) -> None:
    """Body of a process that somebody spawned by name. It ends as the function ends; a crash is reported once."""
    process = current_process()
    assert process is not None
    try:
        process.rare_parts.label = str(MFA(module, function, args))
        if not isinstance(args, list | tuple):
            raise ErlangError(atom.badarg)
        value = exports.resolve(module, function, len(args))(*args)
        if hasattr(value, "__await__"):
            await value
        return
    except (Exit, GeneratorExit, KeyboardInterrupt):
        raise
    except BaseException as error:
        failure = failure_of(error, MFA(module, function, args))
        reason = crash_reason(failure)
        report(runtime, process, failure, reason, error)
    raise Exit(reason)


def report(runtime: Runtime, process: ControlBlock, failure: Failure, reason: Any, error: BaseException) -> None:
    """Tell the runtime of a crash that the kernel will see as an orderly exit."""
    if failure.kind is not atom.exit and runtime.report is not None:
        runtime.report(process, reason, error)
