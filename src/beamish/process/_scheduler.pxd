from libc.stdint cimport uint64_t

from beamish.process._core cimport Process, Scheduler


cdef class Kernel(Scheduler):
    cdef readonly double slice       # seconds of Python per turn of the loop before sockets have theirs
    cdef public object report        # called with (process, reason, exception) for every crash
    cdef list endings                # KeyboardInterrupt and SystemExit, to be raised out of the loop
    cdef object tasks                # asyncio's table of current tasks (before Python 3.14)
    cdef object swap                 # asyncio's own switch, where it has one
    cdef double turn_end             # of the turn in progress
    cdef int turn_steps, turn_most
    cdef Process stepping            # the process being stepped, in a kernel that preempts
    cdef object hub                  # the greenlet of the loop
    cdef object lane                 # the greenlet in which processes run; None in a kernel that does not preempt
    cdef list spare_lanes
    cdef Process froze               # what a lane left in the middle of its step
    cdef object frozen               # deque of the preempted, in the order in which they go on
    cdef double thaw_due             # when one of them goes on though others are ready
    cdef object lane_error
    cdef uint64_t told_step          # the long step that was reported last
    cdef readonly bint preemptive
    cdef bint judging, overdue
    cdef uint64_t asked_step
    cdef int asked
    cdef readonly uint64_t preemptions, refusals
    cdef public double long_schedule # seconds after which a step that cannot be interrupted is reported
    cdef public object on_long_schedule   # called with (process, seconds, frame)
    cdef int turn(self) except -1
    cdef int run_lanes(self) except -1
    cdef int grant(self, Process process) except -1
    cdef int freeze(self, Process process) except -1
    cdef int thaw(self) except -1
    cdef int step(self, Process process) except -1
    cdef int failed(self, Process process, object error) except -1
    cdef int awaits(self, Process process, object yielded) except -1
    cdef int throw_next(self, Process process, object error) except -1
    cdef int end_with(self, object ending) except -1
    cdef int reported(self, Process process, object reason, object error) except -1
    cdef Process make(self, object function, tuple args, dict kwargs)
    cpdef int drain_now(self) except -1
