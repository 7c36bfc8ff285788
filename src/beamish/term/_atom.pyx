"""Atoms: interned names.

The intern table holds borrowed pointers, so an atom that nobody holds any more disappears and a peer cannot fill the
memory with names (BEAM's atom table only grows). A small table of strong pointers keeps recently used names alive, so
that a name which comes in every message, and which nobody holds in between, is not made anew each time.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from cpython.unicode cimport PyUnicode_DecodeLatin1, PyUnicode_DecodeUTF8
from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL
    PyObject* TRUE_ "Py_True"
    PyObject* FALSE_ "Py_False"
    PyObject* NONE_ "Py_None"

cdef enum:
    LIMIT = 255          # characters; ERTS, External Term Format, ATOM_UTF8_EXT
    WARM = 4096          # slots of the table that keeps recent atoms alive; a power of two

cdef void** buckets = NULL
cdef size_t bucket_count = 0
cdef size_t atom_count = 0
cdef PyObject* warm[WARM]

# Peers choose the names, so where a name lands must not be known outside: the seed is the interpreter's own hash secret.
cdef uint64_t seed = <uint64_t><Py_hash_t>hash(b"beamish atoms")


cdef inline uint64_t stir(uint64_t h, uint64_t word) noexcept:
    h = (h ^ word) * 0x9E3779B97F4A7C15ULL
    return h ^ (h >> 32)


cdef inline uint64_t digest_of(const unsigned char* p, Py_ssize_t n) noexcept:
    # Eight bytes a step: this runs for every atom read from the wire.
    cdef uint64_t h = seed ^ (<uint64_t>n * 0xC2B2AE3D27D4EB4FULL)
    cdef uint64_t word
    cdef uint32_t low, high
    while n >= 8:
        memcpy(&word, p, 8)
        h = stir(h, word)
        p += 8
        n -= 8
    if n >= 4:
        memcpy(&low, p, 4)
        memcpy(&high, p + n - 4, 4)
        h = stir(h, (<uint64_t>high << 32) | low)
    elif n > 0:
        h = stir(h, (<uint64_t>p[0] << 16) | (<uint64_t>p[n >> 1] << 8) | p[n - 1])
    # A product's low bits know nothing of its factors' high bits, and it is the low bits that choose a slot.
    h *= 0xD6E8FEB86659FD93ULL
    return h ^ (h >> 32)


cdef int grow_table() except -1:
    global buckets, bucket_count
    cdef size_t size = bucket_count * 2 if bucket_count else 4096
    cdef void** fresh = <void**>calloc(size, sizeof(void*))
    cdef size_t i, place
    cdef void* entry
    cdef void* following
    if fresh == NULL:
        raise MemoryError()
    for i in range(bucket_count):
        entry = buckets[i]
        while entry != NULL:
            following = (<Atom>entry).chain
            place = (<Atom>entry).digest & (size - 1)
            (<Atom>entry).chain = fresh[place]
            fresh[place] = entry
            entry = following
    free(buckets)
    buckets = fresh
    bucket_count = size
    return 0


cdef class Atom:
    """A name that equals only itself. Make one with ``atom("ok")`` or ``atom.ok``."""

    def __init__(self):
        raise TypeError('atoms are made by atom("name") or atom.name')

    def __dealloc__(self):
        global atom_count
        cdef size_t place
        cdef void** link
        if self.utf8 is None or buckets == NULL:
            return
        place = self.digest & (bucket_count - 1)
        link = &buckets[place]
        while link[0] != NULL:
            if link[0] == <void*>self:
                link[0] = self.chain
                atom_count -= 1
                return
            link = &(<Atom>link[0]).chain

    def __str__(self):
        return self.text

    def __repr__(self):
        if self.text.isidentifier():
            return f"atom.{self.text}"
        return f"atom({self.text!r})"

    def __reduce__(self):
        return (atom, (self.text,))

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def __hash__(self):         # __lt__ would take the inherited one away
        return <Py_hash_t>self.digest

    def __lt__(self, other):
        if not isinstance(other, Atom):
            return NotImplemented
        return self.text < (<Atom>other).text


cdef inline bint is_named(void* entry, uint64_t digest, const unsigned char* p, Py_ssize_t n) noexcept:
    return (<Atom>entry).digest == digest and PyBytes_GET_SIZE((<Atom>entry).utf8) == n \
        and memcmp(PyBytes_AS_STRING((<Atom>entry).utf8), p, n) == 0


cdef inline PyObject* find(const unsigned char* p, Py_ssize_t n, uint64_t digest) noexcept:
    cdef void* entry = <void*>warm[digest & (WARM - 1)]
    if entry != NULL and is_named(entry, digest, p, n):
        return <PyObject*>entry
    if n == 4 and memcmp(p, b"true", 4) == 0:
        return TRUE_
    if n == 5 and memcmp(p, b"false", 5) == 0:
        return FALSE_
    if n == 3 and memcmp(p, b"nil", 3) == 0:
        return NONE_
    entry = buckets[digest & (bucket_count - 1)]
    while entry != NULL:
        if is_named(entry, digest, p, n):
            return <PyObject*>entry
        entry = (<Atom>entry).chain
    return NULL


cdef PyObject* find_utf8(const unsigned char* p, Py_ssize_t n) noexcept:
    return find(p, n, digest_of(p, n))


cdef size_t count_atoms() noexcept:
    return atom_count


cdef object make(const unsigned char* p, Py_ssize_t n, uint64_t digest):
    global atom_count
    cdef Atom made
    cdef PyObject* old
    text = PyUnicode_DecodeUTF8(<char*>p, n, NULL)
    if len(text) > LIMIT:
        raise ValueError(f"an atom has at most {LIMIT} characters; this one has {len(text)}")
    if atom_count >= bucket_count:
        grow_table()
    made = Atom.__new__(Atom)
    made.text = text
    made.digest = digest
    made.slot_hint = <int>(digest & 2047)
    made.utf8 = PyBytes_FromStringAndSize(<char*>p, n)
    made.chain = buckets[digest & (bucket_count - 1)]
    buckets[digest & (bucket_count - 1)] = <void*>made
    atom_count += 1
    old = warm[digest & (WARM - 1)]
    Py_INCREF(made)
    warm[digest & (WARM - 1)] = <PyObject*>made
    Py_XDECREF(old)
    return made


cdef object intern_utf8(const unsigned char* p, Py_ssize_t n):
    cdef uint64_t digest = digest_of(p, n)
    cdef PyObject* found = find(p, n, digest)
    if found != NULL:
        return <object>found
    return make(p, n, digest)


cdef object intern_latin1(const unsigned char* p, Py_ssize_t n):
    return intern_text(PyUnicode_DecodeLatin1(<char*>p, n, NULL))


cdef object intern_text(str text):
    cdef Py_ssize_t n = 0
    cdef const char* p = PyUnicode_AsUTF8AndSize(text, &n)
    return intern_utf8(<const unsigned char*>p, n)


cdef class AtomFactory:
    """``atom("name")`` and ``atom.name``; ``true``, ``false`` and ``nil`` are True, False and None."""

    def __call__(self, text):
        if isinstance(text, str):
            return intern_text(text if type(text) is str else str.__str__(text))
        if isinstance(text, Atom) or text is None or text is True or text is False:
            return text
        raise TypeError(f"an atom is made from a str, not from {type(text).__name__}")

    def __getattribute__(self, str name):
        # Not __getattr__: that costs a failed look-up, with its exception, for each atom written in a program.
        if name.startswith("__") and name.endswith("__") and name != "__struct__" and name != "__exception__":
            return object.__getattribute__(self, name)
        return intern_text(name)

    def __repr__(self):
        return "atom"

    def __reduce__(self):
        return "atom"


def live_atoms():
    """How many atoms exist now."""
    return atom_count


grow_table()
atom = AtomFactory()
