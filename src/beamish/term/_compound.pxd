from libc.stdint cimport uint32_t

from beamish.term._identifiers cimport Pid


cdef class ImproperList:
    cdef readonly tuple elements       # at least one
    cdef readonly object tail          # never a list

cdef class BitString:
    cdef readonly bytes data           # at least one byte; unused bits of the last are zero
    cdef readonly int bits             # 1 to 7 used in the last byte, from the top

cdef class ExportFun:
    cdef readonly object module        # Atom (or True, False, None: they are atoms too)
    cdef readonly object function
    cdef readonly int arity            # 0 to 255

cdef class Fun:
    cdef readonly object module
    cdef readonly int arity
    cdef readonly bytes uniq           # 16 bytes
    cdef readonly uint32_t index
    cdef readonly object old_index, old_uniq    # int
    cdef readonly Pid pid
    cdef readonly tuple free

cdef ImproperList new_improper(tuple elements, object tail)
cdef BitString new_bits(const unsigned char* p, Py_ssize_t n, int bits)
cdef ExportFun new_export(object module, object function, int arity)
cdef Fun new_fun(object module, int arity, bytes uniq, uint32_t index, object old_index, object old_uniq, Pid pid,
                 tuple free)
