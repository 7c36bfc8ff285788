"""Terms that Python has no type for: improper lists, bitstrings and funs. All are immutable and compare by value."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.object cimport Py_EQ, Py_NE

from beamish.term._atom cimport Atom


cdef inline bint is_atom(object value):
    return isinstance(value, Atom) or value is None or value is True or value is False


cdef object same(bint equal, int op):
    return equal if op == Py_EQ else not equal


@cython.trashcan(True)     # they nest
cdef class ImproperList:
    """A list whose end is not the empty list: ``[1, 2 | tail]``.

    elements: the items before the bar, at least one; tail: any term but a list (that would be a proper list).
    """

    __match_args__ = ("elements", "tail")

    def __init__(self, elements, tail):
        elements = tuple(elements)
        if not elements:
            raise ValueError("an improper list has at least one element before its tail")
        if isinstance(tail, (list, ImproperList)):
            raise ValueError(f"the tail is a {type(tail).__name__}: join it to the elements instead")
        self.elements = elements
        self.tail = tail

    def __richcmp__(self, other, int op):
        if not isinstance(other, ImproperList) or (op != Py_EQ and op != Py_NE):
            return NotImplemented
        return same(self.elements == (<ImproperList>other).elements and self.tail == (<ImproperList>other).tail, op)

    def __hash__(self):
        return hash((self.elements, self.tail, ImproperList))

    def __repr__(self):
        return f"ImproperList({self.elements!r}, {self.tail!r})"

    def __reduce__(self):
        return (ImproperList, (self.elements, self.tail))


cdef class BitString:
    """Bits that do not fill whole bytes. data: the bytes; bits: how many of the last byte's bits count (1 to 7),
    from the top. The others are set to zero."""

    __match_args__ = ("data", "bits")

    def __init__(self, data, int bits):
        data = bytes(data)
        if not 1 <= bits <= 7:
            raise ValueError(f"a BitString uses 1 to 7 bits of its last byte, not {bits}; for whole bytes use bytes")
        if not data:
            raise ValueError("a BitString has at least one byte")
        self.data = data[: len(data) - 1] + bytes((data[len(data) - 1] & (0xFF00 >> bits),))
        self.bits = bits

    def __len__(self):
        """Length in bits."""
        return (len(self.data) - 1) * 8 + self.bits

    def __richcmp__(self, other, int op):
        if not isinstance(other, BitString) or (op != Py_EQ and op != Py_NE):
            return NotImplemented
        return same(self.bits == (<BitString>other).bits and self.data == (<BitString>other).data, op)

    def __hash__(self):
        return hash((self.data, self.bits, BitString))

    def __repr__(self):
        return f"BitString({self.data!r}, {self.bits})"

    def __reduce__(self):
        return (BitString, (self.data, self.bits))


cdef class ExportFun:
    """``fun module:function/arity``: a function by name."""

    __match_args__ = ("module", "function", "arity")

    def __init__(self, module, function, int arity):
        if not is_atom(module) or not is_atom(function):
            raise TypeError(f"module and function are atoms, not {type(module).__name__} and {type(function).__name__}")
        if not 0 <= arity <= 255:
            raise ValueError(f"a function has 0 to 255 arguments, not {arity}")
        self.module = module
        self.function = function
        self.arity = arity

    def __richcmp__(self, other, int op):
        cdef ExportFun you
        if not isinstance(other, ExportFun) or (op != Py_EQ and op != Py_NE):
            return NotImplemented
        you = <ExportFun>other
        return same(self.module is you.module and self.function is you.function and self.arity == you.arity, op)

    def __hash__(self):
        return hash((self.module, self.function, self.arity, ExportFun))

    def __repr__(self):
        return f"ExportFun({self.module!r}, {self.function!r}, {self.arity})"

    def __reduce__(self):
        return (ExportFun, (self.module, self.function, self.arity))


@cython.trashcan(True)
cdef class Fun:
    """A closure made by another runtime. We cannot call it; it travels back untouched.

    uniq: MD5 of the module's code, 16 bytes; free: the values it closed over; pid: the process that made it (which, as
    in Erlang, does not count when two funs are compared).
    """

    __match_args__ = ("module", "arity", "uniq", "index", "free")

    def __init__(self, module, int arity, uniq, uint32_t index, old_index, old_uniq, Pid pid not None, free=()):
        uniq = bytes(uniq)
        free = tuple(free)
        if not is_atom(module):
            raise TypeError(f"a fun's module is an atom, not {type(module).__name__}")
        if len(uniq) != 16:
            raise ValueError(f"a fun's uniq has 16 bytes, not {len(uniq)}")
        if not 0 <= arity <= 255:
            raise ValueError(f"a function has 0 to 255 arguments, not {arity}")
        if type(old_index) is not int or type(old_uniq) is not int:
            raise TypeError("old_index and old_uniq are integers")
        self.module = module
        self.arity = arity
        self.uniq = uniq
        self.index = index
        self.old_index = old_index
        self.old_uniq = old_uniq
        self.pid = pid
        self.free = free

    def __richcmp__(self, other, int op):
        cdef Fun you
        if not isinstance(other, Fun) or (op != Py_EQ and op != Py_NE):
            return NotImplemented
        you = <Fun>other
        return same(self.module is you.module and self.arity == you.arity and self.index == you.index
                    and self.uniq == you.uniq and self.old_index == you.old_index and self.old_uniq == you.old_uniq
                    and self.free == you.free, op)

    def __hash__(self):
        return hash((self.module, self.arity, self.uniq, self.index, self.free))

    def __repr__(self):
        return f"#Fun<{self.module}.{self.index}.{self.old_uniq}/{self.arity}>"

    def __reduce__(self):
        return (Fun, (self.module, self.arity, self.uniq, self.index, self.old_index, self.old_uniq, self.pid, self.free))


cdef ImproperList new_improper(tuple elements, object tail):
    cdef ImproperList made = ImproperList.__new__(ImproperList)
    made.elements = elements
    made.tail = tail
    return made


cdef BitString new_bits(const unsigned char* p, Py_ssize_t n, int bits):
    cdef BitString made = BitString.__new__(BitString)
    cdef unsigned char last = p[n - 1] & <unsigned char>(0xFF00 >> bits)
    if n == 1:      # one-byte bytes objects are shared by everybody
        made.data = PyBytes_FromStringAndSize(<char*>&last, 1)
    else:
        made.data = PyBytes_FromStringAndSize(<char*>p, n)
        (<unsigned char*>PyBytes_AS_STRING(made.data))[n - 1] = last
    made.bits = bits
    return made


cdef ExportFun new_export(object module, object function, int arity):
    cdef ExportFun made = ExportFun.__new__(ExportFun)
    made.module = module
    made.function = function
    made.arity = arity
    return made


cdef Fun new_fun(object module, int arity, bytes uniq, uint32_t index, object old_index, object old_uniq, Pid pid,
                 tuple free):
    cdef Fun made = Fun.__new__(Fun)
    made.module = module
    made.arity = arity
    made.uniq = uniq
    made.index = index
    made.old_index = old_index
    made.old_uniq = old_uniq
    made.pid = pid
    made.free = free
    return made
