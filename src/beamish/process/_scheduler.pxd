from beamish.process._core cimport Process, Scheduler


cdef class Kernel(Scheduler):
    cdef readonly double slice       # seconds of Python per turn of the loop before sockets have theirs
    cdef public object report        # called with (process, reason, exception) for every crash
    cdef list endings                # KeyboardInterrupt and SystemExit, to be raised out of the loop
    cdef object tasks                # asyncio's table of current tasks (before Python 3.14)
    cdef object swap                 # asyncio's own switch, where it has one
    cdef int step(self, Process process) except -1
    cdef int failed(self, Process process, object error) except -1
    cdef int awaits(self, Process process, object yielded) except -1
    cdef int throw_next(self, Process process, object error) except -1
    cdef int end_with(self, object ending) except -1
    cdef int reported(self, Process process, object reason, object error) except -1
    cdef Process make(self, object function, tuple args, dict kwargs)
    cpdef int drain_now(self) except -1
