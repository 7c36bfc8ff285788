from cpython.object cimport PyObject
from libc.stdint cimport uint32_t, uint64_t

from beamish.process._timers cimport Entry, TimerHeap
from beamish.term._atom cimport Atom
from beamish.term._identifiers cimport Pid, Ref

cdef enum Bits:
    QUEUED = 1          # in the run queue
    RUNNING = 2         # being stepped now
    WAITING = 4         # parked in receive
    PARKED = 8          # awaiting a future
    TRAPS = 16          # turns exit signals into messages
    EXITING = 32        # an exit signal is to be thrown into it (reason in rare.exit_reason)
    UNWINDING = 64      # the exit was thrown; cleaning up
    DEAD = 128
    TIMED_OUT = 256     # the receive in progress ran out of time
    CANCELLING = 512    # asyncio's cancel() is to be thrown into it
    STARTED = 1024
    SYSTEM = 2048       # part of the runtime: left out of crash logs when it stops
    FORCED = 4096       # swallowed its exit too often
    SUSPENDED = 8192    # sent more than a connection takes; rests at its next receive until that drains
    THROWING = 16384    # an error (in rare.result) is to be thrown into it
    GRACED = 32768      # the timer that ends a long clean-up runs
    YIELDED = 65536     # asyncio.sleep(0): runs again when the loop has had a turn
    FROZEN = 131072     # preempted: its stack is parked in rare.frozen
    DIRTY = 262144      # its body runs on a thread of its own
    SERVES = 16777216   # its body takes Call objects out of the mailbox as they are


cdef enum CallState:
    NEW = 0
    WAITS = 1           # in its server's list of callers
    ANSWERED = 2
    FAILED = 3          # the server has died; the answer is its reason
    OVER = 4            # timed out, cancelled, or its process has ended
    SLOW = 5            # goes through monitor and mailbox


cdef class Rare:
    """What most processes never need."""
    cdef public dict links          # Pid -> 0, or the id of an unlink that the other node has not acknowledged
    cdef public dict monitors       # Ref -> target; monitors we hold
    cdef public dict watchers       # Ref -> watcher Pid, or (watcher, name)
    cdef public dict dictionary
    cdef public object label
    cdef public object names        # Atom or list of Atom
    cdef public set aliases
    cdef public object exit_reason
    cdef public object waiter       # the future being awaited
    cdef public int cancels         # asyncio's cancelling() count
    cdef public object cancel_message
    cdef public int refusals        # how often the exit was swallowed
    cdef public object task_name
    cdef public list done_callbacks
    cdef public object frozen       # a preempted stack
    cdef public double grace        # seconds for its clean-up when it is told to exit; 0: as usual
    cdef public int unpreemptable   # how many `no_preempt()` it is in
    cdef public int preemptions
    cdef public int thaws           # how often its stack was told to end after its death
    cdef double deadline            # of the receive in progress; 0 without
    cdef double timer_at            # earliest heap entry for this process; 0 without
    cdef public object result       # an error to be thrown at the next step
    cdef public object on_exit      # called with (process, reason) after the watchers were told
    cdef PyObject* callers          # Calls that wait for this process, newest first; each keeps this Rare alive
    cdef PyObject* calling          # the Call this process waits in


ctypedef int (*CallStep)(PyObject* call, PyObject* arg, PyObject** result) except? -1


cdef class Body:
    """What a process may be stepped through instead of a coroutine: implements am_send, `throw` and `close`."""


cdef class Call:
    """A call to a local process, in flight: request, waiting caller and answer in one object."""
    cdef readonly Pid caller
    cdef readonly object target     # as the caller named it
    cdef readonly object label, request
    cdef object answer
    cdef Ref ref                    # made when somebody wants to see the call as a message
    cdef Rare at, mine              # the server's and the caller's, while it waits
    cdef PyObject* before           # list of callers
    cdef PyObject* after
    cdef double timeout             # negative: for ever
    cdef int state
    cdef int mark                   # messages older than the call
    cdef object home                # the runtime it is to be made on, where there was no doubt
    cdef object slow                # the coroutine of a call that goes the long way
    cdef int attach(self, Process caller, Process server) except -1
    cdef int detach(self) except -1
    cdef int settle(self, object answer, int state) except -1
    cdef tuple sender(self)
    cdef object message(self)


cdef class Process:
    cdef readonly Pid pid
    cdef readonly Pid parent
    cdef readonly Scheduler home
    cdef object coro                # a coroutine, or (function, args) before the first step of a plain function
    cdef object context
    cdef public object leader       # group leader's Pid
    cdef Rare rare
    cdef PyObject* next_ready       # run queue; owned by the queue
    cdef PyObject** ring            # mailbox, allocated while there are messages
    cdef int cap, head, count, scan
    cdef unsigned int bits
    cdef uint64_t steps
    cdef object __weakref__
    cdef Rare rarely(self)
    cdef int push(self, object message) except -1
    cdef object take(self, int place)
    cdef int shrink(self) except -1
    cdef void clear_mailbox(self) noexcept


cdef class Route:
    """One connected (or connecting) node; implemented by `dist` and by the memory network."""
    cdef readonly Atom node
    cdef public dict out_monitors   # Ref -> local Pid
    cdef public dict in_monitors    # Ref -> target Pid or name
    cdef public dict links          # remote Pid -> dict with local Pids as keys
    cdef public dict requests       # spawn requests: Ref -> (local Pid, link, monitor, tag)
    cpdef send(self, Pid sender, object to, object message)
    cpdef link(self, Pid local, Pid remote)
    cpdef unlink(self, Pid local, Pid remote, uint64_t id)
    cpdef unlink_ack(self, Pid local, Pid remote, uint64_t id)
    cpdef exit_linked(self, Pid local, Pid remote, object reason)
    cpdef exit_signal(self, Pid local, Pid remote, object reason)
    cpdef monitor(self, Pid local, object target, Ref ref)
    cpdef demonitor(self, Pid local, object target, Ref ref)
    cpdef monitor_down(self, object target, Pid remote, Ref ref, object reason)
    cpdef spawn_request(self, Ref ref, Pid local, Pid leader, tuple mfa, list args, list opts)
    cpdef spawn_reply(self, Ref ref, Pid remote, int flags, object pid_or_reason)
    cpdef group_leader(self, Pid leader, Pid remote)
    cpdef flush(self)               # at the end of a turn, if the route put itself into home.dirty


cdef struct Slot:
    PyObject* process               # owned; NULL when free
    uint32_t serial


cdef class Scheduler:
    cdef readonly Atom node
    cdef readonly uint32_t creation
    cdef public object loop
    cdef object call_soon, call_soon_threadsafe
    cdef unsigned long thread
    cdef bint drain_asked, draining
    cdef readonly bint closed
    cdef PyObject* ready_head
    cdef PyObject* ready_tail
    cdef Slot* slots
    cdef uint32_t slot_count, slots_used
    cdef uint32_t* free_ids         # ring of free slot numbers, oldest first so that ids are not reused at once
    cdef uint32_t free_head, free_count
    cdef readonly dict names        # Atom -> Process
    cdef readonly dict aliases      # Ref -> (Process, mode)
    cdef readonly dict routes       # node Atom -> Route
    cdef readonly dict timers_by_ref
    cdef public object connector    # called with a node Atom; gives a Route or None
    cdef public bint strict
    cdef public object strict_check
    cdef public object user         # default group leader
    cdef public uint32_t process_limit
    cdef TimerHeap timers
    cdef object timer_handle
    cdef double timer_set_for
    cdef uint64_t ref_count
    cdef double clock_offset        # between the loop's clock and ours, in this turn; 0: ask the loop
    cdef double clock(self) except -1
    cdef int fuel                   # receives left in this step
    cdef readonly uint64_t step_number, spawned, exited, messages
    cdef int alive
    cdef list dirty                 # routes with bytes to flush at the end of this turn
    cdef int soil(self, Route route) except -1
    cdef int resume(self, Process process) except -1
    cdef int enqueue(self, Process process) except -1
    cdef int wake(self, Process process) except -1
    cdef int ask_drain(self) except -1
    cdef int deliver(self, Process process, object message) except -1
    cdef Process find(self, Pid pid)
    cdef Ref make_ref(self)
    cpdef Route route(self, Atom node)
    cdef int send_pid(self, Pid pid, object message) except -1
    cdef int arm(self, Process process, double timeout) except -1
    cdef int set_timer(self) except -1
    cdef int drain(self) except -1
    cdef int occupy(self, Process process) except -1
    cdef int vacate(self, Process process) except -1
    cdef int grow_slots(self) except -1

cdef PyObject* timeout_of(Scheduler home, Entry* entry) noexcept
cdef PyObject* get_current() noexcept
cdef void set_current(PyObject* process) noexcept
cdef Process require_process(str verb)
cdef Scheduler require_runtime(str verb)
cdef Atom atom_of(object name)
cdef object target_of(object thing)
cdef Pid pid_in(object thing, str verb)
cdef int check_exit(Process process) except -1
cdef void install_call_step(CallStep step) noexcept
cdef bint concerns(Ref ref, object message) except -1
cdef object plain_message(Process process, int place)
