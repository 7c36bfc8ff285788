# Big-endian numbers in unaligned memory, and the few C-API calls that Cython would wrap in reference counting.
from cpython.object cimport PyObject, PyTypeObject
from libc.stdint cimport uint16_t, uint32_t, uint64_t

cdef extern from *:
    """
    #include <string.h>
    #include <stdint.h>
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    #define BEAMISH_BE16(x) (x)
    #define BEAMISH_BE32(x) (x)
    #define BEAMISH_BE64(x) (x)
    #else
    #define BEAMISH_BE16(x) __builtin_bswap16(x)
    #define BEAMISH_BE32(x) __builtin_bswap32(x)
    #define BEAMISH_BE64(x) __builtin_bswap64(x)
    #endif
    static inline void put16(unsigned char *o, uint16_t v) { v = BEAMISH_BE16(v); memcpy(o, &v, 2); }
    static inline void put32(unsigned char *o, uint32_t v) { v = BEAMISH_BE32(v); memcpy(o, &v, 4); }
    static inline void put64(unsigned char *o, uint64_t v) { v = BEAMISH_BE64(v); memcpy(o, &v, 8); }
    static inline uint16_t get16(const unsigned char *p) { uint16_t v; memcpy(&v, p, 2); return BEAMISH_BE16(v); }
    static inline uint32_t get32(const unsigned char *p) { uint32_t v; memcpy(&v, p, 4); return BEAMISH_BE32(v); }
    static inline uint64_t get64(const unsigned char *p) { uint64_t v; memcpy(&v, p, 8); return BEAMISH_BE64(v); }
    """
    void put16(unsigned char* o, uint16_t v) noexcept
    void put32(unsigned char* o, uint32_t v) noexcept
    void put64(unsigned char* o, uint64_t v) noexcept
    uint16_t get16(const unsigned char* p) noexcept
    uint32_t get32(const unsigned char* p) noexcept
    uint64_t get64(const unsigned char* p) noexcept

# Raw: new references are owned by the caller, NULL means that a Python exception is set.
cdef extern from "Python.h" nogil:
    PyTypeObject* Py_TYPE(PyObject* o)
    void Py_INCREF(PyObject* o)
    void Py_DECREF(PyObject* o)
    void Py_XDECREF(PyObject* o)
    PyTypeObject PyLong_Type, PyFloat_Type, PyBytes_Type, PyUnicode_Type, PyTuple_Type, PyList_Type, PyDict_Type
    PyObject* Py_True
    PyObject* Py_False
    PyObject* Py_None

    long long PyLong_AsLongLongAndOverflow(PyObject* o, int* overflow)
    PyObject* PyLong_FromLong(long v)
    PyObject* PyLong_FromLongLong(long long v)
    PyObject* PyLong_FromUnsignedLongLong(unsigned long long v)
    double PyFloat_AS_DOUBLE(PyObject* o)
    PyObject* PyFloat_FromDouble(double v)

    char* PyBytes_AS_STRING(PyObject* o)
    Py_ssize_t PyBytes_GET_SIZE(PyObject* o)
    PyObject* PyBytes_FromStringAndSize(const char* p, Py_ssize_t n)
    const char* PyUnicode_AsUTF8AndSize(PyObject* o, Py_ssize_t* size)
    PyObject* PyUnicode_DecodeUTF8(const char* p, Py_ssize_t n, const char* errors)

    PyObject* PyTuple_New(Py_ssize_t n)
    Py_ssize_t PyTuple_GET_SIZE(PyObject* o)
    PyObject* PyTuple_GET_ITEM(PyObject* o, Py_ssize_t i)
    void PyTuple_SET_ITEM(PyObject* o, Py_ssize_t i, PyObject* item)
    PyObject* PyList_New(Py_ssize_t n)
    Py_ssize_t PyList_GET_SIZE(PyObject* o)
    PyObject* PyList_GET_ITEM(PyObject* o, Py_ssize_t i)
    void PyList_SET_ITEM(PyObject* o, Py_ssize_t i, PyObject* item)
    int PyList_Append(PyObject* o, PyObject* item)
    PyObject* PyDict_New()
    Py_ssize_t PyDict_GET_SIZE "PyDict_Size"(PyObject* o)
    int PyDict_SetItem(PyObject* o, PyObject* key, PyObject* value)
    PyObject* PyDict_SetDefault(PyObject* o, PyObject* key, PyObject* value)
    int PyDict_Next(PyObject* o, Py_ssize_t* at, PyObject** key, PyObject** value)

    PyObject* PyErr_Occurred()
    void PyErr_Clear()
    int PyGC_Enable()
    int PyGC_Disable()
