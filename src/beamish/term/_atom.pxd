from cpython.object cimport PyObject


cdef class Atom:
    cdef readonly str text
    cdef bytes utf8                    # the same, as it goes over the wire
    cdef unsigned long long digest     # of the UTF-8 bytes; places the atom in the intern table
    cdef void* chain                   # next atom in the bucket, borrowed
    cdef int slot_hint                 # where senders' atom caches look first

# The term of that name: an Atom, or True, False, None. New reference. p is UTF-8 and is checked.
cdef object intern_utf8(const unsigned char* p, Py_ssize_t n)
cdef object intern_latin1(const unsigned char* p, Py_ssize_t n)
cdef object intern_text(str text)

# The same if it exists already, else NULL (no exception). Borrowed reference.
cdef PyObject* find_utf8(const unsigned char* p, Py_ssize_t n) noexcept
cdef size_t count_atoms() noexcept
