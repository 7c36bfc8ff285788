"""`erlang`: the functions that peers call on every node.

Source  ERTS, erlang module (shapes compared with OTP 25); facts section 19.
"""

from __future__ import annotations

from typing import Any, NoReturn

from beamish.errors import Exit, NoProcess
from beamish.node.runtime import current_runtime
from beamish.process import current_process, group_leader, self, unlink
from beamish.process import link as _link
from beamish.process import monitor as _monitor
from beamish.process import send as _send
from beamish.process._signals import register_name, send_exit, unregister_name, whereis_name
from beamish.rpc.apply import apply_fun, apply_mfa, exports_of, run_mfa
from beamish.rpc.modules.erlang_system import (
    atom_to_list,
    binary_to_term,
    date,
    display,
    function_exported,
    list_to_atom,
    localtime,
    memory,
    module_loaded,
    monotonic_time,
    statistics,
    system_info,
    system_time,
    term_to_binary,
    time_offset,
    timestamp,
    universaltime,
)
from beamish.rpc.modules.process_facts import DEFAULT_FACTS, fact_of
from beamish.rpc.outcome import ErlangError, Throw, badarg
from beamish.term import Atom, ExportFun, Fun, Pid, Port, Ref, atom

__all__ = [
    "apply",
    "atom_to_list",
    "binary_to_term",
    "cancel_timer",
    "date",
    "display",
    "error",
    "exit",
    "function_exported",
    "garbage_collect",
    "get",
    "get_cookie",
    "group_leader",
    "halt",
    "is_alive",
    "is_process_alive",
    "link",
    "list_to_atom",
    "localtime",
    "make_ref",
    "memory",
    "module_loaded",
    "monitor",
    "monotonic_time",
    "node",
    "nodes",
    "process_flag",
    "process_info",
    "processes",
    "put",
    "register",
    "registered",
    "self",
    "send",
    "spawn",
    "spawn_link",
    "statistics",
    "system_info",
    "system_time",
    "term_to_binary",
    "throw",
    "time_offset",
    "timestamp",
    "unique_integer",
    "universaltime",
    "unlink",
    "unregister",
    "whereis",
]  # fmt: skip

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
                found.update(
                    (peer.node, None) for peer in runtime.peers.values() if peer.visible == (kind is atom.visible)
                )
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
