from cpython.object cimport PyObject
from libc.stdint cimport uint64_t

from beamish.etf._decode cimport Decoder
from beamish.etf._encode cimport Encoder
from beamish.process._core cimport Process, Route
from beamish.process._scheduler cimport Kernel
from beamish.term._identifiers cimport Pid, Ref

cdef extern from "_wire.h" nogil:
    ctypedef struct bm_out:
        int fd
        double last_write, interval
        unsigned long long bytes, ticks, writes
    bm_out* bm_out_new(int fd, double interval)
    void bm_out_free(bm_out* out)
    long long bm_out_flush(bm_out* out)
    int bm_out_append(bm_out* out, unsigned char** data, size_t n, size_t* cap)
    size_t bm_out_pending(bm_out* out)
    void bm_out_trim(bm_out* out)
    Py_ssize_t bm_recv(int fd, unsigned char* to, size_t n)


cdef class Wire(Route):
    cdef readonly Kernel home
    cdef readonly int fd
    cdef readonly uint64_t flags
    cdef readonly double ticktime
    cdef public object on_lost          # called once with (wire, why)
    cdef public object on_request       # called with (wire, req_ref, from, leader, mfa, args, opts)
    cdef Encoder enc
    cdef Decoder dec
    cdef bm_out* out
    cdef unsigned char* inbuf
    cdef Py_ssize_t in_start, in_end, in_cap, in_need
    cdef PyObject* cache[2048]          # atoms of the peer's cache, owned
    cdef PyObject* refs[256]            # atoms of the current header, borrowed
    cdef int ref_count
    cdef dict partial                   # sequence id -> Assembly
    cdef Py_ssize_t partial_bytes
    cdef uint64_t sequence
    cdef bint dirty_now, writing, closed
    cdef object watch                   # an epoll set around the socket, where the loop needs one
    cdef list suspended
    cdef object tick_timer
    cdef int silent_ticks
    cdef readonly uint64_t bytes_in, packets_in, packets_out, messages_in, messages_out, reads
    cdef uint64_t packets_seen
    cdef readonly dict ops_in
    cdef int begin(self) except -1
    cdef int finish_packet(self, Py_ssize_t payload_at) except -1
    cdef int push_out(self) except -1
    cdef Pid speaker(self, Pid sender)
    cdef int payload_follows(self) except -1
    cdef int in_fragments(self, Py_ssize_t payload_at) except -1
    cdef int control(self, tuple control) except -1
    cdef int control_with(self, tuple control, object payload) except -1
    cdef int parse(self) except -1
    cdef int packet(self, const unsigned char* p, Py_ssize_t n) except -1
    cdef const unsigned char* header(self, const unsigned char* p, const unsigned char* end) except NULL
    cdef int dispatch(self, tuple control) except -1
    cdef int rare(self, int op, tuple control) except -1
    cdef object payload(self)
    cdef int run(self, object control) except -1
