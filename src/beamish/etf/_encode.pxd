from cpython.object cimport PyObject
from libc.stdint cimport uint16_t, uint64_t


# A sender's atom cache, one per connection: which atom the peer holds in each of its 2048 slots, and which slots the
# message being written refers to.
cdef struct AtomCache:
    PyObject* slot[2048]            # owned; NULL while we do not know what the peer holds there
    uint64_t used_in[2048]          # the message that last referred to the slot
    unsigned char place[2048]       # and its number in that message's header
    uint64_t message
    int count                       # references in this message, at most 255
    bint long_atoms                 # a new one has more than 255 bytes
    uint16_t used[255]              # their slots
    unsigned char fresh[255]        # 1: the peer does not hold it yet


cdef class Encoder:
    """One growable output buffer, owned by the encoder.

    buf[0:size] is what has been written; a caller may set size back (0: start again), write through reserve() and
    then add to size. term() appends a term without the version byte; if it fails, size is what it was before.
    Not re-entrant: nobody else may use the encoder while term() runs.
    """
    cdef unsigned char* buf
    cdef Py_ssize_t size, cap
    cdef readonly object limits
    cdef Py_ssize_t max_size, term_start
    cdef int depth_left, max_depth
    cdef int kinds
    cdef object problem
    cdef list path
    cdef AtomCache* cache           # NULL: atoms are written out
    cdef char* floor                # of the C stack of the thread that runs term()
    cdef int reserve(self, Py_ssize_t more) except -1          # room for that many bytes after size
    cdef int raw(self, const void* data, Py_ssize_t n) except -1
    cdef int term(self, object value) except -1
    cdef int set_limits(self, object limits) except -1

    # The sender's atom cache. For each message: cache_begin(), term()…, then header_size() bytes by write_header().
    # If the message is not sent after all: cache_forget(), so that the next one does not rely on it. A term() that fails
    # does that itself; the whole message is then to be dropped.
    cdef int cache_open(self) except -1                         # once per connection that negotiated DIST_HDR_ATOM_CACHE
    cdef void cache_begin(self) noexcept
    cdef Py_ssize_t header_size(self) noexcept                  # of "number of references, flags, references"
    cdef void write_header(self, unsigned char* out) noexcept   # follows 131, 68 (or 131, 69, sequence, fragment)
    cdef void cache_forget(self) noexcept
