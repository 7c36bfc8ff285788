"""Links, monitors, aliases, exit signals and death.

Every signal between two processes of this node takes effect at once, in the order in which it was sent; a signal for another node
goes to its route in the same order. That keeps Erlang's promise about the order of signals between a pair.
"""

from cpython.object cimport PyObject
from libc.stdint cimport uint64_t

from beamish.process._core cimport (
    DEAD, EXITING, FAILED, PARKED, RUNNING, TRAPS, UNWINDING, WAITING,
    Call, Process, Rare, Route, Scheduler, atom_of, get_current, pid_in, target_of, require_process, require_runtime,
)
from beamish.term._atom cimport Atom
from beamish.term._identifiers cimport Pid, Ref

import logging

from beamish.errors import Exit, NameTaken, NoProcess
from beamish.term._atom import atom

NORMAL = atom.normal
KILL = atom.kill
KILLED = atom.killed
NOPROC = atom.noproc
NOCONNECTION = atom.noconnection
DOWN = atom.DOWN
EXIT = atom.EXIT
PROCESS = atom.process
UNDEFINED = atom.undefined
log = logging.getLogger("beamish.process")
cdef object c_normal = NORMAL, c_down = DOWN, c_exit = EXIT, c_process = PROCESS


cdef Process require_living(str verb):
    """The current process. What a killed one still tries while it unwinds ends its unwinding."""
    cdef Process me = require_process(verb)
    if me.bits & DEAD:
        raise Exit(me.rare.exit_reason)
    return me


# ---- links

def link(pid_or_handle, /):
    """Tie the fates of the current process and another; see `Process.link`."""
    cdef Process me = require_living("link()")
    cdef Pid pid = pid_in(pid_or_handle, "link()")
    cdef Process other
    cdef Rare rare
    cdef Route route
    if pid == me.pid:
        return
    rare = me.rarely()
    if rare.links is None:
        rare.links = {}
    other = me.home.find(pid)
    if other is not None:
        rare.links[pid] = 0
        if other.rarely().links is None:
            other.rare.links = {}
        other.rare.links[me.pid] = 0
        return
    if pid.node is me.home.node:
        exit_signal_to(me, pid, NOPROC, True)
        return
    route = me.home.route(pid.node)
    if route is None:
        exit_signal_to(me, pid, NOCONNECTION, True)
        return
    if rare.links.get(pid) == 0:
        return
    route.link(me.pid, pid)         # first: it may refuse
    rare.links[pid] = 0
    note_link(route, pid, me.pid)


cdef int note_link(Route route, Pid remote, Pid local) except -1:
    held = route.links.get(remote)
    if held is None:
        held = route.links[remote] = {}     # a dict keeps the order, so that a run can be repeated
    held[local] = None
    return 0


cdef int forget_link(Route route, Pid remote, Pid local) except -1:
    held = route.links.get(remote)
    if held is not None:
        held.pop(local, None)
        if not held:
            del route.links[remote]
    return 0


cdef uint64_t unlink_ids = 0


def unlink(pid_or_handle, /):
    """Untie; when it returns no exit signal through this link can arrive any more."""
    global unlink_ids
    cdef Process me = require_process("unlink()")
    cdef Pid pid = pid_in(pid_or_handle, "unlink()")
    cdef Process other
    cdef Route route
    if me.rare is None or me.rare.links is None or me.rare.links.get(pid) != 0:
        return
    other = me.home.find(pid)
    if other is not None:
        del me.rare.links[pid]
        if other.rare is not None and other.rare.links is not None:
            other.rare.links.pop(me.pid, None)
        return
    route = me.home.routes.get(pid.node)
    if route is None:
        del me.rare.links[pid]
        return
    # The link stays, inactive, until the other node acknowledges (ERTS, Distribution Protocol, UNLINK_ID).
    unlink_ids += 1
    me.rare.links[pid] = unlink_ids
    route.unlink(me.pid, pid, unlink_ids)


# ---- monitors and aliases

def monitor(target, *, alias=False):
    """Ask to be told of the target's death, once: ``(atom.DOWN, ref, atom.process, target, reason)``.

    target: a Pid, a registered name, or (name, node). alias: True makes the reference an alias as well (until `unalias`);
    "demonitor" ends it with the monitor, "reply_demonitor" with the first reply.
    """
    cdef Process me = require_living("monitor()")
    cdef Scheduler home = me.home
    cdef Process other
    cdef Ref ref = home.make_ref()
    cdef Route route
    cdef Rare rare = me.rarely()
    if rare.monitors is None:
        rare.monitors = {}
    if type(target) is not Pid:
        target = target_of(target)
        if not isinstance(target, (str, Atom)) and hasattr(target, "whereis"):
            target = target.whereis() or UNDEFINED
    if isinstance(target, Pid):
        other = home.find(<Pid>target)
        node = (<Pid>target).node
        named = None
        shown = target
    else:
        if isinstance(target, tuple) and len(target) == 2:
            name, node = atom_of(target[0]), atom_of(target[1])
        else:
            name, node = atom_of(target), home.node
        named = name
        shown = (name, node)
        other = home.names.get(name) if node is home.node else None
    if alias is not False and alias is not None:
        add_alias(me, ref, "explicit" if alias is True else alias)
    if other is not None:
        if other is me:
            return ref
        rare.monitors[ref] = other.pid
        if other.rarely().watchers is None:
            other.rare.watchers = {}
        other.rare.watchers[ref] = me.pid if named is None else (me.pid, named)
        return ref
    if node is home.node:
        down(me, ref, shown, NOPROC)
        return ref
    route = home.route(node)
    if route is None:
        down(me, ref, shown, NOCONNECTION)
        return ref
    try:
        route.monitor(me.pid, target if named is None else named, ref)
    except BaseException:
        drop_alias(me, ref)
        raise
    rare.monitors[ref] = shown
    route.out_monitors[ref] = me.pid
    return ref


cdef int down(Process watcher, Ref ref, object shown, object reason) except -1:
    if watcher.rare is not None and watcher.rare.aliases is not None and ref in watcher.rare.aliases:
        entry = watcher.home.aliases.get(ref)
        if entry is not None and entry[1] != "explicit":
            del watcher.home.aliases[ref]
            watcher.rare.aliases.discard(ref)
    watcher.home.deliver(watcher, (c_down, ref, c_process, shown, reason))
    return 0


cdef bint remove_monitor(Process me, Ref ref) except -1:
    """Forget a monitor that `me` holds; True if it was still held."""
    cdef Process other
    cdef Route route
    if me.rare is None or me.rare.monitors is None:
        return False
    target = me.rare.monitors.pop(ref, None)
    if target is None:
        return False
    if isinstance(target, Pid):
        other = me.home.find(<Pid>target)
        if other is not None:
            if other.rare is not None and other.rare.watchers is not None:
                other.rare.watchers.pop(ref, None)
            return True
        node = (<Pid>target).node
        wire = target
    else:
        wire, node = target
    route = me.home.routes.get(node)
    if route is not None and route.out_monitors.pop(ref, None) is not None:
        route.demonitor(me.pid, wire, ref)
    return True


def demonitor(Ref ref not None, *, flush=False):
    """Stop a monitor. True if it was there. flush: also remove its DOWN from the mailbox."""
    cdef Process me = require_process("demonitor()")
    cdef bint was = remove_monitor(me, ref)
    cdef int i
    if me.rare is not None and me.rare.aliases is not None and ref in me.rare.aliases:
        entry = me.home.aliases.get(ref)
        if entry is not None and entry[1] != "explicit":
            del me.home.aliases[ref]
            me.rare.aliases.discard(ref)
    if flush and not was:
        for i in range(me.count):
            message = <object>me.ring[(me.head + i) & (me.cap - 1)]
            if type(message) is tuple and len(message) == 5 and message[0] is c_down and type(message[1]) is Ref \
                    and message[1] == ref:
                me.take(i)
                break
    return was


cdef int add_alias(Process me, Ref ref, str mode) except -1:
    if mode not in ("explicit", "demonitor", "reply_demonitor"):
        raise ValueError(f"alias is True, 'demonitor' or 'reply_demonitor', not {mode!r}")
    cdef Rare rare = me.rarely()
    if rare.aliases is None:
        rare.aliases = set()
    rare.aliases.add(ref)
    me.home.aliases[ref] = (me, mode)
    return 0


def alias():
    """A reference that stands for the current process until `unalias`."""
    cdef Process me = require_living("alias()")
    cdef Ref ref = me.home.make_ref()
    add_alias(me, ref, "explicit")
    return ref


cdef int drop_alias(Process me, Ref ref) except -1:
    if me.rare.aliases is not None and ref in me.rare.aliases:
        me.rare.aliases.discard(ref)
        me.home.aliases.pop(ref, None)
    return 0


def unalias(Ref ref not None):
    """End an alias; what still comes for it is dropped. True if it was active."""
    cdef Process me = require_process("unalias()")
    entry = me.home.aliases.get(ref)
    if entry is None or entry[0] is not me:
        return False
    del me.home.aliases[ref]
    me.rare.aliases.discard(ref)
    return True


# ---- exit signals

def exit(reason):
    """End the current process with this reason (a term)."""
    require_process("exit()")
    raise Exit(reason)


def send_exit(pid_or_handle, reason, /):
    """Send an exit signal, as Erlang's exit/2: `normal` is ignored unless trapped, `kill` cannot be trapped."""
    cdef Scheduler home = require_runtime("Process.exit()")
    cdef Pid pid = pid_in(pid_or_handle, "Process.exit()")
    cdef Process me = <Process>get_current()
    cdef Process target = home.find(pid)
    cdef Route route
    if me.bits & DEAD:
        return
    if target is me and reason is c_normal and not me.bits & TRAPS:
        raise Exit(reason)
    if target is not None:
        exit_signal_to(target, me.pid, reason, False)
        if target is me and me.bits & (EXITING | DEAD):
            raise Exit(KILLED if reason is KILL else reason)
    elif pid.node is not home.node:
        route = home.route(pid.node)
        if route is not None:
            route.exit_signal(me.pid, pid, reason)


cdef int exit_signal_to(Process target, object source, object reason, bint linked) except -1:
    """An exit signal arrives. `linked`: through a link, where `kill` is a reason like any other."""
    if target.bits & DEAD:
        return 0
    if reason is KILL and not linked:
        return kill(target, KILLED)
    if target.bits & TRAPS:
        target.home.deliver(target, (c_exit, source, reason))
        return 0
    if reason is c_normal:
        return 0
    if target.bits & (EXITING | UNWINDING):
        return 0
    target.rarely().exit_reason = reason
    target.bits |= EXITING
    if target.rare.waiter is not None:
        waiter = target.rare.waiter
        target.rare.waiter = None
        waiter.remove_done_callback(target._future_done)
        waiter.cancel()
    if not target.bits & RUNNING:
        target.bits &= ~<unsigned int>PARKED
        target.home.wake(target)
    return 0


cdef int kill(Process target, object reason) except -1:
    """Death at once: watchers know before the coroutine unwinds, and it can send nothing any more."""
    if target.bits & DEAD:
        return 0
    if target.bits & (EXITING | UNWINDING):
        reason = target.rare.exit_reason        # the first signal counts; this one only ends the clean-up
    target.rarely().exit_reason = reason
    finish(target, reason)
    if not target.bits & RUNNING:
        target.home.unwind(target)
    return 0


def kill_process(Process target not None, reason=KILLED):
    """Kill from outside any process (the runtime, tests)."""
    kill(target, reason)


def signal_exit(Process target not None, source, reason):
    """An exit signal from outside any process."""
    exit_signal_to(target, source, reason, False)


cdef int finish(Process process, object reason) except -1:
    """The end: out of the table, names released, then links and monitors told (models.md, rule 3)."""
    cdef Rare rare = process.rare
    cdef Scheduler home = process.home
    cdef Process other
    cdef Route route
    cdef Pid pid = process.pid
    if process.bits & DEAD:
        return 0
    process.bits = (process.bits | DEAD) & ~<unsigned int>(WAITING | PARKED | EXITING)
    home.vacate(process)
    process.clear_mailbox()
    if rare is None:
        return 0
    rare.deadline = 0
    if rare.calling != NULL:
        (<Call>rare.calling).detach()
    if rare.names is not None:
        for name in rare.names:
            if home.names.get(name) is process:
                del home.names[name]
        rare.names = None
    if rare.aliases is not None:
        for ref in rare.aliases:
            home.aliases.pop(ref, None)
        rare.aliases = None
    if rare.waiter is not None:
        waiter = rare.waiter
        rare.waiter = None
        waiter.remove_done_callback(process._future_done)
        waiter.cancel()
    if rare.monitors is not None:
        for ref in list(rare.monitors):
            try:
                remove_monitor(process, ref)
            except Exception as error:
                untold(process, ref, error)
        rare.monitors = None
    links = rare.links
    rare.links = None
    if links is not None:
        for partner, state in links.items():
            other = home.find(<Pid>partner)
            if other is not None:
                if other.rare is not None and other.rare.links is not None and other.rare.links.pop(pid, None) is not None:
                    exit_signal_to(other, pid, reason, True)
            elif (<Pid>partner).node is not home.node:
                route = home.routes.get((<Pid>partner).node)
                if route is not None:
                    forget_link(route, <Pid>partner, pid)
                    if state == 0:
                        try:
                            route.exit_linked(pid, <Pid>partner, reason)
                        except Exception as error:
                            untold(process, partner, error)
    while rare.callers != NULL:
        (<Call>rare.callers).settle(reason, FAILED)
    watchers = rare.watchers
    rare.watchers = None
    if watchers is not None:
        for ref, watcher in watchers.items():
            shown = pid
            if isinstance(watcher, tuple):
                watcher, name = watcher
                shown = (name, home.node)
            if (<Pid>watcher).node is home.node:
                other = home.find(<Pid>watcher)
                if other is not None and other.rare is not None and other.rare.monitors is not None \
                        and other.rare.monitors.pop(ref, None) is not None:
                    down(other, <Ref>ref, shown, reason)
            else:
                route = home.routes.get((<Pid>watcher).node)
                if route is not None and route.in_monitors.pop(ref, None) is not None:
                    try:
                        route.monitor_down(shown[0] if type(shown) is tuple else shown, <Pid>watcher, <Ref>ref, reason)
                    except Exception as error:
                        untold(process, watcher, error)
    if rare.done_callbacks is not None:
        for callback in rare.done_callbacks:
            home.loop.call_soon(callback, process)
        rare.done_callbacks = None
    if rare.on_exit is not None:
        told = rare.on_exit
        rare.on_exit = None
        told(process, reason)
    return 0


def untold(Process process, whom, error):
    """One of those who should hear of a death cannot be told; the others still are."""
    log.error("the end of process %s could not be told to %s: %s: %s", process.pid, whom, type(error).__name__, error)


# ---- names

def register_name(Scheduler home not None, name, Pid pid not None):
    """Give a local process a name. Raises NameTaken or NoProcess."""
    cdef Atom key = atom_of(name)
    cdef Process process = home.find(pid)
    if key is UNDEFINED:
        raise ValueError("a process cannot be registered as undefined")
    if process is None:
        raise NoProcess(f"cannot register {pid} as {key}: it is not a living process of {home.node}")
    if key in home.names:
        raise NameTaken(f"{key} is already the name of {(<Process>home.names[key]).pid} on {home.node}")
    if process.rarely().names is None:
        process.rare.names = []
    if process.rare.names:
        raise NameTaken(f"{pid} is already registered as {process.rare.names[0]}; a process has one name")
    process.rare.names.append(key)
    home.names[key] = process


def unregister_name(Scheduler home not None, name):
    """Release a name. Raises NoProcess if nobody holds it."""
    cdef Atom key = atom_of(name)
    process = home.names.pop(key, None)
    if process is None:
        raise NoProcess(f"no process is registered as {key} on {home.node}")
    (<Process>process).rare.names.remove(key)


def whereis_name(Scheduler home not None, name):
    """The pid behind a local name, or None."""
    process = home.names.get(atom_of(name))
    return None if process is None else (<Process>process).pid


# ---- signals from other nodes; `route` is where they came from

def in_link(Scheduler home, Route route, Pid remote, Pid local):
    """LINK: answered with `noproc` if the local process is dead."""
    cdef Process target = home.find(local)
    if target is None:
        route.exit_linked(local, remote, NOPROC)
        return
    if target.rarely().links is None:
        target.rare.links = {}
    if target.rare.links.get(remote, 0) != 0:
        return                      # our unlink is not acknowledged yet: this link is older than it
    target.rare.links[remote] = 0
    note_link(route, remote, local)


def in_unlink(Scheduler home, Route route, uint64_t id, Pid remote, Pid local):
    """UNLINK_ID, acknowledged before anything else is sent; id 0 for the old UNLINK."""
    cdef Process target = home.find(local)
    route.unlink_ack(local, remote, id)
    if target is not None and target.rare is not None and target.rare.links is not None \
            and target.rare.links.get(remote) == 0:
        del target.rare.links[remote]
        forget_link(route, remote, local)


def in_unlink_ack(Scheduler home, Route route, uint64_t id, Pid remote, Pid local):
    """UNLINK_ID_ACK: the link is gone for good."""
    cdef Process target = home.find(local)
    if target is not None and target.rare is not None and target.rare.links is not None \
            and id != 0 and target.rare.links.get(remote) == id:
        del target.rare.links[remote]
        forget_link(route, remote, local)


def in_exit_linked(Scheduler home, Route route, Pid remote, Pid local, reason):
    """EXIT: a link broke; one that we unlinked already says nothing any more."""
    cdef Process target = home.find(local)
    forget_link(route, remote, local)
    if target is None or target.rare is None or target.rare.links is None:
        return
    if target.rare.links.pop(remote, 1) == 0:
        exit_signal_to(target, remote, reason, True)


def in_exit_signal(Scheduler home, Pid remote, Pid local, reason):
    """EXIT2: somebody's exit/2."""
    cdef Process target = home.find(local)
    if target is not None:
        exit_signal_to(target, remote, reason, False)


def in_monitor(Scheduler home, Route route, Pid remote, target, Ref ref):
    """MONITOR_P of a pid or a name: answered with `noproc` at once if nobody is there."""
    cdef Process process
    if isinstance(target, Pid):
        process = home.find(<Pid>target)
        watcher = remote
    else:
        process = home.names.get(target)
        watcher = (remote, target)
    if process is None:
        route.monitor_down(target, remote, ref, NOPROC)
        return
    if process.rarely().watchers is None:
        process.rare.watchers = {}
    process.rare.watchers[ref] = watcher
    route.in_monitors[ref] = process.pid


def in_demonitor(Scheduler home, Route route, Ref ref):
    """True if the monitor was there."""
    cdef Process process
    pid = route.in_monitors.pop(ref, None)
    if pid is None:
        return False
    process = home.find(<Pid>pid)
    if process is not None and process.rare is not None and process.rare.watchers is not None:
        process.rare.watchers.pop(ref, None)
    return True


def in_monitor_down(Scheduler home, Route route, Pid local, Ref ref, reason):
    """MONITOR_P_EXIT: what we watched is gone."""
    cdef Process watcher = home.find(local)
    if route.out_monitors.pop(ref, None) is None:
        return                      # not a monitor across this connection
    if watcher is None or watcher.rare is None or watcher.rare.monitors is None:
        return
    shown = watcher.rare.monitors.pop(ref, None)
    if shown is not None:
        down(watcher, ref, shown, reason)


def watch_from(Scheduler home, Route route, Pid remote, Pid local, Ref ref):
    """A remote monitor made by the spawn request itself."""
    in_monitor(home, route, remote, local, ref)


def monitor_made(Process me, Route route, Pid target, Ref ref):
    """Our spawn request asked for a monitor and the other node has made it."""
    if me.rarely().monitors is None:
        me.rare.monitors = {}
    me.rare.monitors[ref] = target
    route.out_monitors[ref] = me.pid


def link_made(Process me, Route route, Pid target):
    """Our spawn request asked for a link and the other node has made it."""
    if me.rarely().links is None:
        me.rare.links = {}
    me.rare.links[target] = 0
    note_link(route, target, me.pid)


def route_lost(Scheduler home, Route route):
    """The connection is gone: `noconnection` for every link and monitor across it, on our side only."""
    cdef Process process
    monitors, links, incoming = route.out_monitors, route.links, route.in_monitors
    route.out_monitors, route.links, route.in_monitors = {}, {}, {}
    for ref, pid in incoming.items():
        process = home.find(<Pid>pid)
        if process is not None and process.rare is not None and process.rare.watchers is not None:
            process.rare.watchers.pop(ref, None)
    for remote, locals_ in links.items():
        for local in locals_:
            process = home.find(<Pid>local)
            if process is not None and process.rare is not None and process.rare.links is not None \
                    and process.rare.links.pop(remote, 1) == 0:
                exit_signal_to(process, remote, NOCONNECTION, True)
    for ref, pid in monitors.items():
        process = home.find(<Pid>pid)
        if process is not None and process.rare is not None and process.rare.monitors is not None:
            shown = process.rare.monitors.pop(ref, None)
            if shown is not None:
                down(process, <Ref>ref, shown, NOCONNECTION)
