"""Bytes to terms.

`read` and its helpers pass raw pointers and never raise: they return NULL with the reason in `Decoder.error` (or with a
Python exception set, if the C API set one). Every length is compared with the bytes that are left before anything is
allocated; large containers reserve the bytes that their other elements need (`owed`), so that nested claims cannot add
up to more than the input's size.
Source of all layouts  ERTS User's Guide, External Term Format.
"""

import zlib

from cpython.buffer cimport PyBUF_SIMPLE, Py_buffer, PyBuffer_Release, PyObject_GetBuffer
from libc.math cimport isfinite
from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from beamish.etf._bytes cimport *
from beamish.etf._stack cimport stack_floor, stack_used_up
from beamish.etf._tags cimport *
from beamish.term._atom cimport Atom, count_atoms, find_utf8, intern_latin1, intern_utf8
from beamish.term._compound cimport new_bits, new_export, new_fun, new_improper
from beamish.term._identifiers cimport Pid, Ref, new_pid, new_port, new_ref

from beamish.errors import DecodeError
from beamish.etf.limits import DEFAULT
from beamish.term.identity import identity
from beamish.term.maps import TermMap
from beamish.term.structs import from_map

cdef extern from *:
    PyObject* __Pyx_PyDict_NewPresized(Py_ssize_t n)

cdef enum:
    HELD_STR = 1            # kinds of keys that Erlang may hold for the same though Python does not
    HELD_BYTES = 2
    HELD_OTHER = 4
    LARGE = 64              # containers from this size on reserve their elements' bytes
    PRESIZE = 65536         # pairs a new dict is made for at most; more make it grow as they come
    PAUSE_GC = 8192         # bytes of input from which the garbage collector waits
    KEY_SLOTS = 1024        # of the table of recent binary keys; a power of two
    KEY_SIZE = 32           # the longest key it holds

cdef enum Fault:
    NONE, SHORT, UNKNOWN, DEPTH, SIZE, CACHE, NODE, ATOM, ATOMS, NUMBER, BIG, ARITY, BITS, FUN, DUPLICATE, LOCAL, OLD_FUN, \
        NESTED, WORDS, BAD_ATOM, OTHER

FAULTS = {
    SHORT: "the term goes on after the end of the bytes",
    UNKNOWN: "no such tag",
    DEPTH: "nested deeper than Limits.depth, or than this thread's stack allows",
    SIZE: "a size larger than the bytes that are left",
    CACHE: "an atom cache reference that the distribution header does not have",
    NODE: "a node name that is not an atom",
    ATOM: "an atom was expected",
    ATOMS: "more atoms than Limits.atoms",
    NUMBER: "not a finite number",
    BIG: "an integer larger than Limits.integer_size",
    ARITY: "a tuple larger than Limits.arity",
    BITS: "a bitstring whose last byte has no such number of bits",
    FUN: "a malformed fun",
    DUPLICATE: "a map with the same key twice",
    LOCAL: "a term that only the emulator which wrote it can read",
    OLD_FUN: "a closure in the format of OTP 22 and older",
    NESTED: "compressed data inside a term",
    WORDS: "a reference of other than 1 to 5 words",
    BAD_ATOM: "an atom that is not UTF-8 or has more than 255 characters",
}

cdef PyTypeObject* ATOM_TYPE = <PyTypeObject*>Atom
cdef PyTypeObject* PID_TYPE = <PyTypeObject*>Pid
cdef PyObject* STRUCT = NULL                # atom.__struct__
cdef PyObject* small[256]                   # the integers of a byte
cdef PyObject* recent_bytes[KEY_SLOTS]      # recent map keys, so that a list of like maps shares them
cdef PyObject* recent_text[KEY_SLOTS]

cdef int prepare() except -1:
    global STRUCT
    cdef int i
    for i in range(256):
        small[i] = PyLong_FromLong(i)
    name = intern_utf8(b"__struct__", 10)
    Py_INCREF(<PyObject*>name)
    STRUCT = <PyObject*>name
    return 0

prepare()


cdef PyObject* fault(Decoder d, int error, int tag) noexcept:
    if d.error == NONE:
        d.error = error
        d.error_tag = tag
        d.error_at = d.p
    return NULL


cdef PyObject* broken(Decoder d, object problem, int tag) noexcept:
    """Something went wrong that is not in the bytes: no memory, an interrupt, a class's own code."""
    if d.problem is None:
        d.problem = problem
    return fault(d, OTHER, tag)


cdef inline PyObject* take(object made) noexcept:
    """An own reference to what Cython holds."""
    Py_INCREF(<PyObject*>made)
    return <PyObject*>made


# --- atoms ----------------------------------------------------------------------------------------------------------

cdef PyObject* make_atom(Decoder d, const unsigned char* p, Py_ssize_t n, bint latin1) noexcept:
    """An atom that may not exist yet. The count of those that do is looked at only every so often."""
    cdef long left
    if d.atoms_left <= 0:
        left = <long>d.limits.atoms - <long>count_atoms()
        if left <= 0:
            return fault(d, ATOMS, SMALL_ATOM_UTF8_EXT)
        d.atoms_left = left
    d.atoms_left -= 1
    try:
        return take(intern_latin1(p, n) if latin1 else intern_utf8(p, n))
    except ValueError:
        return fault(d, BAD_ATOM, ATOM_EXT if latin1 else ATOM_UTF8_EXT)
    except BaseException as error:
        return broken(d, error, ATOM_UTF8_EXT)


cdef inline PyObject* read_atom_text(Decoder d, Py_ssize_t n, int tag) noexcept:
    cdef const unsigned char* p = d.p
    cdef PyObject* found
    if d.end - p < n:
        return fault(d, SHORT, tag)
    found = find_utf8(p, n)
    if found != NULL:
        Py_INCREF(found)
    else:
        found = make_atom(d, p, n, False)
        if found == NULL:
            return NULL
    d.p = p + n
    return found


cdef PyObject* read_latin1(Decoder d, Py_ssize_t n, int tag) noexcept:
    cdef const unsigned char* p = d.p
    cdef PyObject* found
    if d.end - p < n:
        return fault(d, SHORT, tag)
    found = make_atom(d, p, n, True)
    if found != NULL:
        d.p = p + n
    return found


cdef inline PyObject* read_cached(Decoder d) noexcept:
    cdef PyObject* found
    if d.p >= d.end:
        return fault(d, SHORT, ATOM_CACHE_REF)
    if d.p[0] >= d.cache_count:
        return fault(d, CACHE, ATOM_CACHE_REF)
    found = d.cache_refs[d.p[0]]
    d.p += 1
    Py_INCREF(found)
    return found


cdef PyObject* read_any_atom(Decoder d) noexcept:
    """A term that has to be an atom; true, false and nil come as True, False, None."""
    cdef int tag
    if d.end - d.p < 2:
        return fault(d, SHORT, 0)
    tag = d.p[0]
    if tag == SMALL_ATOM_UTF8_EXT or tag == SMALL_ATOM_EXT:
        d.p += 2
        if tag == SMALL_ATOM_EXT:
            return read_latin1(d, (d.p - 1)[0], tag)
        return read_atom_text(d, (d.p - 1)[0], tag)
    if tag == ATOM_CACHE_REF:
        d.p += 1
        return read_cached(d)
    if tag == ATOM_UTF8_EXT or tag == ATOM_EXT:
        if d.end - d.p < 3:
            return fault(d, SHORT, tag)
        d.p += 3
        if tag == ATOM_EXT:
            return read_latin1(d, get16(d.p - 2), tag)
        return read_atom_text(d, get16(d.p - 2), tag)
    return fault(d, ATOM, tag)


cdef PyObject* read_node(Decoder d) noexcept:
    """The node name of a pid, port or reference."""
    cdef PyObject* node = read_any_atom(d)
    if node != NULL and Py_TYPE(node) != ATOM_TYPE:
        Py_DECREF(node)
        return fault(d, NODE, 0)
    return node


# --- numbers --------------------------------------------------------------------------------------------------------

cdef PyObject* read_big(Decoder d, Py_ssize_t n, int tag) noexcept:
    """sign: 8, n bytes little-endian; the length is already consumed."""
    cdef const unsigned char* p = d.p
    cdef bint negative
    cdef uint64_t magnitude = 0
    cdef Py_ssize_t i
    if d.end - p < n + 1:
        return fault(d, SIZE, tag)
    if n > d.max_integer:
        return fault(d, BIG, tag)
    negative = p[0] != 0
    p += 1
    d.p = p + n
    if n <= 8:
        for i in range(n):
            magnitude |= <uint64_t>p[i] << (8 * i)
        if not negative:
            return PyLong_FromUnsignedLongLong(magnitude)
        if magnitude <= <uint64_t>1 << 63:
            return PyLong_FromLongLong(<long long>(0 - magnitude))
    try:
        number = int.from_bytes(<bytes>p[:n], "little")
        return take(-number if negative else number)
    except BaseException as error:
        return broken(d, error, tag)


cdef PyObject* read_float(Decoder d) noexcept:
    cdef uint64_t bits
    cdef double number
    if d.end - d.p < 8:
        return fault(d, SHORT, NEW_FLOAT_EXT)
    bits = get64(d.p)
    memcpy(&number, &bits, 8)
    if not isfinite(number):
        return fault(d, NUMBER, NEW_FLOAT_EXT)
    d.p += 8
    return PyFloat_FromDouble(number)


cdef PyObject* read_float_text(Decoder d) noexcept:
    """31 bytes of text as sprintf("%.20e") writes it, zero-filled. Erlang's before OTP 17."""
    cdef double number
    cdef int i, n = 31
    if d.end - d.p < 31:
        return fault(d, SHORT, FLOAT_EXT)
    for i in range(31):
        if d.p[i] == 0:
            n = i
            break
        if not (48 <= d.p[i] <= 57 or d.p[i] == 43 or d.p[i] == 45 or d.p[i] == 46 or d.p[i] == 101 or d.p[i] == 69):
            return fault(d, NUMBER, FLOAT_EXT)
    try:
        number = float(<bytes>d.p[:n])
    except BaseException:
        return fault(d, NUMBER, FLOAT_EXT)
    if not isfinite(number):
        return fault(d, NUMBER, FLOAT_EXT)
    d.p += 31
    return PyFloat_FromDouble(number)


# --- binaries -------------------------------------------------------------------------------------------------------

cdef inline PyObject* read_binary(Decoder d) noexcept:
    cdef Py_ssize_t n
    cdef const unsigned char* p = d.p + 4
    if d.end < p:
        return fault(d, SHORT, BINARY_EXT)
    n = get32(d.p)
    if d.end - p < n:
        return fault(d, SIZE, BINARY_EXT)
    d.kinds |= HELD_BYTES
    d.p = p + n
    return PyBytes_FromStringAndSize(<const char*>p, n)


cdef PyObject* read_bits(Decoder d) noexcept:
    """length: 32, bits in the last byte: 8, data. With 8 bits it is a binary, and came from a str."""
    cdef Py_ssize_t n
    cdef int bits
    cdef PyObject* made
    cdef const unsigned char* p = d.p + 5
    if d.end < p:
        return fault(d, SHORT, BIT_BINARY_EXT)
    n = get32(d.p)
    bits = d.p[4]
    if d.end - p < n:
        return fault(d, SIZE, BIT_BINARY_EXT)
    if bits > 8 or (bits == 0) != (n == 0):
        return fault(d, BITS, BIT_BINARY_EXT)
    d.p = p + n
    if bits == 8 or n == 0:
        made = PyUnicode_DecodeUTF8(<const char*>p, n, NULL)
        if made != NULL:
            d.kinds |= HELD_STR
            return made
        PyErr_Clear()
        d.kinds |= HELD_BYTES
        return PyBytes_FromStringAndSize(<const char*>p, n)
    try:
        return take(new_bits(p, n, bits))
    except BaseException as error:
        return broken(d, error, BIT_BINARY_EXT)


# --- identifiers ----------------------------------------------------------------------------------------------------

cdef PyObject* read_pid(Decoder d, int tag) noexcept:
    """node, id: 32, serial: 32, creation: 32 (8 in the old form)."""
    cdef Py_ssize_t n = 12 if tag == NEW_PID_EXT else 9
    cdef PyObject* node = read_node(d)
    cdef uint32_t id, serial, creation
    cdef PyObject* known
    if node == NULL:
        return NULL
    if d.end - d.p < n:
        Py_DECREF(node)
        return fault(d, SHORT, tag)
    id = get32(d.p)
    serial = get32(d.p + 4)
    creation = get32(d.p + 8) if tag == NEW_PID_EXT else d.p[8]
    d.p += n
    if d.find_process != NULL and node == <PyObject*>d.local_node and creation == d.local_creation:
        known = <PyObject*>d.find_process(d.table, id, serial)
        if known != NULL:
            Py_INCREF(known)
            Py_DECREF(node)
            return known
    try:
        known = take(new_pid(<Atom>node, id, serial, creation))
    except BaseException as error:
        known = broken(d, error, tag)
    Py_DECREF(node)
    return known


cdef PyObject* read_port(Decoder d, int tag) noexcept:
    """node, id: 32 (64 in V4), creation: 32 (8 in the old form)."""
    cdef Py_ssize_t wide = 8 if tag == V4_PORT_EXT else 4
    cdef Py_ssize_t n = wide + (1 if tag == PORT_EXT else 4)
    cdef PyObject* node = read_node(d)
    cdef PyObject* made
    cdef uint64_t id
    cdef uint32_t creation
    if node == NULL:
        return NULL
    if d.end - d.p < n:
        Py_DECREF(node)
        return fault(d, SHORT, tag)
    id = get64(d.p) if tag == V4_PORT_EXT else get32(d.p)
    creation = d.p[wide] if tag == PORT_EXT else get32(d.p + wide)
    d.p += n
    try:
        made = take(new_port(<Atom>node, id, creation))
    except BaseException as error:
        made = broken(d, error, tag)
    Py_DECREF(node)
    return made


cdef PyObject* read_ref(Decoder d, int tag) noexcept:
    """words: 16, node, creation: 32 (8 in the old form), words; the oldest has one word, before its creation."""
    cdef Py_ssize_t width = 4 if tag == NEWER_REFERENCE_EXT else 1
    cdef int i, count = 1
    cdef PyObject* node
    cdef PyObject* made
    cdef const unsigned char* p
    cdef Ref ref
    if tag != REFERENCE_EXT:
        if d.end - d.p < 2:
            return fault(d, SHORT, tag)
        count = get16(d.p)
        d.p += 2
        if not 1 <= count <= 5:
            return fault(d, WORDS, tag)
    node = read_node(d)
    if node == NULL:
        return NULL
    p = d.p
    if d.end - p < width + 4 * count:
        Py_DECREF(node)
        return fault(d, SHORT, tag)
    d.p = p + width + 4 * count
    try:
        if tag == REFERENCE_EXT:
            ref = new_ref(<Atom>node, p[4], 1)
            ref.word[0] = get32(p)
        else:
            ref = new_ref(<Atom>node, get32(p) if width == 4 else p[0], count)
            for i in range(count):
                ref.word[i] = get32(p + width + 4 * i)
        made = take(ref)
    except BaseException as error:
        made = broken(d, error, tag)
    Py_DECREF(node)
    return made


cdef PyObject* read_export(Decoder d) noexcept:
    """module: atom, function: atom, arity: small integer."""
    cdef PyObject* module = read_any_atom(d)
    cdef PyObject* function
    cdef PyObject* made = NULL
    if module == NULL:
        return NULL
    function = read_any_atom(d)
    if function != NULL:
        if d.end - d.p < 2 or d.p[0] != SMALL_INTEGER_EXT:
            fault(d, FUN, EXPORT_EXT)
        else:
            d.p += 2
            try:
                made = take(new_export(<object>module, <object>function, (d.p - 1)[0]))
            except BaseException as error:
                made = broken(d, error, EXPORT_EXT)
        Py_DECREF(function)
    Py_DECREF(module)
    return made


cdef int read_fun_parts(Decoder d, Py_ssize_t free, PyObject** part) noexcept:
    """module, old index, old uniq, pid, free variables into part[0:5]."""
    part[0] = read_any_atom(d)
    if part[0] == NULL:
        return -1
    part[1] = read(d)
    if part[1] == NULL:
        return -1
    part[2] = read(d)
    if part[2] == NULL:
        return -1
    if Py_TYPE(part[1]) != &PyLong_Type or Py_TYPE(part[2]) != &PyLong_Type:
        fault(d, FUN, NEW_FUN_EXT)
        return -1
    part[3] = read(d)
    if part[3] == NULL:
        return -1
    if Py_TYPE(part[3]) != PID_TYPE:
        fault(d, FUN, NEW_FUN_EXT)
        return -1
    part[4] = read_tuple(d, free, NEW_FUN_EXT)
    return -1 if part[4] == NULL else 0


cdef PyObject* read_fun(Decoder d) noexcept:
    """size: 32 (of all this), arity: 8, uniq: 16 bytes, index: 32, free variables: 32, then the parts."""
    cdef const unsigned char* p = d.p
    cdef PyObject* part[5]
    cdef PyObject* made = NULL
    cdef int i
    if d.end - p < 29:
        return fault(d, SHORT, NEW_FUN_EXT)
    for i in range(5):
        part[i] = NULL
    d.p = p + 29
    if read_fun_parts(d, get32(p + 25), part) == 0:
        if d.p - p != get32(p):
            fault(d, FUN, NEW_FUN_EXT)
        else:
            try:
                made = take(new_fun(<object>part[0], p[4], <bytes>p[5:21], get32(p + 21), <object>part[1], <object>part[2],
                                    <Pid>part[3], <tuple>part[4]))
            except BaseException as error:
                made = broken(d, error, NEW_FUN_EXT)
    for i in range(5):
        Py_XDECREF(part[i])
    return made


# --- containers -----------------------------------------------------------------------------------------------------

cdef inline bint affords(Decoder d, Py_ssize_t n) noexcept:
    """There are bytes for n more elements, after what the enclosing containers still need."""
    return n <= d.end - d.p - d.owed


cdef PyObject* read_tuple(Decoder d, Py_ssize_t n, int tag) noexcept:
    cdef PyObject* made
    cdef PyObject* item
    cdef Py_ssize_t i
    cdef Py_ssize_t owes = 1 if n >= LARGE else 0
    if not affords(d, n):
        return fault(d, SIZE, tag)
    if d.depth_left == 0 or stack_used_up(d.floor):
        return fault(d, DEPTH, tag)
    made = PyTuple_New(n)
    if made == NULL:
        return NULL
    d.depth_left -= 1
    d.owed += n * owes
    for i in range(n):
        d.owed -= owes
        item = read(d)
        if item == NULL:
            Py_DECREF(made)
            return NULL
        PyTuple_SET_ITEM(made, i, item)
    d.depth_left += 1
    return made


cdef PyObject* improper(Decoder d, PyObject* elements, PyObject* tail) noexcept:
    """An ImproperList of a list's elements and a tail; takes over both."""
    cdef PyObject* made
    try:
        made = take(new_improper(tuple(<list>elements), <object>tail))
    except BaseException as error:
        made = broken(d, error, LIST_EXT)
    Py_DECREF(elements)
    Py_DECREF(tail)
    return made


cdef int extend(Decoder d, PyObject* made) noexcept:
    """Read the elements of a list that is the tail of another one; the tag is consumed."""
    cdef Py_ssize_t i, n
    cdef PyObject* item
    cdef bint string = (d.p - 1)[0] == STRING_EXT
    cdef Py_ssize_t width = 2 if string else 4
    if d.end - d.p < width:
        fault(d, SHORT, LIST_EXT)
        return -1
    n = get16(d.p) if string else get32(d.p)
    d.p += width
    if not affords(d, n):
        fault(d, SIZE, LIST_EXT)
        return -1
    d.owed += n
    for i in range(n):
        d.owed -= 1
        if string:
            item = small[d.p[0]]
            d.p += 1
            Py_INCREF(item)
        else:
            item = read(d)
            if item == NULL:
                return -1
        if PyList_Append(made, item) < 0:
            Py_DECREF(item)
            return -1
        Py_DECREF(item)
    return 0


cdef PyObject* read_list(Decoder d) noexcept:
    """length: 32, elements, tail. Lists as tails are joined, so that any spelling of a list gives the same list."""
    cdef PyObject* made
    cdef PyObject* item
    cdef Py_ssize_t i, n, owes
    cdef int tag
    if d.end - d.p < 4:
        return fault(d, SHORT, LIST_EXT)
    n = get32(d.p)
    d.p += 4
    if not affords(d, n):
        return fault(d, SIZE, LIST_EXT)
    if d.depth_left == 0 or stack_used_up(d.floor):
        return fault(d, DEPTH, LIST_EXT)
    d.depth_left -= 1
    made = PyList_New(n)
    if made == NULL:
        return NULL
    owes = 1 if n >= LARGE else 0
    d.owed += n * owes
    for i in range(n):
        d.owed -= owes
        item = read(d)
        if item == NULL:
            Py_DECREF(made)
            return NULL
        PyList_SET_ITEM(made, i, item)
    while True:
        if d.p >= d.end:
            Py_DECREF(made)
            return fault(d, SHORT, LIST_EXT)
        tag = d.p[0]
        if tag == NIL_EXT:
            d.p += 1
            d.depth_left += 1
            return made
        if tag != LIST_EXT and tag != STRING_EXT:
            break
        d.p += 1
        if extend(d, made) < 0:
            Py_DECREF(made)
            return NULL
        if tag == STRING_EXT:       # it brings its own end
            d.depth_left += 1
            return made
    item = read(d)
    if item == NULL:
        Py_DECREF(made)
        return NULL
    d.depth_left += 1
    if PyList_GET_SIZE(made) == 0:  # no elements: Erlang takes the tail for the term
        Py_DECREF(made)
        return item
    return improper(d, made, item)


cdef PyObject* read_string(Decoder d) noexcept:
    """length: 16, bytes: a list of integers."""
    cdef PyObject* made
    cdef PyObject* item
    cdef Py_ssize_t i, n
    cdef const unsigned char* p
    if d.end - d.p < 2:
        return fault(d, SHORT, STRING_EXT)
    n = get16(d.p)
    p = d.p + 2
    if d.end - p < n:
        return fault(d, SIZE, STRING_EXT)
    made = PyList_New(n)
    if made == NULL:
        return NULL
    for i in range(n):
        item = small[p[i]]
        Py_INCREF(item)
        PyList_SET_ITEM(made, i, item)
    d.p = p + n
    return made


cdef PyObject* recent_key(Decoder d) noexcept:
    """A short binary (or ASCII str) as a map key, made once and then shared; NULL: read it the usual way."""
    cdef const unsigned char* p = d.p
    cdef int skip = 6 if p[0] == BIT_BINARY_EXT else 5
    cdef Py_ssize_t n, length
    cdef uint64_t word = 0
    cdef PyObject** place
    cdef PyObject* found
    cdef const char* text
    if d.end - p < skip:
        return NULL
    n = get32(p + 1)
    p += skip
    if n > KEY_SIZE or n > d.end - p or n == 0 or (skip == 6 and (p - 1)[0] != 8):
        return NULL
    memcpy(&word, p, n if n < 8 else 8)
    word ^= <uint64_t>p[n - 1] << 56 ^ <uint64_t>p[n >> 1] << 48 ^ <uint64_t>n << 40
    word *= 0x9E3779B97F4A7C15ULL
    place = &recent_text[word >> 54] if skip == 6 else &recent_bytes[word >> 54]
    found = place[0]
    if skip == 5:
        d.kinds |= HELD_BYTES
        if found == NULL or PyBytes_GET_SIZE(found) != n or memcmp(PyBytes_AS_STRING(found), p, n) != 0:
            found = PyBytes_FromStringAndSize(<const char*>p, n)
            if found == NULL:
                return NULL
            Py_XDECREF(place[0])
            place[0] = found
    else:
        text = PyUnicode_AsUTF8AndSize(found, &length) if found != NULL else NULL
        if text == NULL or length != n or memcmp(text, p, n) != 0:
            found = PyUnicode_DecodeUTF8(<const char*>p, n, NULL)
            if found == NULL:
                PyErr_Clear()
                return NULL
            Py_XDECREF(place[0])
            place[0] = found
        d.kinds |= HELD_STR
    d.p = p + n
    Py_INCREF(found)
    return found


cdef inline PyObject* read_key(Decoder d) noexcept:
    cdef PyObject* key
    if d.p < d.end:
        if d.p[0] == SMALL_ATOM_UTF8_EXT:
            return read(d)
        if d.p[0] == BINARY_EXT or d.p[0] == BIT_BINARY_EXT:
            key = recent_key(d)
            if key != NULL or PyErr_Occurred() != NULL:
                return key
    return read(d)


cdef PyObject* finish_term_map(Decoder d, list pairs) noexcept:
    try:
        return take(TermMap(pairs))
    except ValueError:
        return fault(d, DUPLICATE, MAP_EXT)
    except RecursionError:
        return fault(d, DEPTH, MAP_EXT)
    except BaseException as error:
        return broken(d, error, MAP_EXT)


cdef PyObject* read_term_map(Decoder d, PyObject* so_far, PyObject* key, PyObject* value, Py_ssize_t more) noexcept:
    """Go on with a map that a dict cannot hold: what it took, the pair it did not take, and the pairs still to come.

    Takes over the three references. The dict is not read again from the wire: inside keys that would cost 2^depth.
    """
    cdef list pairs
    cdef PyObject* made = NULL
    try:
        pairs = list((<dict>so_far).items())
        pairs.append((<object>key, <object>value))
        while more > 0:
            Py_DECREF(key)
            Py_DECREF(value)
            value = NULL
            key = read(d)
            if key == NULL:
                break
            value = read(d)
            if value == NULL:
                break
            pairs.append((<object>key, <object>value))
            more -= 1
        if more == 0:
            made = finish_term_map(d, pairs)
    except BaseException as error:
        broken(d, error, MAP_EXT)
    Py_DECREF(so_far)
    Py_XDECREF(key)
    Py_XDECREF(value)
    return made


cdef bint has_twins(Decoder d, PyObject* made) noexcept:
    """Two keys of this dict are one in Erlang. On failure True, with the fault set."""
    try:
        if len({identity(key) for key in <dict>made}) == len(<dict>made):
            return False
        fault(d, DUPLICATE, MAP_EXT)
    except RecursionError:
        fault(d, DEPTH, MAP_EXT)
    except BaseException as error:
        broken(d, error, MAP_EXT)
    return True


cdef PyObject* read_struct(Decoder d, PyObject* made) noexcept:
    """The registered value for a map with __struct__; takes over the map."""
    cdef PyObject* value
    try:
        value = take(from_map(<dict>made))
    except BaseException as error:
        value = broken(d, error, MAP_EXT)
    Py_DECREF(made)
    return value


cdef PyObject* read_map(Decoder d) noexcept:
    """pairs: 32, then key, value…"""
    cdef PyObject* made
    cdef PyObject* key
    cdef PyObject* value
    cdef PyObject* there
    cdef Py_ssize_t i, n, owes
    cdef int outer = d.kinds, found = 0
    cdef bint is_struct = False
    if d.end - d.p < 4:
        return fault(d, SHORT, MAP_EXT)
    n = get32(d.p)
    d.p += 4
    if not affords(d, 2 * n):
        return fault(d, SIZE, MAP_EXT)
    if d.depth_left == 0 or stack_used_up(d.floor):
        return fault(d, DEPTH, MAP_EXT)
    made = __Pyx_PyDict_NewPresized(n if n < PRESIZE else PRESIZE)
    if made == NULL:
        return NULL
    d.depth_left -= 1
    owes = 2 if n >= LARGE else 0
    d.owed += n * owes
    for i in range(n):
        d.owed -= owes
        d.kinds = 0
        key = read_key(d)
        if key == NULL:
            Py_DECREF(made)
            return NULL
        found |= d.kinds
        if key == STRUCT:
            is_struct = True
        value = read(d)
        if value == NULL:
            Py_DECREF(key)
            Py_DECREF(made)
            return NULL
        there = PyDict_SetDefault(made, key, value)
        if there == NULL:
            PyErr_Clear()           # unhashable
        if there == NULL or PyDict_GET_SIZE(made) != i + 1:
            made = read_term_map(d, made, key, value, n - i - 1)
            if made != NULL:
                d.owed -= (n - i - 1) * owes
                d.depth_left += 1
                d.kinds = outer | HELD_OTHER
            return made
        Py_DECREF(key)
        Py_DECREF(value)
    d.depth_left += 1
    d.kinds = outer | found
    if n > 1 and ((found & (HELD_STR | HELD_BYTES)) == (HELD_STR | HELD_BYTES) or found & HELD_OTHER):
        if has_twins(d, made):
            Py_DECREF(made)
            return NULL
    if is_struct:
        d.kinds |= HELD_OTHER
        return read_struct(d, made)
    return made


cdef PyObject* read(Decoder d) noexcept:
    """The next term; d.p is behind it afterwards."""
    cdef int tag
    cdef PyObject* made
    if d.p >= d.end:
        return fault(d, SHORT, 0)
    tag = d.p[0]
    d.p += 1
    if tag == SMALL_ATOM_UTF8_EXT:
        if d.p >= d.end:
            return fault(d, SHORT, tag)
        d.p += 1
        return read_atom_text(d, (d.p - 1)[0], tag)
    elif tag == ATOM_CACHE_REF:
        return read_cached(d)
    elif tag == SMALL_INTEGER_EXT:
        if d.p >= d.end:
            return fault(d, SHORT, tag)
        made = small[d.p[0]]
        d.p += 1
        Py_INCREF(made)
        return made
    elif tag == INTEGER_EXT:
        if d.end - d.p < 4:
            return fault(d, SHORT, tag)
        d.p += 4
        return PyLong_FromLong(<int32_t>get32(d.p - 4))
    elif tag == BINARY_EXT:
        return read_binary(d)
    elif tag == SMALL_TUPLE_EXT:
        if d.p >= d.end:
            return fault(d, SHORT, tag)
        d.p += 1
        return read_tuple(d, (d.p - 1)[0], tag)
    elif tag == LIST_EXT:
        return read_list(d)
    elif tag == NIL_EXT:
        return PyList_New(0)
    elif tag == MAP_EXT:
        return read_map(d)
    elif tag == STRING_EXT:
        return read_string(d)
    elif tag == BIT_BINARY_EXT:
        return read_bits(d)
    elif tag == NEW_FLOAT_EXT:
        return read_float(d)
    elif tag == NEW_PID_EXT or tag == PID_EXT:
        return read_pid(d, tag)
    elif tag == NEWER_REFERENCE_EXT or tag == NEW_REFERENCE_EXT or tag == REFERENCE_EXT:
        return read_ref(d, tag)
    elif tag == SMALL_BIG_EXT:
        if d.p >= d.end:
            return fault(d, SHORT, tag)
        d.p += 1
        return read_big(d, (d.p - 1)[0], tag)
    elif tag == LARGE_BIG_EXT:
        if d.end - d.p < 4:
            return fault(d, SHORT, tag)
        d.p += 4
        return read_big(d, get32(d.p - 4), tag)
    elif tag == LARGE_TUPLE_EXT:
        if d.end - d.p < 4:
            return fault(d, SHORT, tag)
        d.p += 4
        if get32(d.p - 4) > d.max_arity:
            return fault(d, ARITY, tag)
        return read_tuple(d, get32(d.p - 4), tag)
    elif tag == NEW_PORT_EXT or tag == V4_PORT_EXT or tag == PORT_EXT:
        return read_port(d, tag)
    elif tag == EXPORT_EXT:
        return read_export(d)
    elif tag == NEW_FUN_EXT:
        return read_fun(d)
    elif tag == SMALL_ATOM_EXT or tag == ATOM_EXT or tag == ATOM_UTF8_EXT:
        d.p -= 1
        return read_any_atom(d)
    elif tag == FLOAT_EXT:
        return read_float_text(d)
    d.p -= 1
    if tag == LOCAL_EXT:
        return fault(d, LOCAL, tag)
    if tag == FUN_EXT:
        return fault(d, OLD_FUN, tag)
    if tag == COMPRESSED:
        return fault(d, NESTED, tag)
    return fault(d, UNKNOWN, tag)


cdef class Decoder:
    """Reads terms out of a borrowed buffer; see _decode.pxd. From Python, use `decode`."""

    def __cinit__(self):
        self.set_limits(DEFAULT)

    cdef int set_limits(self, object limits) except -1:
        self.limits = limits
        self.max_depth = limits.depth
        self.max_integer = limits.integer_size
        self.max_arity = limits.arity
        self.atoms_left = 0
        return 0

    cdef void feed(self, const unsigned char* data, Py_ssize_t size) noexcept:
        self.p = data
        self.start = data
        self.end = data + size

    cdef object term(self):
        cdef PyObject* made
        cdef int paused = 0
        self.depth_left = self.max_depth
        self.floor = stack_floor()
        self.owed = 0
        self.kinds = 0
        self.error = NONE
        if self.end - self.p > PAUSE_GC:
            # A large term makes thousands of containers and no garbage: collecting meanwhile is work for nothing.
            paused = PyGC_Disable()
        made = read(self)
        if paused:
            PyGC_Enable()
        if made == NULL:
            raise self.failure()
        result = <object>made
        Py_DECREF(made)
        return result

    def terms(self, bytes data not None, tuple refs=()):
        """All the terms in data, one after the other, without version bytes; refs are the atoms that tag 82 refers to.

        For tests and tools; the wire reads straight from its buffer.
        """
        cdef PyObject* borrowed[255]
        cdef Py_ssize_t i
        if len(refs) > 255:
            raise ValueError("a header has at most 255 references")
        for i in range(len(refs)):
            borrowed[i] = <PyObject*>refs[i]
        found = []
        self.feed(<const unsigned char*>PyBytes_AS_STRING(<PyObject*>data), len(data))
        self.cache_refs = borrowed
        self.cache_count = <int>len(refs)
        try:
            while self.p < self.end:
                found.append(self.term())
        finally:
            self.cache_refs = NULL
            self.cache_count = 0
        return found

    cdef object failure(self):
        """The exception for what went wrong."""
        problem = self.problem
        self.problem = None
        if PyErr_Occurred() != NULL:
            PyErr_Clear()
            return MemoryError("no memory for a term")
        if isinstance(problem, MemoryError) or (problem is not None and not isinstance(problem, Exception)):
            return problem
        made = DecodeError(FAULTS.get(self.error, "the term could not be built"), self.error_at - self.start,
                           self.error_tag if self.error_tag else None)
        made.__cause__ = problem
        return made


# --- the Python face ------------------------------------------------------------------------------------------------

cdef Decoder spare = Decoder()      # taken while in use, so that calls inside calls get their own


cdef object decode_bytes(const unsigned char* data, Py_ssize_t size, object limits):
    global spare
    cdef Decoder d = spare
    if size < 2 or data[0] != VERSION:
        raise DecodeError("an encoded term starts with byte 131 and is not empty")
    if size > <Py_ssize_t>limits.size:
        raise DecodeError(f"{size} bytes, and Limits.size is {limits.size}")
    if data[1] == COMPRESSED:
        return decode_bytes_of(unpack(data, size, limits), limits)
    if d is None:
        d = Decoder()
    spare = None
    if d.limits is not limits:
        d.set_limits(limits)
    d.feed(data, size)
    d.p += 1
    try:
        made = d.term()
    finally:
        spare = d
    if d.p != d.end:
        raise DecodeError(f"{d.end - d.p} bytes after the end of the term", d.p - d.start)
    return made


cdef object decode_bytes_of(bytes plain, object limits):
    return decode_bytes(<const unsigned char*>PyBytes_AS_STRING(<PyObject*>plain), len(plain), limits)


cdef bytes unpack(const unsigned char* data, Py_ssize_t size, object limits):
    """131, 80, size of the plain term: 32, zlib of it. Gives the plain form, version byte included."""
    cdef Py_ssize_t claimed
    if size < 6:
        raise DecodeError(FAULTS[SHORT], size, COMPRESSED)
    claimed = get32(data + 2)
    if claimed > <Py_ssize_t>limits.compressed_size:
        raise DecodeError(f"unpacks to {claimed} bytes, and Limits.compressed_size is {limits.compressed_size}", 2,
                          COMPRESSED)
    engine = zlib.decompressobj()
    try:
        plain = engine.decompress(<bytes>data[6:size], claimed + 1)
    except zlib.error as error:
        raise DecodeError(f"not zlib data: {error}", 6, COMPRESSED) from None
    if len(plain) != claimed or not engine.eof or engine.unused_data:
        raise DecodeError(f"the compressed data does not hold the {claimed} bytes that it claims", 6, COMPRESSED)
    if plain[:1] == b"P":
        raise DecodeError(FAULTS[NESTED], 6, COMPRESSED)
    return b"\x83" + plain


def decode(object data, *, object limits=DEFAULT):
    """Decode one whole term, version byte included, from bytes or anything with the buffer protocol.

    Raises DecodeError (with offset and tag) for anything that is not exactly one term within the limits.
    """
    cdef Py_buffer view
    if type(data) is bytes:
        return decode_bytes(<const unsigned char*>PyBytes_AS_STRING(<PyObject*>data),
                            PyBytes_GET_SIZE(<PyObject*>data), limits)
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        return decode_bytes(<const unsigned char*>view.buf, view.len, limits)
    finally:
        PyBuffer_Release(&view)
