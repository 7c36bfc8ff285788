"""Pids, ports and references: identities made by a node and opaque to everybody else."""

cimport cython
from cpython.object cimport Py_EQ, Py_GE, Py_GT, Py_LE, Py_LT, Py_NE


cdef inline Py_hash_t mix(uint64_t a, uint64_t b) noexcept:
    cdef uint64_t h = (a * 0x9E3779B97F4A7C15ULL) ^ (b * 0xC2B2AE3D27D4EB4FULL)
    h ^= h >> 29
    if <Py_hash_t>h == -1:
        return -2
    return <Py_hash_t>h


cdef object ordered(tuple left, tuple right, int op):
    if op == Py_LT:
        return left < right
    if op == Py_LE:
        return left <= right
    if op == Py_GT:
        return left > right
    return left >= right


@cython.no_gc
@cython.freelist(1024)
cdef class Pid:
    """Address of a process: node, id, serial, creation."""

    def __init__(self, Atom node not None, uint32_t id, uint32_t serial, uint32_t creation):
        self.node = node
        self.id = id
        self.serial = serial
        self.creation = creation

    def __hash__(self):
        return mix((<uint64_t>self.serial << 32) | self.id, <uint64_t>self.creation ^ <uint64_t><size_t><void*>self.node)

    def __richcmp__(self, other, int op):
        cdef Pid you
        cdef bint same
        if not isinstance(other, Pid):
            return NotImplemented
        you = <Pid>other
        if op == Py_EQ or op == Py_NE:
            same = (self.id == you.id and self.serial == you.serial and self.creation == you.creation
                    and self.node is you.node)
            return same == (op == Py_EQ)
        # Erlang's term order for pids: the numbers first, the node after them.
        return ordered((self.serial, self.id, self.node.text, self.creation),
                       (you.serial, you.id, you.node.text, you.creation), op)

    def __str__(self):
        return f"<{self.node.text}.{self.id}.{self.serial}>"

    def __repr__(self):
        return f"<{self.node.text}.{self.id}.{self.serial}>"

    def __reduce__(self):
        return (Pid, (self.node, self.id, self.serial, self.creation))

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self


@cython.no_gc
cdef class Port:
    """Address of a port (a driver, socket or file of a BEAM node): node, id, creation."""

    def __init__(self, Atom node not None, uint64_t id, uint32_t creation):
        self.node = node
        self.id = id
        self.creation = creation

    def __hash__(self):
        return mix(self.id, <uint64_t>self.creation ^ <uint64_t><size_t><void*>self.node)

    def __richcmp__(self, other, int op):
        cdef Port you
        cdef bint same
        if not isinstance(other, Port):
            return NotImplemented
        you = <Port>other
        if op == Py_EQ or op == Py_NE:
            same = self.id == you.id and self.creation == you.creation and self.node is you.node
            return same == (op == Py_EQ)
        return ordered((self.id, self.node.text, self.creation), (you.id, you.node.text, you.creation), op)

    def __repr__(self):
        return f"#Port<{self.node.text}.{self.id}>"

    def __reduce__(self):
        return (Port, (self.node, self.id, self.creation))

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self


@cython.no_gc
@cython.freelist(256)
cdef class Ref:
    """A unique reference: node, creation and one to five 32-bit words."""

    def __init__(self, Atom node not None, uint32_t creation, words):
        words = tuple(words)
        if not 1 <= len(words) <= 5:
            raise ValueError(f"a reference has 1 to 5 words, not {len(words)}")
        self.node = node
        self.creation = creation
        self.count = len(words)
        for i in range(self.count):
            self.word[i] = words[i]

    @property
    def words(self):
        return tuple([self.word[i] for i in range(self.count)])

    def __hash__(self):
        return mix((<uint64_t>self.word[0] << 32) | (self.word[1] if self.count > 1 else 0),
                   (<uint64_t>(self.word[2] if self.count > 2 else 0) << 32)
                   ^ self.creation ^ <uint64_t><size_t><void*>self.node)

    def __richcmp__(self, other, int op):
        cdef Ref you
        cdef bint same
        cdef int i
        if not isinstance(other, Ref):
            return NotImplemented
        you = <Ref>other
        if op == Py_EQ or op == Py_NE:
            same = self.count == you.count and self.creation == you.creation and self.node is you.node
            if same:
                for i in range(self.count):
                    if self.word[i] != you.word[i]:
                        same = False
                        break
            return same == (op == Py_EQ)
        return ordered((self.node.text, self.creation, self.words[::-1]), (you.node.text, you.creation, you.words[::-1]), op)

    def __repr__(self):
        return f"#Ref<{self.node.text}.{'.'.join(str(word) for word in self.words)}>"

    def __reduce__(self):
        return (Ref, (self.node, self.creation, self.words))

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self


cdef Pid new_pid(Atom node, uint32_t id, uint32_t serial, uint32_t creation):
    cdef Pid pid = Pid.__new__(Pid)
    pid.node = node
    pid.id = id
    pid.serial = serial
    pid.creation = creation
    return pid


cdef Port new_port(Atom node, uint64_t id, uint32_t creation):
    cdef Port port = Port.__new__(Port)
    port.node = node
    port.id = id
    port.creation = creation
    return port


cdef Ref new_ref(Atom node, uint32_t creation, int count):
    cdef Ref ref = Ref.__new__(Ref)
    ref.node = node
    ref.creation = creation
    ref.count = count
    return ref
