"""Processes, their mailboxes, the run queue and the process table.

A process is a control block that owns its mailbox and its coroutine (models.md, "A process is not a task"). Everything here
happens on the thread of the runtime's loop, except `send` and `spawn`, which other threads may call: they hold the GIL, and only the
wake-up of the loop has to cross.
"""

import asyncio
import warnings

cimport cython
from cpython.contextvars cimport PyContext_CopyCurrent
from cpython.exc cimport PyErr_SetNone
from cpython.object cimport PyObject
from cpython.ref cimport Py_CLEAR, Py_DECREF, Py_INCREF, Py_XDECREF
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memmove

from beamish.process._timers cimport Entry, Timer, TimerHeap, settle
from beamish.term._atom cimport Atom, intern_text
from beamish.term._compound cimport new_improper
from beamish.term._identifiers cimport Pid, Ref, new_pid, new_ref

from beamish.errors import BeamishError, Exit, NameTaken, NoProcess, NoRuntime, NotAProcess, ReceiveTimeout
from beamish.term._compound import ImproperList

cdef extern from "_current.h":
    void* beamish_current_process

cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN = 0
        PYGEN_ERROR = -1
        PYGEN_NEXT = 1
    ctypedef struct PyAsyncMethods:
        void* am_await
        void* am_aiter
        void* am_anext
        void* am_send
    ctypedef struct TypeObj "PyTypeObject":
        PyAsyncMethods* tp_as_async
    unsigned long PyThread_get_thread_ident() nogil

cdef extern from *:
    """
    #include <time.h>
    static double beamish_now(void) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
    }
    """
    double beamish_now() nogil

DEFAULT_PROCESS_LIMIT = 1 << 20
cdef int SWALLOWS = 8            # receives that a process may try after it was told to exit

cdef PyObject* get_current() noexcept:
    return <PyObject*>beamish_current_process


cdef void set_current(PyObject* process) noexcept:
    global beamish_current_process
    beamish_current_process = <void*>process


cdef Process require_process(str verb):
    if beamish_current_process == NULL:
        raise NotAProcess(
            f"{verb} needs a process: use it inside a function started with spawn() or beamish.run() "
            "(asyncio tasks and threads started by a process have no mailbox of their own)")
    return <Process>beamish_current_process


cdef Scheduler require_runtime(str verb):
    if beamish_current_process == NULL:
        raise NoRuntime(f"{verb} needs a running node: use it inside a process, or as a method of a Runtime")
    return (<Process>beamish_current_process).home


cdef Atom atom_of(object name):
    """A name given as Atom or str."""
    if type(name) is Atom:
        return <Atom>name
    if isinstance(name, str):
        made = intern_text(name)
        if type(made) is Atom:
            return <Atom>made
    raise TypeError(f"a name is an atom or a str, not {name!r}")


cdef object target_of(object thing):
    """What a handle of a server or supervisor stands for; anything else is its own target."""
    if type(thing) is Pid or type(thing) is Atom or type(thing) is str or type(thing) is tuple:
        return thing
    return getattr(thing, "__target__", thing)


cdef Pid pid_in(object thing, str verb):
    """The pid that a pid, or a handle of a living server, stands for."""
    cdef object found
    if type(thing) is Pid:
        return <Pid>thing
    found = target_of(thing)
    if found is not thing and type(found) is not Pid:
        found = thing.pid                   # by name: looked up now
    if type(found) is not Pid:
        raise TypeError(f"{verb} takes a pid, or the handle of a server, not {thing!r}")
    return <Pid>found


cdef class Rare:
    """The parts of a control block that most processes never need; made on first use."""


cdef class Body:
    """Base of bodies that are stepped in C; `spawn` takes them as it takes coroutines."""


cdef tuple ALIAS = (intern_text("alias"),)
cdef CallStep call_step = NULL


cdef void install_call_step(CallStep step) noexcept:
    """`_call.pyx` brings what a call does when it is awaited."""
    global call_step
    call_step = step


@cython.no_gc               # all it refers to is either plain or let go when the call is over
@cython.freelist(256)
cdef class Call:
    """One call; `_call.pyx` makes it awaitable. A server that is a Body finds it in its mailbox, others the ordinary tuple."""

    def __dealloc__(self):
        if self.at is not None:
            self.detach()
        elif self.state == NEW and self.label is not None:
            warnings.warn(f"a call to {self.target} was never awaited: nothing was sent", RuntimeWarning, stacklevel=1)

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        # Only traced frames and Python >= 3.12 come this way; the others use am_send.
        cdef PyObject* result = NULL
        cdef int outcome = call_step(<PyObject*>self, NULL, &result)
        value = <object>result
        Py_DECREF(value)
        if outcome == PYGEN_NEXT:
            return value
        raise StopIteration(value)

    def send(self, value):
        """As of a coroutine."""
        return self.__next__()

    def throw(self, kind, value=None, trace=None):
        """The caller is torn out of its wait; a reply that still comes is dropped."""
        if self.slow is not None:
            return self.slow.throw(kind) if value is None else self.slow.throw(kind, value, trace)
        self.detach()
        self.state = OVER
        if value is None:
            value = kind if isinstance(kind, BaseException) else kind()
        elif not isinstance(value, BaseException):
            value = kind(value)
        raise value if trace is None else value.with_traceback(trace)

    def close(self):
        """Nobody waits any more."""
        if self.slow is not None:
            self.slow.close()
        self.detach()
        self.state = OVER

    cdef int attach(self, Process caller, Process server) except -1:
        """Into the server's list of callers: its death ends the call."""
        self.caller = caller.pid
        self.mine = caller.rarely()
        self.at = server.rarely()
        self.before = NULL
        self.after = self.at.callers
        if self.after != NULL:
            (<Call>self.after).before = <PyObject*>self
        self.at.callers = <PyObject*>self
        self.mine.calling = <PyObject*>self
        self.state = WAITS
        return 0

    cdef int detach(self) except -1:
        """Out of the list: nobody owes this call an answer any more."""
        cdef Process process
        if self.at is None:
            return 0
        if self.before != NULL:
            (<Call>self.before).after = self.after
        else:
            self.at.callers = self.after
        if self.after != NULL:
            (<Call>self.after).before = self.before
        self.before = self.after = NULL
        if self.mine.calling == <PyObject*>self:
            self.mine.calling = NULL
        if self.ref is not None and self.mine.aliases is not None and self.caller.process != NULL:
            process = <Process>self.caller.process
            self.mine.aliases.discard(self.ref)
            process.home.aliases.pop(self.ref, None)
        self.at = self.mine = None
        if self.state == WAITS:
            self.state = OVER
        return 0

    cdef int settle(self, object answer, int state) except -1:
        """The answer, or the news of the server's death; too late for one who waits no more."""
        cdef Process process
        if self.state != WAITS:
            return 0
        self.state = state
        self.answer = answer
        self.detach()
        if self.caller.process != NULL:
            process = <Process>self.caller.process
            process.rare.deadline = 0
            if process.bits & (WAITING | QUEUED) == WAITING:
                process.home.wake(process)
        return 0

    cdef tuple sender(self):
        """``{Pid, [alias|Ref]}``: a reply sent there finds this call."""
        cdef Process process
        if self.ref is None:
            if self.caller.process != NULL and self.state == WAITS:
                process = <Process>self.caller.process
                self.ref = process.home.make_ref()
                if self.mine.aliases is None:
                    self.mine.aliases = set()
                self.mine.aliases.add(self.ref)
                process.home.aliases[self.ref] = (process, "call")
            else:
                self.ref = new_ref(self.caller.node, self.caller.creation, 3)       # nobody waits: it leads nowhere
                self.ref.word[0] = self.ref.word[1] = self.ref.word[2] = 0
        return (self.caller, new_improper(ALIAS, self.ref))

    cdef object message(self):
        """The message that everybody but a Body sees: ``{Label, {Pid, Tag}, Request}``."""
        return (self.label, self.sender(), self.request)


cdef object plain_message(Process process, int place):
    """The message at `place`, without taking it out; a Call is turned into its tuple where it lies."""
    cdef PyObject** slot = process.ring + ((process.head + place) & (process.cap - 1))
    message = <object>slot[0]
    if type(message) is Call:
        made = (<Call>message).message()
        Py_INCREF(made)
        slot[0] = <PyObject*>made
        Py_DECREF(message)
        return made
    return message


cdef int resize_ring(Process process, int size) except -1:
    """Move the mailbox into a ring of another size (a power of two that holds all messages)."""
    cdef PyObject** moved = <PyObject**>malloc(size * sizeof(PyObject*))
    cdef int first = process.cap - process.head
    if moved == NULL:
        raise MemoryError()
    if first > process.count:
        first = process.count
    if process.count:
        memcpy(moved, process.ring + process.head, first * sizeof(PyObject*))
        memcpy(moved + first, process.ring, (process.count - first) * sizeof(PyObject*))
    free(process.ring)
    process.ring = moved
    process.head = 0
    process.cap = size
    return 0


@cython.freelist(1024)
cdef class Process:
    """The control block. Users hold pids; asyncio sees this as the current task while the process runs."""

    def __dealloc__(self):
        if self.pid is not None and self.pid.process == <void*>self:
            self.pid.process = NULL
        self.clear_mailbox()

    cdef Rare rarely(self):
        if self.rare is None:
            self.rare = Rare.__new__(Rare)
        return self.rare

    # ---- mailbox: a ring of owned references, its capacity a power of two

    cdef int push(self, object message) except -1:
        if self.count == self.cap:
            resize_ring(self, self.cap * 2 if self.cap else 4)
        Py_INCREF(message)
        self.ring[(self.head + self.count) & (self.cap - 1)] = <PyObject*>message
        self.count += 1
        return 0

    cdef object take(self, int place):
        """Remove and return the message at `place` (0 is the oldest)."""
        cdef int mask = self.cap - 1, i
        cdef PyObject* found = self.ring[(self.head + place) & mask]
        if place == 0:
            self.head = (self.head + 1) & mask
        elif place <= self.count >> 1:
            for i in range(place, 0, -1):
                self.ring[(self.head + i) & mask] = self.ring[(self.head + i - 1) & mask]
            self.head = (self.head + 1) & mask
        else:
            for i in range(place, self.count - 1):
                self.ring[(self.head + i) & mask] = self.ring[(self.head + i + 1) & mask]
        self.count -= 1
        if self.count == 0 or self.cap > 1024:
            self.shrink()
        message = <object>found
        Py_DECREF(message)
        return message

    cdef int shrink(self) except -1:
        """A mailbox that was large gives memory back."""
        if self.count == 0:
            self.head = 0
            if self.cap > 64:
                free(self.ring)
                self.ring = NULL
                self.cap = 0
        elif self.cap > 1024 and self.count < self.cap >> 3:
            resize_ring(self, self.cap >> 1)        # a burst is over, though the mailbox may never be quite empty
        return 0

    cdef void clear_mailbox(self) noexcept:
        cdef PyObject** ring = self.ring
        cdef int head = self.head, count = self.count, mask = self.cap - 1, i
        self.ring = NULL
        self.cap = self.count = self.head = 0
        for i in range(count):
            Py_XDECREF(ring[(head + i) & mask])
        free(ring)

    # ---- what asyncio expects of the current task

    def cancel(self, msg=None):
        """asyncio's cancel: throw CancelledError at the next step. `asyncio.timeout` uses it."""
        cdef Rare rare = self.rarely()
        if self.bits & DEAD:
            return False
        rare.cancels += 1
        rare.cancel_message = msg
        if rare.waiter is not None and rare.waiter.cancel(msg=msg):
            return True
        self.bits |= CANCELLING
        if not self.bits & (RUNNING | QUEUED):
            self.home.wake(self)
        return True

    def cancelling(self):
        return 0 if self.rare is None else self.rare.cancels

    def uncancel(self):
        cdef Rare rare = self.rarely()
        if rare.cancels > 0:
            rare.cancels -= 1
            if rare.cancels == 0:
                self.bits &= ~<unsigned int>CANCELLING
        return rare.cancels

    @property
    def _must_cancel(self):
        return bool(self.bits & CANCELLING)

    @property
    def _fut_waiter(self):
        return None if self.rare is None else self.rare.waiter

    def get_coro(self):
        return self.coro if not isinstance(self.coro, tuple) else None

    def get_loop(self):
        return self.home.loop

    def get_context(self):
        return self.context

    def get_name(self):
        if self.rare is not None and self.rare.task_name is not None:
            return self.rare.task_name
        return f"process {self.pid}"

    def set_name(self, value):
        self.rarely().task_name = str(value)

    def done(self):
        return bool(self.bits & DEAD)

    def cancelled(self):
        return False

    def add_done_callback(self, callback, *, context=None):
        cdef Rare rare = self.rarely()
        if self.bits & DEAD:
            self.home.loop.call_soon(callback, self)
            return
        if rare.done_callbacks is None:
            rare.done_callbacks = []
        rare.done_callbacks.append(callback)

    def remove_done_callback(self, callback):
        if self.rare is None or self.rare.done_callbacks is None:
            return 0
        before = len(self.rare.done_callbacks)
        self.rare.done_callbacks = [kept for kept in self.rare.done_callbacks if kept != callback]
        return before - len(self.rare.done_callbacks)

    def _future_done(self, future):
        """Callback of the awaited future."""
        if self.rare is not None and self.rare.waiter is future:
            self.rare.waiter = None
            self.bits &= ~<unsigned int>PARKED
            self.home.wake(self)

    # ---- looking in

    @property
    def details(self):
        """Counters and states for `Process.info`; no copy of the mailbox is made here."""
        return {"bits": self.bits, "queue": self.count, "steps": self.steps, "rare": self.rare,
                "ring": self.cap, "coro": self.coro}

    def peek_messages(self):
        """A copy of the mailbox, oldest first."""
        return [plain_message(self, i) for i in range(self.count)]

    @property
    def callers(self):
        """Pids of the processes that wait for this one's answer."""
        cdef PyObject* at = NULL if self.rare is None else self.rare.callers
        found = []
        while at != NULL:
            found.append((<Call>at).caller)
            at = (<Call>at).after
        return found

    @property
    def calling(self):
        """What this process has called and waits for, as it was named; or None."""
        if self.rare is None or self.rare.calling == NULL:
            return None
        return (<Call>self.rare.calling).target

    @property
    def status(self):
        if self.bits & DEAD:
            return "dead"
        if self.bits & (EXITING | UNWINDING):
            return "exiting"
        if self.bits & RUNNING:
            return "running"
        if self.bits & (QUEUED | YIELDED):
            return "runnable"
        return "waiting"

    @property
    def traps(self):
        return bool(self.bits & TRAPS)

    @traps.setter
    def traps(self, bint on):
        if on:
            self.bits |= TRAPS
        else:
            self.bits &= ~<unsigned int>TRAPS

    @property
    def system(self):
        return bool(self.bits & SYSTEM)

    @system.setter
    def system(self, bint on):
        if on:
            self.bits |= SYSTEM
        else:
            self.bits &= ~<unsigned int>SYSTEM

    @property
    def rare_parts(self):
        return self.rarely()

    def __repr__(self):
        return f"<Process {self.pid} {self.status}>"


cdef class Route:
    """How the kernel sends to one other node. `dist`, the memory network and `node.route` implement it."""

    def __init__(self, Atom node not None):
        self.node = node
        self.out_monitors = {}
        self.in_monitors = {}
        self.links = {}
        self.requests = {}

    cpdef send(self, Pid sender, object to, object message):
        raise NotImplementedError

    cpdef link(self, Pid local, Pid remote):
        raise NotImplementedError

    cpdef unlink(self, Pid local, Pid remote, uint64_t id):
        raise NotImplementedError

    cpdef unlink_ack(self, Pid local, Pid remote, uint64_t id):
        raise NotImplementedError

    cpdef exit_linked(self, Pid local, Pid remote, object reason):
        raise NotImplementedError

    cpdef exit_signal(self, Pid local, Pid remote, object reason):
        raise NotImplementedError

    cpdef monitor(self, Pid local, object target, Ref ref):
        raise NotImplementedError

    cpdef demonitor(self, Pid local, object target, Ref ref):
        raise NotImplementedError

    cpdef monitor_down(self, object target, Pid remote, Ref ref, object reason):
        raise NotImplementedError

    cpdef spawn_request(self, Ref ref, Pid local, Pid leader, tuple mfa, list args, list opts):
        raise NotImplementedError

    cpdef spawn_reply(self, Ref ref, Pid remote, int flags, object pid_or_reason):
        raise NotImplementedError

    cpdef group_leader(self, Pid leader, Pid remote):
        raise NotImplementedError

    cpdef flush(self):
        raise NotImplementedError


cdef class Scheduler:
    """One node's processes: table, run queue, names, timers."""

    def __init__(self, Atom node not None, uint32_t creation, loop=None):
        self.node = node
        self.creation = creation
        self.names = {}
        self.aliases = {}
        self.routes = {}
        self.timers_by_ref = {}
        self.dirty = []
        self.timers = TimerHeap.__new__(TimerHeap)
        self.process_limit = DEFAULT_PROCESS_LIMIT
        if loop is not None:
            self.attach(loop)

    def attach(self, loop):
        """Run on this loop, whose thread is the calling one."""
        self.loop = loop
        self.call_soon = loop.call_soon
        self.call_soon_threadsafe = loop.call_soon_threadsafe
        self.thread = PyThread_get_thread_ident()
        if self.ready_head != NULL:
            self.drain_asked = False
            self.ask_drain()

    def __dealloc__(self):
        cdef uint32_t i
        cdef PyObject* following
        while self.ready_head != NULL:
            following = (<Process>self.ready_head).next_ready
            Py_DECREF(<Process>self.ready_head)
            self.ready_head = following
        for i in range(self.slots_used):
            Py_CLEAR(self.slots[i].process)
        free(self.slots)
        free(self.free_ids)

    # ---- run queue

    cdef int enqueue(self, Process process) except -1:
        Py_INCREF(process)
        process.bits |= QUEUED
        process.next_ready = NULL
        if self.ready_tail == NULL:
            self.ready_head = <PyObject*>process
        else:
            (<Process>self.ready_tail).next_ready = <PyObject*>process
        self.ready_tail = <PyObject*>process
        if not self.drain_asked and not self.draining:
            self.ask_drain()
        return 0

    cdef int wake(self, Process process) except -1:
        if not process.bits & (QUEUED | DEAD):
            process.bits &= ~<unsigned int>WAITING
            self.enqueue(process)
        return 0

    cdef int ask_drain(self) except -1:
        self.drain_asked = True
        if self.loop is None or self.closed:
            return 0
        if PyThread_get_thread_ident() == self.thread:
            self.call_soon(self._drain)
        else:
            self.call_soon_threadsafe(self._drain)
        return 0

    def _drain(self):
        self.drain_asked = False
        self.drain()

    cdef int drain(self) except -1:
        raise NotImplementedError

    cdef int deliver(self, Process process, object message) except -1:
        process.push(message)
        self.messages += 1
        if process.bits & WAITING and not process.bits & QUEUED:
            process.bits &= ~<unsigned int>WAITING
            self.enqueue(process)
        return 0

    # ---- process table

    cdef int occupy(self, Process process) except -1:
        """Give the process a slot and a pid."""
        cdef uint32_t place
        cdef Slot* grown
        if self.closed:
            raise NoRuntime(f"node {self.node} has stopped; nothing more can be spawned on it")
        if self.free_count and (self.slots_used == self.slot_count or self.free_count > 1024):
            place = self.free_ids[self.free_head]
            self.free_head = (self.free_head + 1) % self.slot_count
            self.free_count -= 1
        else:
            if self.slots_used == self.slot_count:
                self.grow_slots()
            place = self.slots_used
            self.slots_used += 1
        process.pid = new_pid(self.node, place + 1, self.slots[place].serial, self.creation)
        process.pid.process = <void*>process
        Py_INCREF(process)
        self.slots[place].process = <PyObject*>process
        self.alive += 1
        self.spawned += 1
        return 0

    cdef int grow_slots(self) except -1:
        cdef uint32_t size = self.slot_count * 2 if self.slot_count else 256, i
        cdef Slot* grown
        cdef uint32_t* ids
        if self.slot_count >= self.process_limit:
            raise BeamishError(f"system_limit: node {self.node} already has {self.alive} processes "
                               f"(limit {self.process_limit}); raise process_limit or find the leak with Process.list()")
        if size > self.process_limit:
            size = self.process_limit
        grown = <Slot*>realloc(self.slots, size * sizeof(Slot))
        if grown == NULL:
            raise MemoryError()
        self.slots = grown
        for i in range(self.slot_count, size):
            grown[i].process = NULL
            grown[i].serial = 0
        ids = <uint32_t*>malloc(size * sizeof(uint32_t))
        if ids == NULL:
            raise MemoryError()
        for i in range(self.free_count):
            ids[i] = self.free_ids[(self.free_head + i) % self.slot_count]
        free(self.free_ids)
        self.free_ids = ids
        self.free_head = 0
        self.slot_count = size

    cdef int vacate(self, Process process) except -1:
        """Take the process out of the table; its pid is dead from now on."""
        cdef uint32_t place = process.pid.id - 1
        process.pid.process = NULL
        if self.slots[place].process == <PyObject*>process:
            self.slots[place].process = NULL
            self.slots[place].serial += 1
            self.free_ids[(self.free_head + self.free_count) % self.slot_count] = place
            self.free_count += 1
            self.alive -= 1
            self.exited += 1
            Py_DECREF(process)
        return 0

    cdef Process find(self, Pid pid):
        """The living process behind a local pid, or None."""
        cdef uint32_t place
        if pid.process != NULL:
            # A pid of another runtime is not ours, even where both are nodes without a name and their numbers are the same.
            return <Process>pid.process if (<Process>pid.process).home is self else None
        if pid.node is not self.node or pid.creation != self.creation or pid.id == 0:
            return None
        place = pid.id - 1
        if place >= self.slots_used or self.slots[place].process == NULL or self.slots[place].serial != pid.serial:
            return None
        return <Process>self.slots[place].process

    def process_of(self, Pid pid not None):
        """The control block of a living local process, or None."""
        return self.find(pid)

    def pids(self):
        """Every living process, by id."""
        cdef uint32_t i
        return [(<Process>self.slots[i].process).pid for i in range(self.slots_used) if self.slots[i].process != NULL]

    @property
    def process_count(self):
        return self.alive

    @property
    def ready_count(self):
        """Length of the run queue."""
        cdef PyObject* at = self.ready_head
        cdef int n = 0
        while at != NULL:
            n += 1
            at = (<Process>at).next_ready
        return n

    @property
    def timer_count(self):
        """Entries of the timer heap, cancelled ones that were not swept yet among them."""
        return self.timers.count

    @property
    def slot_bytes(self):
        return self.slot_count * (sizeof(Slot) + sizeof(uint32_t))

    cdef Ref make_ref(self):
        cdef Ref ref = new_ref(self.node, self.creation, 3)
        self.ref_count += 1
        # The first word keeps to 18 bits, for peers that mask it (ERTS, External Term Format, NEWER_REFERENCE_EXT).
        ref.word[0] = <uint32_t>(self.ref_count & 0x3FFFF)
        ref.word[1] = <uint32_t>((self.ref_count >> 18) & 0xFFFFFFFF)
        ref.word[2] = <uint32_t>(self.ref_count >> 50)
        return ref

    def new_ref(self):
        """A reference nobody else has."""
        return self.make_ref()

    # ---- sending

    cpdef Route route(self, Atom node):
        """The route to a node: live, or connecting; None when there is no way."""
        found = self.routes.get(node)
        if found is not None:
            return <Route>found
        if self.connector is None or node is self.node:
            return None
        return self.connector(node)

    cdef int send_pid(self, Pid pid, object message) except -1:
        cdef Process process
        cdef Route route
        cdef Pid sender = None
        cdef PyObject* here = get_current()
        if pid.process != NULL and (<Process>pid.process).home is self:
            if self.strict:
                self.strict_check(message)
            return self.deliver(<Process>pid.process, message)
        if pid.node is self.node:
            process = self.find(pid)
            if process is not None:
                if self.strict:
                    self.strict_check(message)
                self.deliver(process, message)
            return 0
        route = self.route(pid.node)
        if route is not None:
            if here != NULL:
                sender = (<Process>here).pid
            route.send(sender, pid, message)
        return 0

    def send(self, dest, message):
        """Send from this runtime; see the function `send`."""
        cdef Route route
        cdef Pid sender = None
        cdef PyObject* here = get_current()
        if here != NULL:
            if (<Process>here).bits & DEAD:
                return
            if (<Process>here).home is self:
                sender = (<Process>here).pid
        if isinstance(dest, Pid):
            self.send_pid(<Pid>dest, message)
        elif isinstance(dest, Ref):
            if (<Ref>dest).node is self.node:
                if self.strict:
                    self.strict_check(message)
                self.deliver_alias(<Ref>dest, message)
            else:
                route = self.route((<Ref>dest).node)
                if route is not None:
                    route.send(sender, dest, message)
        elif isinstance(dest, tuple) and len(dest) == 2:
            name, node = atom_of(dest[0]), atom_of(dest[1])
            if node is self.node:
                if self.strict:
                    self.strict_check(message)
                self.deliver_name(name, message)
            else:
                route = self.route(node)
                if route is not None:
                    route.send(sender, name, message)
        elif isinstance(dest, Process):
            self.send_pid((<Process>dest).pid, message)
        elif target_of(dest) is not dest:
            self.send(target_of(dest), message)
        elif not isinstance(dest, (str, Atom)) and hasattr(dest, "whereis") and hasattr(dest, "send"):
            dest.send(message)              # a name of a registry's, or a global one
        else:
            name = atom_of(dest)
            if self.strict:
                self.strict_check(message)
            if not self.deliver_name(name, message):
                raise NoProcess(f"no process is registered as {dest} on {self.node}")

    def deliver_pid(self, Pid pid not None, message):
        """A message from abroad for a local pid; dropped if it is dead."""
        cdef Process process = self.find(pid)
        if process is not None:
            self.deliver(process, message)

    def deliver_name(self, Atom name not None, message):
        """True if a process of that name was there to take the message."""
        found = self.names.get(name)
        if found is None:
            return False
        self.deliver(<Process>found, message)
        return True

    def deliver_alias(self, Ref ref not None, message):
        """A message to an alias reaches its process while the alias is active, else nobody."""
        entry = self.aliases.get(ref)
        if entry is None:
            return
        process, mode = entry
        if mode == "call":
            if concerns(ref, message) and (<Process>process).rare.calling != NULL \
                    and (<Call>(<Process>process).rare.calling).ref is not None and (<Call>(<Process>process).rare.calling).ref == ref:
                (<Call>(<Process>process).rare.calling).settle(<object>PyTuple_GET_ITEM(message, 1), ANSWERED)
                return
            # Something else than its reply: as Erlang, that ends the alias all the same.
            del self.aliases[ref]
            (<Process>process).rare.aliases.discard(ref)
        if mode == "reply_demonitor":
            # Erlang: the first reply through such an alias ends the alias and its monitor.
            del self.aliases[ref]
            (<Process>process).rare.aliases.discard(ref)
            self.drop_monitor(process, ref)
        self.deliver(<Process>process, message)

    def drop_monitor(self, process, ref):
        raise NotImplementedError

    cdef int soil(self, Route route) except -1:
        """Have the route flushed when this turn ends."""
        self.dirty.append(route)
        if not self.draining and not self.drain_asked:
            self.ask_drain()
        return 0

    cdef int resume(self, Process process) except -1:
        """A suspended process may go on."""
        if process.bits & SUSPENDED:
            process.bits &= ~<unsigned int>SUSPENDED
            if not process.bits & (RUNNING | PARKED):
                self.wake(process)
        return 0

    # ---- receive timeouts and timers

    cdef double clock(self) except -1:
        """The loop's time: within a turn on a real clock without asking the loop, which is Python."""
        if self.draining and self.clock_offset != 0 and PyThread_get_thread_ident() == self.thread:
            return beamish_now() + self.clock_offset
        return self.loop.time()

    cdef int arm(self, Process process, double timeout) except -1:
        cdef Rare rare = process.rarely()
        cdef double when = self.clock() + timeout
        rare.deadline = when
        if rare.timer_at == 0 or when < rare.timer_at:
            rare.timer_at = when
            if self.timers.count == self.timers.cap:
                self.sweep_timers()
            self.timers.push(when, process.pid.id, process.pid.serial, None)
            self.set_timer()
        return 0

    def sweep_timers(self):
        """The heap is full: drop what was cancelled or superseded before it grows."""
        cdef TimerHeap heap = self.timers
        cdef Py_ssize_t i, kept = 0
        cdef Entry entry
        cdef bint live
        for i in range(heap.count):
            entry = heap.entries[i]
            if entry.timer != NULL:
                live = (<Timer>entry.timer).active
                if not live:
                    Py_DECREF(<Timer>entry.timer)       # its contents went when it was cancelled: nothing runs here
            else:
                live = timeout_of(self, &entry) != NULL
            if live:
                heap.entries[kept] = entry
                kept += 1
        heap.count = kept
        settle(heap)

    cdef int set_timer(self) except -1:
        cdef double first = self.timers.first()
        if first < 0 or self.closed:
            return 0
        if PyThread_get_thread_ident() != self.thread:
            self.call_soon_threadsafe(self._set_timer_here)
            return 0
        if self.timer_handle is not None:
            if self.timer_set_for <= first:
                return 0
            self.timer_handle.cancel()
        self.timer_set_for = first
        self.timer_handle = self.loop.call_at(first, self._timers_due)
        return 0

    def _set_timer_here(self):
        """A dirty process has set a timer."""
        self.set_timer()

    def _timers_due(self):
        raise NotImplementedError

    def unwind(self, process):
        """Close the coroutine of a dead process."""
        raise NotImplementedError


cdef PyObject* timeout_of(Scheduler home, Entry* entry) noexcept:
    """The living process whose present receive timeout this entry is (borrowed), else NULL."""
    cdef PyObject* process
    if entry.id == 0 or entry.id > home.slots_used or home.slots[entry.id - 1].serial != entry.serial:
        return NULL
    process = home.slots[entry.id - 1].process
    if process == NULL or (<Process>process).rare is None or (<Process>process).rare.timer_at != entry.when:
        return NULL
    return process


# ---- verbs

@cython.binding(False)      # a plain C function: the interpreter has a faster call for those
def send(dest, message, /):
    """Send a message; never waits.

    dest: a Pid; a registered name (Atom or str); (name, node); an alias Ref. A message to a process that is gone is dropped
    silently, as in Erlang; a local name that nobody holds raises NoProcess.
    """
    cdef PyObject* here = <PyObject*>beamish_current_process
    cdef PyObject* target
    if type(dest) is Pid and (<Pid>dest).process != NULL:
        # The hot path holds borrowed pointers: nothing here can end either process.
        target = <PyObject*>(<Pid>dest).process
        if here == NULL or ((<Process>here).home is (<Process>target).home and not (<Process>here).bits & DEAD):
            if (<Process>target).home.strict:
                (<Process>target).home.send_pid(dest, message)      # it checks
                return
            if (<Process>target).count == (<Process>target).cap:
                (<Process>target).push(message)
            else:
                Py_INCREF(message)
                (<Process>target).ring[((<Process>target).head + (<Process>target).count)
                                       & ((<Process>target).cap - 1)] = <PyObject*>message
                (<Process>target).count += 1
            (<Process>target).home.messages += 1
            if (<Process>target).bits & (WAITING | QUEUED) == WAITING:
                (<Process>target).home.wake(<Process>target)
            return
        if (<Process>here).bits & DEAD:
            return
    require_runtime("send()").send(dest, message)


@cython.binding(False)
def self_():
    """The current process's pid."""
    return require_process("self()").pid


def current_process():
    """The control block of the current process, or None."""
    return None if get_current() == NULL else <Process>get_current()


def current_scheduler():
    """The runtime of the current process, or None."""
    return None if get_current() == NULL else (<Process>get_current()).home


# ---- receive

cdef bint pattern_matches(object pattern, object value) except -1:
    """`...` matches anything, a type its instances, a tuple element by element; the rest by equality."""
    cdef Py_ssize_t i, n
    if pattern is Ellipsis or pattern is value:
        return True
    if type(pattern) is tuple:
        if type(value) is not tuple:
            return False
        n = PyTuple_GET_SIZE(pattern)
        if PyTuple_GET_SIZE(value) != n:
            return False
        for i in range(n):
            if not pattern_matches(<object>PyTuple_GET_ITEM(pattern, i), <object>PyTuple_GET_ITEM(value, i)):
                return False
        return True
    if type(pattern) is Atom:
        return False
    if isinstance(pattern, type):
        return isinstance(value, pattern)
    return type(pattern) is type(value) and pattern == value


cdef bint concerns(Ref ref, object message) except -1:
    """Whether a message is the reply to a request, or the news of a monitor, that carries this reference."""
    cdef Py_ssize_t n
    if type(message) is not tuple:
        return False
    n = PyTuple_GET_SIZE(message)
    if n == 2:
        tag = <object>PyTuple_GET_ITEM(message, 0)
        if type(tag) is ImproperList:
            tag = tag.tail                      # [alias|Ref]
        return type(tag) is Ref and ref == tag
    if n >= 4:
        tag = <object>PyTuple_GET_ITEM(message, 1)
        return type(tag) is Ref and ref == tag
    return False


cdef class Receive:
    """Awaitable of one `receive`. `am_send` hands the message over without a StopIteration."""
    cdef object wanted
    cdef double timeout             # negative: for ever
    cdef int mark                   # messages older than this are known not to match
    cdef bint armed, by_pattern, by_ref, simple

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        # Only traced frames (debuggers, coverage) and Python >= 3.12 come this way.
        cdef PyObject* result = NULL
        cdef PySendResult outcome = receive_step(<PyObject*>self, NULL, &result)
        if outcome == PYGEN_NEXT:
            Py_XDECREF(result)
            return None
        value = <object>result
        Py_DECREF(value)
        raise StopIteration(value)


cdef int check_exit(Process process) except -1:
    """Raise the exit a process was told to take; let a process that swallows it again and again go no further."""
    cdef Rare rare = process.rarely()
    rare.refusals += 1
    process.bits = (process.bits | UNWINDING) & ~<unsigned int>EXITING
    if rare.refusals > SWALLOWS:
        process.bits |= FORCED
        return 1
    raise Exit(rare.exit_reason)


cdef PySendResult receive_step(PyObject* me, PyObject* arg, PyObject** result) except? PYGEN_ERROR:
    cdef Receive self = <Receive>me
    cdef Process process
    cdef Rare rare
    cdef int place
    cdef bint found
    if get_current() == NULL:
        require_process("receive()")
    process = <Process>get_current()
    if process.bits & (EXITING | UNWINDING | DEAD):
        if check_exit(process):
            process.bits |= WAITING
            Py_INCREF(None)
            result[0] = <PyObject*>None
            return PYGEN_NEXT
    if process.bits & SUSPENDED:
        Py_INCREF(None)
        result[0] = <PyObject*>None
        return PYGEN_NEXT
    if process.home.fuel <= 0:
        # Its turn is over though there may be messages: go to the end of the run queue.
        process.home.enqueue(process)
        process.bits |= WAITING
        Py_INCREF(None)
        result[0] = <PyObject*>None
        return PYGEN_NEXT
    process.home.fuel -= 1
    if self.simple:
        if process.count:
            plain_message(process, 0)
            message = process.take(0)
            Py_INCREF(message)
            result[0] = <PyObject*>message
            return PYGEN_RETURN
        process.bits |= WAITING
        Py_INCREF(None)
        result[0] = <PyObject*>None
        return PYGEN_NEXT
    if not self.armed:
        self.armed = True
        process.bits &= ~<unsigned int>TIMED_OUT
        process.scan = self.mark
        if self.timeout > 0:
            process.home.arm(process, self.timeout)
        elif process.rare is not None:
            process.rare.deadline = 0
    while process.scan < process.count:
        place = process.scan
        message = plain_message(process, place)
        if self.wanted is None:
            found = True
        elif self.by_ref:
            found = concerns(<Ref>self.wanted, message)
        elif self.by_pattern:
            found = pattern_matches(self.wanted, message)
        else:
            found = bool(self.wanted(message))
        if found:
            if place >= process.count or process.ring[(process.head + place) & (process.cap - 1)] != <PyObject*>message:
                continue            # what it was compared with changed the mailbox meanwhile: look again
            process.take(place)
            process.scan = 0
            self.armed = False
            if process.rare is not None:
                process.rare.deadline = 0
            Py_INCREF(message)
            result[0] = <PyObject*>message
            return PYGEN_RETURN
        process.scan = place + 1
    if process.bits & TIMED_OUT or self.timeout == 0:
        process.bits &= ~<unsigned int>TIMED_OUT
        process.scan = 0
        self.armed = False
        if process.rare is not None:
            process.rare.deadline = 0
        raise ReceiveTimeout(f"no wanted message within {self.timeout:g} s ({process.count} others in the mailbox)")
    process.bits |= WAITING
    Py_INCREF(None)
    result[0] = <PyObject*>None
    return PYGEN_NEXT


cdef class PlainReceive:
    """`receive()` without conditions: one object serves everybody."""

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        cdef PyObject* result = NULL
        cdef PySendResult outcome = plain_step(<PyObject*>self, NULL, &result)
        if outcome == PYGEN_NEXT:
            Py_XDECREF(result)
            return None
        value = <object>result
        Py_DECREF(value)
        raise StopIteration(value)


cdef PySendResult plain_step(PyObject* me, PyObject* arg, PyObject** result) except? PYGEN_ERROR:
    cdef PyObject* here = <PyObject*>beamish_current_process
    if here == NULL:
        require_process("receive()")
    if (<Process>here).bits & (EXITING | UNWINDING | DEAD | SUSPENDED) or (<Process>here).home.fuel <= 0 \
            or (<Process>here).count == 0 or (<Process>here).bits & SERVES:
        return receive_step(<PyObject*>UNCONDITIONAL, arg, result)
    (<Process>here).home.fuel -= 1
    # Oldest message out; its reference goes to the caller.
    result[0] = (<Process>here).ring[(<Process>here).head]
    (<Process>here).count -= 1
    (<Process>here).head = ((<Process>here).head + 1) & ((<Process>here).cap - 1)
    if (<Process>here).count == 0 or (<Process>here).cap > 1024:
        (<Process>here).shrink()
    return PYGEN_RETURN


(<TypeObj*><PyObject*>Receive).tp_as_async.am_send = <void*>receive_step
(<TypeObj*><PyObject*>PlainReceive).tp_as_async.am_send = <void*>plain_step

cdef Receive UNCONDITIONAL = Receive.__new__(Receive)
UNCONDITIONAL.simple = True
UNCONDITIONAL.timeout = -1
cdef PlainReceive PLAIN = PlainReceive()


@cython.binding(False)
def receive(wanted=None, *, timeout=None, int since=0):
    """Wait for a message and return it: ``message = await receive()``.

    wanted: take the oldest message that fits and leave the others in their order. A predicate (``lambda m: ...``), or a pattern:
    a tuple in which ``...`` fits anything, a type its instances, and everything else itself. A Ref takes what carries it:
    the reply ``(ref, answer)`` of a call, or ``(atom.DOWN, ref, …)``.
    timeout: seconds; 0 looks once; None waits for ever. Raises ReceiveTimeout.
    since: a `mailbox_mark()`; older messages are not looked at.
    """
    cdef PyObject* here = <PyObject*>beamish_current_process
    if here != NULL and (<Process>here).bits & DIRTY:
        return receive_blocking(wanted, timeout, since)
    if wanted is None and timeout is None:
        return PLAIN
    return receiver(wanted, timeout, since)


cdef Receive receiver(wanted, timeout, int since):
    cdef Receive made
    made = Receive.__new__(Receive)
    if wanted is not None:
        if type(wanted) is Ref:
            made.by_ref = True
        elif type(wanted) is tuple or type(wanted) is Atom or isinstance(wanted, type):
            made.by_pattern = True
        elif not callable(wanted):
            raise TypeError(f"receive() takes a predicate or a pattern, not {wanted!r}")
        made.wanted = wanted
    if timeout is not None and timeout != timeout:
        raise ValueError("receive(timeout=nan) would never end: give seconds, or None to wait for ever")
    made.timeout = -1 if timeout is None or timeout == float("inf") else (0 if timeout < 0 else timeout)
    made.mark = since
    return made


cdef object receive_blocking(wanted, timeout, int since):
    """`receive` in a dirty process: the thread waits, and the message itself is given."""
    from beamish.process.dirty import blocking
    return blocking(receiver(wanted, timeout, since))


def set_blocking(Process process not None, bint on):
    """Whether `receive` blocks and gives the message (the body of a dirty process), or gives an awaitable as everywhere."""
    if on:
        process.bits |= DIRTY
    else:
        process.bits &= ~<unsigned int>DIRTY


def become(process):
    """Make a process the current one of this thread (None: none). For the thread of a dirty process."""
    set_current(NULL if process is None else <PyObject*><Process>process)


def mailbox_mark():
    """How many messages wait now. What comes for a reference made after this lies beyond the mark."""
    return require_process("mailbox_mark()").count
