"""Terms to bytes.

`put` and its helpers pass raw pointers and never raise: they return -1 with the exception in `Encoder.problem` (or set,
if the C API set it), and each container adds its place to `Encoder.path` on the way out. Exact built-in types are
encoded without running any Python code; everything else goes through `put_other`, which may run some, so containers
are kept alive while their items are written, and lists and dicts are watched for changes.
Source of all layouts  ERTS User's Guide, External Term Format.
"""

import zlib

from collections.abc import Mapping
from operator import index as to_index

from libc.math cimport isfinite
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

from beamish.etf._bytes cimport *
from beamish.etf._stack cimport stack_floor, stack_used_up
from beamish.etf._tags cimport *
from beamish.term._atom cimport Atom
from beamish.term._compound cimport BitString, ExportFun, Fun, ImproperList
from beamish.term._identifiers cimport Pid, Port, Ref

from beamish.errors import EncodeError
from beamish.etf.limits import DEFAULT
from beamish.term.charlist import Charlist
from beamish.term.identity import identity
from beamish.term.maps import TermMap
from beamish.term.structs import to_map_of

cdef enum:
    HELD_STR = 1            # kinds of keys that Erlang may hold for the same though Python does not
    HELD_BYTES = 2
    HELD_OTHER = 4
    KEPT_BUFFER = 1048576   # a larger buffer is not kept for the next encode()
    SHOWN_PATH = 12

cdef extern from "Python.h":
    bytes PyBytes_FromSize "PyBytes_FromStringAndSize"(const char* p, Py_ssize_t n)

cdef PyTypeObject* ATOM = <PyTypeObject*>Atom
cdef PyTypeObject* PID = <PyTypeObject*>Pid
cdef PyTypeObject* REF = <PyTypeObject*>Ref


# --- failures -------------------------------------------------------------------------------------------------------

cdef int fail(Encoder e, str text) noexcept:
    try:
        e.problem = EncodeError(text)
    except BaseException as error:
        e.problem = error
    return -1


cdef int fail_size(Encoder e, str what, object size, object most) noexcept:
    try:
        return fail(e, f"{what}: {size}, and the most is {most}")
    except BaseException as error:
        e.problem = error
    return -1


cdef int at_index(Encoder e, Py_ssize_t i) noexcept:
    try:
        e.path.append(f"[{i}]")
    except BaseException as error:
        e.problem = error
    return -1


cdef str shown(object value):
    """A short repr; some values have none."""
    cdef str text
    try:
        text = repr(value)
    except Exception:
        return f"<{type(value).__name__}>"
    return text if len(text) <= 40 else text[:37] + "..."


cdef int at_key(Encoder e, PyObject* key, bint is_key) noexcept:
    try:
        e.path.append(f" key {shown(<object>key)}" if is_key else f"[{shown(<object>key)}]")
    except BaseException as error:
        e.problem = error
    return -1


cdef object failure(Encoder e):
    """The exception for what went wrong, with the path to it."""
    cdef list path
    problem = e.problem
    e.problem = None
    path = e.path
    e.path = []
    if type(problem) is not EncodeError:
        return problem
    if not path:
        return problem
    path.reverse()
    if len(path) > SHOWN_PATH:
        path[SHOWN_PATH // 2: len(path) - SHOWN_PATH // 2] = [f" … {len(path) - SHOWN_PATH} more … "]
    made = EncodeError(f"{problem.args[0]} (at term{''.join(path)})")
    made.__cause__ = problem.__cause__
    return made


# --- the buffer -----------------------------------------------------------------------------------------------------

cdef int grow(Encoder e, Py_ssize_t more) noexcept:
    cdef Py_ssize_t cap
    cdef unsigned char* fresh
    if more > e.max_size - (e.size - e.term_start):
        return fail_size(e, "too large a term, in bytes", e.size - e.term_start + more, e.max_size)
    cap = e.cap + (e.cap >> 1) + 256
    if cap < e.size + more:
        cap = e.size + more + 64
    fresh = <unsigned char*>realloc(e.buf, cap)
    if fresh == NULL:
        try:
            e.problem = MemoryError(f"no memory for a buffer of {cap} bytes")
        except BaseException as error:
            e.problem = error
        return -1
    e.buf = fresh
    e.cap = cap
    return 0


cdef inline int room(Encoder e, Py_ssize_t n) noexcept:
    if e.cap - e.size >= n:
        return 0
    return grow(e, n)


cdef inline int put_block(Encoder e, int tag, const void* data, Py_ssize_t n) noexcept:
    """tag, length: 32, data."""
    cdef unsigned char* o
    if n > 0xFFFFFFFF:
        return fail_size(e, "too many bytes in one value", n, 0xFFFFFFFF)
    if room(e, n + 5) < 0:
        return -1
    o = e.buf + e.size
    o[0] = tag
    put32(o + 1, <uint32_t>n)
    memcpy(o + 5, data, n)
    e.size += n + 5
    return 0


# --- atoms ----------------------------------------------------------------------------------------------------------

cdef inline int put_name(Encoder e, const char* text, Py_ssize_t n) noexcept:
    cdef unsigned char* o
    if room(e, n + 3) < 0:
        return -1
    o = e.buf + e.size
    if n < 256:
        o[0] = SMALL_ATOM_UTF8_EXT
        o[1] = <unsigned char>n
        memcpy(o + 2, text, n)
        e.size += n + 2
    else:
        o[0] = ATOM_UTF8_EXT
        put16(o + 1, <uint16_t>n)
        memcpy(o + 3, text, n)
        e.size += n + 3
    return 0


cdef int refer(AtomCache* cache, PyObject* atom) noexcept:
    """The number of an atom in the current message's header, -1 if it cannot have one."""
    cdef int slot = (<Atom>atom).slot_hint
    cdef PyObject* old
    if cache.slot[slot] != atom:
        # Two places for each atom, so that a pair which shares a hint does not push each other out for ever.
        if cache.slot[slot ^ 1] == atom or (cache.slot[slot] != NULL and cache.slot[slot ^ 1] == NULL):
            slot ^= 1
        elif cache.used_in[slot] == cache.message:
            slot ^= 1
    if cache.used_in[slot] == cache.message:
        return cache.place[slot] if cache.slot[slot] == atom else -1
    if cache.count == 255:
        return -1
    cache.fresh[cache.count] = 0
    if cache.slot[slot] != atom:
        cache.fresh[cache.count] = 1
        if PyBytes_GET_SIZE(<PyObject*>(<Atom>atom).utf8) > 255:
            cache.long_atoms = True
        old = cache.slot[slot]
        Py_INCREF(atom)
        cache.slot[slot] = atom
        Py_XDECREF(old)
    cache.used_in[slot] = cache.message
    cache.place[slot] = <unsigned char>cache.count
    cache.used[cache.count] = <uint16_t>slot
    cache.count += 1
    return cache.count - 1


cdef inline int put_atom(Encoder e, PyObject* atom) noexcept:
    cdef int place
    cdef PyObject* utf8
    if e.cache != NULL:
        place = refer(e.cache, atom)
        if place >= 0:
            if room(e, 2) < 0:
                return -1
            e.buf[e.size] = ATOM_CACHE_REF
            e.buf[e.size + 1] = <unsigned char>place
            e.size += 2
            return 0
    utf8 = <PyObject*>(<Atom>atom).utf8
    return put_name(e, PyBytes_AS_STRING(utf8), PyBytes_GET_SIZE(utf8))


cdef int put_any_atom(Encoder e, PyObject* value) noexcept:
    """An atom that may be called true, false or nil."""
    if value == Py_None:
        return put_name(e, b"nil", 3)
    if value == Py_True:
        return put_name(e, b"true", 4)
    if value == Py_False:
        return put_name(e, b"false", 5)
    return put_atom(e, value)


# --- numbers --------------------------------------------------------------------------------------------------------

cdef int put_big(Encoder e, PyObject* value) noexcept:
    """An integer of more than 64 bits."""
    cdef Py_ssize_t n
    cdef bytes digits
    cdef bint negative
    cdef unsigned char* o
    try:
        number = <object>value
        negative = number < 0
        if negative:
            number = -number
        n = (number.bit_length() + 7) // 8
        if n > 0xFFFFFFFF or n > e.limits.integer_size:
            return fail_size(e, "too large an integer, in bytes", n, e.limits.integer_size)
        digits = number.to_bytes(n, "little")
    except BaseException as error:
        e.problem = error
        return -1
    if room(e, n + 6) < 0:
        return -1
    o = e.buf + e.size
    if n < 256:
        o[0] = SMALL_BIG_EXT
        o[1] = <unsigned char>n
        o += 2
    else:
        o[0] = LARGE_BIG_EXT
        put32(o + 1, <uint32_t>n)
        o += 5
    o[0] = negative
    memcpy(o + 1, PyBytes_AS_STRING(<PyObject*>digits), n)
    e.size = (o + 1 + n) - e.buf
    return 0


cdef int put_int(Encoder e, PyObject* value) noexcept:
    cdef int overflow = 0
    cdef long long number = PyLong_AsLongLongAndOverflow(value, &overflow)
    cdef unsigned long long magnitude
    cdef unsigned char* o
    cdef int n = 0
    if overflow:
        return put_big(e, value)
    if room(e, 11) < 0:
        return -1
    o = e.buf + e.size
    if 0 <= number <= 255:
        o[0] = SMALL_INTEGER_EXT
        o[1] = <unsigned char>number
        e.size += 2
        return 0
    if -2147483648 <= number <= 2147483647:
        o[0] = INTEGER_EXT
        put32(o + 1, <uint32_t>number)
        e.size += 5
        return 0
    magnitude = <unsigned long long>number if number > 0 else 0 - <unsigned long long>number
    o[0] = SMALL_BIG_EXT
    o[2] = number < 0
    while magnitude:
        o[3 + n] = <unsigned char>(magnitude & 255)
        magnitude >>= 8
        n += 1
    o[1] = <unsigned char>n
    e.size += n + 3
    return 0


cdef int put_float(Encoder e, double number) noexcept:
    cdef uint64_t bits
    if not isfinite(number):
        return fail(e, "Erlang has no NaN and no infinities")
    if room(e, 9) < 0:
        return -1
    memcpy(&bits, &number, 8)
    e.buf[e.size] = NEW_FLOAT_EXT
    put64(e.buf + e.size + 1, bits)
    e.size += 9
    return 0


# --- binaries -------------------------------------------------------------------------------------------------------

cdef int put_text(Encoder e, PyObject* value) noexcept:
    """str: a bitstring whose last byte has all its 8 bits, which every BEAM reads as a binary."""
    cdef Py_ssize_t n
    cdef const char* text = PyUnicode_AsUTF8AndSize(value, &n)
    cdef unsigned char* o
    if text == NULL:
        PyErr_Clear()
        return fail(e, "a str with lone surrogates has no UTF-8 form; send its bytes")
    e.kinds |= HELD_STR
    if n > 0xFFFFFFFF:
        return fail_size(e, "too many bytes in one value", n, 0xFFFFFFFF)
    if room(e, n + 6) < 0:
        return -1
    o = e.buf + e.size
    o[0] = BIT_BINARY_EXT
    put32(o + 1, <uint32_t>n)
    o[5] = 8 if n else 0            # OTP refuses 8 bits of no byte
    memcpy(o + 6, text, n)
    e.size += n + 6
    return 0


cdef int put_bits(Encoder e, BitString value) noexcept:
    cdef PyObject* data = <PyObject*>value.data
    cdef Py_ssize_t n = PyBytes_GET_SIZE(data)
    cdef unsigned char* o
    if n > 0xFFFFFFFF:
        return fail_size(e, "too many bytes in one value", n, 0xFFFFFFFF)
    if room(e, n + 6) < 0:
        return -1
    o = e.buf + e.size
    o[0] = BIT_BINARY_EXT
    put32(o + 1, <uint32_t>n)
    o[5] = <unsigned char>value.bits
    memcpy(o + 6, PyBytes_AS_STRING(data), n)
    e.size += n + 6
    return 0


# --- identifiers ----------------------------------------------------------------------------------------------------

cdef int put_pid(Encoder e, Pid pid) noexcept:
    cdef unsigned char* o
    if room(e, 1) < 0:
        return -1
    e.buf[e.size] = NEW_PID_EXT
    e.size += 1
    if put_atom(e, <PyObject*>pid.node) < 0 or room(e, 12) < 0:
        return -1
    o = e.buf + e.size
    put32(o, pid.id)
    put32(o + 4, pid.serial)
    put32(o + 8, pid.creation)
    e.size += 12
    return 0


cdef int put_ref(Encoder e, Ref ref) noexcept:
    cdef unsigned char* o
    cdef int i
    if room(e, 3) < 0:
        return -1
    e.buf[e.size] = NEWER_REFERENCE_EXT
    put16(e.buf + e.size + 1, <uint16_t>ref.count)
    e.size += 3
    if put_atom(e, <PyObject*>ref.node) < 0 or room(e, 24) < 0:
        return -1
    o = e.buf + e.size
    put32(o, ref.creation)
    for i in range(ref.count):
        put32(o + 4 + 4 * i, ref.word[i])
    e.size += 4 + 4 * ref.count
    return 0


cdef int put_port(Encoder e, Port port) noexcept:
    cdef unsigned char* o
    cdef bint wide = port.id > 0xFFFFFFFF
    if room(e, 1) < 0:
        return -1
    # Below 2^32 the older tag says the same and every release reads it.
    e.buf[e.size] = V4_PORT_EXT if wide else NEW_PORT_EXT
    e.size += 1
    if put_atom(e, <PyObject*>port.node) < 0 or room(e, 12) < 0:
        return -1
    o = e.buf + e.size
    if wide:
        put64(o, port.id)
        put32(o + 8, port.creation)
        e.size += 12
    else:
        put32(o, <uint32_t>port.id)
        put32(o + 4, port.creation)
        e.size += 8
    return 0


cdef int put_fun(Encoder e, Fun fun) noexcept:
    cdef Py_ssize_t begin, i
    cdef unsigned char* o
    cdef Py_ssize_t n = PyTuple_GET_SIZE(<PyObject*>fun.free)
    if room(e, 30) < 0:
        return -1
    begin = e.size
    o = e.buf + begin
    o[0] = NEW_FUN_EXT
    o[5] = <unsigned char>fun.arity
    memcpy(o + 6, PyBytes_AS_STRING(<PyObject*>fun.uniq), 16)
    put32(o + 22, fun.index)
    put32(o + 26, <uint32_t>n)
    e.size += 30
    if (put_any_atom(e, <PyObject*>fun.module) < 0 or put_int(e, <PyObject*>fun.old_index) < 0
            or put_int(e, <PyObject*>fun.old_uniq) < 0 or put_pid(e, fun.pid) < 0):
        return -1
    for i in range(n):
        if put(e, PyTuple_GET_ITEM(<PyObject*>fun.free, i)) < 0:
            return at_index(e, i)
    if e.size - begin - 1 > 0xFFFFFFFF:
        return fail_size(e, "too many bytes in one fun", e.size - begin, 0xFFFFFFFF)
    put32(e.buf + begin + 1, <uint32_t>(e.size - begin - 1))
    return 0


cdef int put_export(Encoder e, ExportFun fun) noexcept:
    if room(e, 1) < 0:
        return -1
    e.buf[e.size] = EXPORT_EXT
    e.size += 1
    if put_any_atom(e, <PyObject*>fun.module) < 0 or put_any_atom(e, <PyObject*>fun.function) < 0 or room(e, 2) < 0:
        return -1
    e.buf[e.size] = SMALL_INTEGER_EXT
    e.buf[e.size + 1] = <unsigned char>fun.arity
    e.size += 2
    return 0


# --- containers -----------------------------------------------------------------------------------------------------

cdef int too_deep(Encoder e) noexcept:
    try:
        if e.depth_left:
            return fail(e, "nested deeper than this thread's stack allows, or a value that contains itself")
        return fail(e, f"nested deeper than {e.max_depth} levels, or a value that contains itself")
    except BaseException as error:
        e.problem = error
    return -1


cdef int put_tuple(Encoder e, PyObject* value) noexcept:
    cdef Py_ssize_t i, n = PyTuple_GET_SIZE(value)
    cdef unsigned char* o
    if e.depth_left == 0 or stack_used_up(e.floor):
        return too_deep(e)
    if room(e, 5) < 0:
        return -1
    o = e.buf + e.size
    if n < 256:
        o[0] = SMALL_TUPLE_EXT
        o[1] = <unsigned char>n
        e.size += 2
    else:
        if n > e.limits.arity:
            return fail_size(e, "too many elements in a tuple", n, e.limits.arity)
        o[0] = LARGE_TUPLE_EXT
        put32(o + 1, <uint32_t>n)
        e.size += 5
    e.depth_left -= 1
    Py_INCREF(value)
    for i in range(n):
        if put(e, PyTuple_GET_ITEM(value, i)) < 0:
            Py_DECREF(value)
            return at_index(e, i)
    Py_DECREF(value)
    e.depth_left += 1
    return 0


cdef bint put_string(Encoder e, PyObject* value, Py_ssize_t n) noexcept:
    """Try to write a list as STRING_EXT, a byte for each element; False if it holds something else than bytes."""
    cdef Py_ssize_t i
    cdef int overflow = 0
    cdef long long number
    cdef PyObject* item
    cdef unsigned char* o = e.buf + e.size
    for i in range(n):
        item = PyList_GET_ITEM(value, i)
        if Py_TYPE(item) != &PyLong_Type:
            return False
        number = PyLong_AsLongLongAndOverflow(item, &overflow)
        if overflow or number < 0 or number > 255:
            return False
        o[3 + i] = <unsigned char>number
    o[0] = STRING_EXT
    put16(o + 1, <uint16_t>n)
    e.size += n + 3
    return True


cdef int put_list(Encoder e, PyObject* value) noexcept:
    cdef Py_ssize_t i, n = PyList_GET_SIZE(value)
    if e.depth_left == 0 or stack_used_up(e.floor):
        return too_deep(e)
    if n == 0:
        if room(e, 1) < 0:
            return -1
        e.buf[e.size] = NIL_EXT
        e.size += 1
        return 0
    if room(e, n + 6) < 0:
        return -1
    if n <= 65535 and Py_TYPE(PyList_GET_ITEM(value, 0)) == &PyLong_Type and put_string(e, value, n):
        return 0
    if n > 0xFFFFFFFF:
        return fail_size(e, "too many elements in a list", n, 0xFFFFFFFF)
    e.buf[e.size] = LIST_EXT
    put32(e.buf + e.size + 1, <uint32_t>n)
    e.size += 5
    e.depth_left -= 1
    Py_INCREF(value)
    for i in range(n):
        if i >= PyList_GET_SIZE(value):
            break
        if put(e, PyList_GET_ITEM(value, i)) < 0:
            Py_DECREF(value)
            return at_index(e, i)
    i = PyList_GET_SIZE(value)
    Py_DECREF(value)
    if i != n:
        return fail(e, "a list changed while it was encoded")
    e.depth_left += 1
    if room(e, 1) < 0:
        return -1
    e.buf[e.size] = NIL_EXT
    e.size += 1
    return 0


cdef int put_improper(Encoder e, ImproperList value) noexcept:
    cdef Py_ssize_t i, n = PyTuple_GET_SIZE(<PyObject*>value.elements)
    if e.depth_left == 0 or stack_used_up(e.floor):
        return too_deep(e)
    if room(e, 5) < 0:
        return -1
    e.buf[e.size] = LIST_EXT
    put32(e.buf + e.size + 1, <uint32_t>n)
    e.size += 5
    e.depth_left -= 1
    for i in range(n):
        if put(e, PyTuple_GET_ITEM(<PyObject*>value.elements, i)) < 0:
            return at_index(e, i)
    if put(e, <PyObject*>value.tail) < 0:
        return at_index(e, n)
    e.depth_left += 1
    return 0


cdef int check_keys(Encoder e, PyObject* value) noexcept:
    """Refuse a dict with two keys that are one key in Erlang: "a" and b"a"."""
    try:
        seen = {}
        for key in <object>value:
            mark = identity(key)
            if mark in seen:
                return fail(e, f"the keys {shown(seen[mark])} and {shown(key)} are the same in Erlang")
            seen[mark] = key
    except Exception as error:
        return fail(e, f"the keys of a dict could not be compared: {error}")
    except BaseException as error:
        e.problem = error
        return -1
    return 0


cdef int put_dict(Encoder e, PyObject* value) noexcept:
    cdef Py_ssize_t n = PyDict_GET_SIZE(value)
    cdef Py_ssize_t at = 0, done = 0
    cdef PyObject* key = NULL
    cdef PyObject* item = NULL
    cdef int outer = e.kinds, found = 0, code = 0
    if e.depth_left == 0 or stack_used_up(e.floor):
        return too_deep(e)
    if n > 0xFFFFFFFF:
        return fail_size(e, "too many pairs in a map", n, 0xFFFFFFFF)
    if room(e, 5) < 0:
        return -1
    e.buf[e.size] = MAP_EXT
    put32(e.buf + e.size + 1, <uint32_t>n)
    e.size += 5
    e.depth_left -= 1
    Py_INCREF(value)
    while PyDict_Next(value, &at, &key, &item):
        if done == n:
            break
        Py_INCREF(key)              # put_other may run code that changes the dict
        Py_INCREF(item)
        if Py_TYPE(key) == ATOM:
            code = put_atom(e, key)
        else:
            e.kinds = 0
            code = put(e, key)
            found |= e.kinds
        if code < 0:
            at_key(e, key, True)
        else:
            code = put(e, item)
            if code < 0:
                at_key(e, key, False)
        Py_DECREF(item)
        Py_DECREF(key)
        if code < 0:
            Py_DECREF(value)
            return -1
        done += 1
    e.kinds = outer | found
    if done != n or PyDict_GET_SIZE(value) != n:
        Py_DECREF(value)
        return fail(e, "a dict changed while it was encoded")
    if n > 1 and ((found & (HELD_STR | HELD_BYTES)) == (HELD_STR | HELD_BYTES) or found & HELD_OTHER):
        if check_keys(e, value) < 0:
            Py_DECREF(value)
            return -1
    Py_DECREF(value)
    e.depth_left += 1
    return 0


cdef int put_pairs(Encoder e, list pairs) noexcept:
    """A mapping's (key, value) pairs, whose keys are known to differ in Erlang."""
    cdef Py_ssize_t i, n = PyList_GET_SIZE(<PyObject*>pairs)
    cdef PyObject* pair
    if e.depth_left == 0 or stack_used_up(e.floor):
        return too_deep(e)
    if room(e, 5) < 0:
        return -1
    e.buf[e.size] = MAP_EXT
    put32(e.buf + e.size + 1, <uint32_t>n)
    e.size += 5
    e.depth_left -= 1
    for i in range(n):
        pair = PyList_GET_ITEM(<PyObject*>pairs, i)
        if put(e, PyTuple_GET_ITEM(pair, 0)) < 0:
            return at_key(e, PyTuple_GET_ITEM(pair, 0), True)
        if put(e, PyTuple_GET_ITEM(pair, 1)) < 0:
            return at_key(e, PyTuple_GET_ITEM(pair, 0), False)
    e.depth_left += 1
    return 0


# --- everything else ------------------------------------------------------------------------------------------------

cdef int put_charlist(Encoder e, object text) except? -1:
    # Through the list, so that short and byte-sized ones become STRING_EXT.
    points = [ord(character) for character in text]
    return put_list(e, <PyObject*>points)


cdef str advice(object value):
    kind = type(value)
    name = f"{kind.__module__}.{kind.__qualname__}"
    if hasattr(kind, "__dataclass_fields__"):
        return f"{name} is not a term; register it with @struct(\"Elixir.{kind.__name__}\"), or send a dict"
    if callable(value):
        return f"{name} is not a term: code does not travel; send ExportFun(module, function, arity)"
    if isinstance(value, BaseException):
        return f"{name} is not a term; send a tuple that describes it"
    return f"{name} is not a term; convert it to numbers, str, bytes, atoms, lists, tuples or dicts"


cdef int put_other_raising(Encoder e, object value) except? -1:
    """Values whose exact type is not one of the common ones: rare terms, structs, subclasses, look-alikes."""
    if isinstance(value, ImproperList):
        return put_improper(e, value)
    if isinstance(value, BitString):
        return put_bits(e, value)
    if isinstance(value, ExportFun):
        return put_export(e, value)
    if isinstance(value, Fun):
        if e.depth_left == 0 or stack_used_up(e.floor):
            return too_deep(e)
        e.depth_left -= 1
        if put_fun(e, value) < 0:
            return -1
        e.depth_left += 1
        return 0
    if isinstance(value, Port):
        return put_port(e, value)
    if isinstance(value, Atom):
        return put_atom(e, <PyObject*>value)
    if isinstance(value, Pid):
        return put_pid(e, value)
    if isinstance(value, Ref):
        return put_ref(e, value)
    e.kinds |= HELD_OTHER
    if isinstance(value, Charlist):
        return put_charlist(e, value)
    to_map = to_map_of(type(value))
    if to_map is not None:
        fields = to_map(value)
        return put_dict(e, <PyObject*>fields)
    if isinstance(value, str):
        return put_text(e, <PyObject*>value)
    if isinstance(value, bytes):
        e.kinds |= HELD_BYTES
        return put_block(e, BINARY_EXT, PyBytes_AS_STRING(<PyObject*>value), PyBytes_GET_SIZE(<PyObject*>value))
    if isinstance(value, (bytearray, memoryview)):
        data = bytes(value)
        e.kinds |= HELD_BYTES
        return put_block(e, BINARY_EXT, PyBytes_AS_STRING(<PyObject*>data), PyBytes_GET_SIZE(<PyObject*>data))
    if isinstance(value, int):
        return put_int(e, <PyObject*>value)
    if isinstance(value, float):
        return put_float(e, PyFloat_AS_DOUBLE(<PyObject*>value))
    if isinstance(value, tuple):
        return put_tuple(e, <PyObject*>value)
    if isinstance(value, list):
        return put_list(e, <PyObject*>value)
    if isinstance(value, dict):
        return put_dict(e, <PyObject*>value)
    if isinstance(value, Mapping):
        # Mappings that are not dicts may have keys that only TermMap tells apart.
        known = value if isinstance(value, TermMap) else TermMap(value)
        return put_pairs(e, list(known.items()))
    if hasattr(type(value), "__index__"):
        number = to_index(value)
        return put_int(e, <PyObject*>number)
    return fail(e, advice(value))


cdef int put_other(Encoder e, PyObject* value) noexcept:
    try:
        kept = <object>value
        return put_other_raising(e, kept)
    except (ValueError, TypeError, ArithmeticError, AttributeError, LookupError) as error:
        try:
            e.problem = EncodeError(f"{type(kept).__qualname__} could not be encoded: {error}")
            e.problem.__cause__ = error
        except BaseException as worse:
            e.problem = worse
    except BaseException as error:
        e.problem = error
    return -1


cdef int put(Encoder e, PyObject* value) noexcept:
    """Append one term. Most frequent types first."""
    cdef PyTypeObject* kind = Py_TYPE(value)
    if kind == ATOM:
        return put_atom(e, value)
    if kind == &PyLong_Type:
        return put_int(e, value)
    if kind == &PyBytes_Type:
        e.kinds |= HELD_BYTES
        return put_block(e, BINARY_EXT, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
    if kind == &PyTuple_Type:
        return put_tuple(e, value)
    if kind == &PyUnicode_Type:
        return put_text(e, value)
    if kind == &PyList_Type:
        return put_list(e, value)
    if kind == &PyDict_Type:
        return put_dict(e, value)
    if kind == PID:
        return put_pid(e, <Pid>value)
    if kind == REF:
        return put_ref(e, <Ref>value)
    if kind == &PyFloat_Type:
        return put_float(e, PyFloat_AS_DOUBLE(value))
    if value == Py_None or value == Py_True or value == Py_False:
        return put_any_atom(e, value)
    return put_other(e, value)


cdef class Encoder:
    """Appends terms to a buffer; see _encode.pxd. From Python, use `encode`."""

    def __cinit__(self):
        self.path = []
        self.set_limits(DEFAULT)

    def __dealloc__(self):
        cdef int i
        free(self.buf)
        if self.cache != NULL:
            for i in range(2048):
                Py_XDECREF(self.cache.slot[i])
            free(self.cache)

    cdef int set_limits(self, object limits) except -1:
        self.max_size = limits.size
        self.max_depth = limits.depth
        self.limits = limits
        return 0

    cdef int reserve(self, Py_ssize_t more) except -1:
        if self.cap - self.size < more:
            self.term_start = self.size
            if grow(self, more) < 0:
                raise failure(self)
        return 0

    cdef int raw(self, const void* data, Py_ssize_t n) except -1:
        self.reserve(n)
        memcpy(self.buf + self.size, data, n)
        self.size += n
        return 0

    cdef int term(self, object value) except -1:
        cdef Py_ssize_t begin = self.size
        self.term_start = begin
        self.depth_left = self.max_depth
        self.floor = stack_floor()
        self.kinds = 0
        if put(self, <PyObject*>value) < 0:
            self.size = begin
            self.cache_forget()
            raise failure(self)
        if self.size - begin > self.max_size:
            fail_size(self, "too large a term, in bytes", self.size - begin, self.max_size)
            self.size = begin
            raise failure(self)
        return 0

    cdef int cache_open(self) except -1:
        if self.cache == NULL:
            self.cache = <AtomCache*>calloc(1, sizeof(AtomCache))
            if self.cache == NULL:
                raise MemoryError("no memory for an atom cache")
        return 0

    cdef void cache_begin(self) noexcept:
        self.cache.message += 1
        self.cache.count = 0
        self.cache.long_atoms = False

    cdef Py_ssize_t header_size(self) noexcept:
        cdef AtomCache* cache = self.cache
        cdef Py_ssize_t n
        cdef int i
        if cache == NULL or cache.count == 0:
            return 1
        n = 1 + cache.count // 2 + 1
        for i in range(cache.count):
            n += 1
            if cache.fresh[i]:
                n += PyBytes_GET_SIZE(<PyObject*>(<Atom>cache.slot[cache.used[i]]).utf8) + (2 if cache.long_atoms else 1)
        return n

    cdef void write_header(self, unsigned char* out) noexcept:
        """References: count: 8, flags (a nibble each: new: 1, segment: 3; one more for long atoms), then each slot."""
        cdef AtomCache* cache = self.cache
        cdef unsigned char* flags = out + 1
        cdef unsigned char nibble
        cdef PyObject* utf8
        cdef Py_ssize_t n
        cdef int i
        if cache == NULL or cache.count == 0:
            out[0] = 0
            return
        out[0] = <unsigned char>cache.count
        n = cache.count // 2 + 1
        memset(flags, 0, n)
        out = flags + n
        for i in range(cache.count):
            nibble = <unsigned char>((cache.fresh[i] << 3) | (cache.used[i] >> 8))
            flags[i >> 1] |= nibble << ((i & 1) * 4)
            out[0] = <unsigned char>(cache.used[i] & 255)
            out += 1
            if cache.fresh[i]:
                utf8 = <PyObject*>(<Atom>cache.slot[cache.used[i]]).utf8
                n = PyBytes_GET_SIZE(utf8)
                if cache.long_atoms:
                    put16(out, <uint16_t>n)
                    out += 2
                else:
                    out[0] = <unsigned char>n
                    out += 1
                memcpy(out, PyBytes_AS_STRING(utf8), n)
                out += n
        flags[cache.count >> 1] |= <unsigned char>((1 if cache.long_atoms else 0) << ((cache.count & 1) * 4))

    def message(self, *terms):
        """The atom cache header and the terms of one message, as bytes: what follows 131, 68.

        The cache opens with the first message and belongs to one receiver. For tests and tools; the wire writes
        straight into its buffer.
        """
        cdef bytes header
        cdef Py_ssize_t begin = self.size
        self.cache_open()
        self.cache_begin()
        try:
            for value in terms:
                self.term(value)
            header = PyBytes_FromSize(NULL, self.header_size())
            self.write_header(<unsigned char*>PyBytes_AS_STRING(<PyObject*>header))
            return header + <bytes>self.buf[begin:self.size]
        finally:
            self.size = begin

    cdef void cache_forget(self) noexcept:
        cdef AtomCache* cache = self.cache
        cdef int i
        if cache == NULL:
            return
        for i in range(cache.count):
            if cache.fresh[i]:
                Py_XDECREF(cache.slot[cache.used[i]])
                cache.slot[cache.used[i]] = NULL
        self.cache_begin()


# --- the Python face ------------------------------------------------------------------------------------------------

cdef Encoder spare = Encoder()      # taken while in use, so that calls inside calls get their own


def encode(object term, *, object limits=DEFAULT, int compressed=0):
    """Encode a term, version byte included.

    compressed: 0, or a zlib level 1 to 9; as in Erlang the plain form is kept where it is not larger.
    Raises EncodeError naming the offending value's type and its path.
    """
    global spare
    cdef Encoder e = spare
    cdef bytes made
    if e is None:
        e = Encoder()
    spare = None
    e.size = 0
    if e.limits is not limits:
        e.set_limits(limits)
    e.reserve(64)
    e.buf[0] = VERSION
    e.size = 1
    e.term(term)
    made = <bytes>e.buf[:e.size]
    if e.cap > KEPT_BUFFER:
        free(e.buf)
        e.buf = NULL
        e.cap = 0
    spare = e
    if compressed:
        return compress(made, compressed)
    return made


cdef bytes compress(bytes plain, int level):
    """131, 80, size of the plain term: 32, zlib of it."""
    cdef unsigned char size[4]
    if not 1 <= level <= 9:
        raise ValueError(f"compressed is 0 or a zlib level 1 to 9, not {level}")
    if len(plain) - 1 > 0xFFFFFFFF:
        return plain
    packed = zlib.compress(plain[1:], level)
    if len(packed) + 6 >= len(plain):
        return plain
    put32(size, <uint32_t>(len(plain) - 1))
    return b"\x83\x50" + size[:4] + packed
