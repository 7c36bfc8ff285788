"""Stepping processes.

The run queue is drained from one callback of the asyncio loop under a time budget, so that sockets and timers never starve. While a
process runs it is the loop's current task: awaiting a future parks it, and asyncio's timeouts cancel it like a task.
"""

import asyncio
import logging
import sys
from collections import deque
from contextvars import copy_context

from greenlet import getcurrent, greenlet

cimport cython
from cpython.contextvars cimport PyContext_CopyCurrent, PyContext_Enter, PyContext_Exit
from cpython.object cimport PyObject
from cpython.ref cimport Py_CLEAR, Py_DECREF, Py_INCREF, Py_XDECREF
from libc.stdint cimport uint32_t, uint64_t

from beamish.process._core cimport (
    CANCELLING, DEAD, DIRTY, EXITING, FORCED, FROZEN, GRACED, PARKED, QUEUED, RUNNING, SERVES, STARTED, SUSPENDED, SYSTEM, THROWING,
    TIMED_OUT, UNWINDING, WAITING, YIELDED, Body, Process, Rare, Route, Scheduler, atom_of, get_current, require_process, set_current,
    timeout_of,
)
from beamish.process._preempt cimport Watch, ask_again, at_boundary, begin_turn, may_interrupt, the_watch, waits_for_lock
from beamish.process._signals cimport finish, kill
from beamish.process._timers cimport Entry, Timer, TimerHeap
from beamish.term._atom cimport Atom
from beamish.term._identifiers cimport Pid, Ref

from beamish.errors import Exit
from beamish.process import _preempt as preempt
from beamish.process import _signals as signals
from beamish.process.body import body_of
from beamish.process.exits import exit_within, reason_of
from beamish.term._atom import atom

cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN = 0
        PYGEN_ERROR = -1
        PYGEN_NEXT = 1
    PySendResult PyIter_Send(object it, object arg, PyObject** res) except PYGEN_ERROR
    bint PyFunction_Check(object)
    bint PyCoro_CheckExact(object)
    bint PyMethod_Check(object)
    PyObject* PyMethod_GET_FUNCTION(object)
    object PyObject_Call(object, object, object)

cdef extern from *:
    """
    #include <time.h>
    static double beamish_now(void) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
    }
    static int beamish_is_coroutine_function(PyObject *f) {
        return PyFunction_Check(f) && (((PyCodeObject *)PyFunction_GET_CODE(f))->co_flags & CO_COROUTINE);
    }
    """
    double beamish_now() nogil
    bint beamish_is_coroutine_function(object f)

log = logging.getLogger("beamish.process")
cdef object NORMAL = atom.normal
cdef object KILLED = atom.killed
cdef object QUIET = (GeneratorExit, asyncio.CancelledError)
cdef int FUEL = 2000             # receives of one process in a row before the others have their turn
DEFAULT_SLICE = 0.002
cdef int MOST_STEPS = 20_000     # per turn of the loop
cdef int MOST_STEPS_UNTIMED = 500    # the same where no slice ends a turn (the virtual clock)
UNWIND_GRACE = 5.0
PREEMPT_AFTER = 0.001            # seconds of Python after which a process must give way
LONG_SCHEDULE = 0.05
cdef int MOST_ASKED = 50         # looks in a row for a place between two calls
cdef int THAWS = 8               # how often a dead process that will not end is run again
cdef int MOST_SPARE_LANES = 4
cdef list abandoned = []         # stacks that would not end; dropping them would run them again
cdef Watch* WATCH = the_watch()
cdef object watched_kernel = None    # the kernel whose turn it is, among those that preempt


cdef int CLOSINGS = 8            # how often a dead process's coroutine is asked to end


def _close(coro):
    """Run what is left of a coroutine; whatever it does or raises changes nothing any more, for its process is dead.

    Gives the KeyboardInterrupt or SystemExit that came meanwhile, or None.
    """
    for _ in range(CLOSINGS):
        try:
            coro.close()
            return None
        except (KeyboardInterrupt, SystemExit) as error:
            return error
        except BaseException:
            pass        # it ended by raising, or it awaited something instead of ending: closing it again tells
    return None


cdef class Kernel(Scheduler):
    """The scheduler of one node."""

    def __init__(self, Atom node not None, uint32_t creation, loop=None, double slice=DEFAULT_SLICE):
        self.slice = slice
        self.turn_most = MOST_STEPS if slice < 3600 else MOST_STEPS_UNTIMED
        self.endings = []
        self.spare_lanes = []
        self.frozen = deque()
        self.long_schedule = LONG_SCHEDULE
        self.swap = getattr(asyncio.tasks, "_swap_current_task", None)
        self.tasks = getattr(asyncio.tasks, "_current_tasks", None) if sys.version_info < (3, 14) else None
        if self.tasks is None and self.swap is None:
            raise RuntimeError(f"this Python ({sys.version.split()[0]}) has no way to set asyncio's current task")
        Scheduler.__init__(self, node, creation, loop)

    # ---- making processes

    cdef Process make(self, object function, tuple args, dict kwargs):
        cdef Process process
        cdef bint is_body = isinstance(function, Body)
        if is_body:
            if args or kwargs:
                raise TypeError("spawn() takes arguments for a function, not for a body that already has them")
            coro = function
        elif beamish_is_coroutine_function(function) \
                or (PyMethod_Check(function) and beamish_is_coroutine_function(<object>PyMethod_GET_FUNCTION(function))):
            coro = PyObject_Call(function, args, kwargs)
        elif PyCoro_CheckExact(function):
            if args or kwargs:
                raise TypeError("spawn() takes arguments for a function, not for a coroutine that already has them")
            coro = function
        elif getattr(type(function), "process_body", False):
            coro = function             # made to be stepped
        elif callable(function):
            coro = body_of(function, args, kwargs or {})
        else:
            raise TypeError(f"spawn() takes a function, not {function!r}")
        process = Process.__new__(Process)
        process.home = self
        process.coro = coro
        if is_body:
            process.bits |= SERVES
        process.context = PyContext_CopyCurrent()
        process.leader = self.user
        try:
            self.occupy(process)
        except BaseException:
            coro.close()
            raise
        return process

    def spawn(self, function, *args, Pid parent=None, Pid leader=None, name=None, Pid watcher=None, bint system=False, **kwargs):
        """Start a process from outside any process (or on behalf of another node)."""
        cdef Process process = self.make(function, args, kwargs)
        process.parent = parent
        if leader is not None:
            process.leader = leader
        if system:
            process.bits |= SYSTEM
        if name is not None:
            try:
                signals.register_name(self, name, process.pid)
            except BaseException:
                finish(process, NORMAL)
                self.unwind(process)
                raise
        self.enqueue(process)
        return process.pid

    # ---- running

    cpdef int drain_now(self) except -1:
        """Run what is ready, from a socket callback: saves a turn of the loop."""
        if not self.draining:
            self.drain()
        return 0

    cdef int drain(self) except -1:
        cdef PyObject* before = get_current()
        if self.draining or self.closed or (self.ready_head == NULL and not self.dirty and not self.frozen):
            return 0
        self.turn_end = beamish_now() + self.slice
        if self.turn_most == MOST_STEPS:    # real time
            self.clock_offset = self.loop.time() - beamish_now()
        self.turn_steps = 0
        self.overdue = False
        self.draining = True
        task_before = None
        if self.tasks is not None:
            task_before = self.tasks.pop(self.loop, None)
        else:
            task_before = self.swap(self.loop, None)
        try:
            if self.preemptive:
                self.run_lanes()
            else:
                self.turn()
        finally:
            set_current(before)
            self.stepping = None
            while self.dirty:
                (<Route>self.dirty.pop()).flush()
            self.draining = False
            if self.tasks is not None:
                if task_before is None:
                    self.tasks.pop(self.loop, None)
                else:
                    self.tasks[self.loop] = task_before
            else:
                self.swap(self.loop, task_before)
            if not self.drain_asked:
                if self.ready_head != NULL:
                    self.ask_drain()
                elif self.frozen:
                    self.drain_asked = True
                    self.call_soon(self._drain_late)
        if self.endings:
            raise self.endings.pop()
        return 0

    def _drain_late(self):
        """Only the preempted wait: what the loop's timers and sockets have just brought comes first.

        Two rounds of callbacks: a timer of asyncio's sets a future in the first, whose callback wakes a process in the second.
        """
        self.call_soon(self.call_soon, self._drain)

    cdef int turn(self) except -1:
        """Run what is ready until nothing is, or the turn's time is over."""
        cdef Process process
        while self.ready_head != NULL:
            process = <Process>self.ready_head
            Py_DECREF(process)      # the queue's reference; `process` holds its own
            self.ready_head = process.next_ready
            if self.ready_head == NULL:
                self.ready_tail = NULL
            process.next_ready = NULL
            if process.bits & FROZEN:
                self.frozen.append(process)     # it rested, in the middle of a step, until a connection had drained
                continue
            process.bits &= ~<unsigned int>QUEUED
            if process.bits & DEAD:
                continue
            self.step(process)
            self.turn_steps += 1
            if self.overdue or (self.turn_steps & 3 == 0
                                and (beamish_now() >= self.turn_end or self.turn_steps >= self.turn_most)):
                break
        return 0

    # ---- preemption: turns run in a greenlet, a lane, whose stack can be parked in the middle of a step

    def start_preempting(self, double after=PREEMPT_AFTER):
        """Interrupt processes that compute for longer than `after` seconds. Raises RuntimeError where that cannot be.

        To be called on the loop's thread, which must be the main one, before anything runs.
        """
        preempt.start_watchdog(_interrupt, after)
        self.lane = self._new_lane()
        self.preemptive = True

    def _new_lane(self):
        if self.spare_lanes:
            return self.spare_lanes.pop()
        lane = greenlet(self._lane)
        lane.gr_context = copy_context()
        return lane

    def _lane(self):
        """The body of a lane."""
        while True:
            try:
                self.turn()
            except BaseException as error:
                self.lane_error = error
            self.hub.switch()

    cdef int run_lanes(self) except -1:
        """One turn, in whatever lanes it needs."""
        global watched_kernel
        cdef Process process
        before, watched_kernel = watched_kernel, self
        hub_before = self.hub
        self.hub = getcurrent()
        begin_turn(WATCH)
        try:
            while True:
                self.froze = None
                if self.frozen and (self.ready_head == NULL or beamish_now() >= self.thaw_due):
                    self.thaw()
                self.lane.switch()
                if self.lane_error is not None:
                    error, self.lane_error = self.lane_error, None
                    raise error
                process = self.froze
                if process is not None:
                    # Its stack stays where it is. The loop has its turn, then those who wait have theirs.
                    process.rarely().frozen = self.lane
                    self.lane = self._new_lane()
                    process.bits = (process.bits | FROZEN | QUEUED) & ~<unsigned int>RUNNING
                    if process.bits & SUSPENDED and not process.bits & (EXITING | DEAD):
                        process.bits &= ~<unsigned int>QUEUED       # until `resume`
                    else:
                        self.frozen.append(process)
                    self.thaw_due = beamish_now() + self.slice
                    break
                if self.ready_head != NULL or not self.frozen:
                    break
        finally:
            self.froze = None
            self.hub = hub_before
            watched_kernel = before
            WATCH.active = 0
        return 0

    cdef int thaw(self) except -1:
        """Make the oldest preempted process current, on its own lane."""
        cdef Process process = self.frozen.popleft()
        process.bits = (process.bits | RUNNING) & ~<unsigned int>(QUEUED | FROZEN)
        if len(self.spare_lanes) < MOST_SPARE_LANES:
            self.spare_lanes.append(self.lane)
        self.lane = process.rare.frozen
        process.rare.frozen = None
        self.step_number += 1
        WATCH.step = self.step_number
        self.stepping = process
        set_current(<PyObject*>process)
        if self.tasks is not None:
            (<dict>self.tasks)[self.loop] = process
        else:
            self.swap(self.loop, process)
        return 0

    def interrupted(self, frame, bint between):
        """The step in progress has taken too long; `frame` is where it is now, `between` two instructions or within one."""
        cdef Process process = self.stepping
        cdef bint allowed = False
        if self.judging or process is None or get_current() != <PyObject*>process or WATCH.signalled != self.step_number \
                or not process.bits & RUNNING or self.froze is not None or getcurrent() is not self.lane:
            return
        self.judging = True             # the judgement is Python too, and may be signalled
        try:
            if process.rare is not None and process.rare.unpreemptable:
                pass
            elif between:
                allowed = may_interrupt(frame)
            elif self.frozen and preempt.watched_for() >= self.long_schedule and waits_for_lock(frame):
                # The lock may be held by a process that was interrupted, unseen: it must get the chance to release it.
                allowed = may_interrupt(frame, True)
            elif self.asked_step != self.step_number or self.asked < MOST_ASKED:
                self.asked = self.asked + 1 if self.asked_step == self.step_number else 1
                self.asked_step = self.step_number
                ask_again()
                return
            else:
                self.asked = 0
            if not allowed:
                self.refusals += 1
                self.fuel = 0           # its next receive ends the step, and the turn
                self.overdue = True
                if self.told_step != self.step_number and self.on_long_schedule is not None:
                    seconds = preempt.watched_for()
                    if seconds >= self.long_schedule:
                        self.told_step = self.step_number
                        self.on_long_schedule(process, seconds, frame)
        finally:
            self.judging = False
        if allowed:
            self.freeze(process)

    cdef int freeze(self, Process process) except -1:
        """Leave this stack, in the middle of the process's step; returns when its turn has come again."""
        cdef Rare rare = process.rarely()
        rare.preemptions += 1
        self.preemptions += 1
        self.froze = process
        self.stepping = None
        self.hub.switch()
        # From here on it runs again, as the current process.
        if process.bits & DEAD:
            rare.thaws += 1
            if rare.thaws > THAWS:
                self.abandon(process)
            raise Exit(rare.exit_reason)
        if process.bits & THROWING:
            process.bits &= ~<unsigned int>THROWING
            error, rare.result = rare.result, None
            raise error
        if process.bits & EXITING:
            process.bits = (process.bits | UNWINDING) & ~<unsigned int>(EXITING | CANCELLING | THROWING)
            self.grant(process)
            raise Exit(rare.exit_reason)
        return 0

    def interrupt(self, Process process not None, error):
        """Raise an error in a preempted process, where it was stopped. False if it is not preempted now."""
        if not process.bits & FROZEN or process.bits & (DEAD | EXITING):
            return False
        process.rare.result = error
        process.bits |= THROWING
        return True

    def abandon(self, Process process not None):
        """A dead process that swallows its end again and again is never run again."""
        log.error("process %s was killed (%s) and does not end: it is left where it is, with what it holds", process.pid,
                  process.rare.exit_reason)
        abandoned.append(self.lane)
        self.lane = self._new_lane()
        self.stepping = None
        set_current(NULL)
        self.hub.switch()

    cdef int step(self, Process process) except -1:
        cdef PyObject* yielded = NULL
        cdef PySendResult outcome
        cdef Rare rare
        cdef object thrown = None
        self.step_number += 1
        WATCH.step = self.step_number
        self.stepping = process
        process.steps += 1
        self.fuel = FUEL
        process.bits = (process.bits | RUNNING | STARTED) & ~<unsigned int>(WAITING | PARKED | YIELDED)
        if process.bits & (EXITING | CANCELLING | THROWING):
            thrown = self.to_throw(process)
        set_current(<PyObject*>process)
        if self.tasks is not None:
            (<dict>self.tasks)[self.loop] = process
        else:
            self.swap(self.loop, process)
        PyContext_Enter(process.context)
        try:
            if thrown is None:
                outcome = PyIter_Send(process.coro, None, &yielded)
            else:
                outcome = PYGEN_NEXT
                answer = process.coro.throw(thrown)
                Py_INCREF(answer)
                yielded = <PyObject*>answer
        except StopIteration as stop:
            outcome = PYGEN_RETURN      # only from throw()
        except BaseException as error:
            PyContext_Exit(process.context)
            process.bits &= ~<unsigned int>RUNNING
            self.failed(process, error)
            return 0
        PyContext_Exit(process.context)
        process.bits &= ~<unsigned int>RUNNING
        if outcome == PYGEN_RETURN:
            Py_XDECREF(yielded)
            process.coro = None
            if process.bits & (DEAD | UNWINDING | EXITING):
                finish(process, process.rare.exit_reason)
            else:
                finish(process, NORMAL)
            return 0
        if process.bits & (DEAD | FORCED | UNWINDING):
            if process.bits & (DEAD | FORCED):
                # Killed while it ran, or it will not go by itself.
                Py_XDECREF(yielded)
                if process.bits & FORCED:
                    finish(process, process.rare.exit_reason)
                self.unwind(process)
                return 0
            self.grant(process)
        if <object>yielded is None:
            Py_DECREF(<object>yielded)
            if process.bits & SUSPENDED and not process.bits & (EXITING | CANCELLING):
                return 0
            if not process.bits & WAITING:
                # asyncio.sleep(0): whoever writes that wants the loop's other tasks and callbacks to have their turn.
                process.bits |= YIELDED
                self.call_soon(self._yielded, process)
            elif process.bits & (EXITING | CANCELLING) and not process.bits & QUEUED:
                self.enqueue(process)
            return 0
        future = <object>yielded
        Py_DECREF(future)
        self.awaits(process, future)
        return 0

    def _yielded(self, Process process not None):
        """The loop has had its turn."""
        cdef bint asked = self.drain_asked
        if not process.bits & YIELDED or process.bits & (QUEUED | DEAD):
            return
        self.drain_asked = True         # we are the drain that enqueue() would ask for
        self.enqueue(process)
        self.drain_asked = asked
        self.drain()

    def to_throw(self, Process process):
        """The exception this step starts with, or None."""
        cdef Rare rare = process.rarely()
        if process.bits & EXITING:
            process.bits = (process.bits | UNWINDING) & ~<unsigned int>(EXITING | CANCELLING | THROWING)
            rare.result = None
            return Exit(rare.exit_reason)
        if process.bits & THROWING:
            process.bits &= ~<unsigned int>THROWING
            error = rare.result
            rare.result = None
            return error
        if process.bits & CANCELLING:
            process.bits &= ~<unsigned int>CANCELLING
            if rare.cancel_message is None:
                return asyncio.CancelledError()
            return asyncio.CancelledError(rare.cancel_message)
        return None

    cdef int grant(self, Process process) except -1:
        """A process that was told to exit has some seconds for its clean-up."""
        cdef double seconds
        if not process.bits & GRACED:
            process.bits |= GRACED
            seconds = process.rare.grace or UNWIND_GRACE
            if seconds < 1e9:
                self.call_later(seconds, self.unwound_too_long, process.pid)
        return 0

    def unwound_too_long(self, Pid pid):
        """A process still cleaning up long after its exit signal is killed."""
        cdef Process process = self.find(pid)
        if process is not None:
            kill(process, process.rare.exit_reason)

    def unwind(self, process):
        """Run the `finally` blocks of a dead process, as itself: in its context and as the loop's current task."""
        cdef Process dead = process
        cdef PyObject* before = get_current()
        if dead.bits & FROZEN:
            if not dead.bits & QUEUED:
                self.enqueue(dead)
            return                      # its stack unwinds when its turn comes
        coro = dead.coro
        dead.coro = None
        if coro is None:
            return
        task_before = self.tasks.get(self.loop) if self.tasks is not None else self.swap(self.loop, dead)
        if self.tasks is not None:
            self.tasks[self.loop] = dead
        set_current(<PyObject*>dead)
        try:
            ending = dead.context.run(_close, coro)
            # What refuses to end is thrown away here, while it still counts as the dead process.
            coro = None
        finally:
            set_current(before)
            if self.tasks is None:
                self.swap(self.loop, task_before)
            elif task_before is None:
                self.tasks.pop(self.loop, None)
            else:
                self.tasks[self.loop] = task_before
        if ending is not None:
            self.end_with(ending)

    cdef int end_with(self, object ending) except -1:
        """KeyboardInterrupt and SystemExit leave through the loop."""
        self.endings.append(ending)
        if not self.draining and not self.drain_asked:
            self.ask_drain()
        return 0

    cdef int awaits(self, Process process, object yielded) except -1:
        """The process awaits an asyncio future."""
        cdef Rare rare
        blocking = getattr(yielded, "_asyncio_future_blocking", None)
        if not blocking:
            return self.throw_next(process, RuntimeError(
                f"process {process.pid} awaited {yielded!r}, which is not an asyncio future"))
        if yielded.get_loop() is not self.loop:
            return self.throw_next(process, RuntimeError(f"process {process.pid} awaited {yielded!r}, which belongs to another loop"))
        yielded._asyncio_future_blocking = False
        rare = process.rarely()
        rare.waiter = yielded
        process.bits |= PARKED
        yielded.add_done_callback(process._future_done, context=process.context)
        if process.bits & EXITING:
            rare.waiter = None
            yielded.remove_done_callback(process._future_done)
            yielded.cancel()
            process.bits &= ~<unsigned int>PARKED
            self.enqueue(process)
        elif process.bits & CANCELLING and yielded.cancel():
            process.bits &= ~<unsigned int>CANCELLING
        return 0

    cdef int throw_next(self, Process process, object error) except -1:
        """Step again with an exception: what it awaited can never be ready."""
        process.rarely().result = error
        process.bits |= THROWING
        if not process.bits & QUEUED:
            self.enqueue(process)
        return 0

    cdef int failed(self, Process process, object error) except -1:
        """An exception left the coroutine: it becomes the exit reason, and is reported before anybody hears of it."""
        cdef bint told = process.bits & (UNWINDING | EXITING)
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            self.endings.append(error)
        if not process.bits & DEAD:
            exiting = exit_within(error)
            if told:
                reason = process.rare.exit_reason
                if exiting is None and not isinstance(error, QUIET):
                    self.reported(process, reason_of(error), error)
            elif exiting is not None:
                reason = exiting.reason
            else:
                reason = reason_of(error)
                if not isinstance(error, (KeyboardInterrupt, SystemExit)):
                    self.reported(process, reason, error)
            finish(process, reason)
        process.coro = None
        # The traceback's frames would keep the process's locals alive until the next collection.
        error.__traceback__ = None
        return 0

    cdef int reported(self, Process process, object reason, object error) except -1:
        if self.report is None:
            return 0
        try:
            self.report(process, reason, error)
        except Exception as failure:
            log.error("the crash of process %s could not be reported: %r", process.pid, failure)
        return 0

    # ---- timers

    def _timers_due(self):
        cdef double now
        cdef Entry entry
        cdef Process process
        cdef Rare rare
        cdef Timer timer
        cdef PyObject* waiting
        # Timers made meanwhile wait for the next turn of the loop, even those that are due at once.
        cdef uint64_t youngest = self.timers.made
        self.timer_handle = None
        now = self.loop.time() + 0.0005      # uvloop's clock counts milliseconds
        try:
            while self.timers.count and self.timers.first() <= now and self.timers.entries[0].number <= youngest:
                entry = self.timers.pop()
                if entry.timer != NULL:
                    timer = <Timer>entry.timer
                    Py_DECREF(timer)
                    if timer.active:
                        self.fire(timer)
                    continue
                waiting = timeout_of(self, &entry)
                if waiting == NULL:
                    continue
                process = <Process>waiting
                rare = process.rare
                rare.timer_at = 0
                if rare.deadline == 0:
                    continue
                if rare.deadline <= now:
                    rare.deadline = 0
                    process.bits |= TIMED_OUT
                    if process.bits & WAITING:
                        self.wake(process)
                else:
                    rare.timer_at = rare.deadline
                    self.timers.push(rare.deadline, entry.id, entry.serial, None)
        finally:
            self.set_timer()

    def fire(self, Timer timer):
        dest, message, callback = timer.dest, timer.message, timer.callback
        if timer.ref is not None:
            self.timers_by_ref.pop(timer.ref, None)
        timer.cancel()
        if callback is not None:
            callback(*message)
            return
        try:
            if isinstance(dest, Pid):
                self.send_pid(<Pid>dest, message)
            elif isinstance(dest, Atom):
                self.deliver_name(dest, message)
            else:
                self.send(dest, message)
        except Exception as error:
            # Whoever asked for it is long past its send_after().
            log.error("a timer could not send to %s: %s: %s", dest, type(error).__name__, error)

    def call_later(self, double seconds, callback, *args):
        """Call a function of the runtime later; gives a Timer with `cancel()`."""
        cdef Timer timer = Timer(self.loop.time() + (seconds if seconds > 0 else 0), None, None, args, callback)
        self.push_timer(timer)
        return timer

    def push_timer(self, Timer timer not None):
        """Have a timer fire when its time comes."""
        if self.timers.count == self.timers.cap:
            self.sweep_timers()
        self.timers.push(timer.when, 0, 0, timer)
        self.set_timer()

    def send_later(self, double seconds, dest, message, ref=None):
        """`send_after` from outside a process."""
        cdef Timer timer
        if isinstance(dest, str):
            dest = atom_of(dest)
        elif isinstance(dest, tuple) and len(dest) == 2:
            dest = (atom_of(dest[0]), atom_of(dest[1]))
        elif not isinstance(dest, (Pid, Atom, Ref)):
            raise TypeError(f"a timer sends to a pid, a name, (name, node) or an alias, not to {dest!r}")
        if ref is None:
            ref = self.make_ref()
        timer = Timer(self.loop.time() + (seconds if seconds > 0 else 0), ref, dest, message, None)
        self.timers_by_ref[ref] = timer
        self.push_timer(timer)
        return ref

    def cancel_timer(self, ref):
        """Seconds that were left, or None if it has fired or never was."""
        cdef Timer timer = self.timers_by_ref.pop(ref, None)
        if timer is None:
            return None
        left = max(0.0, timer.when - self.loop.time())
        timer.cancel()
        return left

    def read_timer(self, ref):
        """Seconds left, or None."""
        timer = self.timers_by_ref.get(ref)
        return None if timer is None else max(0.0, (<Timer>timer).when - self.loop.time())

    def drop_monitor(self, process, ref):
        cdef Process me = process
        cdef PyObject* before = get_current()
        set_current(<PyObject*>me)
        try:
            signals.demonitor(ref)
        finally:
            set_current(before)

    def shut(self):
        """Kill what still runs and free the table; the runtime is of no use afterwards."""
        cdef Process first
        cdef Entry entry
        for pid in self.pids():
            process = self.find(pid)
            if process is not None:
                kill(process, KILLED)
        # What was preempted unwinds on its own stack.
        for _ in range(THAWS + 2):
            if not self.frozen or self.draining:
                break
            self.drain()
        self.closed = True
        if self.timer_handle is not None:
            self.timer_handle.cancel()
            self.timer_handle = None
        # The run queue and the timers point back here, unseen by the garbage collector.
        while self.ready_head != NULL:
            first = <Process>self.ready_head
            self.ready_head = first.next_ready
            first.next_ready = NULL
            first.bits &= ~<unsigned int>QUEUED
            Py_DECREF(first)
        self.ready_tail = NULL
        while self.timers.count:
            entry = self.timers.pop()
            if entry.timer != NULL:
                (<Timer>entry.timer).cancel()
                Py_DECREF(<Timer>entry.timer)
        self.timers_by_ref.clear()


def _interrupt(signum, frame):
    """What the watchdog's signal calls."""
    cdef bint between
    if frame is None:
        return
    between = at_boundary(frame)
    if watched_kernel is not None:
        (<Kernel>watched_kernel).interrupted(frame, between)


# ---- verbs

def spawn(function, *args, bint link=False, bint monitor=False, name=None, bint dirty=False, **kwargs):
    """Start a process and return its pid; with monitor=True ``(pid, ref)``.

    function: an async function, a coroutine, or any callable (which then runs in one go). Its group leader is the spawner's.
    name: registers it before it runs; NameTaken if somebody has the name. A killed process spawns nothing.
    dirty: run a plain function on a thread of its own, where it may block; see `beamish.process.dirty`.
    """
    cdef Process me = require_process("spawn()")
    cdef Kernel home = <Kernel>me.home
    cdef Process process
    if me.bits & DEAD:
        raise Exit(me.rare.exit_reason)
    if dirty:
        from beamish.process.dirty import DirtyBody
        if not callable(function) or beamish_is_coroutine_function(function):
            raise TypeError(f"a dirty process runs a plain function, not {function!r}")
        process = home.make(DirtyBody(function, args, kwargs), (), None)
        process.bits |= DIRTY
    else:
        process = home.make(function, args, kwargs)
    process.parent = me.pid
    process.leader = me.leader
    if name is not None:
        try:
            signals.register_name(home, name, process.pid)
        except BaseException:
            finish(process, NORMAL)
            home.unwind(process)
            raise
    if link:
        signals.link(process.pid)
    home.enqueue(process)
    if monitor:
        return process.pid, signals.monitor(process.pid)
    return process.pid


def spawn_link(function, *args, **kwargs):
    """`spawn` with a link to the spawner, made in one step."""
    return spawn(function, *args, link=True, **kwargs)


def spawn_monitor(function, *args, **kwargs):
    """`spawn` with a monitor: ``(pid, ref)``."""
    return spawn(function, *args, monitor=True, **kwargs)
