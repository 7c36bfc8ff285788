from libc.stdint cimport uint64_t

cdef extern from "_watchdog.h":
    ctypedef struct Watch "beamish_watch_t":
        uint64_t step
        int active
        uint64_t signalled
        double since
        double slice
        int started
        int signal

cdef Watch* the_watch() noexcept
cdef void begin_turn(Watch* watch) noexcept
cdef bint at_boundary(object frame) except -1
cdef void ask_again() noexcept
cdef bint waits_for_lock(object frame) except -1
cdef bint may_interrupt(object frame, bint waiting=*) except -1
