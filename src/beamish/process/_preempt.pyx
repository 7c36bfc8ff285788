"""Whether a process that has computed for too long may be interrupted here, and the watchdog that asks.

Interrupting parks the stack of the whole step in a greenlet and goes on with other processes. That is safe only where a thread could
have been switched too, and where nothing is held that another process of the same thread could want: every frame of the step must be
application code, and none of them may hold a lock.
"""

import opcode
import signal
import sysconfig
import threading
import types
from _thread import LockType, RLock
from pathlib import Path

from cpython.object cimport PyObject

cdef extern from "_watchdog.h":
    Watch beamish_watch
    int beamish_watch_start(int number)
    void beamish_watch_begin(Watch* watch)
    void beamish_watch_forked()
    double beamish_watch_now()

cdef extern from "Python.h":
    int PyErr_SetInterruptEx(int number)

cdef extern from "_frame_stack.h":
    bint BEAMISH_READS_STACK
    PyObject* beamish_stack_item(object frame, object code, int place)
    Py_ssize_t beamish_distance()

SIGNAL = getattr(signal, "SIGRTMAX", None)
DEEPEST = 200                       # frames looked at; a deeper recursion is not interrupted
MOST_CACHED = 10_000
MOST_LOCALS = 64                    # members looked at when a lock may be kept in a container

cdef Watch* the_watch() noexcept:
    return &beamish_watch


cdef void begin_turn(Watch* watch) noexcept:
    beamish_watch_begin(watch)


# ---- which code may be interrupted

cdef int APPLICATION = 1, LIBRARY = 2, OWN = 3
cdef dict kinds = {}                # file name -> one of these
cdef set transparent = set()        # code objects of beamish that may stand anywhere under the application's
cdef str own_folder = str(Path(__file__).resolve().parent.parent) + "/"
cdef dict careful = {}              # id of a code object -> (code, whether it may hold a lock, exception table)
cdef tuple library_folders = ()
cdef object barred = ()             # folders of packages that switch stacks or loops themselves

# What these packages do between two instructions must not be seen half done by another process on the same thread.
BARRED = ("greenlet", "gevent", "eventlet", "uvloop", "anyio", "trio", "sniffio", "sqlalchemy", "_pytest", "pytest", "pluggy", "hypothesis")


def _folders():
    found = []
    for key in ("stdlib", "platstdlib"):
        folder = sysconfig.get_path(key)
        if folder:
            found += [str(Path(folder)), str(Path(folder).resolve())]
    found.append(str(Path(types.__file__).parent))      # a virtual environment's standard library is elsewhere
    found.append(str(Path(types.__file__).resolve().parent))
    return tuple({folder + "/" for folder in found})


def kind_of(str filename):
    """APPLICATION (1); LIBRARY (2), the standard library and packages that switch stacks; OWN (3), beamish itself."""
    global library_folders
    if not library_folders:
        library_folders = _folders()
    if filename.startswith("<frozen"):
        return LIBRARY
    if filename.startswith(own_folder):
        return OWN
    for marker in ("/site-packages/", "/dist-packages/"):
        _, found, inside = filename.partition(marker)
        if found:
            return LIBRARY if inside.split("/")[0] in BARRED else APPLICATION
    return LIBRARY if filename.startswith(library_folders) else APPLICATION


def mark_transparent(function):
    """A function of beamish that does nothing but call the application may stand between its frames. Gives the function."""
    transparent.add(function.__code__)
    return function


# Instructions at which the interpreter looks for signals without having called anything: with one of these as the last, the
# handler was not called from within a function written in C (a write that waits, a lock, a long multiplication).
cdef frozenset boundaries = frozenset(
    number for number, name in enumerate(opcode.opname)
    if name.removeprefix("INSTRUMENTED_").startswith(("JUMP_BACKWARD", "POP_JUMP_BACKWARD", "RESUME")) and "NO_INTERRUPT" not in name)


cdef Py_ssize_t direct = 0          # the distance seen at such instructions


cdef bint at_boundary(object frame) except -1:
    """Whether the innermost frame is between two instructions, rather than in a call into C. To be asked in the handler itself."""
    global direct
    cdef Py_ssize_t distance = beamish_distance()
    cdef bytes code = frame.f_code.co_code
    cdef Py_ssize_t place = frame.f_lasti
    if 0 <= place < len(code) and <int><unsigned char>code[place] in boundaries:
        direct = distance
        return True
    # After a call that has returned: the loop looks for signals there too, and in some loops only there.
    return distance > 0 and distance == direct


cdef void ask_again() noexcept:
    """Have the handler called at the next place where the interpreter looks."""
    PyErr_SetInterruptEx(beamish_watch.signal)


cdef bint waits_for_lock(object frame) except -1:
    """Whether the innermost frame may be inside a lock's `acquire`."""
    code = frame.f_code
    place = frame.f_lasti
    opname = opcode.opname[code.co_code[place]] if 0 <= place < len(code.co_code) else ""
    if opname == "BEFORE_WITH":
        return True
    return opname.startswith("CALL") and "acquire" in code.co_names


cdef bint may_interrupt(object frame, bint waiting=False) except -1:
    cdef int depth = 0
    cdef bint within = False            # a function of ours is being looked through
    while frame is not None:
        code = frame.f_code
        kind = kinds.get(code.co_filename)
        if kind is None:
            if len(kinds) > MOST_CACHED:
                kinds.clear()
            kind = kinds[code.co_filename] = kind_of(code.co_filename)
        if kind == LIBRARY or (depth == 0 and kind == OWN):
            return False
        if kind == OWN:
            # The outermost ones are loops of servers and the like, which touch nothing but their own process's state. One that
            # the application called may be in the middle of a change that others must not see half done.
            within = within or code not in transparent
        elif within:
            return False
        elif code.co_name == "__del__":
            return False            # somewhere in a deallocation, or in the collector
        elif not (waiting and depth == 0) and holds_lock(frame, code):
            return False
        depth += 1
        if depth > DEEPEST:
            return False
        frame = frame.f_back
    return True


def interruptible(frame):
    """Whether a process may be interrupted where this frame stands; for tests."""
    return bool(may_interrupt(frame, False))


# ---- locks

cdef bint holds_lock(object frame, object code) except -1:
    entry = careful.get(id(code))
    if entry is None:
        import dis
        if len(careful) > MOST_CACHED:
            careful.clear()         # a shell makes code for ever
        entry = careful[id(code)] = (code, _may_lock(code), dis._parse_exception_table(code))
    if not entry[1]:
        return False
    return _lock_in_with(frame, code, entry[2], frame.f_lasti) or _lock_in_reach(frame, code)


def _may_lock(code):
    import dis
    if "acquire" in code.co_names or "__enter__" in code.co_names or "enter_context" in code.co_names:
        return True
    return any(op.opname in ("BEFORE_WITH", "LOAD_SPECIAL", "SETUP_WITH") for op in dis.get_instructions(code))


def _is_held(thing):
    """Whether this is a lock that somebody holds; for those that know their owner, this thread."""
    kind = type(thing)
    if kind is LockType:
        return thing.locked()
    if kind is RLock:
        return thing._is_owned()
    if kind is threading.Condition:
        return _is_held(thing._lock)
    if isinstance(thing, (threading.Condition, threading.Semaphore, threading.Barrier)):
        return True
    if kind.__module__ in ("threading", "multiprocessing.synchronize"):
        return hasattr(thing, "acquire")
    return False


def _lock_in_with(frame, code, table, lasti):
    """Whether one of the `with` blocks around the present instruction holds a lock."""
    depth = 0
    inside = False
    for each in table:
        if each.start <= lasti < each.end:
            inside, depth = True, each.depth
            break
    if not inside:
        return False
    if not BEAMISH_READS_STACK:
        return True                 # cannot tell
    cdef PyObject* found
    for place in range(depth):
        found = beamish_stack_item(frame, code, place)
        if found == NULL:
            continue
        item = <object>found
        if getattr(item, "__name__", None) not in ("__exit__", "release"):
            continue
        manager = getattr(item, "__self__", None)
        if _is_held(manager):
            return True
        inner = getattr(getattr(manager, "gen", None), "gi_frame", None)       # contextlib.contextmanager
        if inner is not None and holds_lock(inner, inner.f_code):
            return True
        exits = getattr(manager, "_exit_callbacks", None)                      # contextlib.ExitStack
        if exits is not None and any(_is_held(getattr(callback, "__self__", None)) for _, callback in exits):
            return True
    return False


def _lock_in_reach(frame, code):
    """Whether a lock that this code names (a local, a global, an attribute, a member of a container) is held: `acquire()` without `with`."""
    if "acquire" not in code.co_names:
        return False
    names = code.co_names
    found = list(frame.f_locals.values())
    spaces = frame.f_globals
    found += [spaces[name] for name in names if name in spaces]
    for _ in range(3):
        deeper = []
        for thing in found:
            if _is_held(thing):
                return True
            if isinstance(thing, (list, tuple, set, frozenset)):
                deeper += list(thing)[:MOST_LOCALS] if len(thing) <= MOST_LOCALS else []
            elif isinstance(thing, dict):
                deeper += list(thing.values())[:MOST_LOCALS] if len(thing) <= MOST_LOCALS else []
            else:
                for holder in (getattr(thing, "__dict__", None), getattr(type(thing), "__dict__", None)):
                    if holder is not None:
                        deeper += [holder[name] for name in names if name in holder]
        found = deeper
        if not found:
            break
    return False


# ---- the watchdog

cdef object installed = None        # the function that the signal calls


def start_watchdog(function, double slice):
    """Have `function(signum, frame)` called on this thread when a step takes longer than `slice` seconds.

    One watchdog serves every kernel of the thread. Raises RuntimeError where it cannot be.
    """
    global installed
    if SIGNAL is None:
        raise RuntimeError("this system has no real-time signals; processes are not preempted")
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("only the main thread can be interrupted; processes of this node are not preempted")
    beamish_watch.slice = slice
    kind_of("")                         # finds the library's folders now rather than in the handler
    if installed is None or signal.getsignal(SIGNAL) is not function:
        before = signal.getsignal(SIGNAL)
        if before not in (signal.SIG_DFL, signal.SIG_IGN, None) and before is not installed:
            raise RuntimeError(f"signal {int(SIGNAL)} is used by {before!r}; processes are not preempted")
        signal.signal(SIGNAL, function)
        installed = function
    failed = beamish_watch_start(int(SIGNAL))
    if failed:
        raise RuntimeError(f"the watchdog thread could not start (error {failed}); processes are not preempted")
    from beamish.process.body import loop_a_little
    ask_again()
    loop_a_little()                     # the handler sees how far away the interpreter's loop is


def watched_for():
    """Seconds that the step in progress has been seen running."""
    return beamish_watch_now() - beamish_watch.since


def _register_fork():
    import os

    os.register_at_fork(after_in_child=_forked)


def _forked():
    beamish_watch_forked()


_register_fork()
