"""`erlang`: the functions that peers call on every node.

Source  ERTS, erlang module (shapes compared with OTP 25); facts section 19.
"""

from __future__ import annotations

import sys
import time
from typing import Any, NoReturn

from beamish.errors import DecodeError, EncodeError, Exit, NoProcess
from beamish.node.runtime import current_runtime
from beamish.process import current_process, group_leader, self, unlink
from beamish.process import send as _send
from beamish.process import link as _link
from beamish.process import monitor as _monitor
from beamish.process._signals import register_name, send_exit, unregister_name, whereis_name
from beamish.rpc.apply import apply_fun, apply_mfa, exports_of, run_mfa
from beamish.rpc.introspection import erlang_memory, erlang_system_info
from beamish.rpc.modules.process_facts import DEFAULT_FACTS, fact_of
from beamish.rpc.outcome import ErlangError, Throw, badarg
from beamish.term import Atom, ExportFun, Fun, Pid, Port, Ref, atom

__all__ = [
    "apply", "atom_to_list", "binary_to_term", "cancel_timer", "date", "display", "error", "exit", "function_exported",
    "garbage_collect", "get", "get_cookie", "group_leader", "halt", "is_alive", "is_process_alive", "link", "list_to_atom", "localtime",
    "make_ref", "memory", "module_loaded", "monitor", "monotonic_time", "node", "nodes", "process_flag", "process_info", "processes", "put",
    "register", "registered", "self", "send", "spawn", "spawn_link", "statistics", "system_info", "system_time", "term_to_binary",
    "throw", "time_offset", "timestamp", "universaltime", "unique_integer", "unlink", "unregister", "whereis",
]  # fmt: skip

UNITS = {
    atom.second: 1,
    atom.seconds: 1,
    atom.millisecond: 1000,
    atom.milli_seconds: 1000,
    atom.microsecond: 1_000_000,
    atom.micro_seconds: 1_000_000,
    atom.nanosecond: 1_000_000_000,
    atom.nano_seconds: 1_000_000_000,
    atom.native: 1_000_000_000,
    atom.perf_counter: 1_000_000_000,
}
NANO = 1_000_000_000


# ---- nodes


def node(thing: Any = ...) -> Atom:
    """This node, or the one where a pid, port or reference is from."""
    if thing is ...:
        return current_runtime().node
    if not isinstance(thing, Pid | Port | Ref):
        raise badarg()
    return thing.node


def nodes(kinds: Any = atom.visible) -> list[Atom]:
    """Connected nodes: visible, hidden, connected, this, known, or a list of these."""
    runtime = current_runtime()
    asked = kinds if isinstance(kinds, list) else [kinds]
    found: dict[Atom, None] = {}
    for kind in asked:
        match kind:
            case atom.visible | atom.hidden:
                found.update((peer.node, None) for peer in runtime.peers.values() if peer.visible == (kind is atom.visible))
            case atom.connected:
                found.update(dict.fromkeys(runtime.peers))
            case atom.this:
                found[runtime.node] = None
            case atom.known:
                found.update(dict.fromkeys([runtime.node, *runtime.known_nodes]))
            case _:
                raise badarg()
    return list(found)


def is_alive() -> bool:
    """Whether this node is distributed."""
    return current_runtime().distributed


def get_cookie() -> NoReturn:
    """Refused: whoever is connected knows it, and nobody else is told."""
    raise ErlangError((atom.notsup, "a beamish node does not tell its cookie"))


def halt(*_: Any) -> NoReturn:
    """Refused: a node is stopped by whoever started it."""
    raise ErlangError((atom.notsup, "a beamish node is not halted by its peers; stop it where it was started"))


# ---- processes


def _local(pid: Any) -> Pid:
    if not isinstance(pid, Pid) or pid.node is not current_runtime().node:
        raise badarg()
    return pid


def processes() -> list[Pid]:
    """Every living process."""
    return current_runtime().pids()


def is_process_alive(pid: Any) -> bool:
    """Whether a process of this node lives."""
    process = current_runtime().process_of(_local(pid))
    return process is not None and process.status != "exiting"


def process_info(pid: Any, items: Any = ...) -> Any:
    """Facts as ``{Item, Value}``, in the asked order; `undefined` for a dead process."""
    process = current_runtime().process_of(_local(pid))
    if process is None:
        return atom.undefined
    if items is ...:
        facts = [fact_of(process, item) for item in DEFAULT_FACTS]
        return [fact for fact in facts if fact != (atom.registered_name, [])]
    try:
        if isinstance(items, list):
            return [fact_of(process, item) for item in items]
        fact = fact_of(process, items)
    except ValueError:
        raise badarg() from None
    return [] if fact == (atom.registered_name, []) else fact


def whereis(name: Any) -> Any:
    """The pid of a registered process, or `undefined`."""
    if not isinstance(name, Atom):
        raise badarg()
    return whereis_name(current_runtime(), name) or atom.undefined


def registered() -> list[Atom]:
    """Every registered name."""
    return list(current_runtime().names)


def register(name: Any, pid: Any) -> bool:
    """Register a local process."""
    try:
        register_name(current_runtime(), name, pid)
    except (ValueError, LookupError, TypeError):
        raise badarg() from None
    return True


def unregister(name: Any) -> bool:
    """Release a name."""
    try:
        unregister_name(current_runtime(), name)
    except (NoProcess, TypeError):
        raise badarg() from None
    return True


def link(pid: Any) -> bool:
    """Link the process of this call."""
    _link(_a_pid(pid))
    return True


def monitor(kind: Any, target: Any) -> Ref:
    """Monitor from the process of this call."""
    if kind is not atom.process:
        raise badarg()
    return _monitor(target)


def _a_pid(pid: Any) -> Pid:
    if not isinstance(pid, Pid):
        raise badarg()
    return pid


def send(dest: Any, message: Any, options: Any = None) -> Any:
    """Send; gives the message, or `ok` with options, as Erlang does."""
    try:
        _send(dest, message)
    except (NoProcess, TypeError):
        raise badarg() from None
    return message if options is None else atom.ok


def exit(*args: Any) -> bool:
    """``exit(Reason)`` ends the process of this call; ``exit(Pid, Reason)`` sends an exit signal."""
    if len(args) == 1:
        raise Exit(args[0])
    if len(args) != 2:
        raise ErlangError(atom.undef)
    send_exit(_a_pid(args[0]), args[1])
    return True


def error(reason: Any, *_: Any) -> NoReturn:
    """An error with this reason."""
    raise ErlangError(reason)


def throw(term: Any) -> NoReturn:
    """Throw a term."""
    raise Throw(term)


async def apply(*args: Any) -> Any:
    """``apply(Fun, Args)`` and ``apply(Module, Function, Args)``; closures of other runtimes are refused."""
    runtime = current_runtime()
    if len(args) == 2:
        return await apply_fun(runtime, *args)
    if len(args) != 3:
        raise ErlangError(atom.undef)
    return await apply_mfa(runtime, *args)


def spawn(*args: Any) -> Pid:
    """``spawn(Fun)``, ``spawn(Module, Function, Args)``."""
    return _spawn(args, linked=False)


def spawn_link(*args: Any) -> Pid:
    """`spawn` with a link to the process of this call."""
    return _spawn(args, linked=True)


def _spawn(args: tuple[Any, ...], *, linked: bool) -> Pid:
    runtime = current_runtime()
    me = current_process()
    assert me is not None
    match args:
        case (ExportFun() as fun,):
            mfa: tuple[Any, Any, Any] = (fun.module, fun.function, [])
        case (Fun() as fun,):
            mfa = (atom.erlang, atom.apply, [fun, []])
        case (_, _, list()):
            mfa = args
        case _:
            raise badarg()
    pid = runtime.spawn(run_mfa, runtime, exports_of(runtime), *mfa, parent=me.pid, leader=me.leader)
    if linked:
        _link(pid)
    return pid


def process_flag(flag: Any, value: Any) -> Any:
    """Only `trap_exit` has a meaning here."""
    me = current_process()
    assert me is not None
    if flag is not atom.trap_exit or not isinstance(value, bool):
        raise badarg()
    old, me.traps = me.traps, value
    return old


def get(key: Any = ...) -> Any:
    """The process dictionary."""
    me = current_process()
    assert me is not None
    dictionary = me.rare_parts.dictionary or {}
    return list(dictionary.items()) if key is ... else dictionary.get(key, atom.undefined)


def put(key: Any, value: Any) -> Any:
    """Into the process dictionary; gives the old value or `undefined`."""
    me = current_process()
    assert me is not None
    rare = me.rare_parts
    if rare.dictionary is None:
        rare.dictionary = {}
    old = rare.dictionary.get(key, atom.undefined)
    rare.dictionary[key] = value
    return old


def garbage_collect(pid: Any = ...) -> bool:
    """Python collects when it likes; true if the process lives."""
    return True if pid is ... else is_process_alive(pid)


def cancel_timer(ref: Any) -> Any:
    """Milliseconds that were left, or false."""
    if not isinstance(ref, Ref):
        raise badarg()
    left = current_runtime().cancel_timer(ref)
    return False if left is None else round(left * 1000)


def make_ref() -> Ref:
    """A unique reference."""
    return current_runtime().new_ref()


def unique_integer(options: Any = None) -> int:
    """A unique integer, positive and growing."""
    words = current_runtime().new_ref().words
    return words[0] | words[1] << 18 | words[2] << 50


# ---- the system


def memory(kinds: Any = ...) -> Any:
    """Bytes by kind; of one kind, or of a list of kinds."""
    found = erlang_memory(current_runtime())
    if kinds is ...:
        return found
    table = dict(found)
    try:
        return [(kind, table[kind]) for kind in kinds] if isinstance(kinds, list) else table[kinds]
    except (KeyError, TypeError):
        raise badarg() from None


def system_info(key: Any) -> Any:
    """A fact about the node."""
    try:
        return erlang_system_info(current_runtime(), key)
    except ValueError:
        raise badarg() from None


def statistics(what: Any) -> Any:
    """run_queue, wall_clock, runtime, reductions."""
    runtime = current_runtime()
    match what:
        case atom.run_queue | atom.total_run_queue_lengths:
            return runtime.ready_count
        case atom.wall_clock:
            return (time.monotonic_ns() // 1_000_000, 0)
        case atom.runtime:
            return (time.process_time_ns() // 1_000_000, 0)
        case atom.reductions:
            return (runtime.step_number, 0)
    raise badarg()


def module_loaded(module: Any) -> bool:
    """Whether a module is loaded."""
    return str(module) in sys.modules or str(module) in exports_of(current_runtime()).builtin


def function_exported(module: Any, function: Any, arity: Any) -> bool:
    """Whether the function can be called by peers."""
    try:
        exports_of(current_runtime()).resolve(module, function, arity)
    except ErlangError:
        return False
    return True


def display(term: Any) -> bool:
    """Print a term where the node prints."""
    from beamish.io.format import format as erlang_format

    sys.stderr.write(erlang_format("~p~n", [term]))
    return True


# ---- time


def _per_second(unit: Any) -> int:
    if isinstance(unit, int) and not isinstance(unit, bool) and unit > 0:
        return unit
    try:
        return UNITS[unit]
    except (KeyError, TypeError):
        raise badarg() from None


def monotonic_time(unit: Any = atom.native) -> int:
    """Time that never goes back."""
    return time.monotonic_ns() * _per_second(unit) // NANO


def system_time(unit: Any = atom.native) -> int:
    """Time since 1970."""
    return time.time_ns() * _per_second(unit) // NANO


def time_offset(unit: Any = atom.native) -> int:
    """system_time minus monotonic_time."""
    return (time.time_ns() - time.monotonic_ns()) * _per_second(unit) // NANO


def timestamp() -> tuple[int, int, int]:
    """``{MegaSeconds, Seconds, MicroSeconds}``."""
    micro = time.time_ns() // 1000
    return micro // 10**12, micro // 10**6 % 10**6, micro % 10**6


def _clock(now: time.struct_time) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    return (now.tm_year, now.tm_mon, now.tm_mday), (now.tm_hour, now.tm_min, now.tm_sec)


def localtime() -> tuple[Any, Any]:
    """``{{Year, Month, Day}, {Hour, Minute, Second}}``."""
    return _clock(time.localtime())


def universaltime() -> tuple[Any, Any]:
    """The same in UTC."""
    return _clock(time.gmtime())


def date() -> tuple[int, int, int]:
    """Today."""
    return localtime()[0]  # type: ignore[no-any-return]


# ---- terms


def term_to_binary(term: Any, options: Any = None) -> bytes:
    """The external format."""
    from beamish import etf

    try:
        return etf.encode(term)
    except EncodeError:
        raise badarg() from None


def binary_to_term(data: Any, options: Any = None) -> Any:
    """A term from the external format."""
    from beamish import etf

    if isinstance(data, str):
        data = data.encode()
    try:
        return etf.decode(data)
    except (DecodeError, TypeError):
        raise badarg() from None


def atom_to_list(name: Any) -> Any:
    """An atom's text as a charlist."""
    from beamish.term import charlist

    if not (isinstance(name, Atom | bool) or name is None):
        raise badarg()
    return charlist(name.text if isinstance(name, Atom) else "nil" if name is None else str(name).lower())


def list_to_atom(chars: Any) -> Any:
    """An atom from a charlist."""
    from beamish.term import text

    try:
        return atom(text(chars))
    except ValueError:
        raise badarg() from None
