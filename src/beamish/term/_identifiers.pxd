from libc.stdint cimport uint32_t, uint64_t

from beamish.term._atom cimport Atom


cdef class Pid:
    cdef readonly Atom node
    cdef readonly uint32_t id, serial, creation
    cdef void* process          # borrowed; the control block, on the Pid that its process owns; NULL once dead

cdef class Port:
    cdef readonly Atom node
    cdef readonly uint64_t id
    cdef readonly uint32_t creation

cdef class Ref:
    cdef readonly Atom node
    cdef readonly uint32_t creation
    cdef int count
    cdef uint32_t word[5]

cdef Pid new_pid(Atom node, uint32_t id, uint32_t serial, uint32_t creation)
cdef Port new_port(Atom node, uint64_t id, uint32_t creation)
cdef Ref new_ref(Atom node, uint32_t creation, int count)     # the caller fills word[0:count]
