from cpython.object cimport PyObject
from libc.stdint cimport uint32_t, uint64_t


cdef struct Entry:
    double when
    uint64_t number              # entries of the same time fire in the order they were made
    uint32_t id, serial          # a process whose receive may time out, if timer is NULL
    PyObject* timer              # owned


cdef class Timer:
    """One `send_after` (or internal callback) that has not fired."""
    cdef readonly double when
    cdef readonly object ref, dest, message, callback
    cdef readonly bint active


cdef class TimerHeap:
    cdef Entry* entries
    cdef Py_ssize_t count, cap
    cdef uint64_t made
    cdef int push(self, double when, uint32_t id, uint32_t serial, Timer timer) except -1
    cdef double first(self) noexcept
    cdef Entry pop(self) noexcept


cdef int settle(TimerHeap heap) except -1
