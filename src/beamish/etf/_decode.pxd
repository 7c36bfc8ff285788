from cpython.object cimport PyObject
from libc.stdint cimport uint32_t

from beamish.term._atom cimport Atom


# Gives the Pid (borrowed reference) of the local process with these numbers, NULL if there is none.
ctypedef void* (*FindProcess)(void* table, uint32_t id, uint32_t serial) noexcept


cdef class Decoder:
    """Reads terms out of a buffer that it does not own.

    feed() points it at bytes; each term() takes the next term and leaves p behind it. After a DecodeError p means
    nothing. Offsets in errors count from start. No version byte is expected: a caller that has one skips it.
    """
    cdef const unsigned char* p
    cdef const unsigned char* end
    cdef const unsigned char* start
    cdef PyObject** cache_refs      # entries of the current distribution header, for tag 82 (borrowed; atoms)
    cdef int cache_count
    cdef readonly object limits
    cdef long atoms_left            # new atoms before we look again how many exist
    cdef int depth_left, max_depth
    cdef Py_ssize_t owed            # elements that the enclosing large containers still have to read
    cdef Py_ssize_t max_integer, max_arity
    cdef int kinds
    cdef int error
    cdef int error_tag
    cdef const unsigned char* error_at
    cdef object problem
    # Optional: pids of this node and creation are looked up, and the process's own Pid (whose `process` is set) is given.
    cdef Atom local_node
    cdef uint32_t local_creation
    cdef FindProcess find_process
    cdef void* table
    cdef char* floor                # of the C stack of the thread that runs term()
    cdef void feed(self, const unsigned char* data, Py_ssize_t size) noexcept
    cdef object term(self)
    cdef int set_limits(self, object limits) except -1
    cdef object failure(self)
